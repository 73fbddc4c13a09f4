/* The result of a load run for people. */
#pragma once

#include <stdio.h>

#include "load/plan.h"
#include "load/result.h"

void hbk_load_report(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                     FILE *stream);
