/*
 * Shapes describe structs that own texts, arrays and optional parts, so that one routine copies any
 * of them into a single allocation and one compares any two. A struct that is made of slices and
 * pointers into some loader's arena becomes a compact object of its own that way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hbk_shape;

enum hbk_shape_kind {
    HBK_SHAPE_IS_VALUE,    /* plain bytes: compared and copied as they are; no pointers, no gaps */
    HBK_SHAPE_IS_TEXT,     /* a struct hbk_slice */
    HBK_SHAPE_IS_ARRAY,    /* a pointer to elements, with a uint32_t count elsewhere */
    HBK_SHAPE_IS_OPTIONAL, /* a pointer to one element, or NULL */
};

struct hbk_shape_field {
    enum hbk_shape_kind kind;
    uint16_t offset;
    uint16_t size;         /* of a value */
    uint16_t count_offset; /* of an array's count */
    const struct hbk_shape *element;
};

struct hbk_shape {
    size_t size; /* of the struct */
    size_t field_count;
    const struct hbk_shape_field *fields;
};

#define HBK_SHAPE_VALUE(type, member)                                           \
    {                                                                           \
        .kind = HBK_SHAPE_IS_VALUE, .offset = (uint16_t)offsetof(type, member), \
        .size = (uint16_t)sizeof(((type *)NULL)->member)                        \
    }
#define HBK_SHAPE_TEXT(type, member)                                          \
    {                                                                         \
        .kind = HBK_SHAPE_IS_TEXT, .offset = (uint16_t)offsetof(type, member) \
    }
#define HBK_SHAPE_ARRAY(type, member, count_member, element_shape)                         \
    {                                                                                      \
        .kind = HBK_SHAPE_IS_ARRAY, .offset = (uint16_t)offsetof(type, member),            \
        .count_offset = (uint16_t)offsetof(type, count_member), .element = (element_shape) \
    }
#define HBK_SHAPE_OPTIONAL(type, member, element_shape)                            \
    {                                                                              \
        .kind = HBK_SHAPE_IS_OPTIONAL, .offset = (uint16_t)offsetof(type, member), \
        .element = (element_shape)                                                 \
    }
/* An element that is a plain value itself. */
#define HBK_SHAPE_WHOLE(type)                                                   \
    {                                                                           \
        .kind = HBK_SHAPE_IS_VALUE, .offset = 0, .size = (uint16_t)sizeof(type) \
    }
#define HBK_SHAPE_OF(type, field_table)                                                      \
    {                                                                                        \
        .size = sizeof(type), .field_count = sizeof(field_table) / sizeof((field_table)[0]), \
        .fields = (field_table)                                                              \
    }

/* Bytes that a copy of `object` needs behind the struct itself. */
size_t hbk_shape_tail_bytes(const struct hbk_shape *shape, const void *object);

/*
 * Copies `from` to `to`, of shape->size bytes, and everything that it points to into `tail`, which
 * holds hbk_shape_tail_bytes() and is aligned for any type. Members that the shape does not name
 * are copied as they are.
 */
void hbk_shape_copy(const struct hbk_shape *shape, const void *from, void *to, void *tail);

/* True when every member that the shape names has the same content. */
bool hbk_shape_equal(const struct hbk_shape *shape, const void *a, const void *b);
