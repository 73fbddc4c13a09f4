/* envoy.extensions.transport_sockets.tls.v3, private key providers, the SPIFFE validator. */
#include <stdio.h>

#include "config/envoy.h"

static const struct hbk_proto_enum version_enum = {
    "TlsParameters.TlsProtocol", (const struct hbk_proto_word[]){{"TLS_AUTO", 0},
                                                                 {"TLSv1_0", 1, true},
                                                                 {"TLSv1_1", 2, true},
                                                                 {"TLSv1_2", 3},
                                                                 {"TLSv1_3", 4},
                                                                 {0}}};

static hbk_status check_parameters(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                   void *message)
{
    const struct hbk_gw_tls_parameters *parameters = message;
    if (parameters->tls_minimum_protocol_version != HBK_GW_TLS_AUTO &&
        parameters->tls_maximum_protocol_version != HBK_GW_TLS_AUTO &&
        parameters->tls_minimum_protocol_version > parameters->tls_maximum_protocol_version) {
        hbk_proto_error(reader, node, "the minimum version is above the maximum");
    }
    return HBK_OK;
}

#define T struct hbk_gw_tls_parameters
static const struct hbk_proto_field parameter_fields[] = {
    F_ENUM(tls_minimum_protocol_version, version_enum),
    F_ENUM(tls_maximum_protocol_version, version_enum),
    F_TEXTS(cipher_suites),
    F_TEXTS(ecdh_curves),
    F_TEXTS(signature_algorithms),
    F_GUARD("compliance_policies"),
};
static const struct hbk_proto_message tls_parameters = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.TlsParameters", parameter_fields),
    .check = check_parameters};
#undef T

/* ---- private key providers ---- */

enum { MILLISECOND_NS = 1000000 };

static hbk_status check_key_method(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                   void *message)
{
    struct hbk_gw_key_method *method = message;
    (void)reader;
    (void)node;
    /* Envoy reads it with the resolution of milliseconds. */
    method->poll_delay -= method->poll_delay % MILLISECOND_NS;
    return HBK_OK;
}

#define T struct hbk_gw_key_method
static const struct hbk_proto_field key_method_fields[] = {
    F_MSG(private_key, hbk_envoy_data_source, .is_secret = true, .is_required = true),
    F_TIME(poll_delay, .is_required = true, .min = MILLISECOND_NS),
};
static const struct hbk_proto_message cryptomb = {
    MESSAGE(
        "envoy.extensions.private_key_providers.cryptomb.v3alpha.CryptoMbPrivateKeyMethodConfig",
        key_method_fields),
    .any_kind = HBK_GW_CRYPTOMB, .check = check_key_method};
static const struct hbk_proto_message qat = {
    MESSAGE("envoy.extensions.private_key_providers.qat.v3alpha.QatPrivateKeyMethodConfig",
            key_method_fields),
    .any_kind = HBK_GW_QAT,
    .aliases =
        (const char *const[]){
            "envoy.extensions.private_key_providers.qat.v3alpha.QATPrivateKeyMethodConfig", NULL},
    .check = check_key_method};
#undef T

static const struct hbk_proto_any_types key_method_types = {
    .title = "private key provider",
    .known = (const struct hbk_proto_message *const[]){&cryptomb, &qat, NULL},
    .refused = (const char *const[]){
        "envoy.extensions.private_key_providers.kae.v3alpha.KaePrivateKeyMethodConfig", NULL}};

static hbk_status check_key_provider(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                     void *message)
{
    const struct hbk_gw_key_provider *provider = message;
    bool is_cryptomb = hbk_slice_equal(provider->provider_name, HBK_SLICE("cryptomb"));
    bool is_qat = hbk_slice_equal(provider->provider_name, HBK_SLICE("qat"));
    if (!is_cryptomb && !is_qat) {
        hbk_proto_error(reader, node, "provider_name is \"%s\"; allowed: cryptomb, qat",
                        (const char *)provider->provider_name.bytes);
    } else if (provider->typed_config.kind != (is_qat ? HBK_GW_QAT : HBK_GW_CRYPTOMB)) {
        hbk_proto_error(reader, node, "the typed_config is not that of provider \"%s\"",
                        (const char *)provider->provider_name.bytes);
    }
    return HBK_OK;
}

#define T struct hbk_gw_key_provider
static const struct hbk_proto_field key_provider_fields[] = {
    F_TEXT(provider_name, .is_required = true, .min = 1),
    F_ANY(typed_config, key_method_types, .is_required = true, .is_secret = true),
    F_BOOL(fallback),
};
static const struct hbk_proto_message key_provider = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.PrivateKeyProvider", key_provider_fields),
    .check = check_key_provider};
#undef T

/* ---- certificates ---- */

static hbk_status check_certificate(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                    void *message)
{
    const struct hbk_gw_tls_certificate *certificate = message;
    if (certificate->certificate_chain == NULL) {
        hbk_proto_error(reader, node,
                        "\"certificate_chain\" is missing, which a certificate needs");
    }
    if (certificate->private_key == NULL && certificate->private_key_provider == NULL) {
        hbk_proto_error(reader, node,
                        "nothing for \"private_key\" or \"private_key_provider\"; one is needed");
    }
    return HBK_OK;
}

#define T struct hbk_gw_tls_certificate
static const struct hbk_proto_field certificate_fields[] = {
    F_MSG(certificate_chain, hbk_envoy_data_source),
    F_MSG(private_key, hbk_envoy_data_source, .is_secret = true),
    F_LATER("pkcs12"),
    F_MSG(watched_directory, hbk_envoy_watched_directory,
          .note = "the directories of the files themselves are watched"),
    F_MSG(private_key_provider, key_provider),
    F_MSG(password, hbk_envoy_data_source, .is_secret = true),
    F_MSG(ocsp_staple, hbk_envoy_data_source),
    F_LATER("signed_certificate_timestamp"),
};
static const struct hbk_proto_message tls_certificate = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.TlsCertificate", certificate_fields),
    .check = check_certificate};
#undef T

/* ---- validation ---- */

static const struct hbk_proto_enum san_type_enum = {
    "SubjectAltNameMatcher.SanType",
    (const struct hbk_proto_word[]){{"SAN_TYPE_UNSPECIFIED", 0, true},
                                    {"EMAIL", 1},
                                    {"DNS", 2},
                                    {"URI", 3},
                                    {"IP_ADDRESS", 4},
                                    {"OTHER_NAME", 5, true},
                                    {0}}};

#define T struct hbk_gw_san_matcher
static const struct hbk_proto_field san_fields[] = {
    F_ENUM(san_type, san_type_enum, .is_required = true),
    F_MSG(matcher, hbk_envoy_string_matcher, .is_required = true),
    F_LATER("oid"),
};
static const struct hbk_proto_message san_matcher = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher", san_fields)};
#undef T

#define T struct hbk_gw_spiffe_domain
static const struct hbk_proto_field spiffe_domain_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1, .max = 255),
    F_MSG(trust_bundle, hbk_envoy_data_source, .is_required = true),
};
static const struct hbk_proto_message spiffe_domain = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.TrustDomain",
            spiffe_domain_fields)};
#undef T

#define T struct hbk_gw_spiffe_validator
static const struct hbk_proto_field spiffe_fields[] = {
    F_MSGS(trust_domains, spiffe_domain, .is_required = true),
    F_LATER("trust_bundles"),
};
static const struct hbk_proto_message spiffe_validator = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig", spiffe_fields),
    .any_kind = HBK_GW_SPIFFE_VALIDATOR};
#undef T

static const struct hbk_proto_any_types validator_types = {
    .title = "certificate validator",
    .known = (const struct hbk_proto_message *const[]){&spiffe_validator, NULL}};

#define T struct hbk_gw_typed_extension
static const struct hbk_proto_field validator_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ANY(typed_config, validator_types, .is_required = true),
};
static const struct hbk_proto_message custom_validator = {
    MESSAGE("envoy.config.core.v3.TypedExtensionConfig", validator_fields)};
#undef T

enum { SPKI_TEXT_BYTES = 44, HASH_TEXT_BYTES = 64, HASH_COLON_TEXT_BYTES = 95 };

static hbk_status check_validation(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                   void *message)
{
    const struct hbk_gw_validation_context *context = message;
    for (uint32_t i = 0; i < context->verify_certificate_hash_count; i++) {
        size_t size = context->verify_certificate_hash[i].size;
        if (size != HASH_TEXT_BYTES && size != HASH_COLON_TEXT_BYTES) {
            hbk_proto_error(reader, node,
                            "verify_certificate_hash[%u] has %zu characters; allowed: "
                            "64 hexadecimal digits, or 95 with colons",
                            i, size);
        }
    }
    return HBK_OK;
}

static const struct hbk_proto_enum chain_verification_enum = {
    "TrustChainVerification",
    (const struct hbk_proto_word[]){{"VERIFY_TRUST_CHAIN", 0}, {"ACCEPT_UNTRUSTED", 1}, {0}}};

#define T struct hbk_gw_validation_context
static const struct hbk_proto_field validation_fields[] = {
    F_MSG(trusted_ca, hbk_envoy_data_source),
    F_GUARD("ca_certificate_provider_instance"),
    F_GUARD("system_root_certs"),
    F_MSG(watched_directory, hbk_envoy_watched_directory,
          .note = "the directories of the files themselves are watched"),
    F_TEXTS(verify_certificate_spki, .min = SPKI_TEXT_BYTES, .max = SPKI_TEXT_BYTES),
    F_TEXTS(verify_certificate_hash, .min = HASH_TEXT_BYTES, .max = HASH_COLON_TEXT_BYTES),
    F_MSGS(match_typed_subject_alt_names, san_matcher),
    F_MSGS(match_subject_alt_names, hbk_envoy_string_matcher, .note = "the older form"),
    F_GUARD("require_signed_certificate_timestamp"),
    F_MSG(crl, hbk_envoy_data_source),
    F_BOOL(allow_expired_certificate),
    F_ENUM(trust_chain_verification, chain_verification_enum),
    F_MSG(custom_validator_config, custom_validator),
    F_BOOL(only_verify_leaf_cert_crl),
    F_U32(max_verify_depth, .is_wrapper = true, .max = 100,
          .set_offset = offsetof(T, has_max_verify_depth), .set_value = 1),
};
static const struct hbk_proto_message validation_context = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext",
            validation_fields),
    .check = check_validation};
#undef T

/* ---- secrets by name ---- */

#define T struct hbk_gw_sds_config
static const struct hbk_proto_field sds_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_MSG(sds_config, hbk_envoy_config_source),
};
static const struct hbk_proto_message sds_config = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig", sds_fields)};
#undef T

#define T struct hbk_gw_combined_validation
static const struct hbk_proto_field combined_fields[] = {
    F_MSG(default_validation_context, validation_context, .is_required = true),
    F_MSG(validation_context_sds_secret_config, sds_config, .is_required = true),
};
static const struct hbk_proto_message combined_validation = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.CommonTlsContext."
            "CombinedCertificateValidationContext",
            combined_fields)};
#undef T

static hbk_status check_common(struct hbk_proto_reader *reader, const struct hbk_node *node,
                               void *message)
{
    const struct hbk_gw_common_tls *common = message;
    const char *gap = common->validation == HBK_GW_VALIDATION_STATIC
                          ? hbk_gw_validation_gap(common->validation_context)
                          : NULL;
    if (gap != NULL) {
        hbk_proto_error(reader, node, "validation_context: %s", gap);
    }
    if (common->tls_certificates_count > 0 &&
        common->tls_certificate_sds_secret_configs_count > 0) {
        hbk_proto_error(reader, node,
                        "\"tls_certificates\" beside "
                        "\"tls_certificate_sds_secret_configs\"; allowed: one of them");
    }
    for (uint32_t i = 0; i < common->alpn_protocols_count; i++) {
        if (common->alpn_protocols[i].size == 0 || common->alpn_protocols[i].size > 255) {
            hbk_proto_error(reader, node, "alpn_protocols[%u] has %zu bytes; allowed: 1 to 255", i,
                            common->alpn_protocols[i].size);
        }
    }
    return HBK_OK;
}

#define T struct hbk_gw_common_tls
static const struct hbk_proto_field common_fields[] = {
    F_MSG(tls_params, tls_parameters),
    F_MSGS(tls_certificates, tls_certificate),
    F_MSGS(tls_certificate_sds_secret_configs, sds_config),
    F_GUARD("tls_certificate_provider_instance"),
    F_GUARD("custom_tls_certificate_selector"),
    F_GUARD("tls_certificate_certificate_provider"),
    F_GUARD("tls_certificate_certificate_provider_instance"),
    F_ONE_MSG(validation_context, validation_context, validation, HBK_GW_VALIDATION_STATIC, 1),
    F_ONE_MSG(validation_context_sds_secret_config, sds_config, validation, HBK_GW_VALIDATION_SDS,
              1),
    F_ONE_MSG(combined_validation_context, combined_validation, validation,
              HBK_GW_VALIDATION_COMBINED, 1),
    F_GUARD("validation_context_certificate_provider"),
    F_GUARD("validation_context_certificate_provider_instance"),
    F_TEXTS(alpn_protocols),
    F_GUARD("custom_handshaker"),
    F_LATER("key_log"),
};
static const struct hbk_proto_message common_tls = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.CommonTlsContext", common_fields),
    .check = check_common};
#undef T

#define T struct hbk_gw_ticket_keys
static const struct hbk_proto_field ticket_fields[] = {
    F_MSGS(keys, hbk_envoy_data_source, .is_required = true, .is_secret = true),
};
static const struct hbk_proto_message ticket_keys = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys", ticket_fields)};
#undef T

static const struct hbk_proto_enum staple_policy_enum = {
    "DownstreamTlsContext.OcspStaplePolicy",
    (const struct hbk_proto_word[]){
        {"LENIENT_STAPLING", 0}, {"STRICT_STAPLING", 1}, {"MUST_STAPLE", 2}, {0}}};

static hbk_status check_downstream(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                   void *message)
{
    const struct hbk_gw_downstream_tls *tls = message;
    const struct hbk_gw_common_tls *common = tls->common_tls_context;
    if (common->tls_certificates_count == 0 &&
        common->tls_certificate_sds_secret_configs_count == 0) {
        hbk_proto_error(reader, node,
                        "no certificate: nothing for \"tls_certificates\" or "
                        "\"tls_certificate_sds_secret_configs\"");
    }
    if (tls->require_client_certificate && common->validation == HBK_GW_VALIDATION_NONE) {
        hbk_proto_error(reader, node,
                        "\"require_client_certificate\" without a validation context, "
                        "so any certificate would do");
    }
    return HBK_OK;
}

#define T struct hbk_gw_downstream_tls
static const struct hbk_proto_field downstream_fields[] = {
    F_MSG(common_tls_context, common_tls, .is_required = true),
    F_BOOL(require_client_certificate, .is_wrapper = true),
    F_GUARD("require_sni"),
    F_ONE_MSG(session_ticket_keys, ticket_keys, tickets, HBK_GW_TICKETS_STATIC, 1),
    F_ONE_MSG(session_ticket_keys_sds_secret_config, sds_config, tickets, HBK_GW_TICKETS_SDS, 1),
    F_ONE_BOOL(disable_stateless_session_resumption, tickets, HBK_GW_TICKETS_SWITCH, 1),
    F_BOOL(disable_stateful_session_resumption, .note = "sessions are never kept here"),
    F_TIME(session_timeout, .max = INT64_C(4294967294000000000)),
    F_ENUM(ocsp_staple_policy, staple_policy_enum),
    F_BOOL(full_scan_certs_on_sni_mismatch, .is_wrapper = true,
           .note = "always done, over the first 64 certificates"),
    F_BOOL(prefer_client_ciphers),
};
const struct hbk_proto_message hbk_envoy_downstream_tls = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", downstream_fields),
    .any_kind = HBK_GW_DOWNSTREAM_TLS, .check = check_downstream};
#undef T

static hbk_status check_upstream(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                 void *message)
{
    const struct hbk_gw_upstream_tls *tls = message;
    if (tls->common_tls_context != NULL && tls->common_tls_context->tls_certificates_count > 1) {
        hbk_proto_error(reader, node, "%u certificates; a client has one",
                        tls->common_tls_context->tls_certificates_count);
    }
    return HBK_OK;
}

#define T struct hbk_gw_upstream_tls
static const struct hbk_proto_field upstream_fields[] = {
    F_MSG(common_tls_context, common_tls),
    F_TEXT(sni, .max = 255),
    F_BOOL(auto_host_sni),
    F_BOOL(auto_sni_san_validation),
    F_GUARD("allow_renegotiation"),
    F_U32(max_session_keys, .is_wrapper = true, .note = "sessions with upstreams are not resumed"),
    F_BOOL(enforce_rsa_key_usage, .is_wrapper = true, .note = "always"),
};
static void prepare_upstream(void *message)
{
    ((T *)message)->max_session_keys = 1;
}
const struct hbk_proto_message hbk_envoy_upstream_tls = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", upstream_fields),
    .any_kind = HBK_GW_UPSTREAM_TLS, .prepare = prepare_upstream, .check = check_upstream};
#undef T

#define T char
static const struct hbk_proto_message raw_buffer = {
    .name = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
    .size = sizeof(T),
    .any_kind = HBK_GW_RAW_BUFFER,
    .extension_names = (const char *const[]){"envoy.transport_sockets.raw_buffer", NULL}};
#undef T

static const char *const refused_sockets[] = {
    "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
    "envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport",
    "envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig",
    "envoy.extensions.transport_sockets.starttls.v3.UpstreamStartTlsConfig",
    "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
    "envoy.extensions.transport_sockets.tap.v3.Tap",
    "envoy.extensions.transport_sockets.alts.v3.Alts",
    "envoy.extensions.transport_sockets.tcp_stats.v3.Config",
    "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
    "envoy.extensions.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport",
    NULL};

const struct hbk_proto_any_types hbk_envoy_downstream_sockets = {
    .title = "transport socket of a listener",
    .known =
        (const struct hbk_proto_message *const[]){&hbk_envoy_downstream_tls, &raw_buffer, NULL},
    .refused = refused_sockets};
const struct hbk_proto_any_types hbk_envoy_upstream_sockets = {
    .title = "transport socket of a cluster",
    .known = (const struct hbk_proto_message *const[]){&hbk_envoy_upstream_tls, &raw_buffer, NULL},
    .refused = refused_sockets};

#define T struct hbk_gw_secret
static const struct hbk_proto_field secret_fields[] = {
    F_TEXT(name),
    F_ONE_MSG(tls_certificate, tls_certificate, type, HBK_GW_SECRET_CERTIFICATE, 1),
    F_ONE_MSG(session_ticket_keys, ticket_keys, type, HBK_GW_SECRET_TICKETS, 1),
    F_ONE_MSG(validation_context, validation_context, type, HBK_GW_SECRET_VALIDATION, 1),
    F_LATER("generic_secret"),
};
const struct hbk_proto_message hbk_envoy_secret = {
    MESSAGE("envoy.extensions.transport_sockets.tls.v3.Secret", secret_fields),
    .any_kind = HBK_GW_SECRET_RESOURCE};
#undef T
