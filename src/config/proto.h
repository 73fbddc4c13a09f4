/*
 * From a document to structs by tables that describe protobuf messages, in the way of protobuf's
 * JSON form: names in snake_case or lowerCamelCase, one value for a repeated field, wrappers as
 * bare values, enums by name or number, durations as "0.5s", Any by "@type". Whatever is wrong is
 * reported with its place and its path from the root, and reading goes on behind it.
 *
 * A message becomes a struct of the caller's: a field names the member by its offset. What a
 * message says beyond its fields' types is in its check function. Control thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/document.h"
#include "model/gateway_core.h"

enum {
    HBK_PROTO_FIELDS_MAX = 96, /* of one message */
    HBK_PROTO_ONEOFS_MAX = 4,
    HBK_PROTO_PATH_BYTES_MAX = 512,
};

enum hbk_proto_kind {
    HBK_PROTO_REFUSED, /* known, but not supported yet: an error by its name */
    HBK_PROTO_BOOL,    /* bool */
    HBK_PROTO_U32,     /* uint32_t */
    HBK_PROTO_U64,     /* uint64_t */
    HBK_PROTO_I64,     /* int64_t, also for int32 */
    HBK_PROTO_DOUBLE,
    HBK_PROTO_STRING, /* struct hbk_slice with a zero behind it */
    HBK_PROTO_BYTES,  /* the same, of base64 */
    HBK_PROTO_ENUM,   /* int; type: struct hbk_proto_enum */
    HBK_PROTO_MESSAGE,
    HBK_PROTO_DURATION, /* uint64_t nanoseconds */
    HBK_PROTO_ANY,      /* struct hbk_gw_any; type: struct hbk_proto_any_types */
    HBK_PROTO_IGNORED,  /* any value, without effect here */
};

/*
 * A field. A single message is a pointer (NULL: absent). Lists are a pointer to an array of values
 * and a uint32_t count. A map is a list of messages with the members key and value.
 */
struct hbk_proto_field {
    const char *name; /* snake_case */
    enum hbk_proto_kind kind;
    bool is_list, is_map, is_required;
    bool is_guard;   /* of a refused field: leaving it out would open something */
    bool is_wrapper; /* for the documentation: an unset value differs from zero */
    bool is_secret;
    bool is_head_text;     /* it goes into the head of a message: no line ends, no zero bytes */
    uint8_t oneof;         /* from 1: at most one field of that number; 0: none */
    uint16_t offset;       /* of the member */
    uint16_t count_offset; /* of a list */
    uint16_t set_offset;   /* of a uint8_t that tells which field was given; 0: none */
    uint8_t set_value;
    const void *type;
    int64_t min, max; /* of numbers, durations (ns), sizes of texts; 0, 0: any */
    const char *note; /* for the documentation; of a refused field: why or what instead */
};

struct hbk_proto_reader;

struct hbk_proto_oneof {
    const char *title;
    bool is_required;
};

struct hbk_proto_message {
    const char *name; /* "envoy.config.listener.v3.Listener" */
    size_t size;
    const struct hbk_proto_field *fields;
    size_t field_count;
    struct hbk_proto_oneof oneofs[HBK_PROTO_ONEOFS_MAX]; /* from number 1 */
    const char *const *aliases;                          /* other type names; NULL: none */
    const char *const *extension_names; /* "envoy.filters.http.router" and older ones; or NULL */
    int any_kind;                       /* in struct hbk_gw_any */
    void (*prepare)(void *message);     /* sets defaults that are not zero; may be NULL */

    /* Looks at the whole. Reports what it finds wrong. Fails: HBK_NO_MEMORY. May be NULL. */
    hbk_status (*check)(struct hbk_proto_reader *reader, const struct hbk_node *node,
                        void *message);
};

/* Which messages may stand in an Any; both lists end with NULL. */
struct hbk_proto_any_types {
    const char *title; /* "network filter" */
    const struct hbk_proto_message *const *known;
    const char *const *refused; /* full names that Envoy knows and this does not; may be NULL */
};

struct hbk_proto_word {
    const char *text;
    int value;
    bool is_refused;
};

struct hbk_proto_enum {
    const char *name;
    const struct hbk_proto_word *words; /* ends with a NULL text */
};

struct hbk_proto_reader {
    struct hbk_arena *arena; /* the structs' */
    struct hbk_report *report;
    struct hbk_report *warnings;
    const char *file;
    bool allows_unknown; /* unknown and refused fields are warnings, but for guards */
    size_t errors;
    void *context; /* for check functions */
    size_t path_bytes;
    char path[HBK_PROTO_PATH_BYTES_MAX];
};

/* Reads a message into a struct that is already prepared with zeros. Fails: HBK_NO_MEMORY; what is
 * wrong with the content is counted in reader->errors. */
HBK_MUST_USE hbk_status hbk_proto_read(struct hbk_proto_reader *reader,
                                       const struct hbk_proto_message *type,
                                       const struct hbk_node *node, void *message);

/* Reports a mistake, or something to mend that is no mistake, at a node. */
HBK_PRINTF(3, 4)
void hbk_proto_error(struct hbk_proto_reader *reader, const struct hbk_node *node,
                     const char *format, ...);
HBK_PRINTF(3, 4)
void hbk_proto_warning(struct hbk_proto_reader *reader, const struct hbk_node *node,
                       const char *format, ...);

/* The child of a message's node by a field's name, in either spelling; NULL without one. */
struct hbk_node *hbk_proto_find(const struct hbk_node *node, const char *name);
bool hbk_proto_name_matches(const char *name, struct hbk_slice key);

const struct hbk_proto_field *hbk_proto_find_field(const struct hbk_proto_message *type,
                                                   struct hbk_slice key);

/* Of one element of a list, in the array that the struct points to; of a value that is none. */
size_t hbk_proto_element_bytes(const struct hbk_proto_field *field);

/* The message of a type name such as "type.googleapis.com/envoy...Router"; NULL when unknown. */
const struct hbk_proto_message *hbk_proto_find_type(const struct hbk_proto_any_types *types,
                                                    struct hbk_slice type_url);
/* The same by an extension's name. */
const struct hbk_proto_message *hbk_proto_find_extension(const struct hbk_proto_any_types *types,
                                                         struct hbk_slice name);

/* "0.25s": protobuf's form; also with ms, us, m and h when `is_lenient`. Not negative. */
HBK_MUST_USE bool hbk_proto_duration_parse(struct hbk_slice text, bool is_lenient,
                                           uint64_t *out_ns);

/* Entries of the tables. T is the struct, m the member that is named as the field. */
#define HBK_PROTO_FIELD(T, m, the_kind, ...)                                  \
    {                                                                         \
        .name = #m, .kind = (the_kind), .offset = offsetof(T, m), __VA_ARGS__ \
    }
#define HBK_PROTO_LIST(T, m, the_kind, ...)                                        \
    {                                                                              \
        .name = #m, .kind = (the_kind), .is_list = true, .offset = offsetof(T, m), \
        .count_offset = offsetof(T, m##_count), __VA_ARGS__                        \
    }
#define HBK_PROTO_ONE(T, m, the_kind, selector, value, group, ...)                               \
    {                                                                                            \
        .name = #m, .kind = (the_kind), .offset = offsetof(T, m),                                \
        .set_offset = offsetof(T, selector), .set_value = (value), .oneof = (group), __VA_ARGS__ \
    }
#define HBK_PROTO_NOT_YET(the_name)                   \
    {                                                 \
        .name = (the_name), .kind = HBK_PROTO_REFUSED \
    }
#define HBK_PROTO_NOT_YET_GUARD(the_name)                               \
    {                                                                   \
        .name = (the_name), .kind = HBK_PROTO_REFUSED, .is_guard = true \
    }
#define HBK_PROTO_NO_EFFECT(the_name, why)                           \
    {                                                                \
        .name = (the_name), .kind = HBK_PROTO_IGNORED, .note = (why) \
    }
