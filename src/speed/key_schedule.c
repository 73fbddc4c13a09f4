/*
 *     early --derived--> extract(agreement) --> handshake --derived--> extract(0) --> master
 *                                                | c hs, s hs                          | c ap, s ap
 *                                                v                                     | exp, res
 *                                         key, iv, finished                            v
 *                                                                                  key, iv
 *
 * Ours is what the native engine computes with (tls/schedule.h); libcrypto's is its general
 * interface, with the first "derived", which is the same for all handshakes without a PSK, made
 * once. The script is one for both.
 */
#include "speed/key_schedule.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"
#include "tls/schedule.h"

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
    enum hbk_cipher_suite suite;
    enum hbk_hash hash;
    enum hbk_aead aead;
    size_t size; /* of the hash and of secrets */
    bool by_libcrypto;
    uint8_t nothing[HBK_HASH_BYTES_MAX]; /* the digest of no bytes, the context of "derived" */

    /* The engine's. */
    struct hbk_tls_transcript transcript;
    struct hbk_tls_schedule stage;

    /* libcrypto's. */
    EVP_MD *md;
    EVP_MD_CTX *md_context, *md_copy;
    EVP_KDF *kdf;
    EVP_KDF_CTX *kdf_context;
    EVP_MAC *mac;
    EVP_MAC_CTX *mac_context;
    uint8_t derived_early[HBK_HASH_BYTES_MAX];
    uint8_t stage_secret[HBK_HASH_BYTES_MAX]; /* handshake, then master */

    /* What the two ways must agree on: the resumption secret. */
    uint8_t results[2][HBK_HASH_BYTES_MAX];

    uint8_t messages[RECORD_BYTES_MAX]; /* zeros */
    uint8_t sealed[RECORD_BYTES_MAX];   /* the client's flight, as it arrives */
    size_t sealed_bytes;
    uint8_t record[RECORD_BYTES_MAX];
    struct hbk_aead_key keys[4]; /* handshake and application, client's and server's */
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
        hbk_tls_transcript_add(&schedule->transcript, hbk_slice_of(schedule->messages, size));
    }
}

static void heard(struct hbk_key_schedule *schedule, uint8_t *out_digest)
{
    if (schedule->by_libcrypto) {
        HBK_ASSERT(EVP_MD_CTX_copy_ex(schedule->md_copy, schedule->md_context) == 1 &&
                   EVP_DigestFinal_ex(schedule->md_copy, out_digest, NULL) == 1);
    } else {
        (void)hbk_tls_transcript_hash(&schedule->transcript, out_digest);
    }
}

/* HKDF-Expand-Label (RFC 8446, 7.1) by libcrypto. */
static void expand_label(struct hbk_key_schedule *schedule, const uint8_t *secret,
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
    libcrypto_kdf(schedule, EVP_KDF_HKDF_MODE_EXPAND_ONLY, hbk_slice_of(secret, schedule->size),
                  hbk_slice_of(info, used + context.size), out);
}

static void code(struct hbk_key_schedule *schedule, const uint8_t *key, const uint8_t *digest,
                 uint8_t *out_code)
{
    size_t size;
    HBK_ASSERT(EVP_MAC_init(schedule->mac_context, key, schedule->size, NULL) == 1 &&
               EVP_MAC_update(schedule->mac_context, digest, schedule->size) == 1 &&
               EVP_MAC_final(schedule->mac_context, out_code, &size, schedule->size) == 1);
}

/* Derive-Secret of the stage. */
static void derive(struct hbk_key_schedule *schedule, const char *label, const uint8_t *digest,
                   uint8_t *out_secret)
{
    if (schedule->by_libcrypto) {
        expand_label(schedule, schedule->stage_secret, label, hbk_slice_of(digest, schedule->size),
                     hbk_span_of(out_secret, schedule->size));
    } else {
        hbk_tls_schedule_derive(&schedule->stage, label, digest, out_secret);
    }
}

/* To the handshake's stage with the agreement, to the master's with nothing. */
static void next_stage(struct hbk_key_schedule *schedule, struct hbk_slice agreement)
{
    static const uint8_t zeros[HBK_HASH_BYTES_MAX];
    const bool is_first = agreement.size > 0;
    uint8_t salt[HBK_HASH_BYTES_MAX];

    if (!schedule->by_libcrypto) {
        if (is_first) {
            hbk_tls_schedule_init(&schedule->stage, schedule->suite, hbk_slice_of(NULL, 0));
        }
        hbk_tls_schedule_next(&schedule->stage, agreement);
        return;
    }
    if (is_first) {
        memcpy(salt, schedule->derived_early, schedule->size);
    } else {
        derive(schedule, "derived", schedule->nothing, salt);
    }
    libcrypto_kdf(schedule, EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
                  is_first ? agreement : hbk_slice_of(zeros, schedule->size),
                  hbk_slice_of(salt, schedule->size),
                  hbk_span_of(schedule->stage_secret, schedule->size));
}

/* The key and the nonce of one direction (7.3). */
static void traffic_key(struct hbk_key_schedule *schedule, const uint8_t *secret,
                        struct hbk_aead_key *key)
{
    const enum hbk_aead_backend backend =
        schedule->by_libcrypto ? HBK_AEAD_LIBCRYPTO : hbk_aead_best_backend(schedule->aead);
    uint8_t bytes[HBK_AEAD_KEY_BYTES_MAX], nonce[HBK_AEAD_NONCE_BYTES];
    const struct hbk_span key_bytes = hbk_span_of(bytes, hbk_aead_key_bytes(schedule->aead));
    const struct hbk_span iv = hbk_span_of(nonce, sizeof(nonce));

    if (schedule->by_libcrypto) {
        expand_label(schedule, secret, "key", hbk_slice_of(NULL, 0), key_bytes);
        expand_label(schedule, secret, "iv", hbk_slice_of(NULL, 0), iv);
    } else {
        hbk_tls_traffic_keys(schedule->suite, secret, key_bytes, iv);
    }
    HBK_ASSERT(hbk_aead_key_init(key, schedule->aead, backend, bytes) == HBK_OK);
    hbk_secret_wipe(bytes, sizeof(bytes));
}

static void finished(struct hbk_key_schedule *schedule, const uint8_t *secret, uint8_t *out_code)
{
    uint8_t key[HBK_HASH_BYTES_MAX], digest[HBK_HASH_BYTES_MAX];

    heard(schedule, digest);
    if (!schedule->by_libcrypto) {
        hbk_tls_finished(schedule->suite, secret, digest, out_code);
        return;
    }
    expand_label(schedule, secret, "finished", hbk_slice_of(NULL, 0),
                 hbk_span_of(key, schedule->size));
    code(schedule, key, digest, out_code);
    hbk_secret_wipe(key, sizeof(key));
}

/* ---- the script ---- */

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
static void server_flight(struct hbk_key_schedule *schedule, uint8_t *out_client)
{
    static const uint8_t agreement[32] = {1, 2, 3};
    uint8_t server[HBK_HASH_BYTES_MAX];
    uint8_t digest[HBK_HASH_BYTES_MAX], mac[HBK_HASH_BYTES_MAX];

    hear(schedule, CLIENT_HELLO_BYTES);
    hear(schedule, SERVER_HELLO_BYTES);
    heard(schedule, digest);
    next_stage(schedule, hbk_slice_of(agreement, sizeof(agreement)));
    derive(schedule, "c hs traffic", digest, out_client);
    derive(schedule, "s hs traffic", digest, server);
    traffic_key(schedule, out_client, &schedule->keys[0]);
    traffic_key(schedule, server, &schedule->keys[1]);

    hear(schedule, EXTENSIONS_AND_REQUEST_BYTES);
    hear(schedule, CERTIFICATE_BYTES);
    heard(schedule, digest); /* for CertificateVerify */
    hear(schedule, VERIFY_BYTES);
    finished(schedule, server, mac);
    hear(schedule, FINISHED_BYTES);
    struct hbk_aead_record record =
        record_of(schedule->record, EXTENSIONS_AND_REQUEST_BYTES + CERTIFICATE_BYTES +
                                        VERIFY_BYTES + FINISHED_BYTES + 1);
    HBK_ASSERT(hbk_aead_seal(&schedule->keys[1], &record, 1));
    hbk_secret_wipe(server, sizeof(server));
}

/* The master secret's keys, and the client's flight. */
static bool client_flight(struct hbk_key_schedule *schedule, const uint8_t *client)
{
    uint8_t made[2][HBK_HASH_BYTES_MAX];
    uint8_t digest[HBK_HASH_BYTES_MAX], mac[HBK_HASH_BYTES_MAX], exporter[HBK_HASH_BYTES_MAX];
    bool is_authentic;

    heard(schedule, digest);
    next_stage(schedule, hbk_slice_of(NULL, 0));
    derive(schedule, "c ap traffic", digest, made[0]);
    derive(schedule, "s ap traffic", digest, made[1]);
    derive(schedule, "exp master", digest, exporter);
    traffic_key(schedule, made[0], &schedule->keys[2]);
    traffic_key(schedule, made[1], &schedule->keys[3]);

    is_authentic = open_flight(schedule, &schedule->keys[0]);
    hear(schedule, CERTIFICATE_BYTES);
    heard(schedule, digest); /* for CertificateVerify */
    hear(schedule, VERIFY_BYTES);
    finished(schedule, client, mac);
    hear(schedule, FINISHED_BYTES);
    heard(schedule, digest);
    derive(schedule, "res master", digest, schedule->results[schedule->by_libcrypto]);
    hbk_secret_wipe(made, sizeof(made));
    return is_authentic;
}

static bool run(struct hbk_key_schedule *schedule, bool by_libcrypto)
{
    uint8_t client[HBK_HASH_BYTES_MAX];

    schedule->by_libcrypto = by_libcrypto;
    if (by_libcrypto) {
        HBK_ASSERT(EVP_DigestInit_ex2(schedule->md_context, schedule->md, NULL) == 1);
    } else {
        hbk_tls_transcript_init(&schedule->transcript, schedule->suite);
    }
    server_flight(schedule, client);
    bool is_authentic = client_flight(schedule, client);
    for (int i = 0; i < 4; i++) {
        hbk_aead_key_fini(&schedule->keys[i]);
    }
    hbk_secret_wipe(client, sizeof(client));
    hbk_secret_wipe(&schedule->stage, sizeof(schedule->stage));
    hbk_secret_wipe(schedule->stage_secret, sizeof(schedule->stage_secret));
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
    uint8_t early[HBK_HASH_BYTES_MAX];

    hbk_hkdf_extract(schedule->hash, hbk_slice_of(NULL, 0), hbk_slice_of(zeros, schedule->size),
                     early);
    hbk_hash_once(schedule->hash, hbk_slice_of(NULL, 0), schedule->nothing);
    expand_label(schedule, early, "derived", hbk_slice_of(schedule->nothing, schedule->size),
                 hbk_span_of(schedule->derived_early, schedule->size));
}

struct hbk_key_schedule *hbk_key_schedule_new(enum hbk_hash hash)
{
    struct hbk_key_schedule *schedule = aligned_alloc(64, (sizeof(*schedule) + 63) / 64 * 64);

    if (schedule == NULL) {
        return NULL;
    }
    memset(schedule, 0, sizeof(*schedule));
    schedule->hash = hash;
    schedule->suite =
        hash == HBK_HASH_SHA256 ? HBK_SUITE_AES_128_GCM_SHA256 : HBK_SUITE_AES_256_GCM_SHA384;
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
