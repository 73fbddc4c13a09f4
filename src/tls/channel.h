/*
 * A TLS 1.3 connection behind its handshake: application data, key updates, alerts and the end, on
 * two directions of the record layer. The same for every engine. No allocation but for places of
 * expanded keys. Its functions are those of session.h without the handshake; see there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tls/record.h"
#include "tls/session.h"
#include "tls/ticket_sink.h"

enum {
    /* Records in a row without application data: more than this many empty ones, or others (key
     * updates, tickets), is an attack on our processor, since each costs us more than the peer. */
    HBK_CHANNEL_IDLE_RECORDS_MAX = 32,
    HBK_CHANNEL_WARNINGS_MAX = 4, /* of those: user_canceled in a row, as in a handshake */

    /* A ticket that is skipped: its largest legal size (RFC 8446, 4.6.1), rounded up. */
    HBK_CHANNEL_TICKET_BYTES_MAX = 1 << 18,

    /* Records up to this size are joined to one slice; moving larger ones would cost too much. */
    HBK_CHANNEL_JOIN_BYTES_MAX = 4096,
};

struct hbk_tls_channel {
    struct hbk_tls_record_direction in;
    struct hbk_tls_record_direction out;
    struct hbk_tls_failure failure;
    enum hbk_tls_role role;
    uint8_t empty_records;      /* received in a row: without any content */
    uint8_t warnings;           /* received in a row: user_canceled */
    uint8_t control_records;    /* received since the last application data: with other content */
    uint16_t plain_bytes_max;   /* in one record of ours */
    uint16_t record_size_limit; /* that the peer has to keep to; 0: none was agreed on */

    struct hbk_tls_ticket_sink *tickets; /* borrowed; NULL: tickets are skipped */

    /* A handshake message that is being received; it may be spread over records. */
    uint8_t message_header[4];
    uint8_t message_header_bytes; /* of it that are here */
    uint32_t message_left;        /* bytes of its body still to come */

    bool has_failed;
    bool is_closed;         /* the peer said close_notify */
    bool is_shut;           /* we did */
    bool has_alert;         /* failure.alert is to be sent */
    bool has_update;        /* a key update is to be sent ... */
    bool update_is_request; /* ... that asks the peer for one */
};

/*
 * Secrets are those of the application traffic (RFC 8446, 7.1). `record_size_limit`: what the peer
 * said that it takes in one record, the type's byte included (RFC 8449, 4: 64 or more); 0: nothing.
 */
void hbk_channel_init(struct hbk_tls_channel *channel, enum hbk_tls_role role,
                      struct hbk_expanded_keys *keys, enum hbk_cipher_suite suite,
                      struct hbk_slice client_secret, struct hbk_slice server_secret,
                      uint16_t record_size_limit);
void hbk_channel_fini(struct hbk_tls_channel *channel);

/* Ends the connection: the alert is sent by the next flush. `text` must outlive the channel. */
void hbk_channel_fail(struct hbk_tls_channel *channel, hbk_status status, int alert,
                      const char *text);

HBK_MUST_USE enum hbk_tls_answer hbk_channel_open(struct hbk_tls_channel *channel,
                                                  struct hbk_span input, size_t *out_consumed,
                                                  struct hbk_slice *out_plain);
HBK_MUST_USE enum hbk_tls_answer hbk_channel_seal(struct hbk_tls_channel *channel,
                                                  const struct hbk_slice *plain, size_t count,
                                                  struct hbk_span output, size_t *out_sealed,
                                                  size_t *out_written);
size_t hbk_channel_sealed_bytes_max(const struct hbk_tls_channel *channel, size_t plain_bytes);
size_t hbk_channel_plain_bytes_max(const struct hbk_tls_channel *channel, size_t room_bytes);
bool hbk_channel_has_output(const struct hbk_tls_channel *channel);
HBK_MUST_USE enum hbk_tls_answer hbk_channel_flush(struct hbk_tls_channel *channel,
                                                   struct hbk_span output, size_t *out_written);
HBK_MUST_USE enum hbk_tls_answer hbk_channel_shutdown(struct hbk_tls_channel *channel,
                                                      struct hbk_span output, size_t *out_written);
void hbk_channel_update_keys(struct hbk_tls_channel *channel, bool asks_peer);
