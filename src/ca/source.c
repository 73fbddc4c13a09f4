/*
 * Renewal. Two clocks matter: a certificate ends at a realtime, but realtime may be set, so the
 * plan is kept in monotonic time and checked against realtime at each look. A step of realtime
 * beyond a certificate's validity, in either direction, makes it due at once.
 */
#include "ca/source.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "ca/provider.h"

enum {
    RENEW_JITTER_PERCENT = 10, /* of the time until renewal, earlier or later */
    RETRY_JITTER_PERCENT = 20,
};

struct entry {
    struct hbk_link link;
    const struct hbk_spiffe_id *id;        /* held */
    struct hbk_tls_credential *credential; /* held; NULL while there is none */
    uint64_t due_ns;                       /* monotonic: the next try */
    int64_t renew_at_ns;                   /* realtime: from then on it is due too */
    uint64_t retry_ns;                     /* the last wait after a failure; 0: none */
    bool is_wanted;
    char error[HBK_CA_ERROR_BYTES_MAX];
};

struct hbk_ca_source {
    const struct hbk_ca_provider *provider;
    void *self; /* the provider's, owned */
    struct hbk_ca_settings settings;
    struct hbk_list entries;
    uint64_t generation;   /* of the last credential */
    uint64_t next_look_ns; /* monotonic */
    uint64_t draws;        /* of jitter */
    struct hbk_ca_counts counts;
};

hbk_status hbk_ca_source_new(const struct hbk_ca_provider *provider, void *self,
                             const struct hbk_ca_settings *settings,
                             struct hbk_ca_source **out_source)
{
    struct hbk_ca_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        provider->close(self);
        return HBK_NO_MEMORY;
    }
    source->provider = provider;
    source->self = self;
    source->settings = *settings;
    hbk_list_init(&source->entries);
    *out_source = source;
    return HBK_OK;
}

static void forget(struct entry *entry)
{
    hbk_link_remove(&entry->link);
    hbk_tls_credential_unref(entry->credential);
    hbk_spiffe_unref(entry->id);
    free(entry);
}

void hbk_ca_close(struct hbk_ca_source *source)
{
    if (source == NULL) {
        return;
    }
    HBK_LIST_EACH (link, &source->entries) {
        forget(HBK_CONTAINER(link, struct entry, link));
    }
    source->provider->close(source->self);
    free(source);
}

/* `duration_ns`, up to `percent` more or less. SipHash under the process key is random enough to
 * keep many nodes from asking at once. */
static uint64_t jitter(struct hbk_ca_source *source, uint64_t duration_ns, uint64_t percent)
{
    source->draws++;
    uint64_t draw = hbk_hash(hbk_slice_of(&source->draws, sizeof source->draws));
    uint64_t width_ns = duration_ns / 100 * percent;
    return duration_ns - width_ns + (width_ns == 0 ? 0 : draw % (2 * width_ns));
}

/* Realtime left of the credential's certificate; 0 when it has ended or there is none. */
static uint64_t life_left_ns(const struct entry *entry, int64_t realtime_ns)
{
    if (entry->credential == NULL) {
        return 0;
    }
    int64_t end_ns = hbk_tls_credential_not_after_ns(entry->credential);
    return end_ns > realtime_ns ? (uint64_t)(end_ns - realtime_ns) : 0;
}

static void plan_renewal(struct hbk_ca_source *source, struct entry *entry, uint64_t monotonic_ns,
                         int64_t realtime_ns)
{
    uint64_t share_ns = life_left_ns(entry, realtime_ns) / 100 * source->provider->renew_percent;
    uint64_t wait_ns = jitter(source, share_ns, RENEW_JITTER_PERCENT);
    entry->due_ns = monotonic_ns + wait_ns;
    entry->renew_at_ns = realtime_ns + (int64_t)wait_ns;
    entry->retry_ns = 0;
    entry->error[0] = '\0';
}

static void plan_retry(struct hbk_ca_source *source, struct entry *entry, uint64_t monotonic_ns,
                       int64_t realtime_ns)
{
    uint64_t wait_ns = entry->retry_ns == 0 ? HBK_CA_RETRY_NS_MIN : entry->retry_ns * 2;
    wait_ns = wait_ns < HBK_CA_RETRY_NS_MAX ? wait_ns : HBK_CA_RETRY_NS_MAX;
    entry->retry_ns = wait_ns;
    /* What is about to expire is tried more often. */
    uint64_t quarter_ns = life_left_ns(entry, realtime_ns) / 4;
    if (quarter_ns > 0 && quarter_ns < wait_ns) {
        wait_ns = quarter_ns > HBK_CA_RETRY_NS_MIN ? quarter_ns : HBK_CA_RETRY_NS_MIN;
    }
    entry->due_ns = monotonic_ns + jitter(source, wait_ns, RETRY_JITTER_PERCENT);
}

/* Makes the entry's credential of `svid` and the bundles of now. */
static hbk_status replace(struct hbk_ca_source *source, struct entry *entry, struct hbk_svid *svid,
                          struct hbk_error *error)
{
    struct hbk_tls_credential *credential = NULL;
    HBK_TRY(hbk_tls_credential_new(svid, source->provider->bundles(source->self),
                                   source->generation + 1, source->settings.engine, &credential,
                                   error));
    source->generation++;
    hbk_tls_credential_unref(entry->credential);
    entry->credential = credential;
    source->settings.on_credential(source->settings.context, entry->id, credential);
    return HBK_OK;
}

static enum hbk_tls_engine_kind engine_of(const struct entry *entry)
{
    return hbk_tls_context_engine(hbk_tls_credential_context(entry->credential));
}

/* HBK_NOT_FOUND when there is nothing newer than what we have. */
static hbk_status fetch(struct hbk_ca_source *source, struct entry *entry, int64_t realtime_ns,
                        struct hbk_error *error)
{
    struct hbk_svid *svid = NULL;
    HBK_TRY(source->provider->fetch(source->self, entry->id, realtime_ns, &svid, error));
    hbk_status status = HBK_OK;
    if (entry->credential != NULL && hbk_tls_credential_svid(entry->credential) == svid &&
        engine_of(entry) == source->settings.engine) {
        status = hbk_error_set(error, HBK_NOT_FOUND, "there is no newer certificate");
    } else {
        status = replace(source, entry, svid, error);
    }
    hbk_svid_unref(svid);
    return status;
}

/* What could not be had for `entry`, whose credential stays, is tried again later. */
static void tell_failure(struct hbk_ca_source *source, struct entry *entry, hbk_status status,
                         const struct hbk_error *error, uint64_t monotonic_ns, int64_t realtime_ns)
{
    plan_retry(source, entry, monotonic_ns, realtime_ns);
    const char *text = error->status == HBK_OK ? hbk_status_text(status) : error->text;
    (void)snprintf(entry->error, sizeof entry->error, "%.*s", HBK_CA_ERROR_BYTES_MAX - 1, text);
    hbk_log(HBK_LOG_WARN, "ca", "certificate of %.*s: %s; the present one %s; next try in %.1f s",
            HBK_SLICE_ARGS(entry->id->text), text,
            life_left_ns(entry, realtime_ns) > 0 ? "stays in use" : "is missing or expired",
            (double)(entry->due_ns - monotonic_ns) / (double)HBK_NS_PER_S);
}

static void renew(struct hbk_ca_source *source, struct entry *entry, uint64_t monotonic_ns,
                  int64_t realtime_ns)
{
    struct hbk_error error = {0};
    hbk_status status = fetch(source, entry, realtime_ns, &error);
    if (status == HBK_OK) {
        source->counts.issued++;
        plan_renewal(source, entry, monotonic_ns, realtime_ns);
        return;
    }
    source->counts.failed++;
    tell_failure(source, entry, status, &error, monotonic_ns, realtime_ns);
}

static struct entry *find(const struct hbk_ca_source *source, const struct hbk_spiffe_id *id)
{
    HBK_LIST_EACH (link, &source->entries) {
        struct entry *entry = HBK_CONTAINER(link, struct entry, link);
        if (hbk_spiffe_equal(entry->id, id)) {
            return entry;
        }
    }
    return NULL;
}

hbk_status hbk_ca_want(struct hbk_ca_source *source, const struct hbk_spiffe_id *id,
                       uint64_t monotonic_ns, int64_t realtime_ns)
{
    struct entry *entry = find(source, id);
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL) {
            return HBK_NO_MEMORY;
        }
        entry->id = hbk_spiffe_ref(id);
        hbk_list_append(&source->entries, &entry->link);
        renew(source, entry, monotonic_ns, realtime_ns);
    }
    entry->is_wanted = true;
    return HBK_OK;
}

void hbk_ca_mark(struct hbk_ca_source *source)
{
    HBK_LIST_EACH (link, &source->entries) {
        HBK_CONTAINER(link, struct entry, link)->is_wanted = false;
    }
}

void hbk_ca_sweep(struct hbk_ca_source *source)
{
    HBK_LIST_EACH (link, &source->entries) {
        struct entry *entry = HBK_CONTAINER(link, struct entry, link);
        if (!entry->is_wanted) {
            forget(entry);
        }
    }
}

struct hbk_tls_credential *hbk_ca_find(const struct hbk_ca_source *source,
                                       const struct hbk_spiffe_id *id)
{
    const struct entry *entry = find(source, id);
    return entry == NULL ? NULL : entry->credential;
}

uint64_t hbk_ca_next_due_ns(const struct hbk_ca_source *source)
{
    uint64_t due_ns = source->next_look_ns;
    HBK_LIST_EACH (link, &source->entries) {
        const struct entry *entry = HBK_CONTAINER(link, struct entry, link);
        due_ns = entry->due_ns < due_ns ? entry->due_ns : due_ns;
    }
    return due_ns;
}

/* The present certificate with the bundles and the engine of now. */
static hbk_status replace_context(struct hbk_ca_source *source, struct entry *entry,
                                  struct hbk_error *error)
{
    struct hbk_svid *svid =
        hbk_svid_ref((struct hbk_svid *)(uintptr_t)hbk_tls_credential_svid(entry->credential));
    hbk_status status = replace(source, entry, svid, error);
    hbk_svid_unref(svid);
    return status;
}

static void spread_bundles(struct hbk_ca_source *source)
{
    HBK_LIST_EACH (link, &source->entries) {
        struct entry *entry = HBK_CONTAINER(link, struct entry, link);
        struct hbk_error error = {0};
        if (entry->credential != NULL && replace_context(source, entry, &error) != HBK_OK) {
            hbk_log(HBK_LOG_WARN, "ca", "the new trust bundles are not used for %.*s: %s",
                    HBK_SLICE_ARGS(entry->id->text), error.text);
        }
    }
}

void hbk_ca_use_engine(struct hbk_ca_source *source, enum hbk_tls_engine_kind engine,
                       uint64_t monotonic_ns, int64_t realtime_ns)
{
    if (source->settings.engine == engine) {
        return;
    }
    source->settings.engine = engine;
    HBK_LIST_EACH (link, &source->entries) {
        struct entry *entry = HBK_CONTAINER(link, struct entry, link);
        struct hbk_error error = {0};
        hbk_status status =
            entry->credential == NULL ? HBK_OK : replace_context(source, entry, &error);
        if (status != HBK_OK) {
            hbk_log(HBK_LOG_ERROR, "ca", "engine %s is not to be had for %.*s, which stays with %s",
                    hbk_tls_engine_text(engine), HBK_SLICE_ARGS(entry->id->text),
                    hbk_tls_engine_text(engine_of(entry)));
            tell_failure(source, entry, status, &error, monotonic_ns, realtime_ns);
        }
    }
}

enum hbk_tls_engine_kind hbk_ca_engine(const struct hbk_ca_source *source)
{
    return source->settings.engine;
}

static void look(struct hbk_ca_source *source, uint64_t monotonic_ns)
{
    unsigned changes = 0;
    struct hbk_error error = {0};
    source->next_look_ns = monotonic_ns + HBK_CA_LOOK_NS;
    source->provider->look(source->self, &changes, &error);
    if (error.status != HBK_OK) {
        hbk_log(HBK_LOG_WARN, "ca", "%s; what was there before stays in use", error.text);
    }
    if ((changes & HBK_CA_CHANGE_BUNDLES) != 0) {
        hbk_log(HBK_LOG_INFO, "ca", "the trust bundles have changed");
        spread_bundles(source);
    }
    if ((changes & HBK_CA_CHANGE_LEAVES) != 0) {
        HBK_LIST_EACH (link, &source->entries) {
            HBK_CONTAINER(link, struct entry, link)->due_ns = monotonic_ns;
        }
    }
}

/* After a failure only the wait counts: a wrong clock must not make us ask without a pause. */
static bool is_due(const struct entry *entry, uint64_t monotonic_ns, int64_t realtime_ns)
{
    if (monotonic_ns >= entry->due_ns) {
        return true;
    }
    return entry->credential != NULL && entry->retry_ns == 0 &&
           (realtime_ns > entry->renew_at_ns ||
            realtime_ns < hbk_tls_credential_svid(entry->credential)->not_before_ns);
}

void hbk_ca_run_due(struct hbk_ca_source *source, uint64_t monotonic_ns, int64_t realtime_ns)
{
    if (monotonic_ns >= source->next_look_ns) {
        look(source, monotonic_ns);
    }
    unsigned renewed = 0;
    HBK_LIST_EACH (link, &source->entries) {
        struct entry *entry = HBK_CONTAINER(link, struct entry, link);
        if (renewed < HBK_CA_RENEWALS_MAX && is_due(entry, monotonic_ns, realtime_ns)) {
            renew(source, entry, monotonic_ns, realtime_ns);
            renewed++;
        }
    }
}

bool hbk_ca_next(const struct hbk_ca_source *source, const void **cursor,
                 struct hbk_ca_view *out_view)
{
    const struct hbk_link *link =
        *cursor == NULL ? source->entries.head.next : ((const struct hbk_link *)*cursor)->next;
    if (link == &source->entries.head) {
        return false;
    }
    const struct entry *entry = HBK_CONTAINER((uintptr_t)link, struct entry, link);
    *cursor = link;
    *out_view = (struct hbk_ca_view){entry->id, entry->credential, entry->error};
    return true;
}

struct hbk_ca_counts hbk_ca_counts(const struct hbk_ca_source *source)
{
    return source->counts;
}
