#include "identity/verdict.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/assert.h"
#include "base/clock.h"
#include "identity/certificate.h"
#include "identity/peer.h"

enum {
    SECURITY_LEVEL = 2, /* OpenSSL's name for 112 bits: RSA from 2048, no SHA-1 */
};

const char *hbk_verdict_reason_text(enum hbk_verdict_reason reason)
{
    switch (reason) {
    case HBK_VERDICT_NONE:
        return "no verdict";
    case HBK_VERDICT_MALFORMED:
        return "malformed certificate";
    case HBK_VERDICT_EXPIRED:
        return "certificate expired";
    case HBK_VERDICT_REVOKED:
        return "certificate revoked";
    case HBK_VERDICT_UNKNOWN_CA:
        return "unknown authority";
    case HBK_VERDICT_BAD_PATH:
        return "bad certificate path";
    case HBK_VERDICT_BAD_USAGE:
        return "certificate not for this use";
    case HBK_VERDICT_UNEXPECTED:
        return "unexpected identity";
    }
    HBK_UNREACHABLE();
}

#define FAIL(failure, why, ...) \
    ((failure)->reason = (why), hbk_error_set(&(failure)->error, HBK_UNTRUSTED, __VA_ARGS__))

/* Rule 4: a list that is missing or old is not a reason to refuse; all else that libcrypto found
 * stays found. */
static int tolerate_old_lists(int is_good, X509_STORE_CTX *context)
{
    switch (X509_STORE_CTX_get_error(context)) {
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    default:
        return is_good;
    }
}

static enum hbk_verdict_reason reason_of(int code)
{
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return HBK_VERDICT_EXPIRED;
    case X509_V_ERR_CERT_REVOKED:
        return HBK_VERDICT_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return HBK_VERDICT_UNKNOWN_CA;
    case X509_V_ERR_INVALID_PURPOSE:
        return HBK_VERDICT_BAD_USAGE;
    default:
        return HBK_VERDICT_BAD_PATH;
    }
}

/* The sentence for what libcrypto found at one certificate of the path. */
static hbk_status tell_path_failure(X509_STORE_CTX *context, const struct hbk_bundle *bundle,
                                    int64_t now_ns, struct hbk_verdict_failure *failure)
{
    int code = X509_STORE_CTX_get_error(context);
    int depth = X509_STORE_CTX_get_error_depth(context);
    X509 *certificate = X509_STORE_CTX_get_current_cert(context);
    char where[32];
    (void)snprintf(where, sizeof where, depth == 0 ? "certificate" : "signing certificate %d",
                   depth);

    int64_t start_ns = 0;
    int64_t end_ns = 0;
    if (reason_of(code) == HBK_VERDICT_EXPIRED && certificate != NULL &&
        hbk_certificate_validity(certificate, &start_ns, &end_ns)) {
        char then[HBK_CERTIFICATE_TIME_BYTES_MAX];
        char now[HBK_CERTIFICATE_TIME_BYTES_MAX];
        hbk_certificate_time(now_ns, now);
        return code == X509_V_ERR_CERT_HAS_EXPIRED
                   ? FAIL(failure, HBK_VERDICT_EXPIRED, "%s expired %s, it is %s", where,
                          hbk_certificate_time(end_ns, then), now)
                   : FAIL(failure, HBK_VERDICT_EXPIRED, "%s is not valid before %s, it is %s",
                          where, hbk_certificate_time(start_ns, then), now);
    }
    bool has_domain = bundle->trust_domain.size > 0;
    return FAIL(failure, reason_of(code), "%s, judged by %s%.*s: %s", where,
                has_domain ? "the bundle of " : "the given roots",
                HBK_SLICE_ARGS(bundle->trust_domain), X509_verify_cert_error_string(code));
}

static hbk_status note_validity(STACK_OF(X509) * path, const struct hbk_trust_options *trust,
                                struct hbk_peer *peer, struct hbk_verdict_failure *failure)
{
    peer->not_before_ns = INT64_MIN;
    peer->not_after_ns = INT64_MAX;
    for (int i = 0; i < sk_X509_num(path) && !trust->ignores_time; i++) {
        int64_t start_ns = 0;
        int64_t end_ns = 0;
        if (!hbk_certificate_validity(sk_X509_value(path, i), &start_ns, &end_ns)) {
            return FAIL(failure, HBK_VERDICT_BAD_PATH, "validity of certificate %d cannot be read",
                        i);
        }
        peer->not_before_ns = start_ns > peer->not_before_ns ? start_ns : peer->not_before_ns;
        peer->not_after_ns = end_ns < peer->not_after_ns ? end_ns : peer->not_after_ns;
    }
    return HBK_OK;
}

/* Rule 3's demand on intermediates: everything between the leaf and the anchor. */
static hbk_status check_signers(STACK_OF(X509) * path, struct hbk_verdict_failure *failure)
{
    for (int i = 1; i + 1 < sk_X509_num(path); i++) {
        hbk_status status =
            hbk_certificate_check_signer(sk_X509_value(path, i), true, &failure->error);
        if (status != HBK_OK) {
            failure->reason = HBK_VERDICT_BAD_PATH;
            return status;
        }
    }
    return HBK_OK;
}

static void set_parameters(X509_STORE_CTX *context, const struct hbk_bundle *bundle,
                           const struct hbk_question *question)
{
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    /* Any CA of the bundle is an anchor, self-signed or not (RFC 5280, 6.1.1 d). */
    const struct hbk_trust_options *trust = &question->trust->options;
    unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
    if (bundle->has_crl) {
        flags |= X509_V_FLAG_CRL_CHECK;
        flags |= trust->lists == HBK_TRUST_LISTS_LEAF ? 0 : X509_V_FLAG_CRL_CHECK_ALL;
    }
    if (bundle->has_crl && trust->lists == HBK_TRUST_LISTS_TOLERANT) {
        X509_STORE_CTX_set_verify_cb(context, tolerate_old_lists);
    }
    X509_VERIFY_PARAM_set_flags(parameters, flags);
    X509_VERIFY_PARAM_set_depth(parameters,
                                trust->limits_depth && trust->depth_max < HBK_CHAIN_CERTIFICATES_MAX
                                    ? (int)trust->depth_max
                                    : HBK_CHAIN_CERTIFICATES_MAX);
    X509_VERIFY_PARAM_set_auth_level(parameters, SECURITY_LEVEL);
    if (trust->ignores_time) { /* a time that is set would count all the same */
        X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_NO_CHECK_TIME);
    } else {
        X509_VERIFY_PARAM_set_time(parameters, (time_t)(question->now_ns / (int64_t)HBK_NS_PER_S));
    }
    X509_VERIFY_PARAM_set_purpose(parameters, question->role == HBK_PEER_SERVER
                                                  ? X509_PURPOSE_SSL_SERVER
                                                  : X509_PURPOSE_SSL_CLIENT);
}

/* Rules 3 and 4; on success the path's facts are in `peer`. */
static hbk_status judge_path(STACK_OF(X509) * chain, const struct hbk_bundle *bundle,
                             const struct hbk_question *question, struct hbk_peer *peer,
                             struct hbk_verdict_failure *failure)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (context == NULL ||
        X509_STORE_CTX_init(context, bundle->store, sk_X509_value(chain, 0), chain) != 1) {
        X509_STORE_CTX_free(context);
        return HBK_NO_MEMORY;
    }
    set_parameters(context, bundle, question);
    hbk_status status = HBK_OK;
    if (X509_verify_cert(context) != 1) {
        status = X509_STORE_CTX_get_error(context) == X509_V_ERR_OUT_OF_MEM
                     ? HBK_NO_MEMORY
                     : tell_path_failure(context, bundle, question->now_ns, failure);
    }
    if (status == HBK_OK && question->trust->options.rule == HBK_TRUST_SPIFFE) {
        status = check_signers(X509_STORE_CTX_get0_chain(context), failure);
    }
    if (status == HBK_OK) {
        status = note_validity(X509_STORE_CTX_get0_chain(context), &question->trust->options, peer,
                               failure);
    }
    X509_STORE_CTX_free(context);
    peer->bundle_generation = bundle->generation;
    return status;
}

static hbk_status judge_workload(STACK_OF(X509) * chain, const struct hbk_question *question,
                                 struct hbk_peer *peer, struct hbk_verdict_failure *failure)
{
    X509 *leaf = sk_X509_value(chain, 0);
    failure->reason = HBK_VERDICT_MALFORMED;
    HBK_TRY(hbk_certificate_id(leaf, &peer->id, &failure->error));
    HBK_TRY(hbk_certificate_check_leaf(leaf, &failure->error));

    failure->reason = HBK_VERDICT_NONE;
    struct hbk_slice trust_domain = peer->id->parts.trust_domain;
    const struct hbk_bundle *bundle =
        hbk_bundle_set_find(question->trust->options.bundles, trust_domain);
    if (bundle == NULL) {
        return FAIL(failure, HBK_VERDICT_UNKNOWN_CA, "no bundle for the trust domain %.*s of %.*s",
                    HBK_SLICE_ARGS(trust_domain), HBK_SLICE_ARGS(peer->id->text));
    }
    return judge_path(chain, bundle, question, peer, failure);
}

/* RFC 8446, 4.4.2.2: a key whose usage is restricted must be allowed to sign. */
static hbk_status check_use(X509 *leaf, struct hbk_verdict_failure *failure)
{
    if ((X509_get_extension_flags(leaf) & EXFLAG_INVALID) != 0) {
        return FAIL(failure, HBK_VERDICT_MALFORMED,
                    "certificate has an extension that cannot be read");
    }
    if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) ==
        0) { /* all bits without the extension */
        return FAIL(failure, HBK_VERDICT_BAD_USAGE,
                    "certificate's key usage lacks digitalSignature");
    }
    return HBK_OK;
}

/* RFC 9525: names of the extension alone, a wildcard for a whole label. */
static bool has_host(X509 *leaf, struct hbk_slice host)
{
    const unsigned flags =
        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    struct hbk_ip ip;
    if (hbk_ip_parse(host, &ip)) {
        return X509_check_ip(leaf, ip.bytes, ip.size, 0) == 1;
    }
    /* A host that begins with a dot would match any subdomain, one of no bytes everything. */
    return host.size > 0 && host.bytes[0] != '.' &&
           X509_check_host(leaf, (const char *)host.bytes, host.size, flags, NULL) == 1;
}

static hbk_status judge_name(STACK_OF(X509) * chain, const struct hbk_question *question,
                             struct hbk_peer *peer, struct hbk_verdict_failure *failure)
{
    X509 *leaf = sk_X509_value(chain, 0);
    const struct hbk_trust_options *trust = &question->trust->options;
    HBK_TRY(check_use(leaf, failure));
    HBK_TRY(judge_path(chain, trust->roots, question, peer, failure));
    if (question->role == HBK_PEER_SERVER && !trust->ignores_host &&
        !has_host(leaf, question->host)) {
        return question->host.size == 0
                   ? FAIL(failure, HBK_VERDICT_UNEXPECTED,
                          "no host name was asked for, so no certificate can carry it")
                   : FAIL(failure, HBK_VERDICT_UNEXPECTED, "certificate is not for the host %.*s",
                          HBK_SLICE_ARGS(hbk_slice_part(question->host, 0, 255)));
    }
    return HBK_OK;
}

static hbk_status judge_anybody(STACK_OF(X509) * chain, struct hbk_peer *peer,
                                struct hbk_verdict_failure *failure)
{
    peer->not_before_ns = INT64_MIN;
    peer->not_after_ns = INT64_MAX;
    return check_use(sk_X509_value(chain, 0), failure);
}

static hbk_status ask_owner(X509 *leaf, const struct hbk_question *question,
                            struct hbk_verdict_failure *failure)
{
    const struct hbk_trust_options *trust = &question->trust->options;
    hbk_status status = trust->check == NULL
                            ? HBK_OK
                            : trust->check(trust->owner, leaf, question->role, &failure->error);
    if (status == HBK_OK || status == HBK_NO_MEMORY) {
        return status;
    }
    return FAIL(failure, HBK_VERDICT_UNEXPECTED, "certificate is not one of those expected");
}

static hbk_status judge_parsed(STACK_OF(X509) * chain, const struct hbk_question *question,
                               struct hbk_peer *peer, struct hbk_verdict_failure *failure)
{
    peer->role = question->role;
    hbk_status status = HBK_OK;
    switch (question->trust->options.rule) {
    case HBK_TRUST_SPIFFE:
        status = judge_workload(chain, question, peer, failure);
        break;
    case HBK_TRUST_NAME:
        status = judge_name(chain, question, peer, failure);
        break;
    case HBK_TRUST_ANYBODY:
        status = judge_anybody(chain, peer, failure);
        break;
    }
    HBK_TRY(status);
    HBK_TRY(ask_owner(sk_X509_value(chain, 0), question, failure));
    return hbk_peer_read_leaf(peer, sk_X509_value(chain, 0));
}

/* The parsed chain as libcrypto takes it, with a reference to each certificate. */
static hbk_status parse(const struct hbk_chain *chain, STACK_OF(X509) * stack,
                        struct hbk_verdict_failure *failure)
{
    for (size_t i = 0; i < chain->count; i++) {
        const uint8_t *end = chain->certificates[i].bytes;
        X509 *certificate = NULL;
        if (chain->parsed != NULL) {
            certificate = chain->parsed[i];
            X509_up_ref(certificate);
        } else {
            certificate = d2i_X509(NULL, &end, (long)chain->certificates[i].size);
            if (certificate == NULL ||
                end != chain->certificates[i].bytes + chain->certificates[i].size) {
                X509_free(certificate);
                return FAIL(failure, HBK_VERDICT_MALFORMED, "certificate %zu cannot be read", i);
            }
        }
        if (sk_X509_push(stack, certificate) == 0) {
            X509_free(certificate);
            return HBK_NO_MEMORY;
        }
    }
    return HBK_OK;
}

static hbk_status check_sizes(const struct hbk_chain *chain, struct hbk_verdict_failure *failure)
{
    if (chain->count == 0) {
        return FAIL(failure, HBK_VERDICT_MALFORMED, "no certificate was presented");
    }
    size_t total = 0;
    for (size_t i = 0; i < chain->count && total <= HBK_CHAIN_BYTES_MAX; i++) {
        size_t size = chain->certificates[i].size;
        total = size > HBK_CHAIN_BYTES_MAX ? size : total + size;
    }
    if (chain->count > HBK_CHAIN_CERTIFICATES_MAX || total > HBK_CHAIN_BYTES_MAX) {
        return hbk_error_set(&failure->error, HBK_LIMIT,
                             "a chain of more than %d certificates or %d bytes",
                             HBK_CHAIN_CERTIFICATES_MAX, HBK_CHAIN_BYTES_MAX);
    }
    return HBK_OK;
}

hbk_status hbk_verdict_judge(const struct hbk_chain *chain, const struct hbk_question *question,
                             const struct hbk_peer **out_peer, struct hbk_verdict_failure *failure)
{
    HBK_TRY(check_sizes(chain, failure));
    struct hbk_peer *peer = hbk_peer_new(chain);
    STACK_OF(X509) *stack = sk_X509_new_null();
    hbk_status status = peer == NULL || stack == NULL ? HBK_NO_MEMORY : HBK_OK;
    if (status == HBK_OK) {
        status = parse(chain, stack, failure);
    }
    if (status == HBK_OK) {
        status = judge_parsed(stack, question, peer, failure);
    }
    sk_X509_pop_free(stack, X509_free);
    ERR_clear_error();
    if (status != HBK_OK) {
        hbk_peer_unref(peer);
        failure->reason = status == HBK_UNTRUSTED ? failure->reason : HBK_VERDICT_NONE;
        return status;
    }
    *out_peer = peer;
    return HBK_OK;
}

hbk_status hbk_verdict_match(const struct hbk_peer *peer, const struct hbk_expectation *expectation,
                             struct hbk_verdict_failure *failure)
{
    if (expectation->id_count == 0 && expectation->trust_domain.size == 0) {
        return HBK_OK;
    }
    if (peer->id == NULL) {
        return FAIL(failure, HBK_VERDICT_UNEXPECTED, "peer has no SPIFFE id");
    }
    for (size_t i = 0; i < expectation->id_count; i++) {
        if (hbk_spiffe_equal(peer->id, expectation->ids[i])) {
            return HBK_OK;
        }
    }
    if (expectation->id_count > 0) {
        return FAIL(failure, HBK_VERDICT_UNEXPECTED, "peer is %.*s, expected is %.*s%s",
                    HBK_SLICE_ARGS(peer->id->text), HBK_SLICE_ARGS(expectation->ids[0]->text),
                    expectation->id_count > 1 ? " or another" : "");
    }
    if (!hbk_slice_equal(peer->id->parts.trust_domain, expectation->trust_domain)) {
        return FAIL(failure, HBK_VERDICT_UNEXPECTED, "trust domain of %.*s is not %.*s",
                    HBK_SLICE_ARGS(peer->id->text), HBK_SLICE_ARGS(expectation->trust_domain));
    }
    return HBK_OK;
}

hbk_status hbk_verdict_again(const struct hbk_peer *peer, const struct hbk_bundle_set *bundles,
                             int64_t now_ns, struct hbk_verdict_failure *failure)
{
    const struct hbk_bundle *bundle = hbk_bundle_set_find(bundles, peer->id->parts.trust_domain);
    if (bundle != NULL && bundle->generation == peer->bundle_generation &&
        now_ns >= peer->not_before_ns && now_ns < peer->not_after_ns) {
        return HBK_OK;
    }
    const struct hbk_chain chain = {
        .certificates = peer->certificates,
        .count = peer->certificate_count,
    };
    struct hbk_trust trust = {
        .options = {.rule = HBK_TRUST_SPIFFE,
                    .bundles = (struct hbk_bundle_set *)(uintptr_t)bundles},
    };
    const struct hbk_question question = {.trust = &trust, .role = peer->role, .now_ns = now_ns};
    const struct hbk_peer *judged = NULL;
    HBK_TRY(hbk_verdict_judge(&chain, &question, &judged, failure));
    hbk_peer_unref(judged);
    return HBK_OK;
}
