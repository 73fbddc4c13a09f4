/* The operations that speed/primitive.c measures, each ready to be called again and again. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/batcher.h"

/* Keys, inputs and contexts of one operation. */
struct hbk_primitive_state {
    EVP_PKEY *pkey;                            /* libcrypto's, and the RSA key of all lanes */
    EVP_PKEY *peer;                            /* libcrypto's, for agreements */
    EVP_PKEY_CTX *context;                     /* libcrypto's, initialised for the operation */
    EVP_MD_CTX *md_context;                    /* libcrypto's, for Ed25519 */
    uint8_t signature[HBK_P384_DER_BYTES_MAX]; /* of `digest`, in DER */
    size_t signature_bytes;
    uint8_t digest[HBK_P384_BYTES];
    size_t digest_bytes;

    struct hbk_p256_keygen pairs[HBK_LANES];
    struct hbk_x25519_keygen x25519_pairs[HBK_LANES];
    union {
        struct hbk_p256_keygen p256_keygen;
        struct hbk_p256_agree p256_agree;
        struct hbk_p256_sign p256_sign;
        struct hbk_p256_verify p256_verify;
        struct hbk_x25519_keygen x25519_keygen;
        struct hbk_x25519_agree x25519_agree;
        struct hbk_rsa_operation rsa;
    } operations[HBK_LANES];
    struct hbk_rsa_key *rsa_key;
    struct hbk_rsa_batch *rsa_batch;
    uint8_t rsa_input[HBK_RSA_BYTES_MAX];
    uint8_t rsa_output[HBK_LANES][HBK_RSA_BYTES_MAX];
};

struct hbk_primitive_operation {
    const char *name;
    unsigned rsa_bits; /* 0 for curves */
    bool (*set_up)(struct hbk_primitive_state *state, unsigned rsa_bits);
    void (*run_libcrypto)(struct hbk_primitive_state *state);
    /* NULL where there is no kernel. */
    void (*run_lanes)(struct hbk_primitive_state *state, enum hbk_path path, unsigned lanes);
    enum hbk_batch_queue queue;
};

/* All of them, ended by an entry without a name. */
extern const struct hbk_primitive_operation hbk_primitive_operations[];

/* For a state that is zero, or in which a set-up failed half way. */
void hbk_primitive_state_fini(struct hbk_primitive_state *state);
