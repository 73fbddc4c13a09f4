/*
 * How much of a body may wait in the middle. One exchange has the smaller of its two sides' limits.
 * The exchanges of one HTTP/2 client share that limit, since it is one of the connection: a client
 * with a thousand responses that it does not read makes us hold a thousand shares and not a
 * thousand times the limit.
 */
#include "exchange/downstream.h"
#include "exchange/upstream.h"

/* What every exchange may hold, however many share. */
enum { SHARE_BYTES_MIN = 16 * 1024 };

size_t hbk_gw_stream_bytes_max(const struct hbk_gw_stream *stream)
{
    size_t most = stream->handler->buffer_bytes_max;
    size_t up = stream->pool == NULL
                    ? most
                    : stream->pool->cluster->config->per_connection_buffer_limit_bytes;
    most = up < most ? up : most;
    if (stream->connection != NULL && stream->connection->stream_count > 1 &&
        most > SHARE_BYTES_MIN) {
        size_t share = most / stream->connection->stream_count;
        most = share > SHARE_BYTES_MIN ? share : SHARE_BYTES_MIN;
    }
    return most;
}

bool hbk_gw_stream_is_backed_up(const struct hbk_gw_stream *stream)
{
    size_t most = hbk_gw_stream_bytes_max(stream);
    const struct hbk_gw_connection *connection = stream->connection;
    const struct hbk_gw_upstream *upstream = stream->upstream;
    return (connection != NULL && connection->kind == HBK_GW_KIND_HTTP1 &&
            hbk_buffer_size(&connection->pipe.out) > most) ||
           (upstream != NULL && !upstream->is_http2 && hbk_buffer_size(&upstream->pipe.out) > most);
}
