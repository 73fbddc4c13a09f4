#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

/* Largest first: the order in which a text may name them. */
static const struct unit {
    const char *name;
    uint64_t ns;
} units[] = {
    {"d", 86400 * HBK_NS_PER_S},
    {"h", 3600 * HBK_NS_PER_S},
    {"m", 60 * HBK_NS_PER_S},
    {"s", HBK_NS_PER_S},
    {"ms", HBK_NS_PER_MS},
    {"us", HBK_NS_PER_US},
    {"ns", 1},
};

static size_t run_length(struct hbk_slice text, uint8_t low, uint8_t high)
{
    size_t length = 0;
    while (length < text.size && text.bytes[length] >= low && text.bytes[length] <= high) {
        length++;
    }
    return length;
}

bool hbk_duration_parse(struct hbk_slice text, uint64_t *out_ns)
{
    if (hbk_slice_equal(text, HBK_SLICE("0"))) {
        *out_ns = 0;
        return true;
    }
    uint64_t total_ns = 0;
    size_t next_unit = 0;
    struct hbk_slice rest = text;
    while (rest.size > 0) {
        struct hbk_slice digits = hbk_slice_part(rest, 0, run_length(rest, '0', '9'));
        rest = hbk_slice_part(rest, digits.size, rest.size);
        struct hbk_slice name = hbk_slice_part(rest, 0, run_length(rest, 'a', 'z'));
        rest = hbk_slice_part(rest, name.size, rest.size);
        while (next_unit < HBK_COUNT(units) &&
               !hbk_slice_equal(name, hbk_slice_text(units[next_unit].name))) {
            next_unit++;
        }
        uint64_t number = 0;
        if (next_unit == HBK_COUNT(units) ||
            !hbk_slice_to_u64(digits, INT64_MAX / units[next_unit].ns, &number)) {
            return false;
        }
        uint64_t part_ns = number * units[next_unit++].ns;
        if (part_ns > (uint64_t)INT64_MAX - total_ns) {
            return false;
        }
        total_ns += part_ns;
    }
    if (text.size == 0) {
        return false;
    }
    *out_ns = total_ns;
    return true;
}

const char *hbk_duration_text(uint64_t duration_ns, char text[static HBK_DURATION_TEXT_BYTES_MAX])
{
    int used = snprintf(text, HBK_DURATION_TEXT_BYTES_MAX, "%s", duration_ns == 0 ? "0s" : "");
    for (size_t i = 0; i < HBK_COUNT(units); i++) {
        uint64_t number = duration_ns / units[i].ns;
        duration_ns %= units[i].ns;
        if (number > 0) {
            used += snprintf(text + used, HBK_DURATION_TEXT_BYTES_MAX - (size_t)used,
                             "%" PRIu64 "%s", number, units[i].name);
        }
    }
    return text;
}

const uint64_t hbk_duration_bounds_ns[HBK_DURATION_BOUNDS] = {
    10000,    25000,    50000,    100000,    250000,    500000,    1000000,    2500000,    5000000,
    10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 5000000000,
};

unsigned hbk_duration_bucket(uint64_t duration_ns)
{
    unsigned bucket = 0;
    while (bucket < HBK_DURATION_BOUNDS && duration_ns > hbk_duration_bounds_ns[bucket]) {
        bucket++;
    }
    return bucket;
}
