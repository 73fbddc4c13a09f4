#include "crypto/key_provider.h"

#include <stdatomic.h>
#include <stdlib.h>

struct hbk_key_provider {
    struct hbk_key_provider_options options;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
};

const char *hbk_key_provider_kind_text(enum hbk_key_provider_kind kind)
{
    static const char *const texts[] = {
        [HBK_KEY_PROVIDER_BATCHER] = "batcher",
        [HBK_KEY_PROVIDER_SOFTWARE] = "software",
        [HBK_KEY_PROVIDER_CRYPTOMB] = "cryptomb",
    };
    return texts[kind];
}

hbk_status hbk_key_provider_new(const struct hbk_key_provider_options *options,
                                struct hbk_key_provider **out_provider, struct hbk_error *error)
{
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
