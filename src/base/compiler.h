/* Words for the compiler: what a reader of a declaration must know and gcc and clang can check. */
#pragma once

/* The result carries a failure or an owner; dropping it is a bug. */
#define HBK_MUST_USE __attribute__((warn_unused_result))

/* The function takes a printf format at `format_index` and its values from `first_index`. */
#define HBK_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

/* Calls `function(&variable)` when the variable leaves its scope, which is a use of it. */
#define HBK_CLEANUP(function) __attribute__((cleanup(function), unused))

#define HBK_UNUSED __attribute__((unused))
#define HBK_NORETURN __attribute__((noreturn))
#define HBK_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define HBK_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Number of elements of an array; a pointer here does not compile. */
#define HBK_COUNT(array)                                                     \
    (sizeof(array) / sizeof((array)[0]) +                                    \
     0 * sizeof(char[1 - 2 * __builtin_types_compatible_p(__typeof__(array), \
                                                          __typeof__(&(array)[0]))]))

/* The struct of which `pointer` addresses the given member. */
#define HBK_CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))
