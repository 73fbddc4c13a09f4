/*
 * A group is one key's tunnels and waiters. It starts as many connections as its waiters fill, one
 * at least, so a burst of a thousand callers makes one tunnel and not a thousand.
 *
 * Invariants
 * 1. While a waiter waits in a group, a tunnel of that group is promising (it is being dialled, or
 *    its peer has not yet said how many streams it takes), or stands without room and will say when
 *    there is some. A waiter that passes over tunnels which stand already waits for a promising one
 *    alone.
 * 2. A group without tunnels and waiters does not exist.
 * 3. A connection that failed is not dialled again on its own: the next caller, or the next room,
 *    does so.
 */
#include "net/upstream.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "identity/spiffe.h"

struct hbk_upstream_group {
    struct hbk_upstream_key key;
    uint64_t hash;
    struct hbk_upstream *upstream;
    struct hbk_link in_all;  /* on upstream->all */
    struct hbk_list tunnels; /* through tunnel->link; open, dialling or closing */
    struct hbk_list waiting; /* through waiter->link, oldest first */
    unsigned promising;      /* tunnels with is_promising set */
    size_t waiting_count;
    uint64_t opened; /* tunnels so far; a tunnel's number is this when it opened */
};

static void on_open(struct hbk_tunnel *tunnel);
static void on_room(struct hbk_tunnel *tunnel);
static void on_closed(struct hbk_tunnel *tunnel);

static const struct hbk_tunnel_events client_events = {
    .on_open = on_open,
    .on_room = on_room,
    .on_closed = on_closed,
};

void hbk_upstream_init(struct hbk_upstream *upstream, struct hbk_net *net,
                       const struct hbk_upstream_config *config)
{
    *upstream = (struct hbk_upstream){.net = net, .config = *config};
    hbk_map_init(&upstream->groups);
    hbk_list_init(&upstream->all);
}

void hbk_upstream_fini(struct hbk_upstream *upstream)
{
    HBK_ASSERT(upstream->groups.count == 0);
    hbk_map_fini(&upstream->groups);
}

void hbk_waiter_init(struct hbk_waiter *waiter, const struct hbk_waiter_events *events)
{
    hbk_link_init(&waiter->link);
    waiter->group = NULL;
    waiter->events = events;
}

/* Groups ------------------------------------------------------------------------------------ */

static uint64_t hash_of(const struct hbk_upstream_key *key)
{
    uint64_t hash = hbk_address_hash(&key->destination);
    hash = hbk_hash_join(hash, hbk_ip_hash(&key->source));
    hash = hbk_hash_join(hash, (uintptr_t)key->pod);
    hash = hbk_hash_join(hash, (uintptr_t)key->identity);
    for (unsigned i = 0; i < key->accepted_count; i++) {
        hash = hbk_hash_join(hash, (uintptr_t)key->accepted[i]);
    }
    return hash;
}

static bool has_key(const void *object, const void *wanted)
{
    const struct hbk_upstream_key *a = &((const struct hbk_upstream_group *)object)->key;
    const struct hbk_upstream_key *b = wanted;
    bool is_equal = a->pod == b->pod && a->identity == b->identity &&
                    hbk_ip_equal(&a->source, &b->source) &&
                    hbk_address_equal(&a->destination, &b->destination) &&
                    a->accepted_count == b->accepted_count;
    for (unsigned i = 0; is_equal && i < a->accepted_count; i++) {
        is_equal = a->accepted[i] == b->accepted[i];
    }
    return is_equal;
}

static struct hbk_upstream_group *find_or_make(struct hbk_upstream *upstream,
                                               const struct hbk_upstream_key *key)
{
    uint64_t hash = hash_of(key);
    struct hbk_upstream_group *group = hbk_map_find(&upstream->groups, hash, has_key, key);
    if (group != NULL) {
        return group;
    }
    group = calloc(1, sizeof *group);
    if (group == NULL || hbk_map_add(&upstream->groups, hash, group) != HBK_OK) {
        free(group);
        return NULL;
    }
    group->key = *key; /* with a reference to each id */
    (void)hbk_spiffe_ref(key->identity);
    for (unsigned i = 0; i < key->accepted_count; i++) {
        (void)hbk_spiffe_ref(key->accepted[i]);
    }
    group->hash = hash;
    group->upstream = upstream;
    hbk_list_init(&group->tunnels);
    hbk_list_init(&group->waiting);
    hbk_list_append(&upstream->all, &group->in_all);
    return group;
}

static void drop_if_unused(struct hbk_upstream_group *group)
{
    if (hbk_list_is_empty(&group->tunnels) && group->waiting_count == 0) {
        (void)hbk_map_remove(&group->upstream->groups, group->hash, group);
        hbk_link_remove(&group->in_all);
        hbk_spiffe_unref(group->key.identity);
        for (unsigned i = 0; i < group->key.accepted_count; i++) {
            hbk_spiffe_unref(group->key.accepted[i]);
        }
        free(group);
    }
}

/* Waiters ----------------------------------------------------------------------------------- */

static void add_waiter(struct hbk_upstream_group *group, bool is_fresh_wanted,
                       struct hbk_waiter *waiter)
{
    waiter->group = group;
    waiter->passes_over = is_fresh_wanted ? group->opened : 0;
    hbk_list_append(&group->waiting, &waiter->link);
    group->waiting_count++;
    group->upstream->waiters++;
}

static void remove_waiter(struct hbk_waiter *waiter)
{
    struct hbk_upstream_group *group = waiter->group;
    hbk_link_remove(&waiter->link);
    waiter->group = NULL;
    group->waiting_count--;
    group->upstream->waiters--;
}

/* Fails those who pass over all tunnels that stand, whose last has this number; 0: there are none,
 * and everybody fails. */
static void fail_waiters(struct hbk_upstream_group *group, uint64_t newest,
                         const struct hbk_failure *failure)
{
    struct hbk_list failing;
    hbk_list_init(&failing);
    HBK_LIST_EACH (link, &group->waiting) {
        if (HBK_CONTAINER(link, struct hbk_waiter, link)->passes_over >= newest) {
            hbk_link_remove(link);
            hbk_list_append(&failing, link);
        }
    }
    while (!hbk_list_is_empty(&failing)) {
        struct hbk_waiter *waiter = HBK_CONTAINER(failing.head.next, struct hbk_waiter, link);
        remove_waiter(waiter);
        waiter->events->on_failed(waiter, failure);
    }
}

void hbk_upstream_cancel(struct hbk_upstream *upstream, struct hbk_waiter *waiter)
{
    (void)upstream;
    struct hbk_upstream_group *group = waiter->group;
    if (group != NULL) {
        remove_waiter(waiter);
        drop_if_unused(group);
    }
}

/* Tunnels ----------------------------------------------------------------------------------- */

/* The number of the last tunnel that stands and takes new streams, though it may be full now; 0:
 * there is none. */
static uint64_t newest_standing(const struct hbk_upstream_group *group)
{
    uint64_t newest = 0;
    HBK_LIST_EACH (link, &group->tunnels) {
        const struct hbk_tunnel *tunnel = HBK_CONTAINER(link, struct hbk_tunnel, link);
        if (tunnel->state == HBK_TUNNEL_OPEN && !tunnel->is_draining && tunnel->number > newest) {
            newest = tunnel->number;
        }
    }
    return newest;
}

/* A connection could not be had. While another is under way everybody waits on. */
static void dial_failed(struct hbk_upstream_group *group, const struct hbk_failure *failure)
{
    if (group->promising == 0) {
        fail_waiters(group, newest_standing(group), failure);
    }
}

static void dial(struct hbk_upstream_group *group)
{
    struct hbk_upstream *upstream = group->upstream;
    struct hbk_failure failure = {.kind = HBK_FAILURE_NONE};
    int fd = -1;
    struct hbk_tls_session *tls = NULL;
    struct hbk_tunnel *tunnel = NULL;
    hbk_status status =
        upstream->config.dial(upstream->config.context, &group->key, &fd, &tls, &failure);
    if (status == HBK_OK) {
        status = hbk_tunnel_start(upstream->net, false, fd, tls, &client_events, group, &tunnel);
        if (status != HBK_OK) {
            hbk_failure_set(&failure, HBK_FAILURE_LIMIT, status, 0,
                            "connection failed: no room for another tunnel");
        }
    }
    if (status == HBK_OK) {
        tunnel->is_promising = true;
        group->promising++;
        hbk_list_append(&group->tunnels, &tunnel->link);
    } else {
        dial_failed(group, &failure);
    }
    hbk_failure_clear(&failure);
}

/* Keeps invariant 1: enough connections under way for those who wait. */
static void dial_for_waiters(struct hbk_upstream_group *group)
{
    size_t per_tunnel = group->upstream->net->config.streams_max;
    if (group->waiting_count > group->promising * per_tunnel) {
        dial(group);
    }
}

static struct hbk_tunnel *find_room(struct hbk_upstream_group *group)
{
    HBK_LIST_EACH (link, &group->tunnels) {
        struct hbk_tunnel *tunnel = HBK_CONTAINER(link, struct hbk_tunnel, link);
        if (hbk_tunnel_can_open(tunnel)) {
            return tunnel;
        }
    }
    return NULL;
}

/* The oldest waiter that takes this tunnel; NULL: there is none. */
static struct hbk_waiter *next_waiter(const struct hbk_tunnel *tunnel)
{
    const struct hbk_upstream_group *group = tunnel->owner;
    HBK_LIST_EACH (link, &group->waiting) {
        struct hbk_waiter *waiter = HBK_CONTAINER(link, struct hbk_waiter, link);
        if (waiter->passes_over < tunnel->number) {
            return waiter;
        }
    }
    return NULL;
}

static void serve_waiters(struct hbk_tunnel *tunnel, bool is_fresh)
{
    struct hbk_upstream_group *group = tunnel->owner;
    struct hbk_waiter *waiter = NULL;
    while (hbk_tunnel_can_open(tunnel) && (waiter = next_waiter(tunnel)) != NULL) {
        remove_waiter(waiter);
        waiter->events->on_tunnel(waiter, tunnel, is_fresh);
    }
    dial_for_waiters(group);
}

static void on_open(struct hbk_tunnel *tunnel)
{
    struct hbk_upstream_group *group = tunnel->owner;
    const struct hbk_upstream_config *config = &group->upstream->config;
    tunnel->number = ++group->opened;
    if (config->on_open != NULL) {
        config->on_open(config->context, &group->key, tunnel);
    }
    serve_waiters(tunnel, true);
}

static void promise_no_more(struct hbk_tunnel *tunnel)
{
    struct hbk_upstream_group *group = tunnel->owner;
    group->promising -= tunnel->is_promising;
    tunnel->is_promising = false;
}

static void on_room(struct hbk_tunnel *tunnel)
{
    struct hbk_upstream_group *group = tunnel->owner;
    if (tunnel->h2.is_settled) {
        promise_no_more(tunnel);
    }
    if (!hbk_list_is_empty(&group->waiting)) {
        serve_waiters(tunnel, false);
    }
}

static void on_closed(struct hbk_tunnel *tunnel)
{
    struct hbk_upstream_group *group = tunnel->owner;
    hbk_link_remove(&tunnel->link);
    bool was_dialling = !tunnel->has_opened;
    promise_no_more(tunnel);
    if (was_dialling) {
        dial_failed(group, &tunnel->failure);
    } else if (!hbk_list_is_empty(&group->waiting)) {
        dial_for_waiters(group);
    }
    drop_if_unused(group);
}

void hbk_upstream_acquire(struct hbk_upstream *upstream, const struct hbk_upstream_key *key,
                          bool is_fresh_wanted, struct hbk_waiter *waiter)
{
    struct hbk_failure failure = {.kind = HBK_FAILURE_NONE};
    struct hbk_upstream_group *group = find_or_make(upstream, key);
    if (group == NULL || upstream->waiters >= HBK_UPSTREAM_WAITERS_MAX) {
        hbk_failure_set(&failure, HBK_FAILURE_LIMIT, HBK_LIMIT, 0,
                        "connection failed: too many wait for tunnels");
        if (group != NULL) {
            drop_if_unused(group);
        }
        waiter->events->on_failed(waiter, &failure);
        hbk_failure_clear(&failure);
        return;
    }
    struct hbk_tunnel *tunnel = is_fresh_wanted ? NULL : find_room(group);
    if (tunnel != NULL) {
        waiter->events->on_tunnel(waiter, tunnel, false);
        return;
    }
    add_waiter(group, is_fresh_wanted, waiter);
    dial_for_waiters(group);
    drop_if_unused(group);
}

void hbk_upstream_each(struct hbk_upstream *upstream,
                       void (*visit)(void *context, const struct hbk_upstream_key *key,
                                     struct hbk_tunnel *tunnel),
                       void *context)
{
    HBK_LIST_EACH (group_link, &upstream->all) {
        struct hbk_upstream_group *group =
            HBK_CONTAINER(group_link, struct hbk_upstream_group, in_all);
        HBK_LIST_EACH (link, &group->tunnels) {
            visit(context, &group->key, HBK_CONTAINER(link, struct hbk_tunnel, link));
        }
    }
}
