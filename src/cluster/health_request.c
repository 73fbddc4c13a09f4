/* What an HTTP health check asks, and which statuses are good. */
#include "cluster/health_probe.h"
#include "http/message.h"

static const char *const methods[HBK_GW_HEALTH_METHODS] = {
    [HBK_GW_HEALTH_UNSPECIFIED] = "GET", [HBK_GW_HEALTH_GET] = "GET",
    [HBK_GW_HEALTH_HEAD] = "HEAD",       [HBK_GW_HEALTH_POST] = "POST",
    [HBK_GW_HEALTH_PUT] = "PUT",         [HBK_GW_HEALTH_DELETE] = "DELETE",
    [HBK_GW_HEALTH_CONNECT] = "CONNECT", [HBK_GW_HEALTH_OPTIONS] = "OPTIONS",
    [HBK_GW_HEALTH_TRACE] = "TRACE",     [HBK_GW_HEALTH_PATCH] = "PATCH",
};

static bool is_in(const struct hbk_gw_int64_range *ranges, uint32_t count, uint32_t status)
{
    for (uint32_t i = 0; i < count; i++) {
        if (status >= (uint64_t)ranges[i].start && status < (uint64_t)ranges[i].end) {
            return true;
        }
    }
    return false;
}

enum hbk_gw_check_result hbk_gw_health_judge(const struct hbk_gw_http_health_check *http,
                                             uint32_t status)
{
    bool is_good = http->expected_statuses_count == 0
                       ? status == 200
                       : is_in(http->expected_statuses, http->expected_statuses_count, status);
    return is_good ? HBK_GW_CHECK_PASSED
           : is_in(http->retriable_statuses, http->retriable_statuses_count, status)
               ? HBK_GW_CHECK_RETRIABLE
               : HBK_GW_CHECK_REFUSED;
}

/* The endpoint's own, the check's, or the cluster's name. */
static struct hbk_slice host_of(const struct hbk_gw_health_target *target)
{
    const struct hbk_gw_http_health_check *http = target->check->http_health_check;
    return target->endpoint != NULL && target->endpoint->hostname.size > 0
               ? target->endpoint->hostname
           : http->host.size > 0 ? http->host
                                 : target->cluster->name;
}

static hbk_status add_option(struct hbk_gw_head *head, struct hbk_arena *arena,
                             const struct hbk_gw_header_value_option *option)
{
    struct hbk_slice name = hbk_gw_copy_lower(arena, option->header->key);
    struct hbk_slice value = option->header->value;
    if (name.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    if (value.size == 0 && !option->keep_empty_value) {
        return HBK_OK;
    }
    bool is_there = hbk_gw_head_has(head, name);
    switch ((enum hbk_gw_append_action)option->append_action) {
    case HBK_GW_APPEND_IF_EXISTS_OR_ADD:
        return hbk_gw_head_add(head, arena, name, value);
    case HBK_GW_ADD_IF_ABSENT:
        return is_there ? HBK_OK : hbk_gw_head_add(head, arena, name, value);
    case HBK_GW_OVERWRITE_IF_EXISTS_OR_ADD:
        return hbk_gw_head_set(head, arena, name, value);
    case HBK_GW_OVERWRITE_IF_EXISTS:
        return is_there ? hbk_gw_head_set(head, arena, name, value) : HBK_OK;
    }
    HBK_UNREACHABLE();
}

/* `host` is a field like others until here, so that the configuration may change it. */
static hbk_status fill_head(const struct hbk_gw_health_target *target, struct hbk_gw_head *head,
                            struct hbk_arena *arena)
{
    const struct hbk_gw_http_health_check *http = target->check->http_health_check;
    head->method = hbk_slice_text(methods[http->method % HBK_GW_HEALTH_METHODS]);
    head->scheme = *target->security != NULL ? HBK_SLICE("https") : HBK_SLICE("http");
    head->path = http->path;
    HBK_TRY(hbk_gw_head_add(head, arena, HBK_SLICE("host"), host_of(target)));
    HBK_TRY(hbk_gw_head_add(head, arena, HBK_SLICE("user-agent"), HBK_SLICE("Hauberk/HC")));
    for (uint32_t i = 0; i < http->request_headers_to_remove_count; i++) {
        hbk_gw_head_remove(head, http->request_headers_to_remove[i]);
    }
    for (uint32_t i = 0; i < http->request_headers_to_add_count; i++) {
        HBK_TRY(add_option(head, arena, &http->request_headers_to_add[i]));
    }
    head->authority = hbk_gw_head_find(head, HBK_SLICE("host"));
    hbk_gw_head_remove(head, HBK_SLICE("host"));
    return HBK_OK;
}

static hbk_status write_http1(struct hbk_buffer *out, const struct hbk_gw_head *head, int method)
{
    HBK_TRY(hbk_buffer_print(out, "%.*s %.*s HTTP/1.1\r\nhost: %.*s\r\n",
                             HBK_SLICE_ARGS(head->method), HBK_SLICE_ARGS(head->path),
                             HBK_SLICE_ARGS(head->authority)));
    for (uint32_t i = 0; i < head->count; i++) {
        HBK_TRY(hbk_buffer_print(out, "%.*s: %.*s\r\n", HBK_SLICE_ARGS(head->fields[i].name),
                                 HBK_SLICE_ARGS(head->fields[i].value)));
    }
    bool may_have_body = method == HBK_GW_HEALTH_POST || method == HBK_GW_HEALTH_PUT ||
                         method == HBK_GW_HEALTH_PATCH || method == HBK_GW_HEALTH_OPTIONS;
    return hbk_buffer_append(out, may_have_body ? HBK_SLICE("content-length: 0\r\n\r\n")
                                                : HBK_SLICE("\r\n"));
}

static hbk_status ask_http2(struct hbk_gw_health_probe *probe, const struct hbk_gw_head *head)
{
    const struct hbk_h2_request request = {.method = head->method,
                                           .scheme = head->scheme,
                                           .authority = head->authority,
                                           .path = head->path};
    probe->stream = (struct hbk_h2_stream){0};
    return hbk_h2_open(&probe->session, &probe->stream, &request, head->fields, head->count, true);
}

hbk_status hbk_gw_health_request(struct hbk_gw_health_probe *probe)
{
    struct hbk_arena arena;
    struct hbk_gw_head head = {0};
    hbk_arena_init(&arena);
    hbk_status status = fill_head(&probe->target, &head, &arena);
    if (status == HBK_OK) {
        status = probe->has_session ? ask_http2(probe, &head)
                                    : write_http1(&probe->pipe.out, &head,
                                                  probe->target.check->http_health_check->method);
    }
    hbk_arena_fini(&arena);
    return status;
}
