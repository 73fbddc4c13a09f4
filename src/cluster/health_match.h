/*
 * What a TCP health check waits for: patterns that must come in this order, with anything before,
 * between and behind them. Memory is that of two patterns, however much comes. No I/O. One thread
 * at a time.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "model/gateway.h"

struct hbk_gw_health_match {
    const struct hbk_gw_tcp_health_check *config; /* borrowed */
    uint32_t next;                                /* pattern */
    struct hbk_buffer tail; /* what came and may be the beginning of that pattern */
};

void hbk_gw_health_match_init(struct hbk_gw_health_match *match,
                              const struct hbk_gw_tcp_health_check *config);
void hbk_gw_health_match_fini(struct hbk_gw_health_match *match);

/* Takes bytes in; true once all patterns have come. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_health_match_read(struct hbk_gw_health_match *match,
                                                 struct hbk_slice bytes, bool *out_is_done);
