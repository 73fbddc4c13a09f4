/*
 * The public key of a certificate in the forms that the rest of this room takes to verify
 * signatures with. Immutable once made.
 */
#pragma once

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct hbk_rsa_key; /* crypto/rsa.h */

enum hbk_public_key_kind {
    HBK_PUBLIC_KEY_OTHER, /* nothing here verifies with it: another curve, size or algorithm */
    HBK_PUBLIC_KEY_RSA,
    HBK_PUBLIC_KEY_P256,
    HBK_PUBLIC_KEY_P384,
    HBK_PUBLIC_KEY_ED25519,
};

enum { HBK_PUBLIC_KEY_BYTES_MAX = 97 }; /* a point of P-384 */

struct hbk_public_key {
    enum hbk_public_key_kind kind;
    unsigned bits;           /* as libcrypto counts them; 0: unknown */
    struct hbk_rsa_key *rsa; /* owned; RSA alone */
    size_t size;             /* of `bytes` */
    uint8_t
        bytes[HBK_PUBLIC_KEY_BYTES_MAX]; /* EC: the uncompressed point; Ed25519: RFC 8032's 32 */
};

/* "RSA", "P-256", ..., "other"; never NULL. */
const char *hbk_public_key_kind_text(enum hbk_public_key_kind kind);

/*
 * Reads a key from a stranger's certificate; NULL is of the kind OTHER, as is RSA outside of
 * HBK_RSA_BITS_MIN to HBK_RSA_BITS_MAX. Fails: HBK_NO_MEMORY. Any thread.
 */
HBK_MUST_USE hbk_status hbk_public_key_init(struct hbk_public_key *key, EVP_PKEY *pkey);
void hbk_public_key_fini(struct hbk_public_key *key);
