/* File descriptors as owned values. A closed or missing descriptor is -1. */
#pragma once

/* Closes *fd if it is open and sets it to -1. For HBK_CLEANUP, too. Keeps errno. */
void hbk_fd_close(int *fd);

/* Hands the descriptor over: returns it and leaves -1. */
static inline int hbk_fd_take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/*
 * A descriptor that writes to where `fd` does, and returns at once when a pipe or a socket there is
 * full. A pipe is opened anew, so that others who share it are not changed; for anything else, and
 * on failure, it is `fd` itself.
 */
int hbk_fd_unblocked(int fd);
