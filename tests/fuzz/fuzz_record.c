/*
 * Records: libipsec-mb and libcrypto give the same bytes and tags and open each other's, and a bit
 * changed anywhere is noticed by both. The input is key, nonce, header and text in this order; its
 * first byte chooses the cipher and how long the header is.
 */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"

enum { TEXT_BYTES_MAX = 20000 };

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct hbk_aead_key keys[3];
static uint8_t texts[3][TEXT_BYTES_MAX + HBK_AEAD_TAG_BYTES];

/* Takes what is left up to `wanted`, and zeros for the rest. */
static void take(const uint8_t **data, size_t *size, uint8_t *out, size_t wanted)
{
    const size_t taken = *size < wanted ? *size : wanted;
    memset(out, 0, wanted);
    memcpy(out, *data, taken);
    *data += taken;
    *size -= taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t choice, secret[HBK_AEAD_KEY_BYTES_MAX], header[16];
    struct hbk_aead_record record;

    if (size == 0 || size > TEXT_BYTES_MAX) {
        return 0;
    }
    take(&data, &size, &choice, 1);
    const enum hbk_aead aead = (enum hbk_aead)(choice % 3);
    take(&data, &size, secret, sizeof(secret));
    take(&data, &size, record.nonce, HBK_AEAD_NONCE_BYTES);
    take(&data, &size, header, sizeof(header));
    record.header = hbk_slice_of(header, choice / 3 % sizeof(header));
    for (int backend = 0; backend < 3; backend++) {
        if (!hbk_aead_is_available(aead, (enum hbk_aead_backend)backend)) {
            continue;
        }
        require(hbk_aead_key_init(&keys[backend], aead, (enum hbk_aead_backend)backend, secret) ==
                HBK_OK);
        memcpy(texts[backend], data, size);
        record.bytes = hbk_span_of(texts[backend], size);
        record.tag = texts[backend] + size;
        require(hbk_aead_seal(&keys[backend], &record, 1));
        require(memcmp(texts[backend], texts[0], size + HBK_AEAD_TAG_BYTES) == 0);

        const size_t changed = size == 0 ? choice % HBK_AEAD_TAG_BYTES : choice * 7919U % size;
        texts[backend][changed] ^= 1;
        require(hbk_aead_open(&keys[backend], &record, 1) == 0);
        memcpy(texts[backend], data, size);
        require(hbk_aead_seal(&keys[backend], &record, 1));
        require(hbk_aead_open(&keys[backend], &record, 1) == 1);
        require(memcmp(texts[backend], data, size) == 0);
        require(hbk_aead_seal(&keys[backend], &record, 1));
        hbk_aead_key_fini(&keys[backend]);
    }
    return 0;
}
