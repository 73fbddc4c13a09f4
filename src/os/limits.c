#include "os/limits.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>

hbk_status hbk_limits_raise_open_files(uint64_t *out_files_max)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return hbk_status_from_errno(errno);
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return hbk_status_from_errno(errno);
    }
    *out_files_max = limit.rlim_cur;
    return HBK_OK;
}

hbk_status hbk_limits_open_files(uint64_t *out_files, uint64_t *out_files_max)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return hbk_status_from_errno(errno);
    }
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return hbk_status_from_errno(errno);
    }
    uint64_t entries = 0;
    while (readdir(directory) != NULL) {
        entries++;
    }
    (void)closedir(directory);
    enum { NOT_COUNTED = 3 }; /* ".", ".." and our own look */
    *out_files = entries > NOT_COUNTED ? entries - NOT_COUNTED : 0;
    *out_files_max = limit.rlim_cur;
    return HBK_OK;
}
