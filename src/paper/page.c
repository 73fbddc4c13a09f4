#include "paper/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

enum { PIECE_BYTES_MAX = 4096 };

void hbk_page_put(struct hbk_page *page, const char *format, ...)
{
    char piece[PIECE_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(piece, sizeof piece, format, values);
    va_end(values);
    HBK_ASSERT(size >= 0 && (size_t)size < sizeof piece);
    if (page->status == HBK_OK) {
        page->status = hbk_buffer_append(page->out, hbk_slice_of(piece, (size_t)size));
    }
}

void hbk_page_text(struct hbk_page *page, const char *text)
{
    if (page->status == HBK_OK) {
        page->status = hbk_figure_text(hbk_slice_text(text == NULL ? "" : text), page->out);
    }
}

void hbk_page_element(struct hbk_page *page, const char *tag, const char *text)
{
    hbk_page_put(page, "<%s>", tag);
    hbk_page_text(page, text);
    hbk_page_put(page, "</%s>\n", tag);
}

void hbk_page_heading(struct hbk_page *page, const char *id, const char *text)
{
    hbk_page_put(page, "<h3 id=\"%s\">", id);
    hbk_page_text(page, text);
    hbk_page_put(page, "</h3>\n");
}

void hbk_page_estimate(struct hbk_page *page, const struct hbk_estimate *estimate, bool is_added,
                       int digits)
{
    if (estimate->count == 0 || isnan(estimate->median)) {
        hbk_page_put(page, "<td class=\"none\">&ndash;</td>");
        return;
    }
    hbk_page_put(page, is_added ? "<td>%+.*f" : "<td>%.*f", digits, estimate->median);
    if (!isnan(estimate->low)) {
        hbk_page_put(page,
                     is_added ? "<small>%+.*f to %+.*f</small>" : "<small>%.*f to %.*f</small>",
                     digits, estimate->low, digits, estimate->high);
    }
    hbk_page_put(page, "</td>");
}

void hbk_page_bars(struct hbk_page *page, const struct hbk_figure *figure,
                   const char *const *groups, unsigned group_count,
                   const struct hbk_figure_series *series, unsigned count)
{
    hbk_page_put(page, "<figure>");
    if (page->status == HBK_OK) {
        page->status = hbk_figure_bars(figure, groups, group_count, series, count, page->out);
    }
    hbk_page_put(page, "</figure>\n");
}

void hbk_page_lines(struct hbk_page *page, const struct hbk_figure *figure,
                    const struct hbk_figure_series *series, unsigned count)
{
    hbk_page_put(page, "<figure>");
    if (page->status == HBK_OK) {
        page->status = hbk_figure_lines(figure, series, count, page->out);
    }
    hbk_page_put(page, "</figure>\n");
}
