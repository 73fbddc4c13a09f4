/* The calling thread and the processor. */
#pragma once

#include <stdint.h>

#include "base/status.h"

struct hbk_usage {
    uint64_t user_ns, system_ns; /* precise in sum; the kernel may sample how it is divided */
    uint64_t wait_ns;            /* ready to run but without a CPU; 0 where the kernel hides it */
};

struct hbk_usage hbk_thread_usage(void);

/* Lets sleeps end within a nanosecond of their time instead of the usual 50 us (PR_SET_TIMERSLACK):
 * for threads that pace something. */
void hbk_thread_sleep_precisely(void);

/* Pins the thread to one core. Fails: HBK_INVALID (no such core, or not one of ours), HBK_IO. */
HBK_MUST_USE hbk_status hbk_thread_pin(int core);
