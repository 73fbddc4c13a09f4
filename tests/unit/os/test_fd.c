#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

enum { PIECE_BYTES = 4096, WRITES_MAX = 1024 };

/* Writes until the other end is full; false when that never happens. */
static bool fills_up(int fd)
{
    static const char piece[PIECE_BYTES];
    for (int i = 0; i < WRITES_MAX; i++) {
        if (write(fd, piece, sizeof piece) < 0) {
            return errno == EAGAIN;
        }
    }
    return false;
}

static void a_full_pipe_answers_at_once_and_its_other_users_still_wait(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int fd = hbk_fd_unblocked(ends[1]);
    assert_int_not_equal(fd, ends[1]);
    assert_true(fills_up(fd));
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

static void a_full_socket_answers_at_once(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(hbk_fd_unblocked(ends[1]), ends[1]);
    assert_true(fills_up(ends[1]));
    close(ends[0]);
    close(ends[1]);
}

static void a_file_and_a_wrong_number_are_left_alone(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(hbk_fd_unblocked(fd), fd);
    assert_int_equal(fcntl(fd, F_GETFL), flags);
    close(fd);
    assert_int_equal(hbk_fd_unblocked(-1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_pipe_answers_at_once_and_its_other_users_still_wait),
        cmocka_unit_test(a_full_socket_answers_at_once),
        cmocka_unit_test(a_file_and_a_wrong_number_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
