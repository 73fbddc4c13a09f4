/*
 * The end of a flow's last payload is kept, one byte less than the marker: joined with the start of
 * the next payload it shows exactly the markers that cross the border, and none a second time. A
 * flow is one direction of a TCP connection. The table of flows is small and direct-mapped; a flow
 * that loses its place only loses its kept end.
 */
#include "os/marker.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/hash.h"

enum {
    FLOWS = 1024, /* places; a power of two */
    MARKER_BYTES_MIN = 2,
    ETHERNET_ADDRESSES_BYTES = 12,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_VLAN = 0x8100,
    PROTOCOL_TCP = 6,
    IPV6_FIXED_BYTES = 40,
};

struct flow {
    uint64_t hash;
    uint8_t end_bytes[HBK_MARKER_BYTES_MAX];
    size_t end_size;
};

struct hbk_marker {
    uint8_t bytes[HBK_MARKER_BYTES_MAX];
    size_t size;
    struct flow flows[FLOWS];
};

hbk_status hbk_marker_new(struct hbk_slice marker, struct hbk_marker **out_marker)
{
    if (marker.size < MARKER_BYTES_MIN || marker.size > HBK_MARKER_BYTES_MAX) {
        return HBK_INVALID;
    }
    struct hbk_marker *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy(made->bytes, marker.bytes, marker.size);
    made->size = marker.size;
    *out_marker = made;
    return HBK_OK;
}

void hbk_marker_free(struct hbk_marker **marker)
{
    free(*marker);
    *marker = NULL;
}

static uint64_t count_in(const struct hbk_marker *marker, struct hbk_slice bytes)
{
    uint64_t count = 0;
    const uint8_t *at = bytes.bytes;
    size_t left = bytes.size;
    while (left >= marker->size) {
        const uint8_t *found = memmem(at, left, marker->bytes, marker->size);
        if (found == NULL) {
            break;
        }
        count++;
        left -= (size_t)(found - at) + 1;
        at = found + 1;
    }
    return count;
}

/* Takes the IP header; what is left is TCP. Adds the addresses to the flow's hash. */
static bool take_ip(struct hbk_cursor *frame, uint64_t type, uint64_t *hash)
{
    if (type == TYPE_IPV4) {
        uint64_t version_and_size = hbk_cursor_number(frame, 1);
        size_t header_bytes = (size_t)(version_and_size & 0xf) * 4;
        (void)hbk_cursor_take(frame, 1);
        uint64_t total_bytes = hbk_cursor_number(frame, 2);
        (void)hbk_cursor_take(frame, 5);
        uint64_t protocol = hbk_cursor_number(frame, 1);
        (void)hbk_cursor_take(frame, 2);
        *hash = hbk_hash(hbk_cursor_take(frame, 8));
        if (version_and_size >> 4 != 4 || header_bytes < 20 || protocol != PROTOCOL_TCP) {
            return false;
        }
        (void)hbk_cursor_take(frame, header_bytes - 20);
        /* Ethernet pads short packets; a total of 0 means a large segment not yet cut. */
        if (total_bytes >= header_bytes && total_bytes - header_bytes < frame->left.size) {
            frame->left = hbk_slice_part(frame->left, 0, (size_t)total_bytes - header_bytes);
        }
        return !frame->has_failed;
    }
    if (type == TYPE_IPV6) {
        (void)hbk_cursor_take(frame, 6);
        uint64_t protocol = hbk_cursor_number(frame, 1);
        (void)hbk_cursor_take(frame, 1);
        *hash = hbk_hash(hbk_cursor_take(frame, IPV6_FIXED_BYTES - 8));
        return protocol == PROTOCOL_TCP && !frame->has_failed;
    }
    return false;
}

/* Finds the TCP payload and the flow it belongs to; false for any other frame. */
static bool find_payload(struct hbk_slice bytes, struct hbk_slice *out_payload, uint64_t *out_hash)
{
    struct hbk_cursor frame = hbk_cursor_of(bytes);
    (void)hbk_cursor_take(&frame, ETHERNET_ADDRESSES_BYTES);
    uint64_t type = hbk_cursor_number(&frame, 2);
    if (type == TYPE_VLAN) {
        (void)hbk_cursor_take(&frame, 2);
        type = hbk_cursor_number(&frame, 2);
    }
    uint64_t hash = 0;
    if (!take_ip(&frame, type, &hash)) {
        return false;
    }
    uint64_t ports_hash = hbk_hash(hbk_cursor_take(&frame, 4));
    (void)hbk_cursor_take(&frame, 8);
    size_t header_bytes = (size_t)(hbk_cursor_number(&frame, 1) >> 4) * 4;
    if (header_bytes < 20) {
        return false;
    }
    (void)hbk_cursor_take(&frame, header_bytes - 13);
    *out_payload = frame.left;
    *out_hash = hbk_hash_join(hash, ports_hash);
    return !frame.has_failed;
}

/* The markers that begin in the kept end of a flow and finish in this payload. */
static uint64_t count_across(const struct hbk_marker *marker, const struct flow *flow,
                             struct hbk_slice payload)
{
    uint8_t joined[2 * HBK_MARKER_BYTES_MAX];
    size_t taken = payload.size < marker->size - 1 ? payload.size : marker->size - 1;
    memcpy(joined, flow->end_bytes, flow->end_size);
    memcpy(joined + flow->end_size, payload.bytes, taken);
    return count_in(marker, hbk_slice_of(joined, flow->end_size + taken));
}

static void keep_end(const struct hbk_marker *marker, struct flow *flow, struct hbk_slice payload)
{
    size_t room = marker->size - 1;
    if (payload.size >= room) {
        memcpy(flow->end_bytes, payload.bytes + (payload.size - room), room);
        flow->end_size = room;
        return;
    }
    size_t kept = flow->end_size;
    if (kept + payload.size > room) {
        size_t dropped = kept + payload.size - room;
        memmove(flow->end_bytes, flow->end_bytes + dropped, kept - dropped);
        kept -= dropped;
    }
    memcpy(flow->end_bytes + kept, payload.bytes, payload.size);
    flow->end_size = kept + payload.size;
}

uint64_t hbk_marker_search(struct hbk_marker *marker, struct hbk_slice frame)
{
    uint64_t count = count_in(marker, frame);
    struct hbk_slice payload;
    uint64_t hash = 0;
    if (!find_payload(frame, &payload, &hash) || payload.size == 0) {
        return count;
    }
    struct flow *flow = &marker->flows[hash % FLOWS];
    if (flow->hash != hash) {
        flow->hash = hash;
        flow->end_size = 0;
    }
    count += count_across(marker, flow, payload);
    keep_end(marker, flow, payload);
    return count;
}
