/*
 * Handshakes through `hauberk node`, for each TLS engine in turn, round after round: what a full
 * mutual handshake costs an agent that accepts it, and what a thousand of them a second do to the
 * requests of others. Two hosts with an agent each, in namespaces; the engine is changed in their
 * mesh file while they run.
 *
 *  handshakes  tunnels are opened to the agent of beta as fast as they go; CPU is that agent's
 *              threads' own, kernel work on their behalf included, from the kernel's accounting
 *  requests    by the clock over tunnels that stand, while others open tunnels by the clock
 */
#pragma once

#include "bench/bare.h"
#include "bench/dialler.h"
#include "bench/scene.h"

enum {
    HBK_NODE_HANDSHAKE_ROUNDS_MAX = 15,
    HBK_NODE_HANDSHAKE_IN_FLIGHT = 64,
    HBK_NODE_HANDSHAKE_RATE = 1000,     /* beside requests */
    HBK_NODE_HANDSHAKE_REQUESTS = 3200, /* a second */
    HBK_NODE_HANDSHAKE_CONNECTIONS = 64,
};

/* The goal: how many times as many handshakes a core-second the native engine does. */
#define HBK_NODE_HANDSHAKE_GOAL 3.0

struct hbk_node_handshake_options {
    uint64_t measure_ns; /* of one window */
    unsigned rounds;     /* 1 to HBK_NODE_HANDSHAKE_ROUNDS_MAX */
    unsigned agent_core, load_core;
    bool is_json;
};

enum hbk_node_handshake_kind {
    HBK_NODE_HANDSHAKE_NATIVE,
    HBK_NODE_HANDSHAKE_OPENSSL,
    HBK_NODE_HANDSHAKE_QUIET, /* requests with nothing beside them */
    HBK_NODE_HANDSHAKE_KINDS,
};

/* One round, as it is told. */
struct hbk_node_handshake_figures {
    /* As many as go; not of the quiet kind. */
    double per_second, per_core_second;
    double cpu_us;                    /* of one, on the agent's side */
    double agent_share, client_share; /* of a core */
    double handshake_p50_us, handshake_p99_us;

    /* Requests beside. */
    double beside_per_second; /* handshakes that were made meanwhile */
    double request_rps, request_p50_us, request_p99_us;
};

struct hbk_node_handshake_row {
    const char *engine; /* "native", "openssl"; NULL: quiet */
    struct hbk_node_handshake_figures rounds[HBK_NODE_HANDSHAKE_ROUNDS_MAX];
    unsigned round_count;
    struct hbk_node_handshake_figures median;
};

struct hbk_node_handshake {
    struct hbk_node_handshake_options options;
    struct hbk_scene scene;
    struct hbk_tls_credential *credential; /* owned: front's, for the one who dials */
    struct hbk_node_handshake_row rows[HBK_NODE_HANDSHAKE_KINDS];
    double ratio; /* of handshakes per core-second, native over openssl */
};

/*
 * Runs everything in the calling process, the first of a private world, and reports. False when a
 * figure could not be had or a handshake or request failed; standard error says which.
 */
bool hbk_node_handshake_run(const struct hbk_node_handshake_options *options);

/* A table, or JSON: an array of objects with "engine" and "mode". */
void hbk_node_handshake_report(const struct hbk_node_handshake *bench);

/* Medians of every figure of a row, and the ratio of the rows. Pure. */
void hbk_node_handshake_sum_up(struct hbk_node_handshake *bench);
