/*
 * The cache of good verdicts. Its key is a hash of all that a verdict depends on and that does not
 * change with time: the whole chain as presented, the part that the peer plays, the rule, the host
 * where it counts, the roots of a trust by name, and, when the trust asks a question of its own,
 * which trust it was. The bundle's generation and the path's validity are checked at each use, so
 * that neither a withdrawn root nor the passing of time outlives an entry's next use. Trusts that
 * differ in nothing but their generation share entries: a renewed identity finds its peers known.
 * Refusals are not kept: a stranger could fill the cache with them, and a refused handshake is not
 * retried fast. Nor is a good chain before its peer has proved that it has the key, since chains
 * are public and go from hand to hand.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "identity/peer.h"
#include "identity/verdict.h"

struct entry {
    struct hbk_link link; /* in by_use */
    uint8_t key[HBK_SHA256_BYTES];
    const struct hbk_peer *peer; /* held */
};

void hbk_verdict_cache_init(struct hbk_verdict_cache *cache, size_t entries_max)
{
    *cache = (struct hbk_verdict_cache){.entries_max = entries_max};
    hbk_map_init(&cache->entries);
    hbk_list_init(&cache->by_use);
}

static uint64_t hash_of(const uint8_t key[static HBK_SHA256_BYTES])
{
    uint64_t hash = 0;
    memcpy(&hash, key, sizeof hash); /* SHA-256 is spread well enough for a table */
    return hash;
}

static bool has_key(const void *object, const void *key)
{
    const struct entry *entry = object;
    return memcmp(entry->key, key, sizeof entry->key) == 0;
}

static void drop(struct hbk_verdict_cache *cache, struct entry *entry)
{
    bool was_there = hbk_map_remove(&cache->entries, hash_of(entry->key), entry);
    HBK_ASSERT(was_there);
    hbk_link_remove(&entry->link);
    hbk_peer_unref(entry->peer);
    free(entry);
}

void hbk_verdict_cache_fini(struct hbk_verdict_cache *cache)
{
    HBK_LIST_EACH (link, &cache->by_use) {
        drop(cache, HBK_CONTAINER(link, struct entry, link));
    }
    hbk_map_fini(&cache->entries);
}

/* What is asked, without the time and the bundles. */
static void hash_question(struct hbk_hash_state *state, const struct hbk_question *question)
{
    const struct hbk_trust_options *trust = &question->trust->options;
    const uint64_t numbers[] = {
        trust->rule,
        question->role,
        trust->ignores_host,
        trust->lists,
        trust->ignores_time,
        trust->limits_depth ? trust->depth_max : UINT64_MAX,
        trust->check == NULL ? 0 : question->trust->generation,
        trust->roots == NULL ? 0 : trust->roots->generation,
    };
    bool has_host = trust->rule == HBK_TRUST_NAME && question->role == HBK_PEER_SERVER;
    hbk_hash_update(state, hbk_slice_of(numbers, sizeof numbers));
    hbk_hash_update_part(state, has_host ? question->host : hbk_slice_of(NULL, 0));
}

static void make_key(const struct hbk_chain *chain, const struct hbk_question *question,
                     uint8_t out_key[static HBK_SHA256_BYTES])
{
    struct hbk_hash_state state;
    hbk_hash_init(&state, HBK_HASH_SHA256);
    hash_question(&state, question);
    for (size_t i = 0; i < chain->count; i++) {
        hbk_hash_update_part(&state, chain->certificates[i]);
    }
    hbk_hash_digest(&state, out_key);
}

/* The generation of the bundle that a known peer would be judged by now; 0: there is none. */
static uint64_t generation_for(const struct hbk_peer *peer, const struct hbk_trust *trust)
{
    const struct hbk_bundle *bundle = trust->options.roots;
    if (trust->options.rule == HBK_TRUST_SPIFFE) {
        bundle = hbk_bundle_set_find(trust->options.bundles, peer->id->parts.trust_domain);
    }
    return bundle == NULL ? 0 : bundle->generation;
}

static const struct hbk_peer *find(struct hbk_verdict_cache *cache,
                                   const uint8_t key[static HBK_SHA256_BYTES],
                                   const struct hbk_question *question)
{
    struct entry *entry = hbk_map_find(&cache->entries, hash_of(key), has_key, key);
    if (entry == NULL) {
        return NULL;
    }
    const struct hbk_peer *peer = entry->peer;
    if (generation_for(peer, question->trust) != peer->bundle_generation ||
        question->now_ns < peer->not_before_ns || question->now_ns >= peer->not_after_ns) {
        drop(cache, entry);
        return NULL;
    }
    hbk_link_remove(&entry->link);
    hbk_list_prepend(&cache->by_use, &entry->link);
    return peer;
}

static size_t chain_bytes(const struct hbk_peer *peer)
{
    size_t total = 0;
    for (size_t i = 0; i < peer->certificate_count; i++) {
        total += peer->certificates[i].size;
    }
    return total;
}

static void add(struct hbk_verdict_cache *cache, const uint8_t key[static HBK_SHA256_BYTES],
                const struct hbk_peer *peer)
{
    if (cache->entries.count >= cache->entries_max) {
        drop(cache, HBK_CONTAINER(cache->by_use.head.previous, struct entry, link));
    }
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return;
    }
    memcpy(entry->key, key, sizeof entry->key);
    if (hbk_map_add(&cache->entries, hash_of(key), entry) != HBK_OK) {
        free(entry);
        return;
    }
    entry->peer = hbk_peer_ref(peer);
    hbk_list_prepend(&cache->by_use, &entry->link);
}

hbk_status hbk_verdict_cache_judge(struct hbk_verdict_cache *cache, const struct hbk_chain *chain,
                                   const struct hbk_question *question,
                                   const struct hbk_peer **out_peer,
                                   struct hbk_verdict_failure *failure)
{
    uint8_t key[HBK_SHA256_BYTES];
    make_key(chain, question, key);
    const struct hbk_peer *known = find(cache, key, question);
    if (known != NULL) {
        cache->hits++;
        *out_peer = hbk_peer_ref(known);
        return HBK_OK;
    }
    cache->misses++;
    HBK_TRY(hbk_verdict_judge(chain, question, out_peer, failure));
    hbk_peer_set_question(*out_peer, key);
    return HBK_OK;
}

void hbk_verdict_cache_keep(struct hbk_verdict_cache *cache, const struct hbk_peer **peer)
{
    const uint8_t *key = hbk_peer_question(*peer);
    if (cache->entries_max == 0 || key == NULL ||
        chain_bytes(*peer) > HBK_VERDICT_CACHE_CHAIN_BYTES_MAX) {
        return;
    }
    struct entry *entry = hbk_map_find(&cache->entries, hash_of(key), has_key, key);
    if (entry != NULL && entry->peer->bundle_generation == (*peer)->bundle_generation) {
        const struct hbk_peer *kept = hbk_peer_ref(entry->peer);
        hbk_peer_unref(*peer);
        *peer = kept;
        return;
    }
    if (entry != NULL) {
        drop(cache, entry);
    }
    add(cache, key, *peer);
}
