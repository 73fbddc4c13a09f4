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
    struct hbk_group_usage usage;
    pid_t group;
    int with_memory;
};

static void gather(struct hbk_slice name, void *context)
{
    struct gathering *gathering = context;
    struct hbk_process_usage usage = {0};
    uint64_t pid = 0;
    if (!hbk_slice_to_u64(name, INT32_MAX, &pid) || group_of((pid_t)pid) != gathering->group) {
        return;
    }
    hbk_status status = gathering->with_memory != 0 ? hbk_process_usage((pid_t)pid, &usage)
                                                    : hbk_process_cpu((pid_t)pid, &usage.cpu_ns);
    if (status == HBK_OK) {
        gathering->usage.cpu_ns += usage.cpu_ns;
        gathering->usage.private_bytes += usage.private_dirty_bytes;
        gathering->usage.sockets += gathering->with_memory != 0 ? sockets_of((pid_t)pid) : 0;
        gathering->usage.processes++;
    }
}

struct hbk_group_usage hbk_gauge_group(pid_t group, int with_memory)
{
    struct gathering gathering = {.group = group, .with_memory = with_memory};
    if (group > 0) {
        (void)!hbk_directory_each("/proc", gather, &gathering);
    }
    return gathering.usage;
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
