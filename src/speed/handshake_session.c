/* An end of measured handshakes by the tls room, whichever engine its context has. */
#include "base/assert.h"
#include "base/clock.h"
#include "speed/handshake_speaker.h"
#include "tls/ticket.h"

static hbk_status begin(struct hbk_handshake_end *end, void *ticket, void **out_session)
{
    const struct hbk_tls_options options = {
        .role = end->is_server ? HBK_TLS_SERVER : HBK_TLS_CLIENT,
        .worker = end->worker,
        .ticket = ticket,
    };
    struct hbk_tls_session *session = NULL;
    HBK_TRY(hbk_tls_session_new(end->context, &options, hbk_clock_realtime_ns(), &session));
    *out_session = session;
    return HBK_OK;
}

static enum hbk_tls_answer shake(void *session, struct hbk_span input, size_t *out_consumed,
                                 struct hbk_span output, size_t *out_written)
{
    return hbk_tls_handshake(session, input, out_consumed, output, out_written);
}

static size_t say(void *session, struct hbk_span output)
{
    static const uint8_t byte[1] = {'x'};
    const struct hbk_slice plain = hbk_slice_of(byte, sizeof byte);
    size_t sealed = 0;
    size_t written = 0;
    enum hbk_tls_answer answer = hbk_tls_seal(session, &plain, 1, output, &sealed, &written);
    HBK_ASSERT(answer == HBK_TLS_DONE && sealed == sizeof byte);
    return written;
}

static enum hbk_tls_answer hear(void *session, struct hbk_span input, size_t *out_consumed)
{
    struct hbk_slice plain;
    return hbk_tls_open(session, input, out_consumed, &plain);
}

static bool was_resumed(const void *session)
{
    return hbk_tls_agreement(session).was_resumed;
}

static bool is_tls12(const void *session)
{
    return hbk_tls_agreement(session).version == HBK_TLS_1_2;
}

static void *take_ticket(void *session)
{
    return hbk_tls_take_ticket(session);
}

static void free_ticket(void *ticket)
{
    hbk_tls_ticket_unref(ticket);
}

static const char *failure(void *session)
{
    return hbk_tls_failure(session).text;
}

static void free_session(void *session)
{
    hbk_tls_session_free(session);
}

const struct hbk_handshake_speaker hbk_handshake_session = {
    .begin = begin,
    .shake = shake,
    .say = say,
    .hear = hear,
    .was_resumed = was_resumed,
    .is_tls12 = is_tls12,
    .take_ticket = take_ticket,
    .free_ticket = free_ticket,
    .failure = failure,
    .free = free_session,
};
