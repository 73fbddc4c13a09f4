#include "crypto/key_source.h"

#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

/* Called for an encrypted key; nobody is there to type. */
static int give_password(char *buffer, int size, int is_writing, void *argument)
{
    const struct hbk_slice *password = argument;
    (void)is_writing;
    if (password->size == 0 || password->size > (size_t)size) {
        return -1;
    }
    memcpy(buffer, password->bytes, password->size);
    return (int)password->size;
}

/* What libcrypto calls the kind of key in a PKCS #8 structure; NULL: none of the common ones. */
static const char *kind_of(const unsigned char *der, long size)
{
    const ASN1_OBJECT *algorithm = NULL;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, size);
    if (info == NULL || PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) != 1) {
        PKCS8_PRIV_KEY_INFO_free(info);
        return NULL;
    }
    int number = OBJ_obj2nid(algorithm);
    PKCS8_PRIV_KEY_INFO_free(info);
    return number == NID_X9_62_id_ecPublicKey ? "EC" : number == NID_rsaEncryption ? "RSA" : NULL;
}

/*
 * An unencrypted PKCS #8 key of EC or RSA, which is what nearly all are. PEM_read_bio_PrivateKey
 * tries every decoder of libcrypto 3.0 and takes 450 us for a key of P-256; with the kind told it
 * takes 100. A gateway may have ten thousand of them. NULL: not such a key, or not a good one.
 */
static EVP_PKEY *read_common(struct hbk_slice pem)
{
    EVP_PKEY *pkey = NULL;
    bool is_over = false;
    BIO *bio = BIO_new_mem_buf(pem.bytes, (int)pem.size);
    while (bio != NULL && !is_over) {
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long size = 0;
        if (PEM_read_bio(bio, &name, &header, &der, &size) != 1) {
            break;
        }
        is_over = strstr(name, "PRIVATE KEY") != NULL; /* the first key, of whatever form */
        const char *kind = strcmp(name, PEM_STRING_PKCS8INF) == 0 ? kind_of(der, size) : NULL;
        OSSL_DECODER_CTX *decoder =
            kind == NULL ? NULL
                         : OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", "PrivateKeyInfo", kind,
                                                         EVP_PKEY_KEYPAIR, NULL, NULL);
        const unsigned char *at = der;
        size_t left = (size_t)size;
        if (decoder != NULL && OSSL_DECODER_from_data(decoder, &at, &left) != 1) {
            EVP_PKEY_free(pkey);
            pkey = NULL;
        }
        OSSL_DECODER_CTX_free(decoder);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)size);
    }
    BIO_free(bio);
    return pkey;
}

/* Any key that libcrypto can read. */
static EVP_PKEY *read_any(struct hbk_slice pem, struct hbk_slice password)
{
    BIO *bio = BIO_new_mem_buf(pem.bytes, (int)pem.size);
    EVP_PKEY *pkey =
        bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, give_password, &password);
    BIO_free(bio);
    return pkey;
}

hbk_status hbk_private_key_from_pem(struct hbk_slice pem, struct hbk_slice password,
                                    struct hbk_key_provider *provider,
                                    struct hbk_private_key **out_key, struct hbk_error *error)
{
    if (pem.size > HBK_KEY_PEM_BYTES_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "a private key of %zu bytes; %d are allowed",
                             pem.size, HBK_KEY_PEM_BYTES_MAX);
    }
    EVP_PKEY *pkey = read_common(pem);
    pkey = pkey != NULL ? pkey : read_any(pem, password);
    ERR_clear_error();
    if (pkey == NULL) {
        return hbk_error_set(error, HBK_INVALID, "Failed to read private key. It must be PEM%s.",
                             password.size > 0 ? ", and the password must be the right one"
                                               : " and, without a password, not encrypted");
    }
    hbk_status status = hbk_private_key_new(pkey, provider, out_key, error);
    EVP_PKEY_free(pkey);
    return status;
}

static hbk_status from_plain(struct hbk_slice pem, struct hbk_slice password,
                             struct hbk_private_key **out_key, struct hbk_error *error)
{
    if (pem.size == 0) {
        return hbk_error_set(error, HBK_NOT_FOUND,
                             "no private key: neither private_key nor a private_key_provider "
                             "with one is set");
    }
    return hbk_private_key_from_pem(pem, password, NULL, out_key, error);
}

static hbk_status from_provider(const struct hbk_key_source *source,
                                struct hbk_private_key **out_key, struct hbk_error *error)
{
    if (source->provider == NULL) {
        return hbk_error_set(error, HBK_UNSUPPORTED, "%s",
                             source->provider_failure == NULL ? "there is no such provider here"
                                                              : source->provider_failure);
    }
    if (source->provider_key_pem.size == 0) {
        return hbk_error_set(error, HBK_NOT_FOUND, "the provider %s has no private_key",
                             source->provider_name);
    }
    return hbk_private_key_from_pem(source->provider_key_pem, source->password, source->provider,
                                    out_key, error);
}

hbk_status hbk_private_key_from_source(const struct hbk_key_source *source,
                                       struct hbk_private_key **out_key,
                                       struct hbk_error *out_missing, struct hbk_error *error)
{
    struct hbk_error reason = {0};

    *out_missing = (struct hbk_error){0};
    if (source->provider_name == NULL) {
        return from_plain(source->key_pem, source->password, out_key, error);
    }
    hbk_status status = from_provider(source, out_key, &reason);
    if (status == HBK_UNSUPPORTED && source->has_fallback) {
        *out_missing = reason;
        return from_plain(source->key_pem.size > 0 ? source->key_pem : source->provider_key_pem,
                          source->password, out_key, error);
    }
    if (status == HBK_UNSUPPORTED) {
        return hbk_error_set(error, status, "Failed to load private key provider: %s: %s",
                             source->provider_name, reason.text);
    }
    return status == HBK_OK ? HBK_OK : hbk_error_set(error, status, "%s", reason.text);
}
