/* ECDSA signatures in DER: what is read must be written again as the same bytes, for DER has one.
 */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/p256.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t signature[HBK_P256_SIGNATURE_BYTES];
    uint8_t der[HBK_P256_DER_BYTES_MAX];

    if (hbk_p256_signature_from_der(hbk_slice_of(data, size), signature) &&
        (hbk_p256_signature_to_der(signature, der) != size || memcmp(der, data, size) != 0)) {
        abort();
    }
    return 0;
}
