/*
 * Which of a context's certificates carry which host name (RFC 6066, 3; RFC 9525, 6.3): exact names
 * and wildcards for one whole label, without case. Built once, then read by any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/slice.h"
#include "base/status.h"

struct x509_st;

enum { HBK_SERVER_NAME_BYTES_MAX = 253 }; /* RFC 1035, 2.3.4, without the trailing dot */

/* The certificates of one name, in the order in which they were added. */
struct hbk_server_name {
    struct hbk_slice text;  /* lower case; owned */
    uint32_t *certificates; /* owned */
    size_t count;
    struct hbk_server_name *next; /* in `all` */
};

struct hbk_server_names {
    struct hbk_map by_text;
    struct hbk_server_name *all; /* owned */
};

void hbk_server_names_init(struct hbk_server_names *names);
void hbk_server_names_fini(struct hbk_server_names *names);

/* Adds the DNS names of a leaf, or its common name when it has no alternative names at all, for the
 * certificate of that number. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_server_names_add(struct hbk_server_names *names, struct x509_st *leaf,
                                             uint32_t number);

/* The certificates that carry exactly this name, or with `by_wildcard` those whose wildcard stands
 * for its first label; NULL: none. Borrowed. */
const struct hbk_server_name *hbk_server_names_find(const struct hbk_server_names *names,
                                                    struct hbk_slice host, bool by_wildcard);

/* Whether this is a DNS name as a URL has it: labels of 1 to 63 letters, digits, hyphens and
 * underscores, at most HBK_SERVER_NAME_BYTES_MAX bytes, without a dot at the end. */
bool hbk_server_name_is_valid(struct hbk_slice name);
