#include "proxy/header.h"

static struct hbk_slice write_baggage(const struct hbk_workload *workload, struct hbk_span room)
{
    size_t size = 0;
    if (workload == NULL) {
        return hbk_slice_of(NULL, 0);
    }
    struct hbk_hbone_baggage baggage = {
        .cluster = workload->cluster_id,
        .namespace = workload->namespace,
        .workload_kind = hbk_slice_text(hbk_workload_type_text(workload->type)),
        .workload_name = workload->workload_name,
        .service_name = workload->canonical_name,
        .service_version = workload->canonical_revision,
        .region = workload->locality.region,
        .zone = workload->locality.zone,
    };
    hbk_status status = hbk_hbone_write_baggage(&baggage, room, &size);
    return hbk_slice_of(room.bytes, status == HBK_OK ? size : 0);
}

/* Never all zero, as the trace context wants. */
static void draw_trace(struct hbk_shard *shard, struct hbk_hbone_trace *trace)
{
    uint64_t words[3] = {hbk_shard_random(shard) | 1, hbk_shard_random(shard),
                         hbk_shard_random(shard) | 1};
    memcpy(trace->trace_id, words, sizeof trace->trace_id);
    memcpy(trace->parent_id, words + 2, sizeof trace->parent_id);
    trace->flags = 0;
}

void hbk_request_header_build(struct hbk_request_header *header,
                              const struct hbk_connection *connection,
                              const struct hbk_workload *source)
{
    header->authority =
        hbk_slice_text(hbk_address_text(&connection->target, header->authority_text));
    draw_trace(connection->pod->shard, &header->trace);
    struct hbk_hbone_request request = {
        .authority = header->authority,
        .baggage = write_baggage(source, hbk_span_of(header->baggage, sizeof header->baggage)),
        .source = connection->source,
        .service_host =
            connection->service == NULL ? hbk_slice_of(NULL, 0) : connection->service->text.host,
        .trace = &header->trace,
    };
    if (hbk_hbone_write_request(&request, &header->fields) != HBK_OK) {
        request.service_host = hbk_slice_of(NULL, 0);
        header->fields.count = 0;
        hbk_status status = hbk_hbone_write_request(&request, &header->fields);
        header->fields.count = status == HBK_OK ? header->fields.count : 0;
    }
}

void hbk_answer_header_build(struct hbk_answer_header *header,
                             const struct hbk_workload *destination)
{
    struct hbk_slice baggage =
        write_baggage(destination, hbk_span_of(header->baggage, sizeof header->baggage));
    header->fields[0] = (struct hbk_h2_field){.name = HBK_SLICE("baggage"), .value = baggage};
    header->count = baggage.size > 0 ? 1 : 0;
}

const char *hbk_answer_status_text(uint32_t status)
{
    switch (status) {
    case 400:
        return " Bad Request";
    case 401:
        return " Unauthorized";
    case 404:
        return " Not Found";
    case 500:
        return " Internal Server Error";
    case 503:
        return " Service Unavailable";
    default:
        return "";
    }
}
