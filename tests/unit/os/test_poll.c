#include "os/poll.h"

#include <errno.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "harness.h"
#include "os/fd.h"

/* A kernel, or valgrind, that lacks epoll_pwait2(). */
static unsigned fine_waits;
int __wrap_epoll_pwait2(int poll, struct epoll_event *events, int count,
                        const struct timespec *timeout, const sigset_t *mask);

int __wrap_epoll_pwait2(int poll, struct epoll_event *events, int count,
                        const struct timespec *timeout, const sigset_t *mask)
{
    (void)poll;
    (void)events;
    (void)count;
    (void)timeout;
    (void)mask;
    fine_waits++;
    errno = ENOSYS;
    return -1;
}

static void old_kernels_are_waited_for_in_milliseconds(void **state)
{
    (void)state;
    struct hbk_poll_event events[HBK_POLL_EVENTS_MAX];
    int poll = -1;
    int event = -1;
    int owner = 0;
    assert_int_equal(hbk_poll_open(&poll), HBK_OK);
    assert_int_equal(hbk_event_open(&event), HBK_OK);
    assert_int_equal(hbk_poll_add(poll, event, &owner), HBK_OK);
    (void)hbk_poll_wait(poll, 0, events); /* the edge of being writable */

    /* Rounded up: nothing wakes before its time. */
    uint64_t start_ns = hbk_clock_monotonic_ns();
    assert_int_equal(hbk_poll_wait(poll, 1500001, events), 0);
    assert_true(hbk_clock_monotonic_ns() - start_ns >= 1500001);

    hbk_event_set(event);
    assert_int_equal(hbk_poll_wait(poll, UINT64_MAX, events), 1);
    assert_ptr_equal(events[0].owner, &owner);
    assert_true((events[0].ready & HBK_READABLE) != 0);
    assert_int_equal(fine_waits, 1); /* asked once */
    hbk_fd_close(&event);
    hbk_fd_close(&poll);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_kernels_are_waited_for_in_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
