/* Time. Protocol code takes it as a parameter; only loops and programs ask for it. Any thread. */
#pragma once

#include <stdint.h>

#define HBK_NS_PER_US UINT64_C(1000)
#define HBK_NS_PER_MS UINT64_C(1000000)
#define HBK_NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds: for durations and deadlines. */
uint64_t hbk_clock_monotonic_ns(void);

/* CLOCK_REALTIME in nanoseconds since 1970: for certificates and logs. It may jump. */
int64_t hbk_clock_realtime_ns(void);

/* CPU time of the calling thread, and of the whole process, in nanoseconds. */
uint64_t hbk_clock_thread_cpu_ns(void);
uint64_t hbk_clock_process_cpu_ns(void);
