#include "telemetry/traffic.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"

static const char *const reporter_texts[HBK_REPORTER_COUNT] = {
    [HBK_REPORTER_SOURCE] = "source",
    [HBK_REPORTER_DESTINATION] = "destination",
};

static const char *const flag_texts[HBK_RESPONSE_COUNT] = {
    [HBK_RESPONSE_OK] = "-",
    [HBK_RESPONSE_DENY] = "DENY",
    [HBK_RESPONSE_CONNECT] = "CONNECT",
    [HBK_RESPONSE_TLS_FAILURE] = "TLS_FAILURE",
    [HBK_RESPONSE_H2_HANDSHAKE_FAILURE] = "H2_HANDSHAKE_FAILURE",
    [HBK_RESPONSE_NETWORK_POLICY] = "NETWORK_POLICY",
    [HBK_RESPONSE_IDENTITY_ERROR] = "IDENTITY_ERROR",
    [HBK_RESPONSE_CERT_REVOKED] = "CERT_REVOKED",
};

const char *hbk_reporter_text(enum hbk_reporter reporter)
{
    HBK_ASSERT(reporter < HBK_REPORTER_COUNT);
    return reporter_texts[reporter];
}

const char *hbk_response_flag_text(enum hbk_response_flag flag)
{
    HBK_ASSERT(flag < HBK_RESPONSE_COUNT);
    return flag_texts[flag];
}

/* What is looked for: all pointers set, parties already without their pods. */
struct wanted {
    struct hbk_traffic_key key;
    enum hbk_response_flag flag;
};

/* The texts' own hashes are keyed, so a stranger cannot choose where a series lies. */
static uint64_t wanted_hash(const struct wanted *wanted)
{
    const struct hbk_traffic_key *key = &wanted->key;
    uint64_t small =
        (uint64_t)wanted->flag * 4 + (uint64_t)key->reporter * 2 + (key->is_mutual_tls ? 1 : 0);
    uint64_t hash = hbk_hash_join(key->source->texts.hash, key->destination->texts.hash);
    return hbk_hash_join(hbk_hash_join(hash, key->service->texts.hash), small);
}

static bool series_matches(const void *object, const void *key)
{
    const struct hbk_traffic_series *series = object;
    const struct wanted *wanted = key;
    return series->key.source == wanted->key.source &&
           series->key.destination == wanted->key.destination &&
           series->key.service == wanted->key.service &&
           series->key.reporter == wanted->key.reporter &&
           series->key.is_mutual_tls == wanted->key.is_mutual_tls && series->flag == wanted->flag;
}

static struct hbk_traffic_series *series_new(struct hbk_traffic *traffic, uint64_t hash,
                                             const struct wanted *wanted)
{
    struct hbk_traffic_series *series = calloc(1, sizeof *series);
    if (series == NULL) {
        return NULL;
    }
    if (hbk_map_add(&traffic->series, hash, series) != HBK_OK) {
        free(series);
        return NULL;
    }
    series->hash = hash;
    series->key = wanted->key;
    series->flag = wanted->flag;
    hbk_party_ref(series->key.source);
    hbk_party_ref(series->key.destination);
    hbk_destination_ref(series->key.service);
    hbk_list_append(&traffic->list, &series->link);
    return series;
}

void hbk_traffic_forget(struct hbk_traffic *traffic, struct hbk_traffic_series *series)
{
    bool was_there = hbk_map_remove(&traffic->series, series->hash, series);
    HBK_ASSERT(was_there && series->connections == 0);
    hbk_link_remove(&series->link);
    hbk_party_unref(&traffic->parties, series->key.source);
    hbk_party_unref(&traffic->parties, series->key.destination);
    hbk_destination_unref(&traffic->parties, series->key.service);
    free(series);
}

static bool is_folded(const struct hbk_traffic *traffic, const struct hbk_traffic_key *key)
{
    return key->source == traffic->parties.other && key->destination == traffic->parties.other &&
           key->service == traffic->parties.other_destination;
}

static struct hbk_traffic_series *find_or_make(struct hbk_traffic *traffic,
                                               const struct wanted *wanted)
{
    if (is_folded(traffic, &wanted->key)) {
        return NULL;
    }
    uint64_t hash = wanted_hash(wanted);
    struct hbk_traffic_series *series =
        hbk_map_find(&traffic->series, hash, series_matches, wanted);
    if (series == NULL && traffic->series.count < traffic->series_max) {
        series = series_new(traffic, hash, wanted);
    }
    return series;
}

struct hbk_traffic_series *hbk_traffic_find(struct hbk_traffic *traffic,
                                            const struct hbk_traffic_key *key,
                                            enum hbk_response_flag flag)
{
    HBK_ASSERT(key->reporter < HBK_REPORTER_COUNT && flag < HBK_RESPONSE_COUNT);
    struct hbk_party_table *parties = &traffic->parties;
    struct wanted wanted = {.key = *key, .flag = flag};
    wanted.key.source = key->source == NULL ? parties->nobody : key->source->labels;
    wanted.key.destination = key->destination == NULL ? parties->nobody : key->destination->labels;
    wanted.key.service = key->service == NULL ? parties->none : key->service;

    struct hbk_traffic_series *series = find_or_make(traffic, &wanted);
    return series != NULL ? series
                          : &traffic->other[key->reporter][key->is_mutual_tls ? 1 : 0][flag];
}

struct hbk_traffic_series *hbk_traffic_open(struct hbk_traffic *traffic,
                                            const struct hbk_traffic_key *key)
{
    struct hbk_traffic_series *series = hbk_traffic_find(traffic, key, HBK_RESPONSE_OK);
    traffic->folded += hbk_traffic_is_other(traffic, series) ? 1 : 0;
    series->opened++;
    series->connections++;
    return series;
}

void hbk_traffic_close(struct hbk_traffic *traffic, struct hbk_traffic_series *series,
                       enum hbk_response_flag flag)
{
    HBK_ASSERT(series->connections > 0 && flag < HBK_RESPONSE_COUNT);
    series->connections--;
    if (flag == HBK_RESPONSE_OK) {
        series->closed++;
        return;
    }
    struct hbk_traffic_series *failed = hbk_traffic_find(traffic, &series->key, flag);
    failed->closed++;
    failed->failed++;
}

static void init_other(struct hbk_traffic *traffic)
{
    for (size_t reporter = 0; reporter < HBK_REPORTER_COUNT; reporter++) {
        for (size_t is_mutual = 0; is_mutual < 2; is_mutual++) {
            for (size_t flag = 0; flag < HBK_RESPONSE_COUNT; flag++) {
                traffic->other[reporter][is_mutual][flag] = (struct hbk_traffic_series){
                    .key = {.reporter = (enum hbk_reporter)reporter,
                            .is_mutual_tls = is_mutual == 1,
                            .source = traffic->parties.other,
                            .destination = traffic->parties.other,
                            .service = traffic->parties.other_destination},
                    .flag = (enum hbk_response_flag)flag,
                };
                struct hbk_traffic_series *series = &traffic->other[reporter][is_mutual][flag];
                hbk_list_append(&traffic->list, &series->link);
            }
        }
    }
}

hbk_status hbk_traffic_init(struct hbk_traffic *traffic, size_t series_max)
{
    *traffic = (struct hbk_traffic){.series_max = series_max};
    HBK_TRY(hbk_party_table_init(&traffic->parties));
    hbk_map_init(&traffic->series);
    hbk_list_init(&traffic->list);
    init_other(traffic);
    return HBK_OK;
}

bool hbk_traffic_is_other(const struct hbk_traffic *traffic,
                          const struct hbk_traffic_series *series)
{
    const struct hbk_traffic_series *first = &traffic->other[0][0][0];
    const struct hbk_traffic_series *end = first + sizeof traffic->other / sizeof *first;
    return series >= first && series < end;
}

void hbk_traffic_fini(struct hbk_traffic *traffic)
{
    HBK_LIST_EACH (link, &traffic->list) {
        struct hbk_traffic_series *series = HBK_CONTAINER(link, struct hbk_traffic_series, link);
        if (!hbk_traffic_is_other(traffic, series)) {
            hbk_traffic_forget(traffic, series);
        }
    }
    hbk_map_fini(&traffic->series);
    hbk_party_table_fini(&traffic->parties);
}
