/* samples.jsonl of a series: lines are added as runs end, and read again. */
#pragma once

#include "paper/sample.h"

/* Reads what `directory` has; nothing when it has no such file. A line that is cut, as by a crash
 * in the middle of a write, is passed over. Fails: HBK_DENIED, HBK_LIMIT, HBK_IO; `error` names it.
 */
HBK_MUST_USE hbk_status hbk_samples_read(const char *directory, struct hbk_sample *out_samples,
                                         unsigned count_max, unsigned *out_count,
                                         struct hbk_error *error);

/* Adds one and waits until it is on the disk. Fails: HBK_DENIED, HBK_LIMIT (disk full), HBK_IO. */
HBK_MUST_USE hbk_status hbk_samples_add(const char *directory, const struct hbk_sample *sample,
                                        struct hbk_error *error);
