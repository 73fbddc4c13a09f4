/*
 * Verdicts. A figure counts only of a system that did what was asked of it: one that refuses
 * requests is cheap, and one that dies in nine blocks of ten would be judged by the tenth. So
 * nothing is met as long as a run of the cell broke, or calls failed or were not made.
 *
 * 1. A run that broke is held against its system for good, also when a resumed series has repeated
 *    its block. A run that was interrupted (Ctrl-C) leaves no sample, so it is not among them.
 * 2. What is compared is compared within blocks, as everything here.
 * 3. Who takes no part in a comparison is named.
 */
#include "paper/target.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "paper/result.h"

static const char baseline[] = "baseline";
static const char node[] = "node";

/* Of the calls planned, so many have to be made, and of those made, so many may fail. */
static const double held_share = 0.99;
static const double failed_share = 0.001;

enum { WHY_BYTES_MAX = 96 };

struct targets {
    const struct hbk_paper *paper;
    struct hbk_target *list;
    unsigned count;
};

static struct hbk_target *next_target(struct targets *targets)
{
    static struct hbk_target spare; /* the matrix has fewer; none is lost silently in the tests */
    struct hbk_target *target =
        targets->count < HBK_TARGETS_MAX ? &targets->list[targets->count++] : &spare;
    *target = (struct hbk_target){.verdict = HBK_TARGET_UNKNOWN};
    return target;
}

/* Adds to what was found. */
HBK_PRINTF(2, 3) static void say(struct hbk_target *target, const char *format, ...)
{
    size_t size = strlen(target->found);
    va_list list;
    va_start(list, format);
    (void)vsnprintf(target->found + size, sizeof target->found - size, format, list);
    va_end(list);
}

static void say_estimate(struct hbk_target *target, const struct hbk_estimate *estimate,
                         const char *unit)
{
    say(target, "%+.4g %s", estimate->median, unit);
    if (!isnan(estimate->low)) {
        say(target, " [%+.4g, %+.4g]", estimate->low, estimate->high);
    }
    say(target, ", %zu block%s", estimate->count, estimate->count == 1 ? "" : "s");
}

/* ---- what was asked, and what was done ---- */

/* What all runs of a system in a cell have done together. */
struct tally {
    unsigned good, broken; /* runs */
    double calls, failed, planned;
};

/* Fortio's clock makes as many calls for each connection. */
static double planned_calls(const struct hbk_cell *cell)
{
    uint64_t all = (uint64_t)cell->rate_rps * cell->duration_ms / 1000;
    bool is_even = cell->arrivals != HBK_BURST;
    return (double)(is_even ? all : all / cell->connections * cell->connections);
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
            tally.broken++;
            continue;
        }
        tally.good++;
        tally.calls += sample->values[HBK_CALLS];
        tally.failed += sample->values[HBK_FAILED];
        tally.planned += planned_calls(cell);
    }
    return tally;
}

/* Whether a system did in all its runs what was asked of it; what is wrong otherwise. */
static bool has_held(const struct tally *tally, double failed_share_max,
                     char out_why[static WHY_BYTES_MAX])
{
    out_why[0] = '\0';
    if (tally->broken > 0) {
        (void)snprintf(out_why, WHY_BYTES_MAX, "%u of %u runs failed", tally->broken,
                       tally->good + tally->broken);
        return false;
    }
    /* So that what was not counted has not held either. */
    if (!(tally->failed <= failed_share_max * tally->calls)) {
        (void)snprintf(out_why, WHY_BYTES_MAX, "%.0f of %.0f calls failed", tally->failed,
                       tally->calls);
        return false;
    }
    if (!(tally->calls >= held_share * tally->planned)) {
        (void)snprintf(out_why, WHY_BYTES_MAX, "%.0f of %.0f calls made", tally->calls,
                       tally->planned);
        return false;
    }
    return true;
}

/* Without a good run there is nothing to judge: what never ran is unknown, what always broke is
 * missed. */
static bool is_without_runs(struct hbk_target *target, const struct tally *tally)
{
    if (tally->good > 0) {
        return false;
    }
    if (tally->broken == 0) {
        say(target, "not measured");
    } else {
        target->verdict = HBK_TARGET_MISSED;
        say(target, "all %u runs failed", tally->broken);
    }
    return true;
}

/* What the figures say, unless not all was done: then it is missed, whatever they say. */
static void settle(struct hbk_target *target, const struct tally *tally,
                   enum hbk_verdict_of_target by_figures)
{
    char why[WHY_BYTES_MAX];
    bool is_held = has_held(tally, failed_share, why);
    target->verdict = is_held ? by_figures : HBK_TARGET_MISSED;
    if (!is_held) {
        say(target, "; but %s", why);
    }
}

/* ---- added to no mesh ---- */

static void judge(struct targets *targets, const struct hbk_cell *cell, enum hbk_quantity quantity,
                  double limit, const char *what, const char *unit)
{
    struct hbk_target *target = next_target(targets);
    struct tally tally = tally_of(targets->paper, cell, node);
    (void)snprintf(target->text, sizeof target->text, "%s, %s, %s: at most +%g %s",
                   hbk_placement_text(cell->placement), hbk_arrivals_text(cell->arrivals), what,
                   limit, unit);
    if (is_without_runs(target, &tally)) {
        return;
    }
    struct hbk_estimate added = hbk_paper_estimate(targets->paper, cell, node, quantity, HBK_ADDED);
    if (added.count == 0) {
        say(target, "nothing to compare with: no block has both it and no mesh");
        settle(target, &tally, HBK_TARGET_UNKNOWN);
        return;
    }
    say_estimate(target, &added, unit);
    settle(target, &tally, added.median <= limit ? HBK_TARGET_MET : HBK_TARGET_MISSED);
}

/* ---- lower than every other encrypting system of the same run ---- */

/* node-plain and baselines are none, nor what differs from another by a switch. */
static bool is_rival(const struct hbk_paper_system *system)
{
    return system->encrypts && !system->is_variant && system->kind != HBK_NODE &&
           system->kind != HBK_BASELINE_MTLS;
}

static const char *why_left_out(const struct hbk_cell *cell, const struct hbk_paper_system *rival,
                                const struct tally *tally)
{
    bool is_idle = cell->placement == HBK_INTRA && rival->descriptor.between_nodes;
    return tally->good > 0     ? "no block with both"
           : tally->broken > 0 ? "all its runs failed"
           : is_idle           ? "encrypts nothing inside a node"
           : !rival->is_usable ? "not available here"
                               : "not measured";
}

/* The rival that comes closest, or is better. */
struct rivals {
    const struct hbk_paper_system *closest; /* NULL: none to compare with */
    struct hbk_estimate difference;         /* ours less its */
    char left_out[HBK_TARGET_FOUND_BYTES_MAX / 2];
};

static void look_at_rivals(const struct hbk_paper *paper, const struct hbk_cell *cell,
                           enum hbk_quantity quantity, struct rivals *out_rivals)
{
    size_t size = 0;
    *out_rivals = (struct rivals){0};
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *rival = &paper->systems[i];
        if (!is_rival(rival)) {
            continue;
        }
        struct hbk_estimate difference =
            hbk_paper_difference(paper, cell, node, rival->name, quantity);
        if (difference.count == 0) {
            struct tally tally = tally_of(paper, cell, rival->name);
            (void)snprintf(out_rivals->left_out + size, sizeof out_rivals->left_out - size,
                           "%s%s (%s)", size > 0 ? ", " : "", rival->name,
                           why_left_out(cell, rival, &tally));
            size = strlen(out_rivals->left_out);
        } else if (out_rivals->closest == NULL ||
                   difference.median > out_rivals->difference.median) {
            out_rivals->closest = rival;
            out_rivals->difference = difference;
        }
    }
}

static void judge_best(struct targets *targets, const struct hbk_cell *cell,
                       enum hbk_quantity quantity, const char *what, const char *unit)
{
    struct hbk_target *target = next_target(targets);
    struct tally tally = tally_of(targets->paper, cell, node);
    struct rivals rivals;
    (void)snprintf(target->text, sizeof target->text,
                   "%s, %s, %s: lower than every other encrypting mesh",
                   hbk_placement_text(cell->placement), hbk_arrivals_text(cell->arrivals), what);
    if (is_without_runs(target, &tally)) {
        return;
    }
    look_at_rivals(targets->paper, cell, quantity, &rivals);
    if (rivals.closest == NULL) {
        say(target, "nothing to compare with");
        settle(target, &tally, HBK_TARGET_UNKNOWN);
    } else {
        char why[WHY_BYTES_MAX];
        struct tally its = tally_of(targets->paper, cell, rivals.closest->name);
        say_estimate(target, &rivals.difference, unit);
        say(target, ", beside %s, the closest", rivals.closest->name);
        /* It is compared all the same; a reader should know. */
        if (!has_held(&its, failed_share, why)) {
            say(target, " (of its own, %s)", why);
        }
        settle(target, &tally, rivals.difference.median < 0 ? HBK_TARGET_MET : HBK_TARGET_MISSED);
    }
    if (rivals.left_out[0] != '\0') {
        say(target, "; left out: %s", rivals.left_out);
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

/* ---- the largest load ---- */

static void put_largest_load(struct hbk_target *target)
{
    (void)snprintf(target->text, sizeof target->text,
                   "inter, burst, 12,800/s over 6,400 connections: no error, and the rate held");
}

/* No run may have a failure: a median would forget some. */
static void judge_errors(struct targets *targets, const struct hbk_cell *cell)
{
    char why[WHY_BYTES_MAX];
    struct tally tally = tally_of(targets->paper, cell, node);
    struct tally plain = tally_of(targets->paper, cell, baseline);
    struct hbk_target *target = next_target(targets);
    put_largest_load(target);
    if (is_without_runs(target, &tally)) {
        return;
    }
    target->verdict = has_held(&tally, 0, why) ? HBK_TARGET_MET : HBK_TARGET_MISSED;
    struct hbk_estimate fortio =
        hbk_paper_estimate(targets->paper, cell, node, HBK_QUANTITY_FORTIO_P99, HBK_ABSOLUTE);
    struct hbk_estimate due =
        hbk_paper_estimate(targets->paper, cell, node, HBK_QUANTITY_P99, HBK_ABSOLUTE);
    say(target,
        "%.0f failed, %.0f of %.0f calls made; P99 %.4g ms (Fortio's), %.4g ms (from due); %u "
        "runs, %u more failed; without a mesh %.0f of %.0f calls made",
        tally.failed, tally.calls, tally.planned, fortio.median, due.median, tally.good,
        tally.broken, plain.calls, plain.planned);
}

/* Every target is on the page, whatever the series measures. */
static void add_largest_load_unknown(struct targets *targets)
{
    struct hbk_target *target = next_target(targets);
    put_largest_load(target);
    say(target, "not measured in this run: --only fig4 does, and --full");
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
