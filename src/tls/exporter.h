/* Keys for other protocols, derived from a handshake that both sides have done (RFC 8446, 7.5). */
#pragma once

#include "base/slice.h"
#include "base/status.h"
#include "tls/schedule.h"

enum {
    HBK_EXPORTER_LABEL_BYTES_MAX = HBK_TLS_LABEL_BYTES_MAX,
    HBK_EXPORTER_CONTEXT_BYTES_MAX = 65535, /* RFC 5705, 4; TLS 1.3 hashes it */
};

/*
 * `secret` is the exporter master secret. Fails: HBK_LIMIT (more than 255 hashes), HBK_INVALID (a
 * label or context above the limits). Any thread.
 */
HBK_MUST_USE hbk_status hbk_exporter_derive(enum hbk_cipher_suite suite, struct hbk_slice secret,
                                            struct hbk_slice label, struct hbk_slice context,
                                            struct hbk_span out);
