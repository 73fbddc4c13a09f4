/*
 * The gateway as a program: reads its configuration, starts workers, serves until it is told to
 * stop. All on the control thread, which is the calling one.
 */
#pragma once

#include "base/error.h"
#include "config/bootstrap.h"
#include "crypto/batcher.h"

enum { HBK_GATEWAY_WORKERS_DEFAULT_MAX = 64 };

struct hbk_gateway_options {
    struct hbk_bootstrap_options bootstrap;
    unsigned workers;
    uint64_t drain_ns;       /* the longest time that connections have to end */
    bool drains_immediately; /* open connections are told at once, not as they come to rest */
    uint64_t log_flush_ns;
    const char *admin_address_path; /* file that gets the admin port's address; NULL: none */
    const char *service_node, *service_cluster; /* over those of the file; NULL: none */
    uint64_t base_id;
    const struct hbk_batcher_options *batcher; /* of each worker; NULL: what is usual */
};

/* One per processor that this process may use. */
unsigned hbk_gateway_workers_default(void);

/*
 * Reads the configuration, the certificates, keys and whatever else it names, and does everything
 * for a start but to open logs, sockets and workers. Fails as hbk_gateway_run() does before it
 * listens.
 */
HBK_MUST_USE hbk_status hbk_gateway_validate(const struct hbk_bootstrap_options *options,
                                             struct hbk_report *report, struct hbk_report *warnings,
                                             struct hbk_error *error);

/*
 * Serves. `report` and `warnings` tell what is wrong with the configuration; `error` whatever else
 * made it stop.
 * Fails: HBK_INVALID (configuration), HBK_UNSUPPORTED, as listening fails, HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_gateway_run(const struct hbk_gateway_options *options,
                                        struct hbk_report *report, struct hbk_report *warnings,
                                        struct hbk_error *error);
