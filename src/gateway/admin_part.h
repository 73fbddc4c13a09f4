/* Between the files that answer on the admin port. Private; control thread. */
#pragma once

#include "admin/server.h"
#include "base/json.h"
#include "gateway/control.h"

enum { HBK_GW_ADMIN_BODY_BYTES_MAX = 256 << 20, HBK_GW_ADMIN_VALUE_BYTES_MAX = 512 };

extern const char hbk_gw_admin_text[], hbk_gw_admin_json[]; /* media types */

/* Sends what was printed, or that there was no memory for it. Takes the body. */
void hbk_gw_admin_reply(struct hbk_admin_exchange *exchange, const char *type, hbk_status status,
                        struct hbk_buffer *body);

/* The value of a query parameter, decoded into `room`; false when it is not there. */
bool hbk_gw_admin_find(struct hbk_slice query, const char *name, struct hbk_span room,
                       struct hbk_slice *out_value);

/* A parameter that is a pattern (pattern.h); empty without it. False, and a reply, for a wrong
 * one. */
HBK_MUST_USE bool hbk_gw_admin_find_pattern(struct hbk_admin_exchange *exchange,
                                            struct hbk_slice query, const char *name,
                                            struct hbk_span room, struct hbk_slice *out_pattern);

/* admin_dump.c */
hbk_admin_handler_fn hbk_gw_admin_on_config_dump, hbk_gw_admin_on_certs;

/* admin_state.c */
hbk_admin_handler_fn hbk_gw_admin_on_server_info;
bool hbk_gw_admin_wants_json(struct hbk_slice query); /* format=json */
void hbk_gw_admin_listeners_json(struct hbk_admin_exchange *exchange,
                                 const struct hbk_gw_control *control);
void hbk_gw_admin_clusters_json(struct hbk_admin_exchange *exchange,
                                const struct hbk_gw_control *control, struct hbk_slice filter);
