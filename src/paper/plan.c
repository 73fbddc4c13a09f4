/* The matrix: which cells each table and figure needs. A cell that serves several is run once. */
#include "base/assert.h"
#include "paper/paper.h"

enum {
    QUICK_BLOCKS = 3,
    QUICK_MS = 2000,
    QUICK_CLOSED_MS = 1500,
    FULL_BLOCKS = 3,
    FULL_MS = 300000,
    SERVER_DELAY_MS = 200,
    CLOSED_CONNECTIONS = 64,
};

const char *const hbk_paper_item_names[HBK_PAPER_ITEMS] = {
    "table1", "table2", "fig2", "fig3",  "fig4",  "fig5",  "fig6",
    "fig7",   "fig8",   "fig9", "fig10", "fig11", "fig12", "pods"};

static const struct load {
    unsigned rate_rps, connections;
} loads[] = {{320, 160}, {3200, 1600}, {12800, 6400}};

static const struct load the_load = {3200, 1600};

/* All but what differs by a switch, and inside a node those that do nothing there. */
static unsigned all_systems(const struct hbk_paper *paper, enum hbk_placement placement)
{
    unsigned found = 0;
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        bool is_idle = placement == HBK_INTRA && system->descriptor.between_nodes;
        bool is_out = system->is_variant || system->kind == HBK_CONTROL || is_idle;
        found |= is_out ? 0 : 1u << i;
    }
    return found;
}

/* Our agents, and beside them those with mutual TLS switched off, or those that never rest. */
enum beside_nodes { NODES_ALONE, NODES_AND_PLAIN, NODES_WITHOUT_REST };

static unsigned nodes_of(const struct hbk_paper *paper, enum beside_nodes beside)
{
    unsigned found = 0;
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        bool is_in = beside == NODES_WITHOUT_REST
                         ? system->gather != NULL
                         : !system->is_variant || (beside == NODES_AND_PLAIN && system->is_plain);
        found |= system->kind == HBK_NODE && is_in ? 1u << i : 0;
    }
    return found;
}

static unsigned systems_of_kind(const struct hbk_paper *paper, unsigned kinds)
{
    unsigned found = 0;
    for (unsigned i = 0; i < paper->system_count; i++) {
        found |= (kinds >> paper->systems[i].kind & 1) != 0 ? 1u << i : 0;
    }
    return found;
}

/* Fortio opens fewer connections than it was asked for where each would have less than two calls.
 */
static unsigned duration_of(const struct hbk_paper *paper, const struct hbk_cell *cell)
{
    const struct hbk_paper_options *options = &paper->options;
    unsigned quick_ms = cell->arrivals == HBK_FULL_SPEED ? QUICK_CLOSED_MS : QUICK_MS;
    unsigned two_calls_ms =
        cell->arrivals == HBK_BURST ? 2 * 1000 * cell->connections / cell->rate_rps : 0;
    unsigned found_ms = options->duration_ms > 0 ? options->duration_ms
                        : options->is_full       ? FULL_MS
                                                 : quick_ms;
    return found_ms > two_calls_ms ? found_ms : two_calls_ms;
}

static unsigned blocks_of(const struct hbk_paper *paper)
{
    const struct hbk_paper_options *options = &paper->options;
    return options->blocks > 0 ? options->blocks : options->is_full ? FULL_BLOCKS : QUICK_BLOCKS;
}

/* One is enough to have all that they have in common. */
static unsigned first_item(unsigned items)
{
    return items & -items;
}

/* Adds a cell, or another use to one that is there. */
static void add(struct hbk_paper *paper, unsigned items, struct hbk_cell cell, unsigned systems,
                unsigned blocks)
{
    items &= paper->options.items;
    if (items == 0 || systems == 0) {
        return;
    }
    cell.duration_ms = duration_of(paper, &cell);
    for (unsigned i = 0; i < paper->cell_count; i++) {
        if (hbk_cell_equal(&paper->cells[i].cell, &cell)) {
            struct hbk_paper_cell *known = &paper->cells[i];
            bool is_more = (systems & ~known->systems) != 0 || blocks > known->blocks;
            known->enough |= is_more ? first_item(items) : 0;
            known->items |= items;
            known->systems |= systems;
            known->blocks = blocks > known->blocks ? blocks : known->blocks;
            return;
        }
    }
    HBK_ASSERT(paper->cell_count < HBK_PAPER_CELLS_MAX);
    paper->cells[paper->cell_count++] = (struct hbk_paper_cell){.cell = cell,
                                                                .items = items,
                                                                .enough = first_item(items),
                                                                .blocks = blocks,
                                                                .systems = systems};
}

static struct hbk_cell at_rate(enum hbk_placement placement, enum hbk_arrivals arrivals,
                               struct load load, unsigned delay_ms)
{
    return (struct hbk_cell){.placement = placement,
                             .arrivals = arrivals,
                             .rate_rps = load.rate_rps,
                             .connections = load.connections,
                             .delay_ms = delay_ms};
}

static void add_tables(struct hbk_paper *paper)
{
    unsigned last = paper->options.is_full ? HBK_POISSON : HBK_UNIFORM;
    for (enum hbk_placement placement = 0; placement < HBK_PLACEMENTS; placement++) {
        unsigned item = placement == HBK_INTRA ? HBK_TABLE_1 : HBK_TABLE_2;
        for (enum hbk_arrivals arrivals = HBK_BURST; arrivals <= last; arrivals++) {
            unsigned figure = arrivals == HBK_BURST ? HBK_FIGURE_6 : 0;
            add(paper, item | figure, at_rate(placement, arrivals, the_load, SERVER_DELAY_MS),
                all_systems(paper, placement), blocks_of(paper));
            if (paper->options.is_full) {
                add(paper, item, at_rate(placement, arrivals, the_load, 0),
                    all_systems(paper, placement), blocks_of(paper));
            }
        }
    }
}

/* Fortio and a Go server run the paper's cell, which is one in bursts. */
static void add_control(struct hbk_paper *paper)
{
    add(paper, HBK_TABLE_2, at_rate(HBK_INTER, HBK_BURST, the_load, SERVER_DELAY_MS),
        systems_of_kind(paper, 1u << HBK_CONTROL), blocks_of(paper));
}

/* Figures over the three loads. --quick has the middle one, from the tables. */
static void add_loads(struct hbk_paper *paper)
{
    unsigned baselines = systems_of_kind(paper, 1u << HBK_BASELINE | 1u << HBK_BASELINE_MTLS);
    unsigned of_baselines = HBK_FIGURE_2 | HBK_FIGURE_3 | HBK_FIGURE_9 | HBK_FIGURE_10;
    unsigned of_all = HBK_FIGURE_4 | HBK_FIGURE_5 | HBK_FIGURE_11 | HBK_FIGURE_12;
    bool is_chosen = paper->options.items != HBK_ALL_ITEMS;
    for (unsigned i = 0; i < HBK_COUNT(loads); i++) {
        if (!paper->options.is_full && !is_chosen && i != 1) {
            continue;
        }
        struct hbk_cell cell = at_rate(HBK_INTER, HBK_BURST, loads[i], SERVER_DELAY_MS);
        add(paper, of_baselines, cell, baselines, blocks_of(paper));
        add(paper, of_all, cell, all_systems(paper, HBK_INTER), blocks_of(paper));
        for (unsigned k = 0; paper->options.is_full && k < HBK_PLACEMENTS; k++) {
            cell.placement = (enum hbk_placement)k;
            add(paper, HBK_FIGURE_6, cell, all_systems(paper, cell.placement), blocks_of(paper));
        }
    }
}

/* The other arrivals of each load, and each without the server's delay: what the paper's bursts and
 * its 200 ms hide. */
static void add_arrivals(struct hbk_paper *paper)
{
    static const unsigned delays_ms[] = {SERVER_DELAY_MS, 0};
    for (unsigned i = 0; paper->options.is_full && i < HBK_COUNT(loads); i++) {
        for (enum hbk_arrivals arrivals = HBK_BURST; arrivals <= HBK_POISSON; arrivals++) {
            for (unsigned k = 0; k < HBK_COUNT(delays_ms); k++) {
                add(paper, HBK_FIGURE_4 | HBK_FIGURE_11,
                    at_rate(HBK_INTER, arrivals, loads[i], delays_ms[k]),
                    all_systems(paper, HBK_INTER), blocks_of(paper));
            }
        }
    }
}

static void add_throughput(struct hbk_paper *paper)
{
    struct hbk_cell cell = {
        .placement = HBK_INTER, .arrivals = HBK_FULL_SPEED, .connections = CLOSED_CONNECTIONS};
    /* One block in a quick series, which has ten minutes for everything. */
    unsigned blocks = paper->options.is_full || paper->options.blocks > 0 ? blocks_of(paper) : 1;
    unsigned left_out =
        systems_of_kind(paper, 1u << HBK_CONTROL) | nodes_of(paper, NODES_WITHOUT_REST);
    add(paper, HBK_FIGURE_7, cell, ((1u << paper->system_count) - 1) & ~left_out, blocks);
}

static void add_memory_point(struct hbk_paper *paper, unsigned connections)
{
    unsigned nodes = nodes_of(paper, NODES_AND_PLAIN);
    bool is_whole = paper->options.is_full || paper->options.items != HBK_ALL_ITEMS;
    struct load load = {the_load.rate_rps, connections};
    add(paper, HBK_FIGURE_8, at_rate(HBK_INTER, HBK_BURST, load, SERVER_DELAY_MS), nodes, 1);
    if (is_whole) {
        add(paper, HBK_FIGURE_8, at_rate(HBK_INTRA, HBK_BURST, load, SERVER_DELAY_MS), nodes, 1);
    }
}

/* With mutual TLS and without; inside a node, too, in a full series or when asked for. */
static void add_memory_line(struct hbk_paper *paper)
{
    static const unsigned quick[] = {1000, 1600, 2400, 3200};
    for (unsigned i = 0; !paper->options.is_full && i < HBK_COUNT(quick); i++) {
        add_memory_point(paper, quick[i]);
    }
    for (unsigned count = 1000; paper->options.is_full && count <= 3200; count += 200) {
        add_memory_point(paper, count);
    }
}

/* Rests are for many slow connections, so what they save is seen in the tables' load, and not at
 * full speed. A quick series has no time for it unless it is asked for. */
static void add_rests(struct hbk_paper *paper)
{
    bool is_chosen = paper->options.is_full || paper->options.systems != NULL ||
                     paper->options.items != HBK_ALL_ITEMS;
    add(paper, is_chosen ? HBK_TABLE_2 : 0,
        at_rate(HBK_INTER, HBK_UNIFORM, the_load, SERVER_DELAY_MS),
        nodes_of(paper, NODES_WITHOUT_REST), blocks_of(paper));
}

/*
 * The load of Table II, divided among the pods of a node. It comes in uniform arrivals: the bursts
 * of fifty clients with clocks of their own would be fifty small ones. One pod is Table II's cell.
 */
static void add_pods(struct hbk_paper *paper)
{
    static const unsigned counts[] = {0, 10, HBK_PAIRS_MAX};
    unsigned nodes = nodes_of(paper, NODES_ALONE);
    unsigned blocks = paper->options.is_full || paper->options.blocks > 0 ? blocks_of(paper) : 1;
    for (size_t i = 0; i < HBK_COUNT(counts); i++) {
        struct hbk_cell cell = at_rate(HBK_INTER, HBK_UNIFORM, the_load, SERVER_DELAY_MS);
        cell.pods = counts[i];
        add(paper, HBK_MORE_PODS, cell, nodes, blocks);
    }
}

/*
 * What a run takes beside its measuring: starting and ending processes, and warming connections up,
 * each with one request, and with a full handshake where there is TLS: what two virtual cores need
 * that have nothing else to do (start_s, warm_s and stop_s of results.csv).
 */
struct set_up {
    unsigned fixed_ms, per_1000_connections_ms;
};
static const struct set_up set_ups[] = {
    [HBK_BASELINE] = {450, 300}, [HBK_BASELINE_MTLS] = {450, 1200}, [HBK_NODE] = {750, 400},
    [HBK_PAIR] = {950, 1200},    [HBK_CONTROL] = {650, 400},
};
static const unsigned of_pair_of_pods_ms = 120; /* its processes, and what the agents do for it */
static const struct set_up of_own_pair = {850, 750};
static const struct set_up of_routes = {1000, 400}; /* nothing that shakes hands for each */

unsigned hbk_paper_run_ms(const struct hbk_paper *paper, const struct hbk_paper_system *system,
                          const struct hbk_cell *cell)
{
    bool is_own = hbk_slice_equal(system->descriptor.binary, HBK_SLICE("hauberk"));
    struct set_up set_up = is_own                      ? of_own_pair
                           : system->descriptor.routes ? of_routes
                                                       : set_ups[system->kind];
    /* Answers of the last calls come behind the schedule. */
    return set_up.fixed_ms + cell->pods * of_pair_of_pods_ms +
           set_up.per_1000_connections_ms * cell->connections / 1000 + cell->duration_ms +
           cell->delay_ms + paper->options.pause_ms;
}

void hbk_paper_plan(struct hbk_paper *paper)
{
    paper->cell_count = 0;
    add_tables(paper);
    add_control(paper);
    add_loads(paper);
    add_arrivals(paper);
    add_throughput(paper);
    add_memory_line(paper);
    add_rests(paper);
    add_pods(paper);
}
