/*
 * libssl that waits: handshakes whose private keys are served by the worker's batches or by a
 * device. libssl's code runs on a fibre (ASYNC_JOB), here and nowhere else in this program; when it
 * asks for a signature, the operation is queued and the fibre pauses, and it goes on when the
 * operation has completed. No kernel runs on a fibre: their stacks are too small for that. Of the
 * 32 KiB, handshakes with RSA of 4096 bits on both sides, verified there, were seen to use 14.
 *
 * Everything belongs to the worker's thread, except the making of keys.
 */
#pragma once

#include <openssl/types.h>

#include "crypto/key_worker.h"

enum {
    /* Handshakes of one worker that are paused at once, each with a stack of 32 KiB. Further ones
     * wait in line before they begin a step: batches are full long before that. */
    HBK_OPENSSL_PAUSED_MAX = 256,
};

/* Counted since the start. */
struct hbk_openssl_counters {
    uint64_t paused;  /* operations that were waited for on a fibre */
    uint64_t in_line; /* steps that waited for another handshake's fibre */
    uint64_t at_once; /* operations that libcrypto computed within the step: no fibre, or refused */
};

/* The fibres of one worker. */
struct hbk_openssl_fibres {
    struct hbk_key_worker *keys; /* borrowed */
    struct hbk_list line;        /* those that wait for a fibre, first come first */
    unsigned paused;
    unsigned paused_max;
    struct hbk_openssl_counters counters;
};

/* `paused_max` from 1 to HBK_OPENSSL_PAUSED_MAX. `keys` is borrowed until _fini. */
void hbk_openssl_fibres_init(struct hbk_openssl_fibres *fibres, struct hbk_key_worker *keys,
                             unsigned paused_max);

/* After the last handshake of the worker. */
void hbk_openssl_fibres_fini(struct hbk_openssl_fibres *fibres);

/* One handshake's part; lies in it, zero before init. */
struct hbk_openssl_fibre {
    struct hbk_openssl_fibres *fibres; /* borrowed */
    void (*on_progress)(void *owner);  /* a waiting step may be repeated; may be NULL */
    void *owner;
    struct hbk_link link; /* in the line */
    bool is_in_line;
    bool is_paused;
    bool has_ended; /* the operation that is waited for */
    bool is_cancelled;
    uint64_t now_ns;
    struct hbk_key_operation operation;
    uint8_t output[HBK_KEY_OUTPUT_BYTES_MAX];
};

void hbk_openssl_fibre_init(struct hbk_openssl_fibre *fibre, struct hbk_openssl_fibres *fibres,
                            void (*on_progress)(void *owner), void *owner);

/*
 * SSL_do_handshake on a fibre. True: it waits, and on_progress will be called; a call before that
 * changes nothing. False: it returned `*out_returned`, for SSL_get_error. `now_ns` is the time of
 * the batcher.
 */
HBK_MUST_USE bool hbk_openssl_fibre_step(struct hbk_openssl_fibre *fibre, SSL *ssl, uint64_t now_ns,
                                         int *out_returned);

/* Cancels what is under way and lets libssl leave its fibre; before SSL_free. The handshake's BIO
 * must be able to refuse bytes. */
void hbk_openssl_fibre_fini(struct hbk_openssl_fibre *fibre, SSL *ssl);

/*
 * A key for libssl whose private operations go to the key's provider; owned by the caller, holds a
 * reference to `key`. It has no private numbers. Ed25519, for which libssl has no such door, is the
 * plain key and computed within the step. NULL when out of memory. Control thread.
 *
 * On a thread without fibres, or outside of hbk_openssl_fibre_step, libcrypto computes at once.
 */
EVP_PKEY *hbk_openssl_key_new(struct hbk_private_key *key);
