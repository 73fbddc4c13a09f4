/*
 * A figure is written from back to front: grid, data, axes, legend. The first failure of the buffer
 * is kept and the rest is written nowhere, so that the drawing reads as drawing.
 */
#include "plot/figure.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

enum {
    WIDTH = 640,
    HEIGHT = 340,
    LEFT = 62,
    RIGHT = 14,
    TOP = 34,
    BOTTOM = 52,
    LEGEND_LINE = 16,
    PIECE_BYTES_MAX = 1024,
};

/* Okabe and Ito's colours, which differ for all common kinds of colour-blindness. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#7f7f7f"};
static const char *const dashes[] = {"none", "7 3", "2 3",  "9 3 2 3",
                                     "4 4",  "1 2", "12 4", "5 2 1 2"};

enum { LOOKS = sizeof colours / sizeof colours[0] };

struct drawing {
    struct hbk_buffer *out;
    const struct hbk_figure *figure;
    struct hbk_axis x, y;
    double left, top, width, height; /* of the field between the axes */
    hbk_status status;
};

static HBK_PRINTF(2, 3) void draw(struct drawing *drawing, const char *format, ...)
{
    char piece[PIECE_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(piece, sizeof piece, format, values);
    va_end(values);
    HBK_ASSERT(size >= 0 && (size_t)size < sizeof piece);
    if (drawing->status == HBK_OK) {
        drawing->status = hbk_buffer_append(drawing->out, hbk_slice_of(piece, (size_t)size));
    }
}

static void draw_text(struct drawing *drawing, const char *text)
{
    if (drawing->status == HBK_OK) {
        drawing->status = hbk_figure_text(hbk_slice_text(text == NULL ? "" : text), drawing->out);
    }
}

hbk_status hbk_figure_text(struct hbk_slice text, struct hbk_buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        struct hbk_slice part = byte == '&'   ? HBK_SLICE("&amp;")
                                : byte == '<' ? HBK_SLICE("&lt;")
                                : byte == '>' ? HBK_SLICE("&gt;")
                                : byte == '"' ? HBK_SLICE("&quot;")
                                              : hbk_slice_part(text, i, 1);
        HBK_TRY(hbk_buffer_append(out, part));
    }
    return HBK_OK;
}

static double x_of(const struct drawing *drawing, double value)
{
    return drawing->left + hbk_axis_place(&drawing->x, value) * drawing->width;
}

static double y_of(const struct drawing *drawing, double value)
{
    return drawing->top + (1 - hbk_axis_place(&drawing->y, value)) * drawing->height;
}

/* ---- frame ---- */

static void begin(struct drawing *drawing, unsigned legend_lines)
{
    const struct hbk_figure *figure = drawing->figure;
    double width = figure->width > 0 ? figure->width : WIDTH;
    double height = (figure->height > 0 ? figure->height : HEIGHT) + legend_lines * LEGEND_LINE;
    drawing->left = LEFT;
    drawing->top = TOP;
    drawing->width = width - LEFT - RIGHT;
    drawing->height = height - TOP - BOTTOM - legend_lines * LEGEND_LINE;
    draw(drawing,
         "<svg class=\"figure\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
         "role=\"img\" "
         "xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" "
         "font-size=\"12\">\n<title>",
         width, height, width, height);
    draw_text(drawing, figure->title);
    draw(drawing,
         "</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
         "<text x=\"%.0f\" y=\"18\" font-size=\"14\" font-weight=\"bold\">",
         drawing->left);
    draw_text(drawing, figure->title);
    draw(drawing, "</text>\n");
}

static void draw_y_axis(struct drawing *drawing)
{
    for (unsigned i = 0; i < drawing->y.mark_count; i++) {
        const struct hbk_axis_mark *mark = &drawing->y.marks[i];
        double y = y_of(drawing, mark->at);
        draw(drawing,
             "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
             "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
             drawing->left, drawing->left + drawing->width, y, y, drawing->left - 6, y + 4,
             mark->label);
    }
    draw(drawing, "<text transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\">",
         drawing->top + drawing->height / 2);
    draw_text(drawing, drawing->figure->y_name);
    draw(drawing, "</text>\n");
}

static void draw_x_name(struct drawing *drawing)
{
    draw(drawing,
         "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#000\"/>"
         "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
         drawing->left, drawing->left + drawing->width, drawing->top + drawing->height,
         drawing->top + drawing->height, drawing->left + drawing->width / 2,
         drawing->top + drawing->height + 36);
    draw_text(drawing, drawing->figure->x_name);
    draw(drawing, "</text>\n");
}

static void draw_x_axis(struct drawing *drawing)
{
    const struct hbk_figure *figure = drawing->figure;
    const struct hbk_axis_mark *marks = figure->marks != NULL ? figure->marks : drawing->x.marks;
    unsigned count = figure->marks != NULL ? figure->mark_count : drawing->x.mark_count;
    for (unsigned i = 0; i < count; i++) {
        double x = x_of(drawing, marks[i].at);
        draw(drawing,
             "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#eee\"/>"
             "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
             x, x, drawing->top, drawing->top + drawing->height, x,
             drawing->top + drawing->height + 18, marks[i].label);
    }
    draw_x_name(drawing);
}

/* Where the legend's entries stand: two to a line. */
static void legend_place(const struct drawing *drawing, unsigned index, double *out_x,
                         double *out_y)
{
    *out_x = drawing->left + (index % 2) * drawing->width / 2;
    *out_y = drawing->top + drawing->height + BOTTOM + (index / 2) * LEGEND_LINE - 2;
}

/* ---- lines ---- */

static void draw_marker(struct drawing *drawing, double x, double y, unsigned look)
{
    switch (look % 4) {
    case 0:
        draw(drawing, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"", x, y);
        break;
    case 1:
        draw(drawing, "<rect x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\"", x - 3.5, y - 3.5);
        break;
    case 2:
        draw(drawing, "<path d=\"M%.1f %.1fl4.5 8h-9z\"", x, y - 5);
        break;
    default:
        draw(drawing, "<path d=\"M%.1f %.1fl4.5 4.5l-4.5 4.5l-4.5 -4.5z\"", x, y - 4.5);
        break;
    }
    draw(drawing, " fill=\"%s\"/>", colours[look % LOOKS]);
}

static void draw_interval(struct drawing *drawing, double x, double low, double high)
{
    double from = y_of(drawing, low), to = y_of(drawing, high);
    if (isnan(low) || isnan(high)) {
        return;
    }
    draw(drawing,
         "<path d=\"M%.1f %.1fV%.1fM%.1f %.1fh6M%.1f %.1fh6\" stroke=\"#000\" fill=\"none\"/>", x,
         from, to, x - 3, from, x - 3, to);
}

static void draw_path(struct drawing *drawing, const struct hbk_figure_series *series,
                      unsigned look)
{
    bool is_area = series->style == HBK_FIGURE_AREA;
    double bottom = drawing->top + drawing->height;
    bool is_broken = true;
    draw(drawing, "<path d=\"");
    for (unsigned i = 0; i < series->count; i++) {
        if (isnan(series->y[i])) {
            is_broken = true;
            continue;
        }
        double x = x_of(drawing, series->x[i]), y = y_of(drawing, series->y[i]);
        if (is_area && i == 0) {
            draw(drawing, "M%.1f %.1f", x, bottom);
        }
        if (is_area) {
            draw(drawing, "L%.1f %.1f", x, y);
            bool is_end = i + 1 == series->count;
            draw(drawing, "H%.1f", is_end ? x + 1 : x_of(drawing, series->x[i + 1]));
        } else {
            draw(drawing, "%c%.1f %.1f", is_broken ? 'M' : 'L', x, y);
        }
        is_broken = false;
    }
    if (is_area) {
        draw(drawing, "V%.1fZ\" fill=\"%s\" fill-opacity=\"0.6\" stroke=\"none\"/>\n", bottom,
             colours[look % LOOKS]);
    } else {
        draw(drawing,
             "\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"/>\n",
             colours[look % LOOKS], dashes[look % LOOKS]);
    }
}

static void draw_series(struct drawing *drawing, const struct hbk_figure_series *series,
                        unsigned look)
{
    if (series->count > 0 && series->style != HBK_FIGURE_POINTS) {
        draw_path(drawing, series, look);
    }
    bool has_points =
        series->style == HBK_FIGURE_POINTS || series->style == HBK_FIGURE_LINE_AND_POINTS;
    for (unsigned i = 0; i < series->count; i++) {
        double x = x_of(drawing, series->x[i]);
        if (isnan(series->y[i])) {
            continue;
        }
        if (series->low != NULL && series->high != NULL) {
            draw_interval(drawing, x, series->low[i], series->high[i]);
        }
        if (has_points) {
            draw_marker(drawing, x, y_of(drawing, series->y[i]), look);
        }
    }
}

static void draw_line_legend(struct drawing *drawing, const struct hbk_figure_series *series,
                             unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        double x, y;
        legend_place(drawing, i, &x, &y);
        draw(drawing,
             "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
             "stroke-width=\"2\" stroke-dasharray=\"%s\"/>",
             x, x + 26, y - 4, y - 4, colours[i % LOOKS], dashes[i % LOOKS]);
        if (series[i].style == HBK_FIGURE_POINTS || series[i].style == HBK_FIGURE_LINE_AND_POINTS) {
            draw_marker(drawing, x + 13, y - 4, i);
        }
        draw(drawing, "<text x=\"%.1f\" y=\"%.1f\">", x + 32, y);
        draw_text(drawing, series[i].name);
        draw(drawing, "</text>\n");
    }
}

struct range {
    double low, high;
};

static void widen(struct range *range, double value, bool is_log)
{
    if (isfinite(value) && (!is_log || value > 0)) {
        range->low = fmin(range->low, value);
        range->high = fmax(range->high, value);
    }
}

static struct range range_of(const struct hbk_figure_series *series, unsigned count, bool is_x,
                             bool is_log)
{
    struct range range = {INFINITY, -INFINITY};
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < series[i].count; k++) {
            widen(&range, is_x ? series[i].x[k] : series[i].y[k], is_log);
            if (!is_x && series[i].high != NULL) {
                widen(&range, series[i].high[k], is_log);
                widen(&range, series[i].low[k], is_log);
            }
        }
    }
    return isfinite(range.low) ? range : (struct range){is_log ? 0.1 : 0, 1};
}

hbk_status hbk_figure_lines(const struct hbk_figure *figure, const struct hbk_figure_series *series,
                            unsigned count, struct hbk_buffer *out)
{
    struct drawing drawing = {.out = out, .figure = figure};
    struct range x = range_of(series, count, true, figure->is_x_log);
    struct range y = range_of(series, count, false, figure->is_y_log);
    HBK_ASSERT(count <= HBK_FIGURE_SERIES_MAX);
    hbk_axis_init(&drawing.x, x.low, x.high, figure->is_x_log);
    hbk_axis_init(&drawing.y, y.low, y.high, figure->is_y_log);
    if (!figure->is_x_log && x.low > 0 && x.low > (x.high - x.low) / 2) {
        drawing.x.low = x.low; /* a narrow range far from 0 fills the field */
    }
    begin(&drawing, (count + 1) / 2);
    draw_y_axis(&drawing);
    draw_x_axis(&drawing);
    for (unsigned i = 0; i < count; i++) {
        draw_series(&drawing, &series[i], i);
    }
    draw_line_legend(&drawing, series, count);
    draw(&drawing, "</svg>\n");
    return drawing.status;
}

/* ---- bars ---- */

/* Hatching of each look, for paper: lines at different angles and distances over the colour. */
static void draw_patterns(struct drawing *drawing, unsigned count)
{
    draw(drawing, "<defs>");
    for (unsigned i = 0; i < count && i < LOOKS; i++) {
        draw(drawing,
             "<pattern id=\"hatch%u\" width=\"%u\" height=\"%u\" patternUnits=\"userSpaceOnUse\" "
             "patternTransform=\"rotate(%u)\"><rect width=\"100%%\" height=\"100%%\" fill=\"%s\"/>",
             i, 5 + i, 5 + i, i * 35, colours[i]);
        if (i > 0) {
            draw(drawing, "<line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"12\" stroke=\"#fff\" "
                          "stroke-width=\"1.5\"/>");
        }
        draw(drawing, "</pattern>");
    }
    draw(drawing, "</defs>\n");
}

static void draw_group(struct drawing *drawing, unsigned group, double group_width,
                       const struct hbk_figure_series *series, unsigned count)
{
    double bar = group_width * 0.8 / count;
    double x = drawing->left + group * group_width + group_width * 0.1;
    double bottom = y_of(drawing, drawing->y.is_log ? drawing->y.low : fmax(0, drawing->y.low));
    for (unsigned i = 0; i < count; i++, x += bar) {
        double value = series[i].y[group];
        if (isnan(value)) {
            continue;
        }
        double y = y_of(drawing, value);
        char label[HBK_AXIS_LABEL_BYTES_MAX];
        hbk_axis_label(value, label);
        draw(drawing,
             "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"url(#hatch%u)\" "
             "stroke=\"#000\" stroke-width=\"0.6\"><title>%s</title></rect>\n",
             x, fmin(y, bottom), bar * 0.92, fabs(bottom - y), i % LOOKS, label);
        if (series[i].low != NULL && series[i].high != NULL) {
            draw_interval(drawing, x + bar * 0.46, series[i].low[group], series[i].high[group]);
        }
    }
}

static void draw_bar_legend(struct drawing *drawing, const struct hbk_figure_series *series,
                            unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        double x, y;
        legend_place(drawing, i, &x, &y);
        draw(drawing,
             "<rect x=\"%.1f\" y=\"%.1f\" width=\"22\" height=\"11\" fill=\"url(#hatch%u)\" "
             "stroke=\"#000\" stroke-width=\"0.6\"/><text x=\"%.1f\" y=\"%.1f\">",
             x, y - 10, i % LOOKS, x + 28, y);
        draw_text(drawing, series[i].name);
        draw(drawing, "</text>\n");
    }
}

hbk_status hbk_figure_bars(const struct hbk_figure *figure, const char *const *groups,
                           unsigned group_count, const struct hbk_figure_series *series,
                           unsigned count, struct hbk_buffer *out)
{
    struct drawing drawing = {.out = out, .figure = figure};
    struct range y = range_of(series, count, false, figure->is_y_log);
    HBK_ASSERT(count <= HBK_FIGURE_SERIES_MAX && group_count <= HBK_FIGURE_GROUPS_MAX);
    hbk_axis_init(&drawing.x, 0, 1, false);
    hbk_axis_init(&drawing.y, y.low, y.high, figure->is_y_log);
    begin(&drawing, (count + 1) / 2);
    draw_patterns(&drawing, count);
    draw_y_axis(&drawing);
    double group_width = drawing.width / (group_count > 0 ? group_count : 1);
    for (unsigned i = 0; i < group_count; i++) {
        draw_group(&drawing, i, group_width, series, count);
        draw(&drawing, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
             drawing.left + (i + 0.5) * group_width, drawing.top + drawing.height + 18);
        draw_text(&drawing, groups[i]);
        draw(&drawing, "</text>\n");
    }
    draw_x_name(&drawing);
    draw_bar_legend(&drawing, series, count);
    draw(&drawing, "</svg>\n");
    return drawing.status;
}
