#include "agent/identities.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "identity/svid.h"
#include "os/file.h"

/* A failed issue is tried again after this long, doubled up to the second. */
#define RETRY_NS_MIN HBK_NS_PER_S
#define RETRY_NS_MAX (150 * HBK_NS_PER_S)

struct hbk_identity_entry {
    struct hbk_link link;
    struct hbk_identities *owner;
    const struct hbk_spiffe_id *id;        /* owned reference */
    struct hbk_tls_credential *credential; /* owned reference; NULL while there is none */
    struct hbk_timer timer;
    uint64_t retry_ns;
    bool is_wanted;
};

static hbk_status read_authority(struct hbk_identities *identities, struct hbk_arena *arena,
                                 const char *path, struct hbk_error *error)
{
    static const char *const names[2] = {"root.pem", "root-key.pem"};
    struct hbk_slice files[2];
    for (int i = 0; i < 2; i++) {
        char file[HBK_PATH_BYTES_MAX];
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]);
        hbk_status status = hbk_file_read(arena, file, HBK_BUNDLE_BYTES_MAX, &files[i]);
        if (status != HBK_OK) {
            return hbk_error_set(error, status, "%s: %s (hauberk ca init makes it)", file,
                                 hbk_status_text(status));
        }
    }
    HBK_TRY(hbk_authority_new(files[0], files[1], &identities->authority, error));
    struct hbk_bundle *bundle = NULL;
    HBK_TRY(hbk_bundle_new(hbk_authority_trust_domain(identities->authority), files[0],
                           hbk_slice_of(NULL, 0), &bundle, error));
    hbk_status status = hbk_bundle_set_new(&bundle, 1, &identities->bundles);
    hbk_bundle_unref(bundle);
    return status;
}

hbk_status hbk_identities_open_ca(struct hbk_identities *identities, struct hbk_loop *loop,
                                  const char *path, uint64_t life_ns, struct hbk_error *error)
{
    *identities = (struct hbk_identities){.loop = loop, .life_ns = life_ns};
    hbk_list_init(&identities->list);
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    hbk_status status = read_authority(identities, &arena, path, error);
    hbk_arena_fini(&arena);
    return status;
}

static void drop(struct hbk_identity_entry *entry)
{
    hbk_loop_timer_cancel(entry->owner->loop, &entry->timer);
    hbk_link_remove(&entry->link);
    hbk_spiffe_unref(entry->id);
    hbk_tls_credential_unref(entry->credential);
    free(entry);
}

void hbk_identities_fini(struct hbk_identities *identities)
{
    HBK_LIST_EACH (link, &identities->list) {
        drop(HBK_CONTAINER(link, struct hbk_identity_entry, link));
    }
    hbk_authority_free(identities->authority);
    hbk_bundle_set_unref(identities->bundles);
}

static hbk_status issue(struct hbk_identity_entry *entry,
                        struct hbk_tls_credential **out_credential, struct hbk_error *error)
{
    struct hbk_identities *identities = entry->owner;
    struct hbk_issued issued;
    hbk_issued_init(&issued);
    struct hbk_svid *svid = NULL;
    hbk_status status =
        hbk_authority_issue(identities->authority, entry->id, HBK_KEY_ECDSA_P256,
                            identities->life_ns, hbk_clock_realtime_ns(), &issued, error);
    if (status == HBK_OK) {
        status = hbk_svid_from_pem(hbk_buffer_slice(&issued.chain_pem),
                                   hbk_buffer_slice(&issued.key_pem), &svid, error);
    }
    if (status == HBK_OK) {
        status = hbk_tls_credential_new(svid, identities->bundles, ++identities->generation,
                                        HBK_TLS_ENGINE_OPENSSL, out_credential, error);
    }
    hbk_svid_unref(svid);
    hbk_issued_fini(&issued);
    return status;
}

static void renew(struct hbk_identity_entry *entry)
{
    struct hbk_identities *identities = entry->owner;
    struct hbk_error error = {.status = HBK_OK};
    struct hbk_tls_credential *credential = NULL;
    hbk_status status = issue(entry, &credential, &error);
    if (status != HBK_OK) {
        identities->failed++;
        entry->retry_ns = entry->retry_ns == 0 ? RETRY_NS_MIN : entry->retry_ns * 2;
        entry->retry_ns = entry->retry_ns > RETRY_NS_MAX ? RETRY_NS_MAX : entry->retry_ns;
        hbk_log(HBK_LOG_WARN, "agent", "no certificate for %.*s: %s; trying again in %llu s",
                HBK_SLICE_ARGS(entry->id->text), error.text,
                (unsigned long long)(entry->retry_ns / HBK_NS_PER_S));
        hbk_loop_timer(identities->loop, &entry->timer, entry->retry_ns);
        return;
    }
    identities->issued++;
    entry->retry_ns = 0;
    hbk_tls_credential_unref(entry->credential);
    entry->credential = credential;
    hbk_loop_timer(identities->loop, &entry->timer, identities->life_ns / 2);
    identities->on_credential(identities->context, entry->id, credential);
}

static void on_timer(struct hbk_timer *timer)
{
    renew(HBK_CONTAINER(timer, struct hbk_identity_entry, timer));
}

static struct hbk_identity_entry *find(struct hbk_identities *identities,
                                       const struct hbk_spiffe_id *id)
{
    HBK_LIST_EACH (link, &identities->list) {
        struct hbk_identity_entry *entry = HBK_CONTAINER(link, struct hbk_identity_entry, link);
        if (entry->id == id) {
            return entry;
        }
    }
    return NULL;
}

void hbk_identities_want(struct hbk_identities *identities, const struct hbk_spiffe_id *id)
{
    struct hbk_identity_entry *entry = find(identities, id);
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL) {
            hbk_log(HBK_LOG_ERROR, "agent", "no memory for another identity");
            return;
        }
        entry->owner = identities;
        entry->id = hbk_spiffe_ref(id);
        hbk_timer_init(&entry->timer, on_timer);
        hbk_list_append(&identities->list, &entry->link);
        renew(entry);
    }
    entry->is_wanted = true;
}

struct hbk_tls_credential *hbk_identities_find(struct hbk_identities *identities,
                                               const struct hbk_spiffe_id *id)
{
    struct hbk_identity_entry *entry = find(identities, id);
    return entry == NULL ? NULL : entry->credential;
}

void hbk_identities_mark(struct hbk_identities *identities)
{
    HBK_LIST_EACH (link, &identities->list) {
        HBK_CONTAINER(link, struct hbk_identity_entry, link)->is_wanted = false;
    }
}

void hbk_identities_sweep(struct hbk_identities *identities)
{
    HBK_LIST_EACH (link, &identities->list) {
        struct hbk_identity_entry *entry = HBK_CONTAINER(link, struct hbk_identity_entry, link);
        if (!entry->is_wanted) {
            drop(entry);
        }
    }
}
