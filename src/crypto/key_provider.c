#include "crypto/key_provider.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/cpu.h"
#include "crypto/key_provider_parts.h"

enum { RSA_EXPONENT = 65537 };

static const char *const kind_texts[HBK_KEY_PROVIDER_COUNT] = {
    [HBK_KEY_PROVIDER_BATCHER] = "batcher",
    [HBK_KEY_PROVIDER_SOFTWARE] = "software",
    [HBK_KEY_PROVIDER_CRYPTOMB] = "cryptomb",
    [HBK_KEY_PROVIDER_QAT] = "qat",
};

const char *hbk_key_provider_kind_text(enum hbk_key_provider_kind kind)
{
    return kind_texts[kind];
}

bool hbk_key_provider_kind_from_text(const char *text, enum hbk_key_provider_kind *out_kind)
{
    for (int i = 0; i < HBK_KEY_PROVIDER_COUNT; i++) {
        if (strcmp(text, kind_texts[i]) == 0) {
            *out_kind = (enum hbk_key_provider_kind)i;
            return true;
        }
    }
    return false;
}

const char *hbk_key_count_name(enum hbk_key_count count)
{
    static const char *const names[HBK_KEY_COUNT_COUNT] = {
        [HBK_KEY_COUNT_DEVICE] = "device_operations",
        [HBK_KEY_COUNT_ANSWERED] = "device_answered",
        [HBK_KEY_COUNT_OVERFLOW] = "device_overflow",
        [HBK_KEY_COUNT_DOWN] = "device_down",
        [HBK_KEY_COUNT_FAILED] = "device_failed",
        [HBK_KEY_COUNT_WRONG] = "device_wrong",
        [HBK_KEY_COUNT_LATE] = "device_late",
        [HBK_KEY_COUNT_TO_BATCHER] = "fell_back_to_batcher",
        [HBK_KEY_COUNT_TO_SOFTWARE] = "fell_back_to_software",
    };
    return names[count];
}

static hbk_status check_options(const struct hbk_key_provider_options *options,
                                struct hbk_error *error)
{
    if (options->kind != HBK_KEY_PROVIDER_CRYPTOMB) {
        HBK_ASSERT((options->kind == HBK_KEY_PROVIDER_QAT) == (options->device != NULL));
        return HBK_OK;
    }
    if (options->poll_delay_ns == 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "poll_delay is required by the provider cryptomb, and at least 1 ms");
    }
    if (options->poll_delay_ns < HBK_POLL_DELAY_NS_MIN) {
        return hbk_error_set(error, HBK_INVALID, "poll_delay is %llu us; at least 1 ms is allowed",
                             (unsigned long long)options->poll_delay_ns / 1000);
    }
    return HBK_OK;
}

hbk_status hbk_key_provider_new(const struct hbk_key_provider_options *options,
                                struct hbk_key_provider **out_provider, struct hbk_error *error)
{
    HBK_TRY(check_options(options, error));
    struct hbk_key_provider *provider = calloc(1, sizeof(*provider));

    if (provider == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "no memory for a private key provider");
    }
    provider->options = *options;
    atomic_init(&provider->references, 1);
    *out_provider = provider;
    return HBK_OK;
}

struct hbk_key_provider *hbk_key_provider_ref(struct hbk_key_provider *provider)
{
    atomic_fetch_add_explicit(&provider->references, 1, memory_order_relaxed);
    return provider;
}

void hbk_key_provider_unref(struct hbk_key_provider *provider)
{
    if (provider != NULL &&
        atomic_fetch_sub_explicit(&provider->references, 1, memory_order_acq_rel) == 1) {
        free(provider);
    }
}

const struct hbk_key_provider_options *
hbk_key_provider_options(const struct hbk_key_provider *provider)
{
    return &provider->options;
}

static void copy_counters(uint64_t *to, const _Atomic uint64_t *from, int count)
{
    for (int i = 0; i < count; i++) {
        to[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
    }
}

void hbk_key_provider_counters(const struct hbk_key_provider *provider,
                               struct hbk_key_counters *out_counters)
{
    copy_counters(out_counters->rsa_queue_sizes, provider->rsa_queue_sizes, HBK_LANES);
    copy_counters(out_counters->ecdsa_queue_sizes, provider->ecdsa_queue_sizes, HBK_LANES);
    copy_counters(out_counters->counts, provider->counts, HBK_KEY_COUNT_COUNT);
}

/* ---- which keys a provider takes ---- */

static bool has_kernels(const struct hbk_key_provider_options *options)
{
    return HBK_PATH_IS_VECTOR(hbk_cpu_path()) && !options->without_kernels;
}

static hbk_status check_rsa(EVP_PKEY *pkey, struct hbk_error *error)
{
    const int bits = EVP_PKEY_get_bits(pkey);
    BIGNUM *e = NULL;

    if (bits != 1024 && bits != 2048 && bits != 3072 && bits != 4096) {
        return hbk_error_set(
            error, HBK_UNSUPPORTED,
            "Only RSA keys of 1024, 2048, 3072, and 4096 bits are supported. This one has %d.",
            bits);
    }
    const bool is_good =
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_word(e, RSA_EXPONENT);
    BN_free(e);
    return is_good
               ? HBK_OK
               : hbk_error_set(error, HBK_INVALID,
                               "Only RSA keys with the public exponent 65537 are allowed: results "
                               "are checked with it before they are sent.");
}

static hbk_status check_ec(EVP_PKEY *pkey, struct hbk_error *error)
{
    char group[64];

    if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1) {
        return hbk_error_set(error, HBK_INVALID, "Invalid ECDSA key. It names no curve.");
    }
    return strcmp(group, SN_X9_62_prime256v1) == 0
               ? HBK_OK
               : hbk_error_set(error, HBK_INVALID,
                               "Only P-256 ECDSA keys are supported. This one is on %s.", group);
}

static hbk_status check_cryptomb(const struct hbk_key_provider_options *options, EVP_PKEY *pkey,
                                 struct hbk_error *error)
{
    if (EVP_PKEY_is_a(pkey, "RSA") == 1) {
        HBK_TRY(check_rsa(pkey, error));
    } else if (EVP_PKEY_is_a(pkey, "EC") == 1) {
        HBK_TRY(check_ec(pkey, error));
    } else {
        return hbk_error_set(error, HBK_INVALID,
                             "Not supported key type, only EC and RSA are supported.");
    }
    return has_kernels(options) ? HBK_OK
                                : hbk_error_set(error, HBK_UNSUPPORTED,
                                                "Multi-buffer CPU instructions not available.");
}

hbk_status hbk_key_provider_check(const struct hbk_key_provider *provider, EVP_PKEY *pkey,
                                  struct hbk_error *error)
{
    hbk_status status = HBK_OK;

    switch (provider->options.kind) {
    case HBK_KEY_PROVIDER_BATCHER:
    case HBK_KEY_PROVIDER_SOFTWARE:
    case HBK_KEY_PROVIDER_COUNT:
        break;
    case HBK_KEY_PROVIDER_CRYPTOMB:
        status = check_cryptomb(&provider->options, pkey, error);
        break;
    case HBK_KEY_PROVIDER_QAT:
        if (EVP_PKEY_is_a(pkey, "RSA") != 1) {
            status = hbk_error_set(error, HBK_UNSUPPORTED, "Only RSA keys are supported.");
        }
        break;
    }
    ERR_clear_error();
    return status;
}
