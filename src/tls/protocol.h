/* Lists of application protocols as RFC 7301, 3.1 writes them, without the outer length: names of 1
 * to 255 bytes, each behind its length. Both functions take well-formed lists. Any thread. */
#pragma once

#include "base/slice.h"

/* The name in `list`, borrowed from there; empty: it is not in it. */
struct hbk_slice hbk_tls_find_protocol(struct hbk_slice list, struct hbk_slice name);

/* The first of `ours` that is among `theirs`, borrowed from `ours`; empty: none is. */
struct hbk_slice hbk_tls_choose_protocol(struct hbk_slice ours, struct hbk_slice theirs);
