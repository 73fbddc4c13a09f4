/*
 * Which parts of a message are wanted (google.protobuf.FieldMask): "cluster.name,cluster.type" are
 * two paths of names. A path that ends at a message or a list means all of it.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

enum { HBK_FIELD_MASK_PATHS_MAX = 16 };

/* The paths that are left below one place; borrowed from the text. All zero: everything. */
struct hbk_field_mask {
    bool is_set;
    uint8_t count;
    struct hbk_slice paths[HBK_FIELD_MASK_PATHS_MAX];
};

/* Fails: HBK_INVALID (an empty path, or an empty name in one), HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_field_mask_parse(struct hbk_slice text,
                                             struct hbk_field_mask *out_mask);

/* Whether a field is wanted, and what of it. */
HBK_MUST_USE bool hbk_field_mask_enter(const struct hbk_field_mask *mask, struct hbk_slice name,
                                       struct hbk_field_mask *out_below);
