/*
 * IP addresses and ports as values: IPv4 as its four bytes, IPv6 as sixteen; an IPv4-mapped IPv6
 * address is always turned into IPv4, so that one host has one spelling. No I/O.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

/* "[ffff:...:255.255.255.255]:65535/128" and its end. */
enum { HBK_ADDRESS_TEXT_BYTES_MAX = 64 };

struct hbk_ip {
    uint8_t size;      /* 4, 16, or 0: none */
    uint8_t bytes[16]; /* network order; unused bytes are zero, so values compare with memcmp */
};

struct hbk_address {
    struct hbk_ip ip;
    uint16_t port; /* host order */
};

/* A block of addresses: 10.0.0.0/8. Bits behind the prefix are zero. */
struct hbk_cidr {
    struct hbk_ip ip;
    uint8_t prefix_bits;
};

bool hbk_ip_equal(const struct hbk_ip *a, const struct hbk_ip *b);
bool hbk_address_equal(const struct hbk_address *a, const struct hbk_address *b);
bool hbk_ip_is_loopback(const struct hbk_ip *ip);
uint64_t hbk_ip_hash(const struct hbk_ip *ip);
uint64_t hbk_address_hash(const struct hbk_address *address);

/* From 4 or 16 bytes in network order; a mapped address becomes IPv4. */
HBK_MUST_USE bool hbk_ip_from_bytes(struct hbk_slice bytes, struct hbk_ip *out_ip);

/* "10.0.0.1", "fd00::1". False, nothing written, for anything else (names, zones, blanks). */
HBK_MUST_USE bool hbk_ip_parse(struct hbk_slice text, struct hbk_ip *out_ip);

/* "10.0.0.1:80", "[fd00::1]:80". A port of 0 is accepted. */
HBK_MUST_USE bool hbk_address_parse(struct hbk_slice text, struct hbk_address *out_address);

/* "10.0.0.0/8", or an address alone for all its bits; host bits are cleared. */
HBK_MUST_USE bool hbk_cidr_parse(struct hbk_slice text, struct hbk_cidr *out_cidr);

/* Clears the bits behind the prefix, which is no longer than the address. */
void hbk_cidr_mask(struct hbk_cidr *cidr);
bool hbk_cidr_contains(const struct hbk_cidr *cidr, const struct hbk_ip *ip);

/* Writes the canonical text (RFC 5952) with its terminating zero and returns `text`. */
const char *hbk_ip_text(const struct hbk_ip *ip, char text[static HBK_ADDRESS_TEXT_BYTES_MAX]);
const char *hbk_address_text(const struct hbk_address *address,
                             char text[static HBK_ADDRESS_TEXT_BYTES_MAX]);
const char *hbk_cidr_text(const struct hbk_cidr *cidr,
                          char text[static HBK_ADDRESS_TEXT_BYTES_MAX]);
