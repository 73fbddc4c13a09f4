/*
 * The tables that describe Envoy's messages, shared between the files that write them. Private to
 * this room. Names, numbers and rules are those of envoyproxy/data-plane-api; each file says which
 * packages it covers. A table's order is that of the documentation that is printed from it.
 */
#pragma once

#include "config/proto.h"
#include "model/gateway.h"

/* Short names for table entries. T is the struct and stands before each table. */
#define F_BOOL(m, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_BOOL, __VA_ARGS__)
#define F_U32(m, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_U32, __VA_ARGS__)
#define F_I64(m, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_I64, __VA_ARGS__)
#define F_TEXT(m, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_STRING, __VA_ARGS__)
#define F_TIME(m, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_DURATION, __VA_ARGS__)
#define F_ENUM(m, t, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_ENUM, .type = &(t), ##__VA_ARGS__)
#define F_MSG(m, t, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_MESSAGE, .type = &(t), ##__VA_ARGS__)
#define F_ANY(m, t, ...) HBK_PROTO_FIELD(T, m, HBK_PROTO_ANY, .type = &(t), ##__VA_ARGS__)
#define F_MSGS(m, t, ...) HBK_PROTO_LIST(T, m, HBK_PROTO_MESSAGE, .type = &(t), ##__VA_ARGS__)
#define F_TEXTS(m, ...) HBK_PROTO_LIST(T, m, HBK_PROTO_STRING, __VA_ARGS__)
#define F_U32S(m, ...) HBK_PROTO_LIST(T, m, HBK_PROTO_U32, __VA_ARGS__)
/* One of several: the selector's member, its value, the number of the group. */
#define F_ONE_TEXT(m, s, v, g, ...) HBK_PROTO_ONE(T, m, HBK_PROTO_STRING, s, v, g, __VA_ARGS__)
#define F_ONE_BOOL(m, s, v, g, ...) HBK_PROTO_ONE(T, m, HBK_PROTO_BOOL, s, v, g, __VA_ARGS__)
#define F_ONE_U32(m, s, v, g, ...) HBK_PROTO_ONE(T, m, HBK_PROTO_U32, s, v, g, __VA_ARGS__)
#define F_ONE_MSG(m, t, s, v, g, ...) \
    HBK_PROTO_ONE(T, m, HBK_PROTO_MESSAGE, s, v, g, .type = &(t), ##__VA_ARGS__)
#define F_LATER(name) HBK_PROTO_NOT_YET(name)
#define F_GUARD(name) HBK_PROTO_NOT_YET_GUARD(name)
#define F_NOTHING(name, why) HBK_PROTO_NO_EFFECT(name, why)

#define MESSAGE(the_name, table) \
    .name = (the_name), .size = sizeof(T), .fields = (table), .field_count = HBK_COUNT(table)

/* What check functions find in reader->context. */
struct hbk_envoy_context {
    bool is_offline; /* files beside the configuration are not read */
};

#define HBK_ENVOY_YEAR_NS ((int64_t)366 * 24 * 3600 * 1000000000)

/* envoy_core.c */
extern const struct hbk_proto_message hbk_envoy_data_source, hbk_envoy_watched_directory,
    hbk_envoy_socket_address, hbk_envoy_address, hbk_envoy_header_value_option,
    hbk_envoy_string_matcher, hbk_envoy_header_matcher, hbk_envoy_cidr_range, hbk_envoy_int64_range,
    hbk_envoy_runtime_fraction, hbk_envoy_runtime_u32, hbk_envoy_config_source, hbk_envoy_node,
    hbk_envoy_http_options, hbk_envoy_http1_options, hbk_envoy_http2_options, hbk_envoy_empty;
/* Reads a data source that is needed as a whole at start: a body, a format. The result lies in the
 * arena. Problems are reported. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_envoy_read_data(struct hbk_proto_reader *reader,
                                            const struct hbk_node *node,
                                            const struct hbk_gw_data_source *source,
                                            size_t bytes_max, struct hbk_slice *out_bytes);

/* envoy_access_log.c */
extern const struct hbk_proto_message hbk_envoy_access_log;

/* envoy_tls.c */
extern const struct hbk_proto_message hbk_envoy_downstream_tls, hbk_envoy_upstream_tls,
    hbk_envoy_secret;
extern const struct hbk_proto_any_types hbk_envoy_downstream_sockets, hbk_envoy_upstream_sockets;

/* envoy_route.c */
extern const struct hbk_proto_message hbk_envoy_route_configuration;

/* envoy_http.c */
extern const struct hbk_proto_message hbk_envoy_http_connection_manager,
    hbk_envoy_http_protocol_options;

/* envoy_listener.c */
extern const struct hbk_proto_message hbk_envoy_listener, hbk_envoy_downstream_socket;

/* envoy_dns.c */
extern const struct hbk_proto_message hbk_envoy_refresh_rate, hbk_envoy_dns_resolver;
extern const struct hbk_proto_message hbk_envoy_locality;

/* envoy_health.c */
extern const struct hbk_proto_message hbk_envoy_health_check;

/* envoy_cluster.c */
extern const struct hbk_proto_message hbk_envoy_cluster;
