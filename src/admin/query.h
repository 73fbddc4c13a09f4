/* The query of a request target (RFC 3986, section 3.4): name=value pairs joined by '&'. */
#pragma once

#include "base/slice.h"

struct hbk_query_reader {
    struct hbk_slice left;
};

struct hbk_query_pair {
    struct hbk_slice name;  /* as sent */
    struct hbk_slice value; /* as sent; empty without '=' */
};

static inline struct hbk_query_reader hbk_query_reader_of(struct hbk_slice query)
{
    return (struct hbk_query_reader){.left = query};
}

/* The next pair, borrowed from the query; empty ones are skipped. False at the end. */
HBK_MUST_USE bool hbk_query_next(struct hbk_query_reader *reader, struct hbk_query_pair *out_pair);

/* Undoes percent-encoding and '+' into `room`. False, nothing promised about `room`, if the
 * encoding is broken, a zero byte appears, or the text does not fit. */
HBK_MUST_USE bool hbk_query_decode(struct hbk_slice value, struct hbk_span room,
                                   struct hbk_slice *out_text);
