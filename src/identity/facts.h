/* One certificate told to machines: for admin output. */
#pragma once

#include "base/buffer.h"
#include "identity/svid.h"

struct hbk_certificate_facts {
    int64_t not_before_ns; /* realtime */
    int64_t not_after_ns;
    char serial_text[HBK_SERIAL_TEXT_BYTES_MAX]; /* hexadecimal */
};

/* Appends the certificate as PEM, too. Fails: HBK_INVALID (times that do not fit), HBK_LIMIT,
 * HBK_NO_MEMORY; `pem` may then have grown. Thread: any. */
HBK_MUST_USE hbk_status hbk_certificate_facts(const struct x509_st *certificate,
                                              struct hbk_certificate_facts *out_facts,
                                              struct hbk_buffer *pem);
