#include "config/field_mask.h"

static bool is_path(struct hbk_slice path)
{
    bool was_dot = true;
    for (size_t i = 0; i < path.size; i++) {
        bool is_dot = path.bytes[i] == '.';
        if (is_dot && was_dot) {
            return false;
        }
        was_dot = is_dot;
    }
    return !was_dot;
}

hbk_status hbk_field_mask_parse(struct hbk_slice text, struct hbk_field_mask *out_mask)
{
    struct hbk_field_mask mask = {.is_set = true};
    for (size_t start = 0; start <= text.size;) {
        struct hbk_slice rest = hbk_slice_part(text, start, text.size);
        size_t end = rest.size;
        (void)hbk_slice_find(rest, ',', &end);
        struct hbk_slice path = hbk_slice_part(rest, 0, end);
        if (!is_path(path)) {
            return HBK_INVALID;
        }
        if (mask.count == HBK_FIELD_MASK_PATHS_MAX) {
            return HBK_LIMIT;
        }
        mask.paths[mask.count++] = path;
        start += end + 1;
    }
    *out_mask = mask;
    return HBK_OK;
}

bool hbk_field_mask_enter(const struct hbk_field_mask *mask, struct hbk_slice name,
                          struct hbk_field_mask *out_below)
{
    struct hbk_field_mask below = {.is_set = true};
    if (!mask->is_set) {
        *out_below = *mask;
        return true;
    }
    for (uint8_t i = 0; i < mask->count; i++) {
        struct hbk_slice path = mask->paths[i];
        if (hbk_slice_equal(path, name)) {
            *out_below = (struct hbk_field_mask){.is_set = false};
            return true;
        }
        if (path.size > name.size && path.bytes[name.size] == '.' &&
            hbk_slice_equal(hbk_slice_part(path, 0, name.size), name)) {
            below.paths[below.count++] = hbk_slice_part(path, name.size + 1, path.size);
        }
    }
    *out_below = below;
    return below.count > 0;
}
