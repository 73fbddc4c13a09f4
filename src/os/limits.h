/* What the kernel allows this process to hold. */
#pragma once

#include <stdint.h>

#include "base/status.h"

/*
 * Raises the soft limit of open files to the hard one and returns what counts now.
 * Fails: HBK_DENIED, HBK_IO; the limit is as it was. Thread: any, once at start.
 */
HBK_MUST_USE hbk_status hbk_limits_raise_open_files(uint64_t *out_files_max);

/*
 * The files that this process has open, the one that looks not counted, and how many it may open.
 * Costs a directory read of that length. Fails: HBK_LIMIT (no descriptor left to look), HBK_DENIED,
 * HBK_NOT_FOUND (no /proc), HBK_IO. Any thread.
 */
HBK_MUST_USE hbk_status hbk_limits_open_files(uint64_t *out_files, uint64_t *out_files_max);
