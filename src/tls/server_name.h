/*
 * Which of a context's certificates carry which host name (RFC 6066, 3; RFC 9525, 6.3): exact names
 * and wildcards for one whole label, without case. Built once, then read by any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/map.h"
#include "base/slice.h"
#include "base/status.h"

struct x509_st;

enum { HBK_SERVER_NAME_BYTES_MAX = 253 }; /* RFC 1035, 2.3.4, without the trailing dot */

/* The certificates of one name, in the order in which they were added. */
struct hbk_server_name {
    struct hbk_slice text;  /* lower case; borrowed */
    uint32_t *certificates; /* `only`, or owned */
    uint32_t count, only;
    struct hbk_server_name *next; /* in `all` */
};

struct hbk_server_names {
    struct hbk_map by_text;
    struct hbk_server_name *all; /* owned */
};

void hbk_server_names_init(struct hbk_server_names *names);
void hbk_server_names_fini(struct hbk_server_names *names);

/* Appends the DNS names of a leaf, or its common name when it has no alternative names at all: in
 * lower case, each behind a byte with its length. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_server_names_read(const struct x509_st *leaf, struct hbk_buffer *out);

/* Adds what _read() wrote for the certificate of that number; the bytes are borrowed until _fini.
 * Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_server_names_add(struct hbk_server_names *names, struct hbk_slice texts,
                                             uint32_t number);

/* The certificates that carry exactly this name, or with `by_wildcard` those whose wildcard stands
 * for its first label; NULL: none. Borrowed. */
const struct hbk_server_name *hbk_server_names_find(const struct hbk_server_names *names,
                                                    struct hbk_slice host, bool by_wildcard);

/* Whether this is a DNS name as a URL has it: labels of 1 to 63 letters, digits, hyphens and
 * underscores, at most HBK_SERVER_NAME_BYTES_MAX bytes, without a dot at the end. */
bool hbk_server_name_is_valid(struct hbk_slice name);
