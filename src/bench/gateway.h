/*
 * The benchmark of the gateway: `hauberk gateway` beside HAProxy, nginx and Envoy, each on one and
 * the same core, with one and the same certificate; the client, `hauberk load` with the native
 * engine, on the other core. All stand at the same time and one is loaded at a time, in turn,
 * round after round; medians count. What a handshake or a request costs is the CPU that the kernel
 * charged to the proxy's processes, over what the client counted.
 *
 *     rows with a load     rsa, mutual, tls12, latency, half-load, proxied
 *     rows of memory       idle, many (certificates), lists (one CRL in 50 contexts)
 */
#pragma once

#include <regex.h>

#include "bench/material.h"
#include "bench/program.h"

enum {
    HBK_GATEWAY_ROUNDS_MAX = 15,
    HBK_GATEWAY_REASON_BYTES_MAX = 320,
    HBK_GATEWAY_TEXT_BYTES_MAX = 8 << 20, /* of one configuration */
    HBK_GATEWAY_CONTEXTS = 50,            /* that share a revocation list */
};

enum hbk_gateway_proxy_name {
    HBK_GATEWAY_OURS,
    HBK_GATEWAY_HAPROXY,
    HBK_GATEWAY_NGINX,
    HBK_GATEWAY_ENVOY,
    HBK_GATEWAY_CRYPTOMB, /* Envoy with Intel's private key provider, if it carries that */
    HBK_GATEWAY_PROXIES,
};

enum hbk_gateway_row {
    HBK_GATEWAY_RSA,     /* full TLS 1.3 handshakes with one request each, RSA-2048 */
    HBK_GATEWAY_MUTUAL,  /* the same, P-256 on both sides, the client's chain known */
    HBK_GATEWAY_TLS12,   /* TLS 1.2, ECDHE and RSA-2048 */
    HBK_GATEWAY_LATENCY, /* 100 handshakes a second */
    HBK_GATEWAY_HALF,    /* half of what HAProxy can do */
    HBK_GATEWAY_PROXIED, /* requests to an upstream over kept-alive TLS */
    HBK_GATEWAY_LOADS,
    HBK_GATEWAY_IDLE = HBK_GATEWAY_LOADS,
    HBK_GATEWAY_MANY,
    HBK_GATEWAY_LISTS,
    HBK_GATEWAY_ROWS,
};

enum hbk_gateway_measure {
    HBK_GATEWAY_PER_CPU_S, /* handshakes or requests per second of the proxy's CPU */
    HBK_GATEWAY_CPU_US,    /* of the proxy, for each */
    HBK_GATEWAY_RATE,      /* per second, as it went */
    HBK_GATEWAY_P50_US,    /* from the dial to the end of the handshake; proxied: of a request */
    HBK_GATEWAY_P99_US,
    HBK_GATEWAY_PROXY_CORE,  /* share of its core that the proxy used */
    HBK_GATEWAY_CLIENT_CORE, /* likewise the client */
    HBK_GATEWAY_FULL,        /* handshakes with a Certificate message, by the client's count */
    HBK_GATEWAY_RESUMED,     /* and without */
    HBK_GATEWAY_BYTES,       /* private memory of one idle connection */
    HBK_GATEWAY_READY_S,     /* from the start of the program to its first handshake */
    HBK_GATEWAY_MIB,         /* private memory */
    HBK_GATEWAY_COPIES,      /* of a revocation list: what 50 contexts hold over what one holds */
    HBK_GATEWAY_MEASURES,
};

struct hbk_gateway_options {
    bool is_json;
    bool is_quick; /* short windows, few connections and certificates: for tests */
    unsigned window_ms;
    unsigned rounds;
    const regex_t *only;                       /* rows by name; NULL: all */
    const char *binaries[HBK_GATEWAY_PROXIES]; /* paths; NULL: looked for */
    unsigned proxy_core, load_core;
};

struct hbk_gateway_proxy {
    const char *name;
    const char *binary; /* NULL: ours */
    bool is_up;
    char reason[HBK_GATEWAY_REASON_BYTES_MAX];  /* why not */
    char version[HBK_GATEWAY_REASON_BYTES_MAX]; /* what it says of itself */
    struct hbk_program program;
};

/* One row of one proxy: what each round gave. */
struct hbk_gateway_cell {
    double rounds[HBK_GATEWAY_MEASURES][HBK_GATEWAY_ROUNDS_MAX];
    unsigned round_count;
    char failure[HBK_GATEWAY_REASON_BYTES_MAX]; /* the last one; empty: none */
    double medians[HBK_GATEWAY_MEASURES];       /* NAN: not measured */
};

struct hbk_gateway_bench {
    struct hbk_gateway_options options;
    struct hbk_topology topology; /* of no places: everything runs on one loopback */
    char directory[HBK_MATERIAL_PATH_BYTES_MAX / 2];
    struct hbk_material *material;
    struct hbk_gateway_proxy proxies[HBK_GATEWAY_PROXIES];
    struct hbk_program upstream;
    struct hbk_gateway_cell cells[HBK_GATEWAY_ROWS][HBK_GATEWAY_PROXIES];
    double half_rate; /* of HBK_GATEWAY_HALF; 0: not known yet */
};

extern const char *const hbk_gateway_row_names[HBK_GATEWAY_ROWS];

/* Measures and reports, in the calling process, the first of a private world. False when a figure
 * of ours could not be measured. */
bool hbk_gateway_bench_run(const struct hbk_gateway_options *options);

/* ---- the proxies ---- */

/* Ports of a proxy's listeners on 127.0.0.1. */
enum hbk_gateway_port {
    HBK_GATEWAY_PORT_RSA,
    HBK_GATEWAY_PORT_MUTUAL,
    HBK_GATEWAY_PORT_PROXIED,
    HBK_GATEWAY_PORT_MANY,
    HBK_GATEWAY_PORTS,
};
unsigned hbk_gateway_port(enum hbk_gateway_proxy_name proxy, enum hbk_gateway_port port);

/* Looks for programs and asks for their versions. */
void hbk_gateway_find_proxies(struct hbk_gateway_bench *bench);

/* Starts one with the three listeners of the loads, and waits until it answers.
 * Fails as hbk_program_start(), HBK_TIMEOUT, HBK_CLOSED. */
HBK_MUST_USE hbk_status hbk_gateway_start(struct hbk_gateway_bench *bench,
                                          enum hbk_gateway_proxy_name name,
                                          struct hbk_error *error);

/* Starts one on the listener `many` with these filter chains (bench/gateway/many.yaml) instead. */
HBK_MUST_USE hbk_status hbk_gateway_start_many(struct hbk_gateway_bench *bench,
                                               enum hbk_gateway_proxy_name name, const char *chains,
                                               double *out_ready_s, struct hbk_error *error);
void hbk_gateway_stop(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name);

/* ---- the client ---- */

struct hbk_gateway_load {
    enum hbk_gateway_row row;
    enum hbk_gateway_proxy_name proxy;
    unsigned port, connections, duration_ms;
    double rate; /* 0: as fast as it goes */
};

/* Runs `hauberk load` once; *out_values has HBK_GATEWAY_MEASURES. Fails: HBK_INVALID (requests or
 * handshakes failed, or were resumed), HBK_TIMEOUT. */
HBK_MUST_USE hbk_status hbk_gateway_load_run(struct hbk_gateway_bench *bench,
                                             const struct hbk_gateway_load *load,
                                             double *out_values, struct hbk_error *error);

/* Opens so many connections that have asked once; *out_program holds them until it is stopped. */
HBK_MUST_USE hbk_status hbk_gateway_load_hold(struct hbk_gateway_bench *bench, unsigned port,
                                              unsigned connections, struct hbk_program *out_program,
                                              struct hbk_error *error);

/* Fills the rows of memory. */
void hbk_gateway_measure_memory(struct hbk_gateway_bench *bench);

bool hbk_gateway_is_wanted(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row);
void hbk_gateway_keep(struct hbk_gateway_cell *cell, const double *values);
void hbk_gateway_fail(struct hbk_gateway_cell *cell, hbk_status status,
                      const struct hbk_error *error);
