/* PROXY headers. What is read is never longer than what was given, and more bytes behind a complete
 * header change nothing. */
#include "fuzz_target.h"

#include "base/assert.h"
#include "wire/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_proxy_header header, again;
    if (hbk_proxy_header_read(hbk_slice_of(data, size), &header) == HBK_PROXY_DONE) {
        HBK_ASSERT(header.size_bytes > 0 && header.size_bytes <= size &&
                   header.size_bytes <= HBK_PROXY_BYTES_MAX);
        HBK_ASSERT(!header.is_known || header.source.ip.size > 0);
        HBK_ASSERT(hbk_proxy_header_read(hbk_slice_of(data, header.size_bytes), &again) ==
                   HBK_PROXY_DONE);
        HBK_ASSERT(again.size_bytes == header.size_bytes);
    }
    return 0;
}
