/* The gateway's configuration: TLS (envoy.extensions.transport_sockets.tls.v3) and secrets. */
#pragma once

#include "model/gateway_core.h"

enum hbk_gw_tls_version {
    HBK_GW_TLS_AUTO,
    HBK_GW_TLS_1_0,
    HBK_GW_TLS_1_1,
    HBK_GW_TLS_1_2,
    HBK_GW_TLS_1_3,
};

struct hbk_gw_tls_parameters {
    int tls_minimum_protocol_version, tls_maximum_protocol_version; /* enum hbk_gw_tls_version */
    const struct hbk_slice *cipher_suites;
    const struct hbk_slice *ecdh_curves;
    const struct hbk_slice *signature_algorithms;
    uint32_t cipher_suites_count, ecdh_curves_count, signature_algorithms_count;
};

/* Both providers have the same members. */
struct hbk_gw_key_method {
    const struct hbk_gw_data_source *private_key;
    uint64_t poll_delay; /* ns, whole milliseconds */
};

struct hbk_gw_key_provider {
    struct hbk_slice provider_name;
    struct hbk_gw_any typed_config; /* CRYPTOMB, QAT: struct hbk_gw_key_method */
    bool fallback;
};

struct hbk_gw_tls_certificate {
    const struct hbk_gw_data_source *certificate_chain, *private_key, *password, *ocsp_staple;
    const struct hbk_gw_key_provider *private_key_provider;
    const struct hbk_gw_watched_directory *watched_directory;
};

enum hbk_gw_san_type {
    HBK_GW_SAN_UNSPECIFIED,
    HBK_GW_SAN_EMAIL,
    HBK_GW_SAN_DNS,
    HBK_GW_SAN_URI,
    HBK_GW_SAN_IP,
};

struct hbk_gw_san_matcher {
    int san_type; /* enum hbk_gw_san_type; UNSPECIFIED: any, from the older form */
    const struct hbk_gw_string_matcher *matcher;
};

struct hbk_gw_spiffe_domain {
    struct hbk_slice name;
    const struct hbk_gw_data_source *trust_bundle;
};

struct hbk_gw_spiffe_validator {
    const struct hbk_gw_spiffe_domain *trust_domains;
    uint32_t trust_domains_count;
};

struct hbk_gw_typed_extension {
    struct hbk_slice name;
    struct hbk_gw_any typed_config;
};

struct hbk_gw_validation_context {
    const struct hbk_gw_data_source *trusted_ca, *crl;
    const struct hbk_gw_watched_directory *watched_directory;
    const struct hbk_slice *verify_certificate_spki;
    const struct hbk_slice *verify_certificate_hash;
    const struct hbk_gw_san_matcher *match_typed_subject_alt_names;
    const struct hbk_gw_string_matcher *match_subject_alt_names;
    uint32_t verify_certificate_spki_count, verify_certificate_hash_count;
    uint32_t match_typed_subject_alt_names_count, match_subject_alt_names_count;
    int trust_chain_verification; /* 0: verify, 1: accept what is not trusted */
    uint32_t max_verify_depth;    /* has_max_verify_depth */
    uint8_t has_max_verify_depth;
    bool allow_expired_certificate, only_verify_leaf_cert_crl;
    const struct hbk_gw_typed_extension *custom_validator_config; /* SPIFFE_VALIDATOR */
};

/* What a context lacks that is whole (not one of two that are combined); NULL: nothing. */
const char *hbk_gw_validation_gap(const struct hbk_gw_validation_context *context);

struct hbk_gw_path_source {
    struct hbk_slice path;
    const struct hbk_gw_watched_directory *watched_directory;
};

struct hbk_gw_config_source {
    const struct hbk_gw_path_source *path_config_source;
    struct hbk_slice path; /* the older form */
    uint64_t initial_fetch_timeout;
    int resource_api_version;
};

struct hbk_gw_sds_config {
    struct hbk_slice name;
    const struct hbk_gw_config_source *sds_config; /* NULL: a secret of the bootstrap */
};

struct hbk_gw_combined_validation {
    const struct hbk_gw_validation_context *default_validation_context;
    const struct hbk_gw_sds_config *validation_context_sds_secret_config;
};

enum hbk_gw_validation_kind {
    HBK_GW_VALIDATION_NONE,
    HBK_GW_VALIDATION_STATIC,
    HBK_GW_VALIDATION_SDS,
    HBK_GW_VALIDATION_COMBINED,
};

struct hbk_gw_common_tls {
    const struct hbk_gw_tls_parameters *tls_params;
    const struct hbk_gw_tls_certificate *tls_certificates;
    const struct hbk_gw_sds_config *tls_certificate_sds_secret_configs;
    const struct hbk_gw_validation_context *validation_context;
    const struct hbk_gw_sds_config *validation_context_sds_secret_config;
    const struct hbk_gw_combined_validation *combined_validation_context;
    const struct hbk_slice *alpn_protocols;
    uint32_t tls_certificates_count, tls_certificate_sds_secret_configs_count;
    uint32_t alpn_protocols_count;
    uint8_t validation; /* enum hbk_gw_validation_kind */
};

struct hbk_gw_ticket_keys {
    const struct hbk_gw_data_source *keys; /* each of 80 bytes */
    uint32_t keys_count;
};

enum hbk_gw_ticket_kind {
    HBK_GW_TICKETS_OWN, /* a key of this process */
    HBK_GW_TICKETS_STATIC,
    HBK_GW_TICKETS_SDS,
    HBK_GW_TICKETS_SWITCH, /* disable_stateless_session_resumption */
};

enum hbk_gw_staple_policy {
    HBK_GW_LENIENT_STAPLING,
    HBK_GW_STRICT_STAPLING, /* a certificate whose response has run out is not used */
    HBK_GW_MUST_STAPLE,     /* every certificate has a response */
};

struct hbk_gw_downstream_tls {
    const struct hbk_gw_common_tls *common_tls_context;
    const struct hbk_gw_ticket_keys *session_ticket_keys;
    const struct hbk_gw_sds_config *session_ticket_keys_sds_secret_config;
    uint64_t session_timeout; /* ns; 0: the engine's */
    int ocsp_staple_policy;   /* enum hbk_gw_staple_policy */
    bool require_client_certificate, disable_stateless_session_resumption;
    bool disable_stateful_session_resumption, full_scan_certs_on_sni_mismatch;
    bool prefer_client_ciphers;
    uint8_t tickets; /* enum hbk_gw_ticket_kind */
};

struct hbk_gw_upstream_tls {
    const struct hbk_gw_common_tls *common_tls_context;
    struct hbk_slice sni;
    bool auto_host_sni, auto_sni_san_validation, enforce_rsa_key_usage;
    uint32_t max_session_keys; /* 1 */
};

enum hbk_gw_secret_kind {
    HBK_GW_SECRET_NONE,
    HBK_GW_SECRET_CERTIFICATE,
    HBK_GW_SECRET_TICKETS,
    HBK_GW_SECRET_VALIDATION,
};

struct hbk_gw_secret {
    struct hbk_slice name;
    const struct hbk_gw_tls_certificate *tls_certificate;
    const struct hbk_gw_ticket_keys *session_ticket_keys;
    const struct hbk_gw_validation_context *validation_context;
    uint8_t type; /* enum hbk_gw_secret_kind */
};
