/*
 * The benchmark of the data path: one client, one server, and between them nothing, two bare
 * relays, two agents, or two HAProxy with mutual TLS; all in pods of one topology, behind the same
 * redirection, measured in turn, round after round; medians count.
 *
 *  one-core   everything on one core, closed loop: then 1/rate is the CPU of a request, whoever
 *             spends it, kernel included
 *  open-loop  agents on one core, client and server on the other, requests by the clock
 *  bulk       one connection, as much as it takes, on all cores used
 *  connect    a new connection for each request, everything on one core
 *  memory     agents at rest, and with thousands of idle connections
 */
#pragma once

#include <regex.h>

#include "bench/bare.h"
#include "bench/scene.h"

enum {
    HBK_PATH_ROUNDS_MAX = 15,
    HBK_PATH_CASES_MAX = 64,
    HBK_PATH_REASON_BYTES_MAX = 256,
    HBK_PATH_NAME_BYTES_MAX = 64,
};

enum hbk_path_system_name {
    HBK_PATH_DIRECT,
    HBK_PATH_RELAYS,
    HBK_PATH_HAUBERK,
    HBK_PATH_HAPROXY,
    HBK_PATH_SYSTEMS,
};

enum hbk_path_mode {
    HBK_PATH_ONE_CORE,
    HBK_PATH_OPEN_LOOP,
    HBK_PATH_BULK,
    HBK_PATH_CONNECT,
    HBK_PATH_MODES,
};

struct hbk_path_options {
    uint64_t measure_ns; /* of one window */
    unsigned rounds;
    bool is_json;
    const regex_t *only; /* cases and memory measurements by name; NULL: all */
    const char *haproxy; /* path of the program */
    const char *engine;  /* of the agents, for TLS; NULL: their default */
    unsigned agent_core, load_core;
};

/* One system: the pods it stands between, and its two agents. */
struct hbk_path_system {
    const char *name;
    enum hbk_place client, server;
    bool is_up;
    char reason[HBK_PATH_REASON_BYTES_MAX]; /* why it is not */
    pid_t agents[2];                        /* 0: none */
};

/* One thing that is measured: a median over rounds of each figure. */
struct hbk_path_case {
    char name[HBK_PATH_NAME_BYTES_MAX]; /* "hauberk/one-core/32", "direct/open-loop/3200" */
    enum hbk_path_system_name system;
    enum hbk_path_mode mode;
    unsigned connections, rate_rps;
    struct hbk_bare_result rounds[HBK_PATH_ROUNDS_MAX];
    unsigned round_count;
    char failure[HBK_PATH_REASON_BYTES_MAX]; /* the last one; empty: none */

    /* medians */
    double achieved_rps;
    double agent_us, total_us;   /* CPU per request; total: client, server and agents */
    double process_us;           /* the total as the processes' own clocks tell it */
    double client_us, server_us; /* parts of that */
    double busy_share; /* of one core: what our processes used; below 1: others disturbed */
    double p50_us, p99_us;
    double bytes_per_s;
    uint64_t errors; /* of all rounds */
};

struct hbk_path_memory {
    bool is_measured;
    char failure[HBK_PATH_REASON_BYTES_MAX];
    unsigned workers;
    uint64_t idle_bytes[2]; /* private and dirty, of each agent */
    unsigned connections;
    double bytes_per_connection[2];
    double kernel_bytes_per_connection; /* of all sockets on the machine together */
};

struct hbk_path {
    struct hbk_path_options options;
    struct hbk_scene scene;
    struct hbk_path_system systems[HBK_PATH_SYSTEMS];
    struct hbk_program programs[2]; /* HAProxy's */
    struct hbk_process relays[2];
    struct hbk_path_case cases[HBK_PATH_CASES_MAX];
    unsigned case_count;
    struct hbk_path_memory memory;
};

/* Runs everything in the calling process, the first of a private world, and reports. False when
 * nothing could be measured or a case of hauberk failed. */
bool hbk_path_run(const struct hbk_path_options *options);

/* Starts the systems that the chosen cases need; a system that cannot start has a reason. */
HBK_MUST_USE hbk_status hbk_path_start_systems(struct hbk_path *path, struct hbk_error *error);
void hbk_path_stop_systems(struct hbk_path *path);

/* Measures the agents' memory; needs them stopped, and starts them anew with two workers. */
void hbk_path_measure_memory(struct hbk_path *path);

bool hbk_path_is_wanted(const struct hbk_path *path, const char *name);

/* Median of `count` values; sorts them. 0 of none. Pure. */
double hbk_path_median(double *values, unsigned count);

/* Finds the case of another system in the same mode, connections and rate; NULL: not measured. */
const struct hbk_path_case *hbk_path_twin(const struct hbk_path *path,
                                          const struct hbk_path_case *of,
                                          enum hbk_path_system_name system);
