/* Patterns of the admin port: "PATTERN\nTEXT". What matches as a whole matches as a part. */
#include "fuzz_target.h"

#include "base/assert.h"
#include "gateway/pattern.h"

enum { TEXT_BYTES_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_slice input = hbk_slice_of(data, size);
    size_t end = size;
    (void)hbk_slice_find(input, '\n', &end);
    struct hbk_slice pattern = hbk_slice_part(input, 0, end);
    struct hbk_slice text = hbk_slice_part(input, end + 1, end + 1 + TEXT_BYTES_MAX);
    if (hbk_gw_pattern_check(pattern, NULL) != HBK_OK) {
        return 0;
    }
    bool is_part = hbk_gw_pattern_matches(pattern, false, text);
    HBK_ASSERT(is_part || !hbk_gw_pattern_matches(pattern, true, text));
    return 0;
}
