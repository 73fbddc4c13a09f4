#include "tls/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "tls/engine.h"

const char *hbk_tls_answer_text(enum hbk_tls_answer answer)
{
    switch (answer) {
    case HBK_TLS_DONE:
        return "done";
    case HBK_TLS_WANT_INPUT:
        return "wants input";
    case HBK_TLS_WANT_ROOM:
        return "wants room";
    case HBK_TLS_WAITING:
        return "waiting";
    case HBK_TLS_CLOSED:
        return "closed";
    case HBK_TLS_FAILED:
        return "failed";
    }
    HBK_UNREACHABLE();
}

/* RFC 8446, section 6. */
const char *hbk_tls_alert_text(int alert)
{
    static const struct {
        int number;
        const char *text;
    } names[] = {
        {0, "close_notify"},
        {10, "unexpected_message"},
        {20, "bad_record_mac"},
        {22, "record_overflow"},
        {40, "handshake_failure"},
        {42, "bad_certificate"},
        {43, "unsupported_certificate"},
        {44, "certificate_revoked"},
        {45, "certificate_expired"},
        {46, "certificate_unknown"},
        {47, "illegal_parameter"},
        {48, "unknown_ca"},
        {49, "access_denied"},
        {50, "decode_error"},
        {51, "decrypt_error"},
        {70, "protocol_version"},
        {71, "insufficient_security"},
        {80, "internal_error"},
        {86, "inappropriate_fallback"},
        {90, "user_canceled"},
        {109, "missing_extension"},
        {110, "unsupported_extension"},
        {112, "unrecognized_name"},
        {113, "bad_certificate_status_response"},
        {115, "unknown_psk_identity"},
        {116, "certificate_required"},
        {120, "no_application_protocol"},
    };
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if (names[i].number == alert) {
            return names[i].text;
        }
    }
    return "unknown";
}

/* Expectations are copied: ids live as long as the session. */
static hbk_status copy_expectation(struct hbk_tls_session *session,
                                   const struct hbk_expectation *expectation)
{
    size_t count = expectation->id_count;
    const struct hbk_spiffe_id **ids = calloc(count + 1, sizeof *ids);
    char *trust_domain = hbk_slice_to_string(expectation->trust_domain);
    if (ids == NULL || trust_domain == NULL) {
        free(ids);
        free(trust_domain);
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        ids[i] = hbk_spiffe_ref(expectation->ids[i]);
    }
    session->expectation = (struct hbk_expectation){
        .ids = ids,
        .id_count = count,
        .trust_domain = hbk_slice_of(trust_domain, expectation->trust_domain.size),
    };
    return HBK_OK;
}

static void free_expectation(struct hbk_tls_session *session)
{
    for (size_t i = 0; i < session->expectation.id_count; i++) {
        hbk_spiffe_unref(session->expectation.ids[i]);
    }
    free((void *)(uintptr_t)session->expectation.ids);
    free((void *)(uintptr_t)session->expectation.trust_domain.bytes);
    session->expectation = (struct hbk_expectation){.id_count = 0};
}

hbk_status hbk_tls_session_new(struct hbk_tls_credential *credential,
                               const struct hbk_tls_options *options, int64_t now_ns,
                               struct hbk_tls_session **out_session)
{
    struct hbk_tls_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return HBK_NO_MEMORY;
    }
    session->engine = hbk_tls_credential_engine(credential);
    session->role = options->role;
    session->verdicts = options->verdicts;
    session->now_ns = now_ns;
    session->alert = -1;
    hbk_status status = copy_expectation(session, &options->expectation);
    if (status == HBK_OK) {
        status = session->engine->session_init(session, hbk_tls_credential_context(credential));
        if (status == HBK_OK) {
            session->credential = hbk_tls_credential_ref(credential);
            *out_session = session;
            return HBK_OK;
        }
        free_expectation(session);
    }
    free(session);
    return status;
}

void hbk_tls_session_free(struct hbk_tls_session *session)
{
    if (session == NULL) {
        return;
    }
    session->engine->session_fini(session);
    free_expectation(session);
    hbk_peer_unref(session->peer);
    hbk_tls_credential_unref(session->credential);
    free(session->failure_text);
    free(session);
}

enum hbk_tls_answer hbk_tls_fail(struct hbk_tls_session *session, hbk_status status,
                                 const char *format, ...)
{
    if (!session->has_failed) {
        char text[HBK_TLS_FAILURE_TEXT_BYTES_MAX];
        va_list values;
        va_start(values, format);
        (void)vsnprintf(text, sizeof text, format, values);
        va_end(values);
        session->has_failed = true;
        session->failure_status = status;
        session->failure_text = strdup(text);
    }
    return HBK_TLS_FAILED;
}

/* Without ids and trust domain, the peer must be of our own trust domain. */
static struct hbk_expectation expectation_of(const struct hbk_tls_session *session)
{
    struct hbk_expectation expectation = session->expectation;
    if (expectation.id_count == 0 && expectation.trust_domain.size == 0) {
        expectation.trust_domain = hbk_tls_credential_id(session->credential)->parts.trust_domain;
    }
    return expectation;
}

hbk_status hbk_tls_judge(struct hbk_tls_session *session, const struct hbk_chain *chain)
{
    const struct hbk_bundle_set *bundles = hbk_tls_credential_bundles(session->credential);
    enum hbk_peer_role role = session->role == HBK_TLS_CLIENT ? HBK_PEER_SERVER : HBK_PEER_CLIENT;
    struct hbk_verdict_failure failure = {.error = {.status = HBK_OK}};
    const struct hbk_peer *peer = NULL;
    hbk_status status =
        session->verdicts != NULL
            ? hbk_verdict_cache_judge(session->verdicts, chain, bundles, role, session->now_ns,
                                      &peer, &failure)
            : hbk_verdict_judge(chain, bundles, role, session->now_ns, &peer, &failure);
    if (status == HBK_OK) {
        struct hbk_expectation expectation = expectation_of(session);
        status = hbk_verdict_match(peer, &expectation, &failure);
    }
    if (status != HBK_OK) {
        hbk_peer_unref(peer);
        session->refusal = failure.reason;
        (void)hbk_tls_fail(session, status, "%s", failure.error.text);
        return status;
    }
    session->peer = peer;
    return HBK_OK;
}

/* The interface, handed to the engine -------------------------------------------------------- */

enum hbk_tls_answer hbk_tls_handshake(struct hbk_tls_session *session, struct hbk_slice input,
                                      size_t *out_consumed, struct hbk_span output,
                                      size_t *out_written)
{
    HBK_ASSERT(!session->is_established && !session->has_failed);
    enum hbk_tls_answer answer =
        session->engine->handshake(session, input, out_consumed, output, out_written);
    if (answer == HBK_TLS_DONE) {
        session->is_established = true;
        session->verdicts = NULL;
        free_expectation(session);
    }
    return answer;
}

enum hbk_tls_answer hbk_tls_open(struct hbk_tls_session *session, struct hbk_span input,
                                 size_t *out_consumed, struct hbk_slice *out_plain)
{
    HBK_ASSERT(session->is_established);
    return session->engine->open(session, input, out_consumed, out_plain);
}

enum hbk_tls_answer hbk_tls_seal(struct hbk_tls_session *session, const struct hbk_slice *plain,
                                 size_t count, struct hbk_span output, size_t *out_sealed,
                                 size_t *out_written)
{
    HBK_ASSERT(session->is_established);
    return session->engine->seal(session, plain, count, output, out_sealed, out_written);
}

size_t hbk_tls_sealed_bytes_max(const struct hbk_tls_session *session, size_t plain_bytes)
{
    (void)session;
    size_t records = (plain_bytes + HBK_TLS_PLAIN_BYTES_MAX - 1) / HBK_TLS_PLAIN_BYTES_MAX;
    return plain_bytes + records * HBK_TLS_RECORD_EXTRA_BYTES + HBK_TLS_CONTROL_BYTES_MAX;
}

size_t hbk_tls_plain_bytes_max(const struct hbk_tls_session *session, size_t room_bytes)
{
    (void)session;
    const size_t record = HBK_TLS_PLAIN_BYTES_MAX + HBK_TLS_RECORD_EXTRA_BYTES;
    if (room_bytes <= HBK_TLS_CONTROL_BYTES_MAX) {
        return 0;
    }
    size_t room = room_bytes - HBK_TLS_CONTROL_BYTES_MAX;
    size_t rest = room % record;
    rest = rest > HBK_TLS_RECORD_EXTRA_BYTES ? rest - HBK_TLS_RECORD_EXTRA_BYTES : 0;
    return room / record * HBK_TLS_PLAIN_BYTES_MAX + rest;
}

bool hbk_tls_has_output(const struct hbk_tls_session *session)
{
    return session->engine->has_output(session);
}

enum hbk_tls_answer hbk_tls_flush(struct hbk_tls_session *session, struct hbk_span output,
                                  size_t *out_written)
{
    return session->engine->flush(session, output, out_written);
}

enum hbk_tls_answer hbk_tls_shutdown(struct hbk_tls_session *session, struct hbk_span output,
                                     size_t *out_written)
{
    return session->engine->shutdown(session, output, out_written);
}

void hbk_tls_update_keys(struct hbk_tls_session *session)
{
    session->engine->update_keys(session);
}

const struct hbk_peer *hbk_tls_peer(const struct hbk_tls_session *session)
{
    return session->is_established ? session->peer : NULL;
}

struct hbk_tls_credential *hbk_tls_session_credential(const struct hbk_tls_session *session)
{
    return session->credential;
}

const char *hbk_tls_cipher_text(const struct hbk_tls_session *session)
{
    return session->is_established ? session->engine->cipher_text(session) : NULL;
}

struct hbk_tls_failure hbk_tls_failure(const struct hbk_tls_session *session)
{
    return (struct hbk_tls_failure){
        .status = session->failure_status,
        .alert = session->alert,
        .alert_is_received = session->alert_is_received,
        .text = session->failure_text != NULL ? session->failure_text
                                              : hbk_status_text(session->failure_status),
    };
}

uint64_t hbk_tls_job(const struct hbk_tls_session *session)
{
    (void)session;
    return 0;
}
