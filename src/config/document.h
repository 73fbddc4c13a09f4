/*
 * A YAML or JSON file as a tree of nodes, each with its place. For configuration whose meaning
 * depends on what comes later in the file (the "@type" of a mapping), and for repairs that move
 * parts of it. The nodes live in the arena of whoever reads. Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "config/report.h"
#include "config/yaml.h"

enum {
    HBK_DOCUMENT_NODES_MAX = 1 << 20,
    HBK_DOCUMENT_BYTES_MAX = 64 << 20,
};

enum hbk_node_kind {
    HBK_NODE_SCALAR,
    HBK_NODE_MAPPING,
    HBK_NODE_LIST,
};

struct hbk_node {
    enum hbk_node_kind kind;
    bool is_plain; /* a scalar without quotes */
    bool is_null;  /* a plain scalar that stands for nothing */
    uint32_t line, column;
    uint32_t key_line, key_column; /* inside a mapping: of its key */
    uint32_t count;                /* of children */
    struct hbk_slice key;          /* inside a mapping */
    struct hbk_slice text;         /* of a scalar; a zero lies behind it */
    struct hbk_node *first, *last; /* children in order */
    struct hbk_node *next;         /* the sibling behind; NULL at the end */
};

#define HBK_NODE_EACH(child, parent) \
    for (struct hbk_node *child = (parent)->first; child != NULL; child = child->next)

/*
 * Reads the text. Keys that are no scalars or appear twice are reported, and reading goes on.
 * Fails: HBK_INVALID (reported), HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_document_parse(const char *file, struct hbk_slice text,
                                           struct hbk_arena *arena, struct hbk_report *report,
                                           struct hbk_node **out_root);

/* The child with that key; NULL without one. */
struct hbk_node *hbk_node_find(const struct hbk_node *mapping, struct hbk_slice key);

void hbk_node_append(struct hbk_node *parent, struct hbk_node *child);
void hbk_node_remove(struct hbk_node *parent, struct hbk_node *child);

/* A node of that kind at the place of another; NULL when out of memory. */
HBK_MUST_USE struct hbk_node *hbk_node_new(struct hbk_arena *arena, enum hbk_node_kind kind,
                                           const struct hbk_node *place);

/*
 * Lays `over` upon `base` as --config-yaml does: mappings merge, lists are joined, scalars are
 * replaced. Takes what it needs out of `over`.
 */
void hbk_document_merge(struct hbk_node *base, struct hbk_node *over);

/* Writes the tree as YAML in block form. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_document_print(const struct hbk_node *root, struct hbk_buffer *out);
