/*
 * Where this node's certificates come from, and their renewal: one credential per identity that is
 * wanted, renewed in time, kept while it is unexpired even when its source fails. Changed trust
 * bundles reach every credential at once. No loop, thread or clock in here: the caller brings both
 * times and comes back when it is due. Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "identity/authority.h"
#include "tls/credential.h"

/* How often files are looked at for changes. */
#define HBK_CA_LOOK_NS (UINT64_C(1000) * 1000 * 1000)

/* Between two tries after a failure (ambient.md 3c): the first, doubled, each a fifth more or less,
 * up to the last, and never more than a quarter of the life that is left. */
#define HBK_CA_RETRY_NS_MIN (UINT64_C(1000) * 1000 * 1000)
#define HBK_CA_RETRY_NS_MAX (UINT64_C(150) * 1000 * 1000 * 1000)

enum {
    /* In one hbk_ca_run_due(), since making a key takes a while; the rest comes in the next. */
    HBK_CA_RENEWALS_MAX = 32,
    HBK_CA_ERROR_BYTES_MAX = 256,
};

struct hbk_ca_source;

struct hbk_ca_settings {
    uint64_t life_ns;           /* of what the built-in CA issues */
    enum hbk_key_type key_type; /* likewise */

    enum hbk_tls_engine_kind engine; /* that credentials are made for; hbk_ca_use_engine() */

    /* A credential is there, the first, a renewed one, or one with other bundles or for another
     * engine. Borrowed during the call; take a reference to keep it. */
    void (*on_credential)(void *context, const struct hbk_spiffe_id *id,
                          struct hbk_tls_credential *credential);
    void *context;
};

/*
 * The built-in CA in a directory (see store.h). Its files may be changed: another root makes all
 * certificates anew, another bundle.pem or crl.pem is taken at once.
 * Fails: as hbk_ca_store_open() and hbk_ca_store_bundle().
 */
HBK_MUST_USE hbk_status hbk_ca_open_store(const char *path, const struct hbk_ca_settings *settings,
                                          struct hbk_ca_source **out_source,
                                          struct hbk_error *error);

/*
 * Files made elsewhere, in a directory (see folder.h).
 * Fails: the directory or a bundle in it cannot be read; the error says which file and why.
 */
HBK_MUST_USE hbk_status hbk_ca_open_folder(const char *path, const struct hbk_ca_settings *settings,
                                           struct hbk_ca_source **out_source,
                                           struct hbk_error *error);

/* Gives all credentials back. NULL is allowed. */
void hbk_ca_close(struct hbk_ca_source *source);

/* Begins to hold a credential for `id` and tries to get it at once. Idempotent. Fails:
 * HBK_NO_MEMORY; a source that cannot serve is tried again and told in the log. */
HBK_MUST_USE hbk_status hbk_ca_want(struct hbk_ca_source *source, const struct hbk_spiffe_id *id,
                                    uint64_t monotonic_ns, int64_t realtime_ns);

/* Forgets every identity that was not wanted since the last hbk_ca_mark(). */
void hbk_ca_mark(struct hbk_ca_source *source);
void hbk_ca_sweep(struct hbk_ca_source *source);

/*
 * Makes every credential anew for that engine, and all that come later. Certificates stay as they
 * are. A credential that the engine cannot be made for stays with the one before, which the log
 * says as loudly as a failed renewal, and is tried again like one. Nothing happens when it is the
 * engine already.
 */
void hbk_ca_use_engine(struct hbk_ca_source *source, enum hbk_tls_engine_kind engine,
                       uint64_t monotonic_ns, int64_t realtime_ns);

enum hbk_tls_engine_kind hbk_ca_engine(const struct hbk_ca_source *source);

/* Borrowed until the next call that may renew it; NULL while there is none. */
struct hbk_tls_credential *hbk_ca_find(const struct hbk_ca_source *source,
                                       const struct hbk_spiffe_id *id);

/* When hbk_ca_run_due() should be called next (monotonic); at most HBK_CA_LOOK_NS away. */
uint64_t hbk_ca_next_due_ns(const struct hbk_ca_source *source);

/* Looks at the files and renews what is due: by the passing of time, or because the realtime clock
 * was moved beyond a certificate's validity. */
void hbk_ca_run_due(struct hbk_ca_source *source, uint64_t monotonic_ns, int64_t realtime_ns);

/* One identity, for admin output. Borrowed until the next call that changes the source. */
struct hbk_ca_view {
    const struct hbk_spiffe_id *id;
    struct hbk_tls_credential *credential; /* NULL: there is none yet */
    const char *error;                     /* of the last try; "" when it was good */
};

/* Walks the identities: start with *cursor == NULL; false at the end. */
bool hbk_ca_next(const struct hbk_ca_source *source, const void **cursor,
                 struct hbk_ca_view *out_view);

struct hbk_ca_counts {
    uint64_t issued; /* certificates taken, the first and renewed ones */
    uint64_t failed; /* tries that failed */
};
struct hbk_ca_counts hbk_ca_counts(const struct hbk_ca_source *source);
