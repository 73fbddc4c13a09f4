/*
 * A session is a handshake first and a channel then. The handshake, which is large, is freed when
 * it is done: what remains is the channel, the peer, the context and what was agreed on, under 1
 * KiB with the keys at rest.
 */
#include "tls/session.h"

#include <stdlib.h>

#include "base/address.h"
#include "base/assert.h"
#include "base/secret.h"
#include "tls/alert.h"
#include "tls/engine.h"
#include "tls/exporter.h"
#include "tls/ticket_parts.h"

/* What only the handshake needs. */
struct opening {
    struct hbk_tls_setup setup;
    const struct hbk_tls_engine *engine;
    void *handshake;                   /* the engine's */
    struct hbk_buffer handed;          /* a hello from another engine, not yet taken */
    bool is_in_flight;                 /* counted in the worker */
    const struct hbk_spiffe_id *ids[]; /* a reference to each of setup.expectation.ids; behind them
                                          trust domain and server name */
};

struct hbk_tls_session {
    struct hbk_tls_context *context; /* held */
    const struct hbk_peer *peer;     /* held; NULL before the handshake is done, or anonymous */
    struct opening *opening;   /* NULL afterwards; stays after a failure for its text, and with
                                  a connection that keeps its engine */
    struct hbk_slice protocol; /* inside the context */
    char *server_name;         /* owned; may be NULL */
    struct hbk_span staple;    /* owned; may be empty */
    const struct hbk_tls_certificate *own; /* inside the context; may be NULL */
    uint8_t exporter_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    enum hbk_tls_version version;
    enum hbk_tls_engine_kind engine;
    uint16_t group;
    uint16_t peer_scheme;
    bool was_resumed;
    bool has_failed; /* the handshake did */
    bool has_channel;
    bool is_kept;            /* no channel: the engine has the data, too */
    const char *cipher_text; /* a constant */
    bool is_refusal_told;
    struct hbk_tls_failure refusal;      /* of a kept connection, by us; text NULL: none */
    struct hbk_tls_ticket_sink *tickets; /* owned; a client's that resumes */
    struct hbk_tls_channel channel;
};

const char *hbk_tls_answer_text(enum hbk_tls_answer answer)
{
    switch (answer) {
    case HBK_TLS_DONE:
        return "done";
    case HBK_TLS_WANT_INPUT:
        return "want input";
    case HBK_TLS_WANT_ROOM:
        return "want room";
    case HBK_TLS_WAITING:
        return "waiting";
    case HBK_TLS_CLOSED:
        return "closed";
    case HBK_TLS_FAILED:
        return "failed";
    }
    HBK_UNREACHABLE();
}

/* The handshake has ended, well or not. */
static void leave_flight(struct opening *opening)
{
    if (opening->is_in_flight) {
        opening->is_in_flight = false;
        opening->setup.worker->in_flight--;
    }
}

static void opening_free(struct opening *opening)
{
    if (opening == NULL) {
        return;
    }
    leave_flight(opening);
    if (opening->handshake != NULL) {
        opening->engine->handshake_free(opening->handshake);
    }
    hbk_buffer_fini(&opening->handed);
    for (size_t i = 0; i < opening->setup.expectation.id_count; i++) {
        hbk_spiffe_unref(opening->ids[i]);
    }
    hbk_tls_ticket_unref(opening->setup.ticket);
    free(opening);
}

/* Copies text behind the ids. */
static struct hbk_slice put_text(uint8_t **at, struct hbk_slice text)
{
    if (text.size == 0) {
        return hbk_slice_of(NULL, 0);
    }
    uint8_t *copy = *at;
    memcpy(copy, text.bytes, text.size);
    *at += text.size;
    return hbk_slice_of(copy, text.size);
}

/* A client that may end up with TLS 1.2 cannot know before its first message. */
static enum hbk_tls_engine_kind first_engine(const struct hbk_tls_context *context,
                                             enum hbk_tls_role role)
{
    return role == HBK_TLS_CLIENT && context->allows_tls12 ? HBK_TLS_ENGINE_OPENSSL
                                                           : context->engine;
}

/* A ticket is good for the engine that it came by. */
static struct hbk_tls_ticket *take_offered(const struct hbk_tls_options *options,
                                           enum hbk_tls_engine_kind engine)
{
    struct hbk_tls_ticket *ticket = options->ticket;
    bool is_good = ticket != NULL && options->role == HBK_TLS_CLIENT &&
                   (ticket->libssl != NULL) == (engine == HBK_TLS_ENGINE_OPENSSL);
    return is_good ? hbk_tls_ticket_ref(ticket) : NULL;
}

static struct opening *opening_make(struct hbk_tls_context *context,
                                    const struct hbk_tls_options *options, int64_t now_ns,
                                    struct hbk_slice server_name)
{
    const struct hbk_expectation *expected = &options->expectation;
    HBK_ASSERT(expected->trust_domain.size <= HBK_SPIFFE_TRUST_DOMAIN_BYTES_MAX);
    struct opening *opening =
        calloc(1, sizeof *opening + expected->id_count * sizeof expected->ids[0] +
                      expected->trust_domain.size + server_name.size);
    if (opening == NULL) {
        return NULL;
    }
    uint8_t *text = (uint8_t *)&opening->ids[expected->id_count];
    for (size_t i = 0; i < expected->id_count; i++) {
        opening->ids[i] = hbk_spiffe_ref(expected->ids[i]);
    }
    enum hbk_tls_engine_kind engine = first_engine(context, options->role);
    opening->engine = hbk_tls_engine_of(engine);
    opening->setup = (struct hbk_tls_setup){
        .context = context,
        .role = options->role,
        .expectation = {.ids = opening->ids,
                        .id_count = expected->id_count,
                        .trust_domain = put_text(&text, expected->trust_domain)},
        .server_name = put_text(&text, server_name),
        .worker = options->worker,
        .ticket = take_offered(options, engine),
        .now_ns = now_ns,
        .on_progress = options->on_progress,
        .owner = options->owner,
    };
    return opening;
}

/* Whether the context can play the part, and whom a client wants. */
static hbk_status check_options(const struct hbk_tls_context *context,
                                const struct hbk_tls_options *options, struct hbk_slice *out_name)
{
    struct hbk_slice name = options->server_name;
    if (options->role == HBK_TLS_SERVER) {
        *out_name = hbk_slice_of(NULL, 0);
        return context->certificate_count > 0 ? HBK_OK : HBK_INVALID;
    }
    struct hbk_ip ip;
    if (name.size > 1 && name.bytes[name.size - 1] == '.') {
        name.size--;
    }
    *out_name = name;
    bool is_name = name.size == 0 || hbk_server_name_is_valid(name) || hbk_ip_parse(name, &ip);
    return is_name && context->trust != NULL ? HBK_OK : HBK_INVALID;
}

static hbk_status opening_new(struct hbk_tls_context *context,
                              const struct hbk_tls_options *options, int64_t now_ns,
                              struct opening **out_opening)
{
    struct hbk_tls_worker *worker = options->worker;
    struct hbk_slice server_name;
    HBK_ASSERT(worker != NULL);
    HBK_TRY(check_options(context, options, &server_name));
    if (worker->in_flight >= worker->options.handshakes_max) {
        worker->counters.handshakes_refused++;
        return HBK_LIMIT;
    }
    struct opening *opening = opening_make(context, options, now_ns, server_name);
    if (opening == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = opening->engine->handshake_new(&opening->setup, &opening->handshake);
    if (status != HBK_OK) {
        opening_free(opening);
        return status;
    }
    worker->in_flight++;
    opening->is_in_flight = true;
    *out_opening = opening;
    return HBK_OK;
}

hbk_status hbk_tls_session_new(struct hbk_tls_context *context,
                               const struct hbk_tls_options *options, int64_t now_ns,
                               struct hbk_tls_session **out_session)
{
    struct hbk_tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = opening_new(context, options, now_ns, &session->opening);
    if (status != HBK_OK) {
        free(session);
        return status;
    }
    session->context = hbk_tls_context_ref(context);
    *out_session = session;
    return HBK_OK;
}

void hbk_tls_session_watch(struct hbk_tls_session *session, void (*on_progress)(void *owner),
                           void *owner)
{
    HBK_ASSERT(session->opening != NULL);
    session->opening->setup.on_progress = on_progress;
    session->opening->setup.owner = owner;
}

void hbk_tls_session_free(struct hbk_tls_session *session)
{
    if (session == NULL) {
        return;
    }
    opening_free(session->opening);
    if (session->has_channel) {
        hbk_channel_fini(&session->channel);
    }
    hbk_tls_ticket_sink_free(session->tickets);
    hbk_peer_unref(session->peer);
    hbk_tls_context_unref(session->context);
    free(session->server_name);
    free(session->staple.bytes);
    hbk_secret_wipe(session, sizeof *session);
    free(session);
}

/* Ends a connection whose handshake is done, with an alert as far as there is room. libssl cannot
 * be made to send one: a connection that it keeps ends in order (hbk_tls_flush). */
static enum hbk_tls_answer refuse(struct hbk_tls_session *session, hbk_status status, int alert,
                                  const char *text, struct hbk_span output, size_t *out_written)
{
    if (session->is_kept) {
        session->refusal = (struct hbk_tls_failure){.status = status, .alert = alert, .text = text};
        return HBK_TLS_FAILED;
    }
    hbk_channel_fail(&session->channel, status, alert, text);
    size_t written = 0;
    struct hbk_span room = hbk_span_of(output.bytes + *out_written, output.size - *out_written);
    if (hbk_channel_flush(&session->channel, room, &written) == HBK_TLS_DONE) {
        *out_written += written;
    }
    return HBK_TLS_FAILED;
}

/* RFC 7301, 3.2: a client looks at what the server chose. */
static enum hbk_tls_answer check_protocol(struct hbk_tls_session *session, bool is_foreign,
                                          struct hbk_span output, size_t *out_written)
{
    const struct hbk_tls_context *context = session->context;
    if (session->protocol.size == 0 && context->requires_protocol) {
        return refuse(session, HBK_UNSUPPORTED, HBK_ALERT_NO_APPLICATION_PROTOCOL,
                      context->protocol_failure, output, out_written);
    }
    return is_foreign ? refuse(session, HBK_INVALID, HBK_ALERT_ILLEGAL_PARAMETER,
                               "the server chose an application protocol that was not offered",
                               output, out_written)
                      : HBK_TLS_DONE;
}

/* The peer has proved to have its key, here or in the session that is resumed. */
static void keep_verdict(struct hbk_tls_session *session)
{
    struct hbk_verdict_cache *verdicts = session->opening->setup.worker->options.verdicts;
    if (verdicts != NULL && session->peer != NULL) {
        hbk_verdict_cache_keep(verdicts, &session->peer);
    }
}

/* Takes over what the result owns. */
static hbk_status take_result(struct hbk_tls_session *session, const struct hbk_tls_result *result)
{
    session->peer = result->peer;
    keep_verdict(session); /* first: it may exchange the peer */
    session->server_name = result->server_name;
    session->staple = result->staple;
    session->protocol = result->protocol;
    session->version = result->version;
    session->group = result->group;
    session->peer_scheme = result->peer_scheme;
    session->was_resumed = result->was_resumed;
    session->engine = session->opening->engine->kind;
    session->cipher_text = result->cipher_text;
    if (result->cipher_text == NULL) {
        session->cipher_text = hbk_cipher_suite_text(result->suite);
    }
    if (result->keeps_engine) {
        return HBK_OK;
    }
    memcpy(session->exporter_secret, result->exporter_secret, result->secret_bytes);
    hbk_channel_init(
        &session->channel, session->opening->setup.role, &session->opening->setup.worker->expanded,
        result->suite, hbk_slice_of(result->client_secret, result->secret_bytes),
        hbk_slice_of(result->server_secret, result->secret_bytes), result->record_size_limit);
    session->channel.out.sequence = result->sent_records;
    session->channel.record_size_limit = result->own_record_size_limit;
    if (session->channel.plain_bytes_max > session->context->sent_record_bytes_max) {
        session->channel.plain_bytes_max = session->context->sent_record_bytes_max;
    }
    bool resumes = session->context->resumes && result->has_resumption_secret &&
                   session->opening->setup.role == HBK_TLS_CLIENT;
    if (resumes) {
        HBK_TRY(hbk_tls_ticket_sink_new(result->suite, result->resumption_secret, session->peer,
                                        hbk_slice_of(session->staple.bytes, session->staple.size),
                                        session->opening->setup.now_ns, &session->tickets));
        session->channel.tickets = session->tickets;
    }
    return HBK_OK;
}

/* Turns a handshake that is done into a channel. */
static enum hbk_tls_answer begin_channel(struct hbk_tls_session *session, struct hbk_span output,
                                         size_t *out_written)
{
    struct opening *opening = session->opening;
    struct hbk_tls_worker_counters *counters = &opening->setup.worker->counters;
    struct hbk_tls_result result;
    opening->engine->take_result(opening->handshake, &result);
    session->own = opening->engine->own_certificate(opening->handshake);
    hbk_status status = take_result(session, &result);
    bool is_foreign = result.has_foreign_protocol;
    bool keeps_engine = result.keeps_engine;
    hbk_secret_wipe(&result, sizeof result);
    leave_flight(opening);
    if (status != HBK_OK) {
        session->has_failed = true;
        counters->handshakes_failed[session->engine]++;
        return HBK_TLS_FAILED;
    }
    session->is_kept = keeps_engine;
    if (!keeps_engine) {
        session->has_channel = true;
        session->opening = NULL;
        opening_free(opening);
    }
    enum hbk_tls_answer answer = check_protocol(session, is_foreign, output, out_written);
    uint64_t *counter = answer != HBK_TLS_DONE ? counters->handshakes_failed
                        : session->was_resumed ? counters->handshakes_resumed
                                               : counters->handshakes_full;
    counter[session->engine]++;
    return answer;
}

/*
 * A server's engine has read a hello of TLS 1.2 and nothing of it was answered: libssl begins anew
 * with the same hello. False: nothing was handed over, or it could not be, which the engine says.
 */
static bool hand_over(struct opening *opening)
{
    const struct hbk_tls_engine *from = opening->engine;
    const struct hbk_tls_engine *to = hbk_tls_engine_of(HBK_TLS_ENGINE_OPENSSL);
    if (opening->setup.role != HBK_TLS_SERVER || !opening->setup.context->allows_tls12 ||
        from->hand_over == NULL || !from->hand_over(opening->handshake, &opening->handed)) {
        return false;
    }
    void *handshake = NULL;
    hbk_status status = to->handshake_new(&opening->setup, &handshake);
    if (status != HBK_OK) {
        hbk_buffer_fini(&opening->handed);
        from->take_back(opening->handshake, status);
        return true;
    }
    from->handshake_free(opening->handshake);
    opening->handshake = handshake;
    opening->engine = to;
    opening->setup.worker->counters.handed_over++;
    return true;
}

/* A step of the engine: with what was handed over, as long as it has not taken all of it, and only
 * then with what arrived behind that. libssl may wait in line before it reads at all. */
static enum hbk_tls_answer step(struct opening *opening, struct hbk_span input,
                                size_t *out_consumed, struct hbk_span output, size_t *out_written)
{
    const struct hbk_tls_engine *engine = opening->engine;
    size_t written = 0;
    *out_consumed = 0;
    *out_written = 0;
    if (!hbk_buffer_is_empty(&opening->handed)) {
        struct hbk_slice hello = hbk_buffer_slice(&opening->handed);
        size_t consumed = 0;
        enum hbk_tls_answer answer = engine->step(
            opening->handshake, hbk_span_of((uint8_t *)(uintptr_t)hello.bytes, hello.size),
            &consumed, output, out_written);
        hbk_buffer_consume(&opening->handed, consumed);
        if (answer != HBK_TLS_WANT_INPUT || !hbk_buffer_is_empty(&opening->handed)) {
            return answer;
        }
    }
    enum hbk_tls_answer answer = engine->step(
        opening->handshake, input, out_consumed,
        hbk_span_of(output.bytes + *out_written, output.size - *out_written), &written);
    *out_written += written;
    return answer;
}

enum hbk_tls_answer hbk_tls_handshake(struct hbk_tls_session *session, struct hbk_span input,
                                      size_t *out_consumed, struct hbk_span output,
                                      size_t *out_written)
{
    struct opening *opening = session->opening;
    HBK_ASSERT(!session->has_channel && !session->is_kept);
    *out_consumed = 0;
    *out_written = 0;
    if (session->has_failed) {
        return HBK_TLS_FAILED;
    }
    enum hbk_tls_answer answer = step(opening, input, out_consumed, output, out_written);
    if (answer == HBK_TLS_FAILED && hand_over(opening)) {
        size_t consumed = 0;
        struct hbk_span rest = hbk_span_of(input.bytes + *out_consumed, input.size - *out_consumed);
        answer = step(opening, rest, &consumed, output, out_written);
        *out_consumed += consumed;
    }
    if (answer == HBK_TLS_DONE) {
        return begin_channel(session, output, out_written);
    }
    if (answer == HBK_TLS_FAILED) {
        session->has_failed = true;
        leave_flight(opening);
        opening->setup.worker->counters.handshakes_failed[opening->engine->kind]++;
    }
    return answer;
}

/* The data functions of a kept connection; it has not been refused. */
static const struct hbk_tls_kept_data *kept(const struct hbk_tls_session *session)
{
    HBK_ASSERT(session->is_kept);
    return session->opening->engine->data;
}

enum hbk_tls_answer hbk_tls_open(struct hbk_tls_session *session, struct hbk_span input,
                                 size_t *out_consumed, struct hbk_slice *out_plain)
{
    if (HBK_LIKELY(session->has_channel)) {
        return hbk_channel_open(&session->channel, input, out_consumed, out_plain);
    }
    *out_consumed = 0;
    *out_plain = hbk_slice_of(NULL, 0);
    return session->refusal.text != NULL
               ? HBK_TLS_FAILED
               : kept(session)->open(session->opening->handshake, input, out_consumed, out_plain);
}

enum hbk_tls_answer hbk_tls_seal(struct hbk_tls_session *session, const struct hbk_slice *plain,
                                 size_t count, struct hbk_span output, size_t *out_sealed,
                                 size_t *out_written)
{
    if (HBK_LIKELY(session->has_channel)) {
        return hbk_channel_seal(&session->channel, plain, count, output, out_sealed, out_written);
    }
    *out_sealed = 0;
    *out_written = 0;
    return session->refusal.text != NULL
               ? HBK_TLS_FAILED
               : kept(session)->seal(session->opening->handshake, plain, count, output, out_sealed,
                                     out_written);
}

size_t hbk_tls_sealed_bytes_max(const struct hbk_tls_session *session, size_t plain_bytes)
{
    return session->has_channel ? hbk_channel_sealed_bytes_max(&session->channel, plain_bytes)
                                : kept(session)->sealed_bytes_max(plain_bytes);
}

size_t hbk_tls_plain_bytes_max(const struct hbk_tls_session *session, size_t room_bytes)
{
    return session->has_channel ? hbk_channel_plain_bytes_max(&session->channel, room_bytes)
                                : kept(session)->plain_bytes_max(room_bytes);
}

bool hbk_tls_has_output(const struct hbk_tls_session *session)
{
    if (session->is_kept) {
        return session->refusal.text != NULL
                   ? !session->is_refusal_told
                   : kept(session)->has_output(session->opening->handshake);
    }
    return session->has_channel && hbk_channel_has_output(&session->channel);
}

/* In place of the alert, which libssl cannot be made to send, the connection ends in order. */
static enum hbk_tls_answer tell_refusal(struct hbk_tls_session *session, struct hbk_span output,
                                        size_t *out_written)
{
    enum hbk_tls_answer answer =
        kept(session)->shutdown(session->opening->handshake, output, out_written);
    session->is_refusal_told = answer != HBK_TLS_WANT_ROOM;
    return answer;
}

enum hbk_tls_answer hbk_tls_flush(struct hbk_tls_session *session, struct hbk_span output,
                                  size_t *out_written)
{
    *out_written = 0;
    if (!hbk_tls_has_output(session)) {
        return HBK_TLS_DONE;
    }
    if (session->has_channel) {
        return hbk_channel_flush(&session->channel, output, out_written);
    }
    return session->refusal.text != NULL
               ? tell_refusal(session, output, out_written)
               : kept(session)->flush(session->opening->handshake, output, out_written);
}

enum hbk_tls_answer hbk_tls_shutdown(struct hbk_tls_session *session, struct hbk_span output,
                                     size_t *out_written)
{
    *out_written = 0;
    if (session->is_kept) {
        return session->refusal.text != NULL
                   ? HBK_TLS_DONE
                   : kept(session)->shutdown(session->opening->handshake, output, out_written);
    }
    return session->has_channel ? hbk_channel_shutdown(&session->channel, output, out_written)
                                : HBK_TLS_DONE;
}

void hbk_tls_abort(struct hbk_tls_session *session, int alert)
{
    static const char text[] = "we refused the peer";
    if (session->has_channel) {
        hbk_channel_fail(&session->channel, HBK_DENIED, alert, text);
    } else if (session->is_kept && session->refusal.text == NULL &&
               !kept(session)->has_failed(session->opening->handshake)) {
        session->refusal =
            (struct hbk_tls_failure){.status = HBK_DENIED, .alert = alert, .text = text};
    }
}

void hbk_tls_update_keys(struct hbk_tls_session *session, bool asks_peer)
{
    if (session->has_channel) {
        hbk_channel_update_keys(&session->channel, asks_peer);
    }
}

const struct hbk_peer *hbk_tls_peer(const struct hbk_tls_session *session)
{
    return session->peer;
}

struct hbk_tls_context *hbk_tls_session_context(const struct hbk_tls_session *session)
{
    return session->context;
}

struct hbk_tls_agreement hbk_tls_agreement(const struct hbk_tls_session *session)
{
    if (!session->has_channel && !session->is_kept) {
        return (struct hbk_tls_agreement){
            .engine = session->opening == NULL ? session->engine : session->opening->engine->kind,
        };
    }
    return (struct hbk_tls_agreement){
        .version = session->version,
        .engine = session->engine,
        .cipher_text = session->cipher_text,
        .group_text = session->group == 0 ? NULL : hbk_tls_group_text(session->group),
        .protocol = session->protocol,
        .server_name = session->server_name == NULL ? hbk_slice_of(NULL, 0)
                                                    : hbk_slice_text(session->server_name),
        .group = session->group,
        .peer_scheme = session->peer_scheme,
        .was_resumed = session->was_resumed,
    };
}

const struct hbk_tls_certificate *hbk_tls_own_certificate(const struct hbk_tls_session *session)
{
    return session->own;
}

struct hbk_slice hbk_tls_staple(const struct hbk_tls_session *session)
{
    return hbk_slice_of(session->staple.bytes, session->staple.size);
}

hbk_status hbk_tls_export(const struct hbk_tls_session *session, struct hbk_slice label,
                          struct hbk_slice context, struct hbk_span out)
{
    if (session->is_kept) {
        return kept(session)->export_keys(session->opening->handshake, label, context, out);
    }
    if (!session->has_channel) {
        return HBK_INVALID;
    }
    enum hbk_cipher_suite suite = session->channel.out.suite;
    return hbk_exporter_derive(
        suite, hbk_slice_of(session->exporter_secret, hbk_cipher_suite_hash_bytes(suite)), label,
        context, out);
}

struct hbk_tls_ticket *hbk_tls_take_ticket(struct hbk_tls_session *session)
{
    if (session->is_kept) {
        return kept(session)->take_ticket(session->opening->handshake);
    }
    return session->tickets == NULL ? NULL : hbk_tls_ticket_sink_newest(session->tickets);
}

struct hbk_tls_failure hbk_tls_failure(const struct hbk_tls_session *session)
{
    if (session->has_channel) {
        return session->channel.failure;
    }
    if (session->refusal.text != NULL) {
        return session->refusal;
    }
    if (!session->is_kept && session->version != 0) {
        return (struct hbk_tls_failure){HBK_IO, HBK_ALERT_NONE, false, "keys cannot be made"};
    }
    return session->opening->engine->failure(session->opening->handshake);
}
