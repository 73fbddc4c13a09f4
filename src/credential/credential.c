/*
 * From the model to a TLS context. Everything is checked here, before a listener opens: a chain
 * that is none, a key of another certificate, a provider that cannot start.
 */
#include "credential/credential_build.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/secret_file.h"
#include "crypto/key_source.h"
#include "device/provider_set.h"
#include "identity/bundle.h"
#include "identity/certificate.h"
#include "identity/staple.h"
#include "identity/trust.h"
#include "os/file.h"
#include "tls/certificate.h"
#include "tls/ticket.h"

enum { TICKET_FILE_BYTES = 80, TICKET_NAME_BYTES = 16, TICKET_HMAC_BYTES = 32 };

static void finish(struct hbk_gw_building *building)
{
    for (uint32_t i = 0; i < building->certificate_count; i++) {
        hbk_tls_certificate_unref(building->certificates[i]);
    }
    hbk_certificates_fini(&building->chain);
    hbk_trust_unref(building->trust);
    hbk_bundle_unref(building->roots);
    hbk_bundle_set_unref(building->bundles);
    hbk_tls_ticket_keys_unref(building->tickets);
    hbk_gw_inventory_free(building->inventory);
    hbk_arena_wipe(&building->arena);
    hbk_arena_fini(&building->arena);
}

hbk_status hbk_gw_refuse(struct hbk_gw_building *building, const char *what)
{
    return hbk_error_set(building->error, HBK_UNSUPPORTED, "%s is not served yet", what);
}

void hbk_gw_vault_fini(struct hbk_gw_vault *vault)
{
    for (size_t i = 0; i < vault->watched_count; i++) {
        free(vault->watched[i]);
    }
    vault->watched_count = 0;
    hbk_tls_ticket_keys_unref(vault->tickets);
    vault->tickets = NULL;
    for (size_t i = 0; i < vault->bundle_count; i++) {
        hbk_bundle_unref(vault->bundles[i].bundle);
    }
    vault->bundle_count = 0;
    for (size_t i = 0; i < vault->provider_count; i++) {
        hbk_key_provider_unref(vault->providers[i].provider);
    }
    free(vault->providers);
    vault->providers = NULL;
    vault->provider_count = 0;
    for (size_t i = 0; i < vault->inventory_count; i++) {
        hbk_gw_inventory_free(vault->inventories[i]);
    }
    free(vault->inventories);
    vault->inventories = NULL;
    vault->inventory_count = 0;
    hbk_provider_set_free(vault->provider_set); /* outlives its providers */
    vault->provider_set = NULL;
}

void hbk_gw_vault_rotate_tickets(struct hbk_gw_vault *vault)
{
    hbk_status status =
        vault->tickets == NULL ? HBK_OK : hbk_tls_ticket_keys_rotate(vault->tickets);
    if (status != HBK_OK) {
        hbk_log(HBK_LOG_WARN, "gateway", "keys of session tickets stay as they are: %s",
                hbk_status_text(status));
    }
}

/* Remembers the directory of a file, once. */
static hbk_status watch_path(struct hbk_gw_vault *vault, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct hbk_slice directory = slash == NULL   ? HBK_SLICE(".")
                                 : slash == path ? HBK_SLICE("/")
                                                 : hbk_slice_of(path, (size_t)(slash - path));
    for (size_t i = 0; i < vault->watched_count; i++) {
        if (hbk_slice_equal(hbk_slice_text(vault->watched[i]), directory)) {
            return HBK_OK;
        }
    }
    if (vault->watched_count == HBK_GW_WATCHED_MAX) {
        return HBK_LIMIT;
    }
    char *copy = hbk_slice_to_string(directory);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    vault->watched[vault->watched_count++] = copy;
    return HBK_OK;
}

static bool is_of_file(const struct hbk_gw_sds_config *sds)
{
    return sds != NULL && sds->sds_config != NULL;
}

bool hbk_gw_uses_files(const struct hbk_gw_common_tls *common)
{
    if (common == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < common->tls_certificate_sds_secret_configs_count; i++) {
        if (is_of_file(&common->tls_certificate_sds_secret_configs[i])) {
            return true;
        }
    }
    return is_of_file(hbk_gw_validation_secret(common));
}

bool hbk_gw_downstream_uses_files(const struct hbk_gw_downstream_tls *config)
{
    return hbk_gw_uses_files(config->common_tls_context) ||
           (config->tickets == HBK_GW_TICKETS_SDS &&
            is_of_file(config->session_ticket_keys_sds_secret_config));
}

/* ---- data ---- */

hbk_status hbk_gw_read_data(struct hbk_gw_building *building,
                            const struct hbk_gw_data_source *source, size_t bytes_max,
                            struct hbk_slice *out_bytes)
{
    const char *name = NULL;
    hbk_status status = HBK_OK;
    switch ((enum hbk_gw_data_specifier)source->specifier) {
    case HBK_GW_DATA_NONE:
        *out_bytes = hbk_slice_of("", 0);
        return HBK_OK;
    case HBK_GW_DATA_INLINE_BYTES:
        *out_bytes = source->inline_bytes;
        return HBK_OK;
    case HBK_GW_DATA_INLINE_STRING:
        *out_bytes = source->inline_string;
        return HBK_OK;
    case HBK_GW_DATA_ENVIRONMENT:
        name = getenv((const char *)source->environment_variable.bytes);
        if (name == NULL) {
            return hbk_error_set(building->error, HBK_NOT_FOUND, "the environment has no \"%s\"",
                                 (const char *)source->environment_variable.bytes);
        }
        *out_bytes = hbk_slice_text(name);
        return HBK_OK;
    case HBK_GW_DATA_FILENAME:
        name = (const char *)source->filename.bytes;
        if (building->is_watched) {
            HBK_TRY(watch_path(building->vault, name));
        }
        status = hbk_file_read(&building->arena, name, bytes_max, out_bytes);
        return status == HBK_OK ? HBK_OK
                                : hbk_error_set(building->error, status, "cannot read %s: %s", name,
                                                hbk_status_text(status));
    }
    return HBK_OK;
}

const char *hbk_gw_source_name(const struct hbk_gw_data_source *source)
{
    return source != NULL && source->specifier == HBK_GW_DATA_FILENAME
               ? (const char *)source->filename.bytes
               : "<inline>";
}

/* ---- certificates and keys ---- */

/* A reference to the one that the owner has already; NULL: none. */
static struct hbk_key_provider *find_kept(const struct hbk_gw_building *building,
                                          enum hbk_key_provider_kind kind, uint64_t poll_delay_ns)
{
    const struct hbk_gw_vault *vault = building->vault;
    for (size_t i = 0; i < vault->provider_count; i++) {
        const struct hbk_gw_provider *kept = &vault->providers[i];
        const struct hbk_key_provider_options *its = hbk_key_provider_options(kept->provider);
        if (kept->owner == building->owner && its->kind == kind &&
            its->poll_delay_ns == poll_delay_ns) {
            return hbk_key_provider_ref(kept->provider);
        }
    }
    return NULL;
}

static void keep(struct hbk_gw_building *building, struct hbk_key_provider *provider)
{
    struct hbk_gw_vault *vault = building->vault;
    struct hbk_gw_provider *list =
        vault->provider_count == HBK_GW_PROVIDERS_MAX
            ? NULL
            : reallocarray(vault->providers, vault->provider_count + 1, sizeof *list);
    if (list != NULL) {
        vault->providers = list;
        list[vault->provider_count++] = (struct hbk_gw_provider){
            .owner = building->owner, .provider = hbk_key_provider_ref(provider)};
    }
}

/* The provider that a key names, or NULL with the reason if there is none: the fallback decides. */
static hbk_status find_provider(struct hbk_gw_building *building,
                                const struct hbk_gw_key_provider *config,
                                struct hbk_key_provider **out_provider, struct hbk_error *reason)
{
    struct hbk_gw_vault *vault = building->vault;
    const struct hbk_gw_key_method *method = config->typed_config.message;
    const enum hbk_key_provider_kind kind =
        config->typed_config.kind == HBK_GW_QAT ? HBK_KEY_PROVIDER_QAT : HBK_KEY_PROVIDER_CRYPTOMB;
    *out_provider = find_kept(building, kind, method->poll_delay);
    if (*out_provider != NULL) {
        return HBK_OK;
    }
    if (vault->provider_set == NULL) {
        HBK_TRY(hbk_provider_set_new(NULL, &vault->provider_set));
    }
    hbk_status status = hbk_provider_set_get(vault->provider_set, hbk_key_provider_kind_text(kind),
                                             method->poll_delay, out_provider, reason);
    if (status == HBK_UNSUPPORTED) {
        *out_provider = NULL;
        return HBK_OK;
    }
    if (status != HBK_OK) {
        return hbk_error_set(building->error, status, "%s", reason->text);
    }
    keep(building, *out_provider);
    return HBK_OK;
}

static hbk_status load_key(struct hbk_gw_building *building,
                           const struct hbk_gw_tls_certificate *config,
                           struct hbk_private_key **out_key)
{
    struct hbk_key_source source = {0};
    struct hbk_error reason = {.status = HBK_OK}; /* why the provider is not available */
    struct hbk_error missing;                     /* the same, where the fallback serves */
    if (config->password != NULL) {
        HBK_TRY(hbk_gw_read_data(building, config->password, HBK_KEY_PASSWORD_BYTES_MAX,
                                 &source.password));
    }
    if (config->private_key != NULL) {
        HBK_TRY(hbk_gw_read_data(building, config->private_key, HBK_KEY_PEM_BYTES_MAX,
                                 &source.key_pem));
    }
    const struct hbk_gw_key_provider *provider = config->private_key_provider;
    if (provider != NULL) {
        const struct hbk_gw_key_method *method = provider->typed_config.message;
        source.provider_name = (const char *)provider->provider_name.bytes;
        source.has_fallback = provider->fallback;
        HBK_TRY(hbk_gw_read_data(building, method->private_key, HBK_KEY_PEM_BYTES_MAX,
                                 &source.provider_key_pem));
        HBK_TRY(find_provider(building, provider, &source.provider, &reason));
        source.provider_failure = reason.text;
    }
    hbk_status status = hbk_private_key_from_source(&source, out_key, &missing, building->error);
    hbk_key_provider_unref(source.provider);
    if (status == HBK_OK && missing.status != HBK_OK) {
        hbk_log(HBK_LOG_WARN, "gateway",
                "certificate %s: its key is served without the provider %s: %s",
                hbk_gw_source_name(config->certificate_chain), source.provider_name, missing.text);
    }
    return status;
}

/* Chains of one authority end alike: the signers of the last one are not read again. */
static hbk_status read_chain(struct hbk_gw_building *building,
                             const struct hbk_gw_tls_certificate *config)
{
    struct hbk_slice pem;
    struct hbk_certificates chain;
    HBK_TRY(hbk_gw_read_data(building, config->certificate_chain, HBK_GW_CHAIN_BYTES_MAX, &pem));
    HBK_TRY(hbk_certificates_read_beside(pem, HBK_CHAIN_CERTIFICATES_MAX, &building->chain, &chain,
                                         building->error));
    hbk_certificates_fini(&building->chain);
    building->chain = chain;
    return HBK_OK;
}

/*
 * A response that has run out is never sent. Whether a certificate is then used without is for the
 * policy to say, or for the certificate. Envoy refuses a response that has run out at the start,
 * unless it is lenient; here the certificate is as it would be an hour later.
 */
static hbk_status judge_staple(struct hbk_gw_building *building, const X509 *leaf,
                               struct hbk_slice staple, int64_t *out_until_ns, bool *out_is_needed)
{
    bool is_required = hbk_staple_is_required(leaf);
    if (staple.size == 0) {
        const char *who = is_required ? "the certificate demands a stapled OCSP response"
                          : building->staple_policy == HBK_GW_MUST_STAPLE
                              ? "MUST_STAPLE demands an OCSP response"
                              : NULL;
        return who == NULL ? HBK_OK
                           : hbk_error_set(building->error, HBK_INVALID,
                                           "%s, and there is no ocsp_staple", who);
    }
    HBK_TRY(hbk_staple_read(staple, leaf, out_until_ns, building->error));
    *out_is_needed = is_required || building->staple_policy != HBK_GW_LENIENT_STAPLING;
    if (hbk_clock_realtime_ns() >= *out_until_ns) {
        hbk_log(HBK_LOG_WARN, "gateway", "an OCSP response has run out and is not stapled");
    }
    return HBK_OK;
}

static hbk_status make_certificate(struct hbk_gw_building *building,
                                   const struct hbk_gw_tls_certificate *config,
                                   struct hbk_private_key *key)
{
    uint32_t index = building->certificate_count;
    struct hbk_tls_certificate_options options = {
        .chain = building->chain.items,
        .chain_count = building->chain.count,
        .key = key,
        .beside = index > 0 ? building->certificates[index - 1] : NULL,
    };
    if (config->ocsp_staple != NULL) {
        HBK_TRY(hbk_gw_read_data(building, config->ocsp_staple, HBK_TLS_STAPLE_BYTES_MAX,
                                 &options.staple));
    }
    HBK_TRY(judge_staple(building, building->chain.items[0], options.staple,
                         &options.staple_until_ns, &options.needs_staple));
    HBK_TRY(hbk_gw_limit_schemes(building, &options));
    HBK_TRY(hbk_tls_certificate_new(&options, &building->certificates[index], building->error));
    building->certificate_count++;
    return hbk_gw_inventory_add_presented(building->inventory, building->certificates[index],
                                          hbk_gw_source_name(config->certificate_chain));
}

static hbk_status read_certificate(struct hbk_gw_building *building,
                                   const struct hbk_gw_tls_certificate *config)
{
    struct hbk_private_key *key = NULL;
    hbk_status status = read_chain(building, config);
    if (status != HBK_OK) {
        hbk_error_prefix(building->error, "certificate chain %s",
                         hbk_gw_source_name(config->certificate_chain));
        return status;
    }
    status = load_key(building, config, &key);
    if (status == HBK_OK) {
        status = make_certificate(building, config, key);
    }
    if (status != HBK_OK) {
        hbk_error_prefix(building->error, "certificate %s",
                         hbk_gw_source_name(config->certificate_chain));
    }
    hbk_private_key_unref(key);
    return status;
}

/* The texts are needed for a moment only, and there may be ten thousand pairs. */
static hbk_status add_certificate(struct hbk_gw_building *building,
                                  const struct hbk_gw_tls_certificate *config)
{
    struct hbk_arena kept = building->arena;
    hbk_arena_init(&building->arena);
    hbk_status status = read_certificate(building, config);
    hbk_arena_wipe(&building->arena);
    hbk_arena_fini(&building->arena);
    building->arena = kept;
    return status;
}

/* The secret of a name: one of the bootstrap, or of the file that its source names. */
hbk_status hbk_gw_fetch_secret(struct hbk_gw_building *building,
                               const struct hbk_gw_sds_config *sds,
                               const struct hbk_gw_secret **out_secret)
{
    struct hbk_report report;
    const struct hbk_gw_config_source *source = sds->sds_config;
    if (source == NULL) {
        *out_secret = hbk_gw_find_secret(building->vault->resources, sds->name);
        return *out_secret != NULL ? HBK_OK : HBK_NOT_FOUND;
    }
    const char *path = source->path_config_source != NULL
                           ? (const char *)source->path_config_source->path.bytes
                           : (const char *)source->path.bytes;
    HBK_TRY(watch_path(building->vault, path));
    building->is_watched = true;
    hbk_status status =
        hbk_secret_file_load(path, sds->name, &building->arena, out_secret, &report);
    if (status == HBK_OK) {
        return hbk_gw_inventory_add_secret(building->inventory, *out_secret);
    }
    return report.count == 0 ? status
                             : hbk_error_set(building->error, status, "%s", report.lines[0]);
}

static hbk_status add_certificates(struct hbk_gw_building *building,
                                   const struct hbk_gw_common_tls *common)
{
    uint32_t count = common->tls_certificates_count;
    uint32_t named = common->tls_certificate_sds_secret_configs_count;
    uint32_t all = count + named;
    if (all > HBK_TLS_CERTIFICATES_MAX) {
        return hbk_error_set(building->error, HBK_LIMIT, "more than %d certificates",
                             HBK_TLS_CERTIFICATES_MAX);
    }
    building->certificates =
        hbk_arena_array(&building->arena, all, sizeof(struct hbk_tls_certificate *));
    if (building->certificates == NULL) {
        return hbk_error_set(building->error, HBK_NO_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < count; i++) {
        HBK_TRY(add_certificate(building, &common->tls_certificates[i]));
    }
    for (uint32_t i = 0; i < named; i++) {
        const struct hbk_gw_secret *secret = NULL;
        HBK_TRY(
            hbk_gw_fetch_secret(building, &common->tls_certificate_sds_secret_configs[i], &secret));
        if (secret->tls_certificate == NULL) {
            return hbk_error_set(building->error, HBK_INVALID,
                                 "the secret \"%s\" is no certificate",
                                 (const char *)secret->name.bytes);
        }
        HBK_TRY(add_certificate(building, secret->tls_certificate));
        building->is_watched = false;
    }
    building->options.made = building->certificates;
    building->options.made_count = all;
    return HBK_OK;
}

/* ---- protocols and tickets ---- */

static hbk_status add_protocols(struct hbk_gw_building *building,
                                const struct hbk_gw_common_tls *common, const char *otherwise)
{
    struct hbk_slice single = otherwise == NULL ? hbk_slice_of("", 0) : hbk_slice_text(otherwise);
    const struct hbk_slice *names = common->alpn_protocols;
    uint32_t count = common->alpn_protocols_count;
    if (count == 0 && single.size > 0) {
        names = &single;
        count = 1;
    }
    struct hbk_span room = hbk_arena_bytes(&building->arena, HBK_TLS_PROTOCOLS_BYTES_MAX);
    size_t used = 0;
    if (room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (used + 1 + names[i].size > room.size) {
            return hbk_error_set(building->error, HBK_LIMIT,
                                 "alpn_protocols is longer than %d bytes",
                                 HBK_TLS_PROTOCOLS_BYTES_MAX);
        }
        room.bytes[used++] = (uint8_t)names[i].size;
        memcpy(room.bytes + used, names[i].bytes, names[i].size);
        used += names[i].size;
    }
    building->options.protocols = hbk_slice_of(room.bytes, used);
    return HBK_OK;
}

/* Keys of 80 bytes as OpenSSL's servers use them: name, HMAC, AES. Ours need a name and 32 bytes.
 */
static hbk_status read_ticket_keys(struct hbk_gw_building *building,
                                   const struct hbk_gw_ticket_keys *config)
{
    struct hbk_slice *keys = hbk_arena_array(&building->arena, config->keys_count, sizeof *keys);
    if (keys == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < config->keys_count; i++) {
        struct hbk_slice bytes;
        HBK_TRY(hbk_gw_read_data(building, &config->keys[i], TICKET_FILE_BYTES, &bytes));
        struct hbk_span key = hbk_arena_bytes(&building->arena, HBK_TLS_TICKET_KEY_BYTES);
        if (bytes.size != TICKET_FILE_BYTES || key.bytes == NULL) {
            return hbk_error_set(
                building->error, HBK_INVALID, "session ticket key %s has %zu bytes; allowed: %d",
                hbk_gw_source_name(&config->keys[i]), bytes.size, TICKET_FILE_BYTES);
        }
        memcpy(key.bytes, bytes.bytes, TICKET_NAME_BYTES);
        memcpy(key.bytes + TICKET_NAME_BYTES, bytes.bytes + TICKET_NAME_BYTES + TICKET_HMAC_BYTES,
               HBK_TLS_TICKET_KEY_BYTES - TICKET_NAME_BYTES);
        keys[i] = hbk_slice_of(key.bytes, key.size);
    }
    return hbk_tls_ticket_keys_new(keys, config->keys_count, &building->tickets);
}

/* One set for the process: what a ticket may be used for is bound into it. */
static hbk_status use_own_keys(struct hbk_gw_building *building)
{
    struct hbk_gw_vault *vault = building->vault;
    if (vault->tickets == NULL) {
        HBK_TRY(hbk_tls_ticket_keys_new(NULL, 0, &vault->tickets));
    }
    building->tickets = hbk_tls_ticket_keys_ref(vault->tickets);
    return HBK_OK;
}

static hbk_status add_tickets(struct hbk_gw_building *building,
                              const struct hbk_gw_downstream_tls *config)
{
    const struct hbk_gw_secret *secret = NULL;
    hbk_status status = HBK_OK;
    building->options.ticket_lifetime_s = (uint32_t)(config->session_timeout / HBK_NS_PER_S);
    switch ((enum hbk_gw_ticket_kind)config->tickets) {
    case HBK_GW_TICKETS_SDS:
        HBK_TRY(
            hbk_gw_fetch_secret(building, config->session_ticket_keys_sds_secret_config, &secret));
        if (secret->session_ticket_keys == NULL) {
            return hbk_error_set(building->error, HBK_INVALID,
                                 "the secret \"%s\" has no session ticket keys",
                                 (const char *)secret->name.bytes);
        }
        status = read_ticket_keys(building, secret->session_ticket_keys);
        building->is_watched = false;
        break;
    case HBK_GW_TICKETS_STATIC:
        status = read_ticket_keys(building, config->session_ticket_keys);
        break;
    case HBK_GW_TICKETS_SWITCH:
        if (config->disable_stateless_session_resumption) {
            return HBK_OK;
        }
        status = use_own_keys(building);
        break;
    case HBK_GW_TICKETS_OWN:
        status = use_own_keys(building);
        break;
    }
    building->options.ticket_keys = building->tickets;
    return status;
}

/* ---- the whole ---- */

static hbk_status build_downstream(struct hbk_gw_building *building,
                                   const struct hbk_gw_downstream_tls *config)
{
    const struct hbk_gw_common_tls *common = config->common_tls_context;
    building->staple_policy = config->ocsp_staple_policy;
    HBK_TRY(hbk_gw_add_parameters(building, common->tls_params));
    building->options.prefers_client_suites = config->prefer_client_ciphers;
    HBK_TRY(add_certificates(building, common));
    HBK_TRY(hbk_gw_add_trust(building, common, true, config->require_client_certificate));
    HBK_TRY(add_protocols(building, common, NULL));
    return add_tickets(building, config);
}

static hbk_status build_upstream(struct hbk_gw_building *building,
                                 const struct hbk_gw_upstream_tls *config, const char *protocol)
{
    static const struct hbk_gw_common_tls defaults;
    const struct hbk_gw_common_tls *common =
        config->common_tls_context == NULL ? &defaults : config->common_tls_context;
    if (config->auto_host_sni || config->auto_sni_san_validation) {
        return hbk_gw_refuse(building, "auto_host_sni and auto_sni_san_validation");
    }
    HBK_TRY(hbk_gw_add_parameters(building, common->tls_params));
    HBK_TRY(add_certificates(building, common));
    HBK_TRY(hbk_gw_add_trust(building, common, false, false));
    return add_protocols(building, common, protocol);
}

static hbk_status begin(struct hbk_gw_building *building, struct hbk_gw_vault *vault,
                        const void *owner, struct hbk_error *error)
{
    *building = (struct hbk_gw_building){.vault = vault, .error = error, .owner = owner};
    hbk_arena_init(&building->arena);
    building->inventory = hbk_gw_inventory_new(owner);
    return building->inventory == NULL ? HBK_NO_MEMORY : HBK_OK;
}

/* In the place of the one that its owner had. Takes the building's on success. */
static hbk_status keep_inventory(struct hbk_gw_building *building)
{
    struct hbk_gw_vault *vault = building->vault;
    size_t place = 0;
    while (place < vault->inventory_count && vault->inventories[place]->owner != building->owner) {
        place++;
    }
    if (place == vault->inventory_count) {
        struct hbk_gw_inventory **list = reallocarray(vault->inventories, place + 1, sizeof *list);
        if (list == NULL) {
            return HBK_NO_MEMORY;
        }
        vault->inventories = list;
        list[vault->inventory_count++] = NULL;
    }
    hbk_gw_inventory_free(vault->inventories[place]);
    vault->inventories[place] = building->inventory;
    building->inventory = NULL;
    return HBK_OK;
}

static hbk_status conclude(struct hbk_gw_building *building, hbk_status status,
                           struct hbk_tls_context **out_context)
{
    if (status == HBK_OK) {
        status = hbk_tls_context_new(&building->options, out_context, building->error);
    }
    if (status == HBK_OK) {
        status = keep_inventory(building);
        if (status != HBK_OK) {
            hbk_tls_context_unref(*out_context);
            *out_context = NULL;
        }
    }
    if (status != HBK_OK) {
        (void)hbk_error_set(building->error, status, "%s", hbk_status_text(status));
    }
    finish(building);
    return status;
}

hbk_status hbk_gw_downstream_context(struct hbk_gw_vault *vault,
                                     const struct hbk_gw_downstream_tls *config,
                                     struct hbk_tls_context **out_context, struct hbk_error *error)
{
    struct hbk_gw_building building;
    hbk_status status = begin(&building, vault, config, error);
    return conclude(&building, status == HBK_OK ? build_downstream(&building, config) : status,
                    out_context);
}

hbk_status hbk_gw_upstream_context(struct hbk_gw_vault *vault,
                                   const struct hbk_gw_upstream_tls *config, const char *protocol,
                                   struct hbk_tls_context **out_context, struct hbk_error *error)
{
    struct hbk_gw_building building;
    hbk_status status = begin(&building, vault, config, error);
    return conclude(&building,
                    status == HBK_OK ? build_upstream(&building, config, protocol) : status,
                    out_context);
}
