#include "tls/exporter.h"

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/hkdf.h"

enum { LABEL_BYTES_MAX = 2 + 1 + 6 + HBK_EXPORTER_LABEL_BYTES_MAX + 1 + HBK_HASH_BYTES_MAX };

/* HKDF-Expand-Label (RFC 8446, 7.1), its context being a hash. */
static bool expand(enum hbk_hash hash, const uint8_t *secret, struct hbk_slice label,
                   const uint8_t *context, struct hbk_span out)
{
    static const char prefix[] = "tls13 ";
    uint8_t info[LABEL_BYTES_MAX];
    size_t hash_bytes = hbk_hash_bytes(hash);
    size_t used = 0;
    info[used++] = (uint8_t)(out.size >> 8);
    info[used++] = (uint8_t)out.size;
    info[used++] = (uint8_t)(sizeof prefix - 1 + label.size);
    memcpy(info + used, prefix, sizeof prefix - 1);
    used += sizeof prefix - 1;
    if (label.size > 0) {
        memcpy(info + used, label.bytes, label.size);
    }
    used += label.size;
    info[used++] = (uint8_t)hash_bytes;
    memcpy(info + used, context, hash_bytes);
    used += hash_bytes;
    return hbk_hkdf_expand(hash, hbk_slice_of(secret, hash_bytes), hbk_slice_of(info, used), out);
}

hbk_status hbk_exporter_derive(enum hbk_cipher_suite suite, struct hbk_slice secret,
                               struct hbk_slice label, struct hbk_slice context,
                               struct hbk_span out)
{
    enum hbk_hash hash = hbk_cipher_suite_hash(suite);
    size_t hash_bytes = hbk_hash_bytes(hash);
    uint8_t context_hash[HBK_HASH_BYTES_MAX];
    uint8_t derived[HBK_HASH_BYTES_MAX];
    HBK_ASSERT(secret.size == hash_bytes);
    if (label.size > HBK_EXPORTER_LABEL_BYTES_MAX ||
        context.size > HBK_EXPORTER_CONTEXT_BYTES_MAX) {
        return HBK_INVALID;
    }
    if (out.size > HBK_HKDF_BLOCKS_MAX * hash_bytes) {
        return HBK_LIMIT;
    }
    hbk_hash_once(hash, hbk_slice_of(NULL, 0), context_hash);
    bool is_good =
        expand(hash, secret.bytes, label, context_hash, hbk_span_of(derived, hash_bytes));
    hbk_hash_once(hash, context, context_hash);
    is_good = is_good && expand(hash, derived, HBK_SLICE("exporter"), context_hash, out);
    hbk_secret_wipe(derived, sizeof derived);
    HBK_ASSERT(is_good); /* both sizes were checked */
    return HBK_OK;
}
