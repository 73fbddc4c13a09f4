/*
 * The header fields of HBONE's CONNECT and its answer (ambient.md 3b), made from the snapshot. The
 * slices of a header lie in its own storage or in the snapshot, and last until either changes.
 */
#pragma once

#include "proxy/connection.h"
#include "wire/hbone.h"

struct hbk_request_header {
    struct hbk_slice authority;
    struct hbk_hbone_fields fields;
    struct hbk_hbone_trace trace;
    char authority_text[HBK_ADDRESS_TEXT_BYTES_MAX];
    uint8_t baggage[HBK_HBONE_BAGGAGE_BYTES_MAX];
};

/* `source` is the calling workload; NULL when the snapshot does not know it (any more). Without
 * room for an optional field it is left out. */
void hbk_request_header_build(struct hbk_request_header *header,
                              const struct hbk_connection *connection,
                              const struct hbk_workload *source);

struct hbk_answer_header {
    struct hbk_h2_field fields[1]; /* baggage */
    size_t count;
    uint8_t baggage[HBK_HBONE_BAGGAGE_BYTES_MAX];
};

void hbk_answer_header_build(struct hbk_answer_header *header,
                             const struct hbk_workload *destination);

/* " Unauthorized" for 401, and so on; "" for a status without a name here. */
const char *hbk_answer_status_text(uint32_t status);
