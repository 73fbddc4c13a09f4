/* The built-in CA as a provider: it issues in this process, with the root's key in memory. */
#include <stdio.h>
#include <stdlib.h>

#include "ca/provider.h"
#include "ca/source.h"
#include "ca/store.h"
#include "os/file.h"
#include "os/watch.h"

static const char *const watched[] = {
    HBK_CA_ROOT_FILE,
    HBK_CA_ROOT_KEY_FILE,
    HBK_CA_BUNDLE_FILE,
    HBK_CA_CRL_FILE,
};

struct builtin {
    char *path;                      /* owned */
    struct hbk_authority *authority; /* owned */
    struct hbk_bundle_set *bundles;  /* held */
    uint64_t life_ns;
    enum hbk_key_type key_type;
    struct hbk_file_mark marks[HBK_COUNT(watched)]; /* as they were at the last load */
};

static void take_marks(const struct builtin *builtin,
                       struct hbk_file_mark marks[static HBK_COUNT(watched)])
{
    for (size_t i = 0; i < HBK_COUNT(watched); i++) {
        char path[HBK_PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", builtin->path, watched[i]);
        marks[i] = hbk_file_mark_of(path);
    }
}

/* Reads everything and takes it over as a whole, or not at all. */
static hbk_status load(struct builtin *builtin, struct hbk_error *error)
{
    struct hbk_authority *authority = NULL;
    struct hbk_bundle *bundle = NULL;
    struct hbk_bundle_set *bundles = NULL;
    HBK_TRY(hbk_ca_store_open(builtin->path, &authority, error));
    hbk_status status = hbk_ca_store_bundle(builtin->path, authority, &bundle, error);
    if (status == HBK_OK) {
        status = hbk_bundle_set_new(&bundle, 1, &bundles);
    }
    hbk_bundle_unref(bundle);
    if (status != HBK_OK) {
        hbk_authority_free(authority);
        return status;
    }
    hbk_authority_free(builtin->authority);
    hbk_bundle_set_unref(builtin->bundles);
    builtin->authority = authority;
    builtin->bundles = bundles;
    return HBK_OK;
}

static bool has_changed(const struct hbk_file_mark *old, const struct hbk_file_mark *new)
{
    return !hbk_file_mark_equal(old, new);
}

static void look(void *self, unsigned *out_changes, struct hbk_error *error)
{
    struct builtin *builtin = self;
    struct hbk_file_mark marks[HBK_COUNT(watched)];
    take_marks(builtin, marks);
    bool has_root_changed =
        has_changed(&builtin->marks[0], &marks[0]) || has_changed(&builtin->marks[1], &marks[1]);
    bool has_bundle_changed =
        has_changed(&builtin->marks[2], &marks[2]) || has_changed(&builtin->marks[3], &marks[3]);
    if (!has_root_changed && !has_bundle_changed) {
        return;
    }
    memcpy(builtin->marks, marks, sizeof marks);
    if (load(builtin, error) == HBK_OK) {
        *out_changes = HBK_CA_CHANGE_BUNDLES | (has_root_changed ? HBK_CA_CHANGE_LEAVES : 0u);
    }
}

static hbk_status fetch(void *self, const struct hbk_spiffe_id *id, int64_t now_ns,
                        struct hbk_svid **out_svid, struct hbk_error *error)
{
    const struct builtin *builtin = self;
    struct hbk_issued issued;
    hbk_issued_init(&issued);
    hbk_status status = hbk_authority_issue(builtin->authority, id, builtin->key_type,
                                            builtin->life_ns, now_ns, &issued, error);
    if (status == HBK_OK) {
        status = hbk_svid_from_pem(hbk_buffer_slice(&issued.chain_pem),
                                   hbk_buffer_slice(&issued.key_pem), out_svid, error);
    }
    hbk_issued_fini(&issued);
    return status;
}

static struct hbk_bundle_set *bundles(void *self)
{
    return ((struct builtin *)self)->bundles;
}

static void close_builtin(void *self)
{
    struct builtin *builtin = self;
    hbk_authority_free(builtin->authority);
    hbk_bundle_set_unref(builtin->bundles);
    free(builtin->path);
    free(builtin);
}

static const struct hbk_ca_provider provider = {
    .renew_percent = 50, /* ambient.md 3c */
    .look = look,
    .fetch = fetch,
    .bundles = bundles,
    .close = close_builtin,
};

hbk_status hbk_ca_open_store(const char *path, const struct hbk_ca_settings *settings,
                             struct hbk_ca_source **out_source, struct hbk_error *error)
{
    struct builtin *builtin = calloc(1, sizeof *builtin);
    if (builtin == NULL || (builtin->path = hbk_slice_to_string(hbk_slice_text(path))) == NULL) {
        free(builtin);
        return HBK_NO_MEMORY;
    }
    builtin->life_ns = settings->life_ns;
    builtin->key_type = settings->key_type;
    take_marks(builtin, builtin->marks);
    hbk_status status = load(builtin, error);
    if (status != HBK_OK) {
        close_builtin(builtin);
        return status;
    }
    return hbk_ca_source_new(&provider, builtin, settings, out_source);
}
