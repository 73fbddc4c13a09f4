/*
 * Log levels from a query: "level=info,tls=debug" adds, "reset" starts from the default, both in
 * any order (ambient.md 5.3). The text is an operator's; nothing changes unless all of it is good.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"

enum { HBK_LOGGING_QUERY_BYTES_MAX = 1024 };

/* Carries the query out. Fails: HBK_INVALID, HBK_LIMIT, with what was found and is allowed. */
HBK_MUST_USE hbk_status hbk_logging_change(struct hbk_slice query, enum hbk_log_level default_level,
                                           struct hbk_error *error);

/* Appends the levels in force, as "info,access=debug". */
HBK_MUST_USE hbk_status hbk_logging_text(struct hbk_buffer *out);
