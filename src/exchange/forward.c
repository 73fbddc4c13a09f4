/*
 * What becomes of heads on their way through: the fields that a proxy adds, those that stop here,
 * and what routes change. The order of changes is Envoy's: from the most specific place (weighted
 * cluster, route, virtual host, route configuration) outwards, in each place removals first.
 */
#include <stdio.h>

#include "base/clock.h"
#include "exchange/downstream.h"
#include "exchange/stream.h"

enum { PATH_BYTES_MAX = 64 * 1024, UUID_BYTES = 36, VALUE_BYTES_MAX = 16384, LEVELS = 4 };

/* ---- authority and path ---- */

static struct hbk_slice split_port(struct hbk_slice authority, uint64_t *out_port)
{
    for (size_t i = authority.size; i > 0; i--) {
        uint8_t byte = authority.bytes[i - 1];
        if (byte == ':' &&
            hbk_slice_to_u64(hbk_slice_part(authority, i, authority.size), 65535, out_port)) {
            return hbk_slice_part(authority, 0, i - 1);
        }
        if (byte < '0' || byte > '9') {
            break;
        }
    }
    *out_port = 0;
    return authority;
}

static void strip_port(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    uint64_t port = 0;
    struct hbk_slice host = split_port(stream->request.authority, &port);
    bool is_own = stream->connection != NULL && port == stream->connection->local.port;
    if (port != 0 && (http->strip_any_host_port || (http->strip_matching_host_port && is_own))) {
        stream->request.authority = host;
    }
    struct hbk_slice *authority = &stream->request.authority;
    if (http->strip_trailing_host_dot && authority->size > 0 &&
        authority->bytes[authority->size - 1] == '.') {
        authority->size--;
    }
}

/* ---- where the request comes from ---- */

static hbk_status set_request_id(struct hbk_gw_stream *stream, bool is_edge)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    bool is_there = hbk_gw_head_has(&stream->request, HBK_SLICE("x-request-id"));
    if (!http->generate_request_id ||
        (is_there && (!is_edge || http->preserve_external_request_id))) {
        return HBK_OK;
    }
    uint64_t a = hbk_gw_random(stream->shard);
    uint64_t b = hbk_gw_random(stream->shard);
    struct hbk_slice id = hbk_gw_print(&stream->arena, "%08x-%04x-4%03x-%04x-%012llx",
                                       (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
                                       (unsigned)(a & 0xfff), (unsigned)(b >> 48 & 0x3fff) | 0x8000,
                                       (unsigned long long)(b & 0xffffffffffff));
    return hbk_gw_head_set(&stream->request, &stream->arena, HBK_SLICE("x-request-id"), id);
}

/* Fields that only Envoys inside may set; a stranger's are not believed. */
static void remove_inner_fields(struct hbk_gw_stream *stream)
{
    static const char *const names[] = {"x-envoy-decorator-operation",
                                        "x-envoy-downstream-service-cluster",
                                        "x-envoy-downstream-service-node",
                                        "x-envoy-retry-on",
                                        "x-envoy-retry-grpc-on",
                                        "x-envoy-max-retries",
                                        "x-envoy-upstream-alt-stat-name",
                                        "x-envoy-upstream-rq-timeout-ms",
                                        "x-envoy-upstream-rq-per-try-timeout-ms",
                                        "x-envoy-upstream-rq-timeout-alt-response",
                                        "x-envoy-expected-rq-timeout-ms",
                                        "x-envoy-force-trace",
                                        "x-envoy-ip-tags",
                                        "x-envoy-original-url",
                                        "x-envoy-hedge-on-per-try-timeout",
                                        "x-envoy-internal",
                                        "x-envoy-external-address"};
    const struct hbk_gw_route_configuration *routes = stream->handler->http->route_config;
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        hbk_gw_head_remove(&stream->request, hbk_slice_text(names[i]));
    }
    for (uint32_t i = 0; i < routes->internal_only_headers_count; i++) {
        hbk_gw_head_remove(&stream->request, routes->internal_only_headers[i]);
    }
}

/* The address that stands `hops` before the last in X-Forwarded-For; false: too few are there, or
 * it is none. The lines are joined. */
static bool find_forwarded(const struct hbk_gw_stream *stream, uint32_t hops, struct hbk_ip *out_ip)
{
    struct hbk_slice list = hbk_gw_head_find(&stream->request, HBK_SLICE("x-forwarded-for"));
    size_t end = list.size;
    size_t start = end;
    for (;; end = start - 1) {
        for (start = end; start > 0 && list.bytes[start - 1] != ','; start--) {
        }
        if (hops == 0) {
            return end > 0 &&
                   hbk_ip_parse(hbk_gw_trim(hbk_slice_part(list, start, end - start)), out_ip);
        }
        if (start == 0) {
            return false;
        }
        hops--;
    }
}

/* As many proxies before us are believed as the configuration says; without use_remote_address one
 * more, which is us to the one behind. */
static hbk_status find_remote(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    struct hbk_ip ip;
    HBK_TRY(hbk_gw_head_join(&stream->request, &stream->arena, HBK_SLICE("x-forwarded-for"),
                             HBK_SLICE(",")));
    stream->remote = stream->connection->peer;
    if (http->use_remote_address && http->xff_num_trusted_hops == 0) {
        return HBK_OK;
    }
    if (find_forwarded(stream, http->xff_num_trusted_hops - (http->use_remote_address ? 1 : 0),
                       &ip)) {
        stream->remote = (struct hbk_address){.ip = ip};
    }
    return HBK_OK;
}

static hbk_status append_forwarded_for(struct hbk_gw_stream *stream)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_arena *arena = &stream->arena;
    struct hbk_slice name = HBK_SLICE("x-forwarded-for");
    struct hbk_slice peer =
        hbk_gw_copy(arena, hbk_slice_text(hbk_ip_text(&stream->connection->peer.ip, text)));
    struct hbk_slice before = hbk_gw_head_find(&stream->request, name);
    if (before.bytes == NULL || before.size == 0) {
        return hbk_gw_head_set(&stream->request, arena, name, peer);
    }
    struct hbk_span joined = hbk_arena_bytes(arena, before.size + 1 + peer.size);
    if (joined.bytes == NULL || peer.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy(joined.bytes, before.bytes, before.size);
    joined.bytes[before.size] = ',';
    memcpy(joined.bytes + before.size + 1, peer.bytes, peer.size);
    return hbk_gw_head_set(&stream->request, arena, name, hbk_slice_of(joined.bytes, joined.size));
}

static hbk_status note_origin(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    struct hbk_gw_head *head = &stream->request;
    struct hbk_arena *arena = &stream->arena;
    struct hbk_slice proto_name = HBK_SLICE("x-forwarded-proto");
    bool is_edge = http->use_remote_address;
    HBK_TRY(find_remote(stream));
    if (is_edge) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        remove_inner_fields(stream);
        if (!http->skip_xff_append) {
            HBK_TRY(append_forwarded_for(stream));
        }
        if (http->xff_num_trusted_hops == 0) {
            hbk_gw_head_remove(head, proto_name);
        }
        HBK_TRY(hbk_gw_head_set(
            head, arena, HBK_SLICE("x-envoy-external-address"),
            hbk_gw_copy(arena, hbk_slice_text(hbk_ip_text(&stream->remote.ip, text)))));
    }
    if (!hbk_gw_head_has(head, proto_name)) {
        HBK_TRY(hbk_gw_head_add(head, arena, proto_name, stream->request.scheme));
    }
    return set_request_id(stream, is_edge);
}

hbk_status hbk_gw_forward_arrived(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    if (!hbk_gw_head_strip(&stream->request)) {
        return HBK_INVALID;
    }
    hbk_gw_head_remove(&stream->request, HBK_SLICE("expect"));
    hbk_gw_head_remove(&stream->request, HBK_SLICE("x-envoy-internal")); /* for us to say */
    strip_port(stream);
    bool is_secure = stream->connection != NULL && stream->connection->pipe.has_tls;
    stream->request.scheme = is_secure ? HBK_SLICE("https") : HBK_SLICE("http");
    if (stream->request.path.size > 0 && stream->request.path.bytes[0] == '/') {
        HBK_TRY(
            hbk_gw_path_settle(http, &stream->arena, &stream->request.path, &stream->path_verdict));
    }
    HBK_TRY(note_origin(stream));
    return hbk_gw_forward_certificate(stream);
}

/* ---- changes by configuration ---- */

static hbk_status value_of(const struct hbk_gw_stream *stream, struct hbk_arena *arena,
                           const struct hbk_gw_header_value_option *option,
                           struct hbk_slice *out_value)
{
    const struct hbk_gw_format *format = hbk_gw_plan_format(stream->shard->plan, option);
    if (format == NULL) {
        *out_value = option->header->value;
        return HBK_OK;
    }
    struct hbk_gw_info info;
    struct hbk_buffer text;
    hbk_gw_stream_info(stream, &info);
    hbk_buffer_init(&text, VALUE_BYTES_MAX);
    hbk_status status = hbk_gw_format_write(format, &info, HBK_SLICE("-"), &text);
    if (status == HBK_OK) {
        *out_value = hbk_gw_copy(arena, hbk_buffer_slice(&text));
        status = out_value->bytes == NULL ? HBK_NO_MEMORY : HBK_OK;
    }
    hbk_buffer_fini(&text);
    return status;
}

static hbk_status add_fields(struct hbk_gw_stream *stream, struct hbk_gw_head *head,
                             const struct hbk_gw_header_value_option *options, uint32_t count)
{
    struct hbk_arena *arena = &stream->arena;
    for (uint32_t i = 0; i < count; i++) {
        struct hbk_slice value;
        struct hbk_slice name = hbk_gw_copy_lower(arena, options[i].header->key);
        HBK_TRY(value_of(stream, arena, &options[i], &value));
        if (name.bytes == NULL) {
            return HBK_NO_MEMORY;
        }
        if (value.size == 0 && !options[i].keep_empty_value) {
            continue;
        }
        bool is_there = hbk_gw_head_has(head, name);
        switch ((enum hbk_gw_append_action)options[i].append_action) {
        case HBK_GW_APPEND_IF_EXISTS_OR_ADD:
            HBK_TRY(hbk_gw_head_add(head, arena, name, value));
            break;
        case HBK_GW_ADD_IF_ABSENT:
            HBK_TRY(is_there ? HBK_OK : hbk_gw_head_add(head, arena, name, value));
            break;
        case HBK_GW_OVERWRITE_IF_EXISTS_OR_ADD:
            HBK_TRY(hbk_gw_head_set(head, arena, name, value));
            break;
        case HBK_GW_OVERWRITE_IF_EXISTS:
            HBK_TRY(is_there ? hbk_gw_head_set(head, arena, name, value) : HBK_OK);
            break;
        }
    }
    return HBK_OK;
}

static void remove_fields(struct hbk_gw_head *head, const struct hbk_slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        hbk_gw_head_remove(head, names[i]);
    }
}

/* The places that change headers, in the order in which they do. NULL entries are passed over. */
static void list_changes(const struct hbk_gw_stream *stream,
                         const struct hbk_gw_header_changes *out_changes[static LEVELS])
{
    const struct hbk_gw_route_configuration *routes = stream->handler->http->route_config;
    const struct hbk_gw_header_changes *changes[LEVELS] = {
        stream->weight == NULL ? NULL : &stream->weight->headers,
        stream->route == NULL ? NULL : &stream->route->headers,
        stream->host == NULL ? NULL : &stream->host->headers,
        stream->host == NULL ? NULL : &routes->headers,
    };
    for (size_t i = 0; i < LEVELS; i++) {
        out_changes[i] = changes[routes->most_specific_header_mutations_wins ? LEVELS - 1 - i : i];
    }
}

static hbk_status change_request(struct hbk_gw_stream *stream, struct hbk_gw_head *head)
{
    const struct hbk_gw_header_changes *changes[LEVELS];
    list_changes(stream, changes);
    for (size_t i = 0; i < LEVELS; i++) {
        if (changes[i] != NULL) {
            remove_fields(head, changes[i]->request_headers_to_remove,
                          changes[i]->request_headers_to_remove_count);
            HBK_TRY(add_fields(stream, head, changes[i]->request_headers_to_add,
                               changes[i]->request_headers_to_add_count));
        }
    }
    return HBK_OK;
}

static hbk_status change_response(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_header_changes *changes[LEVELS];
    list_changes(stream, changes);
    for (size_t i = 0; i < LEVELS; i++) {
        if (changes[i] != NULL) {
            remove_fields(&stream->response, changes[i]->response_headers_to_remove,
                          changes[i]->response_headers_to_remove_count);
            HBK_TRY(add_fields(stream, &stream->response, changes[i]->response_headers_to_add,
                               changes[i]->response_headers_to_add_count));
        }
    }
    return HBK_OK;
}

/* ---- towards the upstream ---- */

static const struct hbk_gw_router *router_of(const struct hbk_gw_stream *stream)
{
    return stream->handler->http->http_filters[0].typed_config.message;
}

static hbk_status rewrite_path(struct hbk_gw_stream *stream)
{
    struct hbk_gw_head *head = &stream->sent;
    struct hbk_slice rewrite = stream->route->route->prefix_rewrite;
    if (rewrite.size == 0) {
        return HBK_OK;
    }
    struct hbk_span room = hbk_arena_bytes(&stream->arena, rewrite.size + head->path.size);
    if (room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    size_t size = hbk_http_route_rewrite(stream->route, head->path, rewrite, room);
    if (size == 0) {
        return HBK_OK;
    }
    stream->original_path = head->path;
    if (!router_of(stream)->suppress_envoy_headers) {
        HBK_TRY(
            hbk_gw_head_set(head, &stream->arena, HBK_SLICE("x-envoy-original-path"), head->path));
    }
    head->path = hbk_slice_of(room.bytes, size);
    return HBK_OK;
}

/* A list of one line, as Envoy has it; a host that stands last in it is not repeated. */
static hbk_status append_forwarded_host(struct hbk_gw_head *head, struct hbk_arena *arena)
{
    struct hbk_slice name = HBK_SLICE("x-forwarded-host");
    HBK_TRY(hbk_gw_head_join(head, arena, name, HBK_SLICE(",")));
    struct hbk_slice list = hbk_gw_head_find(head, name);
    size_t start = list.size;
    for (; start > 0 && list.bytes[start - 1] != ','; start--) {
    }
    struct hbk_slice last = hbk_slice_part(list, start, list.size);
    if (list.size > 0 && hbk_slice_equal(last, head->authority)) {
        return HBK_OK;
    }
    HBK_TRY(hbk_gw_head_add(head, arena, name, head->authority));
    return hbk_gw_head_join(head, arena, name, HBK_SLICE(","));
}

/* Says which host was asked for where the configuration wants it. */
static hbk_status replace_authority(struct hbk_gw_stream *stream, struct hbk_slice authority)
{
    struct hbk_gw_head *head = &stream->sent;
    if (!router_of(stream)->suppress_envoy_headers) {
        HBK_TRY(hbk_gw_head_set(head, &stream->arena, HBK_SLICE("x-envoy-original-host"),
                                head->authority));
    }
    if (stream->route->route->append_x_forwarded_host) {
        HBK_TRY(append_forwarded_host(head, &stream->arena));
    }
    head->authority = authority;
    return HBK_OK;
}

hbk_status hbk_gw_forward_to_host(struct hbk_gw_stream *stream, struct hbk_slice hostname)
{
    if (stream->route->route->host_rewrite != HBK_GW_HOST_AUTO || hostname.size == 0) {
        return HBK_OK;
    }
    if (stream->has_hostname) { /* of an attempt before */
        stream->sent.authority = hostname;
        return HBK_OK;
    }
    HBK_TRY(replace_authority(stream, hostname));
    stream->has_hostname = true;
    return HBK_OK;
}

static hbk_status rewrite_host(struct hbk_gw_stream *stream)
{
    struct hbk_gw_head *head = &stream->sent;
    const struct hbk_gw_route_action *action = stream->route->route;
    struct hbk_slice authority = hbk_slice_of(NULL, 0);
    if (stream->weight != NULL && stream->weight->host_rewrite_literal.size > 0) {
        authority = stream->weight->host_rewrite_literal;
    } else if (action->host_rewrite == HBK_GW_HOST_LITERAL) {
        authority = action->host_rewrite_literal;
    } else if (action->host_rewrite == HBK_GW_HOST_HEADER) {
        struct hbk_slice name = hbk_gw_copy_lower(&stream->arena, action->host_rewrite_header);
        authority = hbk_gw_head_find(head, name);
    }
    return authority.size == 0 ? HBK_OK : replace_authority(stream, authority);
}

hbk_status hbk_gw_forward_request(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_route_action *action = stream->route->route;
    struct hbk_gw_head *head = &stream->sent;
    struct hbk_arena *arena = &stream->arena;
    *head = stream->request;
    head->capacity =
        head->count; /* the request's own fields stay for the log: added ones go to a copy */
    head->fields = hbk_arena_array(arena, (size_t)head->count + 8, sizeof *head->fields);
    if (head->fields == NULL) {
        return HBK_NO_MEMORY;
    }
    head->capacity = head->count + 8;
    if (head->count > 0) {
        memcpy(head->fields, stream->request.fields, head->count * sizeof *head->fields);
    }
    HBK_TRY(change_request(stream, head));
    HBK_TRY(rewrite_path(stream));
    HBK_TRY(rewrite_host(stream));
    if (stream->handler->http->via.size > 0) {
        HBK_TRY(hbk_gw_head_add(head, arena, HBK_SLICE("via"), stream->handler->http->via));
    }
    if (!router_of(stream)->suppress_envoy_headers && action->timeout > 0) {
        HBK_TRY(hbk_gw_head_set(
            head, arena, HBK_SLICE("x-envoy-expected-rq-timeout-ms"),
            hbk_gw_print(arena, "%llu", (unsigned long long)(action->timeout / HBK_NS_PER_MS))));
    }
    if (stream->host->include_request_attempt_count) {
        HBK_TRY(hbk_gw_head_set(head, arena, HBK_SLICE("x-envoy-attempt-count"),
                                hbk_gw_print(arena, "%u", stream->attempts + 1)));
    }
    return HBK_OK;
}

/* ---- back to the client ---- */

static hbk_status set_server(struct hbk_gw_stream *stream)
{
    int transformation = stream->handler->http->server_header_transformation;
    bool is_there = hbk_gw_head_has(&stream->response, HBK_SLICE("server"));
    if (transformation == 2 || (transformation == 1 && is_there)) {
        return HBK_OK;
    }
    return hbk_gw_head_set(&stream->response, &stream->arena, HBK_SLICE("server"),
                           stream->handler->server_name);
}

hbk_status hbk_gw_forward_response(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    struct hbk_gw_head *head = &stream->response;
    struct hbk_arena *arena = &stream->arena;
    uint64_t now_ns = stream->shard->net.loop->now_ns;
    uint64_t since_ns = stream->request_ns == 0 ? stream->start_ns : stream->request_ns;
    uint64_t service_ms = (now_ns - since_ns) / HBK_NS_PER_MS;
    if (!stream->is_local && stream->pool != NULL) {
        hbk_gw_histogram_record(&stream->pool->request_ms, service_ms);
    }
    if (!stream->is_local && !router_of(stream)->suppress_envoy_headers) {
        HBK_TRY(hbk_gw_head_set(head, arena, HBK_SLICE("x-envoy-upstream-service-time"),
                                hbk_gw_print(arena, "%llu", (unsigned long long)service_ms)));
    }
    if (stream->host != NULL && stream->host->include_attempt_count_in_response) {
        HBK_TRY(hbk_gw_head_set(head, arena, HBK_SLICE("x-envoy-attempt-count"),
                                hbk_gw_print(arena, "%u", stream->attempts)));
    }
    HBK_TRY(change_response(stream));
    if (!hbk_gw_head_has(head, HBK_SLICE("date"))) {
        HBK_TRY(hbk_gw_head_add(head, arena, HBK_SLICE("date"),
                                hbk_gw_copy(arena, hbk_gw_date(stream->shard))));
    }
    HBK_TRY(set_server(stream));
    if (http->via.size > 0) {
        HBK_TRY(hbk_gw_head_add(head, arena, HBK_SLICE("via"), http->via));
    }
    if (http->always_set_request_id_in_response) {
        struct hbk_slice id = hbk_gw_head_find(&stream->request, HBK_SLICE("x-request-id"));
        HBK_TRY(id.bytes == NULL ? HBK_OK
                                 : hbk_gw_head_set(head, arena, HBK_SLICE("x-request-id"), id));
    }
    return HBK_OK;
}

/* ---- redirects ---- */

static struct hbk_slice redirect_path(struct hbk_gw_stream *stream,
                                      const struct hbk_gw_redirect_action *action)
{
    struct hbk_slice path = stream->request.path;
    size_t end = path.size;
    bool has_query = hbk_slice_find(path, '?', &end);
    if (action->strip_query && has_query) {
        path = hbk_slice_part(path, 0, end);
    }
    if (action->path_rewrite_specifier == HBK_GW_REDIRECT_PATH) {
        size_t mark = 0;
        struct hbk_slice query = hbk_slice_part(path, end, path.size);
        struct hbk_slice fresh = action->path_redirect;
        /* The path may bring its own query; else the request's goes along. */
        return hbk_slice_find(fresh, '?', &mark) || query.size == 0
                   ? fresh
                   : hbk_gw_print(&stream->arena, "%.*s%.*s", HBK_SLICE_ARGS(fresh),
                                  HBK_SLICE_ARGS(query));
    }
    if (action->path_rewrite_specifier == HBK_GW_REDIRECT_PREFIX) {
        struct hbk_span room =
            hbk_arena_bytes(&stream->arena, action->prefix_rewrite.size + path.size);
        size_t size = room.bytes == NULL ? 0
                                         : hbk_http_route_rewrite(stream->route, path,
                                                                  action->prefix_rewrite, room);
        return size == 0 ? path : hbk_slice_of(room.bytes, size);
    }
    return path;
}

hbk_status hbk_gw_forward_location(struct hbk_gw_stream *stream, struct hbk_slice *out_location)
{
    static const struct hbk_gw_redirect_action to_tls = {.https_redirect = true};
    const struct hbk_gw_redirect_action *action =
        stream->route == NULL ? &to_tls : stream->route->redirect;
    struct hbk_slice scheme = stream->request.scheme;
    struct hbk_slice proto = hbk_gw_head_find(&stream->request, HBK_SLICE("x-forwarded-proto"));
    uint64_t port = 0;
    scheme = proto.size > 0 ? proto : scheme;
    struct hbk_slice target_scheme = action->https_redirect             ? HBK_SLICE("https")
                                     : action->scheme_redirect.size > 0 ? action->scheme_redirect
                                                                        : scheme;
    struct hbk_slice host =
        action->host_redirect.size > 0 ? action->host_redirect : stream->request.authority;
    bool is_default_port = false;
    struct hbk_slice bare = split_port(host, &port);
    if (port != 0 && action->host_redirect.size == 0) {
        is_default_port = (port == 80 && hbk_slice_equal(scheme, HBK_SLICE("http")) &&
                           hbk_slice_equal(target_scheme, HBK_SLICE("https"))) ||
                          (port == 443 && hbk_slice_equal(scheme, HBK_SLICE("https")) &&
                           hbk_slice_equal(target_scheme, HBK_SLICE("http")));
    }
    if (action->port_redirect > 0 || is_default_port) {
        host = bare;
    }
    struct hbk_slice path = redirect_path(stream, action);
    size_t room_bytes = target_scheme.size + host.size + path.size + sizeof "://:65535";
    struct hbk_span room = hbk_arena_bytes(&stream->arena, room_bytes);
    if (room.bytes == NULL || path.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    int size =
        action->port_redirect > 0
            ? snprintf((char *)room.bytes, room.size, "%.*s://%.*s:%u%.*s",
                       HBK_SLICE_ARGS(target_scheme), HBK_SLICE_ARGS(host), action->port_redirect,
                       HBK_SLICE_ARGS(path))
            : snprintf((char *)room.bytes, room.size, "%.*s://%.*s%.*s",
                       HBK_SLICE_ARGS(target_scheme), HBK_SLICE_ARGS(host), HBK_SLICE_ARGS(path));
    *out_location = hbk_slice_of(room.bytes, size < 0 ? 0 : (size_t)size);
    return HBK_OK;
}
