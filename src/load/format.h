/* Numbers as people and Go programs write them. */
#pragma once

#include <stdint.h>

enum { HBK_LOAD_DURATION_BYTES_MAX = 48 };

/* As Go prints a duration: "1h2m3.5s", "200ms", "1.5us" (Go's micro sign), "0s". Returns `text`. */
const char *hbk_load_duration_text(uint64_t ns, char text[static HBK_LOAD_DURATION_BYTES_MAX]);

/* Three significant digits with a unit, for a column of figures: "81.3 us", "1.27 ms", "2.01 s". */
const char *hbk_load_latency_text(double ns, char text[static HBK_LOAD_DURATION_BYTES_MAX]);
