#include "tls/ticket_sink.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/secret.h"
#include "tls/ticket_parts.h"

enum { MESSAGE_EXTRA_BYTES = 1024 }; /* of a NewSessionTicket beside its ticket */

struct hbk_tls_ticket_sink {
    enum hbk_cipher_suite suite;
    uint8_t resumption_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    const struct hbk_peer *peer;
    struct hbk_slice staple;
    int64_t now_ns;
    struct hbk_buffer message; /* what has arrived of one */
    bool is_dropping;          /* the rest of one that is too long */
    struct hbk_tls_ticket *newest;
};

hbk_status hbk_tls_ticket_sink_new(enum hbk_cipher_suite suite, const uint8_t *resumption_secret,
                                   const struct hbk_peer *peer, struct hbk_slice staple,
                                   int64_t now_ns, struct hbk_tls_ticket_sink **out_sink)
{
    struct hbk_tls_ticket_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL) {
        return HBK_NO_MEMORY;
    }
    sink->suite = suite;
    memcpy(sink->resumption_secret, resumption_secret, hbk_cipher_suite_hash_bytes(suite));
    sink->peer = peer;
    sink->staple = staple;
    sink->now_ns = now_ns;
    hbk_buffer_init(&sink->message, HBK_TLS_TICKET_BYTES_MAX + MESSAGE_EXTRA_BYTES);
    *out_sink = sink;
    return HBK_OK;
}

void hbk_tls_ticket_sink_free(struct hbk_tls_ticket_sink *sink)
{
    if (sink != NULL) {
        hbk_tls_ticket_unref(sink->newest);
        hbk_buffer_fini(&sink->message);
        hbk_secret_wipe(sink, sizeof *sink);
        free(sink);
    }
}

static struct hbk_complaint read_message(struct hbk_tls_ticket_sink *sink)
{
    struct hbk_new_session_ticket message;
    struct hbk_tls_ticket *ticket = NULL;
    struct hbk_complaint complaint =
        hbk_new_session_ticket_read(hbk_buffer_slice(&sink->message), &message);
    if (complaint.alert == HBK_ALERT_NONE && message.ticket.size <= HBK_TLS_TICKET_BYTES_MAX &&
        hbk_tls_ticket_new(sink->suite, sink->resumption_secret, sink->peer, sink->staple, &message,
                           sink->now_ns, &ticket) == HBK_OK &&
        ticket != NULL) {
        hbk_tls_ticket_unref(sink->newest);
        sink->newest = ticket;
    }
    return complaint;
}

struct hbk_complaint hbk_tls_ticket_sink_take(struct hbk_tls_ticket_sink *sink,
                                              struct hbk_slice piece, bool is_last)
{
    struct hbk_complaint complaint = HBK_NO_COMPLAINT;
    if (!sink->is_dropping) {
        sink->is_dropping = hbk_buffer_append(&sink->message, piece) != HBK_OK;
    }
    if (is_last) {
        if (!sink->is_dropping) {
            complaint = read_message(sink);
        }
        sink->is_dropping = false;
        hbk_buffer_consume(&sink->message, hbk_buffer_size(&sink->message));
    }
    return complaint;
}

struct hbk_tls_ticket *hbk_tls_ticket_sink_newest(struct hbk_tls_ticket_sink *sink)
{
    struct hbk_tls_ticket *ticket = sink->newest;
    sink->newest = NULL;
    return ticket;
}
