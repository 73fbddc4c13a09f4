/* What the demonstration tells: text as it goes, or one JSON object at its end. */
#pragma once

#include "bench/demo.h"

void hbk_demo_report_start(const struct hbk_demo *demo);
void hbk_demo_report_step(const struct hbk_demo *demo, unsigned step);
void hbk_demo_report_end(const struct hbk_demo *demo, bool is_all_true);

/* The scene could not be set up. */
void hbk_demo_report_failure(const struct hbk_demo *demo, const char *text);

/* How to look around while it runs. */
void hbk_demo_report_commands(const struct hbk_demo *demo);
