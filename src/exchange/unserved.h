/* What the model has and the data path has not: refused by name, or told to have no effect. */
#pragma once

#include "base/error.h"
#include "model/gateway.h"

/* Fails: HBK_UNSUPPORTED with the name of the first such field. What merely has no effect goes to
 * the log. Control thread. */
HBK_MUST_USE hbk_status hbk_gw_check_served(const struct hbk_gw_bootstrap *bootstrap,
                                            struct hbk_error *error);
