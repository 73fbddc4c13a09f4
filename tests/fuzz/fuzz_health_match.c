/*
 * What a TCP health check waits for: two patterns, cut from the input's front, must be found in its
 * rest in whatever pieces it comes, exactly when a plain search finds them.
 */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "cluster/health_match.h"

static bool finds_plainly(const struct hbk_gw_health_payload *patterns, struct hbk_slice bytes)
{
    for (size_t i = 0; i < 2; i++) {
        struct hbk_slice pattern = patterns[i].bytes;
        const uint8_t *found = bytes.size < pattern.size || bytes.size == 0
                                   ? NULL
                                   : memmem(bytes.bytes, bytes.size, pattern.bytes, pattern.size);
        if (found == NULL) {
            return false;
        }
        bytes = hbk_slice_part(bytes, (size_t)(found - bytes.bytes) + pattern.size, bytes.size);
    }
    return true;
}

static bool finds_in_pieces(const struct hbk_gw_tcp_health_check *config, struct hbk_slice bytes,
                            size_t step)
{
    struct hbk_gw_health_match match;
    bool is_done = false;
    hbk_gw_health_match_init(&match, config);
    for (size_t at = 0; at < bytes.size && !is_done; at += step) {
        if (hbk_gw_health_match_read(&match, hbk_slice_part(bytes, at, step), &is_done) != HBK_OK) {
            abort();
        }
    }
    hbk_gw_health_match_fini(&match);
    return is_done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] == 0 || data[1] == 0 || size < (size_t)2 + data[0] + data[1]) {
        return 0;
    }
    struct hbk_slice bytes = hbk_slice_of(data, size);
    const struct hbk_gw_health_payload patterns[2] = {
        {.bytes = hbk_slice_part(bytes, 2, data[0])},
        {.bytes = hbk_slice_part(bytes, (size_t)2 + data[0], data[1])},
    };
    const struct hbk_gw_tcp_health_check config = {.receive = patterns, .receive_count = 2};
    struct hbk_slice rest = hbk_slice_part(bytes, (size_t)2 + data[0] + data[1], size);
    bool expected = finds_plainly(patterns, rest);
    static const size_t steps[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (finds_in_pieces(&config, rest, steps[i]) != expected) {
            abort();
        }
    }
    return 0;
}
