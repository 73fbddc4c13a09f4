/*
 * The records of a handshake: whole messages out of what arrives, records out of what is to be
 * sent, in the clear first and under handshake keys then (RFC 8446, section 5 and appendix D.4).
 * Behind the handshake the channel takes over. One thread at a time.
 *
 *     input --> record --> open --> message --> the state machine
 *     state machine --> plain --> seal --> sealed --> output
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "tls/message.h"
#include "tls/record.h"
#include "tls/session.h"

enum {
    /* Memory of one flight of ours: a chain, a staple and the small messages. */
    HBK_FLIGHT_BYTES_MAX = 192 << 10,
    /* Records in a row that bring nothing: change_cipher_spec, user_canceled. */
    HBK_FLIGHT_IDLE_RECORDS_MAX = 32,
    HBK_FLIGHT_WARNINGS_MAX = 4,
    /* Bytes of early data, which we never accept, that are skipped (RFC 8446, 4.2.10). */
    HBK_FLIGHT_SKIPPED_BYTES_MAX = 1 << 14,
};

/* How records that do not open are taken while a client may be sending early data. */
enum hbk_flight_skip {
    HBK_FLIGHT_SKIP_NOTHING,
    HBK_FLIGHT_SKIP_UNREADABLE,  /* until the first that opens */
    HBK_FLIGHT_SKIP_APPLICATION, /* until the second ClientHello */
};

struct hbk_flight {
    struct hbk_tls_record_direction in, out;
    bool is_in_protected, is_out_protected;
    bool says_tls10;   /* in the next record in the clear: a client's first (5.1) */
    bool has_received; /* a whole record: the peer does speak TLS */
    bool has_sent_ccs; /* change_cipher_spec: once */
    bool allows_ccs;   /* the peer may send one: behind the first ClientHello */
    bool was_ccs_last; /* for the bound on idle records */
    uint8_t idle_records;
    uint8_t warnings;
    uint16_t record_size_limit; /* that the peer has to keep to (RFC 8449); 0: none was agreed on */
    enum hbk_flight_skip skip;
    uint32_t skipped_bytes;
    uint32_t awaited_messages;  /* bits: 1 << enum hbk_message_type, all below 32 */
    uint32_t message_bytes_max; /* of the message that is awaited */
    size_t record_bytes_max;    /* plaintext in one record of ours */

    struct hbk_slice lent;      /* plaintext of the record under way, in the input of this step */
    struct hbk_buffer message;  /* a message spread over records, and what came behind it */
    size_t message_taken_bytes; /* of `message`: given out, dropped at the next call */

    struct hbk_buffer plain;  /* messages not yet in records */
    struct hbk_buffer sealed; /* records not yet sent */
};

/* `keys` outlives the flight. */
void hbk_flight_init(struct hbk_flight *flight, struct hbk_expanded_keys *keys,
                     enum hbk_tls_role role);
void hbk_flight_fini(struct hbk_flight *flight); /* wipes the keys */

/* What came of looking for a message. */
enum hbk_flight_answer {
    HBK_FLIGHT_MESSAGE,
    HBK_FLIGHT_WANT_INPUT,
    HBK_FLIGHT_ALERT,  /* the peer's; out_alert says which */
    HBK_FLIGHT_FAILED, /* out_complaint says why; alert HBK_ALERT_INTERNAL_ERROR: memory */
};

struct hbk_flight_message {
    enum hbk_message_type type; /* maybe none that has a name */
    struct hbk_slice body;
    struct hbk_slice whole; /* header and body, for the transcript */
};

/*
 * The next message; borrowed from the flight or from the input until the next call with either.
 * `*in_out_input` loses what was consumed; what is decrypted lies there until the step ends.
 */
HBK_MUST_USE enum hbk_flight_answer hbk_flight_next(struct hbk_flight *flight,
                                                    struct hbk_span *in_out_input,
                                                    struct hbk_flight_message *out_message,
                                                    struct hbk_complaint *out_complaint);

/* At the end of a step: keeps what the input's owner may now change. Fails: HBK_NO_MEMORY,
 * HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_flight_keep(struct hbk_flight *flight);

/* Whether bytes of the handshake follow the last message: none may where keys change (5.1). */
bool hbk_flight_has_more(const struct hbk_flight *flight);

/* New keys for what arrives, for what is sent; the secret is as long as the suite's hash. */
void hbk_flight_protect_in(struct hbk_flight *flight, enum hbk_cipher_suite suite,
                           const uint8_t *secret);
void hbk_flight_protect_out(struct hbk_flight *flight, enum hbk_cipher_suite suite,
                            const uint8_t *secret);

/* What the peer takes in one record, the type's byte included (RFC 8449, 4); 0: it said nothing. */
void hbk_flight_limit_records(struct hbk_flight *flight, uint16_t record_size_limit);

/* Room for messages behind those not yet sealed; committed by hbk_buffer_commit(&flight->plain, n).
 * Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_flight_reserve(struct hbk_flight *flight, size_t size,
                                           struct hbk_span *out_room);

/* Puts all of `plain` into records under the keys of now. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_flight_seal(struct hbk_flight *flight);

/* One change_cipher_spec per handshake, for middleboxes (D.4); later calls do nothing. */
HBK_MUST_USE hbk_status hbk_flight_send_ccs(struct hbk_flight *flight);

/* Forgets records that were not yet sent. */
void hbk_flight_discard(struct hbk_flight *flight);

/* A fatal alert under the keys of now. Nothing is sent when memory is short. */
void hbk_flight_send_alert(struct hbk_flight *flight, int alert);

/* Moves sealed records to the output; true when none are left. */
bool hbk_flight_drain(struct hbk_flight *flight, struct hbk_span output, size_t *in_out_written);
