/* The control thread's side of the gateway: what the admin port shows and changes. Private. */
#pragma once

#include "admin/server.h"
#include "base/log.h"
#include "cluster/directory.h"
#include "cluster/health.h"
#include "exchange/shard.h"
#include "gateway/entrance.h"
#include "gateway/gateway.h"
#include "os/watch.h"
#include "runtime/worker.h"

enum hbk_gw_state {
    HBK_GW_STATE_INITIALIZING,
    HBK_GW_STATE_LIVE,
    HBK_GW_STATE_DRAINING, /* also after /healthcheck/fail */
};

/* A directory whose changes may mean new secrets. */
struct hbk_gw_watched {
    struct hbk_watch watch;
    struct hbk_source source;
    struct hbk_gw_control *control;
};

struct hbk_gw_baseline;

struct hbk_gw_control {
    struct hbk_gw_watched watched[HBK_GW_WATCHED_MAX];
    size_t watched_count;
    struct hbk_timer renewal;  /* changes have come, and some more are waited for */
    bool is_renewal_near;      /* the timer runs for a change, not for another try */
    struct hbk_timer rotation; /* of ticket keys of our own making */
    uint64_t renewals, renewals_failed;
    const struct hbk_gateway_options *options;
    struct hbk_loop loop;
    struct hbk_mailbox mailbox;
    struct hbk_team team;
    struct hbk_gw_plan *plan;
    struct hbk_gw_shard *shards; /* owned, one per worker, as entrances */
    struct hbk_gw_entrance *entrances;
    hbk_status *statuses;
    struct hbk_error *errors;
    struct hbk_gw_directory directory;
    struct hbk_gw_members **members; /* owned, by cluster: the present ones */
    struct hbk_gw_health *health;    /* owned; NULL: no cluster is checked */
    struct hbk_task prune;           /* hosts whose names are gone have failed */
    struct hbk_round open, listen, close, drain;
    struct hbk_source signals;
    struct hbk_timer drain_check;
    struct hbk_admin_server admin;
    struct hbk_address admin_address; /* as bound; port 0: no admin port */
    uint64_t start_ns, drain_end_ns;
    int64_t start_time_ns;            /* the same, since 1970 */
    struct hbk_gw_baseline *baseline; /* owned: at the last /reset_counters; NULL: none was */
    bool is_live;                     /* listens */
    bool is_unhealthy, is_draining, is_closing, exits_when_drained;
    enum hbk_log_level default_level;
    hbk_status status;
    struct hbk_error *error;
};

enum hbk_gw_state hbk_gw_control_state(const struct hbk_gw_control *control);

/* Stops accepting; when all connections have ended, or the time is up, the program ends too if
 * `exits`. */
void hbk_gw_control_drain(struct hbk_gw_control *control, bool exits);
void hbk_gw_control_stop(struct hbk_gw_control *control); /* ends the program now */

void hbk_gw_control_listen(struct hbk_gw_control *control); /* the last step of a start */

/* membership.c: the hosts of the clusters, what becomes of them, and their checks. Fail:
 * HBK_NO_MEMORY; start also as hbk_gw_health_new(), and listens when hosts are known. */
HBK_MUST_USE hbk_status hbk_gw_membership_init(struct hbk_gw_control *control);
HBK_MUST_USE hbk_status hbk_gw_membership_start(struct hbk_gw_control *control);
void hbk_gw_membership_stop(struct hbk_gw_control *control);
void hbk_gw_membership_fini(struct hbk_gw_control *control);
/* For the directory; takes the members. */
void hbk_gw_on_members(struct hbk_gw_directory *directory, uint32_t cluster,
                       struct hbk_gw_members *members, void *context);

/* renewal.c: secrets from files, watched. May be stopped once it is initialised, started or not.
 * Fails as hbk_watch_open(). */
void hbk_gw_renewal_init(struct hbk_gw_control *control);
HBK_MUST_USE hbk_status hbk_gw_renewal_start(struct hbk_gw_control *control,
                                             struct hbk_error *error);
void hbk_gw_renewal_stop(struct hbk_gw_control *control);

/* admin.c. Fails as hbk_socket_listen(). */
HBK_MUST_USE hbk_status hbk_gw_admin_open(struct hbk_gw_control *control, struct hbk_error *error);

/* statistics.c: /stats in its forms. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
enum hbk_gw_stats_format { HBK_GW_STATS_TEXT, HBK_GW_STATS_JSON, HBK_GW_STATS_PROMETHEUS };
struct hbk_gw_stats_query {
    enum hbk_gw_stats_format format;
    bool used_only;
    bool has_counters, has_gauges, has_histograms;
    enum hbk_gw_buckets buckets; /* how histograms are shown */
    struct hbk_slice filter;     /* a pattern (pattern.h) for a part of the name; empty: all */
};
/* Counters show from now on what comes from now on; workers go on counting. Fails: HBK_NO_MEMORY,
 * and nothing is changed. */
HBK_MUST_USE hbk_status hbk_gw_stats_reset(struct hbk_gw_control *control);
void hbk_gw_stats_fini(struct hbk_gw_control *control);
HBK_MUST_USE hbk_status hbk_gw_stats_print(const struct hbk_gw_control *control,
                                           const struct hbk_gw_stats_query *query,
                                           struct hbk_buffer *out);
