#include "device/provider_set.h"

#include <stdlib.h>

struct hbk_provider_set {
    struct hbk_qat_options options;
    struct hbk_qat *qat;
    bool has_tried;
    struct hbk_error qat_error; /* of the start that failed */
};

hbk_status hbk_provider_set_new(const struct hbk_qat_options *qat,
                                struct hbk_provider_set **out_set)
{
    struct hbk_provider_set *set = calloc(1, sizeof(*set));

    if (set == NULL) {
        return HBK_NO_MEMORY;
    }
    if (qat != NULL) {
        set->options = *qat;
    }
    *out_set = set;
    return HBK_OK;
}

void hbk_provider_set_free(struct hbk_provider_set *set)
{
    if (set != NULL) {
        hbk_qat_close(set->qat);
        free(set);
    }
}

const struct hbk_qat *hbk_provider_set_qat(const struct hbk_provider_set *set)
{
    return set->qat;
}

/* A start that failed is not repeated: it may take seconds, and nothing will have changed. */
static hbk_status start_qat(struct hbk_provider_set *set, uint64_t poll_delay_ns,
                            struct hbk_error *error)
{
    HBK_TRY(hbk_qat_check_delay(poll_delay_ns, error));
    if (set->qat != NULL) {
        hbk_qat_poll_faster(set->qat, poll_delay_ns);
        return HBK_OK;
    }
    if (!set->has_tried) {
        set->has_tried = true;
        set->options.poll_delay_ns = poll_delay_ns;
        (void)!hbk_qat_open(&set->options, &set->qat, &set->qat_error);
    }
    return set->qat != NULL ? HBK_OK
                            : hbk_error_set(error, HBK_UNSUPPORTED, "%s", set->qat_error.text);
}

hbk_status hbk_provider_set_get(struct hbk_provider_set *set, const char *name,
                                uint64_t poll_delay_ns, struct hbk_key_provider **out_provider,
                                struct hbk_error *error)
{
    struct hbk_key_provider_options options = {.poll_delay_ns = poll_delay_ns};

    if (!hbk_key_provider_kind_from_text(name, &options.kind)) {
        return hbk_error_set(error, HBK_UNSUPPORTED,
                             "there is no provider \"%s\"; batcher, software, cryptomb and qat are "
                             "allowed",
                             name);
    }
    if (options.kind == HBK_KEY_PROVIDER_QAT) {
        HBK_TRY(start_qat(set, poll_delay_ns, error));
        options.device = hbk_qat_device(set->qat);
    }
    return hbk_key_provider_new(&options, out_provider, error);
}
