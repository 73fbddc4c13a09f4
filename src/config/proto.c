#include "config/proto.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "config/proto_text.h"

enum { SENTENCE_BYTES_MAX = 400 };

/* ---- messages and their places ---- */

static void add_line(struct hbk_proto_reader *reader, struct hbk_report *report, uint32_t line,
                     uint32_t column, const char *sentence)
{
    hbk_report_add(report, reader->file, line, column, "%s%s%s", reader->path,
                   reader->path_bytes > 0 ? ": " : "", sentence);
}

void hbk_proto_error(struct hbk_proto_reader *reader, const struct hbk_node *node,
                     const char *format, ...)
{
    char sentence[SENTENCE_BYTES_MAX];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    reader->errors++;
    add_line(reader, reader->report, node->line, node->column, sentence);
}

void hbk_proto_warning(struct hbk_proto_reader *reader, const struct hbk_node *node,
                       const char *format, ...)
{
    char sentence[SENTENCE_BYTES_MAX];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    add_line(reader, reader->warnings, node->line, node->column, sentence);
}

/* The path grows by a name or an index; it is cut back by its former length. */
HBK_PRINTF(2, 3)
static size_t push(struct hbk_proto_reader *reader, const char *format, ...)
{
    size_t before = reader->path_bytes;
    va_list values;
    va_start(values, format);
    int size = vsnprintf(reader->path + before, sizeof reader->path - before, format, values);
    va_end(values);
    size_t room = sizeof reader->path - before - 1;
    reader->path_bytes += size < 0 ? 0 : (size_t)size > room ? room : (size_t)size;
    return before;
}

static void pop(struct hbk_proto_reader *reader, size_t path_bytes)
{
    reader->path_bytes = path_bytes;
    reader->path[path_bytes] = '\0';
}

static hbk_status refuse(struct hbk_proto_reader *reader, const struct hbk_node *node,
                         const char *allowed)
{
    char found[HBK_PROTO_FOUND_BYTES_MAX];
    hbk_proto_error(reader, node, "%s; allowed: %s", hbk_proto_found(node, found), allowed);
    return HBK_OK;
}

/* ---- names ---- */

bool hbk_proto_name_matches(const char *name, struct hbk_slice key)
{
    if (hbk_slice_equal(key, hbk_slice_text(name))) {
        return true;
    }
    size_t used = 0;
    for (; *name != '\0'; name++, used++) {
        char wanted = *name;
        if (wanted == '_' && name[1] != '\0') {
            wanted = *++name;
            wanted = (char)(wanted >= 'a' && wanted <= 'z' ? wanted - 'a' + 'A' : wanted);
        }
        if (used == key.size || key.bytes[used] != (uint8_t)wanted) {
            return false;
        }
    }
    return used == key.size;
}

struct hbk_node *hbk_proto_find(const struct hbk_node *node, const char *name)
{
    if (node->kind != HBK_NODE_MAPPING) {
        return NULL;
    }
    HBK_NODE_EACH(child, node)
    {
        if (hbk_proto_name_matches(name, child->key)) {
            return child;
        }
    }
    return NULL;
}

const struct hbk_proto_field *hbk_proto_find_field(const struct hbk_proto_message *type,
                                                   struct hbk_slice key)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (hbk_proto_name_matches(type->fields[i].name, key)) {
            return &type->fields[i];
        }
    }
    return NULL;
}

/* "type.googleapis.com/a.b.C" -> "a.b.C". */
static struct hbk_slice type_name(struct hbk_slice type_url)
{
    for (size_t i = type_url.size; i > 0; i--) {
        if (type_url.bytes[i - 1] == '/') {
            return hbk_slice_part(type_url, i, type_url.size);
        }
    }
    return type_url;
}

static bool is_listed(const char *const *names, struct hbk_slice name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (hbk_slice_equal(hbk_slice_text(*names), name)) {
            return true;
        }
    }
    return false;
}

const struct hbk_proto_message *hbk_proto_find_type(const struct hbk_proto_any_types *types,
                                                    struct hbk_slice type_url)
{
    struct hbk_slice name = type_name(type_url);
    for (const struct hbk_proto_message *const *type = types->known; *type != NULL; type++) {
        if (hbk_slice_equal(hbk_slice_text((*type)->name), name) ||
            is_listed((*type)->aliases, name)) {
            return *type;
        }
    }
    return NULL;
}

const struct hbk_proto_message *hbk_proto_find_extension(const struct hbk_proto_any_types *types,
                                                         struct hbk_slice name)
{
    for (const struct hbk_proto_message *const *type = types->known; *type != NULL; type++) {
        if (is_listed((*type)->extension_names, name)) {
            return *type;
        }
    }
    return NULL;
}

/* ---- scalars ---- */

static hbk_status read_bool(struct hbk_proto_reader *reader, const struct hbk_node *node,
                            void *target)
{
    bool is_true = hbk_slice_equal(node->text, HBK_SLICE("true"));
    if (node->kind != HBK_NODE_SCALAR || !node->is_plain ||
        (!is_true && !hbk_slice_equal(node->text, HBK_SLICE("false")))) {
        return refuse(reader, node, "true or false");
    }
    memcpy(target, &is_true, sizeof is_true);
    return HBK_OK;
}

static hbk_status read_double(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                              const struct hbk_node *node, void *target)
{
    double value = 0;
    bool is_good = node->kind == HBK_NODE_SCALAR && hbk_proto_double_parse(node->text, &value);
    if (is_good && (field->min != 0 || field->max != 0)) {
        is_good = value >= (double)field->min && value <= (double)field->max;
    }
    if (!is_good) {
        return refuse(reader, node, "a number in its range");
    }
    memcpy(target, &value, sizeof value);
    return HBK_OK;
}

/* What a kind can hold at most; the field's own range narrows it. */
static void range_of(const struct hbk_proto_field *field, int64_t *out_min, int64_t *out_max)
{
    bool has_range = field->min != 0 || field->max != 0;
    *out_min = has_range ? field->min : field->kind == HBK_PROTO_I64 ? INT64_MIN : 0;
    *out_max = has_range                      ? field->max
               : field->kind == HBK_PROTO_U32 ? (int64_t)UINT32_MAX
                                              : INT64_MAX;
}

static hbk_status read_integer(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                               const struct hbk_node *node, void *target)
{
    int64_t least, most, value = 0;
    range_of(field, &least, &most);
    if (node->kind != HBK_NODE_SCALAR || !hbk_proto_integer_parse(node->text, &value) ||
        value < least || value > most) {
        char allowed[96];
        (void)snprintf(allowed, sizeof allowed, "a whole number from %lld to %lld",
                       (long long)least, (long long)most);
        return refuse(reader, node, allowed);
    }
    if (field->kind == HBK_PROTO_U32) {
        uint32_t narrow = (uint32_t)value;
        memcpy(target, &narrow, sizeof narrow);
    } else {
        memcpy(target, &value, sizeof value);
    }
    return HBK_OK;
}

static bool has_line_end(struct hbk_slice text)
{
    size_t at = 0;
    return hbk_slice_find(text, '\r', &at) || hbk_slice_find(text, '\n', &at) ||
           hbk_slice_find(text, '\0', &at);
}

static hbk_status read_string(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                              const struct hbk_node *node, void *target)
{
    char allowed[96];
    int64_t size = (int64_t)node->text.size;
    if (node->kind != HBK_NODE_SCALAR || size < field->min ||
        (field->max > 0 && size > field->max)) {
        if (field->max > 0) {
            (void)snprintf(allowed, sizeof allowed, "a text of %lld to %lld bytes",
                           (long long)field->min, (long long)field->max);
        } else {
            (void)snprintf(allowed, sizeof allowed, "a text%s",
                           field->min > 0 ? " that is not empty" : "");
        }
        return refuse(reader, node, allowed);
    }
    if (field->is_head_text && has_line_end(node->text)) {
        return refuse(reader, node, "a text without line ends and zero bytes");
    }
    struct hbk_slice text;
    char *copy = hbk_arena_string(reader->arena, node->text);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    text = hbk_slice_of(copy, node->text.size);
    memcpy(target, &text, sizeof text);
    return HBK_OK;
}

static hbk_status read_bytes(struct hbk_proto_reader *reader, const struct hbk_node *node,
                             void *target)
{
    struct hbk_span room = hbk_arena_bytes(reader->arena, node->text.size + 4);
    if (room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    struct hbk_slice bytes;
    if (node->kind != HBK_NODE_SCALAR || !hbk_proto_base64_parse(node->text, room, &bytes)) {
        return refuse(reader, node, "bytes in base64");
    }
    memcpy(target, &bytes, sizeof bytes);
    return HBK_OK;
}

static hbk_status read_duration(struct hbk_proto_reader *reader,
                                const struct hbk_proto_field *field, const struct hbk_node *node,
                                void *target)
{
    uint64_t value_ns = 0;
    if (node->kind != HBK_NODE_SCALAR || !hbk_proto_duration_parse(node->text, false, &value_ns)) {
        return refuse(reader, node, "a length of time in seconds, such as 5s or 0.25s");
    }
    if ((int64_t)value_ns < field->min || (field->max > 0 && (int64_t)value_ns > field->max)) {
        char allowed[96];
        if (field->max > 0) {
            (void)snprintf(allowed, sizeof allowed, "from %gs to %gs", (double)field->min / 1e9,
                           (double)field->max / 1e9);
        } else {
            (void)snprintf(allowed, sizeof allowed, "%gs or more", (double)field->min / 1e9);
        }
        return refuse(reader, node, allowed);
    }
    memcpy(target, &value_ns, sizeof value_ns);
    return HBK_OK;
}

static const struct hbk_proto_word *find_word(const struct hbk_proto_enum *type,
                                              struct hbk_slice text)
{
    int64_t number = -1;
    bool is_number = hbk_proto_integer_parse(text, &number);
    for (const struct hbk_proto_word *word = type->words; word->text != NULL; word++) {
        if ((is_number && number == word->value) || hbk_proto_word_matches(word->text, text)) {
            return word;
        }
    }
    return NULL;
}

static hbk_status read_enum(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                            const struct hbk_node *node, void *target)
{
    const struct hbk_proto_enum *type = field->type;
    const struct hbk_proto_word *word =
        node->kind == HBK_NODE_SCALAR ? find_word(type, node->text) : NULL;
    if (word == NULL || word->is_refused) {
        char words[256];
        size_t used = 0;
        for (const struct hbk_proto_word *at = type->words; at->text != NULL; at++) {
            if (!at->is_refused && used < sizeof words) {
                int size = snprintf(words + used, sizeof words - used, "%s%s",
                                    used == 0 ? "" : ", ", at->text);
                used += size < 0 ? 0 : (size_t)size;
            }
        }
        if (word != NULL) {
            hbk_proto_error(reader, node, "%s is not supported yet; allowed: %s", word->text,
                            words);
            return HBK_OK;
        }
        return refuse(reader, node, words);
    }
    memcpy(target, &word->value, sizeof word->value);
    return HBK_OK;
}

/* ---- messages ---- */

/* Tells a field that cannot be taken; a warning where unknown ones are allowed. */
static void complain_about_field(struct hbk_proto_reader *reader, const struct hbk_node *child,
                                 bool is_guard, const char *sentence)
{
    if (reader->allows_unknown && !is_guard) {
        char text[SENTENCE_BYTES_MAX + sizeof " (left out)"];
        (void)snprintf(text, sizeof text, "%s (left out)", sentence);
        add_line(reader, reader->warnings, child->key_line, child->key_column, text);
        return;
    }
    reader->errors++;
    add_line(reader, reader->report, child->key_line, child->key_column, sentence);
}

static void refuse_unknown(struct hbk_proto_reader *reader, const struct hbk_proto_message *type,
                           const struct hbk_node *child)
{
    const char *words[HBK_PROTO_FIELDS_MAX + 1] = {NULL};
    for (size_t i = 0; i < type->field_count; i++) {
        words[i] = type->fields[i].name;
    }
    const char *nearest = hbk_nearest_word(child->key, words);
    char sentence[SENTENCE_BYTES_MAX];
    char found[HBK_PROTO_FOUND_BYTES_MAX];
    (void)snprintf(sentence, sizeof sentence, "unknown field %s in %s%s%s",
                   hbk_proto_quoted(child->key, found), type->name,
                   nearest == NULL ? "" : "; nearest: ", nearest == NULL ? "" : nearest);
    complain_about_field(reader, child, false, sentence);
}

static void refuse_known(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                         const struct hbk_node *child)
{
    char sentence[SENTENCE_BYTES_MAX];
    (void)snprintf(sentence, sizeof sentence, "field \"%s\" is not supported yet%s%s", field->name,
                   field->note == NULL ? "" : "; ", field->note == NULL ? "" : field->note);
    complain_about_field(reader, child, field->is_guard, sentence);
}

static hbk_status read_message_pointer(struct hbk_proto_reader *reader,
                                       const struct hbk_proto_message *type,
                                       const struct hbk_node *node, void *target)
{
    void *message = hbk_arena_take(reader->arena, type->size);
    if (message == NULL) {
        return HBK_NO_MEMORY;
    }
    HBK_TRY(hbk_proto_read(reader, type, node, message));
    memcpy(target, &message, sizeof message);
    return HBK_OK;
}

/* udpa.type.v1.TypedStruct and xds.type.v3.TypedStruct wrap a type and its value. */
static const struct hbk_node *unwrap(const struct hbk_node *node, struct hbk_slice *type_url)
{
    struct hbk_slice name = type_name(*type_url);
    const struct hbk_node *inner = hbk_proto_find(node, "type_url");
    bool is_typed = hbk_slice_equal(name, HBK_SLICE("udpa.type.v1.TypedStruct")) ||
                    hbk_slice_equal(name, HBK_SLICE("xds.type.v3.TypedStruct"));
    if (!is_typed || inner == NULL || inner->kind != HBK_NODE_SCALAR) {
        return node;
    }
    *type_url = inner->text;
    return hbk_proto_find(node, "value");
}

static void refuse_type(struct hbk_proto_reader *reader, const struct hbk_proto_any_types *types,
                        const struct hbk_node *node, struct hbk_slice type_url)
{
    struct hbk_slice name = type_name(type_url);
    char found[HBK_PROTO_FOUND_BYTES_MAX];
    const char *words[HBK_PROTO_FIELDS_MAX] = {NULL};
    for (size_t i = 0; types->known[i] != NULL && i + 1 < HBK_PROTO_FIELDS_MAX; i++) {
        words[i] = types->known[i]->name;
    }
    if (is_listed(types->refused, name)) {
        hbk_proto_error(reader, node, "%s %s is not supported yet", types->title,
                        hbk_proto_quoted(name, found));
        return;
    }
    const char *nearest = hbk_proto_nearest_type(name, words);
    hbk_proto_error(
        reader, node, "unknown type %s; %s%s", hbk_proto_quoted(name, found),
        nearest == NULL ? "allowed is a " : "nearest: ", nearest == NULL ? types->title : nearest);
}

static hbk_status store_any(struct hbk_proto_reader *reader, const struct hbk_proto_message *type,
                            const struct hbk_node *value, void *target)
{
    struct hbk_gw_any any = {.kind = type->any_kind};
    HBK_TRY(read_message_pointer(reader, type, value, &any.message));
    memcpy(target, &any, sizeof any);
    return HBK_OK;
}

static hbk_status read_any(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                           const struct hbk_node *node, const struct hbk_node *parent, void *target)
{
    const struct hbk_proto_any_types *types = field->type;
    if (node->kind != HBK_NODE_MAPPING) {
        return refuse(reader, node, "a mapping with \"@type\"");
    }
    const struct hbk_node *type_node = hbk_node_find(node, HBK_SLICE("@type"));
    if (type_node == NULL) {
        /* Without a type the extension's name decides, as it did until Envoy 1.21. */
        const struct hbk_node *name = hbk_proto_find(parent, "name");
        const struct hbk_proto_message *type =
            name == NULL ? NULL : hbk_proto_find_extension(types, name->text);
        if (type == NULL) {
            hbk_proto_error(reader, node, "no \"@type\"; allowed: a mapping with \"@type\"");
            return HBK_OK;
        }
        return store_any(reader, type, node, target);
    }
    if (type_node->kind != HBK_NODE_SCALAR) {
        return refuse(reader, type_node, "the full name of a type");
    }
    struct hbk_slice type_url = type_node->text;
    const struct hbk_node *value = unwrap(node, &type_url);
    const struct hbk_proto_message *type = hbk_proto_find_type(types, type_url);
    if (type == NULL) {
        refuse_type(reader, types, type_node, type_url);
        return HBK_OK;
    }
    static const struct hbk_node empty = {.kind = HBK_NODE_MAPPING};
    return store_any(reader, type, value == NULL ? &empty : value, target);
}

/* flat: one case per kind */
static hbk_status read_value(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                             const struct hbk_node *node, const struct hbk_node *parent,
                             void *target)
{
    switch (field->kind) {
    case HBK_PROTO_REFUSED:
    case HBK_PROTO_IGNORED:
        return HBK_OK;
    case HBK_PROTO_BOOL:
        return read_bool(reader, node, target);
    case HBK_PROTO_U32:
    case HBK_PROTO_U64:
    case HBK_PROTO_I64:
        return read_integer(reader, field, node, target);
    case HBK_PROTO_DOUBLE:
        return read_double(reader, field, node, target);
    case HBK_PROTO_STRING:
        return read_string(reader, field, node, target);
    case HBK_PROTO_BYTES:
        return read_bytes(reader, node, target);
    case HBK_PROTO_ENUM:
        return read_enum(reader, field, node, target);
    case HBK_PROTO_DURATION:
        return read_duration(reader, field, node, target);
    case HBK_PROTO_ANY:
        return read_any(reader, field, node, parent, target);
    case HBK_PROTO_MESSAGE:
        return read_message_pointer(reader, field->type, node, target);
    }
    HBK_UNREACHABLE();
}

size_t hbk_proto_element_bytes(const struct hbk_proto_field *field)
{
    switch (field->kind) {
    case HBK_PROTO_MESSAGE:
        return ((const struct hbk_proto_message *)field->type)->size;
    case HBK_PROTO_STRING:
    case HBK_PROTO_BYTES:
        return sizeof(struct hbk_slice);
    case HBK_PROTO_U32:
        return sizeof(uint32_t);
    case HBK_PROTO_ENUM:
        return sizeof(int);
    case HBK_PROTO_BOOL:
        return sizeof(bool);
    case HBK_PROTO_ANY:
        return sizeof(struct hbk_gw_any);
    default:
        return sizeof(uint64_t);
    }
}

static hbk_status read_element(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                               const struct hbk_node *node, const struct hbk_node *parent,
                               void *target)
{
    return field->kind == HBK_PROTO_MESSAGE ? hbk_proto_read(reader, field->type, node, target)
                                            : read_value(reader, field, node, parent, target);
}

/* A single value stands for a list of one. A map's entries are mappings with a key and a value. */
static hbk_status read_list(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                            const struct hbk_node *node, const struct hbk_node *parent,
                            void *message)
{
    bool is_one = node->kind != HBK_NODE_LIST && !field->is_map;
    if (field->is_map && node->kind != HBK_NODE_MAPPING) {
        return refuse(reader, node, "a mapping");
    }
    uint32_t count = is_one ? 1 : node->count;
    size_t size = hbk_proto_element_bytes(field);
    uint8_t *elements = hbk_arena_array(reader->arena, count, size);
    if (elements == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy((uint8_t *)message + field->offset, &elements, sizeof elements);
    memcpy((uint8_t *)message + field->count_offset, &count, sizeof count);
    if (is_one) {
        return read_element(reader, field, node, parent, elements);
    }
    uint32_t index = 0;
    HBK_NODE_EACH(child, node)
    {
        size_t path = field->is_map ? push(reader, "[\"%.*s\"]",
                                           (int)(child->key.size > 60 ? 60 : child->key.size),
                                           (const char *)child->key.bytes)
                                    : push(reader, "[%u]", index);
        if (child->is_null && !field->is_map) {
            HBK_TRY(refuse(reader, child, "a value"));
        } else {
            HBK_TRY(read_element(reader, field, child, parent, elements + index * size));
        }
        pop(reader, path);
        index++;
    }
    return HBK_OK;
}

static hbk_status read_field(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                             const struct hbk_node *child, const struct hbk_node *parent,
                             void *message)
{
    if (field->set_offset != 0) {
        ((uint8_t *)message)[field->set_offset] = field->set_value;
    }
    return field->is_list
               ? read_list(reader, field, child, parent, message)
               : read_value(reader, field, child, parent, (uint8_t *)message + field->offset);
}

static void check_oneof(struct hbk_proto_reader *reader, const struct hbk_proto_field *field,
                        const struct hbk_node *child,
                        const struct hbk_proto_field *chosen[static HBK_PROTO_ONEOFS_MAX])
{
    if (field->oneof == 0) {
        return;
    }
    const struct hbk_proto_field **first = &chosen[field->oneof - 1];
    if (*first != NULL && *first != field) {
        hbk_proto_error(reader, child, "\"%s\" beside \"%s\"; allowed: one of them", field->name,
                        (*first)->name);
    }
    *first = *first == NULL ? field : *first;
}

static void check_complete(struct hbk_proto_reader *reader, const struct hbk_proto_message *type,
                           const struct hbk_node *node, const bool *is_seen,
                           const struct hbk_proto_field *const *chosen)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].is_required && !is_seen[i]) {
            hbk_proto_error(reader, node, "\"%s\" is missing, which %s needs", type->fields[i].name,
                            type->name);
        }
    }
    for (size_t i = 0; i < HBK_PROTO_ONEOFS_MAX; i++) {
        if (type->oneofs[i].is_required && chosen[i] == NULL) {
            hbk_proto_error(reader, node, "nothing for \"%s\", which %s needs",
                            type->oneofs[i].title, type->name);
        }
    }
}

static hbk_status read_members(struct hbk_proto_reader *reader,
                               const struct hbk_proto_message *type, const struct hbk_node *node,
                               void *message)
{
    bool is_seen[HBK_PROTO_FIELDS_MAX] = {false};
    const struct hbk_proto_field *chosen[HBK_PROTO_ONEOFS_MAX] = {NULL};
    HBK_NODE_EACH(child, node)
    {
        const struct hbk_proto_field *field = hbk_proto_find_field(type, child->key);
        if (field == NULL) {
            if (!hbk_slice_equal(child->key, HBK_SLICE("@type"))) {
                refuse_unknown(reader, type, child);
            }
            continue;
        }
        if (field->kind == HBK_PROTO_REFUSED) {
            refuse_known(reader, field, child);
            is_seen[field - type->fields] = true;
            continue;
        }
        if (child->is_null) {
            continue; /* as if it were not there */
        }
        size_t path = push(reader, "%s%s", reader->path_bytes > 0 ? "." : "", field->name);
        if (is_seen[field - type->fields]) {
            hbk_proto_error(reader, child, "given twice, in both spellings; allowed: once");
        }
        is_seen[field - type->fields] = true;
        check_oneof(reader, field, child, chosen);
        HBK_TRY(read_field(reader, field, child, node, message));
        pop(reader, path);
    }
    check_complete(reader, type, node, is_seen, chosen);
    return HBK_OK;
}

/* A key that is a value: for the members of a map. */
static hbk_status read_entry(struct hbk_proto_reader *reader, const struct hbk_proto_message *type,
                             const struct hbk_node *node, void *message)
{
    struct hbk_node key = {.kind = HBK_NODE_SCALAR,
                           .text = node->key,
                           .line = node->key_line,
                           .column = node->key_column};
    HBK_TRY(read_value(reader, &type->fields[0], &key, node,
                       (uint8_t *)message + type->fields[0].offset));
    return read_value(reader, &type->fields[1], node, node,
                      (uint8_t *)message + type->fields[1].offset);
}

hbk_status hbk_proto_read(struct hbk_proto_reader *reader, const struct hbk_proto_message *type,
                          const struct hbk_node *node, void *message)
{
    HBK_ASSERT(type->field_count <= HBK_PROTO_FIELDS_MAX);
    if (type->prepare != NULL) {
        type->prepare(message);
    }
    if (type->name == NULL) {
        return read_entry(reader, type, node, message);
    }
    if (node->kind != HBK_NODE_MAPPING) {
        char allowed[160];
        (void)snprintf(allowed, sizeof allowed, "a mapping (%s)", type->name);
        return refuse(reader, node, allowed);
    }
    size_t errors = reader->errors;
    HBK_TRY(read_members(reader, type, node, message));
    /* A message whose parts are wrong is not looked at as a whole: it would be wrong by that. */
    return type->check != NULL && errors == reader->errors ? type->check(reader, node, message)
                                                           : HBK_OK;
}
