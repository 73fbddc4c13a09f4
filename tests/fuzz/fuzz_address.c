/* Addresses as text: what is read must be written and read again as the same value. */
#include "fuzz_target.h"

#include <stdlib.h>

#include "base/address.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_slice text = hbk_slice_of(data, size);
    char canonical[HBK_ADDRESS_TEXT_BYTES_MAX];

    struct hbk_address address, address_again;
    if (hbk_address_parse(text, &address)) {
        hbk_address_text(&address, canonical);
        require(hbk_address_parse(hbk_slice_text(canonical), &address_again));
        require(hbk_address_equal(&address, &address_again));
    }

    struct hbk_cidr block, block_again;
    if (hbk_cidr_parse(text, &block)) {
        hbk_cidr_text(&block, canonical);
        require(hbk_cidr_parse(hbk_slice_text(canonical), &block_again));
        require(hbk_ip_equal(&block.ip, &block_again.ip));
        require(block.prefix_bits == block_again.prefix_bits);
        require(hbk_cidr_contains(&block, &block.ip));
    }

    struct hbk_ip ip;
    if (hbk_ip_parse(text, &ip)) {
        require(ip.size == 4 || ip.size == 16);
    }
    return 0;
}
