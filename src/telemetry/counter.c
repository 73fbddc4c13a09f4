#include "telemetry/counter.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "crypto/batcher_name.h"

/* The names of the batcher's counts are its own. */
#define CRYPTO "hauberk_crypto_"
#define BATCHER_LABEL(label, value) HBK_BATCHER_LABEL_##label "=\"" HBK_BATCHER_VALUE_##value "\""

static const struct hbk_metric_family sockets = {"istio_tcp_sockets_open", HBK_METRIC_GAUGE, false,
                                                 "Sockets of proxied connections that are open"};
static const struct hbk_metric_family accepted = {
    "hauberk_connections_accepted", HBK_METRIC_COUNTER, false, "Connections taken from a listener"};
static const struct hbk_metric_family refused = {"hauberk_connections_refused", HBK_METRIC_COUNTER,
                                                 false,
                                                 "Connections and streams refused, by reason"};
static const struct hbk_metric_family connects = {
    "hauberk_upstream_failures", HBK_METRIC_COUNTER, false,
    "Attempts to reach the other side that failed or were repeated"};
static const struct hbk_metric_family tunnels_open = {"hauberk_tunnels_open", HBK_METRIC_GAUGE,
                                                      false, "HBONE tunnels that are open"};
static const struct hbk_metric_family tunnels_opened = {
    "hauberk_tunnels_opened", HBK_METRIC_COUNTER, false, "HBONE tunnels opened"};
static const struct hbk_metric_family tunnels_closed = {
    "hauberk_tunnels_closed", HBK_METRIC_COUNTER, false, "HBONE tunnels closed, by reason"};
static const struct hbk_metric_family streams_open = {
    "hauberk_streams_open", HBK_METRIC_GAUGE, false, "Streams in HBONE tunnels that are open"};
static const struct hbk_metric_family streams_opened = {
    "hauberk_streams_opened", HBK_METRIC_COUNTER, false, "Streams in HBONE tunnels opened"};
static const struct hbk_metric_family streams_reset = {
    "hauberk_streams_reset", HBK_METRIC_COUNTER, false,
    "Streams in HBONE tunnels ended by a reset, by who sent it"};
static const struct hbk_metric_family handshakes = {
    "hauberk_tls_handshakes", HBK_METRIC_COUNTER, false,
    "TLS handshakes that succeeded, by side and engine"};
static const struct hbk_metric_family handshakes_failed = {
    "hauberk_tls_handshake_failures", HBK_METRIC_COUNTER, false,
    "TLS handshakes that failed, by engine and reason"};
static const struct hbk_metric_family pools = {"hauberk_pool_exhausted", HBK_METRIC_COUNTER, false,
                                               "Work refused because a pool met its limit"};
static const struct hbk_metric_family operations = {
    CRYPTO HBK_BATCHER_NAME_OPERATIONS, HBK_METRIC_COUNTER, false,
    "Public-key operations computed by the batchers, by path"};
static const struct hbk_metric_family redone = {
    CRYPTO HBK_BATCHER_NAME_REDONE, HBK_METRIC_COUNTER, false,
    "Of those of the vector path: wrong there, and computed again by libcrypto"};
static const struct hbk_metric_family cancelled = {
    CRYPTO HBK_BATCHER_NAME_CANCELLED, HBK_METRIC_COUNTER, false,
    "Public-key operations whose connection ended first"};
static const struct hbk_metric_family full = {
    CRYPTO HBK_BATCHER_NAME_REFUSED, HBK_METRIC_COUNTER, false,
    "Public-key operations refused because the queue was full"};
static const struct hbk_metric_family queued = {
    CRYPTO HBK_BATCHER_NAME_QUEUE "_seconds", HBK_METRIC_HISTOGRAM, true,
    "Time that public-key operations waited for their batch"};
static const struct hbk_metric_family batches = {CRYPTO HBK_BATCHER_NAME_BATCHES,
                                                 HBK_METRIC_COUNTER, false,
                                                 "Batches, by the number of their operations"};
static const struct hbk_metric_family turns = {"hauberk_loop_turns", HBK_METRIC_COUNTER, false,
                                               "Turns of the workers' loops"};
static const struct hbk_metric_family busy = {"hauberk_loop_busy_seconds", HBK_METRIC_COUNTER, true,
                                              "Time the workers' loops spent between two waits"};
static const struct hbk_metric_family rests = {
    "hauberk_loop_rests", HBK_METRIC_COUNTER, false,
    "Rests of the workers' loops, to serve several slow connections with one wake-up"};
static const struct hbk_metric_family reloads = {
    "hauberk_config_reloads", HBK_METRIC_COUNTER, false,
    "Changes of the configuration that were applied or refused"};
static const struct hbk_metric_family generation = {"hauberk_snapshot_generation", HBK_METRIC_GAUGE,
                                                    false, "Number of the model in force"};
static const struct hbk_metric_family certificates = {"hauberk_certificate_requests",
                                                      HBK_METRIC_COUNTER, false,
                                                      "Certificates asked for, by how that ended"};
static const struct hbk_metric_family pods_active = {
    "workload_manager_active_proxy_count", HBK_METRIC_GAUGE, false, "Pods that are served"};
static const struct hbk_metric_family pods_pending = {"workload_manager_pending_proxy_count",
                                                      HBK_METRIC_GAUGE, false,
                                                      "Pods that could not be served yet"};
static const struct hbk_metric_family pods_started = {
    "workload_manager_proxies_started", HBK_METRIC_COUNTER, false, "Pods taken into service"};
static const struct hbk_metric_family pods_stopped = {
    "workload_manager_proxies_stopped", HBK_METRIC_COUNTER, false, "Pods taken out of service"};
static const struct hbk_metric_family folded = {
    "hauberk_telemetry_folded", HBK_METRIC_COUNTER, false,
    "Connections and parties counted under the label \"other\" because a table was full"};
static const struct hbk_metric_family evicted = {
    "hauberk_telemetry_series_evicted", HBK_METRIC_COUNTER, false,
    "Series of traffic forgotten because nobody used them"};
static const struct hbk_metric_family handshake_time = {
    "hauberk_tls_handshake_duration_seconds", HBK_METRIC_HISTOGRAM, true,
    "Time from the first byte of a TLS handshake to its end"};
static const struct hbk_metric_family connect_time = {
    "hauberk_upstream_connect_duration_seconds", HBK_METRIC_HISTOGRAM, true,
    "Time until the other side accepted a connection or answered a CONNECT"};

/* A reason for which handshakes fail, with each engine. */
#define FAILED_HANDSHAKES(REASON, text)                                          \
    [HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_##                                     \
        REASON] = {&handshakes_failed, "engine=\"native\",reason=\"" text "\""}, \
      [HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_##                                  \
          REASON] = {&handshakes_failed, "engine=\"openssl\",reason=\"" text "\""}

static const struct hbk_metric_row rows[HBK_COUNTER_COUNT] = {
    [HBK_COUNTER_SOCKETS_OPEN_SOURCE] = {&sockets, "reporter=\"source\""},
    [HBK_COUNTER_SOCKETS_OPEN_DESTINATION] = {&sockets, "reporter=\"destination\""},
    [HBK_COUNTER_ACCEPTED_OUTBOUND] = {&accepted, "listener=\"outbound\""},
    [HBK_COUNTER_ACCEPTED_INBOUND_PLAIN] = {&accepted, "listener=\"inbound_plain\""},
    [HBK_COUNTER_ACCEPTED_INBOUND_HBONE] = {&accepted, "listener=\"inbound_hbone\""},
    [HBK_COUNTER_REFUSED_POLICY] = {&refused, "reason=\"policy\""},
    [HBK_COUNTER_REFUSED_STRICT] = {&refused, "reason=\"strict\""},
    [HBK_COUNTER_REFUSED_PLAIN_OUTBOUND] = {&refused, "reason=\"plain_outbound\""},
    [HBK_COUNTER_REFUSED_UNKNOWN_SOURCE] = {&refused, "reason=\"unknown_source\""},
    [HBK_COUNTER_REFUSED_UNKNOWN_DESTINATION] = {&refused, "reason=\"unknown_destination\""},
    [HBK_COUNTER_REFUSED_WRONG_DESTINATION] = {&refused, "reason=\"wrong_destination\""},
    [HBK_COUNTER_REFUSED_NO_HEALTHY_UPSTREAM] = {&refused, "reason=\"no_healthy_upstream\""},
    [HBK_COUNTER_REFUSED_UNSUPPORTED_ROUTE] = {&refused, "reason=\"unsupported_route\""},
    [HBK_COUNTER_REFUSED_RECURSIVE] = {&refused, "reason=\"recursive\""},
    [HBK_COUNTER_REFUSED_BAD_REQUEST] = {&refused, "reason=\"bad_request\""},
    [HBK_COUNTER_REFUSED_NO_IDENTITY] = {&refused, "reason=\"no_identity\""},
    [HBK_COUNTER_REFUSED_LIMIT] = {&refused, "reason=\"limit\""},
    [HBK_COUNTER_REFUSED_DESCRIPTORS] = {&refused, "reason=\"descriptors\""},
    [HBK_COUNTER_CONNECT_REFUSED] = {&connects, "reason=\"refused\""},
    [HBK_COUNTER_CONNECT_TIMEOUT] = {&connects, "reason=\"timeout\""},
    [HBK_COUNTER_CONNECT_REPLY_TIMEOUT] = {&connects, "reason=\"reply_timeout\""},
    [HBK_COUNTER_CONNECT_REJECTED] = {&connects, "reason=\"rejected\""},
    [HBK_COUNTER_CONNECT_RETRIED] = {&connects, "reason=\"retried\""},
    [HBK_COUNTER_TUNNELS_OPEN_CLIENT] = {&tunnels_open, "side=\"client\""},
    [HBK_COUNTER_TUNNELS_OPEN_SERVER] = {&tunnels_open, "side=\"server\""},
    [HBK_COUNTER_TUNNELS_OPENED_CLIENT] = {&tunnels_opened, "side=\"client\""},
    [HBK_COUNTER_TUNNELS_OPENED_SERVER] = {&tunnels_opened, "side=\"server\""},
    [HBK_COUNTER_TUNNELS_CLOSED_PEER] = {&tunnels_closed, "reason=\"peer\""},
    [HBK_COUNTER_TUNNELS_CLOSED_IDLE] = {&tunnels_closed, "reason=\"idle\""},
    [HBK_COUNTER_TUNNELS_CLOSED_ERROR] = {&tunnels_closed, "reason=\"error\""},
    [HBK_COUNTER_TUNNELS_CLOSED_PROTOCOL] = {&tunnels_closed, "reason=\"protocol\""},
    [HBK_COUNTER_TUNNELS_CLOSED_TIMEOUT] = {&tunnels_closed, "reason=\"timeout\""},
    [HBK_COUNTER_TUNNELS_CLOSED_DRAIN] = {&tunnels_closed, "reason=\"drain\""},
    [HBK_COUNTER_TUNNELS_CLOSED_EXPIRED] = {&tunnels_closed, "reason=\"certificate_expired\""},
    [HBK_COUNTER_TUNNELS_CLOSED_REVOKED] = {&tunnels_closed, "reason=\"certificate_revoked\""},
    [HBK_COUNTER_TUNNELS_CLOSED_ROOT_WITHDRAWN] = {&tunnels_closed, "reason=\"root_withdrawn\""},
    [HBK_COUNTER_STREAMS_OPEN_CLIENT] = {&streams_open, "side=\"client\""},
    [HBK_COUNTER_STREAMS_OPEN_SERVER] = {&streams_open, "side=\"server\""},
    [HBK_COUNTER_STREAMS_OPENED_CLIENT] = {&streams_opened, "side=\"client\""},
    [HBK_COUNTER_STREAMS_OPENED_SERVER] = {&streams_opened, "side=\"server\""},
    [HBK_COUNTER_STREAMS_RESET_PEER] = {&streams_reset, "by=\"peer\""},
    [HBK_COUNTER_STREAMS_RESET_LOCAL] = {&streams_reset, "by=\"local\""},
    [HBK_COUNTER_HANDSHAKES_CLIENT_NATIVE] = {&handshakes, "side=\"client\",engine=\"native\""},
    [HBK_COUNTER_HANDSHAKES_SERVER_NATIVE] = {&handshakes, "side=\"server\",engine=\"native\""},
    [HBK_COUNTER_HANDSHAKES_CLIENT_OPENSSL] = {&handshakes, "side=\"client\",engine=\"openssl\""},
    [HBK_COUNTER_HANDSHAKES_SERVER_OPENSSL] = {&handshakes, "side=\"server\",engine=\"openssl\""},
    FAILED_HANDSHAKES(NO_CERTIFICATE, "no_certificate"),
    FAILED_HANDSHAKES(UNTRUSTED, "untrusted"),
    FAILED_HANDSHAKES(EXPIRED, "expired"),
    FAILED_HANDSHAKES(REVOKED, "revoked"),
    FAILED_HANDSHAKES(IDENTITY, "identity"),
    FAILED_HANDSHAKES(PROTOCOL, "protocol"),
    FAILED_HANDSHAKES(TIMEOUT, "timeout"),
    FAILED_HANDSHAKES(CLOSED, "closed"),
    FAILED_HANDSHAKES(INTERNAL, "internal"),
    [HBK_COUNTER_POOL_EXHAUSTED_CONNECTION] = {&pools, "pool=\"connection\""},
    [HBK_COUNTER_POOL_EXHAUSTED_STREAM] = {&pools, "pool=\"stream\""},
    [HBK_COUNTER_POOL_EXHAUSTED_TUNNEL] = {&pools, "pool=\"tunnel\""},
    [HBK_COUNTER_CRYPTO_VECTOR] = {&operations, BATCHER_LABEL(PATH, VECTOR)},
    [HBK_COUNTER_CRYPTO_LIBCRYPTO] = {&operations, BATCHER_LABEL(PATH, LIBCRYPTO)},
    [HBK_COUNTER_CRYPTO_REDONE] = {&redone, NULL},
    [HBK_COUNTER_CRYPTO_CANCELLED] = {&cancelled, NULL},
    [HBK_COUNTER_CRYPTO_REFUSED] = {&full, NULL},
    [HBK_COUNTER_CRYPTO_BATCHES_1] = {&batches, HBK_BATCHER_LABEL_LANES "=\"1\""},
    [HBK_COUNTER_CRYPTO_BATCHES_2] = {&batches, HBK_BATCHER_LABEL_LANES "=\"2\""},
    [HBK_COUNTER_CRYPTO_BATCHES_3] = {&batches, HBK_BATCHER_LABEL_LANES "=\"3\""},
    [HBK_COUNTER_CRYPTO_BATCHES_4] = {&batches, HBK_BATCHER_LABEL_LANES "=\"4\""},
    [HBK_COUNTER_CRYPTO_BATCHES_5] = {&batches, HBK_BATCHER_LABEL_LANES "=\"5\""},
    [HBK_COUNTER_CRYPTO_BATCHES_6] = {&batches, HBK_BATCHER_LABEL_LANES "=\"6\""},
    [HBK_COUNTER_CRYPTO_BATCHES_7] = {&batches, HBK_BATCHER_LABEL_LANES "=\"7\""},
    [HBK_COUNTER_CRYPTO_BATCHES_8] = {&batches, HBK_BATCHER_LABEL_LANES "=\"8\""},
    [HBK_COUNTER_LOOP_TURNS] = {&turns, NULL},
    [HBK_COUNTER_LOOP_BUSY_NS] = {&busy, NULL},
    [HBK_COUNTER_LOOP_RESTS] = {&rests, NULL},
    [HBK_COUNTER_RELOADS_OK] = {&reloads, "result=\"ok\""},
    [HBK_COUNTER_RELOADS_FAILED] = {&reloads, "result=\"failed\""},
    [HBK_COUNTER_SNAPSHOT_GENERATION] = {&generation, NULL},
    [HBK_COUNTER_CERTIFICATES_ISSUED] = {&certificates, "result=\"issued\""},
    [HBK_COUNTER_CERTIFICATES_FAILED] = {&certificates, "result=\"failed\""},
    [HBK_COUNTER_PODS_ACTIVE] = {&pods_active, NULL},
    [HBK_COUNTER_PODS_PENDING] = {&pods_pending, NULL},
    [HBK_COUNTER_PODS_STARTED] = {&pods_started, NULL},
    [HBK_COUNTER_PODS_STOPPED] = {&pods_stopped, NULL},
    [HBK_COUNTER_TRAFFIC_FOLDED] = {&folded, "what=\"connection\""},
    [HBK_COUNTER_PARTIES_FOLDED] = {&folded, "what=\"party\""},
    [HBK_COUNTER_TRAFFIC_EVICTED] = {&evicted, NULL},
};

static const struct hbk_metric_row timing_rows[HBK_TIMING_COUNT] = {
    [HBK_TIMING_HANDSHAKE_CLIENT] = {&handshake_time, "side=\"client\""},
    [HBK_TIMING_HANDSHAKE_SERVER] = {&handshake_time, "side=\"server\""},
    [HBK_TIMING_CONNECT] = {&connect_time, "step=\"tcp\""},
    [HBK_TIMING_CONNECT_REPLY] = {&connect_time, "step=\"hbone\""},
    [HBK_TIMING_CRYPTO_QUEUE] = {&queued, NULL},
};

const struct hbk_metric_row *hbk_counter_row(enum hbk_counter counter)
{
    HBK_ASSERT(counter < HBK_COUNTER_COUNT);
    return &rows[counter];
}

const struct hbk_metric_row *hbk_timing_row(enum hbk_timing timing)
{
    HBK_ASSERT(timing < HBK_TIMING_COUNT);
    return &timing_rows[timing];
}
