/*
 * A session is a handshake first and a channel then. The handshake, which is large, is freed when
 * it is done: what remains is the channel, the peer and the credential, under 1 KiB with the
 * keys at rest.
 */
#include "tls/session.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"
#include "tls/alert.h"
#include "tls/engine.h"

/* What only the handshake needs. */
struct opening {
    struct hbk_tls_setup setup;
    void *handshake;                   /* the engine's */
    const struct hbk_spiffe_id *ids[]; /* a reference to each of setup.expectation.ids */
};

struct hbk_tls_session {
    struct hbk_tls_credential *credential; /* held */
    const struct hbk_peer *peer;           /* held; NULL before the handshake is done */
    struct opening *opening;               /* NULL afterwards; stays after a failure for its text */
    bool has_failed;                       /* the handshake did */
    bool has_channel;
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

static void opening_free(struct opening *opening)
{
    if (opening == NULL) {
        return;
    }
    if (opening->handshake != NULL) {
        opening->setup.credential->engine->handshake_free(opening->handshake);
    }
    for (size_t i = 0; i < opening->setup.expectation.id_count; i++) {
        hbk_spiffe_unref(opening->ids[i]);
    }
    free(opening);
}

static hbk_status opening_new(struct hbk_tls_credential *credential,
                              const struct hbk_tls_options *options, int64_t now_ns,
                              struct opening **out_opening)
{
    const struct hbk_expectation *expected = &options->expectation;
    size_t trust_domain_bytes = expected->trust_domain.size;
    HBK_ASSERT(trust_domain_bytes <= HBK_SPIFFE_TRUST_DOMAIN_BYTES_MAX);
    size_t ids_bytes = expected->id_count * sizeof expected->ids[0];
    struct opening *opening = calloc(1, sizeof *opening + ids_bytes + trust_domain_bytes);
    if (opening == NULL) {
        return HBK_NO_MEMORY;
    }
    opening->setup = (struct hbk_tls_setup){
        .credential = credential,
        .role = options->role,
        .expectation = {.ids = opening->ids,
                        .id_count = expected->id_count,
                        .trust_domain = hbk_tls_credential_id(credential)->parts.trust_domain},
        .verdicts = options->verdicts,
        .now_ns = now_ns,
    };
    for (size_t i = 0; i < expected->id_count; i++) {
        opening->ids[i] = hbk_spiffe_ref(expected->ids[i]);
    }
    if (trust_domain_bytes > 0) {
        uint8_t *copy = (uint8_t *)&opening->ids[expected->id_count];
        memcpy(copy, expected->trust_domain.bytes, trust_domain_bytes);
        opening->setup.expectation.trust_domain = hbk_slice_of(copy, trust_domain_bytes);
    }
    hbk_status status = credential->engine->handshake_new(&opening->setup, &opening->handshake);
    if (status != HBK_OK) {
        opening_free(opening);
        return status;
    }
    *out_opening = opening;
    return HBK_OK;
}

hbk_status hbk_tls_session_new(struct hbk_tls_credential *credential,
                               const struct hbk_tls_options *options, int64_t now_ns,
                               struct hbk_tls_session **out_session)
{
    struct hbk_tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = opening_new(credential, options, now_ns, &session->opening);
    if (status != HBK_OK) {
        free(session);
        return status;
    }
    session->credential = hbk_tls_credential_ref(credential);
    *out_session = session;
    return HBK_OK;
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
    hbk_peer_unref(session->peer);
    hbk_tls_credential_unref(session->credential);
    hbk_secret_wipe(session, sizeof *session);
    free(session);
}

/* Without "h2" the connection ends here: RFC 7301, 3.2. */
static enum hbk_tls_answer refuse_protocol(struct hbk_tls_session *session, struct hbk_span output,
                                           size_t *out_written)
{
    hbk_channel_fail(&session->channel, HBK_UNSUPPORTED, HBK_ALERT_NO_APPLICATION_PROTOCOL,
                     "the peer does not speak the application protocol h2");
    size_t written = 0;
    struct hbk_span room = hbk_span_of(output.bytes + *out_written, output.size - *out_written);
    if (hbk_channel_flush(&session->channel, room, &written) == HBK_TLS_DONE) {
        *out_written += written;
    }
    return HBK_TLS_FAILED;
}

/* Turns a handshake that is done into a channel. */
static enum hbk_tls_answer begin_channel(struct hbk_tls_session *session, struct hbk_span output,
                                         size_t *out_written)
{
    struct opening *opening = session->opening;
    struct hbk_tls_result result;
    session->credential->engine->take_result(opening->handshake, &result);
    hbk_status status = hbk_channel_init(&session->channel, opening->setup.role, result.suite,
                                         hbk_slice_of(result.client_secret, result.secret_bytes),
                                         hbk_slice_of(result.server_secret, result.secret_bytes));
    session->peer = result.peer;
    bool has_protocol = result.has_protocol;
    hbk_secret_wipe(&result, sizeof result);
    if (status != HBK_OK) {
        session->has_failed = true;
        return HBK_TLS_FAILED;
    }
    session->has_channel = true;
    session->opening = NULL;
    opening_free(opening);
    return has_protocol ? HBK_TLS_DONE : refuse_protocol(session, output, out_written);
}

enum hbk_tls_answer hbk_tls_handshake(struct hbk_tls_session *session, struct hbk_slice input,
                                      size_t *out_consumed, struct hbk_span output,
                                      size_t *out_written)
{
    HBK_ASSERT(!session->has_channel);
    *out_consumed = 0;
    *out_written = 0;
    if (session->has_failed) {
        return HBK_TLS_FAILED;
    }
    enum hbk_tls_answer answer = session->credential->engine->step(
        session->opening->handshake, input, out_consumed, output, out_written);
    if (answer == HBK_TLS_DONE) {
        return begin_channel(session, output, out_written);
    }
    session->has_failed = answer == HBK_TLS_FAILED;
    return answer;
}

enum hbk_tls_answer hbk_tls_open(struct hbk_tls_session *session, struct hbk_span input,
                                 size_t *out_consumed, struct hbk_slice *out_plain)
{
    HBK_ASSERT(session->has_channel);
    return hbk_channel_open(&session->channel, input, out_consumed, out_plain);
}

enum hbk_tls_answer hbk_tls_seal(struct hbk_tls_session *session, const struct hbk_slice *plain,
                                 size_t count, struct hbk_span output, size_t *out_sealed,
                                 size_t *out_written)
{
    HBK_ASSERT(session->has_channel);
    return hbk_channel_seal(&session->channel, plain, count, output, out_sealed, out_written);
}

size_t hbk_tls_sealed_bytes_max(const struct hbk_tls_session *session, size_t plain_bytes)
{
    (void)session;
    return hbk_channel_sealed_bytes_max(plain_bytes);
}

size_t hbk_tls_plain_bytes_max(const struct hbk_tls_session *session, size_t room_bytes)
{
    (void)session;
    return hbk_channel_plain_bytes_max(room_bytes);
}

bool hbk_tls_has_output(const struct hbk_tls_session *session)
{
    return session->has_channel && hbk_channel_has_output(&session->channel);
}

enum hbk_tls_answer hbk_tls_flush(struct hbk_tls_session *session, struct hbk_span output,
                                  size_t *out_written)
{
    *out_written = 0;
    return session->has_channel ? hbk_channel_flush(&session->channel, output, out_written)
                                : HBK_TLS_DONE;
}

enum hbk_tls_answer hbk_tls_shutdown(struct hbk_tls_session *session, struct hbk_span output,
                                     size_t *out_written)
{
    *out_written = 0;
    return session->has_channel ? hbk_channel_shutdown(&session->channel, output, out_written)
                                : HBK_TLS_DONE;
}

void hbk_tls_update_keys(struct hbk_tls_session *session)
{
    HBK_ASSERT(session->has_channel);
    hbk_channel_update_keys(&session->channel);
}

void hbk_tls_rest(struct hbk_tls_session *session)
{
    if (session->has_channel) {
        hbk_channel_rest(&session->channel);
    }
}

const struct hbk_peer *hbk_tls_peer(const struct hbk_tls_session *session)
{
    return session->peer;
}

struct hbk_tls_credential *hbk_tls_session_credential(const struct hbk_tls_session *session)
{
    return session->credential;
}

const char *hbk_tls_cipher_text(const struct hbk_tls_session *session)
{
    return session->has_channel ? hbk_cipher_suite_text(session->channel.out.suite) : NULL;
}

struct hbk_tls_failure hbk_tls_failure(const struct hbk_tls_session *session)
{
    if (session->has_channel) {
        return session->channel.failure;
    }
    if (session->peer != NULL || session->opening == NULL) {
        return (struct hbk_tls_failure){HBK_IO, HBK_ALERT_NONE, false, "keys cannot be made"};
    }
    return session->credential->engine->failure(session->opening->handshake);
}

uint64_t hbk_tls_job(const struct hbk_tls_session *session)
{
    return session->opening == NULL ? 0
                                    : session->credential->engine->job(session->opening->handshake);
}
