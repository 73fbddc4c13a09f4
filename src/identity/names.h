/*
 * What a certificate says of its holder and of who signed it, as text: for reports, logs and header
 * fields. Nothing is decided by it.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

struct x509_st;

enum {
    HBK_CERTIFICATE_NAMES_BYTES_MAX = 4096,  /* of subject and names; the rest is left out */
    HBK_CERTIFICATE_ISSUER_BYTES_MAX = 1024, /* a longer one is left out */
};

/* All zero: nothing. */
struct hbk_certificate_names {
    uint8_t *bytes;                   /* owned: the texts below; NULL: none of them */
    struct hbk_slice subject, issuer; /* RFC 2253; empty: none, or longer than the limit */
    struct hbk_slice dns_names, uris; /* each printable and ended by a zero byte */
};

/* Fails: HBK_NO_MEMORY. Any thread. */
HBK_MUST_USE hbk_status hbk_certificate_names_read(const struct x509_st *certificate,
                                                   struct hbk_certificate_names *out_names);
void hbk_certificate_names_fini(struct hbk_certificate_names *names); /* idempotent */
