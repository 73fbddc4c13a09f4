/*
 * Whom a TLS context of the gateway believes: roots, lists, names and fingerprints of a validation
 * context, or the trust domains of a SPIFFE validator.
 */
#include "credential/credential_build.h"
#include "credential/name_check.h"

/* ---- which context ---- */

const struct hbk_gw_sds_config *hbk_gw_validation_secret(const struct hbk_gw_common_tls *common)
{
    switch ((enum hbk_gw_validation_kind)common->validation) {
    case HBK_GW_VALIDATION_NONE:
    case HBK_GW_VALIDATION_STATIC:
        break;
    case HBK_GW_VALIDATION_SDS:
        return common->validation_context_sds_secret_config;
    case HBK_GW_VALIDATION_COMBINED:
        return common->combined_validation_context->validation_context_sds_secret_config;
    }
    return NULL;
}

/* One list behind the other; NULL: no memory. */
static void *join(struct hbk_arena *arena, const void *first, uint32_t first_count,
                  const void *second, uint32_t second_count, size_t item_bytes)
{
    uint8_t *both = hbk_arena_array(arena, (size_t)first_count + second_count, item_bytes);
    if (both != NULL && first_count > 0) {
        memcpy(both, first, first_count * item_bytes);
    }
    if (both != NULL && second_count > 0) {
        memcpy(both + first_count * item_bytes, second, second_count * item_bytes);
    }
    return both;
}

#define JOIN(member)                                                                \
    (merged->member = join(arena, base->member, base->member##_count, over->member, \
                           over->member##_count, sizeof *base->member),             \
     merged->member##_count = base->member##_count + over->member##_count, merged->member != NULL)

#define TAKE(member) (merged->member = over->member != 0 ? over->member : base->member)

/* As protobuf merges messages: what the second says counts, lists are joined, a switch that either
 * sets is set. */
static hbk_status merge(struct hbk_arena *arena, const struct hbk_gw_validation_context *base,
                        const struct hbk_gw_validation_context *over,
                        const struct hbk_gw_validation_context **out_merged)
{
    struct hbk_gw_validation_context *merged = hbk_arena_take(arena, sizeof *merged);
    if (merged == NULL) {
        return HBK_NO_MEMORY;
    }
    *merged = *base;
    TAKE(trusted_ca);
    TAKE(crl);
    TAKE(watched_directory);
    TAKE(trust_chain_verification);
    TAKE(custom_validator_config);
    TAKE(allow_expired_certificate);
    TAKE(only_verify_leaf_cert_crl);
    if (over->has_max_verify_depth != 0) {
        merged->has_max_verify_depth = 1;
        merged->max_verify_depth = over->max_verify_depth;
    }
    *out_merged = merged;
    return JOIN(verify_certificate_spki) && JOIN(verify_certificate_hash) &&
                   JOIN(match_typed_subject_alt_names) && JOIN(match_subject_alt_names)
               ? HBK_OK
               : HBK_NO_MEMORY;
}

/* NULL: there is none. */
static hbk_status find_validation(struct hbk_gw_building *building,
                                  const struct hbk_gw_common_tls *common,
                                  const struct hbk_gw_validation_context **out_context)
{
    const struct hbk_gw_sds_config *sds = hbk_gw_validation_secret(common);
    const struct hbk_gw_secret *secret = NULL;
    *out_context =
        common->validation == HBK_GW_VALIDATION_STATIC ? common->validation_context : NULL;
    if (sds == NULL) {
        return HBK_OK;
    }
    HBK_TRY(hbk_gw_fetch_secret(building, sds, &secret));
    if (secret->validation_context == NULL) {
        return hbk_error_set(building->error, HBK_INVALID,
                             "the secret \"%s\" is no validation context",
                             (const char *)secret->name.bytes);
    }
    *out_context = secret->validation_context;
    return common->validation == HBK_GW_VALIDATION_COMBINED
               ? merge(&building->arena,
                       common->combined_validation_context->default_validation_context,
                       secret->validation_context, out_context)
               : HBK_OK;
}

/* ---- roots and lists, kept once ---- */

static void hash_part(struct hbk_hash_state *state, struct hbk_slice part)
{
    hbk_hash_update(state, hbk_slice_of(&part.size, sizeof part.size));
    hbk_hash_update(state, part);
}

/* Bundles that no context uses any more make room. */
static void drop_unused(struct hbk_gw_vault *vault)
{
    size_t kept = 0;
    for (size_t i = 0; i < vault->bundle_count; i++) {
        if (hbk_bundle_is_shared(vault->bundles[i].bundle)) {
            vault->bundles[kept++] = vault->bundles[i];
        } else {
            hbk_bundle_unref(vault->bundles[i].bundle);
        }
    }
    vault->bundle_count = kept;
}

/* `trust_domain` without bytes: roots of any kind. */
static hbk_status find_bundle(struct hbk_gw_building *building, struct hbk_slice trust_domain,
                              struct hbk_slice roots, struct hbk_slice crl,
                              struct hbk_bundle **out_bundle)
{
    struct hbk_gw_vault *vault = building->vault;
    struct hbk_hash_state state;
    struct hbk_gw_known_bundle known;
    hbk_hash_init(&state, HBK_HASH_SHA256);
    hash_part(&state, trust_domain);
    hash_part(&state, roots);
    hash_part(&state, crl);
    hbk_hash_digest(&state, known.sha256);
    for (size_t i = 0; i < vault->bundle_count; i++) {
        if (memcmp(vault->bundles[i].sha256, known.sha256, sizeof known.sha256) == 0) {
            *out_bundle = hbk_bundle_ref(vault->bundles[i].bundle);
            return HBK_OK;
        }
    }
    HBK_TRY(trust_domain.bytes == NULL
                ? hbk_bundle_new_roots(roots, crl, out_bundle, building->error)
                : hbk_bundle_new(trust_domain, roots, crl, out_bundle, building->error));
    drop_unused(vault);
    if (vault->bundle_count < HBK_GW_BUNDLES_MAX) {
        known.bundle = hbk_bundle_ref(*out_bundle);
        vault->bundles[vault->bundle_count++] = known;
    }
    return HBK_OK;
}

/* ---- what it means ---- */

static hbk_status note_roots(struct hbk_gw_building *building, const struct hbk_bundle *bundle,
                             const struct hbk_gw_data_source *source)
{
    return hbk_gw_inventory_add_authorities(building->inventory, bundle->roots, bundle->root_count,
                                            hbk_gw_source_name(source));
}

/* The roots of one trust domain of a SPIFFE validator. */
static hbk_status read_domain(struct hbk_gw_building *building,
                              const struct hbk_gw_spiffe_domain *domain,
                              struct hbk_bundle **out_bundle)
{
    struct hbk_slice roots;
    HBK_TRY(hbk_gw_read_data(building, domain->trust_bundle, HBK_BUNDLE_BYTES_MAX, &roots));
    hbk_status status =
        find_bundle(building, domain->name, roots, hbk_slice_of(NULL, 0), out_bundle);
    if (status != HBK_OK) {
        hbk_error_prefix(building->error, "trust_bundle %s of trust domain \"%s\"",
                         hbk_gw_source_name(domain->trust_bundle),
                         (const char *)domain->name.bytes);
        return status;
    }
    status = note_roots(building, *out_bundle, domain->trust_bundle);
    if (status != HBK_OK) {
        hbk_bundle_unref(*out_bundle);
    }
    return status;
}

static hbk_status read_domains(struct hbk_gw_building *building,
                               const struct hbk_gw_spiffe_validator *validator,
                               struct hbk_bundle_set **out_set)
{
    uint32_t count = validator->trust_domains_count;
    if (count > HBK_BUNDLE_SET_MAX) {
        return hbk_error_set(building->error, HBK_LIMIT, "%u trust domains; allowed: %d", count,
                             HBK_BUNDLE_SET_MAX);
    }
    struct hbk_bundle **bundles =
        hbk_arena_array(&building->arena, count, sizeof(struct hbk_bundle *));
    hbk_status status = bundles == NULL ? HBK_NO_MEMORY : HBK_OK;
    uint32_t read = 0;
    while (status == HBK_OK && read < count) {
        status = read_domain(building, &validator->trust_domains[read], &bundles[read]);
        read += status == HBK_OK;
    }
    if (status == HBK_OK) {
        status = hbk_bundle_set_new(bundles, count, out_set);
        if (status == HBK_EXISTS) {
            (void)hbk_error_set(building->error, status, "two trust domains of one name");
        }
    }
    for (uint32_t i = 0; i < read; i++) {
        hbk_bundle_unref(bundles[i]);
    }
    return status;
}

/* The validator looks at URI names alone, so a matcher for others would never be asked. */
static hbk_status check_matchers(struct hbk_gw_building *building,
                                 const struct hbk_gw_validation_context *context)
{
    bool is_uri = context->match_subject_alt_names_count == 0 &&
                  context->verify_certificate_hash_count == 0 &&
                  context->verify_certificate_spki_count == 0;
    for (uint32_t i = 0; i < context->match_typed_subject_alt_names_count; i++) {
        is_uri &= context->match_typed_subject_alt_names[i].san_type == HBK_GW_SAN_URI;
    }
    return is_uri ? HBK_OK
                  : hbk_error_set(building->error, HBK_INVALID,
                                  "beside a SPIFFE validator only match_typed_subject_alt_names of "
                                  "san_type URI are allowed");
}

static hbk_status read_roots(struct hbk_gw_building *building,
                             const struct hbk_gw_validation_context *context)
{
    struct hbk_slice roots, crl = hbk_slice_of(NULL, 0);
    HBK_TRY(hbk_gw_read_data(building, context->trusted_ca, HBK_GW_SECRET_BYTES_MAX, &roots));
    if (context->crl != NULL) {
        HBK_TRY(hbk_gw_read_data(building, context->crl, HBK_BUNDLE_CRL_BYTES_MAX, &crl));
    }
    hbk_status status = find_bundle(building, hbk_slice_of(NULL, 0), roots, crl, &building->roots);
    if (status != HBK_OK) {
        hbk_error_prefix(building->error, "trusted_ca %s", hbk_gw_source_name(context->trusted_ca));
        return status;
    }
    return note_roots(building, building->roots, context->trusted_ca);
}

/* ACCEPT_UNTRUSTED asks for a certificate and believes each: whoever configures it looks at the
 * result elsewhere. */
static hbk_status make_options(struct hbk_gw_building *building,
                               const struct hbk_gw_validation_context *context,
                               struct hbk_trust_options *options)
{
    *options = (struct hbk_trust_options){
        .rule = HBK_TRUST_ANYBODY,
        .lists = context->only_verify_leaf_cert_crl ? HBK_TRUST_LISTS_LEAF : HBK_TRUST_LISTS_STRICT,
        .ignores_time = context->allow_expired_certificate,
        .limits_depth = context->has_max_verify_depth != 0,
        .depth_max = context->max_verify_depth,
    };
    const char *gap = hbk_gw_validation_gap(context);
    if (gap != NULL) {
        return hbk_error_set(building->error, HBK_INVALID, "%s", gap);
    }
    if (context->trust_chain_verification != 0) {
        return HBK_OK;
    }
    if (context->custom_validator_config != NULL) {
        HBK_TRY(check_matchers(building, context));
        HBK_TRY(read_domains(building, context->custom_validator_config->typed_config.message,
                             &building->bundles));
        options->rule = HBK_TRUST_SPIFFE;
        options->bundles = building->bundles;
    } else if (context->trusted_ca != NULL) {
        HBK_TRY(read_roots(building, context));
        options->rule = HBK_TRUST_NAME;
        options->ignores_host = true;
        options->roots = building->roots;
    }
    return hbk_gw_name_check_new(context, options, building->error);
}

static bool believes_somebody(const struct hbk_gw_validation_context *context)
{
    return context != NULL &&
           (context->trusted_ca != NULL || context->custom_validator_config != NULL ||
            context->verify_certificate_hash_count > 0 ||
            context->verify_certificate_spki_count > 0);
}

hbk_status hbk_gw_add_trust(struct hbk_gw_building *building,
                            const struct hbk_gw_common_tls *common, bool is_server,
                            bool is_required)
{
    static const struct hbk_gw_validation_context nobody;
    const struct hbk_gw_validation_context *context = NULL;
    struct hbk_trust_options options;
    HBK_TRY(find_validation(building, common, &context));
    building->options.client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE;
    if (is_server && !believes_somebody(context) && !is_required) {
        building->is_watched = false;
        return HBK_OK;
    }
    HBK_TRY(make_options(building, context == NULL ? &nobody : context, &options));
    building->is_watched = false;
    hbk_status status = hbk_trust_new(&options, &building->trust);
    if (status != HBK_OK && options.free_owner != NULL) {
        options.free_owner(options.owner);
    }
    HBK_TRY(status);
    building->options.trust = building->trust;
    if (is_server) {
        building->options.client_certificate =
            is_required ? HBK_TLS_CLIENT_CERTIFICATE_REQUIRED : HBK_TLS_CLIENT_CERTIFICATE_ASKED;
    }
    return HBK_OK;
}
