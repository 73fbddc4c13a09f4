/* A context's certificates: made ready once, and chosen from in handshakes. For engines. */
#pragma once

#include "tls/engine.h"

/* Fails as hbk_tls_context_new(); the certificate is then empty. Control thread. */
HBK_MUST_USE hbk_status hbk_tls_certificate_init(struct hbk_tls_certificate *certificate,
                                                 const struct hbk_tls_certificate_options *options,
                                                 struct hbk_error *error);
void hbk_tls_certificate_fini(struct hbk_tls_certificate *certificate);

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
