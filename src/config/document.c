#include "config/document.h"

#include "base/hash.h"
#include "base/map.h"

enum { KEYS_LINEAR_MAX = 16 };

struct reading {
    struct hbk_yaml *yaml;
    struct hbk_arena *arena;
    struct hbk_report *report;
    const char *file;
    uint32_t nodes;
    bool has_mistake;
};

static bool has_key(const void *object, const void *key)
{
    const struct hbk_node *node = object;
    const struct hbk_slice *wanted = key;
    return hbk_slice_equal(node->key, *wanted);
}

struct hbk_node *hbk_node_find(const struct hbk_node *mapping, struct hbk_slice key)
{
    HBK_NODE_EACH(child, mapping)
    {
        if (hbk_slice_equal(child->key, key)) {
            return child;
        }
    }
    return NULL;
}

void hbk_node_append(struct hbk_node *parent, struct hbk_node *child)
{
    child->next = NULL;
    if (parent->last == NULL) {
        parent->first = child;
    } else {
        parent->last->next = child;
    }
    parent->last = child;
    parent->count++;
}

void hbk_node_remove(struct hbk_node *parent, struct hbk_node *child)
{
    struct hbk_node *before = NULL;
    for (struct hbk_node *at = parent->first; at != child; at = at->next) {
        before = at;
    }
    if (before == NULL) {
        parent->first = child->next;
    } else {
        before->next = child->next;
    }
    if (parent->last == child) {
        parent->last = before;
    }
    parent->count--;
    child->next = NULL;
}

struct hbk_node *hbk_node_new(struct hbk_arena *arena, enum hbk_node_kind kind,
                              const struct hbk_node *place)
{
    struct hbk_node *node = hbk_arena_take(arena, sizeof *node);
    if (node != NULL) {
        node->kind = kind;
        node->line = place->line;
        node->column = place->column;
        node->key_line = place->key_line;
        node->key_column = place->key_column;
    }
    return node;
}

static hbk_status copy_text(struct reading *reading, struct hbk_slice text,
                            struct hbk_slice *out_text)
{
    char *copy = hbk_arena_string(reading->arena, text);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    *out_text = hbk_slice_of(copy, text.size);
    return HBK_OK;
}

static hbk_status make_node(struct reading *reading, const struct hbk_yaml_event *event,
                            struct hbk_node **out_node)
{
    if (++reading->nodes > HBK_DOCUMENT_NODES_MAX) {
        hbk_report_add(reading->report, reading->file, event->line, event->column,
                       "more than %d values; no configuration needs as many",
                       HBK_DOCUMENT_NODES_MAX);
        return HBK_INVALID;
    }
    struct hbk_node *node = hbk_arena_take(reading->arena, sizeof *node);
    if (node == NULL) {
        return HBK_NO_MEMORY;
    }
    node->kind = event->kind == HBK_YAML_MAPPING    ? HBK_NODE_MAPPING
                 : event->kind == HBK_YAML_SEQUENCE ? HBK_NODE_LIST
                                                    : HBK_NODE_SCALAR;
    node->line = event->line;
    node->column = event->column;
    if (node->kind == HBK_NODE_SCALAR) {
        node->is_plain = event->is_plain;
        node->is_null = hbk_yaml_is_null(event);
        HBK_TRY(copy_text(reading, event->text, &node->text));
    }
    *out_node = node;
    return HBK_OK;
}

static hbk_status read_node(struct reading *reading, const struct hbk_yaml_event *event,
                            struct hbk_node **out_node);

static hbk_status read_list(struct reading *reading, struct hbk_node *list)
{
    for (;;) {
        struct hbk_yaml_event event;
        HBK_TRY(hbk_yaml_next(reading->yaml, &event));
        if (event.kind == HBK_YAML_END) {
            return HBK_OK;
        }
        struct hbk_node *child = NULL;
        HBK_TRY(read_node(reading, &event, &child));
        hbk_node_append(list, child);
    }
}

/* Short mappings are looked through; long ones would make that quadratic, so they have a table. */
static hbk_status note_key(struct reading *reading, const struct hbk_node *mapping,
                           struct hbk_map *keys, struct hbk_node *child, bool *out_is_known)
{
    uint64_t hash = hbk_hash(child->key);
    if (mapping->count < KEYS_LINEAR_MAX) {
        *out_is_known = hbk_node_find(mapping, child->key) != NULL;
    } else {
        *out_is_known = hbk_map_find(keys, hash, has_key, &child->key) != NULL;
    }
    if (*out_is_known) {
        reading->has_mistake = true;
        hbk_report_add(reading->report, reading->file, child->key_line, child->key_column,
                       "key \"%.*s\" appears twice; allowed: once",
                       (int)(child->key.size > 80 ? 80 : child->key.size),
                       (const char *)child->key.bytes);
        return HBK_OK;
    }
    if (mapping->count == KEYS_LINEAR_MAX - 1) {
        HBK_NODE_EACH(earlier, mapping)
        {
            HBK_TRY(hbk_map_add(keys, hbk_hash(earlier->key), earlier));
        }
    }
    return mapping->count >= KEYS_LINEAR_MAX - 1 ? hbk_map_add(keys, hash, child) : HBK_OK;
}

static hbk_status read_members(struct reading *reading, struct hbk_node *mapping,
                               struct hbk_map *keys)
{
    for (;;) {
        struct hbk_yaml_event event;
        HBK_TRY(hbk_yaml_next(reading->yaml, &event));
        if (event.kind == HBK_YAML_END) {
            return HBK_OK;
        }
        uint32_t line = event.line, column = event.column;
        struct hbk_slice key = hbk_slice_of("", 0);
        bool is_good = event.kind == HBK_YAML_SCALAR;
        if (is_good) {
            HBK_TRY(copy_text(reading, event.text, &key));
        } else {
            reading->has_mistake = true;
            hbk_report_add(reading->report, reading->file, line, column,
                           "a key that is %s; allowed: a text",
                           event.kind == HBK_YAML_MAPPING ? "a mapping" : "a list");
            HBK_TRY(hbk_yaml_skip(reading->yaml, &event));
        }
        HBK_TRY(hbk_yaml_next(reading->yaml, &event));
        struct hbk_node *child = NULL;
        HBK_TRY(read_node(reading, &event, &child));
        child->key = key;
        child->key_line = line;
        child->key_column = column;
        bool is_known = false;
        if (is_good) {
            HBK_TRY(note_key(reading, mapping, keys, child, &is_known));
        }
        if (is_good && !is_known) {
            hbk_node_append(mapping, child);
        }
    }
}

static hbk_status read_node(struct reading *reading, const struct hbk_yaml_event *event,
                            struct hbk_node **out_node)
{
    HBK_TRY(make_node(reading, event, out_node));
    struct hbk_node *node = *out_node;
    if (node->kind == HBK_NODE_LIST) {
        return read_list(reading, node);
    }
    if (node->kind == HBK_NODE_MAPPING) {
        struct hbk_map keys;
        hbk_map_init(&keys);
        hbk_status status = read_members(reading, node, &keys);
        hbk_map_fini(&keys);
        return status;
    }
    return HBK_OK;
}

static hbk_status read_all(struct reading *reading, struct hbk_node **out_root)
{
    struct hbk_yaml_event event;
    HBK_TRY(hbk_yaml_next(reading->yaml, &event));
    if (event.kind == HBK_YAML_NOTHING) {
        hbk_report_add(reading->report, reading->file, 1, 1,
                       "the file is empty; allowed: a mapping, such as {}");
        return HBK_INVALID;
    }
    HBK_TRY(read_node(reading, &event, out_root));
    return hbk_yaml_next(reading->yaml, &event);
}

hbk_status hbk_document_parse(const char *file, struct hbk_slice text, struct hbk_arena *arena,
                              struct hbk_report *report, struct hbk_node **out_root)
{
    struct reading reading = {.arena = arena, .report = report, .file = file};
    HBK_TRY(hbk_yaml_open(file, text, report, &reading.yaml));
    struct hbk_node *root = NULL;
    hbk_status status = read_all(&reading, &root);
    hbk_yaml_close(reading.yaml);
    HBK_TRY(status);
    if (reading.has_mistake) {
        return HBK_INVALID;
    }
    *out_root = root;
    return HBK_OK;
}

static void merge_list(struct hbk_node *base, struct hbk_node *over)
{
    for (struct hbk_node *child; (child = over->first) != NULL;) {
        hbk_node_remove(over, child);
        hbk_node_append(base, child);
    }
}

static void replace(struct hbk_node *base, const struct hbk_node *over)
{
    struct hbk_node *next = base->next;
    *base = *over;
    base->next = next;
}

void hbk_document_merge(struct hbk_node *base, struct hbk_node *over)
{
    if (base->kind == HBK_NODE_LIST && over->kind == HBK_NODE_LIST) {
        merge_list(base, over);
        return;
    }
    if (base->kind != HBK_NODE_MAPPING || over->kind != HBK_NODE_MAPPING) {
        replace(base, over);
        return;
    }
    for (struct hbk_node *child; (child = over->first) != NULL;) {
        hbk_node_remove(over, child);
        struct hbk_node *old = hbk_node_find(base, child->key);
        if (old == NULL) {
            hbk_node_append(base, child);
        } else {
            hbk_document_merge(old, child);
        }
    }
}

/* ---- printing ---- */

static bool is_safe_byte(uint8_t byte, bool is_first)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
        byte == '/') {
        return true;
    }
    return !is_first && ((byte >= '0' && byte <= '9') || byte == '.' || byte == '-');
}

static bool is_word(struct hbk_slice text)
{
    static const char *const others[] = {"null", "true", "false", "yes", "no",
                                         "on",   "off",  "y",     "n"};
    for (size_t i = 0; i < HBK_COUNT(others); i++) {
        if (hbk_slice_equal_nocase(text, hbk_slice_text(others[i]))) {
            return false;
        }
    }
    for (size_t i = 0; i < text.size; i++) {
        if (!is_safe_byte(text.bytes[i], i == 0)) {
            return false;
        }
    }
    return text.size > 0;
}

static hbk_status print_quoted(struct hbk_slice text, struct hbk_buffer *out)
{
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE("\"")));
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        if (byte == '"' || byte == '\\') {
            HBK_TRY(hbk_buffer_print(out, "\\%c", byte));
        } else if (byte == '\n') {
            HBK_TRY(hbk_buffer_append(out, HBK_SLICE("\\n")));
        } else if (byte < ' ' || byte == 0x7f) {
            HBK_TRY(hbk_buffer_print(out, "\\x%02x", byte));
        } else {
            HBK_TRY(hbk_buffer_append(out, hbk_slice_of(&byte, 1)));
        }
    }
    return hbk_buffer_append(out, HBK_SLICE("\""));
}

/* What was plain stays plain: it may be a number, and a plain text can be read back. */
static hbk_status print_scalar(const struct hbk_node *node, struct hbk_buffer *out)
{
    bool has_line_end = false;
    for (size_t i = 0; i < node->text.size; i++) {
        has_line_end |= node->text.bytes[i] < ' ';
    }
    bool stays = (node->is_plain && !has_line_end) || is_word(node->text);
    return stays ? hbk_buffer_append(out, node->text) : print_quoted(node->text, out);
}

static hbk_status print_key(struct hbk_slice key, struct hbk_buffer *out)
{
    HBK_TRY(is_word(key) ? hbk_buffer_append(out, key) : print_quoted(key, out));
    return hbk_buffer_append(out, HBK_SLICE(":"));
}

static hbk_status print_node(const struct hbk_node *node, unsigned indent, bool is_inline,
                             struct hbk_buffer *out);

/* The value behind "key:", on the same line or below it. */
static hbk_status print_value(const struct hbk_node *node, unsigned indent, struct hbk_buffer *out)
{
    if (node->kind == HBK_NODE_SCALAR || node->first == NULL) {
        HBK_TRY(node->is_null && node->text.size == 0 ? HBK_OK
                                                      : hbk_buffer_append(out, HBK_SLICE(" ")));
        return print_node(node, indent, true, out);
    }
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE("\n")));
    return print_node(node, node->kind == HBK_NODE_MAPPING ? indent + 2 : indent, false, out);
}

/* `is_inline`: the cursor stands where the first line of the node is to begin. */
static hbk_status print_node(const struct hbk_node *node, unsigned indent, bool is_inline,
                             struct hbk_buffer *out)
{
    if (node->kind == HBK_NODE_SCALAR) {
        HBK_TRY(print_scalar(node, out));
        return hbk_buffer_append(out, HBK_SLICE("\n"));
    }
    if (node->first == NULL) {
        return hbk_buffer_print(out, "%s\n", node->kind == HBK_NODE_LIST ? "[]" : "{}");
    }
    HBK_NODE_EACH(child, node)
    {
        if (!is_inline) {
            HBK_TRY(hbk_buffer_print(out, "%*s", (int)indent, ""));
        }
        is_inline = false;
        if (node->kind == HBK_NODE_LIST) {
            HBK_TRY(hbk_buffer_append(out, HBK_SLICE("- ")));
            HBK_TRY(print_node(child, indent + 2, true, out));
        } else {
            HBK_TRY(print_key(child->key, out));
            HBK_TRY(print_value(child, indent, out));
        }
    }
    return HBK_OK;
}

hbk_status hbk_document_print(const struct hbk_node *root, struct hbk_buffer *out)
{
    return print_node(root, 0, true, out);
}
