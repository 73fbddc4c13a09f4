#include "model/group.h"

#include "model/memory.h"

static void release_members(struct hbk_record *record)
{
    struct hbk_group *group = (struct hbk_group *)record;
    for (uint32_t i = 0; i < group->count; i++) {
        hbk_record_unref(group->members[i]);
    }
}

static const struct hbk_record_kind group_kind = {
    .name = "group",
    .shape = {.size = sizeof(struct hbk_group)},
    .fini = release_members,
};

struct hbk_group *hbk_group_new(uint64_t hash, struct hbk_slice key,
                                struct hbk_record *const *members, uint32_t count)
{
    size_t head = sizeof(struct hbk_group) + count * sizeof(struct hbk_record *);
    uint8_t *memory = hbk_model_take(head + key.size);
    if (memory == NULL) {
        return NULL;
    }
    struct hbk_group *group = (void *)memory;
    group->record = (struct hbk_record){
        .kind = &group_kind, .hash = hash, .key = {memory + head, key.size}, .holders = 1};
    if (key.size > 0) {
        memcpy(memory + head, key.bytes, key.size);
    }
    group->count = count;
    for (uint32_t i = 0; i < count; i++) {
        group->members[i] = hbk_record_ref(members[i]);
    }
    return group;
}

bool hbk_ip_key_of(struct hbk_slice network, const struct hbk_ip *ip, uint8_t prefix_bits,
                   struct hbk_ip_key *out_key)
{
    if (network.size > HBK_NETWORK_NAME_BYTES_MAX) {
        return false;
    }
    out_key->bytes[0] = prefix_bits;
    out_key->bytes[1] = ip->size;
    memcpy(out_key->bytes + 2, ip->bytes, ip->size);
    if (network.size > 0) {
        memcpy(out_key->bytes + 2 + ip->size, network.bytes, network.size);
    }
    out_key->size = 2 + ip->size + network.size;
    return true;
}
