/*
 * Authenticated encryption of TLS records (RFC 8446, 5.2): AES-GCM and ChaCha20-Poly1305, in place,
 * several records per call.
 *
 * AES-GCM goes to libipsec-mb where it is built in and the processor has wide AES instructions;
 * everything else to libcrypto. Both give the same bytes.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"
#include "base/status.h"

enum {
    HBK_AEAD_NONCE_BYTES = 12,
    HBK_AEAD_ROOM_BYTES = 16, /* see hbk_aead_store */
    HBK_AEAD_TAG_BYTES = 16,
    HBK_AEAD_KEY_BYTES_MAX = 32,
    HBK_AEAD_RECORD_BYTES_MAX = 1 << 24, /* far above TLS, far below what a counter allows */
};

enum hbk_aead {
    HBK_AEAD_AES_128_GCM,
    HBK_AEAD_AES_256_GCM,
    HBK_AEAD_CHACHA20_POLY1305,
};

enum hbk_aead_backend {
    HBK_AEAD_LIBCRYPTO,
    HBK_AEAD_IPSEC_MB,        /* the widest instructions that the processor has */
    HBK_AEAD_IPSEC_MB_NARROW, /* without VAES: to measure what it brings */
};

/* 16 or 32. */
size_t hbk_aead_key_bytes(enum hbk_aead aead);

/* Whether this program, on this processor, can run the algorithm so; HBK_CPU=scalar rules out all
 * but libcrypto. */
bool hbk_aead_is_available(enum hbk_aead aead, enum hbk_aead_backend backend);

/* The fastest backend that is available. */
enum hbk_aead_backend hbk_aead_best_backend(enum hbk_aead aead);

/*
 * A key with its schedule; about 1.1 KiB, the caller's storage. One thread at a time. Expanding one
 * takes 0.1 us with libipsec-mb, so an idle connection may keep the bytes of its key instead.
 */
struct hbk_aead_key {
    _Alignas(64) uint8_t schedule[1024]; /* libipsec-mb's */
    EVP_CIPHER_CTX *seal_context;        /* libcrypto's, NULL with libipsec-mb */
    EVP_CIPHER_CTX *open_context;
    enum hbk_aead aead;
    enum hbk_aead_backend backend;
};

/* Fails: HBK_UNSUPPORTED when the backend is not available, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_aead_key_init(struct hbk_aead_key *key, enum hbk_aead aead,
                                          enum hbk_aead_backend backend, const uint8_t *secret_key);

/* Wipes. */
void hbk_aead_key_fini(struct hbk_aead_key *key);

/* One record: `bytes` are encrypted or decrypted where they lie. */
struct hbk_aead_record {
    _Alignas(HBK_AEAD_ROOM_BYTES) uint8_t nonce[HBK_AEAD_ROOM_BYTES]; /* 12 bytes count */
    struct hbk_slice header; /* authenticated, not encrypted */
    struct hbk_span bytes;   /* at most HBK_AEAD_RECORD_BYTES_MAX; may be empty */
    uint8_t *tag;            /* HBK_AEAD_TAG_BYTES, usually right behind `bytes` */
};

/*
 * Writes 16 bytes, the lower half first, by one store. libipsec-mb reads a nonce, and a header, by
 * one load of 16 bytes. If several stores have just written what a load wants, the processor cannot
 * hand it on and the load waits until they have reached the cache: 10 ns, a fifth of a short
 * record.
 */
static inline void hbk_aead_store(uint8_t out[static HBK_AEAD_ROOM_BYTES], uint64_t low,
                                  uint64_t high)
{
    typedef uint64_t pair __attribute__((vector_size(HBK_AEAD_ROOM_BYTES)));
    const pair both = {low, high};
    memcpy(out, &both, sizeof(both));
}

/* The nonce of a record of TLS 1.3 (RFC 8446, 5.3): the record's number in network order, padded in
 * front, xored with the IV. */
static inline void hbk_aead_set_nonce(struct hbk_aead_record *record,
                                      const uint8_t iv[static HBK_AEAD_NONCE_BYTES],
                                      uint64_t sequence)
{
    const uint64_t number = __builtin_bswap64(sequence);
    uint64_t front;
    uint32_t back;
    memcpy(&front, iv, sizeof(front));
    memcpy(&back, iv + sizeof(front), sizeof(back));
    hbk_aead_store(record->nonce, front ^ number << 32, back ^ number >> 32);
}

/* Encrypts and writes the tags. False when libcrypto failed; nothing may be sent then. */
HBK_MUST_USE bool hbk_aead_seal(struct hbk_aead_key *key, struct hbk_aead_record *records,
                                size_t count);

/*
 * Checks the tags and decrypts, up to the first record that is not authentic, whose bytes are
 * zeroed. Returns the number of good records. The time depends on sizes, not on where a tag
 * differs.
 */
HBK_MUST_USE size_t hbk_aead_open(struct hbk_aead_key *key, struct hbk_aead_record *records,
                                  size_t count);
