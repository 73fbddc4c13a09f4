#include "load/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

/* "12.345ms" without zeros at the end, of units that have `digits` decimal places. */
static void print_decimal(char *text, size_t size, uint64_t ns, int digits, const char *unit)
{
    uint64_t unit_ns = 1;
    for (int i = 0; i < digits; i++) {
        unit_ns *= 10;
    }
    uint64_t whole = ns / unit_ns, fraction = ns % unit_ns;
    if (fraction == 0) {
        snprintf(text, size, "%" PRIu64 "%s", whole, unit);
        return;
    }
    while (fraction % 10 == 0) {
        fraction /= 10;
        digits--;
    }
    snprintf(text, size, "%" PRIu64 ".%0*" PRIu64 "%s", whole, digits, fraction, unit);
}

const char *hbk_load_duration_text(uint64_t ns, char text[static HBK_LOAD_DURATION_BYTES_MAX])
{
    enum { SIZE = HBK_LOAD_DURATION_BYTES_MAX };
    const uint64_t minute_ns = 60 * HBK_NS_PER_S, hour_ns = 60 * minute_ns;
    if (ns == 0) {
        snprintf(text, SIZE, "0s");
    } else if (ns < HBK_NS_PER_US) {
        snprintf(text, SIZE, "%" PRIu64 "ns", ns);
    } else if (ns < HBK_NS_PER_MS) {
        print_decimal(text, SIZE, ns, 3, "\u00b5s");
    } else if (ns < HBK_NS_PER_S) {
        print_decimal(text, SIZE, ns, 6, "ms");
    } else {
        int used = 0;
        if (ns >= hour_ns) {
            used += snprintf(text, SIZE, "%" PRIu64 "h", ns / hour_ns);
        }
        if (ns >= minute_ns) {
            used += snprintf(text + used, SIZE - (size_t)used, "%" PRIu64 "m",
                             ns % hour_ns / minute_ns);
        }
        print_decimal(text + used, SIZE - (size_t)used, ns % minute_ns, 9, "s");
    }
    return text;
}

const char *hbk_load_latency_text(double ns, char text[static HBK_LOAD_DURATION_BYTES_MAX])
{
    static const struct {
        double ns;
        const char *name;
    } units[] = {{1e3, "us"}, {1e6, "ms"}, {1e9, "s"}};
    /* 999.6 us has four digits when rounded to three: it is written as 1.00 ms. */
    unsigned unit = ns < 999.5e3 ? 0 : ns < 999.5e6 ? 1 : 2;
    double value = ns / units[unit].ns;
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(text, HBK_LOAD_DURATION_BYTES_MAX, "%.*f %s", decimals, value, units[unit].name);
    return text;
}
