#include "paper/result.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char baseline[] = "baseline";
static const char node[] = "node";

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

/* ---- targets ---- */

struct targets {
    const struct hbk_paper *paper;
    struct hbk_target *list;
    unsigned count;
};

static struct hbk_target *next_target(struct targets *targets)
{
    static struct hbk_target spare; /* the matrix has fewer; none is lost silently in the tests */
    return targets->count < HBK_TARGETS_MAX ? &targets->list[targets->count++] : &spare;
}

static void judge(struct targets *targets, const struct hbk_cell *cell, enum hbk_quantity quantity,
                  double limit, const char *what, const char *unit)
{
    struct hbk_target *target = next_target(targets);
    struct hbk_estimate added = hbk_paper_estimate(targets->paper, cell, node, quantity, HBK_ADDED);
    (void)snprintf(target->text, sizeof target->text, "%s, %s, %s: at most +%g %s",
                   hbk_placement_text(cell->placement), hbk_arrivals_text(cell->arrivals), what,
                   limit, unit);
    target->verdict = added.count == 0        ? HBK_TARGET_UNKNOWN
                      : added.median <= limit ? HBK_TARGET_MET
                                              : HBK_TARGET_MISSED;
    if (added.count == 0) {
        (void)snprintf(target->found, sizeof target->found, "not measured");
    } else {
        char interval[48] = "";
        if (!isnan(added.low)) {
            (void)snprintf(interval, sizeof interval, " [%+.4g, %+.4g]", added.low, added.high);
        }
        (void)snprintf(target->found, sizeof target->found, "%+.4g %s%s, %zu block%s", added.median,
                       unit, interval, added.count, added.count == 1 ? "" : "s");
    }
}

/* Lower than every other encrypting system of the same run. */
static void judge_best(struct targets *targets, const struct hbk_cell *cell,
                       enum hbk_quantity quantity, const char *what, const char *unit)
{
    const struct hbk_paper *paper = targets->paper;
    double own = hbk_paper_estimate(paper, cell, node, quantity, HBK_ABSOLUTE).median;
    double best = INFINITY;
    const char *who = NULL;
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        if (!system->encrypts || system->kind == HBK_NODE || system->kind == HBK_BASELINE_MTLS) {
            continue;
        }
        double value = hbk_paper_estimate(paper, cell, system->name, quantity, HBK_ABSOLUTE).median;
        if (value < best) {
            best = value;
            who = system->name;
        }
    }
    struct hbk_target *target = next_target(targets);
    (void)snprintf(target->text, sizeof target->text,
                   "%s, %s, %s: lower than every other encrypting mesh",
                   hbk_placement_text(cell->placement), hbk_arrivals_text(cell->arrivals), what);
    target->verdict = who == NULL || isnan(own) ? HBK_TARGET_UNKNOWN
                      : own < best              ? HBK_TARGET_MET
                                                : HBK_TARGET_MISSED;
    if (target->verdict == HBK_TARGET_UNKNOWN) {
        (void)snprintf(target->found, sizeof target->found, "nothing to compare with");
    } else {
        (void)snprintf(target->found, sizeof target->found, "%.4g %s, the best other %.4g %s (%s)",
                       own, unit, best, unit, who);
    }
}

static void judge_cell(struct targets *targets, const struct hbk_cell *cell)
{
    bool is_burst = cell->arrivals == HBK_BURST;
    double cpu = is_burst ? 0.012 : 0.03;
    judge(targets, cell, HBK_QUANTITY_FORTIO_P99, is_burst ? 10 : 2, "P99 in Fortio's arithmetic",
          "ms");
    judge(targets, cell, HBK_QUANTITY_CLIENT_CPU, cpu, "CPU of the client's side", "cores");
    judge(targets, cell, HBK_QUANTITY_SERVER_CPU, cpu, "CPU of the server's side", "cores");
    judge(targets, cell, HBK_QUANTITY_CLIENT_MIB, 8, "private memory, client's side", "MiB");
    judge(targets, cell, HBK_QUANTITY_SERVER_MIB, 8, "private memory, server's side", "MiB");
    judge(targets, cell, HBK_QUANTITY_CLIENT_SET, 14, "working set, client's side", "MiB");
    judge(targets, cell, HBK_QUANTITY_SERVER_SET, 14, "working set, server's side", "MiB");
    judge_best(targets, cell, HBK_QUANTITY_FORTIO_P99, "P99", "ms");
    /* Inside a node one agent does the work of both halves of a pair, and is shown on each side:
     * there only the whole of it can be compared with the whole of a pair. */
    if (cell->placement == HBK_INTRA) {
        judge_best(targets, cell, HBK_QUANTITY_MESH_CPU, "CPU of all the mesh's processes",
                   "cores");
        judge_best(targets, cell, HBK_QUANTITY_MESH_MIB,
                   "private memory of all the mesh's processes", "MiB");
        return;
    }
    judge_best(targets, cell, HBK_QUANTITY_CLIENT_CPU, "CPU of the client's side", "cores");
    judge_best(targets, cell, HBK_QUANTITY_SERVER_CPU, "CPU of the server's side", "cores");
    judge_best(targets, cell, HBK_QUANTITY_CLIENT_MIB, "private memory, client's side", "MiB");
    judge_best(targets, cell, HBK_QUANTITY_SERVER_MIB, "private memory, server's side", "MiB");
}

/* What all runs of a system in a cell have done together. */
struct tally {
    unsigned good, broken; /* blocks; a broken one has no good run */
    double calls, failed, planned;
};

/* Calls that Fortio's clock makes: as many for each connection. */
static double planned_calls(const struct hbk_cell *cell)
{
    uint64_t all = (uint64_t)cell->rate_rps * cell->duration_ms / 1000;
    return (double)(all / cell->connections * cell->connections);
}

static struct tally tally_of(const struct hbk_paper *paper, const struct hbk_cell *cell,
                             const char *system)
{
    struct tally tally = {0};
    for (unsigned i = 0; i < paper->sample_count; i++) {
        const struct hbk_sample *sample = &paper->samples[i];
        if (strcmp(sample->system, system) != 0 || !hbk_cell_equal(&sample->cell, cell)) {
            continue;
        }
        if (!sample->is_good) {
            tally.broken += find(paper, cell, system, sample->block) == NULL ? 1 : 0;
            continue;
        }
        tally.good++;
        tally.calls += sample->values[HBK_CALLS];
        tally.failed += sample->values[HBK_FAILED];
        tally.planned += planned_calls(cell);
    }
    return tally;
}

static void put_largest_load(struct hbk_target *target)
{
    (void)snprintf(target->text, sizeof target->text,
                   "inter, burst, 12,800/s over 6,400 connections: no error, and the rate held");
}

/* No run may have a failure: a median would forget some. */
static void judge_errors(struct targets *targets, const struct hbk_cell *cell)
{
    static const double held = 0.99;
    struct tally tally = tally_of(targets->paper, cell, node);
    struct tally plain = tally_of(targets->paper, cell, baseline);
    struct hbk_target *target = next_target(targets);
    put_largest_load(target);
    if (tally.good + tally.broken == 0) {
        target->verdict = HBK_TARGET_UNKNOWN;
        (void)snprintf(target->found, sizeof target->found, "not measured");
        return;
    }
    bool is_met = tally.broken == 0 && tally.failed == 0 && tally.calls >= held * tally.planned;
    target->verdict = is_met ? HBK_TARGET_MET : HBK_TARGET_MISSED;
    if (tally.good == 0) {
        (void)snprintf(target->found, sizeof target->found, "all %u runs failed", tally.broken);
        return;
    }
    struct hbk_estimate fortio =
        hbk_paper_estimate(targets->paper, cell, node, HBK_QUANTITY_FORTIO_P99, HBK_ABSOLUTE);
    struct hbk_estimate due =
        hbk_paper_estimate(targets->paper, cell, node, HBK_QUANTITY_P99, HBK_ABSOLUTE);
    (void)snprintf(target->found, sizeof target->found,
                   "%.0f failed, %.0f of %.0f calls made; P99 %.4g ms (Fortio's), %.4g ms (from "
                   "due); %u runs, %u more failed; without a mesh %.0f of %.0f calls made",
                   tally.failed, tally.calls, tally.planned, fortio.median, due.median, tally.good,
                   tally.broken, plain.calls, plain.planned);
}

/* Every target is on the page, whatever the series measures. */
static void add_largest_load_unknown(struct targets *targets)
{
    struct hbk_target *target = next_target(targets);
    put_largest_load(target);
    target->verdict = HBK_TARGET_UNKNOWN;
    (void)snprintf(target->found, sizeof target->found,
                   "not measured in this run: --only fig4 does, and --full");
}

unsigned hbk_paper_targets(const struct hbk_paper *paper,
                           struct hbk_target out_targets[static HBK_TARGETS_MAX])
{
    struct targets targets = {.paper = paper, .list = out_targets};
    bool has_largest = false;
    for (unsigned i = 0; i < paper->cell_count; i++) {
        const struct hbk_paper_cell *cell = &paper->cells[i];
        bool is_table = (cell->items & (HBK_TABLE_1 | HBK_TABLE_2)) != 0;
        if (is_table && cell->cell.delay_ms > 0 && cell->cell.arrivals != HBK_POISSON) {
            judge_cell(&targets, &cell->cell);
        }
        if (cell->cell.rate_rps == 12800 && cell->cell.placement == HBK_INTER &&
            cell->cell.arrivals == HBK_BURST && cell->cell.delay_ms > 0) {
            judge_errors(&targets, &cell->cell);
            has_largest = true;
        }
    }
    if (!has_largest) {
        add_largest_load_unknown(&targets);
    }
    return targets.count;
}
