/*
 * A private world for programs that build whole networks: new network, mount and process
 * namespaces, and a new user namespace unless the caller may make the others without one. Nothing
 * in it survives its first process, because the kernel ends all others with it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/status.h"

/*
 * Runs `run(argument)` as the first process of such a world, as its root user, with a fresh /proc
 * and an empty /run, and waits for its end. SIGINT, SIGTERM and SIGHUP to the caller end the world.
 *
 * Returns: HBK_OK when `run` ended; *out_exit_status is what it returned, or 128 + signal.
 * Fails:   HBK_DENIED where such namespaces are forbidden (the error says how to run as root),
 *          HBK_LIMIT, HBK_IO. Then `run` was not called, or its world could not be set up.
 * Thread:  any; the caller itself stays where it is.
 */
HBK_MUST_USE hbk_status hbk_isolation_run(int (*run)(void *argument), void *argument,
                                          int *out_exit_status, struct hbk_error *error);

/* The number of the first process of this world as it is seen outside: for `nsenter -t`. 0 outside
 * of any such world. */
pid_t hbk_isolation_outer_pid(void);

/* Whether such a world can be made here; tests that need one are skipped otherwise. */
bool hbk_isolation_is_possible(void);
