/*
 * Between two reads only that much is kept as could still begin the pattern that is looked for: its
 * size less one byte. New bytes go behind it in pieces of bounded size.
 */
#include "cluster/health_match.h"

#include <string.h>

enum { PIECE_BYTES = HBK_GW_HEALTH_PATTERN_BYTES_MAX };

void hbk_gw_health_match_init(struct hbk_gw_health_match *match,
                              const struct hbk_gw_tcp_health_check *config)
{
    *match = (struct hbk_gw_health_match){.config = config};
    hbk_buffer_init(&match->tail, HBK_GW_HEALTH_PATTERN_BYTES_MAX + PIECE_BYTES);
}

void hbk_gw_health_match_fini(struct hbk_gw_health_match *match)
{
    hbk_buffer_fini(&match->tail);
}

/* Takes the next pattern out of the tail, with all before it; false when it is not there. */
static bool find_next(struct hbk_gw_health_match *match)
{
    struct hbk_slice pattern = match->config->receive[match->next].bytes;
    struct hbk_slice tail = hbk_buffer_slice(&match->tail);
    const uint8_t *found = tail.size < pattern.size || tail.size == 0
                               ? NULL
                               : memmem(tail.bytes, tail.size, pattern.bytes, pattern.size);
    if (found == NULL) {
        size_t kept = pattern.size - 1;
        hbk_buffer_consume(&match->tail, tail.size > kept ? tail.size - kept : 0);
        return false;
    }
    hbk_buffer_consume(&match->tail, (size_t)(found - tail.bytes) + pattern.size);
    match->next++;
    return true;
}

hbk_status hbk_gw_health_match_read(struct hbk_gw_health_match *match, struct hbk_slice bytes,
                                    bool *out_is_done)
{
    const struct hbk_gw_tcp_health_check *config = match->config;
    while (match->next < config->receive_count && bytes.size > 0) {
        size_t size = bytes.size < PIECE_BYTES ? bytes.size : PIECE_BYTES;
        HBK_TRY(hbk_buffer_append(&match->tail, hbk_slice_part(bytes, 0, size)));
        bytes = hbk_slice_part(bytes, size, bytes.size);
        while (match->next < config->receive_count && find_next(match)) {
        }
    }
    *out_is_done = match->next >= config->receive_count;
    return HBK_OK;
}
