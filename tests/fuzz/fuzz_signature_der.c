/* ECDSA signatures in DER: what is read must be written again as the same bytes, for DER has one.
 */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/ecdsa_der.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t bytes = 32; bytes <= HBK_ECDSA_NUMBER_BYTES_MAX; bytes += 16) {
        uint8_t signature[2 * HBK_ECDSA_NUMBER_BYTES_MAX];
        uint8_t der[HBK_ECDSA_DER_BYTES_MAX];

        if (hbk_ecdsa_from_der(hbk_slice_of(data, size), bytes, signature) &&
            (hbk_ecdsa_to_der(signature, bytes, der) != size || memcmp(der, data, size) != 0)) {
            abort();
        }
    }
    return 0;
}
