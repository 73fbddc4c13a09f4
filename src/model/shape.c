#include "model/shape.h"

#include <string.h>

#include "base/assert.h"
#include "base/slice.h"

enum { PART_ALIGNMENT = 8 };

struct writer {
    uint8_t *next;
};

static size_t aligned(size_t size)
{
    return (size + PART_ALIGNMENT - 1) & ~(size_t)(PART_ALIGNMENT - 1);
}

static const void *member(const void *object, size_t offset)
{
    return (const uint8_t *)object + offset;
}

static struct hbk_slice text_of(const void *object, const struct hbk_shape_field *field)
{
    struct hbk_slice text;
    memcpy(&text, member(object, field->offset), sizeof text);
    return text;
}

static const void *pointer_of(const void *object, const struct hbk_shape_field *field)
{
    const void *pointer;
    memcpy(&pointer, member(object, field->offset), sizeof pointer);
    return pointer;
}

/* The number of elements behind an array or an optional pointer. */
static size_t count_of(const void *object, const struct hbk_shape_field *field)
{
    if (field->kind == HBK_SHAPE_IS_OPTIONAL) {
        return pointer_of(object, field) != NULL;
    }
    uint32_t count;
    memcpy(&count, member(object, field->count_offset), sizeof count);
    return count;
}

static size_t field_tail_bytes(const struct hbk_shape_field *field, const void *object)
{
    switch (field->kind) {
    case HBK_SHAPE_IS_VALUE:
        return 0;
    case HBK_SHAPE_IS_TEXT:
        return text_of(object, field).size;
    case HBK_SHAPE_IS_ARRAY:
    case HBK_SHAPE_IS_OPTIONAL:
        break;
    }
    size_t count = count_of(object, field);
    const void *elements = pointer_of(object, field);
    size_t bytes = aligned(count * field->element->size);
    for (size_t i = 0; i < count; i++) {
        bytes += hbk_shape_tail_bytes(field->element, member(elements, i * field->element->size));
    }
    return bytes;
}

size_t hbk_shape_tail_bytes(const struct hbk_shape *shape, const void *object)
{
    size_t bytes = 0;
    for (size_t i = 0; i < shape->field_count; i++) {
        bytes += field_tail_bytes(&shape->fields[i], object);
    }
    return aligned(bytes);
}

static void copy_parts(const struct hbk_shape *shape, const void *from, void *to,
                       struct writer *writer);

static void copy_text(const struct hbk_shape_field *field, void *to, struct writer *writer)
{
    struct hbk_slice text = text_of(to, field);
    if (text.size > 0) {
        memcpy(writer->next, text.bytes, text.size);
    }
    text.bytes = text.size > 0 ? writer->next : NULL;
    writer->next += text.size;
    memcpy((uint8_t *)to + field->offset, &text, sizeof text);
}

static void copy_elements(const struct hbk_shape_field *field, const void *from, void *to,
                          struct writer *writer)
{
    size_t count = count_of(from, field);
    size_t size = field->element->size;
    const void *elements = pointer_of(from, field);
    uint8_t *copies = count > 0 ? writer->next : NULL;
    writer->next += aligned(count * size);
    for (size_t i = 0; i < count; i++) {
        memcpy(copies + i * size, member(elements, i * size), size);
        copy_parts(field->element, member(elements, i * size), copies + i * size, writer);
        writer->next = (uint8_t *)aligned((uintptr_t)writer->next);
    }
    memcpy((uint8_t *)to + field->offset, &copies, sizeof copies);
}

/* Elements first and texts last, so that only the end of a struct's texts needs padding. */
static void copy_parts(const struct hbk_shape *shape, const void *from, void *to,
                       struct writer *writer)
{
    for (size_t i = 0; i < shape->field_count; i++) {
        const struct hbk_shape_field *field = &shape->fields[i];
        if (field->kind == HBK_SHAPE_IS_ARRAY || field->kind == HBK_SHAPE_IS_OPTIONAL) {
            copy_elements(field, from, to, writer);
        }
    }
    for (size_t i = 0; i < shape->field_count; i++) {
        if (shape->fields[i].kind == HBK_SHAPE_IS_TEXT) {
            copy_text(&shape->fields[i], to, writer);
        }
    }
}

void hbk_shape_copy(const struct hbk_shape *shape, const void *from, void *to, void *tail)
{
    HBK_ASSERT((uintptr_t)tail % PART_ALIGNMENT == 0);
    struct writer writer = {.next = tail};
    memcpy(to, from, shape->size);
    copy_parts(shape, from, to, &writer);
    HBK_ASSERT((size_t)(writer.next - (uint8_t *)tail) <= hbk_shape_tail_bytes(shape, from));
}

static bool field_is_equal(const struct hbk_shape_field *field, const void *a, const void *b)
{
    switch (field->kind) {
    case HBK_SHAPE_IS_VALUE:
        return memcmp(member(a, field->offset), member(b, field->offset), field->size) == 0;
    case HBK_SHAPE_IS_TEXT:
        return hbk_slice_equal(text_of(a, field), text_of(b, field));
    case HBK_SHAPE_IS_ARRAY:
    case HBK_SHAPE_IS_OPTIONAL:
        break;
    }
    size_t count = count_of(a, field);
    size_t size = field->element->size;
    bool is_equal = count == count_of(b, field);
    for (size_t i = 0; is_equal && i < count; i++) {
        is_equal = hbk_shape_equal(field->element, member(pointer_of(a, field), i * size),
                                   member(pointer_of(b, field), i * size));
    }
    return is_equal;
}

bool hbk_shape_equal(const struct hbk_shape *shape, const void *a, const void *b)
{
    for (size_t i = 0; i < shape->field_count; i++) {
        if (!field_is_equal(&shape->fields[i], a, b)) {
            return false;
        }
    }
    return true;
}
