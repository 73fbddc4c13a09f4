#include "cluster/member.h"

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

/* ---- figures ---- */

const struct hbk_gw_stat_name hbk_gw_host_stat_names[HBK_GW_E_STATS] = {
    [HBK_GW_E_CX_CONNECT_FAIL] = {"cx_connect_fail", 0},
    [HBK_GW_E_CX_TOTAL] = {"cx_total", 0},
    [HBK_GW_E_RQ_ERROR] = {"rq_error", 0},
    [HBK_GW_E_RQ_SUCCESS] = {"rq_success", 0},
    [HBK_GW_E_RQ_TIMEOUT] = {"rq_timeout", 0},
    [HBK_GW_E_RQ_TOTAL] = {"rq_total", 0},
    [HBK_GW_E_CX_ACTIVE] = {"cx_active", 1},
    [HBK_GW_E_RQ_ACTIVE] = {"rq_active", 1},
    [HBK_GW_E_RQ_PENDING_ACTIVE] = {"rq_pending_active", 1},
};

struct hbk_gw_figures *hbk_gw_figures_new(uint32_t row_count)
{
    const size_t size =
        sizeof(struct hbk_gw_figures) + row_count * sizeof(hbk_gw_counter[HBK_GW_E_ROOM]);
    struct hbk_gw_figures *figures = aligned_alloc(_Alignof(struct hbk_gw_figures), size);
    if (figures != NULL) {
        memset(figures, 0, size);
        atomic_init(&figures->references, 1);
        figures->row_count = row_count;
    }
    return figures;
}

struct hbk_gw_figures *hbk_gw_figures_ref(struct hbk_gw_figures *figures)
{
    if (figures != NULL) {
        atomic_fetch_add_explicit(&figures->references, 1, memory_order_relaxed);
    }
    return figures;
}

void hbk_gw_figures_unref(struct hbk_gw_figures *figures)
{
    if (figures != NULL &&
        atomic_fetch_sub_explicit(&figures->references, 1, memory_order_acq_rel) == 1) {
        free(figures);
    }
}

uint64_t hbk_gw_figures_sum(const struct hbk_gw_figures *figures, enum hbk_gw_host_stat stat)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < figures->row_count; i++) {
        sum += hbk_gw_read(&figures->rows[i][stat]);
    }
    return sum;
}

/* ---- sets ---- */

struct hbk_gw_members *hbk_gw_members_new(uint32_t room)
{
    struct hbk_gw_members *members = calloc(1, sizeof *members);
    if (members == NULL) {
        return NULL;
    }
    members->endpoints = calloc((size_t)room + 1, sizeof *members->endpoints);
    members->addresses = calloc((size_t)room + 1, sizeof *members->addresses);
    members->vitals = calloc((size_t)room + 1, sizeof(struct hbk_gw_vitals *));
    members->figures = calloc((size_t)room + 1, sizeof(struct hbk_gw_figures *));
    if (members->endpoints == NULL || members->addresses == NULL || members->vitals == NULL ||
        members->figures == NULL) {
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
        hbk_gw_figures_unref(members->figures[i]);
    }
    free((void *)members->endpoints);
    free(members->addresses);
    free(members->vitals);
    free(members->figures);
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

const struct hbk_gw_locality *hbk_gw_locality_of(const struct hbk_gw_cluster *config,
                                                 const struct hbk_gw_lb_endpoint *endpoint)
{
    static const struct hbk_gw_locality nowhere;
    const struct hbk_gw_load_assignment *assignment = config->load_assignment;
    for (uint32_t i = 0; assignment != NULL && i < assignment->endpoints_count; i++) {
        const struct hbk_gw_locality_endpoints *group = &assignment->endpoints[i];
        bool is_here =
            (uintptr_t)endpoint >= (uintptr_t)group->lb_endpoints &&
            (uintptr_t)endpoint < (uintptr_t)(group->lb_endpoints + group->lb_endpoints_count);
        if (is_here && group->locality != NULL) {
            return group->locality;
        }
    }
    return &nowhere;
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

/* Who was there goes on counting. */
static hbk_status give_figures(struct hbk_gw_members *next, const struct hbk_gw_members *old,
                               uint32_t workers)
{
    for (uint32_t i = 0; i < next->count; i++) {
        uint32_t at = old == NULL ? 0 : hbk_gw_members_find(old, &next->addresses[i]);
        next->figures[i] = old != NULL && at < old->count ? hbk_gw_figures_ref(old->figures[at])
                                                          : hbk_gw_figures_new(workers);
        if (next->figures[i] == NULL) {
            return HBK_NO_MEMORY;
        }
    }
    return HBK_OK;
}

hbk_status hbk_gw_members_succeed(const struct hbk_gw_cluster *config,
                                  const struct hbk_gw_members *old,
                                  const struct hbk_gw_members *fresh, uint32_t workers,
                                  struct hbk_gw_members **out_next)
{
    uint32_t room = fresh->count + (old == NULL ? 0 : old->count);
    room = room > HBK_GW_HOSTS_MAX ? HBK_GW_HOSTS_MAX : room;
    struct hbk_gw_members *next = hbk_gw_members_new(room);
    hbk_status status = next == NULL ? HBK_NO_MEMORY : HBK_OK;
    for (uint32_t i = 0; status == HBK_OK && i < fresh->count && next->count < room; i++) {
        status = take_fresh(next, config, old, fresh, i);
    }
    if (status == HBK_OK && old != NULL && config->health_checks_count > 0 &&
        !config->ignore_health_on_host_removal) {
        keep_healthy(next, old, room);
    }
    status = status == HBK_OK ? give_figures(next, old, workers) : status;
    if (status != HBK_OK) {
        hbk_gw_members_free(next);
        return status;
    }
    *out_next = next;
    return HBK_OK;
}
