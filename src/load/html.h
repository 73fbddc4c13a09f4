/* The result of a load run as one page that needs nothing else: the latency curve, the course of
 * the run, the histogram, and the text report. */
#pragma once

#include "base/buffer.h"
#include "load/course.h"
#include "load/plan.h"
#include "load/result.h"

enum { HBK_LOAD_HTML_BYTES_MAX = 16 << 20 };

/* Appends the page. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_load_html(const struct hbk_load_plan *plan,
                                      const struct hbk_load_result *result,
                                      const struct hbk_load_course *course, struct hbk_buffer *out);
