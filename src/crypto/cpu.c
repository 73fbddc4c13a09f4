#include "crypto/cpu.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__x86_64__)

/* CPUID leaf 7, subleaf 0 (Intel SDM volume 2, table 3-8). */
enum {
    LEAF_7_EBX_BMI2 = 1 << 8,
    LEAF_7_EBX_AVX512F = 1 << 16,
    LEAF_7_EBX_AVX512DQ = 1 << 17,
    LEAF_7_EBX_AVX512_IFMA = 1 << 21,
    LEAF_7_EBX_SHA = 1 << 29,
    LEAF_7_EBX_AVX512BW = 1 << 30,
    LEAF_7_ECX_AVX512_VBMI2 = 1 << 6,
    LEAF_7_ECX_VAES = 1 << 9,
    LEAF_7_ECX_VPCLMULQDQ = 1 << 10,
    LEAF_1_ECX_OSXSAVE = 1 << 27,
};

#define LEAF_7_EBX_AVX512VL (UINT32_C(1) << 31)

/* XCR0: the operating system saves SSE, AVX, mask, upper ZMM and high ZMM registers. */
enum { XCR0_ZMM_STATE = 0xe6 };

static bool has_zmm_state(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & LEAF_1_ECX_OSXSAVE)) {
        return false;
    }
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & XCR0_ZMM_STATE) == XCR0_ZMM_STATE;
}

struct hbk_cpu hbk_cpu_detect(void)
{
    const unsigned ifma_ebx = LEAF_7_EBX_BMI2 | LEAF_7_EBX_AVX512F | LEAF_7_EBX_AVX512DQ |
                              LEAF_7_EBX_AVX512_IFMA | LEAF_7_EBX_AVX512BW | LEAF_7_EBX_AVX512VL;
    const unsigned vaes_ecx = LEAF_7_ECX_VAES | LEAF_7_ECX_VPCLMULQDQ;
    struct hbk_cpu cpu = {0};
    unsigned eax, ebx, ecx, edx;

    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        return cpu;
    }
    cpu.has_sha = (ebx & LEAF_7_EBX_SHA) != 0;
    if (!has_zmm_state()) {
        return cpu;
    }
    cpu.has_avx512_ifma = (ebx & ifma_ebx) == ifma_ebx && (ecx & LEAF_7_ECX_AVX512_VBMI2) != 0;
    cpu.has_vaes = (ecx & vaes_ecx) == vaes_ecx;
    return cpu;
}

#else

struct hbk_cpu hbk_cpu_detect(void)
{
    return (struct hbk_cpu){0};
}

#endif

/* A build without the kernels (a compiler that lacks the instructions) has only the twins. */
static bool can_vector(void)
{
#if HBK_HAS_VECTOR
    return hbk_cpu_detect().has_avx512_ifma;
#else
    return false;
#endif
}

static pthread_once_t path_once = PTHREAD_ONCE_INIT;
static enum hbk_path path;

static void choose_path(void)
{
    const char *wanted = getenv("HBK_CPU");
    bool is_scalar = wanted != NULL && strcmp(wanted, "scalar") == 0;
    path = can_vector() && !is_scalar ? HBK_PATH_VECTOR : HBK_PATH_TWIN;
}

enum hbk_path hbk_cpu_path(void)
{
    pthread_once(&path_once, choose_path);
    return path;
}

hbk_status hbk_cpu_check(struct hbk_error *error)
{
    const char *wanted = getenv("HBK_CPU");

    if (wanted == NULL || strcmp(wanted, "scalar") == 0) {
        return HBK_OK;
    }
    if (strcmp(wanted, "avx512") != 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "HBK_CPU is \"%s\"; allowed are \"scalar\" and \"avx512\"", wanted);
    }
    if (!can_vector()) {
        return hbk_error_set(error, HBK_UNSUPPORTED,
                             "HBK_CPU is \"avx512\", but this processor or its kernel lacks one of "
                             "AVX-512 F, DQ, BW, VL, IFMA, VBMI2");
    }
    return HBK_OK;
}
