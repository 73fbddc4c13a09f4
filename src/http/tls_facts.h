/*
 * What is known of a client's TLS after its handshake, for access logs and header values: it is
 * asked for until the exchange has ended, when the session may be gone already.
 */
#pragma once

#include "base/slice.h"
#include "identity/verdict.h"
#include "tls/session.h"

/* All zero: plain text, or a handshake that has not ended. */
struct hbk_gw_tls_facts {
    const char *version, *cipher; /* "TLSv1.3", "TLS_AES_128_GCM_SHA256"; constants */
    const struct hbk_peer *peer;  /* a reference; NULL: no certificate */
    char *server_name;            /* owned; NULL: none, or no memory for it */
    char *failure;                /* owned; why TLS failed; NULL: it did not, or as above */
    /* Of our certificate, where somebody asks. */
    const struct hbk_tls_certificate *own_certificate; /* held; NULL: nobody does */
    struct hbk_certificate_names own;                  /* borrowed from it */
};

/* Once the handshake is done. The names of our certificate take libcrypto some microseconds: they
 * are read if `asks` (HBK_GW_ASKS_..., http/format.h) says so. */
void hbk_gw_tls_facts_init(struct hbk_gw_tls_facts *facts, const struct hbk_tls_session *session,
                           unsigned asks);
/* Keeps what a pipe says while it fails; NULL: nothing of TLS. */
void hbk_gw_tls_facts_failed(struct hbk_gw_tls_facts *facts, const char *failure);
void hbk_gw_tls_facts_fini(struct hbk_gw_tls_facts *facts); /* idempotent */

/* Names that each end with a zero byte, as one text with commas between: the only one itself, or
 * as many whole ones as `room` takes. */
struct hbk_slice hbk_gw_tls_names(struct hbk_slice names, struct hbk_span room);
