/*
 * From YAML to structs by tables. A table lists the keys of a mapping; each field says how its
 * value is decoded and where it goes. Whatever is wrong is reported with its place, and decoding
 * goes on behind it, so that one reading finds everything.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "config/yaml.h"

enum {
    HBK_DECODE_FIELDS_MAX = 40,      /* of one table */
    HBK_DECODE_ELEMENTS_MAX = 65536, /* of one list or map inside a record */
};

struct hbk_field;

struct hbk_decoder {
    struct hbk_yaml *yaml;
    struct hbk_arena *arena;
    struct hbk_report *report;
    const char *file;
    size_t errors; /* reported so far, also those beyond the report's limit */
};

/*
 * Decodes the value that `event` begins into `target` and reads to its end. Content that is wrong
 * is reported and leaves the target as it was.
 * Fails: HBK_NO_MEMORY, HBK_INVALID (the file cannot be read further).
 */
typedef hbk_status hbk_decode_fn(struct hbk_decoder *decoder, const struct hbk_field *field,
                                 const struct hbk_yaml_event *event, void *target);

struct hbk_field {
    const char *key;
    hbk_decode_fn *decode;
    uint16_t offset;       /* of the value in the struct */
    uint16_t count_offset; /* of a list: of its uint32_t number of elements */
    bool is_required;
    const void *detail; /* as the decode function says */
};

struct hbk_table {
    const char *title; /* "workload" */
    const struct hbk_field *fields;
    size_t field_count;
};

#define HBK_TABLE_OF(title_text, field_table)                                                 \
    {                                                                                         \
        .title = (title_text), .fields = (field_table), .field_count = HBK_COUNT(field_table) \
    }

/* Reports a mistake at an event. */
HBK_PRINTF(3, 4)
void hbk_decode_error(struct hbk_decoder *decoder, const struct hbk_yaml_event *event,
                      const char *format, ...);

/* What an event is, for messages: its text in quotes, or "a list". Writes to `text`, returns it. */
enum { HBK_FOUND_TEXT_BYTES_MAX = 96 };
const char *hbk_decode_found(const struct hbk_yaml_event *event,
                             char text[static HBK_FOUND_TEXT_BYTES_MAX]);

/* A mapping by table. detail: struct hbk_table. */
hbk_decode_fn hbk_decode_object;

/* A mapping by table into a struct of its own. detail: struct hbk_optional. */
struct hbk_optional {
    size_t size;
    const struct hbk_table *table;
};
hbk_decode_fn hbk_decode_optional;

/* A list. detail: struct hbk_list_of. The target is a pointer; the count is beside it. */
struct hbk_list_of {
    size_t size; /* of an element */
    struct hbk_field element;
};
hbk_decode_fn hbk_decode_list;

/* A mapping whose keys are values. detail: struct hbk_map_of. Target as for a list. */
struct hbk_map_of {
    size_t size; /* of an element */
    struct hbk_field key;
    struct hbk_field value;
};
hbk_decode_fn hbk_decode_map;

/* A list that grows while it is decoded; its memory comes from the decoder's arena. */
struct hbk_growing {
    uint8_t *elements;
    size_t size; /* of an element */
    uint32_t count;
    uint32_t capacity;
};

/* Room for one more element, zeroed; NULL when out of memory. It counts from now on. */
void *hbk_growing_add(struct hbk_growing *growing, struct hbk_arena *arena);

/* A text that is not empty. struct hbk_slice. */
hbk_decode_fn hbk_decode_text;

/* A text that may be empty. struct hbk_slice. */
hbk_decode_fn hbk_decode_any_text;
hbk_decode_fn hbk_decode_bool;
hbk_decode_fn hbk_decode_u32;

/* A port from 1 to 65535; with 0 as well. uint16_t. */
hbk_decode_fn hbk_decode_port;
hbk_decode_fn hbk_decode_port_or_0;

/* One of some words. detail: an array of struct hbk_word that ends with a NULL text. An enum. */
struct hbk_word {
    const char *text;
    int value;
};
hbk_decode_fn hbk_decode_word;

/* struct hbk_ip; struct hbk_cidr. */
hbk_decode_fn hbk_decode_ip;
hbk_decode_fn hbk_decode_cidr;
