/*
 * What an agent shows of itself, on three ports (ambient.md 2.1, 5.1, 5.3):
 *
 *     15000, localhost   index, /config_dump, /stats, /metrics, /logging, /quitquitquit, readiness
 *     15020, everywhere  /metrics, /stats/prometheus
 *     15021, everywhere  /healthz/ready
 *
 * The owner brings what only it can know by hooks. Control thread only.
 */
#pragma once

#include "admin/readiness.h"
#include "admin/server.h"
#include "base/log.h"
#include "telemetry/exposition.h"

/* How long a scrape waits for the workers; then it shows what has come. */
#define HBK_ADMIN_COLLECT_NS (2 * HBK_NS_PER_S)

struct hbk_admin;

struct hbk_admin_hooks {
    void *context;

    /*
     * Asks all workers for their copies, to be added to the totals; then, and also when that
     * failed, hbk_admin_collected(). Called once, however many scrapes wait for it, and every
     * HBK_TELEMETRY_COPY_NS when nobody scrapes. NULL: there are no workers.
     */
    void (*collect)(void *context);

    /* More families for metrics and statistics; NULL: none. */
    hbk_exposition_more_fn *more;

    /* Answers GET /config_dump, at once or later: see admin/dump.h. NULL: 404. */
    void (*dump)(struct hbk_admin_exchange *exchange, void *context);

    /* Starts to drain; may not end the admin servers at once. The reply has been made already. */
    void (*quit)(void *context);
};

struct hbk_admin_ports {
    struct hbk_ip admin_ip; /* no ip: localhost, IPv4 and IPv6 */
    uint16_t admin;         /* 0: none, as for the others */
    uint16_t metrics;
    uint16_t readiness;
};

struct hbk_admin {
    struct hbk_loop *loop; /* borrowed, as the next two */
    const struct hbk_telemetry *totals;
    const struct hbk_readiness *readiness;
    struct hbk_admin_hooks hooks;
    enum hbk_log_level default_level; /* as it was at the start */
    struct hbk_admin_server admin_server;
    struct hbk_admin_server metrics_server;
    struct hbk_admin_server readiness_server;
    struct hbk_list scrapes;        /* exchanges that wait for the workers */
    struct hbk_timer collect_timer; /* the end of a scrape's patience */
    struct hbk_timer copy_timer;    /* the next round that nobody asked for */
    bool is_collecting;
};

/* Starts without listening; `admin` may not move afterwards. */
void hbk_admin_init(struct hbk_admin *admin, struct hbk_loop *loop,
                    const struct hbk_telemetry *totals, const struct hbk_readiness *readiness,
                    const struct hbk_admin_hooks *hooks);

/*
 * Listens on all ports, in the network namespace of the calling thread. A host without IPv6 has no
 * localhost of that kind; that is no failure.
 * Fails: as hbk_socket_listen(), with the port in `error`; then nothing is listened on.
 */
HBK_MUST_USE hbk_status hbk_admin_listen(struct hbk_admin *admin,
                                         const struct hbk_admin_ports *ports,
                                         struct hbk_error *error);

/* The workers' copies were added to the totals: waiting scrapes are answered. */
void hbk_admin_collected(struct hbk_admin *admin);

/* Closes everything. Exchanges that the owner holds may be answered afterwards. */
void hbk_admin_fini(struct hbk_admin *admin);
