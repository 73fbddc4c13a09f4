#include "clock.h"

/* 2026-11-23 12:00:00 UTC, as in forge.h. */
static const int64_t start_ns = INT64_C(1795435200) * 1000000000;

static uint64_t monotonic_ns;
static int64_t realtime_ns;

uint64_t __wrap_hbk_clock_monotonic_ns(void);
int64_t __wrap_hbk_clock_realtime_ns(void);

uint64_t __wrap_hbk_clock_monotonic_ns(void)
{
    return monotonic_ns;
}

int64_t __wrap_hbk_clock_realtime_ns(void)
{
    return realtime_ns;
}

void clock_start(void)
{
    monotonic_ns = UINT64_C(1000) * 1000000000;
    realtime_ns = start_ns;
}

void clock_pass(uint64_t duration_ns)
{
    monotonic_ns += duration_ns;
    realtime_ns += (int64_t)duration_ns;
}

void clock_step(int64_t step_ns)
{
    realtime_ns += step_ns;
}
