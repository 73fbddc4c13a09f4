#include "model/record.h"

#include "base/assert.h"
#include "base/hash.h"
#include "model/memory.h"

hbk_status hbk_record_new(const struct hbk_record_kind *kind, const struct hbk_record *spec,
                          struct hbk_record **out_record)
{
    size_t head = (kind->shape.size + 7) & ~(size_t)7;
    uint8_t *memory = hbk_model_take(head + hbk_shape_tail_bytes(&kind->shape, spec));
    if (memory == NULL) {
        return HBK_NO_MEMORY;
    }
    struct hbk_record *record = (void *)memory;
    hbk_shape_copy(&kind->shape, spec, record, memory + head);
    record->kind = kind;
    record->hash = hbk_hash(record->key);
    record->holders = 1;
    hbk_status status = kind->derive == NULL ? HBK_OK : kind->derive(record);
    if (status != HBK_OK) {
        hbk_record_unref(record);
        return status;
    }
    *out_record = record;
    return HBK_OK;
}

/* Counting holders is the one change that a published record sees; see the thread rule. */
struct hbk_record *hbk_record_ref(const struct hbk_record *record)
{
    union {
        const struct hbk_record *shared;
        struct hbk_record *counted;
    } same = {.shared = record};
    HBK_ASSERT(record->holders > 0 && record->holders < UINT32_MAX);
    same.counted->holders++;
    return same.counted;
}

void hbk_record_unref(struct hbk_record *record)
{
    if (record == NULL || --record->holders > 0) {
        return;
    }
    if (record->kind->fini != NULL) {
        record->kind->fini(record);
    }
    hbk_model_give(record);
}
