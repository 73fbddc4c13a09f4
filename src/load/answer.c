/*
 * Of the user time of a kept-alive request two fifths went into parsing a head that says what the
 * last one said. A head that is equal to the last one, byte for byte, is therefore not parsed
 * again.
 */
#include "load/answer.h"

#include <string.h>

/* The last 1xx that is followed by no other head. We never ask for it. */
enum { STATUS_SWITCHING_PROTOCOLS = 101 };

void hbk_answer_init(struct hbk_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    hbk_buffer_init(&answer->held, HBK_LOAD_HELD_BYTES_MAX);
}

void hbk_answer_reset(struct hbk_answer *answer)
{
    hbk_buffer_fini(&answer->held);
    answer->expected = hbk_slice_of(NULL, 0);
    answer->reader = (struct hbk_http1_reader){0};
    answer->body_bytes = 0;
    answer->head_bytes = 0;
    answer->interim_count = 0;
    answer->is_in_body = false;
}

void hbk_answer_expect(struct hbk_answer *answer, struct hbk_slice message)
{
    hbk_answer_reset(answer);
    answer->expected = message;
}

static enum hbk_answer_step fault(struct hbk_answer *answer, const char *text)
{
    answer->fault = text;
    return HBK_ANSWER_MALFORMED;
}

static enum hbk_answer_step read_echo(struct hbk_answer *answer, struct hbk_slice bytes)
{
    if (!hbk_slice_starts_with(answer->expected, bytes)) {
        return fault(answer, "the echo is not what was sent");
    }
    answer->body_bytes += bytes.size;
    answer->expected = hbk_slice_part(answer->expected, bytes.size, answer->expected.size);
    answer->status = 200; /* as Fortio does, so that both kinds of runs are counted alike */
    return answer->expected.size > 0 ? HBK_ANSWER_MORE : HBK_ANSWER_WHOLE;
}

static enum hbk_answer_step read_body(struct hbk_answer *answer, struct hbk_slice bytes)
{
    struct hbk_slice data;
    if (answer->body.kind == HBK_HTTP1_LENGTH && answer->body.left_bytes == bytes.size) {
        answer->body_bytes += bytes.size; /* as most bodies come: whole, or the whole rest */
        return answer->is_keep_alive ? HBK_ANSWER_WHOLE : HBK_ANSWER_LAST;
    }
    for (;;) {
        switch (hbk_http1_read_body(&answer->body, &bytes, &data)) {
        case HBK_HTTP1_BODY_DATA:
            answer->body_bytes += data.size;
            break;
        case HBK_HTTP1_BODY_NEED_MORE:
            return HBK_ANSWER_MORE;
        case HBK_HTTP1_BODY_END:
            if (bytes.size > 0) {
                return fault(answer, "bytes behind the end of the answer");
            }
            return answer->is_keep_alive ? HBK_ANSWER_WHOLE : HBK_ANSWER_LAST;
        case HBK_HTTP1_BODY_INVALID:
            return fault(answer, "a chunk, or what stands between chunks, breaks HTTP");
        }
    }
}

static void begin_body(struct hbk_answer *answer, size_t head_bytes, uint16_t status,
                       bool is_keep_alive, struct hbk_http1_body body)
{
    answer->head_bytes = (uint32_t)head_bytes;
    answer->status = status;
    answer->is_keep_alive = is_keep_alive;
    answer->body = body;
    answer->is_in_body = true;
}

/* Takes a head from `*bytes` that is known; false when it is not. */
static bool take_known(struct hbk_answer *answer, struct hbk_slice *bytes)
{
    const struct hbk_answer_known *known = answer->known;
    if (known == NULL || known->size == 0 || bytes->size < known->size ||
        memcmp(bytes->bytes, known->head, known->size) != 0) {
        return false;
    }
    begin_body(answer, known->size, known->status, known->is_keep_alive, known->body);
    *bytes = hbk_slice_part(*bytes, known->size, bytes->size);
    return true;
}

static void learn(struct hbk_answer_known *known, struct hbk_slice bytes,
                  const struct hbk_http1_response *response)
{
    if (known != NULL && response->head_bytes <= sizeof known->head) {
        known->size = (uint16_t)response->head_bytes;
        known->status = response->status;
        known->is_keep_alive = response->is_keep_alive;
        known->body = response->body;
        memcpy(known->head, bytes.bytes, response->head_bytes);
    }
}

/* Reads heads from `*bytes`, interim ones too, until one is final; then HBK_ANSWER_WHOLE. */
static enum hbk_answer_step read_head(struct hbk_answer *answer, struct hbk_slice *bytes)
{
    struct hbk_http1_response response;
    struct hbk_slice head;
    do {
        if (answer->interim_count > HBK_LOAD_INTERIM_MAX) {
            return fault(answer, "more than 100 heads with status 1xx");
        }
        switch (hbk_http1_read_response(&answer->reader, *bytes, answer->is_to_head, &response)) {
        case HBK_HTTP1_NEED_MORE:
            return HBK_ANSWER_MORE;
        case HBK_HTTP1_INVALID:
            return fault(answer, answer->reader.fault_text);
        case HBK_HTTP1_READY:
            break;
        }
        answer->reader = (struct hbk_http1_reader){0};
        answer->interim_count++;
        head = *bytes;
        *bytes = hbk_slice_part(*bytes, response.head_bytes, bytes->size);
    } while (response.status < 200 && response.status != STATUS_SWITCHING_PROTOCOLS);
    learn(answer->known, head, &response);
    begin_body(answer, response.head_bytes, response.status, response.is_keep_alive, response.body);
    return HBK_ANSWER_WHOLE;
}

enum hbk_answer_step hbk_answer_read(struct hbk_answer *answer, struct hbk_slice bytes)
{
    if (answer->expected.size > 0) {
        return read_echo(answer, bytes);
    }
    if (answer->is_in_body) {
        return read_body(answer, bytes);
    }
    /* Most heads come whole and are read where they lie. */
    bool was_held = !hbk_buffer_is_empty(&answer->held);
    if (!was_held && take_known(answer, &bytes)) {
        return read_body(answer, bytes);
    }
    if (was_held) {
        if (hbk_buffer_append(&answer->held, bytes) != HBK_OK) {
            return fault(answer, "a head in pieces could not be held");
        }
        bytes = hbk_buffer_slice(&answer->held);
    }
    struct hbk_slice rest = bytes;
    enum hbk_answer_step step = read_head(answer, &rest);
    if (step == HBK_ANSWER_WHOLE) {
        return read_body(answer, rest);
    }
    if (was_held) {
        hbk_buffer_consume(&answer->held, bytes.size - rest.size);
    } else if (step == HBK_ANSWER_MORE && hbk_buffer_append(&answer->held, rest) != HBK_OK) {
        return fault(answer, "a head in pieces could not be held");
    }
    return step;
}

bool hbk_answer_is_ended_by_close(const struct hbk_answer *answer)
{
    return answer->is_in_body && answer->body.kind == HBK_HTTP1_UNTIL_CLOSE;
}
