#include "os/limits.h"

#include <errno.h>
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
