/*
 * RSA private and public operations (RFC 8017), eight at a time, and the paddings of TLS.
 *
 * A key is read once and kept in the kernels' form. The vector path takes moduli of 2048, 3072 and
 * 4096 bits with two primes of equal length and the exponent 65537; every other key is served by
 * libcrypto behind the same functions. Every private result of the kernels is raised to the public
 * exponent and compared with the input before it leaves; a lane that fails the comparison is
 * computed again by libcrypto and marked.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "crypto/lane.h"

enum {
    HBK_RSA_BITS_MIN = 1024,
    HBK_RSA_BITS_MAX = 4096,
    HBK_RSA_BYTES_MAX = HBK_RSA_BITS_MAX / 8,
    /* Of the public exponent, which a stranger's certificate chooses: one as long as the modulus
     * would make each verification cost what a signature does, and hold up a worker. */
    HBK_RSA_EXPONENT_BITS_MAX = 64,
};

/* Immutable once made, so any number of threads may use it; it must outlive its operations. */
struct hbk_rsa_key;

/*
 * Reads a private or a public key; `pkey` stays the caller's (a reference is taken).
 *
 * Fails: HBK_UNSUPPORTED when it is no RSA key of HBK_RSA_BITS_MIN to HBK_RSA_BITS_MAX with an
 * exponent of at most HBK_RSA_EXPONENT_BITS_MAX, HBK_NO_MEMORY. It may take a millisecond.
 */
HBK_MUST_USE hbk_status hbk_rsa_key_new(EVP_PKEY *pkey, struct hbk_rsa_key **out_key);

/* Wipes and frees; NULL is allowed. */
void hbk_rsa_key_free(struct hbk_rsa_key *key);

/* The size of the modulus in bits; in whole bytes it is the size of every input and output. */
unsigned hbk_rsa_key_bits(const struct hbk_rsa_key *key);
size_t hbk_rsa_key_bytes(const struct hbk_rsa_key *key);

/* Whether the key is private, and whether the vector path can take it. */
bool hbk_rsa_key_is_private(const struct hbk_rsa_key *key);
bool hbk_rsa_key_is_vector(const struct hbk_rsa_key *key);

/* input^d or input^e modulo n. Refused: an input that is not below n, a key that is not private. */
struct hbk_rsa_operation {
    const struct hbk_rsa_key *key;
    const uint8_t *input;        /* hbk_rsa_key_bytes(key), borrowed until the end */
    uint8_t *output;             /* as many bytes; written when the status is HBK_LANE_OK */
    enum hbk_lane_status status; /* out */
    bool was_redone;             /* out: the kernel's result was wrong and libcrypto's is given */
};

/*
 * The memory of a batch, for one thread: 130 KiB. NULL when out of memory.
 */
struct hbk_rsa_batch;
HBK_MUST_USE struct hbk_rsa_batch *hbk_rsa_batch_new(void);
void hbk_rsa_batch_free(struct hbk_rsa_batch *batch);

/*
 * Private operations in steps, so that a caller can do other work in between. On the vector path a
 * step takes at most about a millisecond of a current server core (a batch of 2048 bits is one
 * step, of 3072 bits four, of 4096 bits eight); lanes that the kernels cannot take are computed one
 * a step. The operations belong to the batch from hbk_rsa_batch_begin until hbk_rsa_batch_step
 * answers true. All keys of a batch have the same size.
 */
void hbk_rsa_batch_begin(struct hbk_rsa_batch *batch, enum hbk_path path,
                         struct hbk_rsa_operation *const lanes[HBK_LANES]);
HBK_MUST_USE bool hbk_rsa_batch_step(struct hbk_rsa_batch *batch);

/*
 * Takes an operation out of the batch under way: its status and output are not written, and its
 * memory is the caller's again. The other lanes go on.
 */
void hbk_rsa_batch_cancel(struct hbk_rsa_batch *batch, const struct hbk_rsa_operation *operation);

/* The same to the end, and public operations. */
void hbk_rsa_private_lanes(enum hbk_path path, struct hbk_rsa_batch *batch,
                           struct hbk_rsa_operation *const lanes[HBK_LANES]);
void hbk_rsa_public_lanes(enum hbk_path path, struct hbk_rsa_batch *batch,
                          struct hbk_rsa_operation *const lanes[HBK_LANES]);

/* Wipes what public operations on secret inputs have left: the other functions that compute wipe
 * only what private keys take part in. Not while private operations are under way. */
void hbk_rsa_batch_wipe(struct hbk_rsa_batch *batch);

/* For tests: the next batch computes the lanes of `mask` wrongly. */
void hbk_rsa_batch_inject_fault(struct hbk_rsa_batch *batch, uint8_t mask);
