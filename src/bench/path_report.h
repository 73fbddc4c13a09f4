/* What the benchmark of the data path tells: a table with ratios and goals, or JSON. */
#pragma once

#include "bench/path.h"

/* What is being measured now, on standard error when that is a terminal. */
void hbk_path_report_progress(const struct hbk_path *path, const struct hbk_path_case *on);
void hbk_path_report(const struct hbk_path *path);
