/*
 * A group: the records that share a derived key, such as an address or a namespace, best first. A
 * group is a record itself, so that the same trie finds it.
 */
#pragma once

#include "base/address.h"
#include "model/record.h"
#include "model/workload.h"

struct hbk_group {
    struct hbk_record record;
    uint32_t count;               /* never 0 */
    struct hbk_record *members[]; /* shared */
};

/* A new group, owned by the caller as one reference; it holds its members. NULL: no memory. */
HBK_MUST_USE struct hbk_group *hbk_group_new(uint64_t hash, struct hbk_slice key,
                                             struct hbk_record *const *members, uint32_t count);

enum { HBK_IP_KEY_BYTES_MAX = 2 + 16 + HBK_NETWORK_NAME_BYTES_MAX };

/* The prefix length that stands for a single address in a key. */
enum { HBK_IP_KEY_SINGLE = 0xff };

/* The key of an address on a network, or of a block of them. */
struct hbk_ip_key {
    size_t size;
    uint8_t bytes[HBK_IP_KEY_BYTES_MAX];
};

/* False, nothing written, when the network's name is too long to exist. */
HBK_MUST_USE bool hbk_ip_key_of(struct hbk_slice network, const struct hbk_ip *ip,
                                uint8_t prefix_bits, struct hbk_ip_key *out_key);

static inline struct hbk_slice hbk_ip_key_slice(const struct hbk_ip_key *key)
{
    return hbk_slice_of(key->bytes, key->size);
}
