/*
 * The inside of the native engine: one handshake, shared by its client and its server half. See
 * native.c for how a step works, docs/tls.md for the states.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/key_worker.h"
#include "crypto/verification.h"
#include "tls/engine.h"
#include "tls/flight.h"
#include "tls/message.h"
#include "tls/schedule.h"
#include "tls/share.h"

enum {
    HBK_NATIVE_HELLO_BYTES_MAX = 16 << 10, /* a hello, a request, extensions */
    HBK_NATIVE_FINISHED_BYTES_MAX = 64,    /* above every hash */
    HBK_NATIVE_VERIFY_BYTES_MAX = 1 << 10, /* a CertificateVerify: RSA-4096 takes 516 */
    HBK_NATIVE_BYTES_MAX = 2560,           /* of a handshake in flight, beside its buffers */
    HBK_NATIVE_CHAIN_SCHEMES = 14,
};

/* What certificates may be signed with: all that the verdict takes (identity/verdict.h), which is
 * more than a peer may sign with. Who filters its certificates by signature_algorithms alone would
 * find none that an RSA authority signed in the usual way (RFC 8446, 4.2.3). */
extern const uint16_t hbk_native_chain_schemes[HBK_NATIVE_CHAIN_SCHEMES];

/* What a handshake does next. A state that waits for a message is named after it; one that has all
 * its messages and waits for jobs is named after what it does with their results. */
enum hbk_native_state {
    HBK_NATIVE_CLIENT_BEGIN,
    HBK_NATIVE_CLIENT_SERVER_HELLO,
    HBK_NATIVE_CLIENT_AGREE, /* the shared secret is computed */
    HBK_NATIVE_CLIENT_ENCRYPTED_EXTENSIONS,
    HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE,
    HBK_NATIVE_CLIENT_CERTIFICATE,
    HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY,
    HBK_NATIVE_CLIENT_FINISHED,
    HBK_NATIVE_CLIENT_ANSWER, /* the server's signature is checked, ours is made */

    HBK_NATIVE_SERVER_CLIENT_HELLO,
    HBK_NATIVE_SERVER_SECOND_HELLO,
    HBK_NATIVE_SERVER_ANSWER, /* secret and signature are computed */
    HBK_NATIVE_SERVER_CERTIFICATE,
    HBK_NATIVE_SERVER_CERTIFICATE_VERIFY,
    HBK_NATIVE_SERVER_FINISHED,
    HBK_NATIVE_SERVER_CONFIRM, /* the client's signature is checked */

    HBK_NATIVE_DONE,
    HBK_NATIVE_FAILED,
    HBK_NATIVE_STATE_COUNT,
};

/* Jobs under way, as bits. */
enum {
    HBK_NATIVE_JOB_AGREE = 1 << 0,
    HBK_NATIVE_JOB_SIGN = 1 << 1,
    HBK_NATIVE_JOB_VERIFY = 1 << 2,
};

struct hbk_native {
    const struct hbk_tls_setup *setup; /* borrowed, outlives this */
    enum hbk_native_state state;
    uint8_t jobs;         /* under way */
    bool was_retried;     /* a HelloRetryRequest was sent or received */
    bool is_resuming;     /* by PSK: no certificates */
    bool asks_peer;       /* the server sent a CertificateRequest */
    bool has_certificate; /* the peer's Certificate was not empty */
    bool is_server_named; /* server_name is to be acknowledged */
    bool wants_staple;    /* the client asked for one */
    bool wants_tickets;   /* the client can resume with an agreement */
    uint16_t psk_index;   /* of the session that is resumed, in the client's list */
    int64_t begun_ns;     /* realtime: the full handshake that everything here goes back to */

    uint16_t group;       /* of the key exchange */
    uint16_t retry_group; /* that a HelloRetryRequest asked for */
    uint16_t scheme;      /* of our own signature */
    uint32_t offered;     /* HBK_HAS_... of our ClientHello */
    uint64_t submitted_ns;
    const struct hbk_tls_certificate
        *certificate; /* ours; borrowed from the context; may be NULL */

    struct hbk_flight flight;
    struct hbk_tls_transcript transcript;
    struct hbk_tls_schedule schedule;
    union { /* one after the other: the hellos are compared before one is answered */
        uint8_t first_hello[HBK_SHA256_BYTES];      /* what the second may not change */
        uint8_t hello_hash[HBK_TLS_HASH_BYTES_MAX]; /* of the transcript up to ServerHello */
    };
    uint8_t client_handshake_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    uint8_t server_handshake_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];

    uint8_t random[HBK_MESSAGE_RANDOM_BYTES]; /* the client's */
    uint8_t server_random[HBK_MESSAGE_RANDOM_BYTES];
    uint8_t session_id[HBK_MESSAGE_SESSION_ID_BYTES_MAX];
    uint8_t session_id_bytes;

    /* A client's hello, kept until the suite says by which hash; and what it needs again. A server
     * keeps one of TLS 1.2 here, as records, for the engine that speaks it. */
    struct hbk_buffer hello;
    struct hbk_buffer cookie;

    struct hbk_tls_share shares[HBK_TLS_SHARES_MAX]; /* wiped when the secret is known */
    size_t share_count;
    uint8_t peer_share[HBK_GROUP_SHARE_BYTES_MAX];

    union { /* one after the other: the secret's job is wiped before a signature comes */
        struct hbk_tls_agreement_job agree;
        struct hbk_verification verify;
    };
    struct hbk_key_operation sign;
    uint8_t *signature; /* owned: what `sign` writes; NULL until then */

    struct hbk_tls_result result;
    struct hbk_tls_failure failure;
    char *failure_text; /* owned; NULL: failure.text is a constant */
};

/* What a handler of a message or of finished jobs came to. */
enum hbk_native_next {
    HBK_NATIVE_GO_ON, /* the state says with what */
    HBK_NATIVE_FAIL,  /* hbk_native_fail() was called */
};

/* Fails the handshake: the alert goes out under the keys of now. `text` is copied. Always answers
 * HBK_NATIVE_FAIL. */
enum hbk_native_next hbk_native_fail(struct hbk_native *handshake, hbk_status status, int alert,
                                     const char *text);

/* For what only we can cause. */
enum hbk_native_next hbk_native_fail_internal(struct hbk_native *handshake, hbk_status status);

enum hbk_native_next hbk_native_complain(struct hbk_native *handshake,
                                         struct hbk_complaint complaint);

/* ---- shared by both halves ---- */

/* Sends what hbk_writer_... wrote: `write` is called with room for `size_max` bytes, and what it
 * wrote joins the flight and the transcript. */
enum hbk_native_next hbk_native_send(struct hbk_native *handshake, size_t size_max,
                                     void (*write)(struct hbk_native *handshake,
                                                   struct hbk_writer *writer));

/* Our Certificate, with the chain of handshake->certificate, or empty. */
enum hbk_native_next hbk_native_send_certificate(struct hbk_native *handshake);

/* Submits the signature over the transcript so far; its result is in `signature`. */
enum hbk_native_next hbk_native_begin_signature(struct hbk_native *handshake);
enum hbk_native_next hbk_native_send_signature(struct hbk_native *handshake);
enum hbk_native_next hbk_native_send_finished(struct hbk_native *handshake,
                                              const uint8_t *traffic_secret);

/* Submits the agreement with peer_share by the share of that group. The transcript ends with
 * ServerHello. */
enum hbk_native_next hbk_native_begin_agreement(struct hbk_native *handshake, uint16_t group);

/* With the secret, which is wiped: handshake keys of both directions. */
enum hbk_native_next hbk_native_derive_handshake(struct hbk_native *handshake);

/* Application secrets into the result, over the transcript up to the server's Finished. */
void hbk_native_derive_application(struct hbk_native *handshake);

/* The resumption secret into the result, over the transcript up to the client's Finished. */
void hbk_native_derive_resumption(struct hbk_native *handshake);

/* The peer's messages. The certificate is judged and its signature, which is checked by a job, must
 * be of a scheme that we offered and that fits the key. */
enum hbk_native_next hbk_native_take_certificate(struct hbk_native *handshake,
                                                 const struct hbk_flight_message *message);
enum hbk_native_next hbk_native_take_verify(struct hbk_native *handshake,
                                            const struct hbk_flight_message *message);
enum hbk_native_next hbk_native_take_finished(struct hbk_native *handshake,
                                              const struct hbk_flight_message *message,
                                              const uint8_t *traffic_secret);

/* Copies what the server stapled, now or in the session that is resumed, into the result. Fails:
 * HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_native_keep_staple(struct hbk_native *handshake,
                                               struct hbk_slice staple);

/* Both sides have said what they take in one record: ours holds from the next one on (RFC 8449). */
void hbk_native_agree_on_limits(struct hbk_native *handshake);

/* After the verifying job. */
enum hbk_native_next hbk_native_judge_signature(struct hbk_native *handshake);

/* Asks the program for its veto. */
enum hbk_native_next hbk_native_ask(struct hbk_native *handshake, enum hbk_tls_moment moment,
                                    const struct hbk_tls_wish *wish);

/* Whether a list of numbers of two bytes, as on the wire, has this one. */
bool hbk_native_list_has(struct hbk_slice list, uint16_t number);

/* ---- the halves: what a message means in a state, and what is done when jobs are complete ---- */

enum hbk_native_next hbk_native_client_begin(struct hbk_native *handshake);
enum hbk_native_next hbk_native_client_take(struct hbk_native *handshake,
                                            const struct hbk_flight_message *message);
enum hbk_native_next hbk_native_client_continue(struct hbk_native *handshake);
enum hbk_native_next hbk_native_server_take(struct hbk_native *handshake,
                                            const struct hbk_flight_message *message);
enum hbk_native_next hbk_native_server_continue(struct hbk_native *handshake);
/* The engine's own_certificate(). */
const struct hbk_tls_certificate *hbk_native_own_certificate(const void *argument);
