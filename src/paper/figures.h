/* The figures of the report. */
#pragma once

#include "paper/page.h"
#include "paper/result.h"

void hbk_paper_put_figures(struct hbk_page *page, const struct hbk_paper *paper);

/* Figure 8, and the lines through it. */
void hbk_paper_put_memory_line(struct hbk_page *page, const struct hbk_paper *paper);

/* "What a feature costs, and how to turn it off", from differences within the series. */
void hbk_paper_put_features(struct hbk_page *page, const struct hbk_paper *paper);

/* The page in front of and behind them: tables, targets, notes. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_paper_report(const struct hbk_paper *paper, struct hbk_buffer *out);
