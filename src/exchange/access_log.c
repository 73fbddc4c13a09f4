/*
 * Access logs: a line is written into a buffer of the worker and leaves it with others, when 64 KiB
 * have gathered or the flush interval is over. Each write holds whole lines, and the file is opened
 * for appending, so lines of several workers never mix.
 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "exchange/shard.h"

enum { FLUSH_BYTES = 64 << 10, BUFFER_BYTES_MAX = 1 << 20 };

static bool compare(int op, uint64_t found, uint64_t wanted)
{
    switch ((enum hbk_gw_comparison)op) {
    case HBK_GW_EQUAL:
        return found == wanted;
    case HBK_GW_AT_LEAST:
        return found >= wanted;
    case HBK_GW_AT_MOST:
        return found <= wanted;
    case HBK_GW_NOT_EQUAL:
        return found != wanted;
    }
    return false;
}

static bool passes_flags(const struct hbk_gw_flag_filter *filter, uint32_t flags)
{
    for (uint32_t i = 0; i < filter->flags_count; i++) {
        if ((flags & hbk_gw_flag_from_text(filter->flags[i])) != 0) {
            return true;
        }
    }
    return filter->flags_count == 0 && flags != 0;
}

static bool passes(const struct hbk_gw_log_filter *filter, const struct hbk_gw_info *info);

/* The depth of filters is bounded by that of the configuration's YAML. */
static bool passes_many(const struct hbk_gw_log_filters *filters, const struct hbk_gw_info *info,
                        bool is_or)
{
    for (uint32_t i = 0; i < filters->filters_count; i++) {
        if (passes(&filters->filters[i], info) == is_or) {
            return is_or;
        }
    }
    return !is_or;
}

static bool passes(const struct hbk_gw_log_filter *filter, const struct hbk_gw_info *info)
{
    switch ((enum hbk_gw_log_filter_kind)filter->specifier) {
    case HBK_GW_LOG_FILTER_NONE:
    case HBK_GW_LOG_FILTER_NOT_HEALTH_CHECK: /* there is no health check filter */
        return true;
    case HBK_GW_LOG_FILTER_STATUS:
        return compare(filter->status_code_filter->comparison->op, info->status,
                       filter->status_code_filter->comparison->value->default_value);
    case HBK_GW_LOG_FILTER_DURATION:
        return compare(filter->duration_filter->comparison->op, info->duration_ns / HBK_NS_PER_MS,
                       filter->duration_filter->comparison->value->default_value);
    case HBK_GW_LOG_FILTER_HEADER:
        return info->request != NULL &&
               hbk_http_route_match_header(filter->header_filter->header, info->request->fields,
                                           info->request->count);
    case HBK_GW_LOG_FILTER_FLAG:
        return passes_flags(filter->response_flag_filter, info->flags);
    case HBK_GW_LOG_FILTER_AND:
        return passes_many(filter->and_filter, info, false);
    case HBK_GW_LOG_FILTER_OR:
        return passes_many(filter->or_filter, info, true);
    }
    return true;
}

static void flush_one(struct hbk_gw_shard *shard, unsigned index)
{
    struct hbk_gw_log_buffer *buffer = &shard->logs[index];
    struct hbk_slice text = hbk_buffer_slice(&buffer->text);
    while (text.size > 0) {
        ssize_t size = write(shard->plan->logs[index].fd, text.bytes, text.size);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            hbk_gw_count(&shard->log_write_failed, 1); /* a full disk loses lines, never requests */
            break;
        }
        text = hbk_slice_part(text, (size_t)size, text.size);
    }
    hbk_buffer_clear(&buffer->text);
}

void hbk_gw_log_flush(struct hbk_gw_shard *shard)
{
    for (uint32_t i = 0; shard->logs != NULL && i < shard->plan->log_count; i++) {
        flush_one(shard, i);
    }
}

static hbk_status write_json(const struct hbk_gw_log *log, const struct hbk_gw_info *info,
                             struct hbk_buffer *out)
{
    struct hbk_json json = hbk_json_to(out, false);
    hbk_json_begin_object(&json, NULL);
    for (uint32_t i = 0; i < log->field_count; i++) {
        HBK_TRY(hbk_gw_format_write_json(log->fields[i].format, info, log->fields[i].key, &json));
    }
    hbk_json_end_object(&json);
    HBK_TRY(json.status);
    return hbk_buffer_append(out, HBK_SLICE("\n"));
}

void hbk_gw_log_write(struct hbk_gw_shard *shard, const struct hbk_gw_log_list *list,
                      const struct hbk_gw_info *info)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct hbk_gw_log *log = list->items[i];
        struct hbk_gw_log_buffer *buffer = &shard->logs[log->index];
        if (log->config->filter != NULL && !passes(log->config->filter, info)) {
            continue;
        }
        if (buffer->text.size_max == 0) {
            hbk_buffer_init(&buffer->text, BUFFER_BYTES_MAX);
        }
        size_t before = hbk_buffer_size(&buffer->text);
        hbk_status status =
            log->text == NULL
                ? write_json(log, info, &buffer->text)
                : hbk_gw_format_write(log->text, info,
                                      log->omits_empty ? HBK_SLICE("") : HBK_SLICE("-"),
                                      &buffer->text);
        if (status != HBK_OK) {
            buffer->text.end = buffer->text.start + before; /* no half lines */
            hbk_gw_count(&shard->log_write_failed, 1);
        }
        if (hbk_buffer_size(&buffer->text) >= FLUSH_BYTES) {
            flush_one(shard, log->index);
        }
        if (!hbk_timer_is_set(&shard->log_timer)) {
            hbk_loop_timer(shard->net.loop, &shard->log_timer, shard->plan->log_flush_ns);
        }
    }
}
