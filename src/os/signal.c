#include "os/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

hbk_status hbk_signal_open(const int *signals, size_t count, int *out_fd)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        sigaddset(&set, signals[i]);
    }
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return hbk_status_from_errno(errno);
    }
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    *out_fd = fd;
    return HBK_OK;
}

hbk_status hbk_signal_read(int fd, int *out_signal)
{
    struct signalfd_siginfo about;
    ssize_t got = read(fd, &about, sizeof about);
    if (got != sizeof about) {
        return got < 0 && errno != EAGAIN && errno != EINTR ? hbk_status_from_errno(errno)
                                                            : HBK_NOT_FOUND;
    }
    *out_signal = (int)about.ssi_signo;
    return HBK_OK;
}

void hbk_signal_reset(void)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}
