#include "speed/handshake_end.h"

#include <stdlib.h>

#include "base/clock.h"
#include "identity/authority.h"
#include "identity/bundle.h"
#include "identity/svid.h"
#include "identity/trust.h"
#include "speed/handshake_speaker.h"
#include "tls/ticket.h"

#define TRUST_DOMAIN "speed.test"
#define LEAF_LIFE_NS (UINT64_C(24) * 3600 * HBK_NS_PER_S)

const struct hbk_handshake_kind hbk_handshake_kinds[HBK_HANDSHAKE_KINDS] = {
    {.name = "tls13-rsa2048", .is_rsa = true, .is_cached = true},
    {.name = "tls13-p256", .is_cached = true},
    {.name = "tls13-p256-mutual", .is_mutual = true},
    {.name = "tls13-p256-mutual-cached", .is_mutual = true, .is_cached = true},
    {.name = "tls13-p256-mutual-alone", .is_mutual = true, .is_cached = true, .is_alone = true},
    {.name = "tls13-resume", .is_cached = true, .resumes = true},
    {.name = "tls12-ecdhe-rsa2048", .is_rsa = true, .is_cached = true, .is_tls12 = true},
};

struct hbk_handshake_scene {
    struct hbk_svid *p256; /* leaf and its issuer's chain, as a mesh presents it */
    struct hbk_svid *rsa;
    struct hbk_bundle_set *bundles;
    const struct hbk_trust *trust;
    struct hbk_tls_ticket_keys *ticket_keys;
};

bool hbk_handshake_kind_has(const struct hbk_handshake_kind *kind, enum hbk_handshake_engine engine,
                            bool is_server)
{
    switch (engine) {
    case HBK_HANDSHAKE_OPENSSL:
        return true;
    case HBK_HANDSHAKE_NATIVE:
        return !kind->is_tls12;
    case HBK_HANDSHAKE_OPENSSL_BATCHED:
        return !kind->is_tls12 || is_server;
    case HBK_HANDSHAKE_ENGINES:
        break;
    }
    return false;
}

/* ---- certificates ---- */

static hbk_status issue(const struct hbk_authority *authority, enum hbk_key_type type,
                        struct hbk_svid **out_svid, struct hbk_error *error)
{
    const struct hbk_spiffe_id *id = NULL;
    struct hbk_issued leaf;
    HBK_TRY(hbk_spiffe_intern(HBK_SLICE("spiffe://" TRUST_DOMAIN "/ns/speed/sa/leaf"), &id));
    hbk_issued_init(&leaf);
    hbk_status status = hbk_authority_issue(authority, id, type, LEAF_LIFE_NS,
                                            hbk_clock_realtime_ns(), &leaf, error);
    if (status == HBK_OK) {
        status = hbk_svid_from_pem(hbk_buffer_slice(&leaf.chain_pem),
                                   hbk_buffer_slice(&leaf.key_pem), out_svid, error);
    }
    hbk_issued_fini(&leaf);
    hbk_spiffe_unref(id);
    return status;
}

static hbk_status fill(struct hbk_handshake_scene *scene, const struct hbk_authority *authority,
                       struct hbk_error *error)
{
    struct hbk_bundle *bundle = NULL;
    HBK_TRY(issue(authority, HBK_KEY_ECDSA_P256, &scene->p256, error));
    HBK_TRY(issue(authority, HBK_KEY_RSA_2048, &scene->rsa, error));
    HBK_TRY(hbk_bundle_new(HBK_SLICE(TRUST_DOMAIN), hbk_authority_root_pem(authority),
                           hbk_slice_of(NULL, 0), &bundle, error));
    hbk_status status = hbk_bundle_set_new(&bundle, 1, &scene->bundles);
    hbk_bundle_unref(bundle);
    HBK_TRY(status);
    const struct hbk_trust_options options = {
        .rule = HBK_TRUST_SPIFFE,
        .bundles = scene->bundles,
    };
    HBK_TRY(hbk_trust_new(&options, &scene->trust));
    return hbk_tls_ticket_keys_new(NULL, 0, &scene->ticket_keys);
}

hbk_status hbk_handshake_scene_new(struct hbk_handshake_scene **out_scene, struct hbk_error *error)
{
    struct hbk_handshake_scene *scene = calloc(1, sizeof *scene);
    struct hbk_authority *authority = NULL;
    struct hbk_issued root;
    if (scene == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_issued_init(&root);
    hbk_status status =
        hbk_authority_make_root(HBK_SLICE(TRUST_DOMAIN), hbk_clock_realtime_ns(), &root, error);
    if (status == HBK_OK) {
        status = hbk_authority_new(hbk_buffer_slice(&root.chain_pem),
                                   hbk_buffer_slice(&root.key_pem), &authority, error);
    }
    if (status == HBK_OK) {
        status = fill(scene, authority, error);
    }
    hbk_authority_free(authority);
    hbk_issued_fini(&root);
    if (status != HBK_OK) {
        hbk_handshake_scene_free(scene);
        return status;
    }
    *out_scene = scene;
    return HBK_OK;
}

void hbk_handshake_scene_free(struct hbk_handshake_scene *scene)
{
    if (scene != NULL) {
        hbk_svid_unref(scene->p256);
        hbk_svid_unref(scene->rsa);
        hbk_bundle_set_unref(scene->bundles);
        hbk_trust_unref(scene->trust);
        hbk_tls_ticket_keys_unref(scene->ticket_keys);
        free(scene);
    }
}

/* ---- an end ---- */

/* What that end presents; NULL: nothing. */
static const struct hbk_svid *svid_of(const struct hbk_handshake_scene *scene,
                                      const struct hbk_handshake_kind *kind, bool is_server)
{
    if (is_server) {
        return kind->is_rsa ? scene->rsa : scene->p256;
    }
    return kind->is_mutual ? scene->p256 : NULL;
}

static hbk_status make_context(struct hbk_handshake_end *end,
                               const struct hbk_handshake_scene *scene,
                               const struct hbk_handshake_kind *kind,
                               enum hbk_handshake_engine engine, bool is_server,
                               struct hbk_error *error)
{
    const struct hbk_svid *svid = svid_of(scene, kind, is_server);
    struct hbk_tls_certificate_options certificate = {0};
    if (svid != NULL) {
        certificate.chain = svid->certificates;
        certificate.chain_count = svid->certificate_count;
        certificate.private_key = svid->private_key;
    }
    const struct hbk_tls_context_options options = {
        .engine = engine == HBK_HANDSHAKE_NATIVE ? HBK_TLS_ENGINE_NATIVE : HBK_TLS_ENGINE_OPENSSL,
        .certificates = svid == NULL ? NULL : &certificate,
        .certificate_count = svid == NULL ? 0 : 1,
        .trust = scene->trust,
        .client_certificate =
            kind->is_mutual ? HBK_TLS_CLIENT_CERTIFICATE_REQUIRED : HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .protocols = HBK_SLICE("\x02h2"),
        .requires_protocol = true,
        .ticket_keys = is_server && kind->resumes ? scene->ticket_keys : NULL,
        .ticket_count = 1,
        .resumes = !is_server && kind->resumes,
        .allows_tls12 = kind->is_tls12,
    };
    return hbk_tls_context_new(&options, &end->context, error);
}

hbk_status hbk_handshake_end_init(struct hbk_handshake_end *end,
                                  const struct hbk_handshake_scene *scene,
                                  const struct hbk_handshake_kind *kind,
                                  enum hbk_handshake_engine engine, bool is_server,
                                  struct hbk_error *error)
{
    struct hbk_batcher_options batcher;
    end->is_server = is_server;
    if (engine == HBK_HANDSHAKE_OPENSSL || !hbk_handshake_kind_has(kind, engine, is_server)) {
        end->speaker = &hbk_handshake_libssl;
        return hbk_handshake_libssl_new(kind, svid_of(scene, kind, is_server),
                                        scene->bundles->bundles[0], is_server, &end->libssl);
    }
    end->speaker = &hbk_handshake_session;
    hbk_batcher_options_init(&batcher);
    hbk_verdict_cache_init(&end->verdicts, HBK_VERDICT_CACHE_ENTRIES);
    HBK_TRY(make_context(end, scene, kind, engine, is_server, error));
    HBK_TRY(hbk_batcher_new(&batcher, &end->batcher));
    HBK_TRY(hbk_key_worker_new(end->batcher, &end->keys));
    const struct hbk_tls_worker_options worker = {
        .keys = end->keys,
        .verdicts = kind->is_cached ? &end->verdicts : NULL,
    };
    return hbk_tls_worker_new(&worker, &end->worker);
}

void hbk_handshake_end_fini(struct hbk_handshake_end *end)
{
    hbk_handshake_libssl_free(end->libssl);
    if (end->verdicts.entries_max == 0) {
        *end = (struct hbk_handshake_end){0};
        return; /* it has nothing of ours, or was never begun */
    }
    hbk_tls_worker_free(end->worker);
    if (end->keys != NULL) {
        hbk_key_worker_free(end->keys);
    }
    if (end->batcher != NULL) {
        hbk_batcher_free(end->batcher);
    }
    hbk_tls_context_unref(end->context);
    hbk_verdict_cache_fini(&end->verdicts);
    *end = (struct hbk_handshake_end){0};
}

void hbk_handshake_end_flush(struct hbk_handshake_end *end)
{
    while (end->keys != NULL && hbk_key_worker_due_ns(end->keys) == 0) {
        (void)hbk_key_worker_flush(end->keys, hbk_clock_monotonic_ns());
    }
}

double hbk_handshake_end_lanes(const struct hbk_handshake_end *end)
{
    uint64_t batches = 0;
    uint64_t jobs = 0;
    if (end->batcher == NULL) {
        return 0;
    }
    const struct hbk_batcher_counters *counters = hbk_batcher_counters(end->batcher);
    for (size_t queue = 0; queue < HBK_QUEUE_COUNT; queue++) {
        for (size_t i = 0; i < HBK_LANES; i++) {
            batches += counters->batches[queue][i];
            jobs += (i + 1) * counters->batches[queue][i];
        }
    }
    return batches == 0 ? 0 : (double)jobs / (double)batches;
}
