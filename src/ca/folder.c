#include "ca/folder.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "ca/provider.h"
#include "ca/source.h"
#include "ca/store.h"
#include "os/file.h"
#include "os/watch.h"

#define BUNDLE_SUFFIX ".bundle.pem"
#define CRL_SUFFIX ".crl.pem"

enum { NAME_BYTES_MAX = 256 };

struct folder {
    char *path;                     /* owned */
    struct hbk_bundle_set *bundles; /* held */
    struct hbk_svid **svids;        /* owned array of held ones */
    size_t svid_count;
    uint64_t leaves_hash; /* of the marks of what was last loaded */
    uint64_t bundles_hash;
};

/* The names of one look, in order. */
struct listing {
    char (*names)[NAME_BYTES_MAX];
    size_t count;
    bool is_full;
};

static bool is_bundle_file(struct hbk_slice name)
{
    return hbk_slice_equal(name, HBK_SLICE(HBK_CA_BUNDLE_FILE)) ||
           hbk_slice_equal(name, HBK_SLICE(HBK_CA_CRL_FILE)) ||
           hbk_slice_ends_with(name, HBK_SLICE(BUNDLE_SUFFIX)) ||
           hbk_slice_ends_with(name, HBK_SLICE(CRL_SUFFIX));
}

static void on_name(struct hbk_slice name, void *context)
{
    struct listing *listing = context;
    if (!hbk_slice_ends_with(name, HBK_SLICE(HBK_CA_CERTIFICATE_SUFFIX)) ||
        name.size >= NAME_BYTES_MAX) {
        return;
    }
    if (listing->count == HBK_CA_FOLDER_FILES_MAX) {
        listing->is_full = true;
        return;
    }
    memcpy(listing->names[listing->count], name.bytes, name.size);
    listing->names[listing->count++][name.size] = '\0';
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static hbk_status list(const struct folder *folder, struct listing *listing,
                       struct hbk_error *error)
{
    *listing = (struct listing){.names = calloc(HBK_CA_FOLDER_FILES_MAX, NAME_BYTES_MAX)};
    if (listing->names == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = hbk_directory_each(folder->path, on_name, listing);
    if (status == HBK_OK && listing->is_full) {
        status = HBK_LIMIT;
    }
    if (status != HBK_OK) {
        free(listing->names);
        return hbk_error_set(error, status, "%s: %s%s", folder->path, hbk_status_text(status),
                             status == HBK_LIMIT ? " (files)" : "");
    }
    qsort(listing->names, listing->count, NAME_BYTES_MAX, compare_names);
    return HBK_OK;
}

/* One number for the state of all files of one kind. */
static uint64_t hash_marks(const struct folder *folder, const struct listing *listing,
                           bool of_bundles)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < listing->count; i++) {
        struct hbk_slice name = hbk_slice_text(listing->names[i]);
        if (is_bundle_file(name) != of_bundles) {
            continue;
        }
        char path[HBK_PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", folder->path, listing->names[i]);
        struct hbk_file_mark mark = hbk_file_mark_of(path);
        const uint64_t numbers[] = {
            mark.exists,
            mark.device,
            mark.inode,
            mark.size_bytes,
            (uint64_t)mark.modified_ns,
            (uint64_t)mark.changed_ns,
        };
        hash = hbk_hash_join(hash, hbk_hash(name));
        hash = hbk_hash_join(hash, hbk_hash(hbk_slice_of(numbers, sizeof numbers)));
    }
    return hash;
}

/* ---- leaves ---- */

static void drop_svids(struct hbk_svid **svids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hbk_svid_unref(svids[i]);
    }
    free(svids);
}

/* Reads NAME.pem and NAME-key.pem. */
static hbk_status read_pair(const struct folder *folder, const char *certificate_name,
                            struct hbk_svid **out_svid, struct hbk_error *error)
{
    char key_name[NAME_BYTES_MAX + 16];
    struct hbk_slice stem = hbk_slice_text(certificate_name);
    stem = hbk_slice_part(stem, 0, stem.size - strlen(HBK_CA_CERTIFICATE_SUFFIX));
    (void)snprintf(key_name, sizeof key_name, "%.*s" HBK_CA_KEY_SUFFIX, HBK_SLICE_ARGS(stem));
    struct hbk_ca_bytes chain;
    struct hbk_ca_bytes key;
    HBK_TRY(hbk_ca_bytes_read(&chain, folder->path, certificate_name, HBK_CHAIN_BYTES_MAX, false,
                              error));
    hbk_status status =
        hbk_ca_bytes_read(&key, folder->path, key_name, HBK_PRIVATE_KEY_BYTES_MAX, false, error);
    if (status == HBK_OK) {
        status = hbk_svid_from_pem(chain.bytes, key.bytes, out_svid, error);
        hbk_ca_bytes_fini(&key);
    }
    hbk_ca_bytes_fini(&chain);
    return status;
}

/* A pair that was loaded before and is the same certificate stays the same object, so that nobody
 * takes it for a renewal. */
static struct hbk_svid *prefer_known(const struct folder *folder, struct hbk_svid *svid)
{
    for (size_t i = 0; i < folder->svid_count; i++) {
        struct hbk_svid *known = folder->svids[i];
        if (known->id == svid->id && strcmp(known->serial_text, svid->serial_text) == 0 &&
            known->not_after_ns == svid->not_after_ns &&
            known->not_before_ns == svid->not_before_ns) {
            hbk_svid_unref(svid);
            return hbk_svid_ref(known);
        }
    }
    return svid;
}

static hbk_status load_leaves(struct folder *folder, const struct listing *listing)
{
    struct hbk_svid **svids = calloc(listing->count + 1, sizeof(struct hbk_svid *));
    size_t count = 0;
    if (svids == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < listing->count; i++) {
        struct hbk_slice name = hbk_slice_text(listing->names[i]);
        if (is_bundle_file(name) || hbk_slice_ends_with(name, HBK_SLICE(HBK_CA_KEY_SUFFIX))) {
            continue;
        }
        struct hbk_error error = {0};
        struct hbk_svid *svid = NULL;
        if (read_pair(folder, listing->names[i], &svid, &error) != HBK_OK) {
            hbk_log(HBK_LOG_WARN, "ca", "%s/%s is passed over: %s", folder->path, listing->names[i],
                    error.status == HBK_OK ? "out of memory" : error.text);
            continue;
        }
        svids[count++] = prefer_known(folder, svid);
    }
    drop_svids(folder->svids, folder->svid_count);
    folder->svids = svids;
    folder->svid_count = count;
    return HBK_OK;
}

/* ---- bundles ---- */

struct bundle_list {
    struct hbk_bundle *bundles[HBK_BUNDLE_SET_MAX];
    size_t count;
};

static bool has_bundle(const struct bundle_list *found, struct hbk_slice trust_domain)
{
    for (size_t i = 0; i < found->count; i++) {
        if (hbk_slice_equal(found->bundles[i]->trust_domain, trust_domain)) {
            return true;
        }
    }
    return false;
}

static hbk_status add_bundle(const struct folder *folder, struct hbk_slice trust_domain,
                             const char *roots_name, const char *crl_name,
                             struct bundle_list *found, struct hbk_error *error)
{
    struct hbk_ca_bytes roots;
    struct hbk_ca_bytes crl;
    if (found->count == HBK_BUNDLE_SET_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "%s: more than %d trust domains", folder->path,
                             HBK_BUNDLE_SET_MAX);
    }
    HBK_TRY(
        hbk_ca_bytes_read(&roots, folder->path, roots_name, HBK_BUNDLE_BYTES_MAX, false, error));
    hbk_status status =
        hbk_ca_bytes_read(&crl, folder->path, crl_name, HBK_BUNDLE_CRL_BYTES_MAX, true, error);
    if (status == HBK_OK) {
        status = hbk_bundle_new(trust_domain, roots.bytes, crl.bytes, &found->bundles[found->count],
                                error);
        if (status == HBK_OK) {
            found->count++;
        } else {
            hbk_error_prefix(error, "%s/%s or %s", folder->path, roots_name, crl_name);
        }
        hbk_ca_bytes_fini(&crl);
    }
    hbk_ca_bytes_fini(&roots);
    return status;
}

/* TD.bundle.pem files first, then bundle.pem for the leaves that have none of these. */
static hbk_status find_bundles(const struct folder *folder, const struct listing *listing,
                               struct bundle_list *found, struct hbk_error *error)
{
    bool has_common = false;
    for (size_t i = 0; i < listing->count; i++) {
        struct hbk_slice name = hbk_slice_text(listing->names[i]);
        has_common = has_common || hbk_slice_equal(name, HBK_SLICE(HBK_CA_BUNDLE_FILE));
        if (!hbk_slice_ends_with(name, HBK_SLICE(BUNDLE_SUFFIX))) {
            continue;
        }
        struct hbk_slice trust_domain = hbk_slice_part(name, 0, name.size - strlen(BUNDLE_SUFFIX));
        char crl_name[NAME_BYTES_MAX];
        (void)snprintf(crl_name, sizeof crl_name, "%.*s" CRL_SUFFIX, HBK_SLICE_ARGS(trust_domain));
        HBK_TRY(add_bundle(folder, trust_domain, listing->names[i], crl_name, found, error));
    }
    for (size_t i = 0; i < folder->svid_count && has_common; i++) {
        struct hbk_slice trust_domain = folder->svids[i]->id->parts.trust_domain;
        if (!has_bundle(found, trust_domain)) {
            HBK_TRY(add_bundle(folder, trust_domain, HBK_CA_BUNDLE_FILE, HBK_CA_CRL_FILE, found,
                               error));
        }
    }
    return HBK_OK;
}

static hbk_status load_bundles(struct folder *folder, const struct listing *listing,
                               struct hbk_error *error)
{
    struct bundle_list found = {.count = 0};
    struct hbk_bundle_set *set = NULL;
    hbk_status status = find_bundles(folder, listing, &found, error);
    if (status == HBK_OK) {
        status = hbk_bundle_set_new(found.bundles, found.count, &set);
    }
    for (size_t i = 0; i < found.count; i++) {
        hbk_bundle_unref(found.bundles[i]);
    }
    HBK_TRY(status);
    hbk_bundle_set_unref(folder->bundles);
    folder->bundles = set;
    return HBK_OK;
}

/* Whether every leaf's trust domain has its bundle: new leaves may bring a new domain. */
static bool has_all_bundles(const struct folder *folder)
{
    for (size_t i = 0; i < folder->svid_count; i++) {
        if (hbk_bundle_set_find(folder->bundles, folder->svids[i]->id->parts.trust_domain) ==
            NULL) {
            return false;
        }
    }
    return true;
}

/* ---- the provider ---- */

static hbk_status load(struct folder *folder, unsigned *out_changes, struct hbk_error *error)
{
    struct listing listing;
    HBK_TRY(list(folder, &listing, error));
    uint64_t leaves_hash = hash_marks(folder, &listing, false);
    uint64_t bundles_hash = hash_marks(folder, &listing, true);
    hbk_status status = HBK_OK;
    if (leaves_hash != folder->leaves_hash) {
        status = load_leaves(folder, &listing);
        *out_changes |= HBK_CA_CHANGE_LEAVES;
        folder->leaves_hash = status == HBK_OK ? leaves_hash : folder->leaves_hash;
    }
    if (status == HBK_OK && (bundles_hash != folder->bundles_hash || folder->bundles == NULL ||
                             (*out_changes != 0 && !has_all_bundles(folder)))) {
        folder->bundles_hash = bundles_hash;
        status = load_bundles(folder, &listing, error);
        *out_changes |= status == HBK_OK ? HBK_CA_CHANGE_BUNDLES : 0u;
    }
    free(listing.names);
    return status;
}

static void look(void *self, unsigned *out_changes, struct hbk_error *error)
{
    hbk_status status = load(self, out_changes, error);
    if (status != HBK_OK) {
        hbk_error_set(error, status, "%s", hbk_status_text(status));
    }
}

static hbk_status fetch(void *self, const struct hbk_spiffe_id *id, int64_t now_ns,
                        struct hbk_svid **out_svid, struct hbk_error *error)
{
    const struct folder *folder = self;
    struct hbk_svid *best = NULL;
    bool has_any = false;
    for (size_t i = 0; i < folder->svid_count; i++) {
        struct hbk_svid *svid = folder->svids[i];
        if (svid->id != id) {
            continue;
        }
        has_any = true;
        if (now_ns >= svid->not_before_ns && now_ns < svid->not_after_ns &&
            (best == NULL || svid->not_after_ns > best->not_after_ns)) {
            best = svid;
        }
    }
    if (best == NULL) {
        return hbk_error_set(error, HBK_NOT_FOUND, "%s has %s", folder->path,
                             has_any ? "no certificate that is valid now"
                                     : "no certificate with its key");
    }
    *out_svid = hbk_svid_ref(best);
    return HBK_OK;
}

static struct hbk_bundle_set *bundles(void *self)
{
    return ((struct folder *)self)->bundles;
}

static void close_folder(void *self)
{
    struct folder *folder = self;
    drop_svids(folder->svids, folder->svid_count);
    hbk_bundle_set_unref(folder->bundles);
    free(folder->path);
    free(folder);
}

static const struct hbk_ca_provider provider = {
    .renew_percent = 75, /* who made the files renews at half life; this is when we begin to warn */
    .look = look,
    .fetch = fetch,
    .bundles = bundles,
    .close = close_folder,
};

hbk_status hbk_ca_open_folder(const char *path, const struct hbk_ca_settings *settings,
                              struct hbk_ca_source **out_source, struct hbk_error *error)
{
    struct folder *folder = calloc(1, sizeof *folder);
    if (folder == NULL || (folder->path = hbk_slice_to_string(hbk_slice_text(path))) == NULL) {
        free(folder);
        return HBK_NO_MEMORY;
    }
    unsigned changes = 0;
    hbk_status status = load(folder, &changes, error);
    if (status != HBK_OK) {
        close_folder(folder);
        return status;
    }
    return hbk_ca_source_new(&provider, folder, settings, out_source);
}
