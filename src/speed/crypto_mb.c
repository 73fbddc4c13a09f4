/*
 * Numbers of that library are words of 64 bits, least significant first, where they are secret or
 * coordinates, and bytes, most significant first, where they are messages and parts of signatures.
 * A NULL among the pointers is an empty lane. Points without z are affine.
 */
#include "speed/crypto_mb.h"

#include <dlfcn.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = HBK_RSA_BYTES_MAX / 8, EC_WORDS = HBK_P256_BYTES / 8 };

/* The same numbers for eight lanes, and what a function takes: a pointer per lane. */
struct words {
    uint64_t word[HBK_LANES][WORDS_MAX];
    const uint64_t *lane[HBK_LANES];
};

struct bytes {
    uint8_t byte[HBK_LANES][HBK_RSA_BYTES_MAX];
    uint8_t *lane[HBK_LANES];
};

typedef const uint64_t *const *words_in;
typedef const uint8_t *const *bytes_in;
typedef uint8_t *const *bytes_out;
typedef uint64_t *const *words_out;

/* Each answers four bits of status a lane. */
struct functions {
    uint32_t (*ec_keygen)(words_out x, words_out y, words_out z, words_in key, uint8_t *buffer);
    uint32_t (*ec_agree)(bytes_out shared, words_in key, words_in x, words_in y, words_in z,
                         uint8_t *buffer);
    uint32_t (*ec_sign)(bytes_out r, bytes_out s, bytes_in digest, words_in nonce, words_in key,
                        uint8_t *buffer);
    uint32_t (*ec_verify)(bytes_in r, bytes_in s, bytes_in digest, words_in x, words_in y,
                          words_in z, uint8_t *buffer);
    uint32_t (*x25519)(bytes_out shared, bytes_in key, bytes_in peer);
    uint32_t (*x25519_keygen)(bytes_out public_key, bytes_in key);
    uint32_t (*rsa_private)(bytes_in from, bytes_out to, words_in p, words_in q, words_in dp,
                            words_in dq, words_in q_inverse, int bits, const void *method,
                            uint8_t *buffer);
    uint32_t (*rsa_public)(bytes_in from, bytes_out to, words_in n, int bits, const void *method,
                           uint8_t *buffer);
};

struct hbk_crypto_mb {
    void *handle;
    struct functions functions;
    uint32_t (*run)(struct hbk_crypto_mb *library);
    unsigned bits; /* of RSA */

    /* The inputs as they were prepared, and as the next run takes them: fewer lanes. */
    unsigned lanes;
    struct words key, nonce, x, y, p, q, dp, dq, q_inverse, n;
    struct bytes secret, peer, digest, r, s, out;
};

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
    {"mbx_nistp256_ecpublic_key_mb8", offsetof(struct functions, ec_keygen)},
    {"mbx_nistp256_ecdh_mb8", offsetof(struct functions, ec_agree)},
    {"mbx_nistp256_ecdsa_sign_mb8", offsetof(struct functions, ec_sign)},
    {"mbx_nistp256_ecdsa_verify_mb8", offsetof(struct functions, ec_verify)},
    {"mbx_x25519_mb8", offsetof(struct functions, x25519)},
    {"mbx_x25519_public_key_mb8", offsetof(struct functions, x25519_keygen)},
    {"mbx_rsa_private_crt_mb8", offsetof(struct functions, rsa_private)},
    {"mbx_rsa_public_mb8", offsetof(struct functions, rsa_public)},
};

/* ---- loading ---- */

/* The linker finds a library by its name once one of that name is loaded. */
static void load_neighbours(const char *path)
{
    static const char *const names[] = {"libintlc.so.5", "libimf.so", "libirng.so", "libsvml.so"};
    const char *slash = strrchr(path, '/');
    const int folder_bytes = slash == NULL ? 0 : (int)(slash - path + 1);
    char neighbour[PATH_MAX];

    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        snprintf(neighbour, sizeof(neighbour), "%.*s%s", folder_bytes, path, names[i]);
        (void)dlopen(neighbour, RTLD_NOW | RTLD_GLOBAL); /* elsewhere, or not wanted at all */
    }
}

static hbk_status find_symbols(struct hbk_crypto_mb *library, const char *path,
                               struct hbk_error *error)
{
    for (size_t i = 0; i < HBK_COUNT(symbols); i++) {
        void *symbol = dlsym(library->handle, symbols[i].name);
        if (symbol == NULL) {
            return hbk_error_set(error, HBK_NOT_FOUND, "%s: no function %s in it", path,
                                 symbols[i].name);
        }
        memcpy((uint8_t *)&library->functions + symbols[i].offset, &symbol, sizeof(symbol));
    }
    return HBK_OK;
}

hbk_status hbk_crypto_mb_open(const char *path, struct hbk_crypto_mb **out_library,
                              struct hbk_error *error)
{
    struct hbk_crypto_mb *library = calloc(1, sizeof(*library));

    if (library == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "%s: out of memory", path);
    }
    load_neighbours(path);
    library->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library->handle == NULL) {
        free(library);
        return hbk_error_set(error, HBK_NOT_FOUND, "libcrypto_mb cannot be loaded: %s", dlerror());
    }
    hbk_status status = find_symbols(library, path, error);
    if (status != HBK_OK) {
        hbk_crypto_mb_close(library);
        return status;
    }
    *out_library = library;
    return HBK_OK;
}

void hbk_crypto_mb_close(struct hbk_crypto_mb *library)
{
    if (library != NULL) {
        dlclose(library->handle);
        free(library);
    }
}

/* ---- inputs ---- */

static void set_words(struct words *words, int lane, const uint8_t *big_endian, size_t size)
{
    memset(words->word[lane], 0, sizeof(words->word[lane]));
    for (size_t i = 0; i < size; i++) {
        words->word[lane][i / 8] |= (uint64_t)big_endian[size - 1 - i] << i % 8 * 8;
    }
}

static bool set_number(struct words *words, EVP_PKEY *pkey, const char *name)
{
    uint8_t bytes[HBK_RSA_BYTES_MAX];
    BIGNUM *number = NULL;
    bool is_done = EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
                   BN_bn2binpad(number, bytes, sizeof(bytes)) == (int)sizeof(bytes);

    for (int i = 0; is_done && i < HBK_LANES; i++) {
        set_words(words, i, bytes, sizeof(bytes));
    }
    BN_clear_free(number);
    return is_done;
}

static void set_point(struct hbk_crypto_mb *library, int lane, const uint8_t *point)
{
    set_words(&library->x, lane, point + 1, HBK_P256_BYTES);
    set_words(&library->y, lane, point + 1 + HBK_P256_BYTES, HBK_P256_BYTES);
}

/* ---- operations: how they are run, how their inputs are made, and their results checked ---- */

static uint32_t run_sign(struct hbk_crypto_mb *library)
{
    return library->functions.ec_sign(library->r.lane, library->s.lane,
                                      (bytes_in)library->digest.lane, library->nonce.lane,
                                      library->key.lane, NULL);
}

static uint32_t run_verify(struct hbk_crypto_mb *library)
{
    return library->functions.ec_verify((bytes_in)library->r.lane, (bytes_in)library->s.lane,
                                        (bytes_in)library->digest.lane, library->x.lane,
                                        library->y.lane, NULL, NULL);
}

static uint32_t run_agree(struct hbk_crypto_mb *library)
{
    return library->functions.ec_agree(library->out.lane, library->key.lane, library->x.lane,
                                       library->y.lane, NULL, NULL);
}

static uint32_t run_keygen(struct hbk_crypto_mb *library)
{
    uint64_t *x[HBK_LANES], *y[HBK_LANES];

    for (int i = 0; i < HBK_LANES; i++) {
        x[i] = library->key.lane[i] == NULL ? NULL : library->x.word[i];
        y[i] = library->key.lane[i] == NULL ? NULL : library->y.word[i];
    }
    return library->functions.ec_keygen(x, y, NULL, library->key.lane, NULL);
}

static uint32_t run_x25519(struct hbk_crypto_mb *library)
{
    return library->functions.x25519(library->out.lane, (bytes_in)library->secret.lane,
                                     (bytes_in)library->peer.lane);
}

static uint32_t run_x25519_keygen(struct hbk_crypto_mb *library)
{
    return library->functions.x25519_keygen(library->out.lane, (bytes_in)library->secret.lane);
}

static uint32_t run_rsa_private(struct hbk_crypto_mb *library)
{
    return library->functions.rsa_private((bytes_in)library->secret.lane, library->out.lane,
                                          library->p.lane, library->q.lane, library->dp.lane,
                                          library->dq.lane, library->q_inverse.lane,
                                          (int)library->bits, NULL, NULL);
}

static uint32_t run_rsa_public(struct hbk_crypto_mb *library)
{
    return library->functions.rsa_public((bytes_in)library->secret.lane, library->out.lane,
                                         library->n.lane, (int)library->bits, NULL, NULL);
}

static void load_p256(struct hbk_crypto_mb *library, const struct hbk_primitive_state *state)
{
    for (int i = 0; i < HBK_LANES; i++) {
        uint8_t nonce[HBK_P256_BYTES] = {0x35, (uint8_t)i}; /* a figure, not a signature to keep */
        set_words(&library->key, i, state->pairs[i].private_key, HBK_P256_BYTES);
        set_words(&library->nonce, i, nonce, sizeof(nonce));
        set_point(library, i, state->pairs[i].public_key);
        memcpy(library->digest.byte[i], state->digest, HBK_P256_BYTES);
    }
}

static bool load_rsa(struct hbk_crypto_mb *library, const struct hbk_primitive_state *state)
{
    library->bits = hbk_rsa_key_bits(state->rsa_key);
    for (int i = 0; i < HBK_LANES; i++) {
        memcpy(library->secret.byte[i], state->rsa_input, sizeof(state->rsa_input));
    }
    return set_number(&library->n, state->pkey, OSSL_PKEY_PARAM_RSA_N) &&
           set_number(&library->p, state->pkey, OSSL_PKEY_PARAM_RSA_FACTOR1) &&
           set_number(&library->q, state->pkey, OSSL_PKEY_PARAM_RSA_FACTOR2) &&
           set_number(&library->dp, state->pkey, OSSL_PKEY_PARAM_RSA_EXPONENT1) &&
           set_number(&library->dq, state->pkey, OSSL_PKEY_PARAM_RSA_EXPONENT2) &&
           set_number(&library->q_inverse, state->pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
}

static void verify_one(const uint8_t *public_key, const struct hbk_crypto_mb *library, int lane,
                       struct hbk_p256_verify *verify)
{
    struct hbk_p256_verify *lanes[HBK_LANES] = {verify};

    *verify = (struct hbk_p256_verify){.public_key = public_key};
    memcpy(verify->digest, library->digest.byte[lane], HBK_P256_BYTES);
    memcpy(verify->signature, library->r.byte[lane], HBK_P256_BYTES);
    memcpy(verify->signature + HBK_P256_BYTES, library->s.byte[lane], HBK_P256_BYTES);
    hbk_p256_verify_lanes(HBK_PATH_TWIN, lanes);
}

/* What lane `lane` put out is what libcrypto says. */
static bool is_lane_right(struct hbk_crypto_mb *library, enum hbk_batch_queue queue,
                          struct hbk_primitive_state *state, int lane)
{
    const uint8_t *out = library->out.byte[lane];
    struct hbk_p256_verify verify;

    switch (queue) {
    case HBK_QUEUE_P256_SIGN:
        verify_one(state->pairs[lane].public_key, library, lane, &verify);
        return verify.status == HBK_LANE_OK;
    case HBK_QUEUE_P256_AGREE: {
        struct hbk_p256_agree *lanes[HBK_LANES] = {&state->operations[lane].p256_agree};
        hbk_p256_agree_lanes(HBK_PATH_TWIN, lanes);
        return memcmp(lanes[0]->secret, out, HBK_P256_BYTES) == 0;
    }
    case HBK_QUEUE_P256_KEYGEN: {
        struct words expected;
        set_words(&expected, lane, state->pairs[lane].public_key + 1, HBK_P256_BYTES);
        return memcmp(expected.word[lane], library->x.word[lane], HBK_P256_BYTES) == 0;
    }
    case HBK_QUEUE_X25519_AGREE: {
        struct hbk_x25519_agree *lanes[HBK_LANES] = {&state->operations[lane].x25519_agree};
        hbk_x25519_agree_lanes(HBK_PATH_TWIN, lanes);
        return memcmp(lanes[0]->secret, out, HBK_X25519_BYTES) == 0;
    }
    case HBK_QUEUE_X25519_KEYGEN:
        return memcmp(state->x25519_pairs[lane].public_key, out, HBK_X25519_BYTES) == 0;
    case HBK_QUEUE_P256_VERIFY:
        return true; /* the status says it */
    default:
        return memcmp(state->rsa_output[0], out, library->bits / 8) == 0;
    }
}

/* The signatures that are to be verified come from libcrypto. */
static void load_verify(struct hbk_crypto_mb *library, const struct hbk_primitive_state *state)
{
    for (int i = 0; i < HBK_LANES; i++) {
        const struct hbk_p256_verify *verify = &state->operations[i].p256_verify;
        memcpy(library->digest.byte[i], verify->digest, HBK_P256_BYTES);
        memcpy(library->r.byte[i], verify->signature, HBK_P256_BYTES);
        memcpy(library->s.byte[i], verify->signature + HBK_P256_BYTES, HBK_P256_BYTES);
    }
}

static bool load(struct hbk_crypto_mb *library, const struct hbk_primitive_operation *operation,
                 struct hbk_primitive_state *state)
{
    switch (operation->queue) {
    case HBK_QUEUE_P256_SIGN:
    case HBK_QUEUE_P256_KEYGEN:
        load_p256(library, state);
        library->run = operation->queue == HBK_QUEUE_P256_SIGN ? run_sign : run_keygen;
        return true;
    case HBK_QUEUE_P256_AGREE:
        load_p256(library, state);
        for (int i = 0; i < HBK_LANES; i++) {
            set_point(library, i, state->operations[i].p256_agree.peer_key);
        }
        library->run = run_agree;
        return true;
    case HBK_QUEUE_P256_VERIFY:
        load_p256(library, state);
        load_verify(library, state);
        library->run = run_verify;
        return true;
    case HBK_QUEUE_X25519_AGREE:
    case HBK_QUEUE_X25519_KEYGEN:
        for (int i = 0; i < HBK_LANES; i++) {
            memcpy(library->secret.byte[i], state->x25519_pairs[i].private_key, HBK_X25519_BYTES);
            memcpy(library->peer.byte[i], state->x25519_pairs[(i + 1) % HBK_LANES].public_key,
                   HBK_X25519_BYTES);
        }
        library->run = operation->queue == HBK_QUEUE_X25519_AGREE ? run_x25519 : run_x25519_keygen;
        return true;
    case HBK_QUEUE_RSA_PRIVATE_2048:
    case HBK_QUEUE_RSA_PRIVATE_3072:
    case HBK_QUEUE_RSA_PRIVATE_4096:
        library->run = run_rsa_private;
        operation->run_libcrypto(state); /* the result to compare with */
        return load_rsa(library, state);
    case HBK_QUEUE_RSA_PUBLIC_2048:
    case HBK_QUEUE_RSA_PUBLIC_3072:
    case HBK_QUEUE_RSA_PUBLIC_4096:
        library->run = run_rsa_public;
        operation->run_libcrypto(state);
        return load_rsa(library, state);
    default:
        return false;
    }
}

/* The lanes from `lanes` on become empty. */
static void fill_lanes(struct hbk_crypto_mb *library, unsigned lanes)
{
    struct words *words[] = {&library->key, &library->nonce,    &library->x,  &library->y,
                             &library->p,   &library->q,        &library->dp, &library->dq,
                             &library->n,   &library->q_inverse};
    struct bytes *bytes[] = {&library->secret, &library->peer, &library->digest,
                             &library->r,      &library->s,    &library->out};

    for (unsigned i = 0; i < HBK_LANES; i++) {
        for (size_t j = 0; j < HBK_COUNT(words); j++) {
            words[j]->lane[i] = i < lanes ? words[j]->word[i] : NULL;
        }
        for (size_t j = 0; j < HBK_COUNT(bytes); j++) {
            bytes[j]->lane[i] = i < lanes ? bytes[j]->byte[i] : NULL;
        }
    }
    library->lanes = lanes;
}

bool hbk_crypto_mb_prepare(struct hbk_crypto_mb *library,
                           const struct hbk_primitive_operation *operation,
                           struct hbk_primitive_state *state)
{
    library->lanes = 0;
    if (!load(library, operation, state)) {
        return false;
    }
    fill_lanes(library, HBK_LANES);
    if (library->run(library) != 0) {
        return false;
    }
    for (int i = 0; i < HBK_LANES; i++) {
        if (!is_lane_right(library, operation->queue, state, i)) {
            return false;
        }
    }
    return true;
}

void hbk_crypto_mb_run(struct hbk_crypto_mb *library, unsigned lanes)
{
    if (library->lanes != lanes) {
        fill_lanes(library, lanes);
    }
    (void)library->run(library);
}
