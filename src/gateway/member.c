#include "gateway/member.h"

#include <stdlib.h>
#include <string.h>

struct hbk_gw_vitals *hbk_gw_vitals_new(uint32_t flags)
{
    struct hbk_gw_vitals *vitals = calloc(1, sizeof *vitals);
    if (vitals != NULL) {
        atomic_init(&vitals->references, 1);
        atomic_init(&vitals->flags, flags);
    }
    return vitals;
}

struct hbk_gw_vitals *hbk_gw_vitals_ref(struct hbk_gw_vitals *vitals)
{
    if (vitals != NULL) {
        atomic_fetch_add_explicit(&vitals->references, 1, memory_order_relaxed);
    }
    return vitals;
}

void hbk_gw_vitals_unref(struct hbk_gw_vitals *vitals)
{
    if (vitals != NULL &&
        atomic_fetch_sub_explicit(&vitals->references, 1, memory_order_acq_rel) == 1) {
        free(vitals);
    }
}

struct hbk_gw_members *hbk_gw_members_new(uint32_t room)
{
    struct hbk_gw_members *members = calloc(1, sizeof *members);
    if (members == NULL) {
        return NULL;
    }
    members->endpoints = calloc((size_t)room + 1, sizeof *members->endpoints);
    members->addresses = calloc((size_t)room + 1, sizeof *members->addresses);
    members->vitals = calloc((size_t)room + 1, sizeof(struct hbk_gw_vitals *));
    if (members->endpoints == NULL || members->addresses == NULL || members->vitals == NULL) {
        hbk_gw_members_free(members);
        return NULL;
    }
    return members;
}

void hbk_gw_members_free(struct hbk_gw_members *members)
{
    if (members == NULL) {
        return;
    }
    for (uint32_t i = 0; i < members->count; i++) {
        hbk_gw_vitals_unref(members->vitals[i]);
    }
    free((void *)members->endpoints);
    free(members->addresses);
    free(members->vitals);
    free(members);
}

void hbk_gw_members_add(struct hbk_gw_members *members, const struct hbk_gw_lb_endpoint *endpoint,
                        const struct hbk_address *address, struct hbk_gw_vitals *vitals)
{
    members->endpoints[members->count] = endpoint;
    members->addresses[members->count] = *address;
    members->vitals[members->count] = vitals;
    members->count++;
}

uint32_t hbk_gw_members_find(const struct hbk_gw_members *members,
                             const struct hbk_address *address)
{
    uint32_t i = 0;
    while (i < members->count && !hbk_address_equal(&members->addresses[i], address)) {
        i++;
    }
    return i;
}

bool hbk_gw_members_equal(const struct hbk_gw_members *a, const struct hbk_gw_members *b)
{
    for (uint32_t i = 0; a->count == b->count && i < a->count; i++) {
        if (!hbk_address_equal(&a->addresses[i], &b->addresses[i])) {
            return false;
        }
    }
    return a->count == b->count;
}

static uint32_t flags_of(const struct hbk_gw_members *members, uint32_t index)
{
    const struct hbk_gw_vitals *vitals = members->vitals[index];
    return vitals == NULL ? 0 : atomic_load_explicit(&vitals->flags, memory_order_relaxed);
}

static bool is_failed_by_configuration(const struct hbk_gw_members *members, uint32_t index)
{
    int health = members->endpoints[index]->health_status;
    return health >= 2 && health <= 4;
}

bool hbk_gw_member_is_healthy(const struct hbk_gw_members *members, uint32_t index)
{
    return !is_failed_by_configuration(members, index) &&
           (flags_of(members, index) & HBK_GW_FAILED_ACTIVE_HC) == 0;
}

uint32_t hbk_gw_members_healthy(const struct hbk_gw_members *members)
{
    uint32_t healthy = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        healthy += hbk_gw_member_is_healthy(members, i) ? 1 : 0;
    }
    return healthy;
}

const char *hbk_gw_member_flags_text(const struct hbk_gw_members *members, uint32_t index,
                                     char text[static HBK_GW_FLAGS_TEXT_BYTES_MAX])
{
    enum { BY_CONFIGURATION = 1 << 30 };
    static const struct {
        uint32_t flag;
        const char *word;
    } words[] = {
        {HBK_GW_FAILED_ACTIVE_HC, "/failed_active_hc"},
        {BY_CONFIGURATION, "/failed_eds_health"},
        {HBK_GW_PENDING_REMOVAL, "/pending_dynamic_removal"},
        {HBK_GW_ACTIVE_HC_TIMEOUT, "/active_hc_timeout"},
    };
    uint32_t flags = flags_of(members, index);
    flags |= is_failed_by_configuration(members, index) ? BY_CONFIGURATION : 0;
    size_t size = 0;
    for (size_t i = 0; i < HBK_COUNT(words); i++) {
        if ((flags & words[i].flag) != 0) {
            size_t length = strlen(words[i].word);
            memcpy(text + size, words[i].word, length + 1);
            size += length;
        }
    }
    return size == 0 ? "healthy" : text;
}

/* ---- the next set ---- */

static bool is_checked(const struct hbk_gw_cluster *config,
                       const struct hbk_gw_lb_endpoint *endpoint)
{
    const struct hbk_gw_endpoint_health_check *own = endpoint->endpoint->health_check_config;
    return config->health_checks_count > 0 && !(own != NULL && own->disable_active_health_check);
}

static hbk_status take_fresh(struct hbk_gw_members *out, const struct hbk_gw_cluster *config,
                             const struct hbk_gw_members *old, const struct hbk_gw_members *fresh,
                             uint32_t index)
{
    const struct hbk_gw_lb_endpoint *endpoint = fresh->endpoints[index];
    const struct hbk_address *address = &fresh->addresses[index];
    struct hbk_gw_vitals *vitals = NULL;
    if (hbk_gw_members_find(out, address) < out->count) {
        return HBK_OK; /* two names of one host */
    }
    if (is_checked(config, endpoint)) {
        uint32_t before = old == NULL ? 0 : hbk_gw_members_find(old, address);
        bool was_there = old != NULL && before < old->count && old->vitals[before] != NULL;
        vitals = was_there ? hbk_gw_vitals_ref(old->vitals[before])
                           : hbk_gw_vitals_new(HBK_GW_FAILED_ACTIVE_HC);
        if (vitals == NULL) {
            return HBK_NO_MEMORY;
        }
        (void)atomic_fetch_and_explicit(&vitals->flags, ~(uint32_t)HBK_GW_PENDING_REMOVAL,
                                        memory_order_relaxed);
    }
    hbk_gw_members_add(out, endpoint, address, vitals);
    return HBK_OK;
}

static void keep_healthy(struct hbk_gw_members *out, const struct hbk_gw_members *old,
                         uint32_t room)
{
    for (uint32_t i = 0; i < old->count && out->count < room; i++) {
        bool is_kept = old->vitals[i] != NULL && hbk_gw_member_is_healthy(old, i) &&
                       hbk_gw_members_find(out, &old->addresses[i]) == out->count;
        if (is_kept) {
            (void)atomic_fetch_or_explicit(&old->vitals[i]->flags, HBK_GW_PENDING_REMOVAL,
                                           memory_order_relaxed);
            hbk_gw_members_add(out, old->endpoints[i], &old->addresses[i],
                               hbk_gw_vitals_ref(old->vitals[i]));
        }
    }
}

hbk_status hbk_gw_members_succeed(const struct hbk_gw_cluster *config,
                                  const struct hbk_gw_members *old,
                                  const struct hbk_gw_members *fresh,
                                  struct hbk_gw_members **out_next)
{
    uint32_t room = fresh->count + (old == NULL ? 0 : old->count);
    room = room > HBK_GW_HOSTS_MAX ? HBK_GW_HOSTS_MAX : room;
    struct hbk_gw_members *next = hbk_gw_members_new(room);
    hbk_status status = next == NULL ? HBK_NO_MEMORY : HBK_OK;
    for (uint32_t i = 0; status == HBK_OK && i < fresh->count && next->count < room; i++) {
        status = take_fresh(next, config, old, fresh, i);
    }
    if (status != HBK_OK) {
        hbk_gw_members_free(next);
        return status;
    }
    if (old != NULL && config->health_checks_count > 0 && !config->ignore_health_on_host_removal) {
        keep_healthy(next, old, room);
    }
    *out_next = next;
    return HBK_OK;
}
