/*
 * Memory of the agents: at rest, and again while thousands of connections that have spoken once
 * are open and idle. The difference, divided, is what one more connection costs. Kernel memory of
 * sockets, of client, agents and server together, is told apart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "bench/bare_place.h"
#include "bench/path.h"

enum { WORKERS = 2, CONNECTIONS = 6000, PROC_FILE_BYTES_MAX = 16 << 10, PAGE_BYTES = 4096 };

static const uint64_t settle_ns = 2 * HBK_NS_PER_S;
static const uint64_t hold_timeout_ns = 60 * HBK_NS_PER_S;

/* The number behind `name` in a file of /proc; 0 when it is not there. */
static uint64_t number_in(const char *path, const char *line_start, const char *name)
{
    struct hbk_arena arena;
    struct hbk_slice text = {0};
    uint64_t number = 0;
    hbk_arena_init(&arena);
    if (hbk_file_read(&arena, path, PROC_FILE_BYTES_MAX, &text) == HBK_OK) {
        const char *line = strstr((const char *)text.bytes, line_start);
        const char *found = line == NULL ? NULL : strstr(line, name);
        number = found == NULL ? 0 : strtoull(found + strlen(name), NULL, 10);
    }
    hbk_arena_fini(&arena);
    return number;
}

/* What sockets hold in the kernel: buffers by TCP's own count, and the objects behind them, which
 * are most of it, as growth of the slabs. Of the whole machine: nothing else should run. */
static uint64_t kernel_bytes(void)
{
    uint64_t buffer_pages = number_in("/proc/net/sockstat", "TCP:", " mem ");
    uint64_t slab_kib = number_in("/proc/meminfo", "Slab:", "Slab:");
    return buffer_pages * PAGE_BYTES + (slab_kib << 10);
}

static hbk_status private_bytes(const struct hbk_path *path, uint64_t out_bytes[static 2])
{
    for (size_t i = 0; i < 2; i++) {
        struct hbk_process_usage usage;
        HBK_TRY(hbk_process_usage(path->scene.agents[i].process.pid, &usage));
        out_bytes[i] = usage.private_dirty_bytes;
    }
    return HBK_OK;
}

static bool wait_until_holding(const struct hbk_bare_result *result,
                               const struct hbk_process *client)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + hold_timeout_ns;
    /* Acquire: pairs with the client's release. */
    while (!atomic_load_explicit(&result->is_holding, memory_order_acquire)) {
        if (hbk_clock_monotonic_ns() > end_ns || !hbk_process_is_running(client)) {
            return false;
        }
        hbk_program_pause(20 * HBK_NS_PER_MS);
    }
    return true;
}

/* Opens the connections and holds them while `memory` is filled. */
static hbk_status measure_held(struct hbk_path *path, struct hbk_bare_result *result,
                               struct hbk_path_memory *memory, struct hbk_error *error)
{
    const struct hbk_path_system *system = &path->systems[HBK_PATH_HAUBERK];
    struct hbk_bare_client client = {
        .plan = {.mode = HBK_BARE_HOLD,
                 .to = hbk_topology_address(&path->scene.topology, system->server, HBK_SCENE_PORT),
                 .connections = CONNECTIONS},
        .result = result,
    };
    struct hbk_process process = hbk_process_none();
    uint64_t kernel_before = kernel_bytes();
    HBK_TRY(hbk_bare_start_client(&path->scene.topology, system->client, -1, hbk_bare_client_run,
                                  &client, &process, error));
    hbk_status status = HBK_OK;
    uint64_t held[2];
    if (!wait_until_holding(result, &process)) {
        status =
            hbk_error_set(error, HBK_TIMEOUT, "%d connections could not be opened (%llu failed)",
                          CONNECTIONS, (unsigned long long)result->errors);
    }
    if (status == HBK_OK) {
        hbk_program_pause(settle_ns);
        status = private_bytes(path, held);
    }
    if (status == HBK_OK) {
        memory->connections = CONNECTIONS;
        for (size_t i = 0; i < 2; i++) {
            memory->bytes_per_connection[i] =
                ((double)held[i] - (double)memory->idle_bytes[i]) / CONNECTIONS;
        }
        memory->kernel_bytes_per_connection =
            ((double)kernel_bytes() - (double)kernel_before) / CONNECTIONS;
    }
    hbk_process_stop(&process, 0);
    return status;
}

static hbk_status measure_with_server(struct hbk_path *path, struct hbk_path_memory *memory,
                                      struct hbk_error *error)
{
    const struct hbk_path_system *system = &path->systems[HBK_PATH_HAUBERK];
    struct hbk_process server = hbk_process_none();
    struct hbk_bare_result *result =
        mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED) {
        return HBK_NO_MEMORY;
    }
    hbk_status status =
        hbk_bare_start_server(&path->scene.topology, system->server, -1, NULL, &server, error);
    if (status == HBK_OK) {
        status = measure_held(path, result, memory, error);
        hbk_process_stop(&server, 0);
    }
    (void)munmap(result, sizeof *result);
    return status;
}

static hbk_status measure(struct hbk_path *path, struct hbk_path_memory *memory,
                          struct hbk_error *error)
{
    struct hbk_scene_agents agents = {.workers = WORKERS, .cpu = -1};
    HBK_TRY(hbk_scene_stop_agents(&path->scene, error));
    HBK_TRY(hbk_scene_start_agents(&path->scene, &agents, error));
    hbk_program_pause(settle_ns);
    memory->workers = WORKERS;
    HBK_TRY(private_bytes(path, memory->idle_bytes));
    memory->is_measured = true;
    return measure_with_server(path, memory, error);
}

void hbk_path_measure_memory(struct hbk_path *path)
{
    struct hbk_error error = {0};
    if (!hbk_path_is_wanted(path, "hauberk/memory")) {
        return;
    }
    hbk_status status = measure(path, &path->memory, &error);
    if (status != HBK_OK) {
        (void)hbk_error_set(&error, status, "%s", hbk_status_text(status));
        (void)snprintf(path->memory.failure, sizeof path->memory.failure, "%.*s",
                       HBK_PATH_REASON_BYTES_MAX - 1, error.text);
    }
}
