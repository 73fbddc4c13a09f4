/*
 * The key schedule of TLS 1.3 (RFC 8446, 7.1) and the hash of what was said (4.4.1). Secret; the
 * owner wipes it. One thread at a time; no allocation.
 *
 *     early --(agreement)--> handshake --> master
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "tls/parameter.h"

enum {
    HBK_TLS_HASH_BYTES_MAX = 48,
    HBK_TLS_LABEL_BYTES_MAX = 249, /* 7.1: with its prefix at most 255 */
};

/* ---- the transcript ---- */

struct hbk_tls_transcript {
    struct hbk_hash_state state;
};

void hbk_tls_transcript_init(struct hbk_tls_transcript *transcript, enum hbk_cipher_suite suite);
void hbk_tls_transcript_add(struct hbk_tls_transcript *transcript, struct hbk_slice message);

/* The hash of all messages so far; more may follow. Returns its size. */
size_t hbk_tls_transcript_hash(const struct hbk_tls_transcript *transcript,
                               uint8_t out_hash[HBK_TLS_HASH_BYTES_MAX]);

/* Begins again with a message that stands for the first ClientHello, which was all so far (4.4.1).
 */
void hbk_tls_transcript_retry(struct hbk_tls_transcript *transcript);

/* ---- the secrets ---- */

struct hbk_tls_schedule {
    enum hbk_hash hash;
    struct hbk_hmac secret; /* early, handshake or master, as the key of what is derived from it */
};

/* The early secret, from a PSK or, when empty, from none. */
void hbk_tls_schedule_init(struct hbk_tls_schedule *schedule, enum hbk_cipher_suite suite,
                           struct hbk_slice psk);

/* On to the next stage: with the shared secret to the handshake's, with nothing to the master. */
void hbk_tls_schedule_next(struct hbk_tls_schedule *schedule, struct hbk_slice shared_secret);

/*
 * Derive-Secret of this stage: "c hs traffic" and the like; `transcript_hash` as the suite has.
 * Writes as many bytes as the hash has.
 */
void hbk_tls_schedule_derive(const struct hbk_tls_schedule *schedule, const char *label,
                             const uint8_t *transcript_hash, uint8_t *out_secret);

/* HKDF-Expand-Label (7.1). `secret` is as long as the suite's hash, a label has at most
 * HBK_TLS_LABEL_BYTES_MAX bytes, a context at most 255, the output at most 255 hashes. */
void hbk_tls_expand_label(enum hbk_cipher_suite suite, const uint8_t *secret,
                          struct hbk_slice label, struct hbk_slice context, struct hbk_span out);

/* The key and the IV of one direction (7.3). */
void hbk_tls_traffic_keys(enum hbk_cipher_suite suite, const uint8_t *traffic_secret,
                          struct hbk_span out_key, struct hbk_span out_iv);

/* The verify_data of a Finished under a traffic secret (4.4.4), and of a binder under the binder
 * key (4.2.11.2). */
void hbk_tls_finished(enum hbk_cipher_suite suite, const uint8_t *secret,
                      const uint8_t *transcript_hash, uint8_t *out_verify_data);

/* The binder key of the early stage: "res binder". */
void hbk_tls_schedule_binder_key(const struct hbk_tls_schedule *schedule, uint8_t *out_key);

/* The PSK of a ticket: from the resumption secret and the ticket's nonce (4.6.1). */
void hbk_tls_resumption_psk(enum hbk_cipher_suite suite, const uint8_t *resumption_secret,
                            struct hbk_slice nonce, uint8_t *out_psk);
