#include "model/gateway.h"

#include <stdlib.h>

struct hbk_gw_config *hbk_gw_config_new(void)
{
    struct hbk_gw_config *config = calloc(1, sizeof *config);
    if (config != NULL) {
        hbk_arena_init(&config->arena);
        atomic_init(&config->references, 1);
    }
    return config;
}

struct hbk_gw_config *hbk_gw_config_ref(struct hbk_gw_config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

void hbk_gw_config_unref(struct hbk_gw_config *config)
{
    if (config == NULL ||
        atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    hbk_arena_wipe(&config->arena);
    hbk_arena_fini(&config->arena);
    free(config);
}

const struct hbk_gw_http_options *hbk_gw_cluster_http_options(const struct hbk_gw_cluster *cluster)
{
    const struct hbk_gw_http_protocol_options *typed = cluster->http;
    return typed != NULL && typed->common_http_protocol_options != NULL
               ? typed->common_http_protocol_options
               : cluster->common_http_protocol_options;
}

const struct hbk_address *hbk_gw_cluster_source(const struct hbk_gw_cluster *cluster)
{
    const struct hbk_gw_bind_config *bind = cluster->upstream_bind_config;
    return bind == NULL || bind->source_address == NULL ? NULL : &bind->source_address->ip;
}

const struct hbk_gw_cluster *hbk_gw_find_cluster(const struct hbk_gw_static_resources *all,
                                                 struct hbk_slice name)
{
    for (uint32_t i = 0; i < all->clusters_count; i++) {
        if (hbk_slice_equal(all->clusters[i].name, name)) {
            return &all->clusters[i];
        }
    }
    return NULL;
}

const struct hbk_gw_secret *hbk_gw_find_secret(const struct hbk_gw_static_resources *all,
                                               struct hbk_slice name)
{
    for (uint32_t i = 0; i < all->secrets_count; i++) {
        if (hbk_slice_equal(all->secrets[i].name, name)) {
            return &all->secrets[i];
        }
    }
    return NULL;
}

const char *hbk_gw_validation_gap(const struct hbk_gw_validation_context *context)
{
    bool has_names = context->match_typed_subject_alt_names_count > 0 ||
                     context->match_subject_alt_names_count > 0;
    if (context->trusted_ca != NULL) {
        return NULL;
    }
    if (has_names && context->custom_validator_config == NULL) {
        return "names are matched without \"trusted_ca\", so anybody could claim them";
    }
    return context->crl != NULL ? "\"crl\" without \"trusted_ca\"" : NULL;
}
