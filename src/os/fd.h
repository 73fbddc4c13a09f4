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
