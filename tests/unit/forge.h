/*
 * Makes certificates for tests, good ones and such as no authority would issue: every rule of
 * identity/verdict.h can be broken by one member. Aborts the test when libcrypto fails.
 */
#pragma once

#include "harness.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/clock.h"
#include "identity/bundle.h"
#include "identity/svid.h"
#include "identity/verdict.h"

/* 2026-11-23 12:00:00 UTC: the tests' now. */
#define FORGE_NOW_NS (INT64_C(1795435200) * 1000000000)
#define FORGE_DAY_NS (INT64_C(86400) * 1000000000)
#define FORGE_HOUR_NS (INT64_C(3600) * 1000000000)

struct forged {
    X509 *certificate;
    EVP_PKEY *key;
};

/* What a certificate shall be; members left zero take the values of a good leaf, "-" leaves the
 * extension out. Extensions are written as in openssl.cnf. */
struct forge {
    const char *common_name;     /* NULL: no subject */
    const char *names;           /* default "critical,URI:spiffe://td.test/ns/shop/sa/cart" */
    const char *constraints;     /* default "critical,CA:FALSE" */
    const char *usage;           /* default "critical,digitalSignature" */
    const char *purposes;        /* default "serverAuth,clientAuth" */
    const char *unknown;         /* an extension nobody knows: "critical" or "" */
    int64_t start_ns;            /* default now - 1 h */
    int64_t end_ns;              /* default now + 1 h */
    const struct forged *signer; /* default: itself */
    EVP_PKEY *key;               /* default: a fresh one of P-256 */
    const char *digest;          /* default "SHA256" */
    long serial;                 /* default 77 */
};

#define FORGE_ROOT(name)                                                                           \
    {                                                                                              \
        .common_name = (name), .names = "-", .constraints = "critical,CA:TRUE",                    \
        .usage = "critical,keyCertSign,cRLSign", .purposes = "-",                                  \
        .start_ns = FORGE_NOW_NS - 365 * FORGE_DAY_NS, .end_ns = FORGE_NOW_NS + 365 * FORGE_DAY_NS \
    }

HBK_UNUSED static void forge_extension(X509 *certificate, X509 *issuer, int nid, const char *value,
                                       const char *default_value)
{
    value = value == NULL ? default_value : value;
    if (strcmp(value, "-") == 0) {
        return;
    }
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

HBK_UNUSED static void forge_unknown(X509 *certificate, bool is_critical)
{
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, is_critical, value);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

HBK_UNUSED static struct forged forge(struct forge wish)
{
    X509 *certificate = X509_new();
    EVP_PKEY *key = wish.key;
    if (key == NULL) {
        key = EVP_EC_gen("P-256");
    } else {
        EVP_PKEY_up_ref(key);
    }
    int64_t start_ns = wish.start_ns == 0 ? FORGE_NOW_NS - FORGE_HOUR_NS : wish.start_ns;
    int64_t end_ns = wish.end_ns == 0 ? FORGE_NOW_NS + FORGE_HOUR_NS : wish.end_ns;
    assert_non_null(certificate);
    assert_non_null(key);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), wish.serial == 0 ? 77 : wish.serial);
    ASN1_TIME_adj(X509_getm_notBefore(certificate), start_ns / 1000000000, 0, 0);
    ASN1_TIME_adj(X509_getm_notAfter(certificate), end_ns / 1000000000, 0, 0);
    X509_set_pubkey(certificate, key);
    if (wish.common_name != NULL) {
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                   (const unsigned char *)wish.common_name, -1, -1, 0);
    }
    X509 *issuer = wish.signer == NULL ? certificate : wish.signer->certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    forge_extension(certificate, issuer, NID_basic_constraints, wish.constraints,
                    "critical,CA:FALSE");
    forge_extension(certificate, issuer, NID_key_usage, wish.usage, "critical,digitalSignature");
    forge_extension(certificate, issuer, NID_ext_key_usage, wish.purposes, "serverAuth,clientAuth");
    forge_extension(certificate, issuer, NID_subject_alt_name, wish.names,
                    "critical,URI:spiffe://td.test/ns/shop/sa/cart");
    if (wish.unknown != NULL) {
        forge_unknown(certificate, strcmp(wish.unknown, "critical") == 0);
    }
    const char *digest = wish.digest == NULL ? "SHA256" : wish.digest;
    EVP_PKEY *signing_key = wish.signer == NULL ? key : wish.signer->key;
    assert_true(X509_sign(certificate, signing_key, EVP_get_digestbyname(digest)) > 0);
    return (struct forged){certificate, key};
}

HBK_UNUSED static void forged_free(struct forged *forged)
{
    X509_free(forged->certificate);
    EVP_PKEY_free(forged->key);
    *forged = (struct forged){0};
}

/* Texts below are allocated; free() them. */
HBK_UNUSED static char *forge_text(BIO *bio)
{
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = hbk_slice_to_string(hbk_slice_of(bytes, (size_t)size));
    BIO_free(bio);
    assert_non_null(text);
    return text;
}

/* Several certificates as PEM, ended by a NULL. */
HBK_UNUSED static char *forged_pem(X509 *const *certificates)
{
    BIO *bio = BIO_new(BIO_s_mem());
    for (; *certificates != NULL; certificates++) {
        assert_int_equal(PEM_write_bio_X509(bio, *certificates), 1);
    }
    return forge_text(bio);
}

/* A revocation list in PEM: `serial` is revoked, as certificates are by default. */
HBK_UNUSED static char *forge_crl(const struct forged *signer, long serial, int64_t start_ns,
                                  int64_t end_ns)
{
    X509_CRL *crl = X509_CRL_new();
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_TIME *time = ASN1_TIME_new();
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(signer->certificate));
    ASN1_TIME_adj(time, start_ns / 1000000000, 0, 0);
    X509_CRL_set1_lastUpdate(crl, time);
    X509_REVOKED_set_revocationDate(revoked, time);
    ASN1_TIME_adj(time, end_ns / 1000000000, 0, 0);
    X509_CRL_set1_nextUpdate(crl, time);
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(revoked, number);
    assert_int_equal(X509_CRL_add0_revoked(crl, revoked), 1);
    assert_true(X509_CRL_sign(crl, signer->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_CRL(bio, crl), 1);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(time);
    X509_CRL_free(crl);
    return forge_text(bio);
}

HBK_UNUSED static char *forged_key_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return forge_text(bio);
}

HBK_UNUSED static struct hbk_bundle *forge_bundle(const char *trust_domain, X509 *root)
{
    char *pem = forged_pem((X509 *[]){root, NULL});
    struct hbk_bundle *bundle = NULL;
    assert_int_equal(hbk_bundle_new(hbk_slice_text(trust_domain), hbk_slice_text(pem),
                                    hbk_slice_of(NULL, 0), &bundle, NULL),
                     HBK_OK);
    free(pem);
    return bundle;
}

/* A set of one bundle. */
HBK_UNUSED static struct hbk_bundle_set *forge_bundle_set(const char *trust_domain, X509 *root)
{
    struct hbk_bundle *bundle = forge_bundle(trust_domain, root);
    struct hbk_bundle_set *set = NULL;
    assert_int_equal(hbk_bundle_set_new(&bundle, 1, &set), HBK_OK);
    hbk_bundle_unref(bundle);
    return set;
}

/* A question by the rules of a mesh, about a trust that lives as long as the block around it. */
#define forge_question(set, peer_role, time_ns)                                               \
    (&(struct hbk_question){                                                                  \
        .trust = &(struct hbk_trust){.options = {.rule = HBK_TRUST_SPIFFE,                    \
                                                 .bundles = (struct hbk_bundle_set *)(set)}}, \
        .role = (peer_role),                                                                  \
        .now_ns = (time_ns),                                                                  \
    })

HBK_UNUSED static struct hbk_svid *forge_svid(const struct forged *leaf)
{
    char *chain = forged_pem((X509 *[]){leaf->certificate, NULL});
    char *key = forged_key_pem(leaf->key);
    struct hbk_svid *svid = NULL;
    struct hbk_error error = {0};
    hbk_status status =
        hbk_svid_from_pem(hbk_slice_text(chain), hbk_slice_text(key), &svid, &error);
    if (status != HBK_OK) {
        fail_msg("no SVID: %s", error.text);
    }
    free(chain);
    free(key);
    return svid;
}
