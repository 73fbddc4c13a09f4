/*
 * What a request's target wishes of the echo server: any bytes as a target. What is understood lies
 * within its limits, and header lines cannot break out of their line.
 */
#include "fuzz_target.h"

#include <stdlib.h>

#include "load/echo_wish.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct hbk_echo_defaults defaults;
    struct hbk_echo_wish wish;
    struct hbk_buffer headers;
    struct hbk_error error = {0};
    uint64_t random = 1;
    hbk_buffer_init(&headers, HBK_ECHO_HEADERS_BYTES_MAX);
    hbk_status status =
        hbk_echo_wish_read(hbk_slice_of(bytes, size), &defaults, &random, &wish, &headers, &error);
    if (status == HBK_OK) {
        require(wish.status >= 200 && wish.status <= 599);
        require(wish.delay_ns <= HBK_ECHO_DELAY_NS_MAX);
        require(!wish.has_size || wish.size_bytes <= HBK_ECHO_SIZE_BYTES_MAX);
        struct hbk_slice text = hbk_buffer_slice(&headers);
        for (size_t i = 0; i < text.size; i++) {
            require(text.bytes[i] != '\n' || (i > 0 && text.bytes[i - 1] == '\r'));
            require(text.bytes[i] != '\r' || (i + 1 < text.size && text.bytes[i + 1] == '\n'));
            require(text.bytes[i] != '\0');
        }
    } else {
        require(error.text[0] != '\0');
        for (const char *at = error.text; *at != '\0'; at++) {
            require(*at >= ' ');
        }
    }
    hbk_buffer_fini(&headers);
    return 0;
}
