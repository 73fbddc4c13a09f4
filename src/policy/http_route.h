/*
 * Which virtual host and which route a request takes (envoy.config.route.v3). Pure: a table is
 * built once from a route configuration and only read afterwards, by any number of threads.
 *
 * Virtual hosts are chosen by authority, in any case: the exact domain first, then the longest
 * "*suffix", then the longest "prefix*", then "*". Of a host's routes the first that matches is
 * taken.
 */
#pragma once

#include "base/map.h"
#include "model/gateway.h"
#include "wire/http2.h"

/* A request as matching sees it. Names of fields are in lower case. Borrowed during the call. */
struct hbk_http_route_request {
    struct hbk_slice method, scheme, authority, path; /* the path with its query */
    const struct hbk_h2_field *fields;
    size_t field_count;
    uint64_t random; /* for runtime_fraction and weighted clusters */
};

struct hbk_http_route_table;

/* Borrows from the configuration. NULL when out of memory. */
HBK_MUST_USE struct hbk_http_route_table *
hbk_http_route_table_new(const struct hbk_gw_route_configuration *configuration);
void hbk_http_route_table_free(struct hbk_http_route_table *table); /* NULL is allowed */

/* NULL when no domain matches. */
const struct hbk_gw_virtual_host *hbk_http_route_host(const struct hbk_http_route_table *table,
                                                      struct hbk_slice authority);
/* NULL when no route matches. */
const struct hbk_gw_route *hbk_http_route_find(const struct hbk_gw_virtual_host *host,
                                               const struct hbk_http_route_request *request);

/* The cluster of weight `random`; its entry carries header changes. */
const struct hbk_gw_cluster_weight *
hbk_http_route_weighted(const struct hbk_gw_weighted_clusters *clusters, uint64_t random);

/* Whether one header matcher is satisfied: also for access logs. */
bool hbk_http_route_match_header(const struct hbk_gw_header_matcher *matcher,
                                 const struct hbk_h2_field *fields, size_t count);
bool hbk_http_route_match_string(const struct hbk_gw_string_matcher *matcher,
                                 struct hbk_slice text);

/* The pseudo field or field of that name; false without one. */
bool hbk_http_route_header(const struct hbk_http_route_request *request, struct hbk_slice name,
                           struct hbk_slice *out_value);

/*
 * Writes the path that is sent on: with the matched part replaced by prefix_rewrite (the query
 * stays). Returns the bytes written; 0 when nothing is rewritten or `room` is too small.
 */
size_t hbk_http_route_rewrite(const struct hbk_gw_route *route, struct hbk_slice path,
                              struct hbk_slice prefix_rewrite, struct hbk_span room);
