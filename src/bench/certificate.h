/* The certificate that an agent shows on a workload's HBONE port, seen from outside. */
#pragma once

#include "base/address.h"
#include "base/error.h"
#include "base/status.h"

enum { HBK_CERTIFICATE_SERIAL_BYTES_MAX = 64, HBK_CERTIFICATE_NAME_BYTES_MAX = 256 };

struct hbk_certificate_seen {
    char serial[HBK_CERTIFICATE_SERIAL_BYTES_MAX]; /* hexadecimal */
    char name[HBK_CERTIFICATE_NAME_BYTES_MAX];     /* the first URI it names */
    int64_t lifetime_s;                            /* from "not before" to "not after" */
};

/*
 * Shakes hands as a TLS client without a certificate, reads the server's, and leaves; nothing is
 * verified, since what is shown is the point. The server refuses such a client afterwards.
 *
 * Fails: HBK_NO_ROUTE, HBK_TIMEOUT, HBK_INVALID (no TLS there), HBK_NO_MEMORY. Thread: control.
 */
HBK_MUST_USE hbk_status hbk_certificate_look(int netns_fd, const struct hbk_address *to,
                                             struct hbk_certificate_seen *out_seen,
                                             struct hbk_error *error);
