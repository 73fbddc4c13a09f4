/*
 * The configuration that is in force, as protobuf's JSON: what the reader made of a file, written
 * back by the same tables. Names are in snake_case, words for enums, texts for durations and 64-bit
 * numbers, "@type" for extensions.
 *
 * A value that is the same as without it is not written; a mapping's text is not kept, so a wrapper
 * that was set to its own default is not seen again. What is marked as a secret reads "[redacted]",
 * in all of its texts, as Envoy's does. Control thread.
 */
#pragma once

#include "base/json.h"
#include "config/field_mask.h"
#include "model/gateway.h"

enum hbk_bootstrap_part {
    HBK_BOOTSTRAP_PART_BOOTSTRAP, /* struct hbk_gw_bootstrap */
    HBK_BOOTSTRAP_PART_LISTENER,  /* struct hbk_gw_listener; this and those below with their "@type"
                                   */
    HBK_BOOTSTRAP_PART_CLUSTER,   /* struct hbk_gw_cluster */
    HBK_BOOTSTRAP_PART_ROUTES,    /* struct hbk_gw_route_configuration */
    HBK_BOOTSTRAP_PART_SECRET,    /* struct hbk_gw_secret */
};

/* One value, an object. A failure stays in `json->status`; HBK_LIMIT, too, for what is nested too
 * deeply to be written. */
void hbk_bootstrap_dump(struct hbk_json *json, const char *key, enum hbk_bootstrap_part kind,
                        const void *message, const struct hbk_field_mask *mask);
