/*
 * An X.509-SVID: the certificate chain of one SPIFFE id with its private key, as this program
 * presents it to others. (X509-SVID, sections 2 to 4)
 */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"
#include "identity/spiffe.h"

enum {
    HBK_CHAIN_CERTIFICATES_MAX = 8,         /* in one chain, the leaf included */
    HBK_CHAIN_BYTES_MAX = 64 << 10,         /* of one chain as PEM or DER */
    HBK_PRIVATE_KEY_BYTES_MAX = 16 << 10,   /* of a key as PEM */
    HBK_SERIAL_TEXT_BYTES_MAX = 2 * 20 + 1, /* RFC 5280, 4.1.2.2: 20 bytes, as hexadecimal digits */
};

/* OpenSSL's names, for the few files that speak with it. */
struct x509_st;
struct evp_pkey_st;

/*
 * Immutable and shared. The struct is open to readers; what it points to is borrowed while a
 * reference is held. Secret: private_key, which no function writes anywhere.
 */
struct hbk_svid {
    const struct hbk_spiffe_id *id;
    int64_t not_before_ns;                       /* realtime: the latest start ... */
    int64_t not_after_ns;                        /* ... and the earliest end in the chain */
    char serial_text[HBK_SERIAL_TEXT_BYTES_MAX]; /* of the leaf, hexadecimal */
    size_t certificate_count;
    struct x509_st *certificates[HBK_CHAIN_CERTIFICATES_MAX]; /* leaf first */
    struct evp_pkey_st *private_key;
};

/*
 * Reads a chain (PEM, leaf first) and its key (PEM, not encrypted). The leaf must keep the rules of
 * an SVID (see verdict.h) and the key must belong to it; time and trust are not judged here.
 *
 * Fails:   HBK_INVALID with the reason, HBK_LIMIT, HBK_NO_MEMORY.
 * Thread:  any; costs some hundred microseconds.
 */
HBK_MUST_USE hbk_status hbk_svid_from_pem(struct hbk_slice chain_pem, struct hbk_slice key_pem,
                                          struct hbk_svid **out_svid, struct hbk_error *error);

/* One more reference; returns `svid`. Any thread. */
struct hbk_svid *hbk_svid_ref(struct hbk_svid *svid);

/* Gives a reference back, NULL is allowed; the last one wipes the key. Any thread. */
void hbk_svid_unref(struct hbk_svid *svid);
