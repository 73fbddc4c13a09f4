/*
 * The first include of a kernel's file. gcc on x86 leaves the order of instructions to the
 * processor; kernels are too long for its window. The pragma and not an option, since clang, which
 * orders them anyway, refuses the option.
 */
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("schedule-insns", "sched-pressure")
#endif
