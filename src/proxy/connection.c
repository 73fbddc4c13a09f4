#include "proxy/connection.h"

#include "identity/spiffe.h"
#include "policy/authorize.h"
#include "proxy/inbound.h"
#include "proxy/outbound.h"
#include "proxy/plain.h"

static struct hbk_telemetry *telemetry_of(const struct hbk_connection *connection)
{
    return &connection->pod->shard->telemetry;
}

void hbk_connection_init(struct hbk_connection *connection, struct hbk_pod_proxy *pod,
                         enum hbk_connection_kind kind)
{
    *connection = (struct hbk_connection){
        .pod = pod,
        .kind = kind,
        .opened_ns = pod->shard->net.loop->now_ns,
    };
    hbk_link_init(&connection->in_pod);
    hbk_list_append(&pod->connections, &connection->in_pod);
}

static struct hbk_party *party_of(struct hbk_connection *connection,
                                  const struct hbk_workload *workload, bool is_mutual)
{
    struct hbk_party_table *table = &telemetry_of(connection)->traffic.parties;
    if (workload == NULL) {
        return NULL;
    }
    struct hbk_party_text text = {
        .pod = workload->name,
        .workload = workload->workload_name,
        .canonical_service = workload->canonical_name,
        .canonical_revision = workload->canonical_revision,
        .namespace = workload->namespace,
        .principal = is_mutual && workload->identity != NULL ? workload->identity->text
                                                             : hbk_slice_of(NULL, 0),
        .cluster = workload->cluster_id,
        .region = workload->locality.region,
        .zone = workload->locality.zone,
    };
    return hbk_party_get(table, &text);
}

/* A caller whom no snapshot knows by address still has the name that its certificate proved. */
static struct hbk_party *stranger_of(struct hbk_connection *connection)
{
    if (connection->peer == NULL) {
        return NULL;
    }
    struct hbk_party_text text = {
        .namespace = connection->peer->parts.namespace_,
        .principal = connection->peer->text,
    };
    return hbk_party_get(&telemetry_of(connection)->traffic.parties, &text);
}

/* An address may belong to another workload by now; the certificate decides who called. */
static bool is_caller(const struct hbk_connection *connection, const struct hbk_workload *source)
{
    return source != NULL && (connection->peer == NULL || source->identity == connection->peer);
}

/* `error` is NULL when there is none. */
static void log_event(const struct hbk_connection *connection, enum hbk_access_event event,
                      const char *error)
{
    bool is_inbound = hbk_connection_is_inbound(connection);
    bool is_tunnelled = hbk_connection_is_mutual(connection);
    struct hbk_access_record record = {
        .event = event,
        .reporter = is_inbound ? HBK_REPORTER_DESTINATION : HBK_REPORTER_SOURCE,
        .is_mutual_tls = is_tunnelled,
        .source = connection->source,
        .destination = connection->target,
        .source_party = connection->source_party,
        .destination_party = connection->destination_party,
        .service = connection->service,
        .sent_bytes = is_inbound ? connection->counted_sent : connection->counted_received,
        .received_bytes = is_inbound ? connection->counted_received : connection->counted_sent,
        .duration_ns = connection->pod->shard->net.loop->now_ns - connection->opened_ns,
    };
    if (error != NULL) {
        record.error = hbk_slice_text(error);
    }
    if (connection->tls_engine != NULL) {
        record.tls_engine = hbk_slice_text(connection->tls_engine);
    }
    char target[HBK_ADDRESS_TEXT_BYTES_MAX];
    if (is_tunnelled) {
        record.hbone_target = hbk_slice_text(hbk_address_text(&connection->target, target));
        record.destination.port = HBK_PORT_INBOUND_HBONE;
    }
    if (hbk_log_is_on(hbk_access_level(&record))) {
        hbk_access_log(&record);
    }
}

void hbk_connection_routed(struct hbk_connection *connection, const struct hbk_workload *source,
                           const struct hbk_workload *destination,
                           const struct hbk_service *service)
{
    bool is_mutual = hbk_connection_is_mutual(connection);
    bool is_inbound = hbk_connection_is_inbound(connection);
    struct hbk_telemetry *telemetry = telemetry_of(connection);
    connection->source_party = !is_inbound || is_caller(connection, source)
                                   ? party_of(connection, source, is_mutual)
                                   : stranger_of(connection);
    connection->destination_party = party_of(connection, destination, is_mutual);
    if (service != NULL) {
        struct hbk_destination_text text = {
            .name = service->name,
            .namespace = service->namespace,
            .host = service->hostname,
        };
        connection->service = hbk_destination_get(&telemetry->traffic.parties, &text);
    }
    struct hbk_traffic_key key = {
        .reporter = is_inbound ? HBK_REPORTER_DESTINATION : HBK_REPORTER_SOURCE,
        .is_mutual_tls = is_mutual,
        .source = connection->source_party,
        .destination = connection->destination_party,
        .service = connection->service,
    };
    connection->series = hbk_traffic_open(&telemetry->traffic, &key);
    hbk_counter_add(
        telemetry,
        is_inbound ? HBK_COUNTER_SOCKETS_OPEN_DESTINATION : HBK_COUNTER_SOCKETS_OPEN_SOURCE, 1);
    log_event(connection, HBK_ACCESS_OPENED, NULL);
}

void hbk_connection_count(struct hbk_connection *connection, uint64_t received, uint64_t sent)
{
    if (connection->series != NULL) {
        connection->series->received_bytes += received - connection->counted_received;
        connection->series->sent_bytes += sent - connection->counted_sent;
    }
    connection->counted_received = received;
    connection->counted_sent = sent;
}

static enum hbk_response_flag flag_of(const struct hbk_failure *failure)
{
    switch (failure->kind) {
    case HBK_FAILURE_NONE:
    case HBK_FAILURE_RESET:
    case HBK_FAILURE_DRAIN:
        return HBK_RESPONSE_OK;
    case HBK_FAILURE_ROUTE:
    case HBK_FAILURE_CONNECT:
    case HBK_FAILURE_TIMEOUT:
    case HBK_FAILURE_LIMIT:
        return HBK_RESPONSE_CONNECT;
    case HBK_FAILURE_TLS:
        return HBK_RESPONSE_TLS_FAILURE;
    case HBK_FAILURE_IDENTITY:
        return HBK_RESPONSE_IDENTITY_ERROR;
    case HBK_FAILURE_HTTP2:
        return HBK_RESPONSE_H2_HANDSHAKE_FAILURE;
    case HBK_FAILURE_REQUEST:
        return failure->code == 401 ? HBK_RESPONSE_DENY : HBK_RESPONSE_CONNECT;
    case HBK_FAILURE_POLICY:
        return HBK_RESPONSE_DENY;
    case HBK_FAILURE_REVOKED:
        return HBK_RESPONSE_CERT_REVOKED;
    }
    return HBK_RESPONSE_CONNECT;
}

void hbk_connection_ended(struct hbk_connection *connection, const struct hbk_failure *failure,
                          uint64_t received, uint64_t sent)
{
    struct hbk_telemetry *telemetry = telemetry_of(connection);
    struct hbk_party_table *parties = &telemetry->traffic.parties;
    hbk_connection_count(connection, received, sent);
    log_event(connection, HBK_ACCESS_COMPLETE,
              failure->kind == HBK_FAILURE_NONE ? NULL : hbk_failure_text(failure));
    if (connection->series != NULL) {
        hbk_traffic_close(&telemetry->traffic, connection->series, flag_of(failure));
        hbk_counter_subtract(telemetry,
                             hbk_connection_is_inbound(connection)
                                 ? HBK_COUNTER_SOCKETS_OPEN_DESTINATION
                                 : HBK_COUNTER_SOCKETS_OPEN_SOURCE,
                             1);
    }
    hbk_party_unref(parties, connection->source_party);
    hbk_party_unref(parties, connection->destination_party);
    hbk_destination_unref(parties, connection->service);
    hbk_spiffe_unref(connection->peer);
    hbk_link_remove(&connection->in_pod);
    hbk_pod_release(connection->pod);
}

void hbk_connection_log_refusal(const struct hbk_pod_proxy *pod, bool is_inbound,
                                const struct hbk_address *source,
                                const struct hbk_address *destination, const char *why)
{
    (void)pod;
    struct hbk_access_record record = {
        .event = HBK_ACCESS_FAILED,
        .reporter = is_inbound ? HBK_REPORTER_DESTINATION : HBK_REPORTER_SOURCE,
        .source = *source,
        .destination = *destination,
        .error = hbk_slice_text(why),
    };
    hbk_access_log(&record);
}

void hbk_connection_log_tunnel(const struct hbk_tunnel *tunnel)
{
    struct hbk_access_record record = {
        .event = HBK_ACCESS_FAILED,
        .reporter = HBK_REPORTER_DESTINATION,
        .source = tunnel->peer,
        .destination = tunnel->local,
        .tls_engine = hbk_slice_text(hbk_tls_engine_text(hbk_tunnel_engine(tunnel))),
        .error = hbk_slice_text(hbk_failure_text(&tunnel->failure)),
    };
    hbk_access_log(&record);
}

/* Kinds ------------------------------------------------------------------------------------- */

static struct hbk_relay *relay_of(struct hbk_connection *connection)
{
    return connection->kind == HBK_CONNECTION_OUTBOUND
               ? &HBK_CONTAINER(connection, struct hbk_outbound, base)->relay
               : &HBK_CONTAINER(connection, struct hbk_inbound, base)->relay;
}

static struct hbk_passthrough *passthrough_of(struct hbk_connection *connection)
{
    return &HBK_CONTAINER(connection, struct hbk_plain, base)->passthrough;
}

void hbk_connection_cut(struct hbk_connection *connection, enum hbk_failure_kind kind,
                        const char *why)
{
    if (hbk_connection_is_mutual(connection)) {
        struct hbk_relay *relay = relay_of(connection);
        hbk_failure_set(&relay->failure, kind, HBK_CLOSED, 0, "%s", why);
        hbk_relay_abort(relay, HBK_H2_CANCEL);
    } else {
        struct hbk_passthrough *passthrough = passthrough_of(connection);
        hbk_failure_set(&passthrough->failure, kind, HBK_CLOSED, 0, "%s", why);
        hbk_passthrough_abort(passthrough);
    }
}

void hbk_connection_bytes(struct hbk_connection *connection, uint64_t *out_received,
                          uint64_t *out_sent)
{
    if (hbk_connection_is_mutual(connection)) {
        const struct hbk_relay *relay = relay_of(connection);
        bool is_inbound = connection->kind == HBK_CONNECTION_INBOUND;
        *out_received = is_inbound ? relay->received_bytes : relay->sent_bytes;
        *out_sent = is_inbound ? relay->sent_bytes : relay->received_bytes;
    } else {
        const struct hbk_passthrough *passthrough = passthrough_of(connection);
        *out_received = passthrough->sides[0].received_bytes;
        *out_sent = passthrough->sides[1].received_bytes;
    }
}

void hbk_connection_recheck(struct hbk_connection *connection)
{
    if (!hbk_connection_is_inbound(connection)) {
        return;
    }
    struct hbk_authorize_input input = {
        .source = connection->source,
        .destination = connection->target,
        .source_identity = connection->peer,
    };
    const struct hbk_pod_proxy *pod = connection->pod;
    switch (hbk_authorize_review(pod->shard->mesh, pod->uid, &input)) {
    case HBK_REVIEW_STAYS:
        return;
    case HBK_REVIEW_WORKLOAD_GONE:
    case HBK_REVIEW_POLICY_DENIED:
    case HBK_REVIEW_PLAIN_TEXT_DENIED:
        hbk_connection_cut(connection, HBK_FAILURE_POLICY,
                           "connection closed due to policy change");
        return;
    }
}
