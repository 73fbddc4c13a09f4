/*
 * X-Forwarded-Client-Cert: what those behind the gateway are told of the certificate that a client
 * has proved. The field is a list, one element per proxy on the way:
 *
 *     By=URI of ours;Hash=SHA-256;Cert="PEM";Chain="PEM";Subject="...";URI=...;DNS=...
 *
 * `By` and `Hash` are always there; of the others those that the configuration asks for, in this
 * order. PEM is percent-encoded. A name with a comma, a semicolon or a quote in it is quoted.
 */
#pragma once

#include "base/buffer.h"
#include "identity/names.h"
#include "identity/verdict.h"
#include "model/gateway_http.h"

/* Of one element: names, and a chain of HBK_CHAIN_BYTES_MAX twice. */
enum { HBK_GW_CERTIFICATE_ELEMENT_BYTES_MAX = 16384 + 4 * HBK_CHAIN_BYTES_MAX };

/* Appends the element for that peer. `set` may be NULL: nothing more than By and Hash. Fails:
 * HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_client_certificate_write(
    const struct hbk_peer *peer, const struct hbk_certificate_names *own,
    const struct hbk_gw_client_cert_details_set *set, struct hbk_buffer *out);

/* Appends certificates as PEM, percent-encoded. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_client_certificate_encode(const struct hbk_slice *certificates,
                                                         size_t count, struct hbk_buffer *out);

/* Whether the configuration makes elements. */
bool hbk_gw_client_certificate_is_told(const struct hbk_gw_http_connection_manager *http);
