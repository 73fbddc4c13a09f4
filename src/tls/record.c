#include "tls/record.h"

#include "base/assert.h"
#include "base/secret.h"
#include "tls/schedule.h"
#include "tls/session.h"

enum { TLS_1_2_MAJOR = 3, TLS_1_2_MINOR = 3 };

/* The expanded key; NULL when memory is short. */
static struct hbk_aead_key *expanded(struct hbk_tls_record_direction *direction)
{
    struct hbk_expanded_key *place =
        hbk_expanded_keys_find(direction->keys, direction->place, direction);
    if (HBK_UNLIKELY(place == NULL)) {
        place = hbk_expanded_keys_take(direction->keys, direction,
                                       hbk_cipher_suite_aead(direction->suite), direction->key);
        if (place == NULL) {
            return NULL;
        }
        direction->place = place->number;
    }
    return &place->aead;
}

static void drop_key(struct hbk_tls_record_direction *direction)
{
    if (direction->keys != NULL) { /* else it was never begun */
        hbk_expanded_keys_drop(direction->keys, direction->place, direction);
    }
    direction->place = HBK_EXPANDED_KEY_NONE;
}

/* RFC 8446, 7.3. */
static void derive_keys(struct hbk_tls_record_direction *direction)
{
    enum hbk_cipher_suite suite = direction->suite;
    size_t key_bytes = hbk_aead_key_bytes(hbk_cipher_suite_aead(suite));
    drop_key(direction);
    direction->sequence = 0;
    hbk_tls_traffic_keys(suite, direction->secret, hbk_span_of(direction->key, key_bytes),
                         hbk_span_of(direction->iv, sizeof direction->iv));
}

void hbk_tls_record_direction_init(struct hbk_tls_record_direction *direction,
                                   struct hbk_expanded_keys *keys, enum hbk_cipher_suite suite,
                                   struct hbk_slice secret)
{
    HBK_ASSERT(secret.size == hbk_cipher_suite_hash_bytes(suite));
    *direction = (struct hbk_tls_record_direction){
        .keys = keys, .suite = suite, .place = HBK_EXPANDED_KEY_NONE};
    memcpy(direction->secret, secret.bytes, secret.size);
    derive_keys(direction);
}

void hbk_tls_record_direction_fini(struct hbk_tls_record_direction *direction)
{
    drop_key(direction);
    hbk_secret_wipe(direction, sizeof *direction);
}

void hbk_tls_record_direction_update(struct hbk_tls_record_direction *direction)
{
    uint8_t next[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    size_t size = hbk_cipher_suite_hash_bytes(direction->suite);
    hbk_tls_expand_label(direction->suite, direction->secret, HBK_SLICE("traffic upd"),
                         hbk_slice_of(NULL, 0), hbk_span_of(next, size));
    memcpy(direction->secret, next, size);
    hbk_secret_wipe(next, sizeof next);
    derive_keys(direction);
}

bool hbk_tls_record_seal(struct hbk_tls_record_direction *direction, enum hbk_tls_record_type type,
                         uint8_t *out, size_t plain_bytes)
{
    HBK_ASSERT(plain_bytes <= HBK_TLS_PLAIN_BYTES_MAX);
    struct hbk_aead_key *key = expanded(direction);
    if (key == NULL) {
        return false;
    }
    size_t body_bytes = plain_bytes + 1 + HBK_AEAD_TAG_BYTES;
    uint8_t *text = out + HBK_TLS_RECORD_HEADER_BYTES;
    text[plain_bytes] = (uint8_t)type;

    /* The cipher gets a header of its own, since `out` has no room for one store of 16 bytes. */
    _Alignas(HBK_AEAD_ROOM_BYTES) uint8_t header[HBK_AEAD_ROOM_BYTES];
    hbk_aead_store(header,
                   HBK_TLS_RECORD_APPLICATION_DATA | TLS_1_2_MAJOR << 8 | TLS_1_2_MINOR << 16 |
                       (uint64_t)__builtin_bswap16((uint16_t)body_bytes) << 24,
                   0);
    memcpy(out, header, HBK_TLS_RECORD_HEADER_BYTES);
    struct hbk_aead_record record = {
        .header = hbk_slice_of(header, HBK_TLS_RECORD_HEADER_BYTES),
        .bytes = hbk_span_of(text, plain_bytes + 1),
        .tag = text + plain_bytes + 1,
    };
    hbk_aead_set_nonce(&record, direction->iv, direction->sequence);
    if (!hbk_aead_seal(key, &record, 1)) {
        return false;
    }
    direction->sequence++;
    return true;
}

size_t hbk_tls_record_size(struct hbk_slice input)
{
    if (input.size < HBK_TLS_RECORD_HEADER_BYTES) {
        return 0;
    }
    return HBK_TLS_RECORD_HEADER_BYTES + ((size_t)input.bytes[3] << 8 | input.bytes[4]);
}

enum hbk_tls_record_answer hbk_tls_record_open(struct hbk_tls_record_direction *direction,
                                               struct hbk_span input,
                                               struct hbk_tls_record *out_record)
{
    size_t record_bytes = hbk_tls_record_size(hbk_slice_of(input.bytes, input.size));
    if (record_bytes == 0) {
        return HBK_TLS_RECORD_PARTIAL;
    }
    /* The header is judged before its length is believed. The version in it is not looked at (5.2
     * names it legacy_record_version); the tag covers it. */
    if (input.bytes[0] != HBK_TLS_RECORD_APPLICATION_DATA) {
        return HBK_TLS_RECORD_UNEXPECTED;
    }
    if (record_bytes > HBK_TLS_RECORD_BYTES_MAX) {
        return HBK_TLS_RECORD_TOO_LONG;
    }
    if (record_bytes < HBK_TLS_RECORD_EXTRA_BYTES) {
        return HBK_TLS_RECORD_BAD;
    }
    if (input.size < record_bytes) {
        return HBK_TLS_RECORD_PARTIAL;
    }
    struct hbk_aead_key *key = expanded(direction);
    if (key == NULL) {
        return HBK_TLS_RECORD_NO_MEMORY;
    }
    uint8_t *text = input.bytes + HBK_TLS_RECORD_HEADER_BYTES;
    size_t size = record_bytes - HBK_TLS_RECORD_HEADER_BYTES - HBK_AEAD_TAG_BYTES;
    struct hbk_aead_record sealed = {
        .header = hbk_slice_of(input.bytes, HBK_TLS_RECORD_HEADER_BYTES),
        .bytes = hbk_span_of(text, size),
        .tag = text + size,
    };
    hbk_aead_set_nonce(&sealed, direction->iv, direction->sequence);
    if (hbk_aead_open(key, &sealed, 1) != 1) {
        return HBK_TLS_RECORD_BAD;
    }
    direction->sequence++;

    /* 5.2, 5.4: the type is the last byte that is not zero; what follows it is padding. */
    if (size > HBK_TLS_PLAIN_BYTES_MAX + 1) {
        return HBK_TLS_RECORD_TOO_LONG;
    }
    while (size > 0 && text[size - 1] == 0) {
        size--;
    }
    if (size == 0) {
        return HBK_TLS_RECORD_UNEXPECTED;
    }
    *out_record = (struct hbk_tls_record){
        .type = text[size - 1],
        .plain = hbk_span_of(text, size - 1),
        .record_bytes = record_bytes,
    };
    return HBK_TLS_RECORD_OPENED;
}
