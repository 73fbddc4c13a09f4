/* The choice of a filter chain. */
#pragma once

#include "exchange/arrival.h"

/* The chain by Envoy's order, or the default one; NULL: none. Pure. */
const struct hbk_gw_handler *hbk_gw_choose_handler(const struct hbk_gw_plan_listener *listener,
                                                   const struct hbk_gw_arrival *arrival);
