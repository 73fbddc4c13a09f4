/*
 * Mending a configuration whose parts stand in the wrong place. A document's columns go wrong when
 * it is copied, so fields end up beside or above the message that they belong to. The tables know
 * where each field can live, and that is enough:
 *
 *   a field that its message does not know moves into the nearest message that knows it and lacks
 *   it: first one inside its own message, level by level, if it is the only one of its level; else
 *   the nearest one around it.
 *
 * After each move the tree is looked at anew, since a moved part may bring others within reach.
 * Beside that: one value for a list, blanks inside a type's name, types by another name, older
 * names of extensions, durations with other units, and the older access_log_path. A canonical form
 * has each of them in one way.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "config/bootstrap.h"
#include "config/envoy.h"
#include "config/envoy_lines.h"
#include "config/envoy_root.h"
#include "config/proto_text.h"

enum {
    MOVES_MAX = 4096,
    FRAMES_MAX = 32,
    CANDIDATES_MAX = 4096, /* messages looked at for a place */
    OUT_BYTES_MAX = 64 << 20,
};

/* A message that a lost field may belong to. */
struct place {
    struct hbk_node *node;
    const struct hbk_proto_message *type;
};

/* A message of the tree and the one around it. */
struct frame {
    struct hbk_node *node;
    const struct hbk_proto_message *type;
    const struct frame *outer;
    unsigned depth;
};

struct mending {
    struct hbk_arena *arena;
    struct hbk_report *repairs;
    const char *file;
    struct place *places; /* CANDIDATES_MAX of them, used for each search anew */
    bool has_moved;
    bool is_final; /* no more moves: the values alone are put into their canonical form */
};

HBK_PRINTF(4, 5)
static void tell(struct mending *mending, uint32_t line, uint32_t column, const char *format, ...)
{
    char sentence[HBK_ERROR_TEXT_BYTES_MAX];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    hbk_report_add(mending->repairs, mending->file, line, column, "%s", sentence);
}

static struct hbk_slice keep(struct mending *mending, const char *text)
{
    const char *copy = hbk_arena_string(mending->arena, hbk_slice_text(text));
    return copy == NULL ? hbk_slice_of("", 0) : hbk_slice_text(copy);
}

/* ---- types ---- */

static const struct hbk_proto_message *find_type_nocase(const struct hbk_proto_any_types *types,
                                                        struct hbk_slice type_url)
{
    const struct hbk_proto_message *found = hbk_proto_find_type(types, type_url);
    for (size_t i = 0; found == NULL && types->known[i] != NULL; i++) {
        struct hbk_slice name = hbk_slice_text(types->known[i]->name);
        size_t start = type_url.size < name.size ? 0 : type_url.size - name.size;
        if (hbk_slice_equal_nocase(hbk_slice_part(type_url, start, type_url.size), name)) {
            found = types->known[i];
        }
    }
    return found;
}

static hbk_status strip_blanks(struct mending *mending, struct hbk_node *node)
{
    struct hbk_span room = hbk_arena_bytes(mending->arena, node->text.size + 1);
    size_t used = 0;
    if (room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < node->text.size; i++) {
        if (node->text.bytes[i] > ' ') {
            room.bytes[used++] = node->text.bytes[i];
        }
    }
    if (used != node->text.size) {
        tell(mending, node->line, node->column,
             "a type name broken over lines; it is one word, "
             "\"%.*s\"",
             (int)used, (const char *)room.bytes);
        node->text = hbk_slice_of(room.bytes, used);
    }
    return HBK_OK;
}

static hbk_status add_type(struct mending *mending, struct hbk_node *value,
                           const struct hbk_proto_message *type)
{
    struct hbk_node *node = hbk_node_new(mending->arena, HBK_NODE_SCALAR, value);
    if (node == NULL) {
        return HBK_NO_MEMORY;
    }
    char name[256];
    (void)snprintf(name, sizeof name, "type.googleapis.com/%s", type->name);
    node->text = keep(mending, name);
    node->is_plain = true;
    node->key = keep(mending, "@type");
    node->next = value->first;
    value->first = node;
    value->last = value->last == NULL ? node : value->last;
    value->count++;
    return HBK_OK;
}

/* The message inside an Any, with its type's name in order; NULL when it is not known. */
static hbk_status settle_any(struct mending *mending, struct hbk_node *parent,
                             const struct hbk_proto_field *field, struct hbk_node *value,
                             const struct hbk_proto_message **out_type)
{
    *out_type = NULL;
    if (value->kind != HBK_NODE_MAPPING) {
        return HBK_OK;
    }
    struct hbk_node *name = hbk_proto_find(parent, "name");
    struct hbk_node *type_node = hbk_node_find(value, HBK_SLICE("@type"));
    if (type_node == NULL) {
        *out_type = name == NULL ? NULL : hbk_proto_find_extension(field->type, name->text);
        if (*out_type != NULL) {
            tell(mending, value->line, value->column, "no \"@type\"; by its name it is %s",
                 (*out_type)->name);
            HBK_TRY(add_type(mending, value, *out_type));
        }
    } else if (type_node->kind == HBK_NODE_SCALAR) {
        HBK_TRY(strip_blanks(mending, type_node));
        *out_type = find_type_nocase(field->type, type_node->text);
        if (*out_type != NULL &&
            !hbk_slice_ends_with(type_node->text, hbk_slice_text((*out_type)->name))) {
            tell(mending, type_node->line, type_node->column, "the type \"%.*s\" is called %s",
                 HBK_SLICE_ARGS(type_node->text), (*out_type)->name);
            char text[256];
            (void)snprintf(text, sizeof text, "type.googleapis.com/%s", (*out_type)->name);
            type_node->text = keep(mending, text);
        }
    }
    if (*out_type != NULL && name != NULL && (*out_type)->extension_names != NULL &&
        hbk_slice_equal(name->text, hbk_slice_text((*out_type)->extension_names[1] == NULL
                                                       ? ""
                                                       : (*out_type)->extension_names[1]))) {
        tell(mending, name->line, name->column, "\"%.*s\" is an older name of %s",
             HBK_SLICE_ARGS(name->text), (*out_type)->extension_names[0]);
        name->text = keep(mending, (*out_type)->extension_names[0]);
    }
    return HBK_OK;
}

/* The type of a message or an Any without changing anything; NULL for other fields. */
static const struct hbk_proto_message *peek_type(const struct hbk_node *parent,
                                                 const struct hbk_proto_field *field,
                                                 const struct hbk_node *value)
{
    if (field->kind == HBK_PROTO_MESSAGE && !field->is_map) {
        return field->type;
    }
    if (field->kind != HBK_PROTO_ANY || value->kind != HBK_NODE_MAPPING) {
        return NULL;
    }
    const struct hbk_node *type = hbk_node_find(value, HBK_SLICE("@type"));
    const struct hbk_node *name = hbk_proto_find(parent, "name");
    return type != NULL   ? find_type_nocase(field->type, type->text)
           : name != NULL ? hbk_proto_find_extension(field->type, name->text)
                          : NULL;
}

/* ---- places ---- */

static bool takes(const struct hbk_proto_message *type, const struct hbk_node *node,
                  const struct hbk_node *lost)
{
    const struct hbk_proto_field *field = hbk_proto_find_field(type, lost->key);
    if (field == NULL || field->kind == HBK_PROTO_REFUSED || node == lost) {
        return false;
    }
    const struct hbk_node *there =
        node->kind == HBK_NODE_MAPPING ? hbk_proto_find(node, field->name) : NULL;
    return there == NULL || there->is_null;
}

static void add_place(struct place *places, size_t *count, struct hbk_node *node,
                      const struct hbk_proto_message *type)
{
    bool is_message = node->kind == HBK_NODE_MAPPING || node->is_null;
    if (type != NULL && is_message && *count < CANDIDATES_MAX) {
        places[(*count)++] = (struct place){node, type};
    }
}

/* The messages directly inside one. */
static void add_inner_places(const struct place *outer, const struct hbk_node *lost,
                             struct place *places, size_t *count)
{
    HBK_NODE_EACH(child, outer->node)
    {
        const struct hbk_proto_field *field = hbk_proto_find_field(outer->type, child->key);
        if (field == NULL || child == lost) {
            continue;
        }
        if (child->kind != HBK_NODE_LIST) {
            add_place(places, count, child, peek_type(outer->node, field, child));
            continue;
        }
        HBK_NODE_EACH(element, child)
        {
            add_place(places, count, element, peek_type(outer->node, field, element));
        }
    }
}

/* The only message of the nearest level inside that takes the field. */
static bool find_inside(const struct mending *mending, const struct frame *frame,
                        const struct hbk_node *lost, struct place *out_place)
{
    struct place *places = mending->places;
    size_t count = 1, level = 0;
    places[0] = (struct place){frame->node, frame->type};
    while (level < count) {
        size_t end = count, found = 0;
        for (size_t i = level; i < end; i++) {
            add_inner_places(&places[i], lost, places, &count);
        }
        for (size_t i = end; i < count; i++) {
            if (takes(places[i].type, places[i].node, lost)) {
                *out_place = places[i];
                found++;
            }
        }
        if (found > 0) {
            return found == 1;
        }
        level = end;
    }
    return false;
}

static bool find_outside(const struct frame *frame, const struct hbk_node *lost,
                         struct place *out_place)
{
    for (const struct frame *outer = frame->outer; outer != NULL; outer = outer->outer) {
        if (takes(outer->type, outer->node, lost)) {
            *out_place = (struct place){outer->node, outer->type};
            return true;
        }
    }
    return false;
}

static const char *last_word(const char *name)
{
    const char *last = name;
    for (; *name != '\0'; name++) {
        last = *name == '.' ? name + 1 : last;
    }
    return last;
}

static void move(struct mending *mending, const struct frame *frame, struct hbk_node *lost,
                 const struct place *place)
{
    tell(mending, lost->key_line, lost->key_column, "\"%.*s\" stands in %s; it belongs in %s",
         HBK_SLICE_ARGS(lost->key), last_word(frame->type->name), last_word(place->type->name));
    hbk_node_remove(frame->node, lost);
    struct hbk_node *target = place->node;
    if (target->kind != HBK_NODE_MAPPING) {
        target->kind = HBK_NODE_MAPPING;
        target->is_null = false;
        target->first = target->last = NULL;
        target->count = 0;
    }
    const struct hbk_proto_field *field = hbk_proto_find_field(place->type, lost->key);
    struct hbk_node *empty = hbk_proto_find(target, field->name);
    if (empty != NULL) {
        hbk_node_remove(target, empty);
    }
    hbk_node_append(target, lost);
    mending->has_moved = true;
}

/* ---- values ---- */

static hbk_status wrap(struct mending *mending, const struct hbk_proto_field *field,
                       struct hbk_node *node)
{
    struct hbk_node *element = hbk_arena_take(mending->arena, sizeof *element);
    if (element == NULL) {
        return HBK_NO_MEMORY;
    }
    tell(mending, node->line, node->column, "one value for \"%s\"; it is a list", field->name);
    *element = *node;
    element->next = NULL;
    element->key = hbk_slice_of(NULL, 0);
    node->kind = HBK_NODE_LIST;
    node->first = node->last = element;
    node->count = 1;
    return HBK_OK;
}

static void settle_duration(struct mending *mending, struct hbk_node *node)
{
    uint64_t value_ns = 0;
    char text[48];
    if (node->kind != HBK_NODE_SCALAR || hbk_proto_duration_parse(node->text, false, &value_ns) ||
        !hbk_proto_duration_parse(node->text, true, &value_ns)) {
        return;
    }
    (void)snprintf(text, sizeof text, "%llu.%09llus", (unsigned long long)(value_ns / 1000000000),
                   (unsigned long long)(value_ns % 1000000000));
    tell(mending, node->line, node->column, "the duration \"%.*s\" is written in seconds: %s",
         HBK_SLICE_ARGS(node->text), text);
    node->text = keep(mending, text);
}

/* access_log_path: PATH becomes access_log with a file logger. */
static hbk_status settle_admin(struct mending *mending, struct hbk_node *admin)
{
    struct hbk_node *path = hbk_proto_find(admin, "access_log_path");
    if (path == NULL || path->kind != HBK_NODE_SCALAR ||
        hbk_proto_find(admin, "access_log") != NULL) {
        return HBK_OK;
    }
    tell(mending, path->key_line, path->key_column,
         "\"access_log_path\" is the older form of \"access_log\" with a file");
    struct hbk_node *list = hbk_node_new(mending->arena, HBK_NODE_LIST, path);
    struct hbk_node *log = hbk_node_new(mending->arena, HBK_NODE_MAPPING, path);
    struct hbk_node *name = hbk_node_new(mending->arena, HBK_NODE_SCALAR, path);
    struct hbk_node *config = hbk_node_new(mending->arena, HBK_NODE_MAPPING, path);
    struct hbk_node *type = hbk_node_new(mending->arena, HBK_NODE_SCALAR, path);
    if (list == NULL || log == NULL || name == NULL || config == NULL || type == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_node_remove(admin, path);
    list->key = keep(mending, "access_log");
    name->key = keep(mending, "name");
    name->text = keep(mending, "envoy.access_loggers.file");
    config->key = keep(mending, "typed_config");
    type->key = keep(mending, "@type");
    type->text = keep(mending, "type.googleapis.com/"
                               "envoy.extensions.access_loggers.file.v3.FileAccessLog");
    type->is_plain = name->is_plain = true;
    path->key = keep(mending, "path");
    hbk_node_append(config, type);
    hbk_node_append(config, path);
    hbk_node_append(log, name);
    hbk_node_append(log, config);
    hbk_node_append(list, log);
    hbk_node_append(admin, list);
    return HBK_OK;
}

/* ---- the walk ---- */

static hbk_status mend_message(struct mending *mending, const struct frame *frame);

static hbk_status mend_inner(struct mending *mending, const struct frame *frame,
                             const struct hbk_proto_field *field, struct hbk_node *value)
{
    const struct hbk_proto_message *type = NULL;
    if (field->kind == HBK_PROTO_ANY) {
        HBK_TRY(settle_any(mending, frame->node, field, value, &type));
    } else if (field->kind == HBK_PROTO_MESSAGE && !field->is_map) {
        type = field->type;
    } else if (field->kind == HBK_PROTO_DURATION && mending->is_final) {
        settle_duration(mending, value);
    }
    if (type == NULL || type->name == NULL || value->kind != HBK_NODE_MAPPING ||
        frame->depth == FRAMES_MAX) {
        return HBK_OK;
    }
    struct frame inner = {value, type, frame, frame->depth + 1};
    return mend_message(mending, &inner);
}

static hbk_status mend_field(struct mending *mending, const struct frame *frame,
                             const struct hbk_proto_field *field, struct hbk_node *child)
{
    child->key = keep(mending, field->name);
    if (child->is_null || field->kind == HBK_PROTO_REFUSED || field->kind == HBK_PROTO_IGNORED) {
        return HBK_OK;
    }
    if (field->is_list && !field->is_map && child->kind != HBK_NODE_LIST && mending->is_final) {
        HBK_TRY(wrap(mending, field, child));
    }
    if (child->kind != HBK_NODE_LIST) {
        return mend_inner(mending, frame, field, child);
    }
    HBK_NODE_EACH(element, child)
    {
        HBK_TRY(mend_inner(mending, frame, field, element));
        if (mending->has_moved) {
            return HBK_OK;
        }
    }
    return HBK_OK;
}

static hbk_status mend_message(struct mending *mending, const struct frame *frame)
{
    HBK_NODE_EACH(child, frame->node)
    {
        const struct hbk_proto_field *field = hbk_proto_find_field(frame->type, child->key);
        struct place place;
        if (field != NULL) {
            HBK_TRY(mend_field(mending, frame, field, child));
        } else if (!mending->is_final && !hbk_slice_equal(child->key, HBK_SLICE("@type")) &&
                   (find_inside(mending, frame, child, &place) ||
                    find_outside(frame, child, &place))) {
            move(mending, frame, child, &place);
        }
        if (mending->has_moved) {
            return HBK_OK; /* the tree is another one: begin anew */
        }
    }
    if (mending->is_final && hbk_slice_equal(hbk_slice_text(frame->type->name),
                                             HBK_SLICE("envoy.config.bootstrap.v3.Admin"))) {
        return settle_admin(mending, frame->node);
    }
    return HBK_OK;
}

static hbk_status mend_tree(struct mending *mending, struct hbk_node *root)
{
    struct frame frame = {root, &hbk_envoy_bootstrap, NULL, 0};
    for (unsigned moves = 0; moves < MOVES_MAX; moves++) {
        mending->has_moved = false;
        HBK_TRY(mend_message(mending, &frame));
        if (!mending->has_moved) {
            break;
        }
    }
    mending->has_moved = false;
    mending->is_final = true;
    return mend_message(mending, &frame);
}

static hbk_status parse_mended(const char *name, struct hbk_slice text, struct hbk_arena *arena,
                               struct hbk_report *repairs, struct hbk_report *report,
                               struct hbk_node **out_root)
{
    hbk_status status = hbk_document_parse(name, text, arena, report, out_root);
    if (status != HBK_INVALID) {
        return status;
    }
    struct hbk_buffer lines;
    hbk_report_init(report);
    hbk_buffer_init(&lines, OUT_BYTES_MAX);
    status = hbk_envoy_fix_lines(name, text, &lines, repairs);
    if (status == HBK_OK) {
        status = hbk_document_parse(name, hbk_buffer_slice(&lines), arena, report, out_root);
    }
    hbk_buffer_fini(&lines);
    return status;
}

static hbk_status fix(const char *name, struct hbk_slice text, struct hbk_arena *arena,
                      struct hbk_buffer *out, struct hbk_report *repairs, struct hbk_report *report)
{
    struct mending mending = {.arena = arena, .repairs = repairs, .file = name};
    struct hbk_node *root = NULL;
    mending.places = hbk_arena_array(arena, CANDIDATES_MAX, sizeof *mending.places);
    if (mending.places == NULL) {
        return HBK_NO_MEMORY;
    }
    HBK_TRY(parse_mended(name, text, arena, repairs, report, &root));
    if (root->kind == HBK_NODE_MAPPING) {
        HBK_TRY(mend_tree(&mending, root));
    }
    struct hbk_report warnings;
    struct hbk_envoy_context context = {.is_offline = true};
    struct hbk_proto_reader reader = {
        .arena = arena, .report = report, .warnings = &warnings, .file = name, .context = &context};
    struct hbk_gw_bootstrap bootstrap = {0};
    hbk_report_init(&warnings);
    HBK_TRY(hbk_proto_read(&reader, &hbk_envoy_bootstrap, root, &bootstrap));
    return hbk_document_print(root, out);
}

hbk_status hbk_bootstrap_fix(const char *name, struct hbk_slice text, struct hbk_buffer *out,
                             struct hbk_report *repairs, struct hbk_report *report)
{
    struct hbk_arena arena;
    hbk_report_init(repairs);
    hbk_report_init(report);
    hbk_arena_init(&arena);
    hbk_status status = fix(name, text, &arena, out, repairs, report);
    hbk_arena_wipe(&arena);
    hbk_arena_fini(&arena);
    return status;
}
