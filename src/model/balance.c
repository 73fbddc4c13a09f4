/*
 * Endpoints that are chosen without walking them.
 *
 * Weights: an alias table (Walker 1977, in Vose's form) turns a weighted choice among n into one
 * look at a random place and one comparison.
 *
 * Nearness: endpoints are sorted by the values of the preferred scopes, most important scope first.
 * Those that share the client's first k values are then neighbours, and k binary searches find
 * them, for a client anywhere. Each level k has its own alias tables, one for each run of equal
 * values, laid end to end:
 *
 *      sorted by region, zone   eu/a  eu/a  eu/b | us/a  us/c
 *      level 0                  [------------ one ----------]
 *      level 1                  [----- eu ------] [--- us --]
 *      level 2                  [- a -----] [b]   [a ] [ c  ]
 *
 * The price is 8 bytes for each endpoint and level; the gain is that nothing is cached per client
 * and a table never grows while it is read. Rejected: a table for each locality that a client could
 * have, which costs localities times endpoints and has to be filled while workers read.
 *
 * The first scope NETWORK is special: endpoints on other networks are compared from the second
 * scope on. They have an order of their own, `far`, used only when the own network has nothing.
 *
 * An endpoint may be unable to serve a port, or out of a client's reach. That is seldom, so the
 * choice is drawn again a few times, which keeps the weights exact, and only then do we count.
 */
#include "model/balance.h"

#include <stdlib.h>

#include "base/assert.h"
#include "model/memory.h"
#include "model/service.h"

enum { DRAWS = 8 };

struct alias {
    uint32_t limit; /* below: this place; else `other` */
    uint32_t other; /* relative to the start of its run */
};

struct order {
    const struct hbk_routing_preference *scopes;
    uint32_t scope_count;
    uint32_t *sorted; /* indices of endpoints */
    struct alias *levels;
};

struct hbk_balance {
    uint32_t count;
    struct hbk_endpoint *endpoints;
    struct order near;
    struct order far; /* without levels unless the first scope is NETWORK */
};

/* Memory for building one alias table at a time. */
struct scratch {
    uint64_t *shares; /* weight times the number of places */
    uint32_t *work;   /* places with less than an even share from below, the others from above */
};

struct range {
    uint32_t start;
    uint32_t end;
};

static struct hbk_slice scope_text(const struct hbk_workload *workload, enum hbk_scope scope)
{
    switch (scope) {
    case HBK_SCOPE_REGION:
        return workload->locality.region;
    case HBK_SCOPE_ZONE:
        return workload->locality.zone;
    case HBK_SCOPE_SUBZONE:
        return workload->locality.subzone;
    case HBK_SCOPE_NODE:
        return workload->node;
    case HBK_SCOPE_CLUSTER:
        return workload->cluster_id;
    case HBK_SCOPE_NETWORK:
        return workload->network;
    }
    HBK_UNREACHABLE();
}

static const struct hbk_workload *workload_at(const struct hbk_balance *balance,
                                              const struct order *order, uint32_t place)
{
    return balance->endpoints[order->sorted[place]].workload;
}

/* --- building --- */

struct sort_context {
    const struct hbk_balance *balance;
    const struct order *order;
};

static int compare_places(const void *a, const void *b, void *context)
{
    const struct sort_context *sort = context;
    uint32_t first = *(const uint32_t *)a;
    uint32_t second = *(const uint32_t *)b;
    const struct hbk_workload *left = sort->balance->endpoints[first].workload;
    const struct hbk_workload *right = sort->balance->endpoints[second].workload;
    for (uint32_t i = 0; i < sort->order->scope_count; i++) {
        enum hbk_scope scope = sort->order->scopes[i].scope;
        int order = hbk_slice_compare(scope_text(left, scope), scope_text(right, scope));
        if (order != 0) {
            return order;
        }
    }
    return first < second ? -1 : first > second;
}

/* Gives the place at `small` what it has and fills it up to an even share from `large`. */
static void pair_places(struct alias *table, struct scratch *scratch, uint32_t small,
                        uint32_t large, uint64_t total)
{
    double part = (double)scratch->shares[small] / (double)total * 4294967296.0;
    table[small].limit = part >= 4294967295.0 ? UINT32_MAX : (uint32_t)part;
    table[small].other = large;
    scratch->shares[large] -= total - scratch->shares[small];
}

static void build_alias(const struct hbk_balance *balance, const struct order *order,
                        struct range run, struct alias *table, struct scratch *scratch)
{
    uint32_t count = run.end - run.start;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += workload_at(balance, order, run.start + i)->capacity;
    }
    uint32_t smalls = 0;
    uint32_t larges = 0;
    for (uint32_t i = 0; i < count; i++) {
        scratch->shares[i] = (uint64_t)workload_at(balance, order, run.start + i)->capacity * count;
        table[i] = (struct alias){.limit = UINT32_MAX, .other = i};
        if (scratch->shares[i] < total) {
            scratch->work[smalls++] = i;
        } else {
            scratch->work[count - ++larges] = i;
        }
    }
    while (smalls > 0 && larges > 0) {
        uint32_t small = scratch->work[--smalls];
        uint32_t large = scratch->work[count - larges];
        pair_places(table, scratch, small, large, total);
        if (scratch->shares[large] < total) {
            larges--;
            scratch->work[smalls++] = large;
        }
    }
}

/* Whether neighbours in the order have the same values of the first `level` scopes. */
static bool is_same_run(const struct hbk_balance *balance, const struct order *order,
                        uint32_t place, uint32_t level)
{
    const struct hbk_workload *left = workload_at(balance, order, place - 1);
    const struct hbk_workload *right = workload_at(balance, order, place);
    bool is_same = true;
    for (uint32_t i = 0; i < level && is_same; i++) {
        enum hbk_scope scope = order->scopes[i].scope;
        is_same = hbk_slice_equal(scope_text(left, scope), scope_text(right, scope));
    }
    return is_same;
}

static void build_level(const struct hbk_balance *balance, struct order *order, uint32_t level,
                        struct scratch *scratch)
{
    struct alias *table = order->levels + (size_t)level * balance->count;
    struct range run = {0, 0};
    for (uint32_t place = 1; place <= balance->count; place++) {
        if (place < balance->count && is_same_run(balance, order, place, level)) {
            continue;
        }
        run.end = place;
        build_alias(balance, order, run, table + run.start, scratch);
        run.start = place;
    }
}

static hbk_status build_order(const struct hbk_balance *balance, struct order *order,
                              struct scratch *scratch)
{
    size_t levels = order->scope_count + 1U;
    order->sorted = hbk_model_take(balance->count * sizeof *order->sorted);
    order->levels = hbk_model_take(levels * balance->count * sizeof *order->levels);
    if (order->sorted == NULL || order->levels == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < balance->count; i++) {
        order->sorted[i] = i;
    }
    if (order->scope_count > 0) {
        struct sort_context context = {.balance = balance, .order = order};
        qsort_r(order->sorted, balance->count, sizeof *order->sorted, compare_places, &context);
    }
    for (uint32_t level = 0; level < levels; level++) {
        build_level(balance, order, level, scratch);
    }
    return HBK_OK;
}

static hbk_status build_orders(struct hbk_balance *balance, const struct hbk_service *service)
{
    bool has_preferences = service->balance_mode == HBK_BALANCE_STRICT ||
                           service->balance_mode == HBK_BALANCE_FAILOVER;
    struct scratch scratch = {
        .shares = malloc((balance->count + 1U) * sizeof(uint64_t)),
        .work = malloc((balance->count + 1U) * sizeof(uint32_t)),
    };
    hbk_status status = scratch.shares == NULL || scratch.work == NULL ? HBK_NO_MEMORY : HBK_OK;
    if (has_preferences) {
        balance->near.scopes = service->routing_preferences;
        balance->near.scope_count = service->routing_preference_count;
    }
    if (status == HBK_OK) {
        status = build_order(balance, &balance->near, &scratch);
    }
    if (status == HBK_OK && balance->near.scope_count > 0 &&
        balance->near.scopes[0].scope == HBK_SCOPE_NETWORK) {
        balance->far.scopes = balance->near.scopes + 1;
        balance->far.scope_count = balance->near.scope_count - 1;
        status = build_order(balance, &balance->far, &scratch);
    }
    free(scratch.shares);
    free(scratch.work);
    return status;
}

hbk_status hbk_balance_new(const struct hbk_service *service, const struct hbk_endpoint *endpoints,
                           uint32_t count, struct hbk_balance **out_balance)
{
    struct hbk_balance *balance = hbk_model_take(sizeof *balance);
    if (balance == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = HBK_OK;
    if (count > 0) {
        balance->endpoints = hbk_model_take(count * sizeof *balance->endpoints);
        status = balance->endpoints == NULL ? HBK_NO_MEMORY : HBK_OK;
    }
    for (uint32_t i = 0; status == HBK_OK && i < count; i++) {
        balance->endpoints[i] = endpoints[i];
        (void)hbk_record_ref(&endpoints[i].workload->record);
        balance->count++;
    }
    if (status == HBK_OK && count > 0) {
        status = build_orders(balance, service);
    }
    if (status != HBK_OK) {
        hbk_balance_free(balance);
        return status;
    }
    *out_balance = balance;
    return HBK_OK;
}

/* The table holds its workloads, so it may let go of what it only reads. */
static void release_workload(const struct hbk_workload *workload)
{
    struct hbk_record *record = hbk_record_ref(&workload->record);
    hbk_record_unref(record);
    hbk_record_unref(record);
}

void hbk_balance_free(struct hbk_balance *balance)
{
    if (balance == NULL) {
        return;
    }
    for (uint32_t i = 0; i < balance->count; i++) {
        release_workload(balance->endpoints[i].workload);
    }
    hbk_model_give(balance->near.sorted);
    hbk_model_give(balance->near.levels);
    hbk_model_give(balance->far.sorted);
    hbk_model_give(balance->far.levels);
    hbk_model_give(balance->endpoints);
    hbk_model_give(balance);
}

/* --- choosing --- */

struct choice {
    const struct hbk_service *service;
    const struct hbk_balance *balance;
    const struct hbk_workload *client;
    uint16_t service_port;
    uint64_t random;
};

/* The endpoint's own map, then the service's, then an application tunnel that takes any port. */
static uint16_t target_port_of(const struct choice *choice, const struct hbk_endpoint *endpoint)
{
    const struct hbk_service *service = choice->service;
    uint16_t port =
        hbk_port_pairs_find(endpoint->ports, endpoint->port_count, choice->service_port);
    if (port == 0) {
        port = hbk_port_pairs_find(service->ports, service->port_count, choice->service_port);
    }
    bool has_tunnel = endpoint->workload->application_tunnel != HBK_APPLICATION_TUNNEL_NONE;
    return port == 0 && has_tunnel ? choice->service_port : port;
}

static bool is_reachable(const struct choice *choice, const struct hbk_workload *workload)
{
    return workload->ip_count > 0 || workload->hostname.size > 0 ||
           (workload->network_gateway != NULL &&
            !hbk_slice_equal(workload->network, choice->client->network));
}

static bool is_usable(const struct choice *choice, const struct hbk_endpoint *endpoint)
{
    return is_reachable(choice, endpoint->workload) && target_port_of(choice, endpoint) != 0;
}

/* The next 64 bits of a sequence that starts with the caller's (splitmix64, Steele et al. 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t bits = *state += UINT64_C(0x9e3779b97f4a7c15);
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

static const struct hbk_endpoint *draw(const struct choice *choice, const struct order *order,
                                       uint32_t level, struct range range, uint64_t random)
{
    const struct alias *table =
        order->levels + (size_t)level * choice->balance->count + range.start;
    uint32_t place = (uint32_t)(((random >> 32) * (range.end - range.start)) >> 32);
    if ((uint32_t)random >= table[place].limit) {
        place = table[place].other;
    }
    return &choice->balance->endpoints[order->sorted[range.start + place]];
}

/* The exact choice among the usable ones of a range; NULL when there are none. */
static const struct hbk_endpoint *count_and_choose(const struct choice *choice,
                                                   const struct order *order, struct range range,
                                                   uint64_t random)
{
    uint64_t total = 0;
    for (uint32_t i = range.start; i < range.end; i++) {
        const struct hbk_endpoint *endpoint = &choice->balance->endpoints[order->sorted[i]];
        total += is_usable(choice, endpoint) ? endpoint->workload->capacity : 0;
    }
    uint64_t left = total == 0 ? 0 : random % total;
    for (uint32_t i = range.start; total > 0 && i < range.end; i++) {
        const struct hbk_endpoint *endpoint = &choice->balance->endpoints[order->sorted[i]];
        if (!is_usable(choice, endpoint)) {
            continue;
        }
        if (left < endpoint->workload->capacity) {
            return endpoint;
        }
        left -= endpoint->workload->capacity;
    }
    return NULL;
}

static const struct hbk_endpoint *choose_in_range(const struct choice *choice,
                                                  const struct order *order, uint32_t level,
                                                  struct range range)
{
    uint64_t state = choice->random;
    for (int i = 0; i < DRAWS; i++) {
        const struct hbk_endpoint *endpoint =
            draw(choice, order, level, range, next_random(&state));
        if (is_usable(choice, endpoint)) {
            return endpoint;
        }
    }
    return count_and_choose(choice, order, range, next_random(&state));
}

/* The first place in `range` whose value of the scope is not below `text`, or above it. */
static uint32_t bound(const struct choice *choice, const struct order *order, struct range range,
                      enum hbk_scope scope, bool is_upper)
{
    struct hbk_slice text = scope_text(choice->client, scope);
    while (range.start < range.end) {
        uint32_t middle = range.start + (range.end - range.start) / 2;
        int compared =
            hbk_slice_compare(scope_text(workload_at(choice->balance, order, middle), scope), text);
        if (compared < 0 || (is_upper && compared == 0)) {
            range.start = middle + 1;
        } else {
            range.end = middle;
        }
    }
    return range.start;
}

/* Fills in the range of each level that is not empty; returns the deepest such level. */
static uint32_t narrow(const struct choice *choice, const struct order *order,
                       struct range ranges[static HBK_SERVICE_PREFERENCES_MAX + 1])
{
    ranges[0] = (struct range){0, choice->balance->count};
    for (uint32_t level = 0; level < order->scope_count; level++) {
        enum hbk_scope scope = order->scopes[level].scope;
        struct range below = {
            .start = bound(choice, order, ranges[level], scope, false),
            .end = bound(choice, order, ranges[level], scope, true),
        };
        if (below.start == below.end) {
            return level;
        }
        ranges[level + 1] = below;
    }
    return order->scope_count;
}

static const struct hbk_endpoint *choose_in_order(const struct choice *choice,
                                                  const struct order *order, uint32_t level_min)
{
    struct range ranges[HBK_SERVICE_PREFERENCES_MAX + 1];
    uint32_t deepest = narrow(choice, order, ranges);
    for (uint32_t level = deepest + 1; level-- > level_min;) {
        const struct hbk_endpoint *endpoint = choose_in_range(choice, order, level, ranges[level]);
        if (endpoint != NULL) {
            return endpoint;
        }
    }
    return NULL;
}

static const struct hbk_endpoint *choose_endpoint(const struct choice *choice)
{
    const struct hbk_balance *balance = choice->balance;
    if (choice->service->balance_mode == HBK_BALANCE_STRICT) {
        return choose_in_order(choice, &balance->near, balance->near.scope_count);
    }
    if (balance->far.levels == NULL) {
        return choose_in_order(choice, &balance->near, 0);
    }
    const struct hbk_endpoint *near = choose_in_order(choice, &balance->near, 1);
    return near != NULL ? near : choose_in_order(choice, &balance->far, 0);
}

enum hbk_balance_answer hbk_balance_choose(const struct hbk_service *service,
                                           const struct hbk_workload *client, uint16_t service_port,
                                           uint64_t random,
                                           const struct hbk_endpoint **out_endpoint,
                                           uint16_t *out_target_port)
{
    struct choice choice = {
        .service = service,
        .balance = service->balance,
        .client = client,
        .service_port = service_port,
        .random = random,
    };
    if (choice.balance->count == 0) {
        return HBK_BALANCE_NO_ENDPOINT;
    }
    const struct hbk_endpoint *endpoint = choose_endpoint(&choice);
    if (endpoint == NULL) {
        return HBK_BALANCE_NO_ENDPOINT;
    }
    *out_endpoint = endpoint;
    *out_target_port = target_port_of(&choice, endpoint);
    return HBK_BALANCE_FOUND;
}

uint32_t hbk_balance_endpoint_count(const struct hbk_balance *balance)
{
    return balance->count;
}

const struct hbk_endpoint *hbk_balance_endpoint(const struct hbk_balance *balance, uint32_t index)
{
    HBK_ASSERT(index < balance->count);
    return &balance->endpoints[index];
}
