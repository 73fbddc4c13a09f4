#include "identity/trust.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"

struct trust {
    struct hbk_trust public;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
};

/* Relaxed: only uniqueness counts. */
static _Atomic uint64_t last_generation;

hbk_status hbk_trust_new(const struct hbk_trust_options *options,
                         const struct hbk_trust **out_trust)
{
    HBK_ASSERT((options->rule == HBK_TRUST_SPIFFE) == (options->bundles != NULL));
    HBK_ASSERT((options->rule == HBK_TRUST_NAME) == (options->roots != NULL));
    HBK_ASSERT(options->rule == HBK_TRUST_NAME || !options->ignores_host);
    struct trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL) {
        return HBK_NO_MEMORY;
    }
    trust->public.options = *options;
    trust->public.generation =
        1 + atomic_fetch_add_explicit(&last_generation, 1, memory_order_relaxed);
    if (options->bundles != NULL) {
        (void)hbk_bundle_set_ref(options->bundles);
    }
    if (options->roots != NULL) {
        (void)hbk_bundle_ref(options->roots);
    }
    atomic_init(&trust->references, 1);
    *out_trust = &trust->public;
    return HBK_OK;
}

const struct hbk_trust *hbk_trust_ref(const struct hbk_trust *trust)
{
    struct trust *shared = HBK_CONTAINER((uintptr_t)trust, struct trust, public);
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return trust;
}

void hbk_trust_unref(const struct hbk_trust *trust)
{
    if (trust == NULL) {
        return;
    }
    struct trust *shared = HBK_CONTAINER((uintptr_t)trust, struct trust, public);
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1) {
        const struct hbk_trust_options *options = &trust->options;
        if (options->free_owner != NULL) {
            options->free_owner(options->owner);
        }
        hbk_bundle_set_unref(options->bundles);
        hbk_bundle_unref(options->roots);
        free(shared);
    }
}
