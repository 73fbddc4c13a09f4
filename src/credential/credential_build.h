/*
 * For the files that make TLS contexts: credential.c what we present, credential_trust.c whom we
 * believe, credential_parameters.c how we speak. Control thread.
 */
#pragma once

#include "base/arena.h"
#include "credential/credential.h"
#include "crypto/private_key.h"
#include "identity/bundle.h"
#include "identity/certificate.h"
#include "identity/trust.h"

/* Everything that is held while a context is built. */
struct hbk_gw_building {
    struct hbk_gw_vault *vault;
    struct hbk_error *error;
    const void *owner; /* of the providers that are built */
    struct hbk_arena arena;
    int staple_policy; /* enum hbk_gw_staple_policy */
    bool is_watched;   /* what is read now came from a secret that may change */
    const struct hbk_tls_certificate **certificates; /* of references */
    uint32_t certificate_count;
    struct hbk_certificates chain; /* of the certificate that was made last, for its signers */
    const struct hbk_trust *trust;
    struct hbk_bundle *roots;
    struct hbk_bundle_set *bundles;
    struct hbk_tls_ticket_keys *tickets;
    struct hbk_tls_context_options options;
    struct hbk_gw_inventory *inventory; /* of all that the context is made of */
};

/* Fails: HBK_UNSUPPORTED, "... is not served yet". */
HBK_MUST_USE hbk_status hbk_gw_refuse(struct hbk_gw_building *building, const char *what);

/* The bytes live as long as the building. Fails: HBK_NOT_FOUND, HBK_LIMIT and the file system's
 * failures, with the reason. */
HBK_MUST_USE hbk_status hbk_gw_read_data(struct hbk_gw_building *building,
                                         const struct hbk_gw_data_source *source, size_t bytes_max,
                                         struct hbk_slice *out_bytes);

/* The file's name, or "<inline>". */
const char *hbk_gw_source_name(const struct hbk_gw_data_source *source);

/* The secret of a name: one of the bootstrap, or of the file that its source names; then
 * `is_watched` is set, until the caller has read what the secret names. */
HBK_MUST_USE hbk_status hbk_gw_fetch_secret(struct hbk_gw_building *building,
                                            const struct hbk_gw_sds_config *sds,
                                            const struct hbk_gw_secret **out_secret);

/* credential_parameters.c: versions, curves, suites, and what peers sign with. Fails:
 * HBK_UNSUPPORTED with what is allowed, HBK_INVALID, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_add_parameters(struct hbk_gw_building *building,
                                              const struct hbk_gw_tls_parameters *parameters);
/* What one of our certificates signs with, where signature_algorithms says it: those of the list
 * that its key can, in the list's order. They live as long as the building. */
HBK_MUST_USE hbk_status hbk_gw_limit_schemes(struct hbk_gw_building *building,
                                             struct hbk_tls_certificate_options *certificate);

/* Sets `trust` and whether clients are asked for a certificate. A server that requires one without
 * saying whom it believes takes any (as Envoy does). */
HBK_MUST_USE hbk_status hbk_gw_add_trust(struct hbk_gw_building *building,
                                         const struct hbk_gw_common_tls *common, bool is_server,
                                         bool is_required);

/* Where the validation context comes from, if from a secret; else NULL. */
const struct hbk_gw_sds_config *hbk_gw_validation_secret(const struct hbk_gw_common_tls *common);
