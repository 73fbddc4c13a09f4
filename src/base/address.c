#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/hash.h"

bool hbk_ip_equal(const struct hbk_ip *a, const struct hbk_ip *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool hbk_address_equal(const struct hbk_address *a, const struct hbk_address *b)
{
    return a->port == b->port && hbk_ip_equal(&a->ip, &b->ip);
}

bool hbk_ip_is_loopback(const struct hbk_ip *ip)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    return ip->size == 4 ? ip->bytes[0] == 127
                         : ip->size == 16 && memcmp(ip->bytes, loopback6, 16) == 0;
}

uint64_t hbk_ip_hash(const struct hbk_ip *ip)
{
    return hbk_hash(hbk_slice_of(ip, sizeof *ip));
}

uint64_t hbk_address_hash(const struct hbk_address *address)
{
    return hbk_hash_join(hbk_ip_hash(&address->ip), address->port);
}

bool hbk_ip_from_bytes(struct hbk_slice bytes, struct hbk_ip *out_ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (bytes.size == 16 && memcmp(bytes.bytes, mapped, sizeof mapped) == 0) {
        bytes = hbk_slice_of(bytes.bytes + 12, 4);
    }
    if (bytes.size != 4 && bytes.size != 16) {
        return false;
    }
    *out_ip = (struct hbk_ip){.size = (uint8_t)bytes.size};
    memcpy(out_ip->bytes, bytes.bytes, bytes.size);
    return true;
}

bool hbk_ip_parse(struct hbk_slice text, struct hbk_ip *out_ip)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof copy || memchr(text.bytes, 0, text.size) != NULL) {
        return false;
    }
    memcpy(copy, text.bytes, text.size);
    copy[text.size] = '\0';
    uint8_t bytes[16];
    if (inet_pton(AF_INET, copy, bytes) == 1) {
        return hbk_ip_from_bytes(hbk_slice_of(bytes, 4), out_ip);
    }
    return inet_pton(AF_INET6, copy, bytes) == 1 &&
           hbk_ip_from_bytes(hbk_slice_of(bytes, 16), out_ip);
}

bool hbk_address_parse(struct hbk_slice text, struct hbk_address *out_address)
{
    size_t colon = text.size;
    while (colon > 0 && text.bytes[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2) {
        return false;
    }
    struct hbk_slice host = hbk_slice_part(text, 0, colon - 1);
    bool has_brackets = host.size >= 2 && host.bytes[0] == '[' && host.bytes[host.size - 1] == ']';
    if (has_brackets) {
        host = hbk_slice_part(host, 1, host.size - 2);
    }
    uint64_t port = 0;
    struct hbk_ip ip;
    if (!hbk_slice_to_u64(hbk_slice_part(text, colon, text.size), UINT16_MAX, &port) ||
        !hbk_ip_parse(host, &ip)) {
        return false;
    }
    bool has_colon = memchr(host.bytes, ':', host.size) != NULL;
    if (has_colon != has_brackets) {
        return false;
    }
    *out_address = (struct hbk_address){.ip = ip, .port = (uint16_t)port};
    return true;
}

void hbk_cidr_mask(struct hbk_cidr *cidr)
{
    for (unsigned bit = cidr->prefix_bits; bit < cidr->ip.size * 8U; bit++) {
        cidr->ip.bytes[bit / 8] &= (uint8_t) ~(0x80U >> (bit % 8));
    }
}

bool hbk_cidr_parse(struct hbk_slice text, struct hbk_cidr *out_cidr)
{
    size_t slash = 0;
    bool has_slash = hbk_slice_find(text, '/', &slash);
    struct hbk_cidr cidr;
    if (!hbk_ip_parse(has_slash ? hbk_slice_part(text, 0, slash) : text, &cidr.ip)) {
        return false;
    }
    uint64_t bits = cidr.ip.size * 8U;
    if (has_slash && !hbk_slice_to_u64(hbk_slice_part(text, slash + 1, text.size), bits, &bits)) {
        return false;
    }
    cidr.prefix_bits = (uint8_t)bits;
    hbk_cidr_mask(&cidr);
    *out_cidr = cidr;
    return true;
}

bool hbk_cidr_contains(const struct hbk_cidr *cidr, const struct hbk_ip *ip)
{
    if (cidr->ip.size != ip->size) {
        return false;
    }
    unsigned whole = cidr->prefix_bits / 8U;
    unsigned rest = cidr->prefix_bits % 8U;
    if (memcmp(cidr->ip.bytes, ip->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || ((cidr->ip.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest)) == 0;
}

const char *hbk_ip_text(const struct hbk_ip *ip, char text[static HBK_ADDRESS_TEXT_BYTES_MAX])
{
    int family = ip->size == 4 ? AF_INET : AF_INET6;
    if (ip->size == 0 || inet_ntop(family, ip->bytes, text, HBK_ADDRESS_TEXT_BYTES_MAX) == NULL) {
        (void)snprintf(text, HBK_ADDRESS_TEXT_BYTES_MAX, "none");
    }
    return text;
}

const char *hbk_address_text(const struct hbk_address *address,
                             char text[static HBK_ADDRESS_TEXT_BYTES_MAX])
{
    char ip[HBK_ADDRESS_TEXT_BYTES_MAX];
    (void)hbk_ip_text(&address->ip, ip);
    (void)snprintf(text, HBK_ADDRESS_TEXT_BYTES_MAX,
                   address->ip.size == 16 ? "[%.45s]:%u" : "%.45s:%u", ip, address->port);
    return text;
}

const char *hbk_cidr_text(const struct hbk_cidr *cidr, char text[static HBK_ADDRESS_TEXT_BYTES_MAX])
{
    char ip[HBK_ADDRESS_TEXT_BYTES_MAX];
    (void)hbk_ip_text(&cidr->ip, ip);
    (void)snprintf(text, HBK_ADDRESS_TEXT_BYTES_MAX, "%.45s/%u", ip, cidr->prefix_bits);
    return text;
}
