/* What the samples say: estimates over blocks, absolute and relative to the baseline of the same
 * block. Pure. */
#pragma once

#include "base/statistics.h"
#include "paper/paper.h"

enum hbk_quantity {
    HBK_QUANTITY_FORTIO_P99, /* ms, as Fortio would print it */
    HBK_QUANTITY_FORTIO_P50,
    HBK_QUANTITY_P99, /* ms, from the intended time, three digits */
    HBK_QUANTITY_P50,
    HBK_QUANTITY_RATE,         /* per second */
    HBK_QUANTITY_FAILED,       /* requests */
    HBK_QUANTITY_CLIENT_CPU,   /* cores: application and agent */
    HBK_QUANTITY_SERVER_CPU,   /* */
    HBK_QUANTITY_CLIENT_MIB,   /* private memory of application and agent */
    HBK_QUANTITY_SERVER_MIB,   /* */
    HBK_QUANTITY_CLIENT_SET,   /* MiB: working set: the same with the kernel's share */
    HBK_QUANTITY_SERVER_SET,   /* */
    HBK_QUANTITY_CLIENT_AGENT, /* cores of the agent alone */
    HBK_QUANTITY_SERVER_AGENT, /* */
    HBK_QUANTITY_CLIENT_AGENT_MIB,
    HBK_QUANTITY_SERVER_AGENT_MIB,
    HBK_QUANTITY_UNCHARGED, /* cores that no process of ours was charged for */
    HBK_QUANTITY_MESH_CPU,  /* cores of all that stands between the applications, each once */
    HBK_QUANTITY_MESH_MIB,  /* private memory of the same */
    HBK_QUANTITY_MESH_US,   /* microseconds of its CPU for each request */
    HBK_QUANTITIES,
};

double hbk_quantity_of(const struct hbk_sample *sample, enum hbk_quantity quantity);

enum hbk_relation {
    HBK_ABSOLUTE,
    HBK_ADDED, /* minus the baseline's of the same block */
    HBK_RATIO, /* over the baseline's of the same block */
};

/* Over the good samples of a cell. NAN when there is none (or no baseline beside it). */
struct hbk_estimate hbk_paper_estimate(const struct hbk_paper *paper, const struct hbk_cell *cell,
                                       const char *system, enum hbk_quantity quantity,
                                       enum hbk_relation relation);

/* What `system` has more of than `beside`, in the blocks that have both. NAN without any. */
struct hbk_estimate hbk_paper_difference(const struct hbk_paper *paper, const struct hbk_cell *cell,
                                         const char *system, const char *beside,
                                         enum hbk_quantity quantity);

/* The cell of the plan that serves `item` with these properties; NULL without one. */
const struct hbk_cell *hbk_paper_cell_for(const struct hbk_paper *paper, unsigned item,
                                          enum hbk_placement placement, enum hbk_arrivals arrivals,
                                          unsigned rate_rps, int delay_ms);
