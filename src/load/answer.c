#include "load/answer.h"

#include <stdio.h>

enum { STATUS_LINE_BYTES = sizeof "HTTP/1.1 200" - 1 };

hbk_status hbk_load_request_build(const struct hbk_load_plan *plan, struct hbk_buffer *out)
{
    bool has_host = false, has_agent = false;
    for (unsigned i = 0; i < plan->header_count; i++) {
        size_t colon = 0;
        (void)hbk_slice_find(plan->headers[i], ':', &colon);
        struct hbk_slice name = hbk_slice_part(plan->headers[i], 0, colon);
        has_host |= hbk_slice_equal_nocase(name, HBK_SLICE("host"));
        has_agent |= hbk_slice_equal_nocase(name, HBK_SLICE("user-agent"));
    }
    HBK_TRY(hbk_buffer_print(out, "GET %.*s HTTP/1.1\r\n", HBK_SLICE_ARGS(plan->target.path)));
    if (!has_host) {
        HBK_TRY(hbk_buffer_print(out, "Host: %.*s\r\n", HBK_SLICE_ARGS(plan->target.authority)));
    }
    if (!has_agent) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("User-Agent: hauberk/" HBK_VERSION "\r\n")));
    }
    for (unsigned i = 0; i < plan->header_count; i++) {
        HBK_TRY(hbk_buffer_print(out, "%.*s\r\n", HBK_SLICE_ARGS(plan->headers[i])));
    }
    return hbk_buffer_append(out, HBK_SLICE("\r\n"));
}

void hbk_load_message_build(uint32_t connection, uint64_t number,
                            uint8_t out[static HBK_LOAD_MESSAGE_BYTES])
{
    char text[HBK_LOAD_MESSAGE_BYTES + 1];
    snprintf(text, sizeof text, "%08x%016llx", connection, (unsigned long long)number);
    memcpy(out, text, HBK_LOAD_MESSAGE_BYTES);
}

void hbk_answer_init(struct hbk_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    hbk_buffer_init(&answer->head, HBK_LOAD_HEAD_BYTES_MAX);
}

void hbk_answer_reset(struct hbk_answer *answer)
{
    hbk_buffer_fini(&answer->head);
    answer->body_left = answer->body_bytes = 0;
    answer->head_bytes = answer->status = 0;
    answer->is_in_body = answer->is_last = false;
}

void hbk_answer_fini(struct hbk_answer *answer)
{
    hbk_buffer_fini(&answer->head);
}

/* TEMPORARY until wire/http1.h lands. */
static bool parse_head(struct hbk_answer *answer, struct hbk_slice head)
{
    uint64_t status;
    if (head.size < STATUS_LINE_BYTES || !hbk_slice_starts_with(head, HBK_SLICE("HTTP/1.")) ||
        !hbk_slice_to_u64(hbk_slice_part(head, 9, 3), 999, &status) || status < 100) {
        return false;
    }
    answer->status = (uint16_t)status;
    for (;;) {
        size_t end;
        if (!hbk_slice_find(head, '\n', &end)) {
            return true;
        }
        struct hbk_slice line = hbk_slice_part(head, 0, end);
        head = hbk_slice_part(head, end + 1, head.size);
        if (line.size > 17 &&
            hbk_slice_equal_nocase(hbk_slice_part(line, 0, 16), HBK_SLICE("content-length: "))) {
            if (!hbk_slice_to_u64(hbk_slice_part(line, 16, line.size - 17), UINT64_MAX / 2,
                                  &answer->body_bytes)) {
                return false;
            }
        }
        if (hbk_slice_equal_nocase(hbk_slice_part(line, 0, 17), HBK_SLICE("connection: close"))) {
            answer->is_last = true;
        }
    }
}

static enum hbk_answer_step read_body(struct hbk_answer *answer, struct hbk_slice bytes)
{
    if (bytes.size > answer->body_left) {
        return HBK_ANSWER_MALFORMED;
    }
    answer->body_left -= bytes.size;
    if (answer->body_left > 0) {
        return HBK_ANSWER_MORE;
    }
    return answer->is_last ? HBK_ANSWER_LAST : HBK_ANSWER_WHOLE;
}

enum hbk_answer_step hbk_answer_read(struct hbk_answer *answer, struct hbk_slice bytes)
{
    if (answer->is_in_body) {
        return read_body(answer, bytes);
    }
    const uint8_t *end = memmem(bytes.bytes, bytes.size, "\r\n\r\n", 4);
    if (end == NULL) {
        return HBK_ANSWER_MALFORMED;
    }
    answer->head_bytes = (uint32_t)(end + 4 - bytes.bytes);
    if (!parse_head(answer, hbk_slice_part(bytes, 0, answer->head_bytes))) {
        return HBK_ANSWER_MALFORMED;
    }
    answer->is_in_body = true;
    answer->body_left = answer->body_bytes;
    return read_body(answer, hbk_slice_part(bytes, answer->head_bytes, bytes.size));
}
