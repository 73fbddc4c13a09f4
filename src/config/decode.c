#include "config/decode.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/address.h"
#include "base/assert.h"

enum { GROWING_CAPACITY_MIN = 4, WORDS_TEXT_BYTES_MAX = 400 };

void hbk_decode_error(struct hbk_decoder *decoder, const struct hbk_yaml_event *event,
                      const char *format, ...)
{
    char sentence[HBK_ERROR_TEXT_BYTES_MAX];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    decoder->errors++;
    hbk_report_add(decoder->report, decoder->file, event->line, event->column, "%s", sentence);
}

const char *hbk_decode_found(const struct hbk_yaml_event *event,
                             char text[static HBK_FOUND_TEXT_BYTES_MAX])
{
    const char *found = event->kind == HBK_YAML_MAPPING    ? "a mapping"
                        : event->kind == HBK_YAML_SEQUENCE ? "a list"
                        : hbk_yaml_is_null(event)          ? "nothing"
                                                           : NULL;
    if (found != NULL) {
        (void)snprintf(text, HBK_FOUND_TEXT_BYTES_MAX, "%s", found);
        return text;
    }
    int size = event->text.size > 60 ? 60 : (int)event->text.size;
    (void)snprintf(text, HBK_FOUND_TEXT_BYTES_MAX, "\"%.*s%s\"", size,
                   (const char *)event->text.bytes, size < (int)event->text.size ? "..." : "");
    for (char *byte = text; *byte != '\0'; byte++) {
        *byte = (unsigned char)*byte < ' ' ? '?' : *byte;
    }
    return text;
}

/* Reports that the value of a field is none that is allowed there, and reads past it. */
static hbk_status refuse(struct hbk_decoder *decoder, const struct hbk_field *field,
                         const struct hbk_yaml_event *event, const char *allowed)
{
    char found[HBK_FOUND_TEXT_BYTES_MAX];
    hbk_decode_error(decoder, event, "%s is %s; allowed: %s", field->key,
                     hbk_decode_found(event, found), allowed);
    return hbk_yaml_skip(decoder->yaml, event);
}

/* --- mappings by table --- */

static void list_keys(const struct hbk_table *table, char text[static WORDS_TEXT_BYTES_MAX])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < table->field_count && used < WORDS_TEXT_BYTES_MAX; i++) {
        int written = snprintf(text + used, WORDS_TEXT_BYTES_MAX - used, "%s%s", i == 0 ? "" : ", ",
                               table->fields[i].key);
        used += written < 0 ? 0 : (size_t)written;
    }
}

static hbk_status refuse_key(struct hbk_decoder *decoder, const struct hbk_table *table,
                             const struct hbk_yaml_event *key)
{
    const char *words[HBK_DECODE_FIELDS_MAX + 1] = {NULL};
    for (size_t i = 0; i < table->field_count; i++) {
        words[i] = table->fields[i].key;
    }
    char found[HBK_FOUND_TEXT_BYTES_MAX];
    char allowed[WORDS_TEXT_BYTES_MAX];
    const char *nearest = key->kind == HBK_YAML_SCALAR ? hbk_nearest_word(key->text, words) : NULL;
    list_keys(table, allowed);
    hbk_decode_error(decoder, key, "unknown key %s in %s%s%s; allowed: %s",
                     hbk_decode_found(key, found), table->title,
                     nearest == NULL ? "" : "; nearest: ", nearest == NULL ? "" : nearest, allowed);
    return hbk_yaml_skip(decoder->yaml, key);
}

static const struct hbk_field *find_field(const struct hbk_table *table, struct hbk_slice key)
{
    for (size_t i = 0; i < table->field_count; i++) {
        if (hbk_slice_equal(key, hbk_slice_text(table->fields[i].key))) {
            return &table->fields[i];
        }
    }
    return NULL;
}

static hbk_status decode_member(struct hbk_decoder *decoder, const struct hbk_table *table,
                                const struct hbk_yaml_event *key, uint64_t *seen, void *target)
{
    const struct hbk_field *field =
        key->kind == HBK_YAML_SCALAR ? find_field(table, key->text) : NULL;
    if (field == NULL) {
        HBK_TRY(refuse_key(decoder, table, key));
    } else {
        uint64_t bit = UINT64_C(1) << (field - table->fields);
        if ((*seen & bit) != 0) {
            hbk_decode_error(decoder, key, "key \"%s\" appears twice in %s; allowed: once",
                             field->key, table->title);
        }
        *seen |= bit;
    }
    struct hbk_yaml_event value;
    HBK_TRY(hbk_yaml_next(decoder->yaml, &value));
    return field == NULL ? hbk_yaml_skip(decoder->yaml, &value)
                         : field->decode(decoder, field, &value, (uint8_t *)target + field->offset);
}

static void check_required(struct hbk_decoder *decoder, const struct hbk_table *table,
                           const struct hbk_yaml_event *event, uint64_t seen)
{
    for (size_t i = 0; i < table->field_count; i++) {
        if (table->fields[i].is_required && (seen & UINT64_C(1) << i) == 0) {
            hbk_decode_error(decoder, event, "%s without \"%s\", which it needs", table->title,
                             table->fields[i].key);
        }
    }
}

hbk_status hbk_decode_object(struct hbk_decoder *decoder, const struct hbk_field *field,
                             const struct hbk_yaml_event *event, void *target)
{
    const struct hbk_table *table = field->detail;
    HBK_ASSERT(table->field_count <= HBK_DECODE_FIELDS_MAX);
    if (event->kind != HBK_YAML_MAPPING) {
        char allowed[WORDS_TEXT_BYTES_MAX + 32];
        char keys[WORDS_TEXT_BYTES_MAX];
        list_keys(table, keys);
        (void)snprintf(allowed, sizeof allowed, "a mapping with %s", keys);
        return refuse(decoder, field, event, allowed);
    }
    struct hbk_yaml_event start = *event;
    uint64_t seen = 0;
    for (;;) {
        struct hbk_yaml_event key;
        HBK_TRY(hbk_yaml_next(decoder->yaml, &key));
        if (key.kind == HBK_YAML_END) {
            check_required(decoder, table, &start, seen);
            return HBK_OK;
        }
        HBK_TRY(decode_member(decoder, table, &key, &seen, target));
    }
}

hbk_status hbk_decode_optional(struct hbk_decoder *decoder, const struct hbk_field *field,
                               const struct hbk_yaml_event *event, void *target)
{
    const struct hbk_optional *optional = field->detail;
    if (hbk_yaml_is_null(event)) {
        return HBK_OK;
    }
    void *object = hbk_arena_take(decoder->arena, optional->size);
    if (object == NULL) {
        return HBK_NO_MEMORY;
    }
    struct hbk_field inner = {.key = field->key, .detail = optional->table};
    HBK_TRY(hbk_decode_object(decoder, &inner, event, object));
    memcpy(target, &object, sizeof object);
    return HBK_OK;
}

/* --- lists and maps --- */

void *hbk_growing_add(struct hbk_growing *growing, struct hbk_arena *arena)
{
    if (growing->count == growing->capacity) {
        uint32_t capacity = growing->capacity == 0 ? GROWING_CAPACITY_MIN : growing->capacity * 2;
        uint8_t *elements = hbk_arena_array(arena, capacity, growing->size);
        if (elements == NULL) {
            return NULL;
        }
        if (growing->count > 0) {
            memcpy(elements, growing->elements, growing->count * growing->size);
        }
        growing->elements = elements;
        growing->capacity = capacity;
    }
    return growing->elements + growing->size * growing->count++;
}

/* The target is the pointer to the elements; the count lies at its own offset of the same struct.
 */
static void store_list(const struct hbk_field *field, void *target,
                       const struct hbk_growing *growing)
{
    memcpy(target, &growing->elements, sizeof growing->elements);
    memcpy((uint8_t *)target - field->offset + field->count_offset, &growing->count,
           sizeof growing->count);
}

static hbk_status refuse_length(struct hbk_decoder *decoder, const struct hbk_field *field,
                                const struct hbk_yaml_event *event)
{
    hbk_decode_error(decoder, event, "%s is longer than %d; no record needs as much", field->key,
                     HBK_DECODE_ELEMENTS_MAX);
    return HBK_INVALID;
}

hbk_status hbk_decode_list(struct hbk_decoder *decoder, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    const struct hbk_list_of *list = field->detail;
    struct hbk_growing growing = {.size = list->size};
    if (hbk_yaml_is_null(event)) {
        return HBK_OK;
    }
    if (event->kind != HBK_YAML_SEQUENCE) {
        return refuse(decoder, field, event, "a list");
    }
    for (;;) {
        struct hbk_yaml_event next;
        HBK_TRY(hbk_yaml_next(decoder->yaml, &next));
        if (next.kind == HBK_YAML_END) {
            store_list(field, target, &growing);
            return HBK_OK;
        }
        if (growing.count == HBK_DECODE_ELEMENTS_MAX) {
            return refuse_length(decoder, field, &next);
        }
        uint8_t *element = hbk_growing_add(&growing, decoder->arena);
        if (element == NULL) {
            return HBK_NO_MEMORY;
        }
        HBK_TRY(
            list->element.decode(decoder, &list->element, &next, element + list->element.offset));
    }
}

static hbk_status decode_pair(struct hbk_decoder *decoder, const struct hbk_map_of *map,
                              const struct hbk_yaml_event *key, uint8_t *element)
{
    HBK_TRY(map->key.decode(decoder, &map->key, key, element + map->key.offset));
    struct hbk_yaml_event value;
    HBK_TRY(hbk_yaml_next(decoder->yaml, &value));
    return map->value.decode(decoder, &map->value, &value, element + map->value.offset);
}

hbk_status hbk_decode_map(struct hbk_decoder *decoder, const struct hbk_field *field,
                          const struct hbk_yaml_event *event, void *target)
{
    const struct hbk_map_of *map = field->detail;
    struct hbk_growing growing = {.size = map->size};
    if (hbk_yaml_is_null(event)) {
        return HBK_OK;
    }
    if (event->kind != HBK_YAML_MAPPING) {
        return refuse(decoder, field, event, "a mapping");
    }
    for (;;) {
        struct hbk_yaml_event key;
        HBK_TRY(hbk_yaml_next(decoder->yaml, &key));
        if (key.kind == HBK_YAML_END) {
            store_list(field, target, &growing);
            return HBK_OK;
        }
        if (growing.count == HBK_DECODE_ELEMENTS_MAX) {
            return refuse_length(decoder, field, &key);
        }
        uint8_t *element = hbk_growing_add(&growing, decoder->arena);
        if (element == NULL) {
            return HBK_NO_MEMORY;
        }
        HBK_TRY(decode_pair(decoder, map, &key, element));
    }
}

/* --- scalars --- */

hbk_status hbk_decode_any_text(struct hbk_decoder *decoder, const struct hbk_field *field,
                               const struct hbk_yaml_event *event, void *target)
{
    if (event->kind != HBK_YAML_SCALAR || hbk_yaml_is_null(event)) {
        return refuse(decoder, field, event, "a text");
    }
    char *copy = hbk_arena_string(decoder->arena, event->text);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    struct hbk_slice text = hbk_slice_of(copy, event->text.size);
    memcpy(target, &text, sizeof text);
    return HBK_OK;
}

hbk_status hbk_decode_text(struct hbk_decoder *decoder, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    if (event->kind == HBK_YAML_SCALAR && event->text.size == 0) {
        return refuse(decoder, field, event, "a text that is not empty");
    }
    return hbk_decode_any_text(decoder, field, event, target);
}

hbk_status hbk_decode_bool(struct hbk_decoder *decoder, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    bool is_true = hbk_slice_equal(event->text, HBK_SLICE("true"));
    bool is_false = hbk_slice_equal(event->text, HBK_SLICE("false"));
    if (event->kind != HBK_YAML_SCALAR || !event->is_plain || (!is_true && !is_false)) {
        return refuse(decoder, field, event, "true or false");
    }
    memcpy(target, &is_true, sizeof is_true);
    return HBK_OK;
}

hbk_status hbk_decode_u32(struct hbk_decoder *decoder, const struct hbk_field *field,
                          const struct hbk_yaml_event *event, void *target)
{
    uint64_t number = 0;
    if (event->kind != HBK_YAML_SCALAR || !hbk_slice_to_u64(event->text, UINT32_MAX, &number)) {
        return refuse(decoder, field, event, "a number from 0 to 4294967295");
    }
    uint32_t value = (uint32_t)number;
    memcpy(target, &value, sizeof value);
    return HBK_OK;
}

static hbk_status decode_port_from(struct hbk_decoder *decoder, const struct hbk_field *field,
                                   const struct hbk_yaml_event *event, uint64_t least, void *target)
{
    uint64_t number = 0;
    bool is_number = event->kind == HBK_YAML_SCALAR &&
                     hbk_slice_to_u64(event->text, UINT16_MAX, &number) && number >= least;
    if (!is_number) {
        return refuse(decoder, field, event,
                      least == 0 ? "a port from 0 to 65535" : "a port from 1 to 65535");
    }
    uint16_t port = (uint16_t)number;
    memcpy(target, &port, sizeof port);
    return HBK_OK;
}

hbk_status hbk_decode_port(struct hbk_decoder *decoder, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    return decode_port_from(decoder, field, event, 1, target);
}

hbk_status hbk_decode_port_or_0(struct hbk_decoder *decoder, const struct hbk_field *field,
                                const struct hbk_yaml_event *event, void *target)
{
    return decode_port_from(decoder, field, event, 0, target);
}

static void list_words(const struct hbk_word *words, char text[static WORDS_TEXT_BYTES_MAX])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; words[i].text != NULL && used < WORDS_TEXT_BYTES_MAX; i++) {
        int written = snprintf(text + used, WORDS_TEXT_BYTES_MAX - used, "%s%s", i == 0 ? "" : ", ",
                               words[i].text);
        used += written < 0 ? 0 : (size_t)written;
    }
}

hbk_status hbk_decode_word(struct hbk_decoder *decoder, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    const struct hbk_word *words = field->detail;
    for (size_t i = 0; event->kind == HBK_YAML_SCALAR && words[i].text != NULL; i++) {
        if (hbk_slice_equal(event->text, hbk_slice_text(words[i].text))) {
            memcpy(target, &words[i].value, sizeof words[i].value);
            return HBK_OK;
        }
    }
    char allowed[WORDS_TEXT_BYTES_MAX];
    list_words(words, allowed);
    return refuse(decoder, field, event, allowed);
}

hbk_status hbk_decode_ip(struct hbk_decoder *decoder, const struct hbk_field *field,
                         const struct hbk_yaml_event *event, void *target)
{
    struct hbk_ip ip;
    if (event->kind != HBK_YAML_SCALAR || !hbk_ip_parse(event->text, &ip)) {
        return refuse(decoder, field, event, "an IP address such as 10.0.0.1 or fd00::1");
    }
    memcpy(target, &ip, sizeof ip);
    return HBK_OK;
}

hbk_status hbk_decode_cidr(struct hbk_decoder *decoder, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    struct hbk_cidr cidr;
    if (event->kind != HBK_YAML_SCALAR || !hbk_cidr_parse(event->text, &cidr)) {
        return refuse(decoder, field, event, "an address block such as 10.0.0.0/8 or fd00::/8");
    }
    memcpy(target, &cidr, sizeof cidr);
    return HBK_OK;
}
