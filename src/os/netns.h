/*
 * Network namespaces. A namespace is held by a descriptor; a thread enters it to make sockets there
 * and returns, the sockets stay where they were made. Entering needs CAP_SYS_ADMIN.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/slice.h"
#include "base/status.h"

/*
 * Opens what an operator wrote: a path ("/run/netns/web"), "pid:123" for the namespace of a
 * process, or "host" for the namespace of the calling thread.
 *
 * Fails: HBK_NOT_FOUND, HBK_DENIED, HBK_INVALID (the file is no network namespace), HBK_LIMIT; the
 * error names `where`. Owned by the caller: hbk_fd_close().
 */
HBK_MUST_USE hbk_status hbk_netns_open(const char *where, int *out_fd, struct hbk_error *error);

/* Which namespace it is: two descriptors of one namespace compare equal. */
struct hbk_netns_identity {
    dev_t device;
    ino_t inode;
};
HBK_MUST_USE hbk_status hbk_netns_identity(int fd, struct hbk_netns_identity *out_identity);
bool hbk_netns_identity_equal(const struct hbk_netns_identity *a,
                              const struct hbk_netns_identity *b);

/* A visit of the calling thread to another namespace. */
struct hbk_netns_visit {
    int home_fd; /* owned; -1: not away */
};

/* The state before hbk_netns_enter(); leaving it does nothing. */
static inline struct hbk_netns_visit hbk_netns_visit_none(void)
{
    return (struct hbk_netns_visit){.home_fd = -1};
}

/*
 * Moves the calling thread into the namespace until hbk_netns_leave(). Use it with HBK_CLEANUP:
 *
 *     HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
 *     HBK_TRY(hbk_netns_enter(fd, &visit));
 *
 * Fails: HBK_DENIED, HBK_INVALID (no network namespace), HBK_LIMIT; the thread is where it was.
 */
HBK_MUST_USE hbk_status hbk_netns_enter(int fd, struct hbk_netns_visit *out_visit);
void hbk_netns_leave(struct hbk_netns_visit *visit);

/*
 * Makes a new namespace with the loopback device up, and keeps it at `path` by a bind mount. The
 * caller should be in a mount namespace of its own. The calling thread stays where it is.
 *
 * Fails: HBK_DENIED, HBK_EXISTS, HBK_LIMIT, HBK_IO.
 */
HBK_MUST_USE hbk_status hbk_netns_create(const char *path, struct hbk_error *error);

/* Writes a setting of the calling thread's namespace: "net/ipv4/ip_forward", "1".
 * Fails: HBK_NOT_FOUND, HBK_DENIED, HBK_INVALID (value). */
HBK_MUST_USE hbk_status hbk_netns_set(const char *name, const char *value, struct hbk_error *error);
