/* SPIFFE ids: what is taken must be made of its parts again, and be one object. */
#include "fuzz_target.h"

#include <stdlib.h>

#include "identity/spiffe.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_slice text = hbk_slice_of(data, size);
    struct hbk_spiffe_parts parts;
    const struct hbk_spiffe_id *id = NULL;
    bool is_id = hbk_spiffe_parse(text, &parts);
    require((hbk_spiffe_intern(text, &id) == HBK_OK) == is_id);
    if (!is_id) {
        return 0;
    }
    require(hbk_slice_equal(id->text, text));
    require(hbk_spiffe_is_trust_domain(parts.trust_domain));
    require(9 + parts.trust_domain.size + parts.path.size == size);
    if (parts.service_account.size > 0) {
        const struct hbk_spiffe_id *again = NULL;
        require(hbk_spiffe_intern_account(parts.trust_domain, parts.namespace_,
                                          parts.service_account, &again) == HBK_OK);
        require(again == id);
        hbk_spiffe_unref(again);
    }
    hbk_spiffe_unref(id);
    require(hbk_spiffe_count() == 0);
    return 0;
}
