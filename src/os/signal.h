/* Signals as events: blocked for the whole process and read from a descriptor. */
#pragma once

#include <stddef.h>

#include "base/status.h"

/*
 * Blocks the signals in the calling thread (do it before other threads start, they inherit it) and
 * opens a non-blocking descriptor that becomes readable when one of them arrives.
 *
 * Fails: HBK_LIMIT (descriptors), HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_signal_open(const int *signals, size_t count, int *out_fd);

/* Takes the next signal that arrived; HBK_NOT_FOUND when there is none. */
HBK_MUST_USE hbk_status hbk_signal_read(int fd, int *out_signal);

/* Unblocks everything and restores default actions: in a child before it runs another program. */
void hbk_signal_reset(void);
