/* Paths of requests under every setting, of which the first byte is one: a normalized path has no
 * segments of dots and no backslash. */
#include "fuzz_target.h"

#include "base/assert.h"
#include "http/path.h"

static bool has_dots(struct hbk_slice path)
{
    static const char *const ends[] = {"/.", "/.."};
    for (size_t at = 0; at < path.size; at++) {
        bool is_inside =
            hbk_slice_starts_with(hbk_slice_part(path, at, path.size), HBK_SLICE("/../")) ||
            hbk_slice_starts_with(hbk_slice_part(path, at, path.size), HBK_SLICE("/./"));
        if (is_inside || path.bytes[at] == '\\') {
            return true;
        }
    }
    return hbk_slice_ends_with(path, hbk_slice_text(ends[0])) ||
           hbk_slice_ends_with(path, hbk_slice_text(ends[1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || data[1] != '/') {
        return 0;
    }
    const struct hbk_gw_http_connection_manager http = {
        .normalize_path = (data[0] & 1) != 0,
        .merge_slashes = (data[0] & 2) != 0,
        .path_with_escaped_slashes_action = (data[0] >> 2) % 5,
    };
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    enum hbk_gw_path_verdict verdict;
    struct hbk_slice path = hbk_slice_of(data + 1, size - 1);
    hbk_status status = hbk_gw_path_settle(&http, &arena, &path, &verdict);
    HBK_ASSERT(status == HBK_OK && path.size > 0 && path.bytes[0] == '/');
    if (http.normalize_path && verdict != HBK_GW_PATH_IS_REFUSED) {
        size_t end = path.size;
        (void)hbk_slice_find(path, '?', &end);
        HBK_ASSERT(!has_dots(hbk_slice_part(path, 0, end)));
    }
    hbk_arena_fini(&arena);
    return 0;
}
