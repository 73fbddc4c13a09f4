/*
 * A request as the admin servers take it: the head over wire/http1, with their own limits and the
 * rule that a body is short, counted, and skipped. No I/O.
 */
#pragma once

#include "admin/server.h"
#include "wire/http1.h"

enum hbk_admin_parse {
    HBK_ADMIN_PARSE_MORE,    /* more bytes are needed */
    HBK_ADMIN_PARSE_DONE,    /* a whole request */
    HBK_ADMIN_PARSE_REFUSED, /* answered with `status`, then the connection ends */
};

struct hbk_admin_parsed {
    struct hbk_admin_request request; /* borrows from the input */
    bool is_head;                     /* the reply has no body */
    bool is_persistent;               /* the connection stays open after the reply */
    size_t size_bytes;                /* of the request with its body, which is not looked at */
    unsigned status;                  /* why it was refused */
};

/* Reads the request at the start of `input`; `reader` is zeroed before each. Writes what the answer
 * promises. */
HBK_MUST_USE enum hbk_admin_parse hbk_admin_parse(struct hbk_http1_reader *reader,
                                                  struct hbk_slice input,
                                                  struct hbk_admin_parsed *out_parsed);
