/*
 * The choice of a filter chain. Envoy goes step by step and keeps, at each, only the chains with
 * the most specific match; comparing the steps in order as one number of many digits gives the
 * same.
 */
#include "gateway/chain.h"

enum step {
    STEP_DESTINATION_PORT,
    STEP_DESTINATION_IP,
    STEP_SERVER_NAME,
    STEP_TRANSPORT,
    STEP_PROTOCOL,
    STEP_DIRECT_SOURCE,
    STEP_SOURCE_TYPE,
    STEP_SOURCE_IP,
    STEP_SOURCE_PORT,
    STEPS,
};

enum { EXACT_NAME = 1 << 16 };

static bool rate_ranges(const struct hbk_gw_cidr_range *ranges, uint32_t count,
                        const struct hbk_ip *ip, int *out_rank)
{
    int bits = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (hbk_cidr_contains(&ranges[i].cidr, ip) && ranges[i].cidr.prefix_bits > bits) {
            bits = ranges[i].cidr.prefix_bits;
        }
    }
    *out_rank = bits + 1;
    return count == 0 || bits >= 0;
}

/* An exact name before a wildcard, a longer wildcard before a shorter one, both before none. */
static bool rate_name(const struct hbk_gw_filter_chain_match *match, struct hbk_slice name,
                      int *out_rank)
{
    int rank = 0;
    for (uint32_t i = 0; i < match->server_names_count; i++) {
        struct hbk_slice wanted = match->server_names[i];
        if (wanted.bytes[0] != '*') {
            rank = hbk_slice_equal_nocase(wanted, name) ? EXACT_NAME : rank;
            continue;
        }
        struct hbk_slice end = hbk_slice_part(wanted, 1, wanted.size);
        bool is_in =
            name.size > end.size &&
            hbk_slice_equal_nocase(hbk_slice_part(name, name.size - end.size, end.size), end);
        rank = is_in && (int)end.size > rank ? (int)end.size : rank;
    }
    *out_rank = rank;
    return match->server_names_count == 0 || rank > 0;
}

static bool offers(struct hbk_slice protocols, struct hbk_slice wanted)
{
    while (protocols.size > 0) {
        size_t size = protocols.bytes[0];
        if (hbk_slice_equal(hbk_slice_part(protocols, 1, size), wanted)) {
            return true;
        }
        protocols = hbk_slice_part(protocols, 1 + size, protocols.size);
    }
    return false;
}

static bool rate_protocol(const struct hbk_gw_filter_chain_match *match, struct hbk_slice protocols,
                          int *out_rank)
{
    *out_rank = 0;
    for (uint32_t i = 0; i < match->application_protocols_count && *out_rank == 0; i++) {
        *out_rank = offers(protocols, match->application_protocols[i]);
    }
    return match->application_protocols_count == 0 || *out_rank > 0;
}

static bool has_port(const uint32_t *ports, uint32_t count, uint16_t port)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ports[i] == port) {
            return true;
        }
    }
    return count == 0;
}

static bool rate(const struct hbk_gw_filter_chain_match *match,
                 const struct hbk_gw_arrival *arrival, int out_steps[static STEPS])
{
    static const struct hbk_gw_filter_chain_match any;
    match = match == NULL ? &any : match;
    bool is_local = hbk_ip_is_loopback(&arrival->peer.ip) ||
                    hbk_ip_equal(&arrival->peer.ip, &arrival->local.ip);
    struct hbk_slice transport = arrival->is_tls ? HBK_SLICE("tls") : HBK_SLICE("raw_buffer");
    out_steps[STEP_DESTINATION_PORT] = match->destination_port != 0;
    out_steps[STEP_TRANSPORT] = match->transport_protocol.size > 0;
    out_steps[STEP_SOURCE_TYPE] = match->source_type != HBK_GW_SOURCE_ANY;
    out_steps[STEP_SOURCE_PORT] = match->source_ports_count > 0;
    return (match->destination_port == 0 || match->destination_port == arrival->local.port) &&
           (match->transport_protocol.size == 0 ||
            hbk_slice_equal(match->transport_protocol, transport)) &&
           (match->source_type != HBK_GW_SOURCE_LOCAL || is_local) &&
           (match->source_type != HBK_GW_SOURCE_EXTERNAL || !is_local) &&
           has_port(match->source_ports, match->source_ports_count, arrival->peer.port) &&
           rate_ranges(match->prefix_ranges, match->prefix_ranges_count, &arrival->local.ip,
                       &out_steps[STEP_DESTINATION_IP]) &&
           rate_name(match, arrival->server_name, &out_steps[STEP_SERVER_NAME]) &&
           rate_protocol(match, arrival->protocols, &out_steps[STEP_PROTOCOL]) &&
           rate_ranges(match->direct_source_prefix_ranges, match->direct_source_prefix_ranges_count,
                       &arrival->direct.ip, &out_steps[STEP_DIRECT_SOURCE]) &&
           rate_ranges(match->source_prefix_ranges, match->source_prefix_ranges_count,
                       &arrival->peer.ip, &out_steps[STEP_SOURCE_IP]);
}

const struct hbk_gw_handler *hbk_gw_choose_handler(const struct hbk_gw_plan_listener *listener,
                                                   const struct hbk_gw_arrival *arrival)
{
    const struct hbk_gw_handler *best = NULL;
    int best_steps[STEPS] = {0};
    for (uint32_t i = 0; i < listener->config->filter_chains_count; i++) {
        int steps[STEPS] = {0};
        if (!rate(listener->config->filter_chains[i].filter_chain_match, arrival, steps)) {
            continue;
        }
        int order = best == NULL ? 1 : 0;
        for (size_t k = 0; k < STEPS && order == 0; k++) {
            order = (steps[k] > best_steps[k]) - (steps[k] < best_steps[k]);
        }
        if (order > 0) {
            best = &listener->handlers[i];
            memcpy(best_steps, steps, sizeof steps);
        }
    }
    return best != NULL ? best : listener->otherwise;
}
