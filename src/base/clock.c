#include "base/clock.h"

#include <time.h>

#include "base/assert.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    HBK_ASSERT(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * HBK_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t hbk_clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t hbk_clock_realtime_ns(void)
{
    return (int64_t)read_clock(CLOCK_REALTIME);
}

uint64_t hbk_clock_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t hbk_clock_process_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
