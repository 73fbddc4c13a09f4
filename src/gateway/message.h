/*
 * The head of an HTTP message, whichever version it came in: pseudo fields apart, the others in
 * order with names in lower case. Its texts lie in an arena that lives as long as the exchange.
 */
#pragma once

#include "base/arena.h"
#include "wire/http2.h"

/* A head's fields beyond what a peer may send: those that the gateway adds itself. */
enum { HBK_GW_FIELDS_MAX = HBK_H2_FIELDS_MAX + 24 };

struct hbk_gw_head {
    struct hbk_slice method, scheme, authority, path; /* requests */
    uint32_t status;                                  /* responses */
    uint32_t count;
    uint32_t capacity;
    struct hbk_h2_field *fields;
};

/* Copies; in lower case. `bytes` is NULL when out of memory. */
HBK_MUST_USE struct hbk_slice hbk_gw_copy(struct hbk_arena *arena, struct hbk_slice text);
HBK_MUST_USE struct hbk_slice hbk_gw_copy_lower(struct hbk_arena *arena, struct hbk_slice text);
HBK_PRINTF(2, 3)
HBK_MUST_USE struct hbk_slice hbk_gw_print(struct hbk_arena *arena, const char *format, ...);

/* Adds a field whose texts live long enough. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_gw_head_add(struct hbk_gw_head *head, struct hbk_arena *arena,
                                        struct hbk_slice name, struct hbk_slice value);
/* The same in place of all fields of that name. */
HBK_MUST_USE hbk_status hbk_gw_head_set(struct hbk_gw_head *head, struct hbk_arena *arena,
                                        struct hbk_slice name, struct hbk_slice value);
void hbk_gw_head_remove(struct hbk_gw_head *head, struct hbk_slice name);

/* The value of the first field of that (lower case) name; NULL bytes without one. */
struct hbk_slice hbk_gw_head_find(const struct hbk_gw_head *head, struct hbk_slice name);
bool hbk_gw_head_has(const struct hbk_gw_head *head, struct hbk_slice name);

/* What belongs to one connection and is never passed on (RFC 9110, 7.6.1), with the fields that
 * Connection names. */
void hbk_gw_head_strip(struct hbk_gw_head *head);
