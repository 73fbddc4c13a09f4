#include "crypto/key_source.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

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

hbk_status hbk_private_key_from_pem(struct hbk_slice pem, struct hbk_slice password,
                                    struct hbk_key_provider *provider,
                                    struct hbk_private_key **out_key, struct hbk_error *error)
{
    if (pem.size > HBK_KEY_PEM_BYTES_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "a private key of %zu bytes; %d are allowed",
                             pem.size, HBK_KEY_PEM_BYTES_MAX);
    }
    BIO *bio = BIO_new_mem_buf(pem.bytes, (int)pem.size);
    EVP_PKEY *pkey =
        bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, give_password, &password);

    BIO_free(bio);
    ERR_clear_error();
    if (pkey == NULL) {
        return hbk_error_set(error, bio == NULL ? HBK_NO_MEMORY : HBK_INVALID,
                             "Failed to read private key. It must be PEM%s.",
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
