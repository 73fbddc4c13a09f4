/*
 * A failure told to a person: its status and one sentence that names the place, what was found and
 * what is allowed. The first failure counts; later ones do not overwrite it.
 */
#pragma once

#include "base/status.h"

enum { HBK_ERROR_TEXT_BYTES_MAX = 512 };

struct hbk_error {
    hbk_status status;
    char text[HBK_ERROR_TEXT_BYTES_MAX]; /* terminated; empty while status is HBK_OK */
};

/*
 * Keeps the first failure and returns `status`, so that a function can end with
 * `return hbk_error_set(error, HBK_INVALID, "...")`. `error` may be NULL when nobody listens. A
 * sentence that is too long is cut.
 */
HBK_PRINTF(3, 4)
hbk_status hbk_error_set(struct hbk_error *error, hbk_status status, const char *format, ...);

/* Puts "prefix: " before the text that is there; nothing happens while there is none. */
HBK_PRINTF(2, 3) void hbk_error_prefix(struct hbk_error *error, const char *format, ...);
