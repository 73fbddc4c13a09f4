#include "cluster/health_state.h"

void hbk_gw_health_state_init(struct hbk_gw_health_state *state)
{
    *state = (struct hbk_gw_health_state){.is_failed = true};
}

/* The first one that passes is believed at once, so that a start does not take a threshold. */
static bool take_pass(struct hbk_gw_health_state *state, const struct hbk_gw_health_check *config)
{
    state->missed = 0;
    state->is_on_edge = false;
    if (!state->is_failed) {
        return false;
    }
    if (state->is_checked && ++state->passed < config->healthy_threshold) {
        state->is_on_edge = true;
        return false;
    }
    state->is_failed = false;
    state->has_timed_out = false;
    return true;
}

static bool take_miss(struct hbk_gw_health_state *state, const struct hbk_gw_health_check *config,
                      enum hbk_gw_check_result result)
{
    bool was_failed = state->is_failed;
    state->passed = 0;
    state->is_on_edge = false;
    if (!was_failed) {
        bool is_final =
            result == HBK_GW_CHECK_REFUSED || ++state->missed >= config->unhealthy_threshold;
        state->is_failed = is_final;
        state->is_on_edge = !is_final;
    }
    state->has_timed_out = state->is_failed && result == HBK_GW_CHECK_TIMEOUT;
    return state->is_failed && !was_failed;
}

bool hbk_gw_health_state_take(struct hbk_gw_health_state *state,
                              const struct hbk_gw_health_check *config,
                              enum hbk_gw_check_result result)
{
    state->has_passed = result == HBK_GW_CHECK_PASSED;
    bool has_changed =
        state->has_passed ? take_pass(state, config) : take_miss(state, config, result);
    if (has_changed) {
        state->passed = state->missed = 0;
    }
    state->is_checked = true;
    return has_changed;
}

uint64_t hbk_gw_health_interval_ns(const struct hbk_gw_health_state *state,
                                   const struct hbk_gw_health_check *config, bool has_traffic)
{
    if (!has_traffic) {
        return state->has_passed ? config->no_traffic_healthy_interval
                                 : config->no_traffic_interval;
    }
    if (state->has_passed) {
        return state->is_on_edge ? config->healthy_edge_interval : config->interval;
    }
    return state->is_on_edge ? config->unhealthy_edge_interval : config->unhealthy_interval;
}

static uint64_t add_part(uint64_t base_ns, uint64_t jitter_ns, uint64_t random)
{
    uint64_t sum_ns = base_ns;
    return jitter_ns == 0 || __builtin_add_overflow(base_ns, random % jitter_ns, &sum_ns) ? base_ns
                                                                                          : sum_ns;
}

uint64_t hbk_gw_health_jitter_ns(const struct hbk_gw_health_check *config, uint64_t base_ns,
                                 uint64_t random)
{
    uint64_t part_ns = base_ns / 100;
    if (__builtin_mul_overflow(part_ns, config->interval_jitter_percent, &part_ns)) {
        part_ns = UINT64_MAX / 2;
    }
    return add_part(add_part(base_ns, part_ns, random), config->interval_jitter, random >> 7);
}
