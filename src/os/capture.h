/*
 * Packet capture on one interface, to prove what a wire carries. A thread counts every packet, in
 * both directions, and searches it for a marker. Needs CAP_NET_RAW in the namespace.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "base/status.h"

struct hbk_capture;

struct hbk_capture_counts {
    uint64_t packets;
    uint64_t bytes;
    uint64_t markers; /* times that the marker was found */
    uint64_t lost;    /* packets that passed unseen, or not as a whole: then nothing is proved */
};

/*
 * Starts capturing on `interface` of the namespace. The marker is copied.
 * Fails: HBK_NOT_FOUND (interface), HBK_DENIED, HBK_INVALID (marker), HBK_NO_MEMORY, HBK_LIMIT.
 * Owned: end with hbk_capture_stop().
 */
HBK_MUST_USE hbk_status hbk_capture_start(int netns_fd, const char *interface,
                                          struct hbk_slice marker, struct hbk_capture **out_capture,
                                          struct hbk_error *error);

/* Searches what has arrived, ends the thread, and tells what it saw. */
struct hbk_capture_counts hbk_capture_stop(struct hbk_capture **capture);
