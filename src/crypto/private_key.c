#include "crypto/private_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/ec_order.h"
#include "crypto/key_device.h"
#include "crypto/key_provider_parts.h"
#include "crypto/private_key_parts.h"
#include "crypto/rsa_padding.h"

enum { GROUP_NAME_BYTES_MAX = 64 };

struct scheme {
    enum hbk_sign_scheme number;
    enum hbk_key_kind kind;
    const char *text;
};

/* In the order in which we prefer them. */
static const struct scheme schemes[] = {
    {HBK_SIGN_ED25519, HBK_KEY_ED25519, "ed25519"},
    {HBK_SIGN_ECDSA_P256_SHA256, HBK_KEY_EC_P256, "ecdsa_secp256r1_sha256"},
    {HBK_SIGN_ECDSA_P384_SHA384, HBK_KEY_EC_P384, "ecdsa_secp384r1_sha384"},
    {HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_KEY_RSA, "rsa_pss_rsae_sha256"},
    {HBK_SIGN_RSA_PSS_RSAE_SHA384, HBK_KEY_RSA, "rsa_pss_rsae_sha384"},
    {HBK_SIGN_RSA_PSS_RSAE_SHA512, HBK_KEY_RSA, "rsa_pss_rsae_sha512"},
    {HBK_SIGN_RSA_PKCS1_SHA256, HBK_KEY_RSA, "rsa_pkcs1_sha256"},
    {HBK_SIGN_RSA_PKCS1_SHA384, HBK_KEY_RSA, "rsa_pkcs1_sha384"},
    {HBK_SIGN_RSA_PKCS1_SHA512, HBK_KEY_RSA, "rsa_pkcs1_sha512"},
};

const char *hbk_key_kind_text(enum hbk_key_kind kind)
{
    static const char *const texts[] = {
        [HBK_KEY_RSA] = "RSA",
        [HBK_KEY_EC_P256] = "P-256",
        [HBK_KEY_EC_P384] = "P-384",
        [HBK_KEY_ED25519] = "Ed25519",
    };
    return texts[kind];
}

const char *hbk_sign_scheme_text(unsigned scheme)
{
    for (size_t i = 0; i < HBK_COUNT(schemes); i++) {
        if (schemes[i].number == scheme) {
            return schemes[i].text;
        }
    }
    return "unknown";
}

/* Of 1024 bits, PSS with SHA-512 does not fit (RFC 8017, 9.1.1: two hashes and two bytes). */
static bool has_room(const struct hbk_private_key *key, enum hbk_sign_scheme scheme)
{
    return scheme != HBK_SIGN_RSA_PSS_RSAE_SHA512 || key->bits > 8 * (2 * HBK_HASH_BYTES_MAX + 1);
}

bool hbk_private_key_can_sign(const struct hbk_private_key *key, unsigned scheme)
{
    for (size_t i = 0; i < HBK_COUNT(schemes); i++) {
        if (schemes[i].number == scheme) {
            return schemes[i].kind == key->kind && has_room(key, schemes[i].number);
        }
    }
    return false;
}

size_t hbk_private_key_schemes(const struct hbk_private_key *key,
                               enum hbk_sign_scheme out_schemes[HBK_KEY_SCHEMES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < HBK_COUNT(schemes); i++) {
        if (schemes[i].kind == key->kind && has_room(key, schemes[i].number)) {
            out_schemes[count++] = schemes[i].number;
        }
    }
    return count;
}

static hbk_status find_curve(EVP_PKEY *pkey, enum hbk_key_kind *out_kind, struct hbk_error *error)
{
    char group[GROUP_NAME_BYTES_MAX] = "a curve without a name";

    if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
        strcmp(group, SN_X9_62_prime256v1) == 0) {
        *out_kind = HBK_KEY_EC_P256;
        return HBK_OK;
    }
    if (strcmp(group, SN_secp384r1) == 0) {
        *out_kind = HBK_KEY_EC_P384;
        return HBK_OK;
    }
    return hbk_error_set(error, HBK_UNSUPPORTED,
                         "a private key on %s; EC keys are on P-256 or P-384", group);
}

static hbk_status find_kind(EVP_PKEY *pkey, enum hbk_key_kind *out_kind, struct hbk_error *error)
{
    if (EVP_PKEY_is_a(pkey, "RSA") == 1) {
        *out_kind = HBK_KEY_RSA;
        return HBK_OK;
    }
    if (EVP_PKEY_is_a(pkey, "ED25519") == 1) {
        *out_kind = HBK_KEY_ED25519;
        return HBK_OK;
    }
    if (EVP_PKEY_is_a(pkey, "EC") == 1) {
        return find_curve(pkey, out_kind, error);
    }
    const char *name = EVP_PKEY_get0_type_name(pkey);
    return hbk_error_set(error, HBK_UNSUPPORTED,
                         "a private key of type %s; RSA, EC and ED25519 are allowed",
                         name == NULL ? "unknown" : name);
}

static hbk_status no_private_part(const struct hbk_private_key *key, struct hbk_error *error)
{
    return hbk_error_set(error, HBK_INVALID, "the %s key has no private part",
                         hbk_key_kind_text(key->kind));
}

static hbk_status read_rsa(struct hbk_private_key *key, struct hbk_error *error)
{
    if (key->bits < HBK_RSA_BITS_MIN || key->bits > HBK_RSA_BITS_MAX) {
        return hbk_error_set(error, HBK_UNSUPPORTED, "an RSA key of %u bits; %d to %d are allowed",
                             key->bits, HBK_RSA_BITS_MIN, HBK_RSA_BITS_MAX);
    }
    hbk_status status = hbk_rsa_key_new(key->pkey, &key->rsa);
    if (status == HBK_UNSUPPORTED) { /* its size was looked at already */
        return hbk_error_set(error, status,
                             "an RSA key whose public exponent has more than %d bits",
                             HBK_RSA_EXPONENT_BITS_MAX);
    }
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "the RSA key cannot be read: %s",
                             hbk_status_text(status));
    }
    return hbk_rsa_key_is_private(key->rsa) ? HBK_OK : no_private_part(key, error);
}

static hbk_status read_ec(struct hbk_private_key *key, const struct hbk_ec_order *order, int size,
                          struct hbk_error *error)
{
    BIGNUM *scalar = NULL;

    if (EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1) {
        return no_private_part(key, error);
    }
    const bool is_good =
        BN_bn2binpad(scalar, key->scalar, size) == size && hbk_ec_order_admits(order, key->scalar);
    BN_clear_free(scalar);
    return is_good ? HBK_OK
                   : hbk_error_set(error, HBK_INVALID,
                                   "the private number of the %s key is out of range",
                                   hbk_key_kind_text(key->kind));
}

static hbk_status read_ed25519(const struct hbk_private_key *key, struct hbk_error *error)
{
    size_t size = 0;
    return EVP_PKEY_get_raw_private_key(key->pkey, NULL, &size) == 1 ? HBK_OK
                                                                     : no_private_part(key, error);
}

static hbk_status read_key(struct hbk_private_key *key, struct hbk_error *error)
{
    HBK_TRY(find_kind(key->pkey, &key->kind, error));
    key->bits = (unsigned)EVP_PKEY_get_bits(key->pkey);
    switch (key->kind) {
    case HBK_KEY_RSA:
        return read_rsa(key, error);
    case HBK_KEY_EC_P256:
        return read_ec(key, &hbk_p256_order, HBK_P256_BYTES, error);
    case HBK_KEY_EC_P384:
        return read_ec(key, &hbk_p384_order, HBK_P384_BYTES, error);
    case HBK_KEY_ED25519:
        return read_ed25519(key, error);
    }
    HBK_UNREACHABLE();
}

static void free_key(struct hbk_private_key *key)
{
    if (key->device_key != NULL) {
        struct hbk_key_device *device = key->provider->options.device;
        device->key_free(device, key->device_key);
    }
    hbk_rsa_key_free(key->rsa);
    EVP_PKEY_free(key->pkey);
    hbk_key_provider_unref(key->provider);
    hbk_secret_wipe(key, sizeof(*key));
    free(key);
}

/* The provider of keys that name none is made with each of them: it is small and has no state. */
static hbk_status set_provider(struct hbk_private_key *key, struct hbk_key_provider *provider,
                               struct hbk_error *error)
{
    if (provider != NULL) {
        key->provider = hbk_key_provider_ref(provider);
        return HBK_OK;
    }
    const struct hbk_key_provider_options options = {.kind = HBK_KEY_PROVIDER_BATCHER};
    return hbk_key_provider_new(&options, &key->provider, error);
}

/* The provider's opinion comes first, because its words are those that its users know. */
static hbk_status read_for_provider(struct hbk_private_key *key, struct hbk_error *error)
{
    struct hbk_key_device *device = key->provider->options.device;

    HBK_TRY(hbk_key_provider_check(key->provider, key->pkey, error));
    HBK_TRY(read_key(key, error));
    return device == NULL ? HBK_OK : device->key_new(device, key->pkey, &key->device_key, error);
}

hbk_status hbk_private_key_new(EVP_PKEY *pkey, struct hbk_key_provider *provider,
                               struct hbk_private_key **out_key, struct hbk_error *error)
{
    struct hbk_private_key *key = calloc(1, sizeof(*key));

    if (key == NULL || EVP_PKEY_up_ref(pkey) != 1) {
        free(key);
        return hbk_error_set(error, HBK_NO_MEMORY, "no memory for a private key");
    }
    key->pkey = pkey;
    atomic_init(&key->references, 1);
    hbk_status status = set_provider(key, provider, error);
    if (status == HBK_OK) {
        status = read_for_provider(key, error);
    }
    ERR_clear_error();
    if (status != HBK_OK) {
        free_key(key);
        return status;
    }
    *out_key = key;
    return HBK_OK;
}

struct hbk_private_key *hbk_private_key_ref(struct hbk_private_key *key)
{
    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
    return key;
}

void hbk_private_key_unref(struct hbk_private_key *key)
{
    if (key != NULL && atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) == 1) {
        free_key(key);
    }
}

enum hbk_key_kind hbk_private_key_kind(const struct hbk_private_key *key)
{
    return key->kind;
}

unsigned hbk_private_key_bits(const struct hbk_private_key *key)
{
    return key->bits;
}

size_t hbk_private_key_output_bytes(const struct hbk_private_key *key)
{
    switch (key->kind) {
    case HBK_KEY_RSA:
        return hbk_rsa_key_bytes(key->rsa);
    case HBK_KEY_EC_P256:
        return HBK_P256_DER_BYTES_MAX;
    case HBK_KEY_EC_P384:
        return HBK_P384_DER_BYTES_MAX;
    case HBK_KEY_ED25519:
        return HBK_ED25519_SIGNATURE_BYTES;
    }
    HBK_UNREACHABLE();
}

EVP_PKEY *hbk_private_key_pkey(const struct hbk_private_key *key)
{
    return key->pkey;
}

struct hbk_key_provider *hbk_private_key_provider(const struct hbk_private_key *key)
{
    return key->provider;
}
