/*
 * A private key as the rest of the program sees it: immutable, counted, shared by all workers. What
 * computes with it is its provider's affair (crypto/key_provider.h); operations run in a worker
 * (crypto/key_worker.h).
 *
 * Keys: RSA from 1024 to 4096 bits, EC on P-256 and P-384, Ed25519.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/key_provider.h"

enum hbk_key_kind {
    HBK_KEY_RSA,
    HBK_KEY_EC_P256,
    HBK_KEY_EC_P384,
    HBK_KEY_ED25519,
};

/* "RSA", "P-256", ...; never NULL. */
const char *hbk_key_kind_text(enum hbk_key_kind kind);

/* The numbers are TLS's own: SignatureScheme of RFC 8446, 4.2.3. */
enum hbk_sign_scheme {
    HBK_SIGN_RSA_PKCS1_SHA256 = 0x0401, /* PKCS#1 v1.5: for TLS 1.2 only */
    HBK_SIGN_RSA_PKCS1_SHA384 = 0x0501,
    HBK_SIGN_RSA_PKCS1_SHA512 = 0x0601,
    HBK_SIGN_ECDSA_P256_SHA256 = 0x0403,
    HBK_SIGN_ECDSA_P384_SHA384 = 0x0503,
    HBK_SIGN_RSA_PSS_RSAE_SHA256 = 0x0804,
    HBK_SIGN_RSA_PSS_RSAE_SHA384 = 0x0805,
    HBK_SIGN_RSA_PSS_RSAE_SHA512 = 0x0806,
    HBK_SIGN_ED25519 = 0x0807,
};

/* "rsa_pss_rsae_sha256", ...; "unknown" for a number that is none of them. */
const char *hbk_sign_scheme_text(unsigned scheme);

enum {
    HBK_KEY_SCHEMES_MAX = 6,
    HBK_KEY_OUTPUT_BYTES_MAX = 512, /* of any operation of any key: RSA-4096 */
};

struct hbk_private_key;

/*
 * Reads a key; a reference to `pkey` and one to `provider` are taken. NULL as provider stands for
 * the worker's own batcher.
 *
 * Fails:   HBK_UNSUPPORTED (another kind, size or curve, or one that the provider does not take),
 *          HBK_INVALID (no private part, numbers that do not fit), HBK_NO_MEMORY; with the reason.
 * Thread:  control; it may take milliseconds.
 */
HBK_MUST_USE hbk_status hbk_private_key_new(EVP_PKEY *pkey, struct hbk_key_provider *provider,
                                            struct hbk_private_key **out_key,
                                            struct hbk_error *error);

/* References; any thread. The last one wipes. */
struct hbk_private_key *hbk_private_key_ref(struct hbk_private_key *key);
void hbk_private_key_unref(struct hbk_private_key *key); /* NULL is allowed */

enum hbk_key_kind hbk_private_key_kind(const struct hbk_private_key *key);
unsigned hbk_private_key_bits(const struct hbk_private_key *key);

/* What it signs, in the order in which we prefer it; returns how many. */
size_t hbk_private_key_schemes(const struct hbk_private_key *key,
                               enum hbk_sign_scheme out_schemes[HBK_KEY_SCHEMES_MAX]);

/* `scheme` may be any number that a peer sent. */
bool hbk_private_key_can_sign(const struct hbk_private_key *key, unsigned scheme);

/* Room in which every signature, or decrypted block, of the key fits. */
size_t hbk_private_key_output_bytes(const struct hbk_private_key *key);

/* Borrowed from the key. The provider is never NULL. */
EVP_PKEY *hbk_private_key_pkey(const struct hbk_private_key *key);
struct hbk_key_provider *hbk_private_key_provider(const struct hbk_private_key *key);
