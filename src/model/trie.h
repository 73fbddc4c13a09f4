/*
 * A persistent map from keys to records: a hash array mapped trie (Bagwell, 2001) whose nodes are
 * counted and shared between copies. A copy costs one reference; a change afterwards copies only
 * the nodes on the way to the changed slot.
 *
 * Thread: finding and walking from any thread while the trie is alive; the rest on control.
 */
#pragma once

#include <stddef.h>

#include "model/record.h"

/* 64 bits of hash, 5 for each level; records whose hashes are equal share a node below. */
enum { HBK_TRIE_BITS = 5, HBK_TRIE_LEVELS = 14 };

struct hbk_trie_node;

struct hbk_trie {
    struct hbk_trie_node *root; /* shared; NULL while empty */
    size_t count;
};

/* Starts empty. */
void hbk_trie_init(struct hbk_trie *trie);

/* Makes `copy`, which holds nothing yet, share all that `trie` has. */
void hbk_trie_copy(struct hbk_trie *copy, const struct hbk_trie *trie);

/* Releases all nodes and records; the trie is empty afterwards. */
void hbk_trie_fini(struct hbk_trie *trie);

/* The record with that key, borrowed from the trie; NULL when there is none. */
struct hbk_record *hbk_trie_find(const struct hbk_trie *trie, uint64_t hash, struct hbk_slice key);

/*
 * Adds a reference to `record`, in place of one with the same key if there is any.
 * Fails: HBK_NO_MEMORY; the content stays as it was.
 */
HBK_MUST_USE hbk_status hbk_trie_put(struct hbk_trie *trie, struct hbk_record *record);

/* Takes out the record with that key, if any. Fails: HBK_NO_MEMORY; the content stays. */
HBK_MUST_USE hbk_status hbk_trie_remove(struct hbk_trie *trie, uint64_t hash, struct hbk_slice key);

/* A walk over all records in the order of their hashes. The trie must not change meanwhile. */
struct hbk_trie_walk {
    const struct hbk_trie_node *nodes[HBK_TRIE_LEVELS];
    uint32_t next[HBK_TRIE_LEVELS];
    uint32_t depth; /* nodes in use */
};

struct hbk_trie_walk hbk_trie_begin(const struct hbk_trie *trie);

/* The next record; NULL at the end. */
struct hbk_record *hbk_trie_next(struct hbk_trie_walk *walk);

/* How many nodes two tries have in common and how many the second has in all; for tests. */
struct hbk_trie_sharing {
    size_t shared;
    size_t total;
};
struct hbk_trie_sharing hbk_trie_sharing(const struct hbk_trie *a, const struct hbk_trie *b);
