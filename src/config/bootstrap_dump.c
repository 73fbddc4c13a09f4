#include "config/bootstrap_dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "config/envoy.h"
#include "config/envoy_root.h"
#include "config/proto_text.h"

/* An object in a list inside an object: what one field may open. */
enum { FIELD_DEPTH = 3, NUMBER_BYTES_MAX = 40, DURATION_FRACTION = 1000000000 };

#define REDACTED "[redacted]"
#define REDACTED_BASE64 "W3JlZGFjdGVkXQ==" /* the same, as a field of bytes has it */

struct dumping {
    struct hbk_json *json;
    bool is_secret;             /* all texts below */
    struct hbk_field_mask mask; /* below */
};

static void write_message(const struct dumping *dumping, const struct hbk_proto_message *type,
                          const void *message);

static uint64_t word_at(const void *place)
{
    uint64_t word;
    memcpy(&word, place, sizeof word);
    return word;
}

/* ---- values ---- */

static void write_bytes(const struct dumping *dumping, const char *key, struct hbk_slice bytes)
{
    if (dumping->is_secret) {
        hbk_json_text(dumping->json, key, REDACTED_BASE64);
        return;
    }
    const size_t text_bytes = HBK_PROTO_BASE64_BYTES(bytes.size);
    uint8_t *text = malloc(text_bytes + 1);
    if (text == NULL) {
        dumping->json->status = HBK_NO_MEMORY;
        return;
    }
    hbk_json_string(dumping->json, key,
                    hbk_proto_base64_print(bytes, hbk_span_of(text, text_bytes)));
    free(text);
}

/* Whole seconds, or with three, six or nine digits behind the point. */
static void write_duration(const struct dumping *dumping, const char *key, uint64_t ns)
{
    char text[NUMBER_BYTES_MAX];
    const uint64_t fraction = ns % DURATION_FRACTION;
    const uint64_t seconds = ns / DURATION_FRACTION;
    if (fraction == 0) {
        (void)snprintf(text, sizeof text, "%" PRIu64 "s", seconds);
    } else if (fraction % 1000000 == 0) {
        (void)snprintf(text, sizeof text, "%" PRIu64 ".%03" PRIu64 "s", seconds,
                       fraction / 1000000);
    } else if (fraction % 1000 == 0) {
        (void)snprintf(text, sizeof text, "%" PRIu64 ".%06" PRIu64 "s", seconds, fraction / 1000);
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64 "s", seconds, fraction);
    }
    hbk_json_text(dumping->json, key, text);
}

static void write_enum(const struct dumping *dumping, const char *key,
                       const struct hbk_proto_enum *type, int value)
{
    for (const struct hbk_proto_word *word = type->words; word->text != NULL; word++) {
        if (word->value == value && !word->is_refused) {
            hbk_json_text(dumping->json, key, word->text);
            return;
        }
    }
    hbk_json_number(dumping->json, key, (uint64_t)(unsigned)value);
}

static void write_any(const struct dumping *dumping, const char *key,
                      const struct hbk_proto_any_types *types, const struct hbk_gw_any *any)
{
    char url[HBK_PROTO_PATH_BYTES_MAX];
    hbk_json_begin_object(dumping->json, key);
    for (size_t i = 0; types->known[i] != NULL; i++) {
        if (types->known[i]->any_kind == any->kind) {
            (void)snprintf(url, sizeof url, "type.googleapis.com/%s", types->known[i]->name);
            hbk_json_text(dumping->json, "@type", url);
            write_message(dumping, types->known[i], any->message);
            break;
        }
    }
    hbk_json_end_object(dumping->json);
}

/* 64-bit numbers are texts in protobuf's JSON. */
static void write_number(const struct dumping *dumping, const char *key, bool is_signed,
                         uint64_t value)
{
    char text[NUMBER_BYTES_MAX];
    (void)snprintf(text, sizeof text, is_signed ? "%" PRId64 : "%" PRIu64, value);
    hbk_json_text(dumping->json, key, text);
}

/* flat: one case per kind */
static void write_value(const struct dumping *dumping, const char *key,
                        const struct hbk_proto_field *field, const void *place)
{
    struct hbk_json *json = dumping->json;
    double real;
    uint32_t u32;
    int number;
    switch (field->kind) {
    case HBK_PROTO_REFUSED:
    case HBK_PROTO_IGNORED:
        return;
    case HBK_PROTO_BOOL:
        hbk_json_bool(json, key, *(const bool *)place);
        return;
    case HBK_PROTO_U32:
        memcpy(&u32, place, sizeof u32);
        hbk_json_number(json, key, u32);
        return;
    case HBK_PROTO_U64:
    case HBK_PROTO_I64:
        write_number(dumping, key, field->kind == HBK_PROTO_I64, word_at(place));
        return;
    case HBK_PROTO_DOUBLE:
        memcpy(&real, place, sizeof real);
        hbk_json_real(json, key, real);
        return;
    case HBK_PROTO_STRING:
        hbk_json_string(
            json, key, dumping->is_secret ? HBK_SLICE(REDACTED) : *(const struct hbk_slice *)place);
        return;
    case HBK_PROTO_BYTES:
        write_bytes(dumping, key, *(const struct hbk_slice *)place);
        return;
    case HBK_PROTO_ENUM:
        memcpy(&number, place, sizeof number);
        write_enum(dumping, key, field->type, number);
        return;
    case HBK_PROTO_DURATION:
        write_duration(dumping, key, word_at(place));
        return;
    case HBK_PROTO_ANY:
        write_any(dumping, key, field->type, place);
        return;
    case HBK_PROTO_MESSAGE:
        hbk_json_begin_object(json, key);
        write_message(dumping, field->type, place);
        hbk_json_end_object(json);
        return;
    }
    HBK_UNREACHABLE();
}

/* ---- fields ---- */

/* A map's entries are messages of a key, which is a text, and a value. */
static void write_map(const struct dumping *dumping, const struct hbk_proto_field *field,
                      const uint8_t *elements, uint32_t count)
{
    const struct hbk_proto_message *entry = field->type;
    hbk_json_begin_object(dumping->json, field->name);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *element = elements + i * entry->size;
        const struct hbk_slice *key = (const void *)(element + entry->fields[0].offset);
        hbk_json_key(dumping->json, *key);
        write_value(dumping, NULL, &entry->fields[1], element + entry->fields[1].offset);
    }
    hbk_json_end_object(dumping->json);
}

static void write_list(const struct dumping *dumping, const struct hbk_proto_field *field,
                       const uint8_t *message)
{
    uint32_t count;
    const uint8_t *elements;
    memcpy(&count, message + field->count_offset, sizeof count);
    memcpy(&elements, message + field->offset, sizeof elements);
    if (count == 0) {
        return;
    }
    if (field->is_map) {
        write_map(dumping, field, elements, count);
        return;
    }
    hbk_json_begin_array(dumping->json, field->name);
    for (uint32_t i = 0; i < count; i++) {
        write_value(dumping, NULL, field, elements + i * hbk_proto_element_bytes(field));
    }
    hbk_json_end_array(dumping->json);
}

static bool is_default(const struct hbk_proto_field *field, const uint8_t *message,
                       const uint8_t *defaults)
{
    const uint8_t *value = message + field->offset, *other = defaults + field->offset;
    switch (field->kind) {
    case HBK_PROTO_STRING:
    case HBK_PROTO_BYTES:
        return hbk_slice_equal(*(const struct hbk_slice *)(const void *)value,
                               *(const struct hbk_slice *)(const void *)other);
    case HBK_PROTO_ANY:
        return ((const struct hbk_gw_any *)(const void *)value)->message == NULL;
    default:
        return memcmp(value, other, hbk_proto_element_bytes(field)) == 0;
    }
}

/* Where a field tells that it was given, that decides. */
static bool is_given(const struct hbk_proto_field *field, const uint8_t *message,
                     const uint8_t *defaults)
{
    return field->set_offset != 0 ? message[field->set_offset] == field->set_value
                                  : !is_default(field, message, defaults);
}

static void write_single(const struct dumping *dumping, const struct hbk_proto_field *field,
                         const uint8_t *message, const uint8_t *defaults)
{
    const uint8_t *place = message + field->offset;
    if (field->kind == HBK_PROTO_MESSAGE) {
        const void *inner;
        memcpy(&inner, place, sizeof inner);
        if (inner != NULL) {
            write_value(dumping, field->name, field, inner);
        }
    } else if (is_given(field, message, defaults)) {
        write_value(dumping, field->name, field, place);
    }
}

static void write_message(const struct dumping *dumping, const struct hbk_proto_message *type,
                          const void *message)
{
    uint8_t *defaults = calloc(1, type->size);
    if (defaults == NULL || dumping->json->depth + FIELD_DEPTH > HBK_JSON_DEPTH_MAX) {
        dumping->json->status = defaults == NULL ? HBK_NO_MEMORY : HBK_LIMIT;
        free(defaults);
        return;
    }
    if (type->prepare != NULL) {
        type->prepare(defaults);
    }
    for (size_t i = 0; i < type->field_count; i++) {
        const struct hbk_proto_field *field = &type->fields[i];
        struct dumping below = *dumping;
        if (field->kind == HBK_PROTO_REFUSED || field->kind == HBK_PROTO_IGNORED ||
            !hbk_field_mask_enter(&dumping->mask, hbk_slice_text(field->name), &below.mask)) {
            continue;
        }
        /* A data source marks its own texts, for where they are quoted; what makes them a secret
         * is the field that the source stands in. */
        below.is_secret |= field->is_secret && type != &hbk_envoy_data_source;
        if (field->is_list) {
            write_list(&below, field, message);
        } else {
            write_single(&below, field, message, defaults);
        }
    }
    free(defaults);
}

void hbk_bootstrap_dump(struct hbk_json *json, const char *key, enum hbk_bootstrap_part kind,
                        const void *message, const struct hbk_field_mask *mask)
{
    static const struct hbk_proto_message *const types[] = {
        [HBK_BOOTSTRAP_PART_BOOTSTRAP] = &hbk_envoy_bootstrap,
        [HBK_BOOTSTRAP_PART_LISTENER] = &hbk_envoy_listener,
        [HBK_BOOTSTRAP_PART_CLUSTER] = &hbk_envoy_cluster,
        [HBK_BOOTSTRAP_PART_ROUTES] = &hbk_envoy_route_configuration,
        [HBK_BOOTSTRAP_PART_SECRET] = &hbk_envoy_secret,
    };
    char url[HBK_PROTO_PATH_BYTES_MAX];
    const struct dumping dumping = {.json = json, .mask = *mask};
    hbk_json_begin_object(json, key);
    if (kind != HBK_BOOTSTRAP_PART_BOOTSTRAP) {
        (void)snprintf(url, sizeof url, "type.googleapis.com/%s", types[kind]->name);
        hbk_json_text(json, "@type", url);
    }
    write_message(&dumping, types[kind], message);
    hbk_json_end_object(json);
}
