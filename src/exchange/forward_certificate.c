/* X-Forwarded-Client-Cert of a request that has arrived. */
#include "exchange/downstream.h"
#include "exchange/stream.h"
#include "http/client_certificate.h"

static const char field_name[] = "x-forwarded-client-cert";

/* The element is the same for all requests of a connection: made with the first. */
static hbk_status make_element(struct hbk_gw_stream *stream, struct hbk_slice *out_element)
{
    struct hbk_gw_connection *connection = stream->connection;
    struct hbk_buffer *element = &connection->certificate_element;
    if (hbk_buffer_is_empty(element)) {
        hbk_buffer_init(element, HBK_GW_CERTIFICATE_ELEMENT_BYTES_MAX);
        hbk_status status = hbk_gw_client_certificate_write(
            connection->tls.peer, &connection->tls.own,
            stream->handler->http->set_current_client_cert_details, element);
        if (status != HBK_OK) {
            hbk_buffer_fini(element);
            return status;
        }
    }
    *out_element = hbk_gw_copy(&stream->arena, hbk_buffer_slice(element));
    return out_element->bytes == NULL ? HBK_NO_MEMORY : HBK_OK;
}

static hbk_status add_element(struct hbk_gw_stream *stream, struct hbk_slice before)
{
    struct hbk_slice element;
    struct hbk_slice name = HBK_SLICE(field_name);
    HBK_TRY(make_element(stream, &element));
    if (before.size == 0) {
        return hbk_gw_head_set(&stream->request, &stream->arena, name, element);
    }
    struct hbk_span joined = hbk_arena_bytes(&stream->arena, before.size + 1 + element.size);
    if (joined.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy(joined.bytes, before.bytes, before.size);
    joined.bytes[before.size] = ',';
    memcpy(joined.bytes + before.size + 1, element.bytes, element.size);
    return hbk_gw_head_set(&stream->request, &stream->arena, name,
                           hbk_slice_of(joined.bytes, joined.size));
}

hbk_status hbk_gw_forward_certificate(struct hbk_gw_stream *stream)
{
    const int mode = stream->handler->http->forward_client_cert_details;
    bool is_known = stream->connection != NULL && stream->connection->tls.peer != NULL;
    struct hbk_slice name = HBK_SLICE(field_name);
    if (mode == HBK_GW_CERT_SANITIZE || (!is_known && mode != HBK_GW_CERT_ALWAYS_FORWARD_ONLY)) {
        hbk_gw_head_remove(&stream->request, name);
        return HBK_OK;
    }
    if (mode == HBK_GW_CERT_SANITIZE_SET) {
        return add_element(stream, hbk_slice_of(NULL, 0));
    }
    HBK_TRY(hbk_gw_head_join(&stream->request, &stream->arena, name, HBK_SLICE(",")));
    return mode == HBK_GW_CERT_APPEND_FORWARD
               ? add_element(stream, hbk_gw_head_find(&stream->request, name))
               : HBK_OK;
}
