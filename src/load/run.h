/* A whole load run: resolves the target, starts the threads, runs the plan, adds the results up. */
#pragma once

#include "base/error.h"
#include "load/plan.h"
#include "load/result.h"

/*
 * Runs the plan to its end, or until `stop_fd` becomes readable (an eventfd or one of
 * hbk_signal_open(); -1: none); then the result is what was measured until then.
 *
 * Memory:  `*out_result` is owned by the caller (hbk_load_result_fini()).
 * Fails:   HBK_NOT_FOUND, HBK_IO (name), HBK_NO_ROUTE (not one connection could be opened),
 *          HBK_LIMIT, HBK_NO_MEMORY; `error` says why. Calls that fail are results, not failures.
 * Thread:  one that may block until the end of the run.
 */
HBK_MUST_USE hbk_status hbk_load_run(const struct hbk_load_plan *plan, int stop_fd,
                                     struct hbk_load_result *out_result, struct hbk_error *error);
