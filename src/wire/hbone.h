/*
 * HBONE, the tunnel between agents: an HTTP/2 CONNECT per connection, and what its header fields
 * say (baggage: W3C Baggage; forwarded: RFC 7239; traceparent: W3C Trace Context). Values in and
 * out, no I/O. Any thread.
 *
 *     CONNECT 10.0.0.2:8080                                     --> 200, then bytes both ways
 *       baggage: k8s.cluster.name=c,k8s.namespace.name=shop,...     400 not understood
 *       forwarded: for="10.0.0.1:51000";host=cart.shop.svc          401 refused by policy
 *       traceparent: 00-<32 hex>-<16 hex>-00                        503 not reachable
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"
#include "base/status.h"
#include "wire/http2.h"

enum {
    HBK_HBONE_HOST_BYTES_MAX = 253,      /* a DNS name */
    HBK_HBONE_AUTHORITY_BYTES_MAX = 320, /* HOST:PORT or an address, with room */
    HBK_HBONE_BAGGAGE_BYTES_MAX = 2048,  /* that we write */
    HBK_HBONE_BAGGAGE_READ_BYTES_MAX = 8192,
    HBK_HBONE_BAGGAGE_MEMBERS_MAX = 64,
    HBK_HBONE_FORWARDED_BYTES_MAX = 512,
    HBK_HBONE_TRACEPARENT_BYTES = 55,
    HBK_HBONE_FIELDS_MAX = 4,
};

/* What a server answers. */
enum hbk_hbone_status {
    HBK_HBONE_CONNECTED = 200,
    HBK_HBONE_BAD_REQUEST = 400, /* not a CONNECT that we understand, or to another's address */
    HBK_HBONE_DENIED = 401,      /* by policy */
    HBK_HBONE_UNAVAILABLE = 503, /* unknown here, or the connection to the application failed */
};

/* Where a tunnel leads: an address, or a name and a port. */
struct hbk_hbone_authority {
    bool is_address;
    struct hbk_address address; /* when is_address */
    struct hbk_slice host;      /* otherwise: a DNS name in any case, borrowed */
    uint16_t port;              /* in both cases, 1 to 65535 */
};

/* "10.0.0.2:80", "[fd00::2]:80", "cart.shop.svc:80". False, nothing written, for anything else. */
HBK_MUST_USE bool hbk_hbone_parse_authority(struct hbk_slice text,
                                            struct hbk_hbone_authority *out_authority);

/* Who a workload is, for labels of metrics and logs; empty parts are not known. */
struct hbk_hbone_baggage {
    struct hbk_slice cluster, namespace;
    struct hbk_slice workload_kind; /* deployment, cronjob, pod or job */
    struct hbk_slice workload_name;
    struct hbk_slice service_name, service_version;
    struct hbk_slice region, zone;
};

/*
 * Writes the field's value: bytes that may not stand there are written as %XX. Made once per
 * workload, then passed with each request. Fails: HBK_LIMIT (`room` is too small).
 */
HBK_MUST_USE hbk_status hbk_hbone_write_baggage(const struct hbk_hbone_baggage *baggage,
                                                struct hbk_span room, size_t *out_size);

/*
 * Reads the field's value; parts are borrowed as they were sent (%XX is kept). Of a repeated key
 * the first counts; unknown keys and properties are passed over. False, nothing written, when it is
 * malformed or too long.
 */
HBK_MUST_USE bool hbk_hbone_parse_baggage(struct hbk_slice text,
                                          struct hbk_hbone_baggage *out_baggage);

/* An empty `host` is left out. Fails: HBK_INVALID (`host` is no host name), HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_hbone_write_forwarded(const struct hbk_address *source,
                                                  struct hbk_slice host, struct hbk_span room,
                                                  size_t *out_size);

/* Reads the first element's `for`, which must be an address with a port, and its `host`, borrowed
 * and empty when absent. False, nothing written, for anything else. */
HBK_MUST_USE bool hbk_hbone_parse_forwarded(struct hbk_slice text, struct hbk_address *out_source,
                                            struct hbk_slice *out_host);

/* W3C Trace Context. Ids are drawn by the caller; neither may be all zero. */
struct hbk_hbone_trace {
    uint8_t trace_id[16];
    uint8_t parent_id[8];
    uint8_t flags;
};

/* Writes HBK_HBONE_TRACEPARENT_BYTES of text, without a terminating zero. */
void hbk_hbone_write_traceparent(const struct hbk_hbone_trace *trace,
                                 uint8_t text[static HBK_HBONE_TRACEPARENT_BYTES]);
HBK_MUST_USE bool hbk_hbone_parse_traceparent(struct hbk_slice text,
                                              struct hbk_hbone_trace *out_trace);

/* What a client asks for; parts that are empty, NULL or of no address are not sent. */
struct hbk_hbone_request {
    struct hbk_slice authority;
    struct hbk_slice baggage;      /* as hbk_hbone_write_baggage() made it */
    struct hbk_address source;     /* of the connection that is carried */
    struct hbk_slice service_host; /* when the destination was a service */
    const struct hbk_hbone_trace *trace;
    struct hbk_slice network; /* the sender's, in the inner request of two */
};

/* A request's header fields, ready for hbk_h2_open_connect(); they borrow from this struct and from
 * the request's slices. */
struct hbk_hbone_fields {
    size_t count;
    struct hbk_h2_field list[HBK_HBONE_FIELDS_MAX];
    uint8_t forwarded[HBK_HBONE_FORWARDED_BYTES_MAX];
    uint8_t traceparent[HBK_HBONE_TRACEPARENT_BYTES];
};

/* Fails: HBK_INVALID (the service host is no host name). */
HBK_MUST_USE hbk_status hbk_hbone_write_request(const struct hbk_hbone_request *request,
                                                struct hbk_hbone_fields *out_fields);

/* What a server learns from a request. Malformed optional fields count as absent: they are labels
 * for people, and no decision rests on them. */
struct hbk_hbone_arrival {
    struct hbk_hbone_authority authority;
    struct hbk_hbone_baggage baggage;
    struct hbk_address source;     /* of size 0 when absent */
    struct hbk_slice service_host; /* empty when absent */
    struct hbk_slice network;      /* empty when absent */
    bool has_trace;
    struct hbk_hbone_trace trace;
};

/*
 * Reads a request's fields; slices borrow from them. HBK_HBONE_CONNECTED means understood;
 * HBK_HBONE_BAD_REQUEST is the answer otherwise, with a static text that says why, and nothing
 * written to *out_arrival.
 */
HBK_MUST_USE enum hbk_hbone_status hbk_hbone_read_request(const struct hbk_h2_fields *fields,
                                                          struct hbk_hbone_arrival *out_arrival,
                                                          const char **out_reason);
