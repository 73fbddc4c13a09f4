#include "os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "os/fd.h"

static uint64_t ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * HBK_NS_PER_S + (uint64_t)time.tv_usec * HBK_NS_PER_US;
}

/* The second number of schedstat: "on-cpu-ns waiting-ns slices". */
static uint64_t wait_ns(void)
{
    char text[128];
    uint64_t waited_ns = 0;
    HBK_CLEANUP(hbk_fd_close) int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (size > 0) {
        text[size] = '\0';
        (void)sscanf(text, "%*u %" SCNu64, &waited_ns);
    }
    return waited_ns;
}

struct hbk_usage hbk_thread_usage(void)
{
    struct rusage usage;
    HBK_ASSERT(getrusage(RUSAGE_THREAD, &usage) == 0);
    return (struct hbk_usage){
        .user_ns = ns_of(usage.ru_utime),
        .system_ns = ns_of(usage.ru_stime),
        .wait_ns = wait_ns(),
    };
}

void hbk_thread_sleep_precisely(void)
{
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* 0 would mean the default */
}

hbk_status hbk_thread_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (core < 0 || core >= CPU_SETSIZE) {
        return HBK_INVALID;
    }
    CPU_SET((size_t)core, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? HBK_OK : hbk_status_from_errno(errno);
}
