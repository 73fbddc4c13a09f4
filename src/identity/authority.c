#include "identity/authority.h"

#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/secret.h"
#include "identity/certificate.h"

enum { SERIAL_BYTES = 16, PEM_BYTES_MAX = 64 << 10 };

struct hbk_authority {
    const struct hbk_spiffe_id *id; /* of the trust domain; held */
    X509 *root;
    EVP_PKEY *key;
    struct hbk_buffer root_pem;
};

bool hbk_key_type_parse(struct hbk_slice text, enum hbk_key_type *out_type)
{
    if (hbk_slice_equal(text, HBK_SLICE("ecdsa-p256"))) {
        *out_type = HBK_KEY_ECDSA_P256;
        return true;
    }
    if (hbk_slice_equal(text, HBK_SLICE("rsa-2048"))) {
        *out_type = HBK_KEY_RSA_2048;
        return true;
    }
    return false;
}

void hbk_issued_init(struct hbk_issued *issued)
{
    hbk_buffer_init(&issued->chain_pem, PEM_BYTES_MAX);
    hbk_buffer_init(&issued->key_pem, PEM_BYTES_MAX);
}

void hbk_issued_fini(struct hbk_issued *issued)
{
    if (issued->key_pem.bytes != NULL) {
        hbk_secret_wipe(issued->key_pem.bytes, issued->key_pem.capacity);
    }
    hbk_buffer_fini(&issued->key_pem);
    hbk_buffer_fini(&issued->chain_pem);
}

/* "..., libcrypto says: ...", for what only a broken or starved libcrypto does. */
static hbk_status tell_crypto(struct hbk_error *error, const char *what)
{
    char text[256];
    unsigned long code = ERR_peek_last_error();
    ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return hbk_error_set(error,
                         ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ? HBK_NO_MEMORY : HBK_IO,
                         "%s: libcrypto says: %s", what, text);
}

static EVP_PKEY *make_key(enum hbk_key_type type)
{
    switch (type) {
    case HBK_KEY_ECDSA_P256:
        return EVP_EC_gen("P-256");
    case HBK_KEY_RSA_2048:
        return EVP_RSA_gen(2048);
    }
    return NULL;
}

/* Positive and random (RFC 5280, 4.1.2.2; CA/B Forum: 64 bits of it at least). */
static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool is_set =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return is_set;
}

static bool set_validity(X509 *certificate, int64_t start_ns, int64_t end_ns)
{
    const int64_t second = (int64_t)HBK_NS_PER_S;
    return ASN1_TIME_adj(X509_getm_notBefore(certificate), (time_t)(start_ns / second), 0, 0) !=
               NULL &&
           ASN1_TIME_adj(X509_getm_notAfter(certificate), (time_t)(end_ns / second), 0, 0) != NULL;
}

/* Adds an extension in the language of openssl.cnf. `value` holds only text made here or checked
 * by hbk_spiffe_parse(), which leaves no comma or colon to misread. */
static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool add_uri(X509 *certificate, X509 *issuer, const struct hbk_spiffe_id *id,
                    bool is_critical)
{
    char value[HBK_SPIFFE_ID_BYTES_MAX + 32];
    (void)snprintf(value, sizeof value, "%sURI:%.*s", is_critical ? "critical," : "",
                   HBK_SLICE_ARGS(id->text));
    return add_extension(certificate, issuer, NID_subject_alt_name, value);
}

/* In a BIO of secure memory, which is wiped when it is freed. */
static bool append_key(struct hbk_buffer *out, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    bool is_done =
        bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (is_done) {
        long size = BIO_get_mem_data(bio, &text);
        is_done = hbk_buffer_append(out, hbk_slice_of(text, (size_t)size)) == HBK_OK;
        OPENSSL_cleanse(text, (size_t)size);
    }
    BIO_free(bio);
    return is_done;
}

static X509 *start_certificate(EVP_PKEY *key, int64_t start_ns, int64_t end_ns)
{
    X509 *certificate = X509_new();
    if (certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        set_serial(certificate) && set_validity(certificate, start_ns, end_ns) &&
        X509_set_pubkey(certificate, key) == 1) {
        return certificate;
    }
    X509_free(certificate);
    return NULL;
}

/* RFC 5280 demands a subject of every CA; the serial number tells two roots apart in a rotation. */
static bool name_root(X509 *root)
{
    char serial[HBK_SERIAL_TEXT_BYTES_MAX];
    hbk_certificate_serial(root, serial);
    X509_NAME *name = X509_get_subject_name(root);
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Hauberk", -1,
                                      -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"Hauberk root", -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "serialNumber", MBSTRING_ASC,
                                      (const unsigned char *)serial, -1, -1, 0) == 1 &&
           X509_set_issuer_name(root, name) == 1;
}

static X509 *build_root(const struct hbk_spiffe_id *id, EVP_PKEY *key, int64_t now_ns)
{
    X509 *root = start_certificate(key, now_ns - HBK_ISSUE_BACKDATE_NS, now_ns + HBK_ROOT_LIFE_NS);
    if (root != NULL && name_root(root) &&
        add_extension(root, root, NID_basic_constraints, "critical,CA:TRUE") &&
        add_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(root, root, NID_subject_key_identifier, "hash") &&
        add_uri(root, root, id, false) && X509_sign(root, key, EVP_sha256()) > 0) {
        return root;
    }
    X509_free(root);
    return NULL;
}

static hbk_status trust_domain_id(struct hbk_slice trust_domain,
                                  const struct hbk_spiffe_id **out_id, struct hbk_error *error)
{
    if (!hbk_spiffe_is_trust_domain(trust_domain)) {
        return hbk_error_set(
            error, HBK_INVALID,
            "\"%.*s\" is not a trust domain: 1 to 255 of a-z 0-9 . - _ are allowed",
            HBK_SLICE_ARGS(hbk_slice_part(trust_domain, 0, 300)));
    }
    char text[HBK_SPIFFE_TRUST_DOMAIN_BYTES_MAX + 16];
    int size = snprintf(text, sizeof text, "spiffe://%.*s", HBK_SLICE_ARGS(trust_domain));
    return hbk_spiffe_intern(hbk_slice_of(text, (size_t)size), out_id);
}

/* Both as text, in place of what `out_issued` held. */
static hbk_status write_issued(X509 *certificate, EVP_PKEY *key, struct hbk_issued *out_issued)
{
    struct hbk_issued issued;
    hbk_issued_init(&issued);
    if (hbk_certificate_write(certificate, &issued.chain_pem) != HBK_OK ||
        !append_key(&issued.key_pem, key)) {
        hbk_issued_fini(&issued);
        return HBK_NO_MEMORY;
    }
    hbk_issued_fini(out_issued);
    *out_issued = issued;
    return HBK_OK;
}

hbk_status hbk_authority_make_root(struct hbk_slice trust_domain, int64_t now_ns,
                                   struct hbk_issued *out_root, struct hbk_error *error)
{
    const struct hbk_spiffe_id *id = NULL;
    HBK_TRY(trust_domain_id(trust_domain, &id, error));
    EVP_PKEY *key = make_key(HBK_KEY_ECDSA_P256);
    X509 *root = key == NULL ? NULL : build_root(id, key, now_ns);
    hbk_status status =
        root == NULL ? tell_crypto(error, "making a root") : write_issued(root, key, out_root);
    X509_free(root);
    EVP_PKEY_free(key);
    hbk_spiffe_unref(id);
    return status;
}

/* The trust domain that a root names by a SPIFFE id without a path (X509-SVID, section 3.1). */
static hbk_status find_trust_domain(X509 *root, const struct hbk_spiffe_id **out_id,
                                    struct hbk_error *error)
{
    hbk_status status = HBK_NOT_FOUND;
    GENERAL_NAMES *names = X509_get_ext_d2i(root, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && status == HBK_NOT_FOUND; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        struct hbk_spiffe_parts parts;
        if (name->type == GEN_URI) {
            const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
            struct hbk_slice text =
                hbk_slice_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
            if (hbk_spiffe_parse(text, &parts) && parts.path.size == 0) {
                status = hbk_spiffe_intern(text, out_id);
            }
        }
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return status != HBK_NOT_FOUND
               ? status
               : hbk_error_set(error, HBK_INVALID,
                               "the CA's certificate names no trust domain: a URI name "
                               "\"spiffe://TRUST-DOMAIN\" is expected");
}

static hbk_status load(struct hbk_authority *authority, struct hbk_slice root_pem,
                       struct hbk_slice key_pem, struct hbk_error *error)
{
    struct hbk_certificates roots;
    HBK_TRY(hbk_certificates_read(root_pem, 1, &roots, error));
    authority->root = roots.items[0];
    roots.count = 0;
    hbk_certificates_fini(&roots);

    HBK_TRY(hbk_certificate_check_signer(authority->root, true, error));
    HBK_TRY(find_trust_domain(authority->root, &authority->id, error));
    authority->key = hbk_private_key_read(key_pem);
    bool is_pair =
        authority->key != NULL && X509_check_private_key(authority->root, authority->key) == 1;
    ERR_clear_error();
    if (!is_pair) {
        return hbk_error_set(error, HBK_INVALID,
                             authority->key == NULL
                                 ? "no private key: an unencrypted PEM file is expected"
                                 : "the private key is not the one of the CA's certificate");
    }
    return hbk_certificate_write(authority->root, &authority->root_pem);
}

hbk_status hbk_authority_new(struct hbk_slice root_pem, struct hbk_slice key_pem,
                             struct hbk_authority **out_authority, struct hbk_error *error)
{
    if (root_pem.size > HBK_CHAIN_BYTES_MAX || key_pem.size > HBK_PRIVATE_KEY_BYTES_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "CA certificate above %d or key above %d bytes",
                             HBK_CHAIN_BYTES_MAX, HBK_PRIVATE_KEY_BYTES_MAX);
    }
    struct hbk_authority *authority = calloc(1, sizeof *authority);
    if (authority == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_buffer_init(&authority->root_pem, PEM_BYTES_MAX);
    hbk_status status = load(authority, root_pem, key_pem, error);
    if (status != HBK_OK) {
        hbk_authority_free(authority);
        return status == HBK_UNTRUSTED ? HBK_INVALID : status;
    }
    *out_authority = authority;
    return HBK_OK;
}

void hbk_authority_free(struct hbk_authority *authority)
{
    if (authority == NULL) {
        return;
    }
    EVP_PKEY_free(authority->key);
    X509_free(authority->root);
    hbk_buffer_fini(&authority->root_pem);
    hbk_spiffe_unref(authority->id);
    free(authority);
}

struct hbk_slice hbk_authority_trust_domain(const struct hbk_authority *authority)
{
    return authority->id->parts.trust_domain;
}

struct hbk_slice hbk_authority_root_pem(const struct hbk_authority *authority)
{
    return hbk_buffer_slice(&authority->root_pem);
}

static X509 *build_leaf(const struct hbk_authority *authority, const struct hbk_spiffe_id *id,
                        enum hbk_key_type key_type, EVP_PKEY *key, int64_t start_ns, int64_t end_ns)
{
    const char *usage = key_type == HBK_KEY_RSA_2048 ? "critical,digitalSignature,keyEncipherment"
                                                     : "critical,digitalSignature";
    X509 *root = authority->root;
    X509 *leaf = start_certificate(key, start_ns, end_ns);
    if (leaf != NULL && X509_set_issuer_name(leaf, X509_get_subject_name(root)) == 1 &&
        add_extension(leaf, root, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(leaf, root, NID_key_usage, usage) &&
        add_extension(leaf, root, NID_ext_key_usage, "serverAuth,clientAuth") &&
        add_extension(leaf, root, NID_authority_key_identifier, "keyid") &&
        add_uri(leaf, root, id, true) && X509_sign(leaf, authority->key, EVP_sha256()) > 0) {
        return leaf;
    }
    X509_free(leaf);
    return NULL;
}

/* The leaf's end: as asked for, but never behind the root's own. */
static hbk_status choose_validity(const struct hbk_authority *authority, uint64_t life_ns,
                                  int64_t now_ns, int64_t *out_start_ns, int64_t *out_end_ns,
                                  struct hbk_error *error)
{
    int64_t root_start_ns = 0;
    int64_t root_end_ns = 0;
    if (life_ns < HBK_LEAF_LIFE_NS_MIN || life_ns > (uint64_t)HBK_ROOT_LIFE_NS) {
        char text[HBK_DURATION_TEXT_BYTES_MAX];
        return hbk_error_set(error, HBK_INVALID,
                             "a certificate's life of %s: 1s to 3650d are allowed",
                             hbk_duration_text(life_ns, text));
    }
    if (!hbk_certificate_validity(authority->root, &root_start_ns, &root_end_ns) ||
        now_ns < root_start_ns || now_ns >= root_end_ns) {
        char start[HBK_CERTIFICATE_TIME_BYTES_MAX];
        char end[HBK_CERTIFICATE_TIME_BYTES_MAX];
        return hbk_error_set(error, HBK_INVALID, "the CA's certificate is valid from %s to %s only",
                             hbk_certificate_time(root_start_ns, start),
                             hbk_certificate_time(root_end_ns, end));
    }
    int64_t start_ns = now_ns - HBK_ISSUE_BACKDATE_NS;
    *out_start_ns = start_ns > root_start_ns ? start_ns : root_start_ns;
    *out_end_ns = (int64_t)life_ns < root_end_ns - now_ns ? now_ns + (int64_t)life_ns : root_end_ns;
    return HBK_OK;
}

hbk_status hbk_authority_issue(const struct hbk_authority *authority,
                               const struct hbk_spiffe_id *id, enum hbk_key_type key_type,
                               uint64_t life_ns, int64_t now_ns, struct hbk_issued *out_issued,
                               struct hbk_error *error)
{
    struct hbk_slice trust_domain = hbk_authority_trust_domain(authority);
    if (!hbk_slice_equal(id->parts.trust_domain, trust_domain) || id->parts.path.size == 0) {
        return hbk_error_set(
            error, HBK_INVALID, "%.*s cannot be issued: this CA issues spiffe://%.*s/PATH",
            HBK_SLICE_ARGS(hbk_slice_part(id->text, 0, 200)), HBK_SLICE_ARGS(trust_domain));
    }
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    HBK_TRY(choose_validity(authority, life_ns, now_ns, &start_ns, &end_ns, error));

    EVP_PKEY *key = make_key(key_type);
    X509 *leaf = key == NULL ? NULL : build_leaf(authority, id, key_type, key, start_ns, end_ns);
    hbk_status status = leaf == NULL ? tell_crypto(error, "issuing a certificate")
                                     : write_issued(leaf, key, out_issued);
    X509_free(leaf);
    EVP_PKEY_free(key);
    return status;
}
