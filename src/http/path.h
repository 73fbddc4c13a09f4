/*
 * The form in which a path is judged: two paths that mean the same to whoever serves them should
 * look the same to routes. Pure; the path is that of a request, with its query.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"
#include "model/gateway_http.h"

enum hbk_gw_path_verdict {
    HBK_GW_PATH_GOES_ON,
    HBK_GW_PATH_IS_REFUSED,    /* it has an escaped slash, a zero byte or a fragment */
    HBK_GW_PATH_IS_REDIRECTED, /* it had an escaped slash, and leads to the form without */
};

/*
 * As path_with_escaped_slashes_action, normalize_path and merge_slashes say, in this order. `*path`
 * begins with a slash; it becomes one that lies in the arena, or stays. The query stays as it is.
 * Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_gw_path_settle(const struct hbk_gw_http_connection_manager *http,
                                           struct hbk_arena *arena, struct hbk_slice *path,
                                           enum hbk_gw_path_verdict *out_verdict);
