/*
 * OCSP responses that a server staples to its own certificate (RFC 6960, RFC 6066, 8). They are for
 * the client to judge; what is looked at here keeps a server from sending what no client could use.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct x509_st;

/*
 * Reads a response in DER, which must be a good one about that leaf alone. `*out_until_ns` is the
 * time (realtime) from which it is out of date; INT64_MAX: it does not say. Fails: HBK_INVALID with
 * the reason. Thread: any.
 */
HBK_MUST_USE hbk_status hbk_staple_read(struct hbk_slice der, const struct x509_st *leaf,
                                        int64_t *out_until_ns, struct hbk_error *error);

/* Whether a leaf says that it is worth nothing without a response (RFC 7633). */
bool hbk_staple_is_required(const struct x509_st *leaf);
