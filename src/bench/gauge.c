#include "bench/gauge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/file.h"
#include "os/process.h"

enum { TEXT_BYTES_MAX = 64 << 10, PAGE_BYTES = 4096, PATH_BYTES_MAX = 96 };

/* Reads a file of /proc as text; empty when it is not there. */
static const char *read_proc(const char *path, struct hbk_arena *arena)
{
    struct hbk_slice text = {0};
    hbk_status status = hbk_file_read(arena, path, TEXT_BYTES_MAX, &text);
    return status == HBK_OK ? (const char *)text.bytes : "";
}

static pid_t group_of(pid_t pid)
{
    char path[PATH_BYTES_MAX];
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    /* "pid (name) state ppid pgrp": the name may hold anything but ends with the last bracket. */
    const char *text = read_proc(path, &arena);
    const char *end = strrchr(text, ')');
    int parent = 0, group = 0;
    char state = 0;
    bool is_read = end != NULL && sscanf(end + 1, " %c %d %d", &state, &parent, &group) == 3;
    hbk_arena_fini(&arena);
    return is_read ? (pid_t)group : -1;
}

struct counting {
    const char *folder;
    unsigned sockets;
};

static void count_socket(struct hbk_slice name, void *context)
{
    struct counting *counting = context;
    char path[PATH_BYTES_MAX], target[16];
    (void)snprintf(path, sizeof path, "%s/%.*s", counting->folder, HBK_SLICE_ARGS(name));
    ssize_t size = readlink(path, target, sizeof target);
    counting->sockets += size > 7 && memcmp(target, "socket:", 7) == 0 ? 1 : 0;
}

static unsigned sockets_of(pid_t pid)
{
    char folder[PATH_BYTES_MAX];
    struct counting counting = {.folder = folder};
    (void)snprintf(folder, sizeof folder, "/proc/%d/fd", (int)pid);
    return hbk_directory_each(folder, count_socket, &counting) == HBK_OK ? counting.sockets : 0;
}

struct gathering {
    const pid_t *groups;
    unsigned count;
    bool with_memory;
    struct hbk_group_usage *usages; /* of the first of equal groups; the others follow it */
};

static void gather(struct hbk_slice name, void *context)
{
    struct gathering *gathering = context;
    struct hbk_process_usage usage = {0};
    uint64_t pid = 0;
    unsigned index = 0;
    if (!hbk_slice_to_u64(name, INT32_MAX, &pid)) {
        return;
    }
    pid_t group = group_of((pid_t)pid);
    while (index < gathering->count && gathering->groups[index] != group) {
        index++;
    }
    if (index == gathering->count || group <= 0) {
        return;
    }
    hbk_status status = gathering->with_memory ? hbk_process_usage((pid_t)pid, &usage)
                                               : hbk_process_cpu((pid_t)pid, &usage.cpu_ns);
    if (status == HBK_OK) {
        struct hbk_group_usage *sum = &gathering->usages[index];
        sum->cpu_ns += usage.cpu_ns;
        sum->private_bytes += usage.private_dirty_bytes;
        sum->sockets += gathering->with_memory ? sockets_of((pid_t)pid) : 0;
        sum->processes++;
    }
}

void hbk_gauge_groups(const pid_t *groups, unsigned count, bool with_memory,
                      struct hbk_group_usage *out_usages)
{
    struct gathering gathering = {
        .groups = groups, .count = count, .with_memory = with_memory, .usages = out_usages};
    for (unsigned i = 0; i < count; i++) {
        out_usages[i] = (struct hbk_group_usage){0};
    }
    (void)!hbk_directory_each("/proc", gather, &gathering);
    for (unsigned i = 0; i < count; i++) {
        unsigned first = 0;
        while (groups[first] != groups[i]) {
            first++;
        }
        out_usages[i] = out_usages[first];
    }
}

struct hbk_group_usage hbk_gauge_group(pid_t group, bool with_memory)
{
    struct hbk_group_usage usage;
    hbk_gauge_groups(&group, 1, with_memory, &usage);
    return usage;
}

static uint64_t number_behind(const char *text, const char *line, const char *name)
{
    const char *found = strstr(text, line);
    found = found == NULL ? NULL : strstr(found, name);
    return found == NULL ? 0 : strtoull(found + strlen(name), NULL, 10);
}

struct hbk_machine_usage hbk_gauge_machine(void)
{
    struct hbk_machine_usage usage = {0};
    struct hbk_arena arena;
    unsigned long long ticks[8] = {0}; /* user nice system idle iowait irq softirq steal */
    uint64_t tick_ns = HBK_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    hbk_arena_init(&arena);
    const char *stat = read_proc("/proc/stat", &arena);
    if (sscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
               &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) == 8) {
        usage.busy_ns = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * tick_ns;
        usage.softirq_ns = ticks[6] * tick_ns;
    }
    usage.kernel_bytes =
        number_behind(read_proc("/proc/net/sockstat", &arena), "TCP:", " mem ") * PAGE_BYTES +
        (number_behind(read_proc("/proc/meminfo", &arena), "Slab:", "Slab:") << 10);
    hbk_arena_fini(&arena);
    return usage;
}
