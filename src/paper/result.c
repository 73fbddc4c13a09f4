#include "paper/result.h"

#include <math.h>
#include <string.h>

static const char baseline[] = "baseline";

double hbk_quantity_of(const struct hbk_sample *sample, enum hbk_quantity quantity)
{
    static const enum hbk_measure plain[HBK_QUANTITIES] = {
        [HBK_QUANTITY_FORTIO_P99] = HBK_FORTIO_P99_MS,
        [HBK_QUANTITY_FORTIO_P50] = HBK_FORTIO_P50_MS,
        [HBK_QUANTITY_P99] = HBK_P99_MS,
        [HBK_QUANTITY_P50] = HBK_P50_MS,
        [HBK_QUANTITY_RATE] = HBK_ACHIEVED_RPS,
        [HBK_QUANTITY_FAILED] = HBK_FAILED,
        [HBK_QUANTITY_CLIENT_AGENT] = HBK_CLIENT_AGENT_CPU,
        [HBK_QUANTITY_SERVER_AGENT] = HBK_SERVER_AGENT_CPU,
        [HBK_QUANTITY_CLIENT_AGENT_MIB] = HBK_CLIENT_AGENT_MIB,
        [HBK_QUANTITY_SERVER_AGENT_MIB] = HBK_SERVER_AGENT_MIB,
        [HBK_QUANTITY_UNCHARGED] = HBK_UNCHARGED_CPU,
    };
    switch (quantity) {
    case HBK_QUANTITY_CLIENT_CPU:
    case HBK_QUANTITY_SERVER_CPU:
        return hbk_sample_side_cpu(sample, quantity == HBK_QUANTITY_SERVER_CPU);
    case HBK_QUANTITY_CLIENT_MIB:
    case HBK_QUANTITY_SERVER_MIB:
        return hbk_sample_side_private_mib(sample, quantity == HBK_QUANTITY_SERVER_MIB);
    case HBK_QUANTITY_CLIENT_SET:
    case HBK_QUANTITY_SERVER_SET:
        return hbk_sample_side_working_set_mib(sample, quantity == HBK_QUANTITY_SERVER_SET);
    case HBK_QUANTITY_MESH_CPU:
        return hbk_sample_mesh_cpu(sample);
    case HBK_QUANTITY_MESH_MIB:
        return hbk_sample_mesh_private_mib(sample);
    case HBK_QUANTITY_MESH_US:
        return hbk_sample_mesh_cpu(sample) * 1e6 / sample->values[HBK_ACHIEVED_RPS];
    default:
        return sample->values[plain[quantity]];
    }
}

static const struct hbk_sample *find(const struct hbk_paper *paper, const struct hbk_cell *cell,
                                     const char *system, unsigned block)
{
    for (unsigned i = 0; i < paper->sample_count; i++) {
        const struct hbk_sample *sample = &paper->samples[i];
        if (sample->is_good && sample->block == block && strcmp(sample->system, system) == 0 &&
            hbk_cell_equal(&sample->cell, cell)) {
            return sample;
        }
    }
    return NULL;
}

static struct hbk_estimate estimate(const struct hbk_paper *paper, const struct hbk_cell *cell,
                                    const char *system, const char *beside_whom,
                                    enum hbk_quantity quantity, enum hbk_relation relation)
{
    double values[HBK_PAPER_BLOCKS_MAX];
    unsigned count = 0;
    for (unsigned block = 0; cell != NULL && block < HBK_PAPER_BLOCKS_MAX; block++) {
        const struct hbk_sample *sample = find(paper, cell, system, block);
        const struct hbk_sample *beside =
            relation == HBK_ABSOLUTE ? sample : find(paper, cell, beside_whom, block);
        if (sample == NULL || beside == NULL) {
            continue;
        }
        double value = hbk_quantity_of(sample, quantity);
        double other = hbk_quantity_of(beside, quantity);
        values[count++] = relation == HBK_ABSOLUTE ? value
                          : relation == HBK_ADDED  ? value - other
                                                   : value / other;
    }
    return hbk_estimate_of(values, count);
}

struct hbk_estimate hbk_paper_estimate(const struct hbk_paper *paper, const struct hbk_cell *cell,
                                       const char *system, enum hbk_quantity quantity,
                                       enum hbk_relation relation)
{
    return estimate(paper, cell, system, baseline, quantity, relation);
}

struct hbk_estimate hbk_paper_difference(const struct hbk_paper *paper, const struct hbk_cell *cell,
                                         const char *system, const char *beside,
                                         enum hbk_quantity quantity)
{
    return estimate(paper, cell, system, beside, quantity, HBK_ADDED);
}

const struct hbk_cell *hbk_paper_cell_for(const struct hbk_paper *paper, unsigned item,
                                          enum hbk_placement placement, enum hbk_arrivals arrivals,
                                          unsigned rate_rps, int delay_ms)
{
    for (unsigned i = 0; i < paper->cell_count; i++) {
        const struct hbk_cell *cell = &paper->cells[i].cell;
        if ((paper->cells[i].items & item) != 0 && cell->placement == placement &&
            cell->arrivals == arrivals && cell->rate_rps == rate_rps &&
            (delay_ms < 0 || cell->delay_ms == (unsigned)delay_ms)) {
            return cell;
        }
    }
    return NULL;
}
