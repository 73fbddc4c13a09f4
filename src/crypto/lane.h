/*
 * Lanes: what every batched operation has in common. A batch is an array of HBK_LANES pointers to
 * operations of one kind; NULL is an empty lane. Lanes hold different keys and finish with their
 * own status: nothing that stands in one lane changes the result, status or time of another.
 */
#pragma once

/* One 64-bit word of each of eight numbers fills a 512-bit register. */
enum { HBK_LANES = 8 };

enum hbk_lane_status {
    HBK_LANE_OK = 0,
    HBK_LANE_REFUSED, /* the input is not acceptable: a wrong signature, a point off the curve, ...
                       */
    HBK_LANE_FAILED,  /* we could not: no entropy or no memory */
};

/* Who computes: eight lanes at once on AVX-512 IFMA, or libcrypto one lane after the other. */
enum hbk_path {
    HBK_PATH_TWIN,
    HBK_PATH_VECTOR,
};

/* A build whose compiler lacks the instructions has no kernels; the twins then stand for both. */
#define HBK_PATH_IS_VECTOR(path) (HBK_HAS_VECTOR && (path) == HBK_PATH_VECTOR)

/* Walks the lanes that are not empty; the body may `continue`. */
#define HBK_LANE_EACH(i, lanes)         \
    for (int i = 0; i < HBK_LANES; i++) \
        if ((lanes)[i] != NULL)
