/* What must hold of our node agent, and whether it does in a series. Pure. */
#pragma once

#include "paper/paper.h"

enum hbk_verdict_of_target { HBK_TARGET_MET, HBK_TARGET_MISSED, HBK_TARGET_UNKNOWN };

enum {
    HBK_TARGETS_MAX = 64,
    HBK_TARGET_TEXT_BYTES_MAX = 240,
    HBK_TARGET_FOUND_BYTES_MAX = 1024,
};

/* A sentence that must hold, what was found, and what follows from it. */
struct hbk_target {
    char text[HBK_TARGET_TEXT_BYTES_MAX];
    char found[HBK_TARGET_FOUND_BYTES_MAX];
    enum hbk_verdict_of_target verdict;
};

/* All targets for the cells of the plan; returns their number. Unknown is only what was never run,
 * or what has nothing beside it; where every run broke, a target is missed. */
unsigned hbk_paper_targets(const struct hbk_paper *paper,
                           struct hbk_target out_targets[static HBK_TARGETS_MAX]);
