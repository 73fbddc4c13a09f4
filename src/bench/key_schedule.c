/*
 *     early --derived--> extract(agreement) --> handshake --derived--> extract(0) --> master
 *                                                | c hs, s hs                          | c ap, s ap
 *                                                v                                     | exp, res
 *                                         key, iv, finished                            v
 *                                                                                  key, iv
 *
 * Everything up to the first "derived" is the same for all handshakes without a PSK, and is made
 * once.
 *
 * The two ways of computing are two tables of four functions, so that the script is one.
 */
#include "bench/key_schedule.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"

enum {
    CLIENT_HELLO_BYTES = 250,
    SERVER_HELLO_BYTES = 122,
    CERTIFICATE_BYTES = 1000, /* a leaf and its issuer, P-256 */
    VERIFY_BYTES = 79,
    EXTENSIONS_AND_REQUEST_BYTES = 80,
    FINISHED_BYTES = 36,
    RECORD_BYTES_MAX = 2048,
    INFO_BYTES_MAX = 2 + 1 + 24 + 1 + HBK_HASH_BYTES_MAX,
};

struct hbk_key_schedule {
    enum hbk_hash hash;
    enum hbk_aead aead;
    size_t size; /* of the hash and of secrets */
    bool by_libcrypto;
    uint8_t nothing[HBK_HASH_BYTES_MAX]; /* the digest of no bytes, the context of "derived" */

    /* The crypto room's. */
    struct hbk_hmac derived_early; /* as a salt */
    struct hbk_hash_state transcript;

    /* libcrypto's. */
    EVP_MD *md;
    EVP_MD_CTX *md_context, *md_copy;
    EVP_KDF *kdf;
    EVP_KDF_CTX *kdf_context;
    EVP_MAC *mac;
    EVP_MAC_CTX *mac_context;
    uint8_t derived_early_bytes[HBK_HASH_BYTES_MAX];

    /* What the two ways must agree on: the resumption secret. */
    uint8_t results[2][HBK_HASH_BYTES_MAX];

    uint8_t messages[RECORD_BYTES_MAX]; /* zeros */
    uint8_t sealed[RECORD_BYTES_MAX];   /* the client's flight, as it arrives */
    size_t sealed_bytes;
    uint8_t record[RECORD_BYTES_MAX];
    struct hbk_aead_key keys[4]; /* handshake and application, client's and server's */
};

/* A secret, in the form in which labels are expanded out of it. */
struct secret {
    struct hbk_hmac keyed;
    uint8_t bytes[HBK_HASH_BYTES_MAX];
};

static const char *digest_name(enum hbk_hash hash)
{
    return hash == HBK_HASH_SHA256 ? "SHA256" : "SHA384";
}

/* ---- the two ways ---- */

static void libcrypto_kdf(struct hbk_key_schedule *schedule, int mode, struct hbk_slice key,
                          struct hbk_slice salt_or_info, struct hbk_span out)
{
    char digest[8];
    const char *name =
        mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? OSSL_KDF_PARAM_SALT : OSSL_KDF_PARAM_INFO;

    memcpy(digest, digest_name(schedule->hash), sizeof("SHA256"));
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key.bytes,
                                          key.size),
        OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)salt_or_info.bytes,
                                          salt_or_info.size),
        OSSL_PARAM_construct_end(),
    };
    HBK_ASSERT(EVP_KDF_derive(schedule->kdf_context, out.bytes, out.size, parameters) == 1);
}

static void hear(struct hbk_key_schedule *schedule, size_t size)
{
    if (schedule->by_libcrypto) {
        HBK_ASSERT(EVP_DigestUpdate(schedule->md_context, schedule->messages, size) == 1);
    } else {
        hbk_hash_update(&schedule->transcript, hbk_slice_of(schedule->messages, size));
    }
}

static void heard(struct hbk_key_schedule *schedule, uint8_t *out_digest)
{
    if (schedule->by_libcrypto) {
        HBK_ASSERT(EVP_MD_CTX_copy_ex(schedule->md_copy, schedule->md_context) == 1 &&
                   EVP_DigestFinal_ex(schedule->md_copy, out_digest, NULL) == 1);
    } else {
        hbk_hash_digest(&schedule->transcript, out_digest);
    }
}

static void expand(struct hbk_key_schedule *schedule, const struct secret *secret,
                   struct hbk_slice info, struct hbk_span out)
{
    if (schedule->by_libcrypto) {
        libcrypto_kdf(schedule, EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                      hbk_slice_of(secret->bytes, schedule->size), info, out);
    } else {
        HBK_ASSERT(hbk_hkdf_expand_keyed(&secret->keyed, info, out));
    }
}

static void code(struct hbk_key_schedule *schedule, const uint8_t *key, const uint8_t *digest,
                 uint8_t *out_code)
{
    const struct hbk_slice part = hbk_slice_of(digest, schedule->size);

    if (schedule->by_libcrypto) {
        size_t size;
        HBK_ASSERT(EVP_MAC_init(schedule->mac_context, key, schedule->size, NULL) == 1 &&
                   EVP_MAC_update(schedule->mac_context, part.bytes, part.size) == 1 &&
                   EVP_MAC_final(schedule->mac_context, out_code, &size, schedule->size) == 1);
        return;
    }
    struct hbk_hmac hmac;
    hbk_hmac_init(&hmac, schedule->hash, hbk_slice_of(key, schedule->size));
    hbk_hmac_code(&hmac, &part, 1, out_code);
    hbk_secret_wipe(&hmac, sizeof(hmac));
}

static void secret_ready(struct hbk_key_schedule *schedule, struct secret *secret)
{
    if (!schedule->by_libcrypto) {
        hbk_hmac_init(&secret->keyed, schedule->hash, hbk_slice_of(secret->bytes, schedule->size));
    }
}

/* ---- the script ---- */

/* HKDF-Expand-Label (RFC 8446, 7.1). */
static void expand_label(struct hbk_key_schedule *schedule, const struct secret *secret,
                         const char *label, struct hbk_slice context, struct hbk_span out)
{
    static const char prefix[] = "tls13 ";
    const size_t label_bytes = strlen(label);
    uint8_t info[INFO_BYTES_MAX] = {0, (uint8_t)out.size,
                                    (uint8_t)(sizeof(prefix) - 1 + label_bytes)};
    size_t used = 3;

    memcpy(info + used, prefix, sizeof(prefix) - 1);
    used += sizeof(prefix) - 1;
    memcpy(info + used, label, label_bytes);
    used += label_bytes;
    info[used++] = (uint8_t)context.size;
    if (context.size > 0) {
        memcpy(info + used, context.bytes, context.size);
    }
    expand(schedule, secret, hbk_slice_of(info, used + context.size), out);
}

static void derive(struct hbk_key_schedule *schedule, const struct secret *from, const char *label,
                   const uint8_t *digest, struct secret *out)
{
    expand_label(schedule, from, label, hbk_slice_of(digest, schedule->size),
                 hbk_span_of(out->bytes, schedule->size));
    secret_ready(schedule, out);
}

/* The next stage's secret, salted with "derived" of the last. */
static void next_stage(struct hbk_key_schedule *schedule, const struct secret *from,
                       struct hbk_slice input, struct secret *out)
{
    struct secret salt;

    if (schedule->by_libcrypto) {
        if (from == NULL) {
            memcpy(salt.bytes, schedule->derived_early_bytes, schedule->size);
        } else {
            derive(schedule, from, "derived", schedule->nothing, &salt);
        }
        libcrypto_kdf(schedule, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, input,
                      hbk_slice_of(salt.bytes, schedule->size),
                      hbk_span_of(out->bytes, schedule->size));
        return;
    }
    if (from == NULL) {
        hbk_hkdf_extract_keyed(&schedule->derived_early, input, out->bytes);
    } else {
        derive(schedule, from, "derived", schedule->nothing, &salt);
        hbk_hkdf_extract_keyed(&salt.keyed, input, out->bytes);
    }
    secret_ready(schedule, out);
}

/* The key and the nonce of one direction (7.3). */
static void traffic_key(struct hbk_key_schedule *schedule, const struct secret *secret,
                        struct hbk_aead_key *key)
{
    const enum hbk_aead_backend backend =
        schedule->by_libcrypto ? HBK_AEAD_LIBCRYPTO : hbk_aead_best_backend(schedule->aead);
    uint8_t bytes[HBK_AEAD_KEY_BYTES_MAX], nonce[HBK_AEAD_NONCE_BYTES];

    expand_label(schedule, secret, "key", hbk_slice_of(NULL, 0),
                 hbk_span_of(bytes, hbk_aead_key_bytes(schedule->aead)));
    expand_label(schedule, secret, "iv", hbk_slice_of(NULL, 0), hbk_span_of(nonce, sizeof(nonce)));
    HBK_ASSERT(hbk_aead_key_init(key, schedule->aead, backend, bytes) == HBK_OK);
    hbk_secret_wipe(bytes, sizeof(bytes));
}

static void finished(struct hbk_key_schedule *schedule, const struct secret *secret,
                     uint8_t *out_code)
{
    uint8_t key[HBK_HASH_BYTES_MAX], digest[HBK_HASH_BYTES_MAX];

    expand_label(schedule, secret, "finished", hbk_slice_of(NULL, 0),
                 hbk_span_of(key, schedule->size));
    heard(schedule, digest);
    code(schedule, key, digest, out_code);
    hbk_secret_wipe(key, sizeof(key));
}

static struct hbk_aead_record record_of(uint8_t *bytes, size_t size)
{
    return (struct hbk_aead_record){.header = hbk_slice_of("\x17\x03\x03\x04\x00", 5),
                                    .bytes = hbk_span_of(bytes, size),
                                    .tag = bytes + size};
}

/* Opens the client's flight; the first time, seals what there is to open from then on. */
static bool open_flight(struct hbk_key_schedule *schedule, struct hbk_aead_key *key)
{
    const size_t size = CERTIFICATE_BYTES + VERIFY_BYTES + FINISHED_BYTES + 1;
    struct hbk_aead_record record;

    if (schedule->sealed_bytes == 0) {
        record = record_of(schedule->sealed, size);
        HBK_ASSERT(hbk_aead_seal(key, &record, 1));
        schedule->sealed_bytes = size + HBK_AEAD_TAG_BYTES;
    }
    memcpy(schedule->record, schedule->sealed, schedule->sealed_bytes);
    record = record_of(schedule->record, size);
    return hbk_aead_open(key, &record, 1) == 1;
}

/* From the hellos to the server's Finished. */
static void server_flight(struct hbk_key_schedule *schedule, struct secret *client,
                          struct secret *handshake)
{
    static const uint8_t agreement[32] = {1, 2, 3};
    struct secret server;
    uint8_t digest[HBK_HASH_BYTES_MAX], mac[HBK_HASH_BYTES_MAX];

    hear(schedule, CLIENT_HELLO_BYTES);
    hear(schedule, SERVER_HELLO_BYTES);
    heard(schedule, digest);
    next_stage(schedule, NULL, hbk_slice_of(agreement, sizeof(agreement)), handshake);
    derive(schedule, handshake, "c hs traffic", digest, client);
    derive(schedule, handshake, "s hs traffic", digest, &server);
    traffic_key(schedule, client, &schedule->keys[0]);
    traffic_key(schedule, &server, &schedule->keys[1]);

    hear(schedule, EXTENSIONS_AND_REQUEST_BYTES);
    hear(schedule, CERTIFICATE_BYTES);
    heard(schedule, digest); /* for CertificateVerify */
    hear(schedule, VERIFY_BYTES);
    finished(schedule, &server, mac);
    hear(schedule, FINISHED_BYTES);
    struct hbk_aead_record record =
        record_of(schedule->record, EXTENSIONS_AND_REQUEST_BYTES + CERTIFICATE_BYTES +
                                        VERIFY_BYTES + FINISHED_BYTES + 1);
    HBK_ASSERT(hbk_aead_seal(&schedule->keys[1], &record, 1));
    hbk_secret_wipe(&server, sizeof(server));
}

/* The master secret's keys, and the client's flight. */
static bool client_flight(struct hbk_key_schedule *schedule, const struct secret *client,
                          const struct secret *handshake)
{
    static const uint8_t zeros[HBK_HASH_BYTES_MAX];
    struct secret master, made[2];
    uint8_t digest[HBK_HASH_BYTES_MAX], mac[HBK_HASH_BYTES_MAX], exporter[HBK_HASH_BYTES_MAX];
    bool is_authentic;

    heard(schedule, digest);
    next_stage(schedule, handshake, hbk_slice_of(zeros, schedule->size), &master);
    derive(schedule, &master, "c ap traffic", digest, &made[0]);
    derive(schedule, &master, "s ap traffic", digest, &made[1]);
    expand_label(schedule, &master, "exp master", hbk_slice_of(digest, schedule->size),
                 hbk_span_of(exporter, schedule->size));
    traffic_key(schedule, &made[0], &schedule->keys[2]);
    traffic_key(schedule, &made[1], &schedule->keys[3]);

    is_authentic = open_flight(schedule, &schedule->keys[0]);
    hear(schedule, CERTIFICATE_BYTES);
    heard(schedule, digest); /* for CertificateVerify */
    hear(schedule, VERIFY_BYTES);
    finished(schedule, client, mac);
    hear(schedule, FINISHED_BYTES);
    heard(schedule, digest);
    expand_label(schedule, &master, "res master", hbk_slice_of(digest, schedule->size),
                 hbk_span_of(schedule->results[schedule->by_libcrypto], schedule->size));
    hbk_secret_wipe(&master, sizeof(master));
    hbk_secret_wipe(made, sizeof(made));
    return is_authentic;
}

static bool run(struct hbk_key_schedule *schedule, bool by_libcrypto)
{
    struct secret client, handshake;

    schedule->by_libcrypto = by_libcrypto;
    if (by_libcrypto) {
        HBK_ASSERT(EVP_DigestInit_ex2(schedule->md_context, schedule->md, NULL) == 1);
    } else {
        hbk_hash_init(&schedule->transcript, schedule->hash);
    }
    server_flight(schedule, &client, &handshake);
    bool is_authentic = client_flight(schedule, &client, &handshake);
    for (int i = 0; i < 4; i++) {
        hbk_aead_key_fini(&schedule->keys[i]);
    }
    hbk_secret_wipe(&client, sizeof(client));
    hbk_secret_wipe(&handshake, sizeof(handshake));
    return is_authentic;
}

bool hbk_key_schedule_run(struct hbk_key_schedule *schedule, bool by_libcrypto)
{
    return run(schedule, by_libcrypto) &&
           memcmp(schedule->results[0], schedule->results[1], schedule->size) == 0;
}

/* ---- the beginning and the end ---- */

static bool fetch(struct hbk_key_schedule *schedule)
{
    char digest[8];

    memcpy(digest, digest_name(schedule->hash), sizeof("SHA256"));
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    schedule->md = EVP_MD_fetch(NULL, digest, NULL);
    schedule->md_context = EVP_MD_CTX_new();
    schedule->md_copy = EVP_MD_CTX_new();
    schedule->kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    schedule->kdf_context = EVP_KDF_CTX_new(schedule->kdf);
    schedule->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    schedule->mac_context = EVP_MAC_CTX_new(schedule->mac);
    return schedule->md != NULL && schedule->md_context != NULL && schedule->md_copy != NULL &&
           schedule->kdf_context != NULL && schedule->mac_context != NULL &&
           EVP_MAC_CTX_set_params(schedule->mac_context, parameters) == 1;
}

/* What all handshakes share: "derived" of an early secret without a PSK. */
static void make_early(struct hbk_key_schedule *schedule)
{
    static const uint8_t zeros[HBK_HASH_BYTES_MAX];
    struct secret early, derived;

    hbk_hkdf_extract(schedule->hash, hbk_slice_of(NULL, 0), hbk_slice_of(zeros, schedule->size),
                     early.bytes);
    secret_ready(schedule, &early);
    hbk_hash_once(schedule->hash, hbk_slice_of(NULL, 0), schedule->nothing);
    derive(schedule, &early, "derived", schedule->nothing, &derived);
    schedule->derived_early = derived.keyed;
    memcpy(schedule->derived_early_bytes, derived.bytes, schedule->size);
}

struct hbk_key_schedule *hbk_key_schedule_new(enum hbk_hash hash)
{
    struct hbk_key_schedule *schedule = aligned_alloc(64, (sizeof(*schedule) + 63) / 64 * 64);

    if (schedule == NULL) {
        return NULL;
    }
    memset(schedule, 0, sizeof(*schedule));
    schedule->hash = hash;
    schedule->aead = hash == HBK_HASH_SHA256 ? HBK_AEAD_AES_128_GCM : HBK_AEAD_AES_256_GCM;
    schedule->size = hbk_hash_bytes(hash);
    if (!fetch(schedule)) {
        hbk_key_schedule_free(schedule);
        return NULL;
    }
    make_early(schedule);
    /* Each once, so that each has something to agree with. */
    if (!run(schedule, true) || !hbk_key_schedule_run(schedule, false)) {
        hbk_key_schedule_free(schedule);
        return NULL;
    }
    return schedule;
}

void hbk_key_schedule_free(struct hbk_key_schedule *schedule)
{
    if (schedule != NULL) {
        EVP_MD_CTX_free(schedule->md_context);
        EVP_MD_CTX_free(schedule->md_copy);
        EVP_MD_free(schedule->md);
        EVP_KDF_CTX_free(schedule->kdf_context);
        EVP_KDF_free(schedule->kdf);
        EVP_MAC_CTX_free(schedule->mac_context);
        EVP_MAC_free(schedule->mac);
        free(schedule);
    }
}
