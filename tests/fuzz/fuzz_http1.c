/*
 * HTTP/1.1 messages: any bytes as a request and as a response. A head must come out the same when
 * its bytes arrive one by one, and a body the same when it is read in other pieces.
 */
#include "fuzz_target.h"

#include <stdlib.h>

#include "wire/http1.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Reads a body in steps; the sum stands for the content. */
static enum hbk_http1_body_answer read_body(struct hbk_http1_body body, struct hbk_slice bytes,
                                            size_t step, uint64_t *out_sum)
{
    enum hbk_http1_body_answer answer = HBK_HTTP1_BODY_NEED_MORE;
    uint64_t sum = 0;
    for (size_t at = 0; at < bytes.size && answer == HBK_HTTP1_BODY_NEED_MORE; at += step) {
        struct hbk_slice input = hbk_slice_part(bytes, at, step);
        struct hbk_slice data;
        while ((answer = hbk_http1_read_body(&body, &input, &data)) == HBK_HTTP1_BODY_DATA) {
            require(data.size > 0);
            for (size_t i = 0; i < data.size; i++) {
                sum = sum * 31 + data.bytes[i];
            }
        }
    }
    *out_sum = sum;
    return answer;
}

static void check_body(struct hbk_http1_body body, struct hbk_slice bytes)
{
    uint64_t whole = 0;
    uint64_t split = 0;
    enum hbk_http1_body_answer answer = read_body(body, bytes, SIZE_MAX, &whole);
    require(read_body(body, bytes, 1, &split) == answer || body.kind == HBK_HTTP1_NO_BODY ||
            body.left_bytes == bytes.size);
    require(whole == split);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_slice input = hbk_slice_of(data, size);
    struct hbk_http1_reader reader = {0};
    struct hbk_http1_request request;
    enum hbk_http1_answer answer = hbk_http1_read_request(&reader, input, &request);
    require(answer != HBK_HTTP1_INVALID || (reader.fault_status >= 400 && reader.fault_text));
    if (answer == HBK_HTTP1_READY) {
        require(request.head_bytes <= size && request.field_count <= HBK_HTTP1_FIELDS_MAX);
        check_body(request.body, hbk_slice_part(input, request.head_bytes, size));

        struct hbk_http1_reader slow = {0};
        struct hbk_http1_request again;
        for (size_t part = 0; part < request.head_bytes; part++) {
            require(hbk_http1_read_request(&slow, hbk_slice_of(data, part), &again) ==
                    HBK_HTTP1_NEED_MORE);
        }
        require(hbk_http1_read_request(&slow, input, &again) == HBK_HTTP1_READY);
        require(again.head_bytes == request.head_bytes);
        require(again.field_count == request.field_count);
    }

    reader = (struct hbk_http1_reader){0};
    struct hbk_http1_response response;
    answer = hbk_http1_read_response(&reader, input, size % 2 == 0, &response);
    if (answer == HBK_HTTP1_READY) {
        require(response.status >= 100 && response.status <= 999);
        require(response.head_bytes <= size);
        check_body(response.body, hbk_slice_part(input, response.head_bytes, size));
    }
    return 0;
}
