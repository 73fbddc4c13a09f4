#include "http/client_certificate.h"

#include <openssl/evp.h>

enum { PEM_LINE_BYTES = 48, PEM_LINE_LETTERS = 64 };

static hbk_status add_text(struct hbk_buffer *out, const char *text)
{
    return hbk_buffer_append(out, hbk_slice_text(text));
}

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

bool hbk_gw_client_certificate_is_told(const struct hbk_gw_http_connection_manager *http)
{
    return http->forward_client_cert_details == HBK_GW_CERT_APPEND_FORWARD ||
           http->forward_client_cert_details == HBK_GW_CERT_SANITIZE_SET;
}
