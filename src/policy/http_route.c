#include "policy/http_route.h"

#include <stdlib.h>

#include "base/hash.h"

enum { DOMAIN_BYTES_MAX = 255 };

/* A domain with a wildcard, or an exact one in the map. */
struct domain {
    struct hbk_slice name; /* without the star; exact ones in lower case */
    const struct hbk_gw_virtual_host *host;
    uint8_t lower[DOMAIN_BYTES_MAX]; /* exact: what `name` borrows */
};

struct hbk_http_route_table {
    struct hbk_map exact;     /* of struct domain */
    struct domain *domains;   /* owned */
    struct domain **suffixes; /* owned arrays, longest first, as the next */
    struct domain **prefixes;
    size_t suffix_count, prefix_count;
    const struct hbk_gw_virtual_host *any;
    bool ignores_port;
};

static bool has_name(const void *object, const void *key)
{
    const struct domain *domain = object;
    return hbk_slice_equal(domain->name, *(const struct hbk_slice *)key);
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static bool ends_nocase(struct hbk_slice text, struct hbk_slice end)
{
    return text.size > end.size &&
           hbk_slice_equal_nocase(hbk_slice_part(text, text.size - end.size, end.size), end);
}

static bool starts_nocase(struct hbk_slice text, struct hbk_slice start)
{
    return text.size > start.size &&
           hbk_slice_equal_nocase(hbk_slice_part(text, 0, start.size), start);
}

static int longest_first(const void *a, const void *b)
{
    size_t first = (*(struct domain *const *)a)->name.size;
    size_t second = (*(struct domain *const *)b)->name.size;
    return (first < second) - (first > second);
}

static hbk_status add_domain(struct hbk_http_route_table *table, struct domain *domain,
                             struct hbk_slice name, const struct hbk_gw_virtual_host *host)
{
    domain->host = host;
    if (hbk_slice_equal(name, HBK_SLICE("*"))) {
        table->any = table->any == NULL ? host : table->any;
        return HBK_OK;
    }
    if (name.bytes[0] == '*') {
        domain->name = hbk_slice_part(name, 1, name.size);
        table->suffixes[table->suffix_count++] = domain;
        return HBK_OK;
    }
    if (name.bytes[name.size - 1] == '*') {
        domain->name = hbk_slice_part(name, 0, name.size - 1);
        table->prefixes[table->prefix_count++] = domain;
        return HBK_OK;
    }
    if (name.size > DOMAIN_BYTES_MAX) {
        return HBK_OK; /* no authority is as long */
    }
    for (size_t i = 0; i < name.size; i++) {
        domain->lower[i] = lower(name.bytes[i]);
    }
    domain->name = hbk_slice_of(domain->lower, name.size);
    return hbk_map_add(&table->exact, hbk_hash(domain->name), domain);
}

static hbk_status fill(struct hbk_http_route_table *table,
                       const struct hbk_gw_route_configuration *configuration, size_t count)
{
    size_t used = 0;
    table->domains = calloc(count + 1, sizeof *table->domains);
    table->suffixes = calloc(count + 1, sizeof(struct domain *));
    table->prefixes = calloc(count + 1, sizeof(struct domain *));
    if (table->domains == NULL || table->suffixes == NULL || table->prefixes == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < configuration->virtual_hosts_count; i++) {
        const struct hbk_gw_virtual_host *host = &configuration->virtual_hosts[i];
        for (uint32_t k = 0; k < host->domains_count; k++) {
            HBK_TRY(add_domain(table, &table->domains[used++], host->domains[k], host));
        }
    }
    qsort(table->suffixes, table->suffix_count, sizeof(struct domain *), longest_first);
    qsort(table->prefixes, table->prefix_count, sizeof(struct domain *), longest_first);
    return HBK_OK;
}

struct hbk_http_route_table *
hbk_http_route_table_new(const struct hbk_gw_route_configuration *configuration)
{
    struct hbk_http_route_table *table = calloc(1, sizeof *table);
    size_t count = 0;
    if (table == NULL) {
        return NULL;
    }
    hbk_map_init(&table->exact);
    table->ignores_port = configuration->ignore_port_in_host_matching;
    for (uint32_t i = 0; i < configuration->virtual_hosts_count; i++) {
        count += configuration->virtual_hosts[i].domains_count;
    }
    if (fill(table, configuration, count) != HBK_OK) {
        hbk_http_route_table_free(table);
        return NULL;
    }
    return table;
}

void hbk_http_route_table_free(struct hbk_http_route_table *table)
{
    if (table != NULL) {
        hbk_map_fini(&table->exact);
        free(table->domains);
        free(table->suffixes);
        free(table->prefixes);
        free(table);
    }
}

static struct hbk_slice without_port(struct hbk_slice authority)
{
    for (size_t i = authority.size; i > 0; i--) {
        uint8_t byte = authority.bytes[i - 1];
        if (byte == ':') {
            return hbk_slice_part(authority, 0, i - 1);
        }
        if (byte < '0' || byte > '9') {
            break;
        }
    }
    return authority;
}

const struct hbk_gw_virtual_host *hbk_http_route_host(const struct hbk_http_route_table *table,
                                                      struct hbk_slice authority)
{
    if (table->ignores_port) {
        authority = without_port(authority);
    }
    if (table->exact.count > 0 && authority.size <= DOMAIN_BYTES_MAX) {
        uint8_t text[DOMAIN_BYTES_MAX];
        for (size_t i = 0; i < authority.size; i++) {
            text[i] = lower(authority.bytes[i]);
        }
        struct hbk_slice name = hbk_slice_of(text, authority.size);
        const struct domain *domain = hbk_map_find(&table->exact, hbk_hash(name), has_name, &name);
        if (domain != NULL) {
            return domain->host;
        }
    }
    for (size_t i = 0; i < table->suffix_count; i++) {
        if (ends_nocase(authority, table->suffixes[i]->name)) {
            return table->suffixes[i]->host;
        }
    }
    for (size_t i = 0; i < table->prefix_count; i++) {
        if (starts_nocase(authority, table->prefixes[i]->name)) {
            return table->prefixes[i]->host;
        }
    }
    return table->any;
}

/* ---- conditions ---- */

static bool is_equal(struct hbk_slice a, struct hbk_slice b, bool ignores_case)
{
    return ignores_case ? hbk_slice_equal_nocase(a, b) : hbk_slice_equal(a, b);
}

static bool has_inside(struct hbk_slice text, struct hbk_slice part, bool ignores_case)
{
    for (size_t i = 0; i + part.size <= text.size; i++) {
        if (is_equal(hbk_slice_part(text, i, part.size), part, ignores_case)) {
            return true;
        }
    }
    return false;
}

bool hbk_http_route_match_string(const struct hbk_gw_string_matcher *matcher, struct hbk_slice text)
{
    bool ignores_case = matcher->ignore_case;
    switch ((enum hbk_gw_string_match)matcher->match_pattern) {
    case HBK_GW_STRING_NONE:
        return false;
    case HBK_GW_STRING_EXACT:
        return is_equal(text, matcher->exact, ignores_case);
    case HBK_GW_STRING_PREFIX:
        return text.size >= matcher->prefix.size &&
               is_equal(hbk_slice_part(text, 0, matcher->prefix.size), matcher->prefix,
                        ignores_case);
    case HBK_GW_STRING_SUFFIX:
        return text.size >= matcher->suffix.size &&
               is_equal(hbk_slice_part(text, text.size - matcher->suffix.size, text.size),
                        matcher->suffix, ignores_case);
    case HBK_GW_STRING_CONTAINS:
        return has_inside(text, matcher->contains, ignores_case);
    }
    return false;
}

static bool find_field(const struct hbk_h2_field *fields, size_t count, struct hbk_slice name,
                       struct hbk_slice *out_value)
{
    for (size_t i = 0; i < count; i++) {
        if (hbk_slice_equal_nocase(fields[i].name, name)) {
            *out_value = fields[i].value;
            return true;
        }
    }
    return false;
}

static bool is_in_range(const struct hbk_gw_int64_range *range, struct hbk_slice text)
{
    uint64_t number = 0;
    bool is_negative = text.size > 0 && text.bytes[0] == '-';
    if (!hbk_slice_to_u64(hbk_slice_part(text, is_negative, text.size), INT64_MAX, &number)) {
        return false;
    }
    int64_t value = is_negative ? -(int64_t)number : (int64_t)number;
    return value >= range->start && value < range->end;
}

static bool match_value(const struct hbk_gw_header_matcher *matcher, struct hbk_slice value)
{
    struct hbk_gw_string_matcher text = {0};
    switch ((enum hbk_gw_header_match)matcher->specifier) {
    case HBK_GW_HEADER_PRESENT_IMPLIED:
    case HBK_GW_HEADER_PRESENT:
        return matcher->present_match;
    case HBK_GW_HEADER_EXACT:
        return hbk_slice_equal(value, matcher->exact_match);
    case HBK_GW_HEADER_PREFIX:
        text = (struct hbk_gw_string_matcher){.prefix = matcher->prefix_match,
                                              .match_pattern = HBK_GW_STRING_PREFIX};
        return hbk_http_route_match_string(&text, value);
    case HBK_GW_HEADER_SUFFIX:
        text = (struct hbk_gw_string_matcher){.suffix = matcher->suffix_match,
                                              .match_pattern = HBK_GW_STRING_SUFFIX};
        return hbk_http_route_match_string(&text, value);
    case HBK_GW_HEADER_CONTAINS:
        text = (struct hbk_gw_string_matcher){.contains = matcher->contains_match,
                                              .match_pattern = HBK_GW_STRING_CONTAINS};
        return hbk_http_route_match_string(&text, value);
    case HBK_GW_HEADER_RANGE:
        return is_in_range(matcher->range_match, value);
    case HBK_GW_HEADER_STRING:
        return hbk_http_route_match_string(matcher->string_match, value);
    }
    return false;
}

/* A header that is not there satisfies nothing but its own absence, unless it counts as empty. */
static bool match_found(const struct hbk_gw_header_matcher *matcher, bool is_found,
                        struct hbk_slice value)
{
    bool asks_presence = matcher->specifier == HBK_GW_HEADER_PRESENT ||
                         matcher->specifier == HBK_GW_HEADER_PRESENT_IMPLIED;
    if (!is_found && asks_presence) {
        return matcher->present_match == matcher->invert_match;
    }
    if (!is_found && !matcher->treat_missing_header_as_empty) {
        return matcher->invert_match;
    }
    return match_value(matcher, value) != matcher->invert_match;
}

bool hbk_http_route_match_header(const struct hbk_gw_header_matcher *matcher,
                                 const struct hbk_h2_field *fields, size_t count)
{
    struct hbk_slice value = hbk_slice_of("", 0);
    bool is_found = find_field(fields, count, matcher->name, &value);
    return match_found(matcher, is_found, value);
}

bool hbk_http_route_header(const struct hbk_http_route_request *request, struct hbk_slice name,
                           struct hbk_slice *out_value)
{
    struct hbk_slice value = hbk_slice_of(NULL, 0);
    if (name.size > 0 && name.bytes[0] == ':') {
        value = hbk_slice_equal_nocase(name, HBK_SLICE(":method"))      ? request->method
                : hbk_slice_equal_nocase(name, HBK_SLICE(":path"))      ? request->path
                : hbk_slice_equal_nocase(name, HBK_SLICE(":authority")) ? request->authority
                : hbk_slice_equal_nocase(name, HBK_SLICE(":scheme"))    ? request->scheme
                                                                        : value;
    } else if (hbk_slice_equal_nocase(name, HBK_SLICE("host"))) {
        value = request->authority;
    } else {
        return find_field(request->fields, request->field_count, name, out_value);
    }
    if (value.bytes == NULL) {
        return false;
    }
    *out_value = value;
    return true;
}

/* The value of a query parameter, as sent; an empty one without '='. */
static bool find_parameter(struct hbk_slice query, struct hbk_slice name,
                           struct hbk_slice *out_value)
{
    while (query.size > 0) {
        size_t end = query.size, equal = 0;
        (void)hbk_slice_find(query, '&', &end);
        struct hbk_slice pair = hbk_slice_part(query, 0, end);
        query = hbk_slice_part(query, end + 1, query.size);
        equal = pair.size;
        (void)hbk_slice_find(pair, '=', &equal);
        if (hbk_slice_equal(hbk_slice_part(pair, 0, equal), name)) {
            *out_value = hbk_slice_part(pair, equal + 1, pair.size);
            return true;
        }
    }
    return false;
}

static bool match_parameter(const struct hbk_gw_query_matcher *matcher, struct hbk_slice query)
{
    struct hbk_slice value = hbk_slice_of("", 0);
    bool is_found = find_parameter(query, matcher->name, &value);
    switch (matcher->specifier) {
    case 1:
        return is_found && hbk_http_route_match_string(matcher->string_match, value);
    case 2:
        return is_found == matcher->present_match;
    default:
        return is_found;
    }
}

static struct hbk_slice path_part(struct hbk_slice path, struct hbk_slice *out_query)
{
    size_t end = path.size, fragment = path.size;
    (void)hbk_slice_find(path, '#', &fragment);
    path = hbk_slice_part(path, 0, fragment);
    end = path.size;
    (void)hbk_slice_find(path, '?', &end);
    *out_query = hbk_slice_part(path, end + 1, path.size);
    return hbk_slice_part(path, 0, end);
}

/* A prefix looks at the query too, as in Envoy; an exact path does not. */
static bool match_path(const struct hbk_gw_route_match *match, struct hbk_slice whole,
                       struct hbk_slice path)
{
    bool ignores_case = !match->case_sensitive;
    struct hbk_slice prefix = match->path_separated_prefix;
    switch ((enum hbk_gw_path_match)match->path_specifier) {
    case HBK_GW_PATH_NONE:
        return false;
    case HBK_GW_PATH_PREFIX:
        return whole.size >= match->prefix.size &&
               is_equal(hbk_slice_part(whole, 0, match->prefix.size), match->prefix, ignores_case);
    case HBK_GW_PATH_EXACT:
        return is_equal(path, match->path, ignores_case);
    case HBK_GW_PATH_SEPARATED_PREFIX:
        return path.size >= prefix.size &&
               is_equal(hbk_slice_part(path, 0, prefix.size), prefix, ignores_case) &&
               (path.size == prefix.size || path.bytes[prefix.size] == '/');
    }
    return false;
}

static bool match_fraction(const struct hbk_gw_runtime_fraction *fraction, uint64_t random)
{
    static const uint64_t denominators[] = {100, 10000, 1000000};
    return fraction == NULL || random % denominators[fraction->default_value->denominator % 3] <
                                   fraction->default_value->numerator;
}

static bool match_route(const struct hbk_gw_route *route,
                        const struct hbk_http_route_request *request, struct hbk_slice path,
                        struct hbk_slice query)
{
    const struct hbk_gw_route_match *match = route->match;
    if (!match_path(match, request->path, path) ||
        !match_fraction(match->runtime_fraction, request->random)) {
        return false;
    }
    for (uint32_t i = 0; i < match->headers_count; i++) {
        struct hbk_slice value = hbk_slice_of("", 0);
        bool is_found = hbk_http_route_header(request, match->headers[i].name, &value);
        if (!match_found(&match->headers[i], is_found, value)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < match->query_parameters_count; i++) {
        if (!match_parameter(&match->query_parameters[i], query)) {
            return false;
        }
    }
    return true;
}

const struct hbk_gw_route *hbk_http_route_find(const struct hbk_gw_virtual_host *host,
                                               const struct hbk_http_route_request *request)
{
    struct hbk_slice query;
    struct hbk_slice path = path_part(request->path, &query);
    for (uint32_t i = 0; i < host->routes_count; i++) {
        if (match_route(&host->routes[i], request, path, query)) {
            return &host->routes[i];
        }
    }
    return NULL;
}

const struct hbk_gw_cluster_weight *
hbk_http_route_weighted(const struct hbk_gw_weighted_clusters *clusters, uint64_t random)
{
    uint64_t left = random % clusters->total;
    for (uint32_t i = 0; i < clusters->clusters_count; i++) {
        if (left < clusters->clusters[i].weight) {
            return &clusters->clusters[i];
        }
        left -= clusters->clusters[i].weight;
    }
    return &clusters->clusters[0];
}

size_t hbk_http_route_rewrite(const struct hbk_gw_route *route, struct hbk_slice path,
                              struct hbk_slice prefix_rewrite, struct hbk_span room)
{
    const struct hbk_gw_route_match *match = route->match;
    size_t matched = match->path_specifier == HBK_GW_PATH_PREFIX ? match->prefix.size
                     : match->path_specifier == HBK_GW_PATH_EXACT
                         ? match->path.size
                         : match->path_separated_prefix.size;
    if (prefix_rewrite.size == 0 || matched > path.size ||
        prefix_rewrite.size + path.size - matched > room.size) {
        return 0;
    }
    memcpy(room.bytes, prefix_rewrite.bytes, prefix_rewrite.size);
    memcpy(room.bytes + prefix_rewrite.size, path.bytes + matched, path.size - matched);
    return prefix_rewrite.size + path.size - matched;
}
