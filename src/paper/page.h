/* Writing an HTML page: text with its marks, tables, figures. The first failure is kept, so that a
 * page reads as a page. */
#pragma once

#include "base/buffer.h"
#include "base/statistics.h"
#include "plot/figure.h"

enum { HBK_PAGE_BYTES_MAX = 32 << 20 };

struct hbk_page {
    struct hbk_buffer *out; /* borrowed */
    hbk_status status;
};

/* Markup of ours, with numbers; at most 4 KiB at once. */
HBK_PRINTF(2, 3) void hbk_page_put(struct hbk_page *page, const char *format, ...);

/* Text of others: escaped. */
void hbk_page_text(struct hbk_page *page, const char *text);

/* "<tag>text</tag>", escaped. */
void hbk_page_element(struct hbk_page *page, const char *tag, const char *text);

/* "<h3 id="id">text</h3>", escaped. */
void hbk_page_heading(struct hbk_page *page, const char *id, const char *text);

/* A table cell: a median with its interval below; a dash when there is none. */
void hbk_page_estimate(struct hbk_page *page, const struct hbk_estimate *estimate, bool is_added,
                       int digits);

void hbk_page_bars(struct hbk_page *page, const struct hbk_figure *figure,
                   const char *const *groups, unsigned group_count,
                   const struct hbk_figure_series *series, unsigned count);
void hbk_page_lines(struct hbk_page *page, const struct hbk_figure *figure,
                    const struct hbk_figure_series *series, unsigned count);
