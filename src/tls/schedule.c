#include "tls/schedule.h"

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/hkdf.h"

enum {
    INFO_BYTES_MAX = 2 + 1 + 6 + HBK_TLS_LABEL_BYTES_MAX + 1 + 255,
};

/* ---- the transcript ---- */

void hbk_tls_transcript_init(struct hbk_tls_transcript *transcript, enum hbk_cipher_suite suite)
{
    hbk_hash_init(&transcript->state, hbk_cipher_suite_hash(suite));
}

void hbk_tls_transcript_add(struct hbk_tls_transcript *transcript, struct hbk_slice message)
{
    hbk_hash_update(&transcript->state, message);
}

size_t hbk_tls_transcript_hash(const struct hbk_tls_transcript *transcript,
                               uint8_t out_hash[HBK_TLS_HASH_BYTES_MAX])
{
    hbk_hash_digest(&transcript->state, out_hash);
    return hbk_hash_bytes(transcript->state.hash);
}

void hbk_tls_transcript_retry(struct hbk_tls_transcript *transcript)
{
    enum { MESSAGE_HASH = 254 }; /* RFC 8446, B.3 */
    uint8_t message[4 + HBK_TLS_HASH_BYTES_MAX] = {MESSAGE_HASH};
    size_t size = hbk_tls_transcript_hash(transcript, message + 4);
    message[3] = (uint8_t)size;
    hbk_hash_init(&transcript->state, transcript->state.hash);
    hbk_hash_update(&transcript->state, hbk_slice_of(message, 4 + size));
}

/* ---- HKDF-Expand-Label ---- */

/* HkdfLabel (7.1). Returns its size. */
static size_t write_info(size_t out_bytes, struct hbk_slice label, struct hbk_slice context,
                         uint8_t info[static INFO_BYTES_MAX])
{
    static const uint8_t prefix[] = {'t', 'l', 's', '1', '3', ' '};
    size_t used = 0;
    HBK_ASSERT(label.size <= HBK_TLS_LABEL_BYTES_MAX && context.size <= 255);
    info[used++] = (uint8_t)(out_bytes >> 8);
    info[used++] = (uint8_t)out_bytes;
    info[used++] = (uint8_t)(sizeof prefix + label.size);
    memcpy(info + used, prefix, sizeof prefix);
    used += sizeof prefix;
    if (label.size > 0) {
        memcpy(info + used, label.bytes, label.size);
    }
    used += label.size;
    info[used++] = (uint8_t)context.size;
    if (context.size > 0) {
        memcpy(info + used, context.bytes, context.size);
    }
    return used + context.size;
}

static void expand(const struct hbk_hmac *secret, struct hbk_slice label, struct hbk_slice context,
                   struct hbk_span out)
{
    uint8_t info[INFO_BYTES_MAX];
    size_t size = write_info(out.size, label, context, info);
    bool is_done = hbk_hkdf_expand_keyed(secret, hbk_slice_of(info, size), out);
    HBK_ASSERT(is_done);
}

static void key_of(struct hbk_hmac *hmac, enum hbk_cipher_suite suite, const uint8_t *secret)
{
    hbk_hmac_init(hmac, hbk_cipher_suite_hash(suite),
                  hbk_slice_of(secret, hbk_cipher_suite_hash_bytes(suite)));
}

void hbk_tls_expand_label(enum hbk_cipher_suite suite, const uint8_t *secret,
                          struct hbk_slice label, struct hbk_slice context, struct hbk_span out)
{
    struct hbk_hmac hmac;
    key_of(&hmac, suite, secret);
    expand(&hmac, label, context, out);
    hbk_secret_wipe(&hmac, sizeof hmac);
}

void hbk_tls_traffic_keys(enum hbk_cipher_suite suite, const uint8_t *traffic_secret,
                          struct hbk_span out_key, struct hbk_span out_iv)
{
    struct hbk_hmac hmac;
    struct hbk_slice none = hbk_slice_of(NULL, 0);
    key_of(&hmac, suite, traffic_secret);
    expand(&hmac, HBK_SLICE("key"), none, out_key);
    expand(&hmac, HBK_SLICE("iv"), none, out_iv);
    hbk_secret_wipe(&hmac, sizeof hmac);
}

/* ---- the secrets ---- */

static void extract(struct hbk_tls_schedule *schedule, struct hbk_slice salt,
                    struct hbk_slice secret)
{
    static const uint8_t zeros[HBK_TLS_HASH_BYTES_MAX];
    uint8_t key[HBK_TLS_HASH_BYTES_MAX];
    size_t size = hbk_hash_bytes(schedule->hash);
    hbk_hkdf_extract(schedule->hash, salt, secret.size > 0 ? secret : hbk_slice_of(zeros, size),
                     key);
    hbk_hmac_init(&schedule->secret, schedule->hash, hbk_slice_of(key, size));
    hbk_secret_wipe(key, sizeof key);
}

void hbk_tls_schedule_init(struct hbk_tls_schedule *schedule, enum hbk_cipher_suite suite,
                           struct hbk_slice psk)
{
    schedule->hash = hbk_cipher_suite_hash(suite);
    extract(schedule, hbk_slice_of(NULL, 0), psk);
}

/* The hash of no messages. */
static size_t hash_nothing(enum hbk_hash hash, uint8_t out_hash[static HBK_TLS_HASH_BYTES_MAX])
{
    hbk_hash_once(hash, hbk_slice_of(NULL, 0), out_hash);
    return hbk_hash_bytes(hash);
}

void hbk_tls_schedule_next(struct hbk_tls_schedule *schedule, struct hbk_slice shared_secret)
{
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    uint8_t salt[HBK_TLS_HASH_BYTES_MAX];
    size_t size = hash_nothing(schedule->hash, hash);
    hbk_tls_schedule_derive(schedule, "derived", hash, salt);
    extract(schedule, hbk_slice_of(salt, size), shared_secret);
    hbk_secret_wipe(salt, sizeof salt);
}

void hbk_tls_schedule_derive(const struct hbk_tls_schedule *schedule, const char *label,
                             const uint8_t *transcript_hash, uint8_t *out_secret)
{
    size_t size = hbk_hash_bytes(schedule->hash);
    expand(&schedule->secret, hbk_slice_text(label), hbk_slice_of(transcript_hash, size),
           hbk_span_of(out_secret, size));
}

void hbk_tls_schedule_binder_key(const struct hbk_tls_schedule *schedule, uint8_t *out_key)
{
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    (void)hash_nothing(schedule->hash, hash);
    hbk_tls_schedule_derive(schedule, "res binder", hash, out_key);
}

void hbk_tls_finished(enum hbk_cipher_suite suite, const uint8_t *secret,
                      const uint8_t *transcript_hash, uint8_t *out_verify_data)
{
    struct hbk_hmac hmac;
    uint8_t key[HBK_TLS_HASH_BYTES_MAX];
    size_t size = hbk_cipher_suite_hash_bytes(suite);
    hbk_tls_expand_label(suite, secret, HBK_SLICE("finished"), hbk_slice_of(NULL, 0),
                         hbk_span_of(key, size));
    key_of(&hmac, suite, key);
    struct hbk_slice message = hbk_slice_of(transcript_hash, size);
    hbk_hmac_code(&hmac, &message, 1, out_verify_data);
    hbk_secret_wipe(key, sizeof key);
    hbk_secret_wipe(&hmac, sizeof hmac);
}

void hbk_tls_resumption_psk(enum hbk_cipher_suite suite, const uint8_t *resumption_secret,
                            struct hbk_slice nonce, uint8_t *out_psk)
{
    hbk_tls_expand_label(suite, resumption_secret, HBK_SLICE("resumption"), nonce,
                         hbk_span_of(out_psk, hbk_cipher_suite_hash_bytes(suite)));
}
