#include "os/poll.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

hbk_status hbk_poll_open(int *out_poll)
{
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (poll < 0) {
        return hbk_status_from_errno(errno);
    }
    *out_poll = poll;
    return HBK_OK;
}

static hbk_status add(int poll, int fd, uint32_t mask, void *owner)
{
    struct epoll_event event = {.events = mask, .data.ptr = owner};
    return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0 ? hbk_status_from_errno(errno) : HBK_OK;
}

hbk_status hbk_poll_add(int poll, int fd, void *owner)
{
    return add(poll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, owner);
}

hbk_status hbk_poll_add_listener(int poll, int fd, void *owner)
{
    return add(poll, fd, EPOLLIN | EPOLLEXCLUSIVE, owner);
}

void hbk_poll_remove(int poll, int fd)
{
    (void)epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL);
}

static uint32_t ready_of(uint32_t mask)
{
    uint32_t ready = 0;
    ready |= (mask & EPOLLIN) != 0 ? HBK_READABLE : 0;
    ready |= (mask & EPOLLOUT) != 0 ? HBK_WRITABLE : 0;
    ready |= (mask & EPOLLRDHUP) != 0 ? HBK_READABLE | HBK_ENDED : 0;
    ready |= (mask & (EPOLLHUP | EPOLLERR)) != 0 ? HBK_READABLE | HBK_WRITABLE | HBK_HUNG_UP : 0;
    return ready;
}

/* In whole milliseconds, rounded up: nothing is due before its time. */
static int wait_coarsely(int poll, uint64_t timeout_ns, struct epoll_event *raw)
{
    uint64_t timeout_ms = timeout_ns / HBK_NS_PER_MS + (timeout_ns % HBK_NS_PER_MS != 0);
    int limit_ms = timeout_ns == UINT64_MAX ? -1 : timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
    return epoll_wait(poll, raw, HBK_POLL_EVENTS_MAX, limit_ms);
}

/* epoll_pwait2() is there since Linux 5.11, and not under valgrind. */
static int wait_finely(int poll, uint64_t timeout_ns, struct epoll_event *raw)
{
    static _Atomic bool is_missing;
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / HBK_NS_PER_S),
        .tv_nsec = (long)(timeout_ns % HBK_NS_PER_S),
    };
    if (!atomic_load_explicit(&is_missing, memory_order_relaxed)) {
        int count = epoll_pwait2(poll, raw, HBK_POLL_EVENTS_MAX,
                                 timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
        if (count >= 0 || errno != ENOSYS) {
            return count;
        }
        atomic_store_explicit(&is_missing, true, memory_order_relaxed);
    }
    return wait_coarsely(poll, timeout_ns, raw);
}

unsigned hbk_poll_wait(int poll, uint64_t timeout_ns,
                       struct hbk_poll_event events[static HBK_POLL_EVENTS_MAX])
{
    struct epoll_event raw[HBK_POLL_EVENTS_MAX];
    int count = wait_finely(poll, timeout_ns, raw);
    if (count < 0) {
        HBK_ASSERT(errno == EINTR);
        return 0;
    }
    for (int i = 0; i < count; i++) {
        events[i] = (struct hbk_poll_event){
            .owner = raw[i].data.ptr,
            .ready = ready_of(raw[i].events),
        };
    }
    return (unsigned)count;
}

void hbk_poll_rest(uint64_t duration_ns)
{
    struct timespec duration = {
        .tv_sec = (time_t)(duration_ns / HBK_NS_PER_S),
        .tv_nsec = (long)(duration_ns % HBK_NS_PER_S),
    };
    (void)nanosleep(&duration, NULL);
}

hbk_status hbk_event_open(int *out_event)
{
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0) {
        return hbk_status_from_errno(errno);
    }
    *out_event = event;
    return HBK_OK;
}

void hbk_event_set(int event)
{
    (void)eventfd_write(event, 1); /* a full counter is set already */
}

void hbk_event_clear(int event)
{
    eventfd_t value;
    (void)eventfd_read(event, &value);
}

hbk_status hbk_wake_open(int *out_wake)
{
    int wake = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (wake < 0) {
        return hbk_status_from_errno(errno);
    }
    *out_wake = wake;
    return HBK_OK;
}

void hbk_wake_at(int wake, uint64_t due_ns)
{
    uint64_t due = due_ns == 0 ? 1 : due_ns; /* zero would switch it off */
    struct itimerspec time = {
        .it_value = {.tv_sec = (time_t)(due / HBK_NS_PER_S), .tv_nsec = (long)(due % HBK_NS_PER_S)},
    };
    HBK_ASSERT(timerfd_settime(wake, TFD_TIMER_ABSTIME, &time, NULL) == 0);
}
