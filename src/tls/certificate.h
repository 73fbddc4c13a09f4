/* Certificates to present: made ready once, shared, and chosen from in handshakes. */
#pragma once

#include "identity/names.h"
#include "tls/context.h"

/* Immutable from then on. Fails as hbk_tls_context_new(). Control thread. */
HBK_MUST_USE hbk_status hbk_tls_certificate_new(const struct hbk_tls_certificate_options *options,
                                                const struct hbk_tls_certificate **out_certificate,
                                                struct hbk_error *error);

/* References; any thread. The last one frees and wipes. NULL is allowed for _unref. */
const struct hbk_tls_certificate *
hbk_tls_certificate_ref(const struct hbk_tls_certificate *certificate);
void hbk_tls_certificate_unref(const struct hbk_tls_certificate *certificate);

/* The chain, each in DER, leaf first. Borrowed. */
const struct hbk_slice *hbk_tls_certificate_chain(const struct hbk_tls_certificate *certificate,
                                                  size_t *out_count);

/* When the leaf is no longer valid, realtime. */
int64_t hbk_tls_certificate_end_ns(const struct hbk_tls_certificate *certificate);

/* What the leaf says of its holder; read when somebody asks for the first time, and then kept.
 * Borrowed; NULL when out of memory. Any thread. */
const struct hbk_certificate_names *
hbk_tls_certificate_names(const struct hbk_tls_certificate *certificate);

/* The certificate's first scheme that is among `schemes`; 0: none. */
uint16_t hbk_tls_certificate_scheme(const struct hbk_tls_certificate *certificate,
                                    struct hbk_slice schemes);

/* The OCSP response, while it is not out of date; empty: none. */
struct hbk_slice hbk_tls_certificate_staple(const struct hbk_tls_certificate *certificate,
                                            int64_t now_ns);

/*
 * The first certificate whose key can sign as the peer wants: among those of the server name, exact
 * names before wildcards; among the first HBK_TLS_DEFAULT_CERTIFICATES_MAX of the context when the
 * peer named nobody whom we know. NULL: none. Borrowed from the context. Any thread.
 */
const struct hbk_tls_certificate *hbk_tls_choose(const struct hbk_tls_context *context,
                                                 const struct hbk_tls_wish *wish);
