/* Certificates as a file or a peer may bring them: as PEM to be shown, loaded and trusted, and as
 * DER to be judged. */
#include "fuzz_target.h"

#include <stdlib.h>

#include "identity/bundle.h"
#include "identity/description.h"
#include "identity/verdict.h"

#define NOW_NS (INT64_C(1795435200) * 1000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > HBK_CHAIN_BYTES_MAX) {
        return 0;
    }
    struct hbk_slice bytes = hbk_slice_of(data, size);
    struct hbk_buffer text;
    hbk_buffer_init(&text, 1 << 20);
    hbk_status status = hbk_certificates_describe(bytes, NOW_NS, &text, NULL);
    hbk_buffer_fini(&text);

    struct hbk_svid *svid = NULL;
    if (hbk_svid_from_pem(bytes, bytes, &svid, NULL) == HBK_OK) {
        hbk_svid_unref(svid);
    }
    struct hbk_bundle *bundle = NULL;
    struct hbk_bundle_set *set = NULL;
    if (hbk_bundle_new(HBK_SLICE("td.test"), bytes, bytes, &bundle, NULL) != HBK_OK) {
        bundle = NULL;
    }
    if (hbk_bundle_set_new(&bundle, bundle == NULL ? 0 : 1, &set) == HBK_OK) {
        const struct hbk_chain chain = {.certificates = &bytes, .count = 1};
        const struct hbk_peer *peer = NULL;
        struct hbk_verdict_failure failure = {0};
        const struct hbk_trust trust = {.options = {.rule = HBK_TRUST_SPIFFE, .bundles = set}};
        const struct hbk_question question = {
            .trust = &trust, .role = HBK_PEER_CLIENT, .now_ns = NOW_NS};
        status = hbk_verdict_judge(&chain, &question, &peer, &failure);
        if (status == HBK_OK) {
            hbk_peer_unref(peer);
        } else if (failure.error.status == HBK_OK && status == HBK_UNTRUSTED) {
            abort(); /* a refusal without a reason */
        }
    }
    hbk_bundle_set_unref(set);
    hbk_bundle_unref(bundle);
    return 0;
}
