/*
 * The hosts of a cluster as the control thread keeps them, and what workers must know of a host's
 * health. A set of members is replaced as a whole; the vitals of a host stay the same object from
 * set to set, so that a worker that picks a host asks with one load.
 */
#pragma once

#include <stdatomic.h>

#include "base/address.h"
#include "base/status.h"
#include "model/gateway.h"
#include "telemetry/gateway_stats.h"

enum { HBK_GW_HOSTS_MAX = 4096 }; /* of a cluster */

enum hbk_gw_vital {
    HBK_GW_FAILED_ACTIVE_HC = 1 << 0,
    HBK_GW_ACTIVE_HC_TIMEOUT = 1 << 1,
    HBK_GW_PENDING_REMOVAL = 1 << 2, /* its name is gone; it stays as long as it is healthy */
};

/* Of a host that is checked. One writer, control; relaxed: workers want a recent value. */
struct hbk_gw_vitals {
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    _Atomic uint32_t flags;      /* enum hbk_gw_vital */
};

HBK_MUST_USE struct hbk_gw_vitals *hbk_gw_vitals_new(uint32_t flags); /* NULL: out of memory */
struct hbk_gw_vitals *
hbk_gw_vitals_ref(struct hbk_gw_vitals *vitals); /* NULL is allowed, as next */
void hbk_gw_vitals_unref(struct hbk_gw_vitals *vitals);

/* What is counted of a host, Envoy's counters before its gauges. */
enum hbk_gw_host_stat {
    HBK_GW_E_CX_CONNECT_FAIL,
    HBK_GW_E_CX_TOTAL,
    HBK_GW_E_RQ_ERROR,
    HBK_GW_E_RQ_SUCCESS,
    HBK_GW_E_RQ_TIMEOUT,
    HBK_GW_E_RQ_TOTAL,
    HBK_GW_E_CX_ACTIVE,
    HBK_GW_E_RQ_ACTIVE,
    HBK_GW_E_RQ_PENDING_ACTIVE,
    HBK_GW_E_STATS,
    HBK_GW_E_ROOM = 16, /* a worker's row fills cache lines of its own */
};
extern const struct hbk_gw_stat_name hbk_gw_host_stat_names[HBK_GW_E_STATS];

/* Those of one host: a row for each worker, which alone writes to it. As vitals they stay the same
 * from set to set. */
struct hbk_gw_figures {
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    uint32_t row_count;
    _Alignas(64) hbk_gw_counter rows[][HBK_GW_E_ROOM];
};

HBK_MUST_USE struct hbk_gw_figures *hbk_gw_figures_new(uint32_t row_count); /* NULL: no memory */
/* NULL is allowed, as next. */
struct hbk_gw_figures *hbk_gw_figures_ref(struct hbk_gw_figures *figures);
void hbk_gw_figures_unref(struct hbk_gw_figures *figures);
/* Of all workers together. */
uint64_t hbk_gw_figures_sum(const struct hbk_gw_figures *figures, enum hbk_gw_host_stat stat);

/* The hosts of one cluster, replaced as a whole. */
struct hbk_gw_members {
    uint32_t count;
    const struct hbk_gw_lb_endpoint **endpoints; /* owned arrays, as the next ones */
    struct hbk_address *addresses;
    struct hbk_gw_vitals **vitals;   /* references; NULL where nothing checks the host */
    struct hbk_gw_figures **figures; /* references; NULL in a set that is only found, not in use */
};

/* With room for that many; NULL when out of memory. */
HBK_MUST_USE struct hbk_gw_members *hbk_gw_members_new(uint32_t room);
void hbk_gw_members_free(struct hbk_gw_members *members); /* NULL is allowed */
bool hbk_gw_members_equal(const struct hbk_gw_members *a, const struct hbk_gw_members *b);

/* Adds one, without figures; there must be room. Takes the reference. */
void hbk_gw_members_add(struct hbk_gw_members *members, const struct hbk_gw_lb_endpoint *endpoint,
                        const struct hbk_address *address, struct hbk_gw_vitals *vitals);

/* Where the address stands among them; `count` when it does not. */
uint32_t hbk_gw_members_find(const struct hbk_gw_members *members,
                             const struct hbk_address *address);

/* Whether traffic may go there, and how many of them may have some. */
bool hbk_gw_member_is_healthy(const struct hbk_gw_members *members, uint32_t index);
uint32_t hbk_gw_members_healthy(const struct hbk_gw_members *members);

/*
 * The set that comes after `old` (NULL: the first) when `fresh` was found: who was there keeps its
 * vitals, who is new and checked has failed until its first check, and who is gone but healthy by
 * its checks stays until it is not, unless the cluster ignores that. All have figures, of so many
 * workers. Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_gw_members_succeed(const struct hbk_gw_cluster *config,
                                               const struct hbk_gw_members *old,
                                               const struct hbk_gw_members *fresh, uint32_t workers,
                                               struct hbk_gw_members **out_next);

/* Where the file says that an endpoint is; never NULL. */
const struct hbk_gw_locality *hbk_gw_locality_of(const struct hbk_gw_cluster *config,
                                                 const struct hbk_gw_lb_endpoint *endpoint);

/* Envoy's words of /clusters: "healthy", or "/failed_active_hc/active_hc_timeout". */
enum { HBK_GW_FLAGS_TEXT_BYTES_MAX = 128 };
const char *hbk_gw_member_flags_text(const struct hbk_gw_members *members, uint32_t index,
                                     char text[static HBK_GW_FLAGS_TEXT_BYTES_MAX]);
