#include "tls/exporter.h"

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/hkdf.h"
#include "tls/schedule.h"

hbk_status hbk_exporter_derive(enum hbk_cipher_suite suite, struct hbk_slice secret,
                               struct hbk_slice label, struct hbk_slice context,
                               struct hbk_span out)
{
    size_t size = hbk_cipher_suite_hash_bytes(suite);
    enum hbk_hash hash = hbk_cipher_suite_hash(suite);
    uint8_t digest[HBK_TLS_HASH_BYTES_MAX];
    uint8_t derived[HBK_TLS_HASH_BYTES_MAX];
    HBK_ASSERT(secret.size == size);
    if (out.size > HBK_HKDF_BLOCKS_MAX * size) {
        return HBK_LIMIT;
    }
    if (label.size > HBK_EXPORTER_LABEL_BYTES_MAX ||
        context.size > HBK_EXPORTER_CONTEXT_BYTES_MAX) {
        return HBK_INVALID;
    }
    hbk_hash_once(hash, hbk_slice_of(NULL, 0), digest);
    hbk_tls_expand_label(suite, secret.bytes, label, hbk_slice_of(digest, size),
                         hbk_span_of(derived, size));
    hbk_hash_once(hash, context, digest);
    hbk_tls_expand_label(suite, derived, HBK_SLICE("exporter"), hbk_slice_of(digest, size), out);
    hbk_secret_wipe(derived, sizeof derived);
    return HBK_OK;
}
