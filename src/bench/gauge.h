/* What processes and the machine use, read from outside. All of it needs Linux's /proc. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process with all that it started in its process group (os/process.h, has_own_group). */
struct hbk_group_usage {
    uint64_t cpu_ns;
    uint64_t private_bytes; /* dirty, and of nobody else */
    unsigned sockets;
    unsigned processes; /* 0: all have ended */
};

/*
 * One usage for each of `count` groups, from one pass over /proc; of nobody (0 or less) there is
 * none. A group that is there twice is looked at once, and both are the same.
 *
 * `with_memory`: also private_bytes and sockets, which cost milliseconds. Thread: control.
 */
void hbk_gauge_groups(const pid_t *groups, unsigned count, bool with_memory,
                      struct hbk_group_usage *out_usages);
struct hbk_group_usage hbk_gauge_group(pid_t group, bool with_memory);

struct hbk_machine_usage {
    uint64_t busy_ns;      /* of all processors, since boot; in steps of 10 ms */
    uint64_t softirq_ns;   /* the part of it in soft interrupts */
    uint64_t kernel_bytes; /* slabs and TCP's buffers */
};

struct hbk_machine_usage hbk_gauge_machine(void);
