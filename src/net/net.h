/*
 * What one worker's connections share: the loop, limits, scratch memory and counters. Everything in
 * this room belongs to one worker's thread.
 */
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/slice.h"
#include "base/status.h"
#include "net/batch.h"
#include "net/block.h"
#include "net/tally.h"
#include "runtime/loop.h"

enum {
    /* Data that one tunnel gathers in a turn, and, above it, room for its control frames. */
    HBK_TUNNEL_DATA_BLOCKS_MAX = 16,
    HBK_TUNNEL_BLOCKS_MAX = 48,
    /* What one socket may hand over in a turn before others have theirs. */
    HBK_RELAY_TURN_BYTES = 64 * 1024,
    /* One read of a tunnel; a record's beginning from the read before lies in front of it. */
    HBK_NET_INPUT_BYTES = 256 * 1024,
    /* Largest TLS record: header, plain text, type, expansion (RFC 8446, 5.2). */
    HBK_RECORD_BYTES_MAX = 5 + 16384 + 256,
    HBK_NET_OUTPUT_BYTES = HBK_TUNNEL_DATA_BLOCKS_MAX * HBK_RECORD_BYTES_MAX,
    /* Sealed bytes that wait for a slow socket. */
    HBK_TUNNEL_SEALED_BYTES_MAX = 4 * HBK_NET_OUTPUT_BYTES,
    HBK_TUNNELS_MAX = 16384,
};

struct hbk_net_config {
    uint64_t connect_timeout_ns;   /* TCP */
    uint64_t handshake_timeout_ns; /* TLS */
    uint64_t request_timeout_ns;   /* until a CONNECT is answered */
    uint64_t idle_timeout_ns;      /* a tunnel without streams */
    uint64_t ping_interval_ns;     /* silence on a tunnel with streams before we ask */
    uint64_t ping_timeout_ns;
    uint64_t gather_ns;        /* longest rest of the loop, runtime/gather.h; 0: none */
    uint64_t expired_grace_ns; /* for streams of a tunnel whose peer's certificate has expired */
    uint32_t streams_max;      /* per tunnel */
    uint32_t mark;             /* on every socket that we open (ambient.md 3e), */
    uint32_t workload_mark;    /* but for those to a workload with a namespace of its own */
    const struct hbk_batcher_options *batcher; /* borrowed; NULL: what is usual */
};

#define HBK_NET_CONFIG_DEFAULT                     \
    ((struct hbk_net_config){                      \
        .connect_timeout_ns = 10 * HBK_NS_PER_S,   \
        .handshake_timeout_ns = 10 * HBK_NS_PER_S, \
        .request_timeout_ns = 10 * HBK_NS_PER_S,   \
        .idle_timeout_ns = 300 * HBK_NS_PER_S,     \
        .ping_interval_ns = 10 * HBK_NS_PER_S,     \
        .ping_timeout_ns = 20 * HBK_NS_PER_S,      \
        .expired_grace_ns = 60 * HBK_NS_PER_S,     \
        .streams_max = 2048,                       \
        .mark = 0x539,                             \
        .workload_mark = 0x111,                    \
    })

struct hbk_relay;

/* Data of one stream that follows each other in a turn's input goes to its socket with one call. */
enum { HBK_DELIVERY_PARTS_MAX = 32 };

struct hbk_delivery {
    struct hbk_relay *relay; /* NULL: nothing waits */
    size_t count;
    struct iovec parts[HBK_DELIVERY_PARTS_MAX]; /* in the scratch of the input */
};

struct hbk_net {
    struct hbk_loop *loop; /* borrowed */
    struct hbk_delivery delivery;
    struct hbk_net_config config;
    struct hbk_net_counters counters;
    struct hbk_pool tunnels;
    struct hbk_block_pool blocks;
    struct hbk_batch batch; /* of the worker's TLS sessions */
    struct hbk_span input;  /* owned scratch, HBK_NET_INPUT_BYTES + HBK_RECORD_BYTES_MAX */
    struct hbk_span output; /* owned scratch, HBK_NET_OUTPUT_BYTES */
};

/* Fails: HBK_NO_MEMORY, HBK_IO (entropy). */
HBK_MUST_USE hbk_status hbk_net_init(struct hbk_net *net, struct hbk_loop *loop,
                                     const struct hbk_net_config *config);
void hbk_net_fini(struct hbk_net *net); /* every tunnel and relay must be gone */

/* Moves what was left of a connection's input to the front of `input`; that much is there now. */
struct hbk_span hbk_net_take_back(struct hbk_net *net, struct hbk_buffer *partial);
