/*
 * What checks of one host come to: healthy or not, and when the next is due. The rules are those of
 * Envoy's thresholds and intervals. No I/O, no time of its own. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/gateway.h"

enum hbk_gw_check_result {
    HBK_GW_CHECK_PASSED,
    HBK_GW_CHECK_REFUSED,   /* an answer that says no: believed at once */
    HBK_GW_CHECK_RETRIABLE, /* such an answer, of those that the threshold counts */
    HBK_GW_CHECK_NETWORK,   /* no answer */
    HBK_GW_CHECK_TIMEOUT,   /* not in time */
};

struct hbk_gw_health_state {
    bool is_failed;     /* nobody is sent there; so before the first check */
    bool has_timed_out; /* of a failed host: the last check that failed did */
    bool is_checked;    /* at least once */
    bool is_on_edge;    /* checks say otherwise, and are not yet as many as the threshold */
    bool has_passed;    /* the last one */
    uint32_t passed, missed;
};

/* A host that was never checked. */
void hbk_gw_health_state_init(struct hbk_gw_health_state *state);

/* Takes a result in; true when the host became healthy or stopped being so. */
bool hbk_gw_health_state_take(struct hbk_gw_health_state *state,
                              const struct hbk_gw_health_check *config,
                              enum hbk_gw_check_result result);

/* Until the next check, without jitter; `has_traffic`: the cluster was ever connected to. */
uint64_t hbk_gw_health_interval_ns(const struct hbk_gw_health_state *state,
                                   const struct hbk_gw_health_check *config, bool has_traffic);

/* With the jitters of the configuration, by a number that is drawn. Saturates. */
uint64_t hbk_gw_health_jitter_ns(const struct hbk_gw_health_check *config, uint64_t base_ns,
                                 uint64_t random);
