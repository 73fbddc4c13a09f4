#include "admin/request.h"

static enum hbk_admin_parse refused(struct hbk_admin_parsed *out_parsed, unsigned status)
{
    *out_parsed = (struct hbk_admin_parsed){.status = status};
    return HBK_ADMIN_PARSE_REFUSED;
}

static enum hbk_admin_method method_of(struct hbk_slice text)
{
    if (hbk_slice_equal(text, HBK_SLICE("GET")) || hbk_slice_equal(text, HBK_SLICE("HEAD"))) {
        return HBK_ADMIN_GET;
    }
    return hbk_slice_equal(text, HBK_SLICE("POST")) ? HBK_ADMIN_POST : HBK_ADMIN_OTHER;
}

/* Why a head that is well formed is not for us; 0: it is. */
static unsigned refusal_of(const struct hbk_http1_request *head)
{
    if (head->target.size == 0 || head->target.bytes[0] != '/') {
        return 400; /* we are no proxy */
    }
    if (head->body.kind == HBK_HTTP1_CHUNKED) {
        return 411;
    }
    return head->body.kind == HBK_HTTP1_LENGTH && head->body.left_bytes > HBK_ADMIN_BODY_BYTES_MAX
               ? 413
               : 0;
}

static struct hbk_admin_parsed parsed_of(const struct hbk_http1_request *head)
{
    size_t path_bytes = head->target.size;
    (void)hbk_slice_find(head->target, '?', &path_bytes);
    struct hbk_admin_parsed parsed = {
        .request = {.method = method_of(head->method),
                    .target = head->target,
                    .path = hbk_slice_part(head->target, 0, path_bytes),
                    .query = hbk_slice_part(head->target, path_bytes + 1, head->target.size)},
        .is_head = hbk_slice_equal(head->method, HBK_SLICE("HEAD")),
        .is_persistent = head->is_keep_alive,
        .size_bytes = head->head_bytes,
    };
    if (head->body.kind == HBK_HTTP1_LENGTH) {
        parsed.size_bytes += (size_t)head->body.left_bytes;
    }
    struct hbk_slice accept;
    if (hbk_http1_find_field(head->fields, head->field_count, HBK_SLICE("accept"), &accept)) {
        parsed.request.accept = accept;
    }
    return parsed;
}

enum hbk_admin_parse hbk_admin_parse(struct hbk_http1_reader *reader, struct hbk_slice input,
                                     struct hbk_admin_parsed *out_parsed)
{
    struct hbk_http1_request head;
    struct hbk_slice start = hbk_slice_part(input, 0, HBK_ADMIN_HEAD_BYTES_MAX);
    switch (hbk_http1_read_request(reader, start, &head)) {
    case HBK_HTTP1_NEED_MORE:
        return start.size < HBK_ADMIN_HEAD_BYTES_MAX ? HBK_ADMIN_PARSE_MORE
                                                     : refused(out_parsed, 431);
    case HBK_HTTP1_INVALID:
        return refused(out_parsed, reader->fault_status);
    case HBK_HTTP1_READY:
        break;
    }
    unsigned status = refusal_of(&head);
    if (status != 0) {
        return refused(out_parsed, status);
    }
    struct hbk_admin_parsed parsed = parsed_of(&head);
    if (input.size < parsed.size_bytes) {
        return HBK_ADMIN_PARSE_MORE;
    }
    *out_parsed = parsed;
    return HBK_ADMIN_PARSE_DONE;
}
