/*
 * The record layer of TLS 1.3 (RFC 8446, section 5) behind the handshake: one direction of one
 * connection, its traffic secret, keys and record count. In place; the expanded key lies in a place
 * that the worker's connections share. Secret. One thread.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "tls/expanded.h"
#include "tls/parameter.h"

enum {
    HBK_TLS_RECORD_HEADER_BYTES = 5,
    HBK_TLS_RECORD_SECRET_BYTES_MAX = 48, /* SHA-384 */

    /* A direction changes its keys after so many records. RFC 8446, 5.5 allows 2^24.5 full ones
     * under one AES-GCM key, ChaCha20-Poly1305 more. */
    HBK_TLS_RECORD_SEALED_MAX = 1 << 23,
};

/* RFC 8446, 5.1. */
enum hbk_tls_record_type {
    HBK_TLS_RECORD_CHANGE_CIPHER_SPEC = 20,
    HBK_TLS_RECORD_ALERT = 21,
    HBK_TLS_RECORD_HANDSHAKE = 22,
    HBK_TLS_RECORD_APPLICATION_DATA = 23,
};

struct hbk_tls_record_direction {
    struct hbk_expanded_keys *keys; /* borrowed */
    uint64_t sequence;              /* of the next record under this key */
    enum hbk_cipher_suite suite : 16;
    uint16_t place; /* in `keys`, taken last and maybe lost since */
    uint8_t iv[HBK_AEAD_NONCE_BYTES];
    uint8_t key[HBK_AEAD_KEY_BYTES_MAX];
    uint8_t secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
};

/* Starts with a traffic secret of 32 or 48 bytes, as the suite's hash has; `keys` outlives it. */
void hbk_tls_record_direction_init(struct hbk_tls_record_direction *direction,
                                   struct hbk_expanded_keys *keys, enum hbk_cipher_suite suite,
                                   struct hbk_slice secret);
void hbk_tls_record_direction_fini(struct hbk_tls_record_direction *direction);

/* Goes on with the next traffic secret and record 0 (RFC 8446, 7.2). */
void hbk_tls_record_direction_update(struct hbk_tls_record_direction *direction);

/*
 * Seals one record of `type` around the `plain_bytes` bytes that lie at out + header; the record
 * takes plain_bytes + HBK_TLS_RECORD_EXTRA_BYTES there. False when memory is short.
 */
HBK_MUST_USE bool hbk_tls_record_seal(struct hbk_tls_record_direction *direction,
                                      enum hbk_tls_record_type type, uint8_t *out,
                                      size_t plain_bytes);

/* What was found at the front of the input. */
enum hbk_tls_record_answer {
    HBK_TLS_RECORD_OPENED,
    HBK_TLS_RECORD_PARTIAL,    /* not a whole record yet */
    HBK_TLS_RECORD_UNEXPECTED, /* not an encrypted record, or nothing but padding (5.1, 5.2, 5.4) */
    HBK_TLS_RECORD_TOO_LONG,   /* record_overflow (5.2) */
    HBK_TLS_RECORD_BAD,        /* bad_record_mac: changed on the way, or not from the peer */
    HBK_TLS_RECORD_NO_MEMORY,
};

struct hbk_tls_record {
    uint8_t type;
    struct hbk_span plain; /* inside the input */
    size_t record_bytes;   /* that it took of the input */
};

/* Whether a record that was opened is longer than a record_size_limit that the peer was told (RFC
 * 8449, 4: text, type and padding count); 0: it was told none. */
static inline bool hbk_tls_record_is_above(const struct hbk_tls_record *record,
                                           uint16_t record_size_limit)
{
    return record_size_limit > 0 &&
           record->record_bytes - HBK_TLS_RECORD_HEADER_BYTES - HBK_AEAD_TAG_BYTES >
               record_size_limit;
}

/* The bytes that the record at the front of `input` takes; 0 while its header is not all there. */
size_t hbk_tls_record_size(struct hbk_slice input);

HBK_MUST_USE enum hbk_tls_record_answer
hbk_tls_record_open(struct hbk_tls_record_direction *direction, struct hbk_span input,
                    struct hbk_tls_record *out_record);
