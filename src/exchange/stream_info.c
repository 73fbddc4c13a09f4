/* What logs and header values may ask about an exchange. */
#include "exchange/downstream.h"
#include "exchange/stream.h"
#include "exchange/upstream.h"

void hbk_gw_stream_info(const struct hbk_gw_stream *stream, struct hbk_gw_info *out_info)
{
    const struct hbk_gw_connection *connection = stream->connection;
    uint64_t now_ns = stream->shard->net.loop->now_ns;
    *out_info = (struct hbk_gw_info){
        .start_ns = stream->start_real_ns,
        .duration_ns = now_ns - stream->start_ns,
        .request_ns = stream->request_ns == 0 ? UINT64_MAX : stream->request_ns - stream->start_ns,
        .response_ns =
            stream->response_ns == 0 ? UINT64_MAX : stream->response_ns - stream->start_ns,
        .request = &stream->request,
        .response = &stream->response,
        .trailers = &stream->trailers,
        .original_path = stream->original_path,
        .protocol = stream->down->protocol,
        .upstream_protocol = stream->upstream_protocol,
        .status = stream->response_started ? stream->response.status : 0,
        .flags = stream->flags,
        .details = stream->details,
        .upstream_failure = stream->upstream_failure,
        .received_bytes = stream->received_bytes,
        .sent_bytes = stream->sent_bytes,
        .upstream_host = stream->upstream_address,
        .upstream_local = stream->upstream_local,
        .route = stream->route == NULL ? hbk_slice_of(NULL, 0) : stream->route->name,
        .filter_chain = stream->handler->chain->name,
        .cluster =
            stream->pool == NULL ? hbk_slice_of(NULL, 0) : stream->pool->cluster->config->name,
        .attempts = stream->attempts,
        .upstream_tls = &stream->upstream_tls,
    };
    if (connection != NULL) {
        out_info->downstream_remote = stream->remote;
        out_info->downstream_direct_remote = connection->direct;
        out_info->downstream_local = connection->local;
        out_info->tls = &connection->tls;
        out_info->connection_id = connection->id;
        out_info->received_wire_bytes = connection->pipe.received_bytes;
        out_info->sent_wire_bytes = connection->pipe.sent_bytes;
    }
}
