#include "os/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/fd.h"
#include "os/file.h"

static const char own_netns[] = "/proc/thread-self/ns/net";

enum { PID_MAX = 1 << 22 }; /* the kernel's limit on 64-bit machines */

static hbk_status path_of(const char *where, char out_path[static HBK_PATH_BYTES_MAX],
                          struct hbk_error *error)
{
    int length;
    uint64_t pid;
    if (strcmp(where, "host") == 0) {
        length = snprintf(out_path, HBK_PATH_BYTES_MAX, "%s", own_netns);
    } else if (strncmp(where, "pid:", 4) == 0) {
        if (!hbk_slice_to_u64(hbk_slice_text(where + 4), PID_MAX, &pid) || pid == 0) {
            return hbk_error_set(error, HBK_INVALID, "\"%s\" names no process: pid:1 to pid:%d",
                                 where, PID_MAX);
        }
        length = snprintf(out_path, HBK_PATH_BYTES_MAX, "/proc/%u/ns/net", (unsigned)pid);
    } else if (where[0] == '/') {
        length = snprintf(out_path, HBK_PATH_BYTES_MAX, "%s", where);
    } else {
        return hbk_error_set(error, HBK_INVALID,
                             "\"%s\" names no network namespace: a path from /, pid:NUMBER or host",
                             where);
    }
    if (length >= HBK_PATH_BYTES_MAX) {
        return hbk_error_set(error, HBK_INVALID, "the path of a network namespace is too long");
    }
    return HBK_OK;
}

hbk_status hbk_netns_open(const char *where, int *out_fd, struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    HBK_TRY(path_of(where, path, error));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        int error_number = errno;
        return hbk_error_set(error, hbk_status_from_errno(error_number),
                             "cannot open network namespace %s: %s", where, strerror(error_number));
    }
    *out_fd = fd;
    return HBK_OK;
}

hbk_status hbk_netns_identity(int fd, struct hbk_netns_identity *out_identity)
{
    struct stat about;
    if (fstat(fd, &about) < 0) {
        return hbk_status_from_errno(errno);
    }
    *out_identity = (struct hbk_netns_identity){about.st_dev, about.st_ino};
    return HBK_OK;
}

bool hbk_netns_identity_equal(const struct hbk_netns_identity *a,
                              const struct hbk_netns_identity *b)
{
    return a->device == b->device && a->inode == b->inode;
}

hbk_status hbk_netns_enter(int fd, struct hbk_netns_visit *out_visit)
{
    int home = open(own_netns, O_RDONLY | O_CLOEXEC);
    if (home < 0) {
        return hbk_status_from_errno(errno);
    }
    if (setns(fd, CLONE_NEWNET) < 0) {
        hbk_status status = hbk_status_from_errno(errno);
        hbk_fd_close(&home);
        return status;
    }
    out_visit->home_fd = home;
    return HBK_OK;
}

void hbk_netns_leave(struct hbk_netns_visit *visit)
{
    if (visit->home_fd < 0) {
        return;
    }
    /* A thread that cannot go home would serve one pod in another one's network: stop instead. */
    int error_number = errno;
    HBK_ASSERT(setns(visit->home_fd, CLONE_NEWNET) == 0);
    hbk_fd_close(&visit->home_fd);
    errno = error_number;
}

static hbk_status raise_loopback(void)
{
    HBK_CLEANUP(hbk_fd_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) {
        return hbk_status_from_errno(errno);
    }
    return HBK_OK;
}

/* In the new namespace; the caller goes home whatever comes of it. */
static hbk_status keep_at(const char *path)
{
    HBK_TRY(raise_loopback());
    int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (file < 0) {
        return hbk_status_from_errno(errno);
    }
    hbk_fd_close(&file);
    if (mount(own_netns, path, NULL, MS_BIND, NULL) < 0) {
        hbk_status status = hbk_status_from_errno(errno);
        (void)unlink(path);
        return status;
    }
    return HBK_OK;
}

static hbk_status create(const char *path)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    int home = open(own_netns, O_RDONLY | O_CLOEXEC);
    if (home < 0) {
        return hbk_status_from_errno(errno);
    }
    if (unshare(CLONE_NEWNET) < 0) {
        hbk_status status = hbk_status_from_errno(errno);
        hbk_fd_close(&home);
        return status;
    }
    visit.home_fd = home;
    return keep_at(path);
}

hbk_status hbk_netns_create(const char *path, struct hbk_error *error)
{
    hbk_status status = create(path);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot make network namespace %s: %s", path,
                             hbk_status_text(status));
    }
    return HBK_OK;
}

hbk_status hbk_netns_set(const char *name, const char *value, struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "/proc/sys/%s", name);
    hbk_status status = hbk_file_set(path, hbk_slice_text(value));
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot set %s to %s: %s", path, value,
                             hbk_status_text(status));
    }
    return HBK_OK;
}
