/*
 * Figures as SVG for reports: lines, points and grouped bars with intervals. Colours are told apart
 * by the colour-blind, and on paper by dashes, markers and hatching. Text in, text out; no I/O.
 */
#pragma once

#include "base/buffer.h"
#include "plot/axis.h"

enum { HBK_FIGURE_SERIES_MAX = 16, HBK_FIGURE_GROUPS_MAX = 32 };

enum hbk_figure_style {
    HBK_FIGURE_LINE,
    HBK_FIGURE_POINTS,
    HBK_FIGURE_LINE_AND_POINTS,
    HBK_FIGURE_AREA, /* steps from x to the next x, filled: a histogram */
};

/* All borrowed. */
struct hbk_figure_series {
    const char *name;
    enum hbk_figure_style style;
    const double *x, *y;
    const double *low, *high; /* an interval of each y; NULL: none */
    unsigned count;
};

struct hbk_figure {
    const char *title; /* also what a reader of the page hears */
    const char *x_name, *y_name;
    bool is_x_log, is_y_log;
    unsigned width, height;            /* 0: the default */
    const struct hbk_axis_mark *marks; /* of x, instead of round numbers; NULL: none */
    unsigned mark_count;
};

/* Lines and points; a line has a gap where y is NAN. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_figure_lines(const struct hbk_figure *figure,
                                         const struct hbk_figure_series *series, unsigned count,
                                         struct hbk_buffer *out);

/* Bars in groups: series[k].y[g] is the bar of series k in group g; a NAN is left out. */
HBK_MUST_USE hbk_status hbk_figure_bars(const struct hbk_figure *figure, const char *const *groups,
                                        unsigned group_count,
                                        const struct hbk_figure_series *series, unsigned count,
                                        struct hbk_buffer *out);

/* Text with &, <, > and quotes escaped, for SVG and HTML. */
HBK_MUST_USE hbk_status hbk_figure_text(struct hbk_slice text, struct hbk_buffer *out);
