/*
 * Searches captured frames for a marker: a byte string that an application sends and that must not
 * be seen on a wire that is encrypted. Whole frames are searched, and the border between two
 * consecutive TCP payloads of a flow, so that a marker cut by segmentation is found, too. No I/O.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

enum { HBK_MARKER_BYTES_MAX = 64 };

struct hbk_marker;

/* Starts a search. Fails: HBK_INVALID (marker shorter than 2 or longer than the limit),
 * HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_marker_new(struct hbk_slice marker, struct hbk_marker **out_marker);
void hbk_marker_free(struct hbk_marker **marker);

/* Searches the next Ethernet frame and returns how often the marker was found with it. Frames that
 * are cut short or not understood are still searched as bytes. */
uint64_t hbk_marker_search(struct hbk_marker *marker, struct hbk_slice frame);
