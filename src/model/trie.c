/*
 * The trie.
 *
 *      node: leaf_bits    0 1 0 0 1 ...     one bit per value of the level's five hash bits
 *            branch_bits  0 0 1 0 0 ...
 *            slots        [leaf 1][leaf 4][branch 2]
 *
 * Invariants:
 *  1. A bit is set in at most one of the two words; slots hold the leaves, then the branches, each
 *     in the order of their bits.
 *  2. A node below the root that holds no branch holds at least two leaves, so that equal contents
 *     have equal shapes; a single leaf moves up.
 *  3. On the last level the hash is used up: there all slots are leaves in no order, and leaf_bits
 *     is their number.
 *  4. A node whose count is one and whose ancestors' counts are all one belongs to one trie alone
 *     and is changed in place; any other is copied first. A reader cannot see the difference: the
 *     trie that is being changed is not published, and publishing ends with a copy.
 */
#include "model/trie.h"

#include "base/assert.h"
#include "model/memory.h"

enum { FAN_OUT_MASK = (1 << HBK_TRIE_BITS) - 1, LAST_LEVEL = HBK_TRIE_LEVELS - 1 };

union slot {
    struct hbk_record *leaf;
    struct hbk_trie_node *branch;
};

struct hbk_trie_node {
    uint32_t holders;
    uint32_t leaf_bits;
    uint32_t branch_bits;
    uint32_t level;
    union slot slots[];
};

static uint32_t leaf_count(const struct hbk_trie_node *node)
{
    return node->level == LAST_LEVEL ? node->leaf_bits
                                     : (uint32_t)__builtin_popcount(node->leaf_bits);
}

static uint32_t slot_count(const struct hbk_trie_node *node)
{
    return leaf_count(node) + (uint32_t)__builtin_popcount(node->branch_bits);
}

static uint32_t bit_of(uint64_t hash, uint32_t level)
{
    return UINT32_C(1) << ((hash >> (level * HBK_TRIE_BITS)) & FAN_OUT_MASK);
}

static uint32_t leaf_index(const struct hbk_trie_node *node, uint32_t bit)
{
    return (uint32_t)__builtin_popcount(node->leaf_bits & (bit - 1));
}

static uint32_t branch_index(const struct hbk_trie_node *node, uint32_t bit)
{
    return leaf_count(node) + (uint32_t)__builtin_popcount(node->branch_bits & (bit - 1));
}

static struct hbk_trie_node *new_node(uint32_t slots, uint32_t level)
{
    struct hbk_trie_node *node =
        hbk_model_take(sizeof(struct hbk_trie_node) + slots * sizeof(union slot));
    if (node != NULL) {
        node->holders = 1;
        node->level = level;
    }
    return node;
}

/* Recursion is as deep as the trie: at most HBK_TRIE_LEVELS. */
static void release_node(struct hbk_trie_node *node)
{
    if (--node->holders > 0) {
        return;
    }
    uint32_t leaves = leaf_count(node);
    uint32_t slots = slot_count(node);
    for (uint32_t i = 0; i < leaves; i++) {
        hbk_record_unref(node->slots[i].leaf);
    }
    for (uint32_t i = leaves; i < slots; i++) {
        release_node(node->slots[i].branch);
    }
    hbk_model_give(node);
}

/* Makes the node at *place ours alone (invariant 4). */
static hbk_status own_node(struct hbk_trie_node **place)
{
    struct hbk_trie_node *shared = *place;
    if (shared->holders == 1) {
        return HBK_OK;
    }
    uint32_t leaves = leaf_count(shared);
    uint32_t slots = slot_count(shared);
    struct hbk_trie_node *copy = new_node(slots, shared->level);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    copy->leaf_bits = shared->leaf_bits;
    copy->branch_bits = shared->branch_bits;
    for (uint32_t i = 0; i < slots; i++) {
        copy->slots[i] = shared->slots[i];
        if (i < leaves) {
            (void)hbk_record_ref(copy->slots[i].leaf);
        } else {
            copy->slots[i].branch->holders++;
        }
    }
    shared->holders--;
    *place = copy;
    return HBK_OK;
}

void hbk_trie_init(struct hbk_trie *trie)
{
    *trie = (struct hbk_trie){0};
}

void hbk_trie_copy(struct hbk_trie *copy, const struct hbk_trie *trie)
{
    *copy = *trie;
    if (copy->root != NULL) {
        copy->root->holders++;
    }
}

void hbk_trie_fini(struct hbk_trie *trie)
{
    if (trie->root != NULL) {
        release_node(trie->root);
    }
    hbk_trie_init(trie);
}

/* Where the key lies in a node of the last level; the number of its leaves when nowhere. */
static uint32_t scan_last_level(const struct hbk_trie_node *node, uint64_t hash,
                                struct hbk_slice key)
{
    uint32_t i = 0;
    while (i < node->leaf_bits && !hbk_record_has_key(node->slots[i].leaf, hash, key)) {
        i++;
    }
    return i;
}

struct hbk_record *hbk_trie_find(const struct hbk_trie *trie, uint64_t hash, struct hbk_slice key)
{
    const struct hbk_trie_node *node = trie->root;
    while (node != NULL && node->level < LAST_LEVEL) {
        uint32_t bit = bit_of(hash, node->level);
        if ((node->leaf_bits & bit) != 0) {
            struct hbk_record *leaf = node->slots[leaf_index(node, bit)].leaf;
            return hbk_record_has_key(leaf, hash, key) ? leaf : NULL;
        }
        node = (node->branch_bits & bit) != 0 ? node->slots[branch_index(node, bit)].branch : NULL;
    }
    if (node == NULL) {
        return NULL;
    }
    uint32_t i = scan_last_level(node, hash, key);
    return i < node->leaf_bits ? node->slots[i].leaf : NULL;
}

/* Replaces the node at *place by one with room for a further slot at `index`, left empty. */
static hbk_status widen(struct hbk_trie_node **place, uint32_t index)
{
    struct hbk_trie_node *old = *place;
    uint32_t slots = slot_count(old);
    struct hbk_trie_node *wide = new_node(slots + 1, old->level);
    if (wide == NULL) {
        return HBK_NO_MEMORY;
    }
    wide->leaf_bits = old->leaf_bits;
    wide->branch_bits = old->branch_bits;
    memcpy(wide->slots, old->slots, index * sizeof(union slot));
    memcpy(wide->slots + index + 1, old->slots + index, (slots - index) * sizeof(union slot));
    hbk_model_give(old);
    *place = wide;
    return HBK_OK;
}

static hbk_status insert_leaf(struct hbk_trie_node **place, struct hbk_record *record)
{
    uint32_t level = (*place)->level;
    uint32_t bit = level == LAST_LEVEL ? 0 : bit_of(record->hash, level);
    uint32_t index = level == LAST_LEVEL ? (*place)->leaf_bits : leaf_index(*place, bit);
    HBK_TRY(widen(place, index));
    (*place)->slots[index].leaf = hbk_record_ref(record);
    (*place)->leaf_bits = level == LAST_LEVEL ? index + 1 : (*place)->leaf_bits | bit;
    return HBK_OK;
}

/* Moves the leaf at `bit` one level down, into a node of its own. */
static hbk_status push_leaf_down(struct hbk_trie_node *node, uint32_t bit)
{
    struct hbk_trie_node *below = new_node(1, node->level + 1);
    if (below == NULL) {
        return HBK_NO_MEMORY;
    }
    uint32_t from = leaf_index(node, bit);
    struct hbk_record *leaf = node->slots[from].leaf;
    below->slots[0].leaf = leaf;
    below->leaf_bits = below->level == LAST_LEVEL ? 1 : bit_of(leaf->hash, below->level);
    uint32_t to = branch_index(node, bit) - 1; /* once the leaf is gone */
    memmove(node->slots + from, node->slots + from + 1, (to - from) * sizeof(union slot));
    node->slots[to].branch = below;
    node->leaf_bits &= ~bit;
    node->branch_bits |= bit;
    return HBK_OK;
}

/* The slot of the record with the key of `record` in a node that is ours; NULL when there is none.
 */
static union slot *find_leaf(struct hbk_trie_node *node, const struct hbk_record *record)
{
    uint32_t index;
    if (node->level == LAST_LEVEL) {
        index = scan_last_level(node, record->hash, record->key);
        return index < node->leaf_bits ? &node->slots[index] : NULL;
    }
    uint32_t bit = bit_of(record->hash, node->level);
    if ((node->leaf_bits & bit) == 0) {
        return NULL;
    }
    index = leaf_index(node, bit);
    bool is_same = hbk_record_has_key(node->slots[index].leaf, record->hash, record->key);
    return is_same ? &node->slots[index] : NULL;
}

static void replace_leaf(union slot *slot, struct hbk_record *record)
{
    struct hbk_record *old = slot->leaf;
    slot->leaf = hbk_record_ref(record);
    hbk_record_unref(old);
}

/*
 * After a failed push the new node below may hold one leaf only (invariant 2 is about equal shapes,
 * not about safety), so that nothing has to be undone.
 */
static hbk_status put_below(struct hbk_trie *trie, struct hbk_record *record)
{
    struct hbk_trie_node **place = &trie->root;
    for (;;) {
        HBK_TRY(own_node(place));
        struct hbk_trie_node *node = *place;
        union slot *slot = find_leaf(node, record);
        if (slot != NULL) {
            replace_leaf(slot, record);
            return HBK_OK;
        }
        uint32_t bit = node->level == LAST_LEVEL ? 0 : bit_of(record->hash, node->level);
        if ((node->leaf_bits & bit) != 0) {
            HBK_TRY(push_leaf_down(node, bit));
        }
        if ((node->branch_bits & bit) == 0) {
            HBK_TRY(insert_leaf(place, record));
            trie->count++;
            return HBK_OK;
        }
        place = &node->slots[branch_index(node, bit)].branch;
    }
}

hbk_status hbk_trie_put(struct hbk_trie *trie, struct hbk_record *record)
{
    if (trie->root == NULL) {
        trie->root = new_node(0, 0);
        if (trie->root == NULL) {
            return HBK_NO_MEMORY;
        }
    }
    return put_below(trie, record);
}

static void close_gap(struct hbk_trie_node *node, uint32_t index)
{
    uint32_t slots = slot_count(node);
    memmove(node->slots + index, node->slots + index + 1, (slots - index - 1) * sizeof(union slot));
}

/* Restores invariant 2 for `node`, the branch of `parent` at `bit`, after one of its leaves left.
 */
static void lift_single_leaf(struct hbk_trie_node *parent, uint32_t bit)
{
    uint32_t from = branch_index(parent, bit);
    struct hbk_trie_node *node = parent->slots[from].branch;
    if (node->branch_bits != 0 || leaf_count(node) != 1 || node->holders > 1) {
        return;
    }
    union slot leaf = node->slots[0];
    uint32_t to = leaf_index(parent, bit);
    memmove(parent->slots + to + 1, parent->slots + to, (from - to) * sizeof(union slot));
    parent->slots[to] = leaf;
    parent->branch_bits &= ~bit;
    parent->leaf_bits |= bit;
    hbk_model_give(node);
}

static void remove_leaf(struct hbk_trie_node *node, uint64_t hash, struct hbk_slice key)
{
    uint32_t bit = node->level == LAST_LEVEL ? 0 : bit_of(hash, node->level);
    uint32_t index =
        node->level == LAST_LEVEL ? scan_last_level(node, hash, key) : leaf_index(node, bit);
    struct hbk_record *record = node->slots[index].leaf;
    close_gap(node, index);
    node->leaf_bits = node->level == LAST_LEVEL ? node->leaf_bits - 1 : node->leaf_bits & ~bit;
    hbk_record_unref(record);
}

hbk_status hbk_trie_remove(struct hbk_trie *trie, uint64_t hash, struct hbk_slice key)
{
    if (hbk_trie_find(trie, hash, key) == NULL) {
        return HBK_OK;
    }
    struct hbk_trie_node *path[HBK_TRIE_LEVELS];
    uint32_t depth = 0;
    struct hbk_trie_node **place = &trie->root;
    for (;;) {
        HBK_TRY(own_node(place));
        path[depth] = *place;
        uint32_t bit = (*place)->level == LAST_LEVEL ? 0 : bit_of(hash, (*place)->level);
        if (((*place)->branch_bits & bit) == 0) {
            break;
        }
        place = &(*place)->slots[branch_index(*place, bit)].branch;
        depth++;
    }
    /* The key may be borrowed from the record, which lives until the last line of remove_leaf. */
    remove_leaf(path[depth], hash, key);
    for (; depth > 0; depth--) {
        lift_single_leaf(path[depth - 1], bit_of(hash, depth - 1));
    }
    trie->count--;
    return HBK_OK;
}

struct hbk_trie_walk hbk_trie_begin(const struct hbk_trie *trie)
{
    struct hbk_trie_walk walk = {.nodes = {trie->root}, .depth = trie->root != NULL};
    return walk;
}

struct hbk_record *hbk_trie_next(struct hbk_trie_walk *walk)
{
    while (walk->depth > 0) {
        uint32_t top = walk->depth - 1;
        const struct hbk_trie_node *node = walk->nodes[top];
        uint32_t index = walk->next[top]++;
        if (index < leaf_count(node)) {
            return node->slots[index].leaf;
        }
        if (index == slot_count(node)) {
            walk->depth--;
            continue;
        }
        HBK_ASSERT(walk->depth < HBK_TRIE_LEVELS);
        walk->nodes[walk->depth] = node->slots[index].branch;
        walk->next[walk->depth] = 0;
        walk->depth++;
    }
    return NULL;
}

static void compare_nodes(const struct hbk_trie_node *a, const struct hbk_trie_node *b,
                          struct hbk_trie_sharing *sharing)
{
    sharing->total++;
    sharing->shared += a == b;
    uint32_t leaves = leaf_count(b);
    uint32_t at = leaves;
    for (uint32_t bits = b->branch_bits; bits != 0; bits &= bits - 1, at++) {
        uint32_t bit = bits & (0 - bits);
        const struct hbk_trie_node *twin = NULL;
        if (a != NULL && (a->branch_bits & bit) != 0) {
            twin = a->slots[branch_index(a, bit)].branch;
        }
        compare_nodes(twin, b->slots[at].branch, sharing);
    }
}

struct hbk_trie_sharing hbk_trie_sharing(const struct hbk_trie *a, const struct hbk_trie *b)
{
    struct hbk_trie_sharing sharing = {0};
    if (b->root != NULL) {
        compare_nodes(a->root, b->root, &sharing);
    }
    return sharing;
}
