/* TLS parameters: versions, curves, cipher suites, signature algorithms, by Envoy's names. */
#include "credential/credential_build.h"

static hbk_status add_groups(struct hbk_gw_building *building,
                             const struct hbk_gw_tls_parameters *parameters)
{
    static const struct {
        const char *name;
        uint16_t group;
    } known[] = {
        {"X25519", HBK_GROUP_X25519}, {"P-256", HBK_GROUP_P256}, {"P-384", HBK_GROUP_P384}};
    uint16_t *groups =
        hbk_arena_array(&building->arena, parameters->ecdh_curves_count + 1, sizeof *groups);
    if (groups == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < parameters->ecdh_curves_count; i++) {
        uint16_t group = 0;
        for (size_t k = 0; k < HBK_COUNT(known); k++) {
            if (hbk_slice_equal(parameters->ecdh_curves[i], hbk_slice_text(known[k].name))) {
                group = known[k].group;
            }
        }
        if (group == 0 || i >= HBK_TLS_LIST_MAX) {
            return hbk_error_set(building->error, HBK_UNSUPPORTED,
                                 "ecdh_curves has \"%s\"; served are X25519, P-256, P-384",
                                 (const char *)parameters->ecdh_curves[i].bytes);
        }
        groups[i] = group;
    }
    building->options.groups = groups;
    building->options.group_count = parameters->ecdh_curves_count;
    return HBK_OK;
}

/* Envoy's lower bound is 1.2 where none is named; ours is 1.3, which is the stricter choice. Who
 * names 1.2 gets it, by libssl: the native engine hands such clients over. */
static void set_versions(struct hbk_tls_context_options *options,
                         const struct hbk_gw_tls_parameters *parameters)
{
    int least = parameters->tls_minimum_protocol_version;
    int most = parameters->tls_maximum_protocol_version;
    options->allows_tls12 = least == HBK_GW_TLS_1_2 || most == HBK_GW_TLS_1_2;
    options->only_tls12 = most == HBK_GW_TLS_1_2;
    options->engine = options->only_tls12 ? HBK_TLS_ENGINE_OPENSSL : HBK_TLS_ENGINE_NATIVE;
}

/* ---- cipher suites of TLS 1.2 ---- */

struct suite_list {
    uint16_t items[HBK_TLS_LIST_MAX];
    uint8_t ranks[HBK_TLS_LIST_MAX];
    size_t count;
    uint8_t rank; /* of the next */
};

static hbk_status add_suite(struct hbk_gw_building *building, struct suite_list *list,
                            struct hbk_slice name)
{
    uint16_t suite = hbk_tls12_suite_of(name);
    if (suite == 0) {
        return hbk_error_set(building->error, HBK_UNSUPPORTED,
                             "cipher_suites has \"%.*s\"; served are %s",
                             (int)(name.size > 80 ? 80 : name.size), (const char *)name.bytes,
                             hbk_tls12_suites_allowed);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == suite) {
            return HBK_OK; /* where it stands first */
        }
    }
    list->ranks[list->count] = list->rank;
    list->items[list->count++] = suite; /* there are fewer suites than places */
    return HBK_OK;
}

/* "[A|B]": either will do, and the client's order decides. */
static hbk_status add_suite_group(struct hbk_gw_building *building, struct suite_list *list,
                                  struct hbk_slice names)
{
    while (names.size > 0) {
        size_t size = names.size;
        (void)hbk_slice_find(names, '|', &size);
        HBK_TRY(add_suite(building, list, hbk_slice_part(names, 0, size)));
        names = hbk_slice_part(names, size + 1, names.size);
    }
    building->options.tls12_ranks = list->ranks;
    return HBK_OK;
}

/* One entry may hold several, with colons between. */
static hbk_status add_suite_names(struct hbk_gw_building *building, struct suite_list *list,
                                  struct hbk_slice names)
{
    do {
        size_t size = names.size;
        (void)hbk_slice_find(names, ':', &size);
        struct hbk_slice name = hbk_slice_part(names, 0, size);
        names = hbk_slice_part(names, size + 1, names.size);
        bool is_group = name.size > 2 && name.bytes[0] == '[' && name.bytes[name.size - 1] == ']';
        HBK_TRY(is_group ? add_suite_group(building, list, hbk_slice_part(name, 1, name.size - 2))
                         : add_suite(building, list, name));
        list->rank = (uint8_t)list->count;
    } while (names.size > 0);
    return HBK_OK;
}

static hbk_status add_suites(struct hbk_gw_building *building,
                             const struct hbk_gw_tls_parameters *parameters)
{
    struct suite_list *list = hbk_arena_take(&building->arena, sizeof *list);
    if (list == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < parameters->cipher_suites_count; i++) {
        HBK_TRY(add_suite_names(building, list, parameters->cipher_suites[i]));
    }
    bool is_only_13 = parameters->tls_minimum_protocol_version == HBK_GW_TLS_1_3;
    if (list->count > 0 && !building->options.allows_tls12 && !is_only_13) {
        return hbk_error_set(building->error, HBK_INVALID,
                             "cipher_suites are of TLS 1.2, which is spoken only where "
                             "tls_minimum_protocol_version or tls_maximum_protocol_version names "
                             "it");
    }
    building->options.tls12_suites = list->items;
    building->options.tls12_suite_count = list->count;
    return HBK_OK;
}

/* ---- signature algorithms ---- */

static const uint16_t schemes_known[] = {
    HBK_SIGN_ECDSA_P256_SHA256,   HBK_SIGN_ECDSA_P384_SHA384,   HBK_SIGN_ED25519,
    HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_SIGN_RSA_PSS_RSAE_SHA384, HBK_SIGN_RSA_PSS_RSAE_SHA512,
};

static uint16_t scheme_of(struct hbk_slice name)
{
    for (size_t i = 0; i < HBK_COUNT(schemes_known); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(hbk_sign_scheme_text(schemes_known[i])))) {
            return schemes_known[i];
        }
    }
    return 0;
}

/* What a peer may sign with. In TLS 1.2 libssl takes RSA's older padding beside these. */
static hbk_status add_schemes(struct hbk_gw_building *building,
                              const struct hbk_gw_tls_parameters *parameters)
{
    uint32_t count = parameters->signature_algorithms_count;
    uint16_t *schemes = hbk_arena_array(&building->arena, count, sizeof *schemes);
    if (schemes == NULL) {
        return HBK_NO_MEMORY;
    }
    if (count > 0 && building->options.allows_tls12) {
        return hbk_gw_refuse(building, "signature_algorithms where TLS 1.2 is spoken");
    }
    for (uint32_t i = 0; i < count; i++) {
        schemes[i] = scheme_of(parameters->signature_algorithms[i]);
        if (schemes[i] == 0) {
            return hbk_error_set(
                building->error, HBK_UNSUPPORTED,
                "signature_algorithms has \"%s\"; served are ecdsa_secp256r1_sha256, "
                "ecdsa_secp384r1_sha384, ed25519, rsa_pss_rsae_sha256, rsa_pss_rsae_sha384, "
                "rsa_pss_rsae_sha512",
                (const char *)parameters->signature_algorithms[i].bytes);
        }
    }
    building->options.verify_schemes = schemes;
    building->options.verify_scheme_count = count;
    return HBK_OK;
}

hbk_status hbk_gw_limit_schemes(struct hbk_gw_building *building,
                                struct hbk_tls_certificate_options *certificate)
{
    const struct hbk_tls_context_options *options = &building->options;
    if (options->verify_scheme_count == 0) {
        return HBK_OK;
    }
    uint16_t *schemes =
        hbk_arena_array(&building->arena, options->verify_scheme_count, sizeof *schemes);
    if (schemes == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < options->verify_scheme_count; i++) {
        if (hbk_private_key_can_sign(certificate->key, options->verify_schemes[i])) {
            schemes[certificate->scheme_count++] = options->verify_schemes[i];
        }
    }
    certificate->schemes = schemes;
    return certificate->scheme_count > 0
               ? HBK_OK
               : hbk_error_set(building->error, HBK_INVALID,
                               "a key (%s) can sign with none of the signature_algorithms",
                               hbk_key_kind_text(hbk_private_key_kind(certificate->key)));
}

hbk_status hbk_gw_add_parameters(struct hbk_gw_building *building,
                                 const struct hbk_gw_tls_parameters *parameters)
{
    static const struct hbk_gw_tls_parameters defaults;
    parameters = parameters == NULL ? &defaults : parameters;
    set_versions(&building->options, parameters);
    HBK_TRY(add_suites(building, parameters));
    HBK_TRY(add_schemes(building, parameters));
    return add_groups(building, parameters);
}
