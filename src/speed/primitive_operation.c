/*
 * Both sides at their best: libcrypto with its keys parsed and its contexts ready, as a server
 * keeps them, so that its figures are those of `openssl speed`; the kernels by the functions that
 * the batcher calls, padding, nonces and checks included.
 */
#include "speed/primitive_operation.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/assert.h"

void hbk_primitive_state_fini(struct hbk_primitive_state *state)
{
    EVP_PKEY_CTX_free(state->context);
    EVP_MD_CTX_free(state->md_context);
    EVP_PKEY_free(state->pkey);
    EVP_PKEY_free(state->peer);
    hbk_rsa_key_free(state->rsa_key);
    hbk_rsa_batch_free(state->rsa_batch);
}

/* The first `lanes` operations of a kind as the lanes of a batch. */
#define FILL(array, field, lanes)                                      \
    __typeof__(state->operations[0].field) *array[HBK_LANES] = {NULL}; \
    for (unsigned i = 0; i < (lanes); i++) {                           \
        array[i] = &state->operations[i].field;                        \
    }

static bool make_context(struct hbk_primitive_state *state)
{
    state->context = EVP_PKEY_CTX_new(state->pkey, NULL);
    return state->context != NULL;
}

/* Two keys for libcrypto. */
static bool make_curve_keys(struct hbk_primitive_state *state, const char *curve,
                            size_t digest_bytes)
{
    state->pkey = EVP_EC_gen(curve);
    state->peer = EVP_EC_gen(curve);
    state->digest_bytes = digest_bytes;
    memset(state->digest, 0x5a, digest_bytes);
    return state->pkey != NULL && state->peer != NULL && make_context(state);
}

/* And eight key pairs for the lanes. */
static bool make_p256_keys(struct hbk_primitive_state *state)
{
    struct hbk_p256_keygen *lanes[HBK_LANES];

    for (int i = 0; i < HBK_LANES; i++) {
        lanes[i] = &state->pairs[i];
    }
    hbk_p256_keygen_lanes(HBK_PATH_TWIN, lanes);
    return make_curve_keys(state, "P-256", HBK_P256_BYTES);
}

static bool set_up_p256_keygen(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    return make_p256_keys(state) && EVP_PKEY_keygen_init(state->context) == 1;
}

static bool set_up_p256_agree(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    if (!make_p256_keys(state)) {
        return false;
    }
    for (int i = 0; i < HBK_LANES; i++) {
        state->operations[i].p256_agree =
            (struct hbk_p256_agree){.private_key = state->pairs[i].private_key,
                                    .peer_key = state->pairs[(i + 1) % HBK_LANES].public_key};
    }
    return EVP_PKEY_derive_init(state->context) == 1 &&
           EVP_PKEY_derive_set_peer(state->context, state->peer) == 1;
}

static bool set_up_p256_sign(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    if (!make_p256_keys(state)) {
        return false;
    }
    for (int i = 0; i < HBK_LANES; i++) {
        state->operations[i].p256_sign =
            (struct hbk_p256_sign){.private_key = state->pairs[i].private_key};
        memcpy(state->operations[i].p256_sign.digest, state->digest, HBK_P256_BYTES);
    }
    return EVP_PKEY_sign_init(state->context) == 1;
}

static void sign_libcrypto(struct hbk_primitive_state *state)
{
    state->signature_bytes = sizeof(state->signature);
    HBK_ASSERT(EVP_PKEY_sign(state->context, state->signature, &state->signature_bytes,
                             state->digest, state->digest_bytes) == 1);
}

static void sign_lanes(struct hbk_primitive_state *state, enum hbk_path path, unsigned lanes)
{
    FILL(array, p256_sign, lanes)
    hbk_p256_sign_lanes(path, array);
}

static bool set_up_p256_verify(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    struct hbk_p256_sign signs[HBK_LANES];
    struct hbk_p256_sign *lanes[HBK_LANES];

    if (!set_up_p256_sign(state, rsa_bits)) {
        return false;
    }
    sign_libcrypto(state);
    for (int i = 0; i < HBK_LANES; i++) {
        signs[i] = state->operations[i].p256_sign;
        lanes[i] = &signs[i];
    }
    hbk_p256_sign_lanes(HBK_PATH_TWIN, lanes);
    for (int i = 0; i < HBK_LANES; i++) {
        struct hbk_p256_verify *verify = &state->operations[i].p256_verify;
        verify->public_key = state->pairs[i].public_key;
        memcpy(verify->digest, signs[i].digest, sizeof(verify->digest));
        memcpy(verify->signature, signs[i].signature, sizeof(verify->signature));
    }
    return EVP_PKEY_verify_init(state->context) == 1;
}

static void verify_libcrypto(struct hbk_primitive_state *state)
{
    HBK_ASSERT(EVP_PKEY_verify(state->context, state->signature, state->signature_bytes,
                               state->digest, state->digest_bytes) == 1);
}

static void verify_lanes(struct hbk_primitive_state *state, enum hbk_path path, unsigned lanes)
{
    FILL(array, p256_verify, lanes)
    hbk_p256_verify_lanes(path, array);
    HBK_ASSERT(array[0]->status == HBK_LANE_OK);
}

static void keygen_libcrypto(struct hbk_primitive_state *state)
{
    EVP_PKEY *key = NULL;
    HBK_ASSERT(EVP_PKEY_keygen(state->context, &key) == 1);
    EVP_PKEY_free(key);
}

static void p256_keygen_lanes(struct hbk_primitive_state *state, enum hbk_path path, unsigned lanes)
{
    FILL(array, p256_keygen, lanes)
    hbk_p256_keygen_lanes(path, array);
}

static void derive_libcrypto(struct hbk_primitive_state *state)
{
    uint8_t secret[HBK_P384_BYTES];
    size_t size = sizeof(secret);
    HBK_ASSERT(EVP_PKEY_derive(state->context, secret, &size) == 1);
}

static void p256_agree_lanes(struct hbk_primitive_state *state, enum hbk_path path, unsigned lanes)
{
    FILL(array, p256_agree, lanes)
    hbk_p256_agree_lanes(path, array);
}

static bool make_x25519_keys(struct hbk_primitive_state *state)
{
    struct hbk_x25519_keygen *lanes[HBK_LANES];

    for (int i = 0; i < HBK_LANES; i++) {
        lanes[i] = &state->x25519_pairs[i];
    }
    hbk_x25519_keygen_lanes(HBK_PATH_TWIN, lanes);
    state->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    state->peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    return state->pkey != NULL && state->peer != NULL && make_context(state);
}

static bool set_up_x25519_keygen(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    return make_x25519_keys(state) && EVP_PKEY_keygen_init(state->context) == 1;
}

static bool set_up_x25519_agree(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    if (!make_x25519_keys(state)) {
        return false;
    }
    for (int i = 0; i < HBK_LANES; i++) {
        state->operations[i].x25519_agree = (struct hbk_x25519_agree){
            .private_key = state->x25519_pairs[i].private_key,
            .peer_key = state->x25519_pairs[(i + 1) % HBK_LANES].public_key};
    }
    return EVP_PKEY_derive_init(state->context) == 1 &&
           EVP_PKEY_derive_set_peer(state->context, state->peer) == 1;
}

static void x25519_keygen_lanes(struct hbk_primitive_state *state, enum hbk_path path,
                                unsigned lanes)
{
    FILL(array, x25519_keygen, lanes)
    hbk_x25519_keygen_lanes(path, array);
}

static void x25519_agree_lanes(struct hbk_primitive_state *state, enum hbk_path path,
                               unsigned lanes)
{
    FILL(array, x25519_agree, lanes)
    hbk_x25519_agree_lanes(path, array);
}

static bool make_rsa_key(struct hbk_primitive_state *state, unsigned bits)
{
    state->pkey = EVP_RSA_gen(bits);
    state->rsa_batch = hbk_rsa_batch_new();
    if (state->pkey == NULL || state->rsa_batch == NULL ||
        hbk_rsa_key_new(state->pkey, &state->rsa_key) != HBK_OK) {
        return false;
    }
    memset(state->rsa_input, 0x35, sizeof(state->rsa_input));
    for (int i = 0; i < HBK_LANES; i++) {
        state->operations[i].rsa = (struct hbk_rsa_operation){
            .key = state->rsa_key, .input = state->rsa_input, .output = state->rsa_output[i]};
    }
    return make_context(state);
}

static bool set_up_rsa_private(struct hbk_primitive_state *state, unsigned bits)
{
    return make_rsa_key(state, bits) && EVP_PKEY_decrypt_init(state->context) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(state->context, RSA_NO_PADDING) == 1;
}

static bool set_up_rsa_public(struct hbk_primitive_state *state, unsigned bits)
{
    return make_rsa_key(state, bits) && EVP_PKEY_encrypt_init(state->context) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(state->context, RSA_NO_PADDING) == 1;
}

static void rsa_private_libcrypto(struct hbk_primitive_state *state)
{
    size_t size = hbk_rsa_key_bytes(state->rsa_key);
    HBK_ASSERT(
        EVP_PKEY_decrypt(state->context, state->rsa_output[0], &size, state->rsa_input, size) == 1);
}

static void rsa_private_lanes(struct hbk_primitive_state *state, enum hbk_path path, unsigned lanes)
{
    FILL(array, rsa, lanes)
    hbk_rsa_private_lanes(path, state->rsa_batch, array);
}

static void rsa_public_libcrypto(struct hbk_primitive_state *state)
{
    size_t size = hbk_rsa_key_bytes(state->rsa_key);
    HBK_ASSERT(
        EVP_PKEY_encrypt(state->context, state->rsa_output[0], &size, state->rsa_input, size) == 1);
}

static void rsa_public_lanes(struct hbk_primitive_state *state, enum hbk_path path, unsigned lanes)
{
    FILL(array, rsa, lanes)
    hbk_rsa_public_lanes(path, state->rsa_batch, array);
}

/* ---- without kernels ---- */

static bool set_up_p384_keygen(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    return make_curve_keys(state, "P-384", HBK_P384_BYTES) &&
           EVP_PKEY_keygen_init(state->context) == 1;
}

static bool set_up_p384_agree(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    return make_curve_keys(state, "P-384", HBK_P384_BYTES) &&
           EVP_PKEY_derive_init(state->context) == 1 &&
           EVP_PKEY_derive_set_peer(state->context, state->peer) == 1;
}

static bool set_up_p384_sign(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    return make_curve_keys(state, "P-384", HBK_P384_BYTES) &&
           EVP_PKEY_sign_init(state->context) == 1;
}

static bool set_up_p384_verify(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    if (!set_up_p384_sign(state, rsa_bits)) {
        return false;
    }
    sign_libcrypto(state);
    return EVP_PKEY_verify_init(state->context) == 1;
}

static bool set_up_ed25519_sign(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    (void)rsa_bits;
    state->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    state->md_context = EVP_MD_CTX_new();
    state->digest_bytes = sizeof(state->digest);
    return state->pkey != NULL && state->md_context != NULL &&
           EVP_DigestSignInit(state->md_context, NULL, NULL, NULL, state->pkey) == 1;
}

static void ed25519_sign_libcrypto(struct hbk_primitive_state *state)
{
    state->signature_bytes = sizeof(state->signature);
    HBK_ASSERT(EVP_DigestSign(state->md_context, state->signature, &state->signature_bytes,
                              state->digest, state->digest_bytes) == 1);
}

static bool set_up_ed25519_verify(struct hbk_primitive_state *state, unsigned rsa_bits)
{
    if (!set_up_ed25519_sign(state, rsa_bits)) {
        return false;
    }
    ed25519_sign_libcrypto(state);
    return EVP_MD_CTX_reset(state->md_context) == 1 &&
           EVP_DigestVerifyInit(state->md_context, NULL, NULL, NULL, state->pkey) == 1;
}

static void ed25519_verify_libcrypto(struct hbk_primitive_state *state)
{
    HBK_ASSERT(EVP_DigestVerify(state->md_context, state->signature, state->signature_bytes,
                                state->digest, state->digest_bytes) == 1);
}

const struct hbk_primitive_operation hbk_primitive_operations[] = {
    {"ecdsa-p256-sign", 0, set_up_p256_sign, sign_libcrypto, sign_lanes, HBK_QUEUE_P256_SIGN},
    {"ecdsa-p256-verify", 0, set_up_p256_verify, verify_libcrypto, verify_lanes,
     HBK_QUEUE_P256_VERIFY},
    {"ecdh-p256", 0, set_up_p256_agree, derive_libcrypto, p256_agree_lanes, HBK_QUEUE_P256_AGREE},
    {"keygen-p256", 0, set_up_p256_keygen, keygen_libcrypto, p256_keygen_lanes,
     HBK_QUEUE_P256_KEYGEN},
    {"x25519-derive", 0, set_up_x25519_agree, derive_libcrypto, x25519_agree_lanes,
     HBK_QUEUE_X25519_AGREE},
    {"x25519-keygen", 0, set_up_x25519_keygen, keygen_libcrypto, x25519_keygen_lanes,
     HBK_QUEUE_X25519_KEYGEN},
    {"rsa-2048-private", 2048, set_up_rsa_private, rsa_private_libcrypto, rsa_private_lanes,
     HBK_QUEUE_RSA_PRIVATE_2048},
    {"rsa-2048-public", 2048, set_up_rsa_public, rsa_public_libcrypto, rsa_public_lanes,
     HBK_QUEUE_RSA_PUBLIC_2048},
    {"rsa-3072-private", 3072, set_up_rsa_private, rsa_private_libcrypto, rsa_private_lanes,
     HBK_QUEUE_RSA_PRIVATE_3072},
    {"rsa-3072-public", 3072, set_up_rsa_public, rsa_public_libcrypto, rsa_public_lanes,
     HBK_QUEUE_RSA_PUBLIC_3072},
    {"rsa-4096-private", 4096, set_up_rsa_private, rsa_private_libcrypto, rsa_private_lanes,
     HBK_QUEUE_RSA_PRIVATE_4096},
    {"rsa-4096-public", 4096, set_up_rsa_public, rsa_public_libcrypto, rsa_public_lanes,
     HBK_QUEUE_RSA_PUBLIC_4096},
    {"ecdsa-p384-sign", 0, set_up_p384_sign, sign_libcrypto, NULL, HBK_QUEUE_P384_SIGN},
    {"ecdsa-p384-verify", 0, set_up_p384_verify, verify_libcrypto, NULL, HBK_QUEUE_P384_VERIFY},
    {"ecdh-p384", 0, set_up_p384_agree, derive_libcrypto, NULL, HBK_QUEUE_P384_AGREE},
    {"keygen-p384", 0, set_up_p384_keygen, keygen_libcrypto, NULL, HBK_QUEUE_P384_KEYGEN},
    {"ed25519-sign", 0, set_up_ed25519_sign, ed25519_sign_libcrypto, NULL, HBK_QUEUE_ED25519_SIGN},
    {"ed25519-verify", 0, set_up_ed25519_verify, ed25519_verify_libcrypto, NULL,
     HBK_QUEUE_ED25519_VERIFY},
    {NULL},
};
