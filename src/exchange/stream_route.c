/* Where an exchange is led: to a cluster, or to an answer of ours. */
#include "exchange/stream_parts.h"

static uint32_t redirect_status(int code)
{
    static const uint32_t statuses[] = {301, 302, 303, 307, 308};
    return statuses[(unsigned)code % HBK_COUNT(statuses)];
}

static void redirect(struct hbk_gw_stream *stream)
{
    struct hbk_slice location = hbk_slice_of(NULL, 0);
    hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_REDIRECT], 1);
    if (hbk_gw_forward_location(stream, &location) != HBK_OK ||
        hbk_gw_head_add(&stream->response, &stream->arena, HBK_SLICE("location"), location) !=
            HBK_OK) {
        hbk_gw_stream_reply(stream, 500, HBK_SLICE(""), 0, "out_of_memory");
        return;
    }
    uint32_t status = stream->route == NULL || stream->route->redirect == NULL
                          ? 301
                          : redirect_status(stream->route->redirect->response_code);
    hbk_gw_stream_reply(stream, status, HBK_SLICE(""), 0, "direct_response");
}

static struct hbk_slice cluster_name(struct hbk_gw_stream *stream,
                                     const struct hbk_gw_route_action *action)
{
    switch ((enum hbk_gw_cluster_specifier)action->cluster_specifier) {
    case HBK_GW_CLUSTER_WEIGHTED:
        stream->weight =
            hbk_http_route_weighted(action->weighted_clusters, hbk_gw_random(stream->shard));
        return stream->weight->name;
    case HBK_GW_CLUSTER_HEADER: {
        struct hbk_slice name = hbk_slice_of(NULL, 0);
        for (uint32_t i = 0; i < stream->request.count && name.bytes == NULL; i++) {
            if (hbk_slice_equal_nocase(stream->request.fields[i].name, action->cluster_header)) {
                name = stream->request.fields[i].value;
            }
        }
        return name;
    }
    case HBK_GW_CLUSTER_NONE:
    case HBK_GW_CLUSTER_NAME:
        break;
    }
    return action->cluster;
}

static void lead_to_cluster(struct hbk_gw_stream *stream)
{
    static const uint32_t missing_status[] = {503, 404, 500};
    const struct hbk_gw_route_action *action = stream->route->route;
    struct hbk_gw_plan *plan = stream->shard->plan;
    struct hbk_gw_plan_cluster *cluster =
        hbk_gw_cluster_find(&plan->clusters, cluster_name(stream, action));
    if (cluster == NULL) {
        hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_NO_CLUSTER], 1);
        hbk_gw_stream_reply(stream,
                            missing_status[(unsigned)action->cluster_not_found_response_code % 3],
                            HBK_SLICE(""), HBK_GW_FLAG_NC, "cluster_not_found");
        return;
    }
    stream->pool = &stream->shard->pools[cluster - plan->clusters.items];
    const struct hbk_gw_retry_policy *policy = hbk_gw_retry_policy_of(stream);
    stream->retries_left = policy == NULL ? 0 : policy->num_retries;
    stream->held_is_complete = true;
    hbk_gw_duration_routed(stream);
    if (action->has_idle_timeout != 0) {
        hbk_gw_stream_start_idle(stream, action->idle_timeout);
    }
    if (hbk_gw_forward_request(stream) != HBK_OK) {
        hbk_gw_stream_reply(stream, 500, HBK_SLICE(""), 0, "request_headers_too_large");
        return;
    }
    hbk_gw_upstream_ask(stream);
}

/* RFC 9110, 10.1.1: Envoy answers for the upstream, and so do we. */
static void continue_request(struct hbk_gw_stream *stream)
{
    if (stream->expects_continue && !stream->has_continued && !stream->request_ended &&
        !stream->response_started) {
        stream->has_continued = true;
        stream->down->interim(stream);
    }
}

static bool needs_tls(const struct hbk_gw_stream *stream)
{
    return stream->host->require_tls != HBK_GW_TLS_NOT_REQUIRED &&
           !hbk_slice_equal(hbk_gw_head_find(&stream->request, HBK_SLICE("x-forwarded-proto")),
                            HBK_SLICE("https"));
}

static void find_route(struct hbk_gw_stream *stream)
{
    struct hbk_http_route_request request = {
        .method = stream->request.method,
        .scheme = stream->request.scheme,
        .authority = stream->request.authority,
        .path = stream->request.path,
        .fields = stream->request.fields,
        .field_count = stream->request.count,
        .random = hbk_gw_random(stream->shard),
    };
    stream->host = hbk_http_route_host(stream->handler->routes, request.authority);
    if (stream->host != NULL && needs_tls(stream)) {
        redirect(stream);
        return;
    }
    stream->route = stream->host == NULL ? NULL : hbk_http_route_find(stream->host, &request);
    if (stream->route == NULL) {
        hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_NO_ROUTE], 1);
        hbk_gw_stream_reply(stream, 404, HBK_SLICE(""), HBK_GW_FLAG_NR, "route_not_found");
        return;
    }
    const struct hbk_gw_direct_response *direct = stream->route->direct_response;
    switch ((enum hbk_gw_action_kind)stream->route->action) {
    case HBK_GW_ACTION_DIRECT_RESPONSE:
        hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_DIRECT_RESPONSE], 1);
        hbk_gw_stream_reply(stream, direct->status, direct->content, 0, "direct_response");
        return;
    case HBK_GW_ACTION_REDIRECT:
        redirect(stream);
        return;
    case HBK_GW_ACTION_NONE:
    case HBK_GW_ACTION_ROUTE:
        break;
    }
    lead_to_cluster(stream);
}

/* A path that is no path here, or one that its client should write in another way. */
static void answer_path(struct hbk_gw_stream *stream)
{
    static const char details[] = "path_normalization_failed";
    if (stream->path_verdict == HBK_GW_PATH_IS_REFUSED) {
        hbk_gw_stream_reply(stream, 400, HBK_SLICE(""), 0, details);
        return;
    }
    hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_PATH_REDIRECT], 1);
    hbk_status status = hbk_gw_head_add(&stream->response, &stream->arena, HBK_SLICE("location"),
                                        stream->request.path);
    hbk_gw_stream_reply(stream, status == HBK_OK ? 307 : 500, HBK_SLICE(""), 0, details);
}

void hbk_gw_stream_request(struct hbk_gw_stream *stream, bool is_last)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    stream->is_head_method = hbk_slice_equal(stream->request.method, HBK_SLICE("HEAD"));
    hbk_gw_stream_start_idle(stream, http->stream_idle_timeout);
    if (is_last) {
        hbk_gw_stream_end_request(stream);
    } else if (http->request_timeout > 0) {
        hbk_loop_timer(stream->shard->net.loop, &stream->timer, http->request_timeout);
    }
    hbk_status arrived = hbk_gw_forward_arrived(stream);
    if (arrived == HBK_INVALID) {
        hbk_gw_stream_reply(stream, 400, HBK_SLICE("Bad Request"), HBK_GW_FLAG_DPE,
                            "http1.connection_header_rejected");
        return;
    }
    if (arrived != HBK_OK) {
        hbk_gw_stream_reply(stream, 431, HBK_SLICE(""), 0, "request_headers_too_large");
        return;
    }
    if (stream->request.path.size == 0 || stream->request.path.bytes[0] != '/') {
        hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_NON_RELATIVE_PATH], 1);
        hbk_gw_stream_reply(stream, 404, HBK_SLICE(""), 0, "absolute_path_rejected");
        return;
    }
    if (stream->path_verdict != HBK_GW_PATH_GOES_ON) {
        answer_path(stream);
        return;
    }
    find_route(stream);
    if (!stream->is_ended) {
        /* The time of a route is known only now. */
        if (stream->request_ended) {
            hbk_gw_stream_end_request(stream);
        }
        continue_request(stream);
    }
}
