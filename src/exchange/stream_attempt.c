/* Attempts at an upstream: when one failed, whether another follows, and what is said if not. */
#include "exchange/stream_parts.h"

#include "base/clock.h"
#include "exchange/upstream.h"

#define RETRY_BASE_NS (25 * HBK_NS_PER_MS)
#define RETRY_MAX_FACTOR 10
/* Of a base: doubled 16 times it still fits. */
#define RETRY_LONGEST_NS (24 * 3600 * HBK_NS_PER_S)

void hbk_gw_stream_count_late_host(const struct hbk_gw_stream *stream)
{
    if (stream->endpoint != NULL) {
        hbk_gw_count(&stream->endpoint->stats[HBK_GW_E_RQ_TIMEOUT], 1);
        hbk_gw_count(&stream->endpoint->stats[HBK_GW_E_RQ_ERROR], 1);
    }
}

static bool can_retry(struct hbk_gw_stream *stream)
{
    struct hbk_gw_plan_cluster *cluster = stream->pool->cluster;
    if (stream->response_started) {
        return false;
    }
    if (stream->retries_left == 0) { /* then nothing of the body was kept, either */
        hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_RETRY_LIMIT_EXCEEDED], 1);
        stream->flags |= HBK_GW_FLAG_URX;
        return false;
    }
    if (!stream->held_is_complete) {
        return false;
    }
    if (atomic_load_explicit(&cluster->limits.retries, memory_order_relaxed) >=
        cluster->thresholds.max_retries) {
        hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_RETRY_OVERFLOW], 1);
        return false;
    }
    return true;
}

/* Lets go of the attempt and makes another after a pause of random length. */
static void retry(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_retry_policy *policy = hbk_gw_retry_policy_of(stream);
    const struct hbk_gw_retry_back_off *pause = policy->retry_back_off;
    uint64_t base_ns = pause == NULL ? RETRY_BASE_NS : pause->base_interval;
    base_ns = base_ns < RETRY_LONGEST_NS ? base_ns : RETRY_LONGEST_NS;
    uint64_t max_ns = pause == NULL || pause->max_interval == 0 ? base_ns * RETRY_MAX_FACTOR
                                                                : pause->max_interval;
    uint32_t done = policy->num_retries - stream->retries_left;
    uint64_t span_ns = base_ns << (done < 16 ? done : 16);
    span_ns = span_ns < max_ns ? span_ns : max_ns;
    stream->retries_left--;
    hbk_gw_upstream_drop(stream);
    stream->response = (struct hbk_gw_head){0};
    stream->held_sent = 0;
    stream->passed_bytes = 0;
    stream->up_request_ended = false;
    stream->is_retry = true;
    stream->flags = 0;
    stream->is_retry_counted = true;
    atomic_fetch_add_explicit(&stream->pool->cluster->limits.retries, 1, memory_order_relaxed);
    hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_RETRY], 1);
    hbk_loop_timer(stream->shard->net.loop, &stream->retry, hbk_gw_random(stream->shard) % span_ns);
}

void hbk_gw_stream_on_retry(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, retry);
    if (stream->upstream == NULL && !stream->is_waiting) {
        hbk_gw_upstream_ask(stream);
        return;
    }
    /* The time of one attempt is over. */
    hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_PER_TRY_TIMEOUT], 1);
    hbk_gw_stream_count_late_host(stream);
    if ((hbk_gw_retry_policy_of(stream)->on & (HBK_GW_RETRY_5XX | HBK_GW_RETRY_GATEWAY_ERROR)) !=
            0 &&
        can_retry(stream)) {
        retry(stream);
        return;
    }
    hbk_gw_stream_reply(stream, 504, HBK_SLICE("upstream request timeout"), HBK_GW_FLAG_UT,
                        "upstream_per_try_timeout");
}

bool hbk_gw_stream_retries_status(struct hbk_gw_stream *stream)
{
    if (hbk_gw_is_retriable_status(stream, stream->response.status) && can_retry(stream)) {
        retry(stream);
        return true;
    }
    return false;
}

static const struct {
    const char *reason;
    uint32_t flag;
    const char *details;
} failures[] = {
    [HBK_GW_FAILED_CONNECT] = {"remote connection failure", HBK_GW_FLAG_UF,
                               "upstream_reset_before_response_started{remote_connection_failure}"},
    [HBK_GW_FAILED_TIMEOUT] = {"connection timeout", HBK_GW_FLAG_UF,
                               "upstream_reset_before_response_started{connection_timeout}"},
    [HBK_GW_FAILED_OVERFLOW] = {"overflow", HBK_GW_FLAG_UO,
                                "upstream_reset_before_response_started{overflow}"},
    [HBK_GW_FAILED_REFUSED] =
        {"remote refused stream reset", HBK_GW_FLAG_UR,
         "upstream_reset_before_response_started{remote_refused_stream_reset}"},
    [HBK_GW_FAILED_RESET] = {"remote reset", HBK_GW_FLAG_UR,
                             "upstream_reset_before_response_started{remote_reset}"},
    [HBK_GW_FAILED_CLOSED] = {"connection termination", HBK_GW_FLAG_UC,
                              "upstream_reset_before_response_started{connection_termination}"},
    [HBK_GW_FAILED_PROTOCOL] = {"protocol error", HBK_GW_FLAG_UPE,
                                "upstream_reset_before_response_started{protocol_error}"},
    [HBK_GW_FAILED_DURATION] = {"", HBK_GW_FLAG_UMSDR, "upstream_max_stream_duration_reached"},
};

/* "...{reason}" becomes "...{reason|transport's_reason}", without blanks, as Envoy's logs have it.
 */
static const char *details_with(struct hbk_gw_stream *stream, const char *details, const char *text)
{
    struct hbk_slice joined =
        hbk_gw_print(&stream->arena, "%.*s|%s}", (int)strlen(details) - 1, details, text);
    char *copy = joined.bytes == NULL ? NULL : hbk_arena_string(&stream->arena, joined);
    for (char *byte = copy; byte != NULL && *byte != '\0'; byte++) {
        *byte = *byte == ' ' ? '_' : *byte;
    }
    return copy == NULL ? details : copy;
}

void hbk_gw_stream_failed(struct hbk_gw_stream *stream, enum hbk_gw_upstream_failure failure,
                          const char *text)
{
    if (stream->is_ended || stream->is_local) {
        return;
    }
    if (text != NULL) { /* it may lie in a connection that goes before the exchange is logged */
        struct hbk_slice copy = hbk_gw_print(&stream->arena, "%s", text);
        text = (const char *)copy.bytes;
    }
    stream->upstream_failure = text;
    if (stream->endpoint != NULL && !stream->response_started &&
        failure != HBK_GW_FAILED_OVERFLOW && failure != HBK_GW_FAILED_DURATION) {
        hbk_gw_count(&stream->endpoint->stats[HBK_GW_E_RQ_ERROR], 1);
    }
    if (hbk_gw_is_retriable_failure(stream, failure) && can_retry(stream)) {
        retry(stream);
        return;
    }
    if (!stream->response_started) { /* what the upstream said is no part of our own answer */
        stream->response = (struct hbk_gw_head){0};
    }
    if (failure == HBK_GW_FAILED_DURATION) {
        hbk_gw_stream_reply(stream, hbk_gw_late_status(stream),
                            HBK_SLICE("upstream max stream duration reached"),
                            failures[failure].flag, failures[failure].details);
        return;
    }
    bool is_overflow = failure == HBK_GW_FAILED_OVERFLOW;
    const char *details = failures[failure].details;
    if (text != NULL) {
        details = details_with(stream, details, text);
    }
    struct hbk_slice body = hbk_gw_print(
        &stream->arena,
        "upstream connect error or disconnect/reset before headers. %sreset reason: %s",
        stream->is_retry ? "retried and the latest " : "", failures[failure].reason);
    if (is_overflow && !stream->response_started) {
        (void)!hbk_gw_head_set(&stream->response, &stream->arena, HBK_SLICE("x-envoy-overloaded"),
                               HBK_SLICE("true"));
    }
    hbk_gw_stream_reply(stream, failure == HBK_GW_FAILED_PROTOCOL ? 502 : 503, body,
                        failures[failure].flag, details);
}
