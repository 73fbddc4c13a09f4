/*
 * A heap whose n-th allocation fails. The linker sends every allocation of our own code here
 * (--wrap); libraries are not touched.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

static uint64_t heap_allocations;
static uint64_t heap_fails_at; /* 0: never */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

static inline bool heap_fails(void)
{
    return ++heap_allocations == heap_fails_at;
}

void *__wrap_malloc(size_t size)
{
    return heap_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return heap_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return heap_fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return heap_fails() ? NULL : __real_reallocarray(memory, count, size);
}

/* The n-th allocation from now on fails; 0: none does. */
static inline void heap_fail_at(uint64_t number)
{
    heap_allocations = 0;
    heap_fails_at = number;
}
