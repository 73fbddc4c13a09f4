#include "bench/material.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

enum { SERIAL_BYTES = 16, LIFE_S = 86400, RSA_BITS = 2048 };

struct hbk_material {
    EVP_PKEY *key;
    X509 *certificate;
};

static hbk_status fail(struct hbk_error *error, const char *what)
{
    return hbk_error_set(error, HBK_IO, "libcrypto could not make %s", what);
}

static EVP_PKEY *make_key(bool is_rsa)
{
    return is_rsa ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
}

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

static bool set_serial(ASN1_INTEGER *to)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40); /* positive, and always 16 bytes long */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool is_set = number != NULL && BN_to_ASN1_INTEGER(number, to) != NULL;
    BN_free(number);
    return is_set;
}

/* Everything but the extensions and the signature. */
static X509 *make_certificate(EVP_PKEY *key, const X509_NAME *issuer, const char *name)
{
    X509 *certificate = X509_new();
    if (certificate == NULL) {
        return NULL;
    }
    X509_NAME *subject = X509_get_subject_name(certificate);
    bool is_made = X509_set_version(certificate, X509_VERSION_3) == 1 &&
                   set_serial(X509_get_serialNumber(certificate)) &&
                   X509_gmtime_adj(X509_getm_notBefore(certificate), -60) != NULL &&
                   X509_gmtime_adj(X509_getm_notAfter(certificate), LIFE_S) != NULL &&
                   X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                              (const unsigned char *)name, -1, -1, 0) == 1 &&
                   X509_set_issuer_name(certificate, issuer == NULL ? subject : issuer) == 1 &&
                   X509_set_pubkey(certificate, key) == 1;
    if (!is_made) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

hbk_status hbk_material_new(const char *folder, struct hbk_material **out_material,
                            struct hbk_error *error)
{
    char path[HBK_MATERIAL_PATH_BYTES_MAX];
    struct hbk_material *material = calloc(1, sizeof *material);
    if (material == NULL) {
        return HBK_NO_MEMORY;
    }
    (void)snprintf(path, sizeof path, "%s/ca.pem", folder);
    material->key = make_key(false);
    material->certificate =
        material->key == NULL ? NULL : make_certificate(material->key, NULL, "bench authority");
    X509 *certificate = material->certificate;
    FILE *file = fopen(path, "we");
    bool is_made =
        certificate != NULL && file != NULL &&
        add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE") &&
        add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
        X509_sign(certificate, material->key, EVP_sha256()) > 0 &&
        PEM_write_X509(file, certificate) == 1;
    is_made = file != NULL && fclose(file) == 0 && is_made;
    if (!is_made) {
        hbk_material_free(material);
        return fail(error, path);
    }
    *out_material = material;
    return HBK_OK;
}

void hbk_material_free(struct hbk_material *material)
{
    if (material != NULL) {
        X509_free(material->certificate);
        EVP_PKEY_free(material->key);
        free(material);
    }
}

hbk_status hbk_material_write_leaf(const struct hbk_material *material, const char *path,
                                   const char *host, bool is_rsa, struct hbk_error *error)
{
    char names[HBK_MATERIAL_PATH_BYTES_MAX];
    EVP_PKEY *key = make_key(is_rsa);
    X509 *issuer = material->certificate;
    X509 *leaf = key == NULL ? NULL : make_certificate(key, X509_get_subject_name(issuer), host);
    FILE *file = fopen(path, "we");
    (void)snprintf(names, sizeof names, "DNS:%s", host);
    bool is_made = leaf != NULL && file != NULL &&
                   add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                   add_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature") &&
                   add_extension(leaf, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
                   add_extension(leaf, issuer, NID_authority_key_identifier, "keyid") &&
                   add_extension(leaf, issuer, NID_subject_alt_name, names) &&
                   X509_sign(leaf, material->key, EVP_sha256()) > 0 &&
                   PEM_write_X509(file, leaf) == 1 && PEM_write_X509(file, issuer) == 1 &&
                   PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
    is_made = file != NULL && fclose(file) == 0 && is_made;
    X509_free(leaf);
    EVP_PKEY_free(key);
    return is_made ? HBK_OK : fail(error, path);
}

static bool add_entry(X509_CRL *list, ASN1_TIME *when)
{
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    X509_REVOKED *entry = X509_REVOKED_new();
    bool is_added = serial != NULL && entry != NULL && set_serial(serial) &&
                    X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
                    X509_REVOKED_set_revocationDate(entry, when) == 1 &&
                    X509_CRL_add0_revoked(list, entry) == 1;
    ASN1_INTEGER_free(serial);
    if (!is_added) {
        X509_REVOKED_free(entry);
    }
    return is_added;
}

hbk_status hbk_material_write_list(const struct hbk_material *material, const char *path,
                                   unsigned entries, struct hbk_error *error)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60);
    ASN1_TIME *next = X509_gmtime_adj(NULL, LIFE_S);
    FILE *file = fopen(path, "we");
    bool is_made =
        list != NULL && now != NULL && next != NULL && file != NULL &&
        X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1 &&
        X509_CRL_set_issuer_name(list, X509_get_subject_name(material->certificate)) == 1 &&
        X509_CRL_set1_lastUpdate(list, now) == 1 && X509_CRL_set1_nextUpdate(list, next) == 1;
    for (unsigned i = 0; is_made && i < entries; i++) {
        is_made = add_entry(list, now);
    }
    is_made = is_made && X509_CRL_sort(list) == 1 &&
              X509_CRL_sign(list, material->key, EVP_sha256()) > 0 &&
              PEM_write_X509_CRL(file, list) == 1;
    is_made = file != NULL && fclose(file) == 0 && is_made;
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    X509_CRL_free(list);
    return is_made ? HBK_OK : fail(error, path);
}
