/*
 * The head of an HTTP message, whichever version it came in: pseudo fields apart, the others in
 * order with names in lower case. Its texts lie in an arena that lives as long as the exchange.
 */
#pragma once

#include "base/arena.h"
#include "wire/http2.h"

/* A head's fields beyond what a peer may send: those that the gateway adds itself. */
enum {
    HBK_GW_FIELDS_MAX = HBK_H2_FIELDS_MAX + 24,
    /* Each option that Connection names is looked for in the whole head: more would let a small
     * request cost milliseconds. */
    HBK_GW_CONNECTION_OPTIONS_MAX = 16,
};

struct hbk_gw_head {
    struct hbk_slice method, scheme, authority, path; /* requests */
    uint32_t status;                                  /* responses */
    uint32_t count;
    uint32_t capacity;
    struct hbk_h2_field *fields;
};

/* Copies; in lower case; printed. `bytes` is NULL when out of memory. */
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

/* Makes one field of several of that name, their values in order with `separator` between them; it
 * stands behind all others. None, or one, stays as it is. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_head_join(struct hbk_gw_head *head, struct hbk_arena *arena,
                                         struct hbk_slice name, struct hbk_slice separator);

/* Without the blanks and tabs around it: one item of a field's list. */
struct hbk_slice hbk_gw_trim(struct hbk_slice text);

/* The value of the first field of that (lower case) name; NULL bytes without one. */
struct hbk_slice hbk_gw_head_find(const struct hbk_gw_head *head, struct hbk_slice name);
bool hbk_gw_head_has(const struct hbk_gw_head *head, struct hbk_slice name);

/* How long a body is by its content-length. HTTP/2 ends a body by itself, and HTTP/1 behind us
 * believes the field: what does not agree would smuggle a second message (RFC 9113, 8.1.1). */
struct hbk_gw_promise {
    bool is_made;
    uint64_t left_bytes;
};
/* False when the field is no number or stands there twice. */
HBK_MUST_USE bool hbk_gw_promise_read(struct hbk_gw_promise *promise,
                                      const struct hbk_gw_head *head);
/* Counts a part of the body. False when it is broken: more than promised, or less at the end. */
HBK_MUST_USE bool hbk_gw_promise_keep(struct hbk_gw_promise *promise, size_t size, bool is_last);

/* Removes what belongs to one connection and is never passed on (RFC 9110, 7.6.1), with the fields
 * that Connection names. False when it names too many: the message is not to be passed on. */
HBK_MUST_USE bool hbk_gw_head_strip(struct hbk_gw_head *head);

/* Whether the text has only what may stand in an authority (RFC 3986, 3.2), without a user (RFC
 * 9110, 4.2.4). In a Location, a log or an upstream's cache other bytes would begin something else.
 */
HBK_MUST_USE bool hbk_gw_is_authority(struct hbk_slice text);
