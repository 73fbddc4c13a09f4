#include "plot/axis.h"

#include <math.h>
#include <stdio.h>

enum { STEPS_WANTED = 6 };

void hbk_axis_label(double value, char out_label[static HBK_AXIS_LABEL_BYTES_MAX])
{
    static const struct {
        double unit;
        const char *suffix;
    } units[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (fabs(value) >= units[i].unit * 10 || (fabs(value) >= units[i].unit && i < 2)) {
            (void)snprintf(out_label, HBK_AXIS_LABEL_BYTES_MAX, "%.4g%s", value / units[i].unit,
                           units[i].suffix);
            return;
        }
    }
    (void)snprintf(out_label, HBK_AXIS_LABEL_BYTES_MAX, "%.4g", fabs(value) < 1e-12 ? 0.0 : value);
}

static void add_mark(struct hbk_axis *axis, double at)
{
    if (axis->mark_count < HBK_AXIS_MARKS_MAX) {
        struct hbk_axis_mark *mark = &axis->marks[axis->mark_count++];
        mark->at = at;
        hbk_axis_label(at, mark->label);
    }
}

/* 1, 2 or 5 times a power of ten. */
static double round_step(double span)
{
    double raw = span / STEPS_WANTED;
    double power = pow(10, floor(log10(raw)));
    double part = raw / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static void init_linear(struct hbk_axis *axis)
{
    axis->low = axis->low < 0 ? axis->low : 0;
    axis->high = axis->high > axis->low ? axis->high : axis->low + 1;
    double step = round_step(axis->high - axis->low);
    double first = floor(axis->low / step), last = ceil(axis->high / step - 1e-9);
    axis->low = first * step;
    axis->high = last * step;
    for (double number = first; number <= last + 0.5; number++) {
        add_mark(axis, number * step);
    }
}

static void init_log(struct hbk_axis *axis)
{
    axis->low = axis->low > 0 ? axis->low : 1e-9;
    axis->high = axis->high > axis->low ? axis->high : axis->low * 10;
    double first = floor(log10(axis->low) + 1e-9), last = ceil(log10(axis->high) - 1e-9);
    last = last > first ? last : first + 1;
    axis->low = pow(10, first);
    axis->high = pow(10, last);
    double stride = ceil((last - first + 1) / (double)(HBK_AXIS_MARKS_MAX - 1));
    for (double power = first; power <= last + 0.5; power += stride) {
        add_mark(axis, pow(10, power));
    }
}

void hbk_axis_init(struct hbk_axis *axis, double low, double high, bool is_log)
{
    *axis = (struct hbk_axis){.low = low, .high = high, .is_log = is_log};
    if (is_log) {
        init_log(axis);
    } else {
        init_linear(axis);
    }
}

double hbk_axis_place(const struct hbk_axis *axis, double value)
{
    double place = axis->is_log
                       ? (log10(value > axis->low ? value : axis->low) - log10(axis->low)) /
                             (log10(axis->high) - log10(axis->low))
                       : (value - axis->low) / (axis->high - axis->low);
    return place < 0 ? 0 : place > 1 ? 1 : place;
}
