/*
 * The node agent, put together: the control loop, the workers' proxy, the mesh and its pods, the
 * certificates, and what is shown of all of it.
 *
 *     mesh file --config--> mesh --proxy--> workers' snapshots
 *                            |--pods--> redirection and listeners in each pod's namespace
 *                            `--ca--> a certificate per identity --proxy--> workers
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/net.h"

enum {
    HBK_AGENT_WORKERS_DEFAULT_MAX = 4,
    HBK_AGENT_PORT_ADMIN = 15000,
    HBK_AGENT_PORT_METRICS = 15020,
    HBK_AGENT_PORT_READINESS = 15021,
};

/* All texts are borrowed for the agent's life. */
struct hbk_agent_options {
    const char *mesh_path;
    const char *node;
    const char *ca_path;          /* the directory of a built-in CA; NULL: none */
    const char *identities_path;  /* leaf, key and bundle files made elsewhere; NULL: none */
    uint64_t certificate_life_ns; /* of what the built-in CA issues */
    unsigned workers;
    uint64_t drain_ns; /* deadline of a polite end */
    struct hbk_net_config net;
};

/* The number of workers for this machine: its cores, at most HBK_AGENT_WORKERS_DEFAULT_MAX. */
unsigned hbk_agent_workers_default(void);

/*
 * Runs until SIGTERM, SIGINT or /quitquitquit, then drains. A second SIGINT ends at once.
 * Fails: with an error that says what could not be started.
 */
HBK_MUST_USE hbk_status hbk_agent_run(const struct hbk_agent_options *options,
                                      struct hbk_error *error);

/* Takes the redirection away from every pod of this node. */
HBK_MUST_USE hbk_status hbk_agent_clean_up(const struct hbk_agent_options *options,
                                           struct hbk_error *error);
