/* What libssl's handshake leaves: the peer, the secrets, what was agreed on. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cursor.h"
#include "tls/alert.h"
#include "tls/judge.h"
#include "tls/openssl.h"

/* ---- the peer ---- */

/* The alert in libssl's own words, from which it makes the alert again. */
static int certificate_error(int alert)
{
    switch (alert) {
    case HBK_ALERT_INTERNAL_ERROR:
        return X509_V_ERR_OUT_OF_MEM;
    case HBK_ALERT_CERTIFICATE_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    case HBK_ALERT_CERTIFICATE_REVOKED:
        return X509_V_ERR_CERT_REVOKED;
    case HBK_ALERT_UNKNOWN_CA:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case HBK_ALERT_UNSUPPORTED_CERTIFICATE:
        return X509_V_ERR_INVALID_PURPOSE;
    default:
        return X509_V_ERR_CERT_REJECTED; /* bad_certificate */
    }
}

/* The presented certificates as DER. On failure what was made so far is the caller's to free. */
static hbk_status encode_chain(STACK_OF(X509) * presented, struct hbk_slice *certificates,
                               X509 **parsed, size_t *count)
{
    for (int i = 0; i < sk_X509_num(presented); i++) {
        unsigned char *bytes = NULL;
        X509 *certificate = sk_X509_value(presented, i);
        int size = *count < HBK_CHAIN_CERTIFICATES_MAX ? i2d_X509(certificate, &bytes) : -1;
        if (size < 0) {
            return *count < HBK_CHAIN_CERTIFICATES_MAX ? HBK_NO_MEMORY : HBK_LIMIT;
        }
        parsed[*count] = certificate;
        certificates[(*count)++] = hbk_slice_of(bytes, (size_t)size);
    }
    return HBK_OK;
}

static hbk_status judge(struct hbk_openssl_handshake *handshake, STACK_OF(X509) * presented)
{
    struct hbk_slice certificates[HBK_CHAIN_CERTIFICATES_MAX];
    X509 *parsed[HBK_CHAIN_CERTIFICATES_MAX];
    size_t count = 0;
    const struct hbk_peer *peer = NULL;
    hbk_status status = encode_chain(presented, certificates, parsed, &count);
    if (status == HBK_OK) {
        const struct hbk_chain chain = {certificates, parsed, count};
        status = hbk_tls_judge(handshake->setup, &chain, &peer, &handshake->verdict);
    } else {
        hbk_error_set(&handshake->verdict.error, status, "certificates cannot be judged: %s",
                      hbk_status_text(status));
    }
    for (size_t i = 0; i < count; i++) {
        OPENSSL_free((void *)(uintptr_t)certificates[i].bytes);
    }
    if (status == HBK_OK) {
        hbk_peer_unref(handshake->result.peer);
        handshake->result.peer = peer;
    }
    return status;
}

int hbk_openssl_on_certificates(X509_STORE_CTX *context, void *argument)
{
    (void)argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    if (judge(handshake, X509_STORE_CTX_get0_untrusted(context)) == HBK_OK) {
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(context, certificate_error(hbk_tls_judge_alert(&handshake->verdict)));
    return 0;
}

/* ---- secrets ---- */

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Reads hexadecimal digits up to the end of the line; returns the bytes, 0 for anything else. */
static size_t read_digits(const char *text, uint8_t out[static HBK_TLS_RECORD_SECRET_BYTES_MAX])
{
    size_t used = 0;
    for (; text[0] != '\0'; text += 2) {
        int high = digit_of(text[0]);
        int low = high < 0 ? -1 : digit_of(text[1]);
        if (low < 0 || used == HBK_TLS_RECORD_SECRET_BYTES_MAX) {
            return 0;
        }
        out[used++] = (uint8_t)(high << 4 | low);
    }
    return used;
}

/* Lines of the SSLKEYLOGFILE format: label, client random, secret; in hexadecimal. */
void hbk_openssl_on_secret(const SSL *ssl, const char *line)
{
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    const struct hbk_tls_worker_options *options = &handshake->setup->worker->options;
    struct hbk_tls_result *result = &handshake->result;
    const struct {
        struct hbk_slice label;
        uint8_t *to;
        unsigned seen;
    } labels[] = {
        {HBK_SLICE("CLIENT_TRAFFIC_SECRET_0 "), result->client_secret, HBK_OPENSSL_CLIENT_SECRET},
        {HBK_SLICE("SERVER_TRAFFIC_SECRET_0 "), result->server_secret, HBK_OPENSSL_SERVER_SECRET},
        {HBK_SLICE("EXPORTER_SECRET "), result->exporter_secret, HBK_OPENSSL_EXPORTER_SECRET},
    };
    const char *secret = strrchr(line, ' ');
    for (size_t i = 0; i < HBK_COUNT(labels) && secret != NULL; i++) {
        if (hbk_slice_starts_with(hbk_slice_text(line), labels[i].label)) {
            result->secret_bytes = read_digits(secret + 1, labels[i].to);
            handshake->secrets_seen |= labels[i].seen;
        }
    }
    if (options->key_log != NULL) {
        options->key_log(options->key_log_owner, line);
    }
}

/* ---- what was agreed on ---- */

static void read_protocol(struct hbk_openssl_handshake *handshake)
{
    struct hbk_tls_result *result = &handshake->result;
    const unsigned char *bytes = NULL;
    unsigned int size = 0;
    SSL_get0_alpn_selected(handshake->ssl, &bytes, &size);
    struct hbk_slice chosen = hbk_slice_of(bytes, size);
    struct hbk_cursor cursor = hbk_cursor_of(handshake->setup->context->protocols);
    result->has_foreign_protocol = size > 0; /* libssl does not look whether it was offered */
    while (cursor.left.size > 0) {
        struct hbk_slice ours = hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 1));
        if (size > 0 && hbk_slice_equal(ours, chosen)) {
            result->protocol = ours;
            result->has_foreign_protocol = false;
        }
    }
}

static uint16_t group_of(int nid)
{
    switch (nid) {
    case NID_X25519:
        return HBK_GROUP_X25519;
    case NID_X9_62_prime256v1:
        return HBK_GROUP_P256;
    case NID_secp384r1:
        return HBK_GROUP_P384;
    default:
        return 0;
    }
}

/* Of the peer's signature; 0: it made none. */
static uint16_t scheme_of(SSL *ssl)
{
    static const struct {
        int type;
        int hash;
        uint16_t scheme;
    } schemes[] = {
        {EVP_PKEY_EC, NID_sha256, HBK_SIGN_ECDSA_P256_SHA256},
        {EVP_PKEY_EC, NID_sha384, HBK_SIGN_ECDSA_P384_SHA384},
        {EVP_PKEY_RSA_PSS, NID_sha256, HBK_SIGN_RSA_PSS_RSAE_SHA256},
        {EVP_PKEY_RSA_PSS, NID_sha384, HBK_SIGN_RSA_PSS_RSAE_SHA384},
        {EVP_PKEY_RSA_PSS, NID_sha512, HBK_SIGN_RSA_PSS_RSAE_SHA512},
        {EVP_PKEY_RSA, NID_sha256, HBK_SIGN_RSA_PKCS1_SHA256},
        {EVP_PKEY_RSA, NID_sha384, HBK_SIGN_RSA_PKCS1_SHA384},
        {EVP_PKEY_RSA, NID_sha512, HBK_SIGN_RSA_PKCS1_SHA512},
    };
    int type = 0;
    int hash = 0;
    if (SSL_get_peer_signature_type_nid(ssl, &type) != 1) {
        return 0;
    }
    if (type == EVP_PKEY_ED25519) {
        return HBK_SIGN_ED25519;
    }
    (void)SSL_get_peer_signature_nid(ssl, &hash);
    for (size_t i = 0; i < HBK_COUNT(schemes); i++) {
        if (schemes[i].type == type && schemes[i].hash == hash) {
            return schemes[i].scheme;
        }
    }
    return 0;
}

static hbk_status read_staple(struct hbk_openssl_handshake *handshake)
{
    unsigned char *bytes = NULL;
    const struct hbk_tls_setup *setup = handshake->setup;
    if (setup->role != HBK_TLS_CLIENT || !setup->context->asks_staple) {
        return HBK_OK;
    }
    long size = SSL_get_tlsext_status_ocsp_resp(handshake->ssl, &bytes);
    if (size <= 0 || size > HBK_TLS_STAPLE_BYTES_MAX) {
        return HBK_OK;
    }
    handshake->result.staple = hbk_span_of(malloc((size_t)size), (size_t)size);
    if (handshake->result.staple.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy(handshake->result.staple.bytes, bytes, (size_t)size);
    return HBK_OK;
}

/* Whom the ticket vouched for, or who has presented himself in this handshake; never one for the
 * other. */
static void settle_peer(struct hbk_openssl_handshake *handshake)
{
    if (SSL_session_reused(handshake->ssl) == 1) {
        hbk_peer_unref(handshake->result.peer);
        handshake->result.peer = handshake->ticket_peer;
    } else {
        hbk_peer_unref(handshake->ticket_peer);
    }
    handshake->ticket_peer = NULL;
}

/* TLS 1.3: everything that the channel needs must have been told. */
static bool has_secrets(const struct hbk_openssl_handshake *handshake, uint16_t suite)
{
    return hbk_cipher_suite_is_known(suite) && handshake->secrets_seen == HBK_OPENSSL_SECRETS &&
           handshake->result.secret_bytes == hbk_cipher_suite_hash_bytes(suite);
}

hbk_status hbk_openssl_read_result(struct hbk_openssl_handshake *handshake)
{
    struct hbk_tls_result *result = &handshake->result;
    const struct hbk_tls_setup *setup = handshake->setup;
    SSL *ssl = handshake->ssl;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    uint16_t suite = SSL_CIPHER_get_protocol_id(cipher);
    bool is_old = SSL_version(ssl) == TLS1_2_VERSION;
    bool needs_peer = setup->role == HBK_TLS_CLIENT ||
                      setup->context->client_certificate == HBK_TLS_CLIENT_CERTIFICATE_REQUIRED;
    hbk_openssl_keep_renewed_ticket(handshake);
    settle_peer(handshake);
    if ((!is_old && !has_secrets(handshake, suite)) || (needs_peer && result->peer == NULL)) {
        return HBK_INVALID;
    }
    result->version = is_old ? HBK_TLS_1_2 : HBK_TLS_1_3;
    result->suite = suite;
    result->cipher_text = is_old ? SSL_CIPHER_standard_name(cipher) : NULL;
    /* Tickets of TLS 1.3 are for libssl's eyes: a client that wants them stays with it. */
    result->keeps_engine = is_old || (setup->role == HBK_TLS_CLIENT && setup->context->resumes);
    result->group = group_of((int)SSL_get_negotiated_group(ssl));
    result->peer_scheme = SSL_session_reused(ssl) == 1 ? 0 : scheme_of(ssl);
    result->was_resumed = SSL_session_reused(ssl) == 1;
    read_protocol(handshake);
    hbk_status status = read_staple(handshake);
    ERR_clear_error();
    return status;
}
