#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void hbk_fd_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        (void)close(*fd);
        errno = saved;
        *fd = -1;
    }
}

int hbk_fd_unblocked(int fd)
{
    struct stat file;
    if (fstat(fd, &file) != 0) {
        return fd;
    }
    if (S_ISFIFO(file.st_mode)) {
        char path[32];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int opened = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        return opened < 0 ? fd : opened;
    }
    if (S_ISSOCK(file.st_mode)) {
        /* Sockets cannot be opened anew; the journal gives each service its own. */
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0) {
            (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        }
    }
    return fd;
}
