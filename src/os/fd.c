#include "os/fd.h"

#include <errno.h>
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
