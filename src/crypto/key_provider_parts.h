/* What a provider consists of, for the files of this room. */
#pragma once

#include <stdatomic.h>

#include "crypto/key_provider.h"

struct hbk_key_provider {
    struct hbk_key_provider_options options;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */

    /* Relaxed: each stands for itself. Workers write them once a batch or on a device's path. */
    _Atomic uint64_t rsa_queue_sizes[HBK_LANES];
    _Atomic uint64_t ecdsa_queue_sizes[HBK_LANES];
    _Atomic uint64_t counts[HBK_KEY_COUNT_COUNT];
};

static inline void hbk_key_provider_count(struct hbk_key_provider *provider,
                                          enum hbk_key_count count)
{
    atomic_fetch_add_explicit(&provider->counts[count], 1, memory_order_relaxed);
}
