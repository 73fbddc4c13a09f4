/*
 * Everything that is counted besides the traffic of connections: one row per number, one array of
 * them per thread, added to without locks. counter.c holds the table with names, labels and help.
 *
 * Gauges that workers keep (things open now) are counters that also go down: their sum over all
 * threads is what is shown.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/duration.h"

enum hbk_counter {
    /* Sockets of proxied connections, per end that reports. */
    HBK_COUNTER_SOCKETS_OPEN_SOURCE,
    HBK_COUNTER_SOCKETS_OPEN_DESTINATION,

    /* Connections taken from listeners. */
    HBK_COUNTER_ACCEPTED_OUTBOUND,
    HBK_COUNTER_ACCEPTED_INBOUND_PLAIN,
    HBK_COUNTER_ACCEPTED_INBOUND_HBONE,

    /* Connections and streams that were refused, by reason. */
    HBK_COUNTER_REFUSED_POLICY,
    HBK_COUNTER_REFUSED_STRICT,
    HBK_COUNTER_REFUSED_PLAIN_OUTBOUND,
    HBK_COUNTER_REFUSED_UNKNOWN_SOURCE,
    HBK_COUNTER_REFUSED_UNKNOWN_DESTINATION,
    HBK_COUNTER_REFUSED_WRONG_DESTINATION,
    HBK_COUNTER_REFUSED_NO_HEALTHY_UPSTREAM,
    HBK_COUNTER_REFUSED_UNSUPPORTED_ROUTE,
    HBK_COUNTER_REFUSED_RECURSIVE,
    HBK_COUNTER_REFUSED_BAD_REQUEST,
    HBK_COUNTER_REFUSED_NO_IDENTITY,
    HBK_COUNTER_REFUSED_LIMIT,
    HBK_COUNTER_REFUSED_DESCRIPTORS,

    /* Connections that failed while one was made to the other side. */
    HBK_COUNTER_CONNECT_REFUSED,
    HBK_COUNTER_CONNECT_TIMEOUT,
    HBK_COUNTER_CONNECT_REPLY_TIMEOUT,
    HBK_COUNTER_CONNECT_REJECTED,
    HBK_COUNTER_CONNECT_RETRIED,

    /* HBONE tunnels. */
    HBK_COUNTER_TUNNELS_OPEN_CLIENT,
    HBK_COUNTER_TUNNELS_OPEN_SERVER,
    HBK_COUNTER_TUNNELS_OPENED_CLIENT,
    HBK_COUNTER_TUNNELS_OPENED_SERVER,
    HBK_COUNTER_TUNNELS_CLOSED_PEER,
    HBK_COUNTER_TUNNELS_CLOSED_IDLE,
    HBK_COUNTER_TUNNELS_CLOSED_ERROR,
    HBK_COUNTER_TUNNELS_CLOSED_PROTOCOL,
    HBK_COUNTER_TUNNELS_CLOSED_TIMEOUT,
    HBK_COUNTER_TUNNELS_CLOSED_DRAIN,
    HBK_COUNTER_TUNNELS_CLOSED_EXPIRED,
    HBK_COUNTER_TUNNELS_CLOSED_REVOKED,
    HBK_COUNTER_TUNNELS_CLOSED_ROOT_WITHDRAWN,

    /* Their streams. */
    HBK_COUNTER_STREAMS_OPEN_CLIENT,
    HBK_COUNTER_STREAMS_OPEN_SERVER,
    HBK_COUNTER_STREAMS_OPENED_CLIENT,
    HBK_COUNTER_STREAMS_OPENED_SERVER,
    HBK_COUNTER_STREAMS_RESET_PEER,
    HBK_COUNTER_STREAMS_RESET_LOCAL,

    /* TLS handshakes that succeeded, by side and engine. */
    HBK_COUNTER_HANDSHAKES_CLIENT_NATIVE,
    HBK_COUNTER_HANDSHAKES_SERVER_NATIVE,
    HBK_COUNTER_HANDSHAKES_CLIENT_OPENSSL,
    HBK_COUNTER_HANDSHAKES_SERVER_OPENSSL,

    /* And those that failed, by engine and reason. */
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_NO_CERTIFICATE,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_UNTRUSTED,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_EXPIRED,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_REVOKED,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_IDENTITY,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_PROTOCOL,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_TIMEOUT,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_CLOSED,
    HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_INTERNAL,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_NO_CERTIFICATE,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_UNTRUSTED,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_EXPIRED,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_REVOKED,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_IDENTITY,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_PROTOCOL,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_TIMEOUT,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_CLOSED,
    HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_INTERNAL,

    /* Takes from a pool that met its limit. */
    HBK_COUNTER_POOL_EXHAUSTED_CONNECTION,
    HBK_COUNTER_POOL_EXHAUSTED_STREAM,
    HBK_COUNTER_POOL_EXHAUSTED_TUNNEL,

    /* Public-key operations of the workers' batchers (crypto/batcher.h). */
    HBK_COUNTER_CRYPTO_VECTOR,
    HBK_COUNTER_CRYPTO_LIBCRYPTO,
    HBK_COUNTER_CRYPTO_REDONE,
    HBK_COUNTER_CRYPTO_CANCELLED,
    HBK_COUNTER_CRYPTO_REFUSED,
    HBK_COUNTER_CRYPTO_BATCHES_1, /* and by their number of lanes */
    HBK_COUNTER_CRYPTO_BATCHES_2,
    HBK_COUNTER_CRYPTO_BATCHES_3,
    HBK_COUNTER_CRYPTO_BATCHES_4,
    HBK_COUNTER_CRYPTO_BATCHES_5,
    HBK_COUNTER_CRYPTO_BATCHES_6,
    HBK_COUNTER_CRYPTO_BATCHES_7,
    HBK_COUNTER_CRYPTO_BATCHES_8,

    /* Workers. */
    HBK_COUNTER_LOOP_TURNS,
    HBK_COUNTER_LOOP_BUSY_NS,
    HBK_COUNTER_LOOP_RESTS,

    /* Control: the model, certificates, pods. */
    HBK_COUNTER_RELOADS_OK,
    HBK_COUNTER_RELOADS_FAILED,
    HBK_COUNTER_SNAPSHOT_GENERATION,
    HBK_COUNTER_CERTIFICATES_ISSUED,
    HBK_COUNTER_CERTIFICATES_FAILED,
    HBK_COUNTER_PODS_ACTIVE,
    HBK_COUNTER_PODS_PENDING,
    HBK_COUNTER_PODS_STARTED,
    HBK_COUNTER_PODS_STOPPED,

    /* Telemetry about itself; filled by the room. */
    HBK_COUNTER_TRAFFIC_FOLDED,
    HBK_COUNTER_PARTIES_FOLDED,
    HBK_COUNTER_TRAFFIC_EVICTED,

    HBK_COUNTER_COUNT,
};

/* Durations, each a histogram with the bounds of hbk_duration_bounds_ns. */
enum hbk_timing {
    HBK_TIMING_HANDSHAKE_CLIENT,
    HBK_TIMING_HANDSHAKE_SERVER,
    HBK_TIMING_CONNECT,       /* TCP to the other side */
    HBK_TIMING_CONNECT_REPLY, /* from CONNECT to its answer */
    HBK_TIMING_CRYPTO_QUEUE,  /* that public-key operations waited for their batch */
    HBK_TIMING_COUNT,
};

struct hbk_timing_counts {
    uint64_t buckets[HBK_DURATION_BOUNDS + 1]; /* not cumulative; the last has no bound */
    uint64_t sum_ns;
};

enum hbk_metric_type {
    HBK_METRIC_COUNTER,
    HBK_METRIC_GAUGE,
    HBK_METRIC_HISTOGRAM,
};

/* What all rows of one name share. */
struct hbk_metric_family {
    const char *name; /* without "_total" */
    enum hbk_metric_type type;
    bool is_nanoseconds; /* counted in nanoseconds and shown in seconds */
    const char *help;
};

/* One number as it is shown. Rows of one family follow each other. */
struct hbk_metric_row {
    const struct hbk_metric_family *family;
    const char *labels; /* as text, such as reason="idle"; NULL: none */
};

const struct hbk_metric_row *hbk_counter_row(enum hbk_counter counter);
const struct hbk_metric_row *hbk_timing_row(enum hbk_timing timing);
