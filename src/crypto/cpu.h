/*
 * Which processor this is, as far as the kernels care, and the path that follows from it. The
 * answer is found once and never changes while the process lives. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "crypto/lane.h"

struct hbk_cpu {
    bool has_avx512_ifma; /* AVX-512 F, DQ, BW, VL, IFMA, VBMI2 and BMI2, the ZMM state saved by the
                             kernel */
    bool has_vaes;        /* AES and carry-less multiplication on whole vector registers */
    bool has_sha;         /* SHA-256 instructions */
};

/* What CPUID and XCR0 say; everything false on other architectures. */
struct hbk_cpu hbk_cpu_detect(void);

/*
 * The path for this process: vector where the processor can. The environment variable HBK_CPU
 * overrides it: "scalar" or "avx512". A program checks the variable with hbk_cpu_check when it
 * starts; without that call, a value that cannot be followed counts as absent.
 */
enum hbk_path hbk_cpu_path(void);

/* Fails: HBK_INVALID when HBK_CPU is another word, HBK_UNSUPPORTED when the processor cannot. */
HBK_MUST_USE hbk_status hbk_cpu_check(struct hbk_error *error);
