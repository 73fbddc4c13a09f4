#include "gateway/client_certificate.h"

#include <openssl/evp.h>

#include "gateway/downstream.h"
#include "gateway/stream.h"

enum { PEM_LINE_BYTES = 48, PEM_LINE_LETTERS = 64 };

static const char field_name[] = "x-forwarded-client-cert";

static hbk_status add_text(struct hbk_buffer *out, const char *text)
{
    return hbk_buffer_append(out, hbk_slice_text(text));
}

/* ---- an element ---- */

static bool needs_quotes(struct hbk_slice value)
{
    size_t mark = 0;
    return hbk_slice_find(value, ',', &mark) || hbk_slice_find(value, ';', &mark) ||
           hbk_slice_find(value, '"', &mark);
}

static hbk_status add_quoted(struct hbk_buffer *out, struct hbk_slice value)
{
    size_t mark = 0;
    HBK_TRY(add_text(out, "\""));
    while (hbk_slice_find(value, '"', &mark)) {
        HBK_TRY(hbk_buffer_append(out, hbk_slice_part(value, 0, mark)));
        HBK_TRY(add_text(out, "\\\""));
        value = hbk_slice_part(value, mark + 1, value.size);
    }
    HBK_TRY(hbk_buffer_append(out, value));
    return add_text(out, "\"");
}

/* `names` each end with a zero byte; each becomes a pair of its own. */
static hbk_status add_names(struct hbk_buffer *out, const char *key, struct hbk_slice names)
{
    size_t mark = 0;
    while (hbk_slice_find(names, '\0', &mark)) {
        struct hbk_slice name = hbk_slice_part(names, 0, mark);
        HBK_TRY(add_text(out, key));
        HBK_TRY(needs_quotes(name) ? add_quoted(out, name) : hbk_buffer_append(out, name));
        HBK_TRY(add_text(out, ";"));
        names = hbk_slice_part(names, mark + 1, names.size);
    }
    return HBK_OK;
}

static hbk_status add_encoded_line(struct hbk_buffer *out, struct hbk_slice bytes)
{
    unsigned char letters[PEM_LINE_LETTERS + 1];
    int count = EVP_EncodeBlock(letters, bytes.bytes, (int)bytes.size);
    for (int i = 0; i < count; i++) {
        const char *escape = letters[i] == '+'   ? "%2B"
                             : letters[i] == '/' ? "%2F"
                             : letters[i] == '=' ? "%3D"
                                                 : NULL;
        HBK_TRY(escape != NULL ? add_text(out, escape)
                               : hbk_buffer_append(out, hbk_slice_of(&letters[i], 1)));
    }
    return add_text(out, "%0A");
}

hbk_status hbk_gw_client_certificate_encode(const struct hbk_slice *certificates, size_t count,
                                            struct hbk_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        struct hbk_slice der = certificates[i];
        HBK_TRY(add_text(out, "-----BEGIN%20CERTIFICATE-----%0A"));
        while (der.size > 0) {
            HBK_TRY(add_encoded_line(out, hbk_slice_part(der, 0, PEM_LINE_BYTES)));
            der = hbk_slice_part(der, PEM_LINE_BYTES, der.size);
        }
        HBK_TRY(add_text(out, "-----END%20CERTIFICATE-----%0A"));
    }
    return HBK_OK;
}

static hbk_status add_certificates(struct hbk_buffer *out, const char *key,
                                   const struct hbk_slice *certificates, size_t count)
{
    HBK_TRY(add_text(out, key));
    HBK_TRY(hbk_gw_client_certificate_encode(certificates, count, out));
    return add_text(out, "\";");
}

static hbk_status add_details(struct hbk_buffer *out, const struct hbk_peer *peer,
                              const struct hbk_gw_client_cert_details_set *set)
{
    if (set->cert) {
        HBK_TRY(add_certificates(out, "Cert=\"", peer->certificates, 1));
    }
    if (set->chain) {
        HBK_TRY(add_certificates(out, "Chain=\"", peer->certificates, peer->certificate_count));
    }
    if (set->subject) { /* there even when it is empty; RFC 2253 has escaped its quotes */
        HBK_TRY(hbk_buffer_print(out, "Subject=\"%.*s\";", HBK_SLICE_ARGS(peer->names.subject)));
    }
    if (set->uri) {
        HBK_TRY(peer->names.uris.size == 0 ? add_text(out, "URI=;")
                                           : add_names(out, "URI=", peer->names.uris));
    }
    return set->dns ? add_names(out, "DNS=", peer->names.dns_names) : HBK_OK;
}

hbk_status hbk_gw_client_certificate_write(const struct hbk_peer *peer,
                                           const struct hbk_certificate_names *own,
                                           const struct hbk_gw_client_cert_details_set *set,
                                           struct hbk_buffer *out)
{
    HBK_TRY(add_names(out, "By=", own->uris));
    HBK_TRY(add_text(out, "Hash="));
    for (size_t i = 0; i < sizeof peer->leaf_sha256; i++) {
        HBK_TRY(hbk_buffer_print(out, "%02x", peer->leaf_sha256[i]));
    }
    HBK_TRY(add_text(out, ";"));
    if (set != NULL) {
        HBK_TRY(add_details(out, peer, set));
    }
    out->end--; /* the last pair's semicolon */
    return HBK_OK;
}

/* ---- the field ---- */

bool hbk_gw_client_certificate_is_told(const struct hbk_gw_http_connection_manager *http)
{
    return http->forward_client_cert_details == HBK_GW_CERT_APPEND_FORWARD ||
           http->forward_client_cert_details == HBK_GW_CERT_SANITIZE_SET;
}

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

hbk_status hbk_gw_client_certificate_forward(struct hbk_gw_stream *stream)
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
