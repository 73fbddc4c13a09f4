/*
 * The table of ids. A reference is dropped without the lock while others remain; the last one is
 * dropped under it, so that nobody can find an id in the table that is about to be freed.
 */
#include "identity/spiffe.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/map.h"

static const char scheme[] = "spiffe://";
enum { SCHEME_BYTES = sizeof scheme - 1 };

struct interned {
    struct hbk_spiffe_id id;
    uint64_t hash;
    _Atomic uint32_t
        references; /* acquire-release with itself: the last holder sees all reads done */
    char text[];    /* terminated */
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hbk_map table; /* of struct interned; under table_lock */

static bool is_trust_domain_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '.' ||
           byte == '-' || byte == '_';
}

static bool is_path_byte(uint8_t byte)
{
    return is_trust_domain_byte(byte) || (byte >= 'A' && byte <= 'Z');
}

bool hbk_spiffe_is_trust_domain(struct hbk_slice text)
{
    if (text.size == 0 || text.size > HBK_SPIFFE_TRUST_DOMAIN_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!is_trust_domain_byte(text.bytes[i])) {
            return false;
        }
    }
    return true;
}

static bool is_segment(struct hbk_slice text)
{
    if (text.size == 0 || hbk_slice_equal(text, HBK_SLICE(".")) ||
        hbk_slice_equal(text, HBK_SLICE(".."))) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!is_path_byte(text.bytes[i])) {
            return false;
        }
    }
    return true;
}

/* Takes the segment behind the slash at the front of *path. */
static struct hbk_slice take_segment(struct hbk_slice *path)
{
    struct hbk_slice rest = hbk_slice_part(*path, 1, path->size);
    size_t end = rest.size;
    (void)hbk_slice_find(rest, '/', &end);
    *path = hbk_slice_part(rest, end, rest.size);
    return hbk_slice_part(rest, 0, end);
}

static bool is_path(struct hbk_slice path)
{
    while (path.size > 0) {
        if (!is_segment(take_segment(&path))) {
            return false;
        }
    }
    return true;
}

/* Reads /ns/NAMESPACE/sa/ACCOUNT; another shape leaves both parts empty. */
static void split_account(struct hbk_spiffe_parts *parts)
{
    struct hbk_slice path = parts->path;
    struct hbk_slice segments[4];
    for (size_t i = 0; i < HBK_COUNT(segments); i++) {
        if (path.size == 0) {
            return;
        }
        segments[i] = take_segment(&path);
    }
    if (path.size == 0 && hbk_slice_equal(segments[0], HBK_SLICE("ns")) &&
        hbk_slice_equal(segments[2], HBK_SLICE("sa"))) {
        parts->namespace_ = segments[1];
        parts->service_account = segments[3];
    }
}

bool hbk_spiffe_parse(struct hbk_slice text, struct hbk_spiffe_parts *out_parts)
{
    if (text.size > HBK_SPIFFE_ID_BYTES_MAX ||
        !hbk_slice_starts_with(text, hbk_slice_of(scheme, SCHEME_BYTES))) {
        return false;
    }
    struct hbk_slice rest = hbk_slice_part(text, SCHEME_BYTES, text.size);
    size_t slash = rest.size;
    (void)hbk_slice_find(rest, '/', &slash);
    struct hbk_spiffe_parts parts = {
        .trust_domain = hbk_slice_part(rest, 0, slash),
        .path = hbk_slice_part(rest, slash, rest.size),
    };
    if (!hbk_spiffe_is_trust_domain(parts.trust_domain) || !is_path(parts.path)) {
        return false;
    }
    split_account(&parts);
    *out_parts = parts;
    return true;
}

static struct interned *interned_of(const struct hbk_spiffe_id *id)
{
    return HBK_CONTAINER((uintptr_t)id, struct interned, id);
}

static bool has_text(const void *object, const void *key)
{
    const struct interned *interned = object;
    const struct hbk_slice *text = key;
    return hbk_slice_equal(interned->id.text, *text);
}

static struct interned *make(struct hbk_slice text, uint64_t hash)
{
    struct interned *made = malloc(sizeof *made + text.size + 1);
    if (made == NULL) {
        return NULL;
    }
    memcpy(made->text, text.bytes, text.size);
    made->text[text.size] = '\0';
    made->hash = hash;
    atomic_init(&made->references, 1);
    made->id.text = hbk_slice_of(made->text, text.size);
    made->id.without_scheme = hbk_slice_part(made->id.text, SCHEME_BYTES, text.size);
    bool is_id = hbk_spiffe_parse(made->id.text, &made->id.parts);
    HBK_ASSERT(is_id);
    return made;
}

static hbk_status intern_locked(struct hbk_slice text, uint64_t hash,
                                const struct hbk_spiffe_id **out_id)
{
    struct interned *interned = hbk_map_find(&table, hash, has_text, &text);
    if (interned != NULL) {
        *out_id = hbk_spiffe_ref(&interned->id);
        return HBK_OK;
    }
    interned = make(text, hash);
    if (interned == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = hbk_map_add(&table, hash, interned);
    if (status != HBK_OK) {
        free(interned);
        return status;
    }
    *out_id = &interned->id;
    return HBK_OK;
}

hbk_status hbk_spiffe_intern(struct hbk_slice text, const struct hbk_spiffe_id **out_id)
{
    struct hbk_spiffe_parts parts;
    if (!hbk_spiffe_parse(text, &parts)) {
        return HBK_INVALID;
    }
    uint64_t hash = hbk_hash(text);
    pthread_mutex_lock(&table_lock);
    hbk_status status = intern_locked(text, hash, out_id);
    pthread_mutex_unlock(&table_lock);
    return status;
}

hbk_status hbk_spiffe_intern_account(struct hbk_slice trust_domain, struct hbk_slice namespace_,
                                     struct hbk_slice service_account,
                                     const struct hbk_spiffe_id **out_id)
{
    const struct hbk_slice pieces[] = {
        hbk_slice_of(scheme, SCHEME_BYTES),
        trust_domain,
        HBK_SLICE("/ns/"),
        namespace_,
        HBK_SLICE("/sa/"),
        service_account,
    };
    /* A slash in a part would move the borders between the parts. */
    if (!is_segment(namespace_) || !is_segment(service_account)) {
        return HBK_INVALID;
    }
    uint8_t text[HBK_SPIFFE_ID_BYTES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < HBK_COUNT(pieces); i++) {
        if (pieces[i].size > sizeof text - used) {
            return HBK_INVALID;
        }
        if (pieces[i].size > 0) {
            memcpy(text + used, pieces[i].bytes, pieces[i].size);
            used += pieces[i].size;
        }
    }
    return hbk_spiffe_intern(hbk_slice_of(text, used), out_id);
}

const struct hbk_spiffe_id *hbk_spiffe_ref(const struct hbk_spiffe_id *id)
{
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&interned_of(id)->references, 1, memory_order_relaxed);
    return id;
}

void hbk_spiffe_unref(const struct hbk_spiffe_id *id)
{
    if (id == NULL) {
        return;
    }
    struct interned *interned = interned_of(id);
    uint32_t held = atomic_load_explicit(&interned->references, memory_order_relaxed);
    while (held > 1) {
        if (atomic_compare_exchange_weak_explicit(&interned->references, &held, held - 1,
                                                  memory_order_release, memory_order_relaxed)) {
            return;
        }
    }
    pthread_mutex_lock(&table_lock);
    if (atomic_fetch_sub_explicit(&interned->references, 1, memory_order_acq_rel) == 1) {
        bool was_there = hbk_map_remove(&table, interned->hash, interned);
        HBK_ASSERT(was_there);
        free(interned);
        if (table.count == 0) {
            hbk_map_fini(&table);
        }
    }
    pthread_mutex_unlock(&table_lock);
}

size_t hbk_spiffe_count(void)
{
    pthread_mutex_lock(&table_lock);
    size_t count = table.count;
    pthread_mutex_unlock(&table_lock);
    return count;
}
