/* Certificates told to people: for `hauberk ca show`. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

/* A file that is shown may hold a whole bundle. */
enum { HBK_DESCRIPTION_CERTIFICATES_MAX = 256 };

/*
 * Appends a paragraph for each certificate of a PEM text: whom it names, its issuer, validity (also
 * whether `now_ns`, realtime, lies in it), key, serial number, usages and hash.
 * Fails: HBK_INVALID with the reason, HBK_LIMIT, HBK_NO_MEMORY. Thread: any.
 */
HBK_MUST_USE hbk_status hbk_certificates_describe(struct hbk_slice pem, int64_t now_ns,
                                                  struct hbk_buffer *out, struct hbk_error *error);
