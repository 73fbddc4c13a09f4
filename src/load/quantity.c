#include "load/quantity.h"

#include "base/clock.h"
#include "base/duration.h"
#include "load/plan.h"

bool hbk_load_duration_parse(struct hbk_slice text, uint64_t *out_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1},   {"us", 1e3},  {"ms", 1e6},  {"s", 1e9},
                 {"m", 6e10}, {"h", 36e11}, {"d", 864e11}};
    size_t dot, end = text.size;
    double number;
    if (!hbk_slice_find(text, '.', &dot)) {
        return hbk_duration_parse(text, out_ns);
    }
    while (end > 0 && text.bytes[end - 1] >= 'a' && text.bytes[end - 1] <= 'z') {
        end--;
    }
    struct hbk_slice unit = hbk_slice_part(text, end, text.size);
    for (size_t i = 0; i < HBK_COUNT(units); i++) {
        if (hbk_slice_equal(unit, hbk_slice_text(units[i].unit)) &&
            hbk_load_number_parse(hbk_slice_part(text, 0, end), (double)INT64_MAX / 2 / units[i].ns,
                                  &number) == HBK_OK) {
            *out_ns = (uint64_t)(number * units[i].ns + 0.5);
            return true;
        }
    }
    return false;
}
