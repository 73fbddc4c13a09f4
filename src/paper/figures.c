/* Figures 2 to 12 of the paper, drawn from the run, and what more pods cost. A figure without a
 * cell in the plan says so. */
#include "paper/figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOADS = 3, WIDE_GROUPS = 6, GROUP_WIDTH = 105, GROUPS_MAX = HBK_PAPER_SYSTEMS_MAX };

static const unsigned load_rates[LOADS] = {320, 3200, 12800};

/* Bars of systems over groups. */
struct chart {
    double values[HBK_PAPER_SYSTEMS_MAX][GROUPS_MAX], low[HBK_PAPER_SYSTEMS_MAX][GROUPS_MAX],
        high[HBK_PAPER_SYSTEMS_MAX][GROUPS_MAX];
    const char *groups[GROUPS_MAX];
    struct hbk_figure_series series[HBK_PAPER_SYSTEMS_MAX];
    unsigned group_count, series_count;
};

static void put_bar(struct chart *chart, unsigned series, unsigned group,
                    const struct hbk_estimate *estimate)
{
    chart->values[series][group] = estimate->count > 0 ? estimate->median : NAN;
    chart->low[series][group] = estimate->low;
    chart->high[series][group] = estimate->high;
}

static void end_series(struct chart *chart, const char *name)
{
    unsigned i = chart->series_count++;
    chart->series[i] = (struct hbk_figure_series){.name = name,
                                                  .y = chart->values[i],
                                                  .low = chart->low[i],
                                                  .high = chart->high[i],
                                                  .count = chart->group_count};
}

static void draw(struct hbk_page *page, const struct chart *chart, const char *title,
                 const char *x_name, const char *y_name)
{
    /* A name below each group, beside its neighbours'. */
    const struct hbk_figure figure = {
        .title = title,
        .x_name = x_name,
        .y_name = y_name,
        .width = chart->group_count > WIDE_GROUPS ? GROUP_WIDTH * (chart->group_count + 1) : 0};
    bool is_empty = true;
    for (unsigned i = 0; i < chart->series_count; i++) {
        for (unsigned k = 0; k < chart->group_count; k++) {
            is_empty = is_empty && isnan(chart->values[i][k]);
        }
    }
    if (is_empty) {
        hbk_page_put(page, "<p class=\"none\">Not measured in this run.</p>\n");
        return;
    }
    hbk_page_bars(page, &figure, chart->groups, chart->group_count, chart->series,
                  chart->series_count);
}

static bool has_part(const struct hbk_paper_system *system, unsigned kinds)
{
    return system->is_usable && !system->is_variant && (kinds >> system->kind & 1) != 0;
}

enum {
    BASELINES = 1u << HBK_BASELINE | 1u << HBK_BASELINE_MTLS,
    MESHES = 1u << HBK_NODE | 1u << HBK_PAIR,
    EVERYBODY = BASELINES | MESHES,
};

/* What is drawn over the three loads, between nodes. */
struct by_load {
    unsigned item, kinds;
    enum hbk_quantity quantity;
    const char *title, *y_name;
    enum hbk_arrivals arrivals;
    bool is_without_delay;
};

enum { PAPER_DELAY_MS = 200 };

static const struct hbk_cell *cell_of_load(const struct hbk_paper *paper,
                                           const struct by_load *drawn, unsigned load)
{
    return hbk_paper_cell_for(paper, drawn->item, HBK_INTER, drawn->arrivals, load_rates[load],
                              drawn->is_without_delay ? 0 : PAPER_DELAY_MS);
}

static void draw_by_load(struct hbk_page *page, const struct hbk_paper *paper,
                         const struct by_load *drawn)
{
    static struct chart chart;
    static const char *const names[LOADS] = {"320/s, 160", "3,200/s, 1,600", "12,800/s, 6,400"};
    static const char *const x_names[] = {"requests per second and connections, in bursts",
                                          "requests per second and connections, uniform",
                                          "requests per second and connections, Poisson"};
    chart = (struct chart){.group_count = LOADS};
    memcpy(chart.groups, names, sizeof names);
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        if (!has_part(system, drawn->kinds) || chart.series_count == HBK_FIGURE_SERIES_MAX) {
            continue;
        }
        for (unsigned k = 0; k < LOADS; k++) {
            struct hbk_estimate estimate = hbk_paper_estimate(
                paper, cell_of_load(paper, drawn, k), system->name, drawn->quantity, HBK_ABSOLUTE);
            put_bar(&chart, chart.series_count, k, &estimate);
        }
        end_series(&chart, system->title);
    }
    draw(page, &chart, drawn->title, x_names[drawn->arrivals], drawn->y_name);
}

/* In the paper's bursts, with its delay. */
static void by_load(struct hbk_page *page, const struct hbk_paper *paper, unsigned item,
                    unsigned kinds, enum hbk_quantity quantity, const char *title,
                    const char *y_name)
{
    const struct by_load drawn = {.item = item,
                                  .kinds = kinds,
                                  .quantity = quantity,
                                  .title = title,
                                  .y_name = y_name,
                                  .arrivals = HBK_BURST};
    draw_by_load(page, paper, &drawn);
}

/* In other arrivals, and without the delay, where the plan has them. */
static void by_load_otherwise(struct hbk_page *page, const struct hbk_paper *paper, unsigned item,
                              enum hbk_quantity quantity, const char *what)
{
    static const struct {
        enum hbk_arrivals arrivals;
        bool is_without_delay;
        const char *how;
    } others[] = {
        {HBK_UNIFORM, false, "uniform arrivals"},
        {HBK_POISSON, false, "Poisson arrivals"},
        {HBK_BURST, true, "bursts, a server without delay"},
        {HBK_UNIFORM, true, "uniform arrivals, a server without delay"},
        {HBK_POISSON, true, "Poisson arrivals, a server without delay"},
    };
    for (size_t i = 0; i < HBK_COUNT(others); i++) {
        char title[120];
        bool is_planned = false;
        (void)snprintf(title, sizeof title, "%s: %s", what, others[i].how);
        const struct by_load drawn = {.item = item,
                                      .kinds = EVERYBODY,
                                      .quantity = quantity,
                                      .title = title,
                                      .y_name = "ms",
                                      .arrivals = others[i].arrivals,
                                      .is_without_delay = others[i].is_without_delay};
        for (unsigned k = 0; k < LOADS; k++) {
            is_planned = is_planned || cell_of_load(paper, &drawn, k) != NULL;
        }
        if (is_planned) {
            draw_by_load(page, paper, &drawn);
        }
    }
}

/* What the paper says of a figure whose values it prints nowhere. */
static void put_paper_says(struct hbk_page *page, const char *text)
{
    hbk_page_put(page, "<p class=\"says\">The paper: %s</p>\n", text);
}

static void put_latencies(struct hbk_page *page, const struct hbk_paper *paper)
{
    hbk_page_heading(page, "figure2", "Figure 2: P99 of the baselines");
    by_load(page, paper, HBK_FIGURE_2, BASELINES, HBK_QUANTITY_FORTIO_P99,
            "P99 of the baselines, Fortio's arithmetic", "ms");
    put_paper_says(page, "mutual TLS of the applications adds up to 3 % to P99.");
    hbk_page_heading(page, "figure9", "Figure 9: P50 of the baselines");
    by_load(page, paper, HBK_FIGURE_9, BASELINES, HBK_QUANTITY_FORTIO_P50,
            "P50 of the baselines, Fortio's arithmetic", "ms");
    hbk_page_heading(page, "figure4", "Figure 4: P99 as a function of the load");
    by_load(page, paper, HBK_FIGURE_4, EVERYBODY, HBK_QUANTITY_FORTIO_P99,
            "P99, Fortio's arithmetic", "ms");
    by_load(page, paper, HBK_FIGURE_4, EVERYBODY, HBK_QUANTITY_P99,
            "P99, from when requests were due", "ms");
    by_load_otherwise(page, paper, HBK_FIGURE_4, HBK_QUANTITY_P99, "P99 from due");
    put_paper_says(page, "at 3,200/s P99 grows by 166 % with Istio, 8 % with Ambient, 33 % with "
                         "Linkerd, 99 % with Cilium; at 12,800/s Istio reaches 6,868/s.");
    hbk_page_heading(page, "figure11", "Figure 11: P50 as a function of the load");
    by_load(page, paper, HBK_FIGURE_11, EVERYBODY, HBK_QUANTITY_FORTIO_P50,
            "P50, Fortio's arithmetic", "ms");
    by_load(page, paper, HBK_FIGURE_11, EVERYBODY, HBK_QUANTITY_RATE, "Achieved rate",
            "requests per second");
    by_load_otherwise(page, paper, HBK_FIGURE_11, HBK_QUANTITY_P50, "P50 from due");
}

static void put_resources(struct hbk_page *page, const struct hbk_paper *paper)
{
    hbk_page_heading(page, "figure3", "Figure 3: resources of the baselines, client");
    by_load(page, paper, HBK_FIGURE_3, BASELINES, HBK_QUANTITY_CLIENT_CPU, "CPU of the client",
            "cores");
    by_load(page, paper, HBK_FIGURE_3, BASELINES, HBK_QUANTITY_CLIENT_MIB,
            "Private memory of the client", "MiB");
    put_paper_says(page, "mutual TLS of the applications adds up to 100 % to CPU and memory of "
                         "the client.");
    hbk_page_heading(page, "figure10", "Figure 10: resources of the baselines, server");
    by_load(page, paper, HBK_FIGURE_10, BASELINES, HBK_QUANTITY_SERVER_CPU, "CPU of the server",
            "cores");
    by_load(page, paper, HBK_FIGURE_10, BASELINES, HBK_QUANTITY_SERVER_MIB,
            "Private memory of the server", "MiB");
    hbk_page_heading(page, "figure5", "Figure 5: resources of the proxies, client's side");
    by_load(page, paper, HBK_FIGURE_5, MESHES, HBK_QUANTITY_CLIENT_AGENT,
            "CPU of the proxy on the client's side", "cores");
    by_load(page, paper, HBK_FIGURE_5, MESHES, HBK_QUANTITY_CLIENT_AGENT_MIB,
            "Private memory of the proxy on the client's side", "MiB");
    hbk_page_heading(page, "figure12", "Figure 12: resources of the proxies, server's side");
    by_load(page, paper, HBK_FIGURE_12, MESHES, HBK_QUANTITY_SERVER_AGENT,
            "CPU of the proxy on the server's side", "cores");
    by_load(page, paper, HBK_FIGURE_12, MESHES, HBK_QUANTITY_SERVER_AGENT_MIB,
            "Private memory of the proxy on the server's side", "MiB");
}

static const struct hbk_cell *cell_of_placement(const struct hbk_paper *paper,
                                                enum hbk_placement placement, unsigned load)
{
    return hbk_paper_cell_for(paper, HBK_FIGURE_6, placement, HBK_BURST, load_rates[load],
                              PAPER_DELAY_MS);
}

static void draw_placements(struct hbk_page *page, const struct hbk_paper *paper, unsigned load)
{
    static struct chart chart;
    static const char *const titles[LOADS] = {
        "P99 at 320/s over 160 connections, Fortio's arithmetic",
        "P99 at 3,200/s over 1,600 connections, Fortio's arithmetic",
        "P99 at 12,800/s over 6,400 connections, Fortio's arithmetic"};
    chart = (struct chart){0};
    for (unsigned i = 0; i < paper->system_count && chart.group_count < GROUPS_MAX; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        if (!has_part(system, EVERYBODY)) {
            continue;
        }
        for (enum hbk_placement placement = 0; placement < HBK_PLACEMENTS; placement++) {
            struct hbk_estimate estimate =
                hbk_paper_estimate(paper, cell_of_placement(paper, placement, load), system->name,
                                   HBK_QUANTITY_FORTIO_P99, HBK_ABSOLUTE);
            put_bar(&chart, placement, chart.group_count, &estimate);
        }
        chart.groups[chart.group_count++] = system->name;
    }
    end_series(&chart, "inside a node");
    end_series(&chart, "between nodes");
    draw(page, &chart, titles[load], "system", "ms");
}

/* Figure 6: the two placements side by side, per system, for each load that has both. */
static void put_placements(struct hbk_page *page, const struct hbk_paper *paper)
{
    unsigned count = 0;
    hbk_page_heading(page, "figure6", "Figure 6: between nodes and inside a node, P99");
    for (unsigned load = 0; load < LOADS; load++) {
        if (cell_of_placement(paper, HBK_INTRA, load) != NULL &&
            cell_of_placement(paper, HBK_INTER, load) != NULL) {
            draw_placements(page, paper, load);
            count++;
        }
    }
    if (count == 0) {
        hbk_page_put(page, "<p class=\"none\">Not measured in this run.</p>\n");
    }
}

/* The baseline, our agents and sidecars, and all that differs from them by a switch. */
static bool has_switches(const struct hbk_paper_system *system)
{
    bool is_own_pair = system->kind == HBK_PAIR &&
                       hbk_slice_equal(system->descriptor.binary, HBK_SLICE("hauberk"));
    bool is_own = system->kind == HBK_NODE || is_own_pair;
    return system->is_usable && system->gather == NULL && (is_own || system->kind == HBK_BASELINE);
}

/* What each reaches, and how much that is of what is reached without a mesh in the same block. */
static void put_rates(struct hbk_page *page, const struct hbk_paper *paper,
                      const struct hbk_cell *cell)
{
    unsigned count = 0;
    for (unsigned i = 0; i < paper->system_count; i++) {
        const char *name = paper->systems[i].name;
        struct hbk_estimate rate =
            hbk_paper_estimate(paper, cell, name, HBK_QUANTITY_RATE, HBK_ABSOLUTE);
        struct hbk_estimate percent =
            hbk_paper_estimate(paper, cell, name, HBK_QUANTITY_RATE, HBK_RATIO);
        percent.median *= 100;
        percent.low *= 100;
        percent.high *= 100;
        if (rate.count == 0) {
            continue;
        }
        if (count++ == 0) {
            hbk_page_put(page,
                         "<div class=\"scroll\"><table><thead><tr><th>System</th><th>requests "
                         "per second</th><th>percent of baseline</th></tr></thead>\n");
        }
        hbk_page_put(page, "<tr>");
        hbk_page_element(page, "td", name);
        hbk_page_estimate(page, &rate, false, 0);
        hbk_page_estimate(page, &percent, false, 1);
        hbk_page_put(page, "</tr>\n");
    }
    hbk_page_put(page, "%s", count > 0 ? "</table></div>\n" : "");
}

/* Figure 7: as fast as it goes. */
static void put_throughput(struct hbk_page *page, const struct hbk_paper *paper)
{
    static struct chart chart;
    static const char *const titles[] = {
        "Closed loop without a delay, between nodes",
        "The same: what is ours, with its switches, and the baseline"};
    hbk_page_heading(page, "figure7", "Figure 7: throughput at full speed");
    const struct hbk_cell *cell =
        hbk_paper_cell_for(paper, HBK_FIGURE_7, HBK_INTER, HBK_FULL_SPEED, 0, -1);
    for (unsigned drawing = 0; drawing < HBK_COUNT(titles); drawing++) {
        chart = (struct chart){0};
        for (unsigned i = 0; i < paper->system_count && chart.group_count < GROUPS_MAX; i++) {
            const struct hbk_paper_system *system = &paper->systems[i];
            if (drawing == 0 ? has_part(system, EVERYBODY) : has_switches(system)) {
                struct hbk_estimate estimate =
                    hbk_paper_estimate(paper, cell, system->name, HBK_QUANTITY_RATE, HBK_ABSOLUTE);
                put_bar(&chart, 0, chart.group_count, &estimate);
                chart.groups[chart.group_count++] = system->name;
            }
        }
        end_series(&chart, "requests per second");
        draw(page, &chart, titles[drawing], "system", "requests per second");
    }
    put_rates(page, paper, cell);
    put_paper_says(page, "with mutual TLS Istio reaches 5 % of the baseline's rate, in plain text "
                         "about the same, without metrics slightly more, and as TCP about five "
                         "times as much as in plain text.");
    hbk_page_put(page, "<p>The paper's five variants of Istio's sidecar are here: with mutual TLS "
                       "<code>sidecar-l7</code>; in plain text <code>sidecar-l7-plain</code>; "
                       "without metrics, too, "
                       "<code>sidecar-l7-quiet</code>; without HTTP "
                       "<code>sidecar-tcp-plain</code>; without metrics "
                       "<code>sidecar-tcp-quiet</code>. <code>sidecar-l7-log</code> has an access "
                       "log, and <code>node-plain</code> is our agents with mutual TLS switched "
                       "off.</p>\n");
}

/* ---- more pods, which the paper does not have ---- */

static const struct {
    enum hbk_quantity quantity;
    const char *name;
    int digits;
} of_pods[] = {
    {HBK_QUANTITY_P99, "P99 of the slowest pod, ms", 1},
    {HBK_QUANTITY_CLIENT_AGENT, "CPU of the clients' agent, cores", 3},
    {HBK_QUANTITY_SERVER_AGENT, "CPU of the servers' agent, cores", 3},
    {HBK_QUANTITY_CLIENT_AGENT_MIB, "private memory of the clients' agent, MiB", 2},
    {HBK_QUANTITY_SERVER_AGENT_MIB, "private memory of the servers' agent, MiB", 2},
    {HBK_QUANTITY_RATE, "achieved, /s", 0},
    {HBK_QUANTITY_FAILED, "failed", 0},
};

/* Cells of more pods in the order of their pods. */
static unsigned pods_cells(const struct hbk_paper *paper, const struct hbk_cell *cells[GROUPS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < paper->cell_count && count < GROUPS_MAX; i++) {
        const struct hbk_cell *cell = &paper->cells[i].cell;
        bool is_measured =
            hbk_paper_estimate(paper, cell, "node", HBK_QUANTITY_RATE, HBK_ABSOLUTE).count > 0;
        if ((paper->cells[i].items & HBK_MORE_PODS) != 0 && is_measured) {
            unsigned at = count++;
            for (; at > 0 && cells[at - 1]->pods > cell->pods; at--) {
                cells[at] = cells[at - 1];
            }
            cells[at] = cell;
        }
    }
    return count;
}

static void put_pods_table(struct hbk_page *page, const struct hbk_paper *paper,
                           const struct hbk_cell *const *cells, unsigned count)
{
    hbk_page_put(page, "<div class=\"scroll\"><table><thead><tr><th>pods a node</th>");
    for (size_t k = 0; k < HBK_COUNT(of_pods); k++) {
        hbk_page_element(page, "th", of_pods[k].name);
    }
    hbk_page_put(page, "</tr></thead>\n");
    for (unsigned i = 0; i < count; i++) {
        hbk_page_put(page, "<tr><td>%u</td>", cells[i]->pods > 0 ? cells[i]->pods : 1);
        for (size_t k = 0; k < HBK_COUNT(of_pods); k++) {
            struct hbk_estimate estimate =
                hbk_paper_estimate(paper, cells[i], "node", of_pods[k].quantity, HBK_ABSOLUTE);
            hbk_page_estimate(page, &estimate, false, of_pods[k].digits);
        }
        hbk_page_put(page, "</tr>\n");
    }
    hbk_page_put(page, "</table></div>\n");
}

static void draw_pods(struct hbk_page *page, const struct hbk_paper *paper,
                      const struct hbk_cell *const *cells, unsigned count,
                      const enum hbk_quantity quantities[HBK_SIDES], const char *title,
                      const char *y_name)
{
    static struct chart chart;
    static char names[GROUPS_MAX][16];
    static const char *const sides[HBK_SIDES] = {"clients' agent", "servers' agent"};
    chart = (struct chart){.group_count = count};
    for (unsigned side = 0; side < HBK_SIDES; side++) {
        for (unsigned i = 0; i < count; i++) {
            struct hbk_estimate estimate =
                hbk_paper_estimate(paper, cells[i], "node", quantities[side], HBK_ABSOLUTE);
            (void)snprintf(names[i], sizeof names[i], "%u",
                           cells[i]->pods > 0 ? cells[i]->pods : 1);
            chart.groups[i] = names[i];
            put_bar(&chart, side, i, &estimate);
        }
        end_series(&chart, sides[side]);
    }
    draw(page, &chart, title, "pods a node", y_name);
}

static void put_pods(struct hbk_page *page, const struct hbk_paper *paper)
{
    static const enum hbk_quantity cpu[] = {HBK_QUANTITY_CLIENT_AGENT, HBK_QUANTITY_SERVER_AGENT};
    static const enum hbk_quantity memory[] = {HBK_QUANTITY_CLIENT_AGENT_MIB,
                                               HBK_QUANTITY_SERVER_AGENT_MIB};
    const struct hbk_cell *cells[GROUPS_MAX];
    unsigned count = pods_cells(paper, cells);
    hbk_page_heading(page, "pods", "More pods: the load of Table II over 1, 10 and 50 pods a node");
    hbk_page_put(
        page, "<p>3,200/s over 1,600 connections, uniform, divided among so many clients on one "
              "node and as many servers on the other, each pair with a service, and each pod "
              "with an identity of its own. One agent a node serves them all, beside the "
              "scene's other pods, which carry nothing. The paper has no such figure. The load "
              "is one process a pod: with fifty of them the machine's two cores are shared by a "
              "hundred applications, and latency tells more about them than about agents.</p>\n");
    if (count == 0) {
        hbk_page_put(page, "<p class=\"none\">Not measured in this run.</p>\n");
        return;
    }
    put_pods_table(page, paper, cells, count);
    draw_pods(page, paper, cells, count, cpu, "CPU of the agents by pods of a node", "cores");
    draw_pods(page, paper, cells, count, memory, "Private memory of the agents by pods of a node",
              "MiB");
}

void hbk_paper_put_figures(struct hbk_page *page, const struct hbk_paper *paper)
{
    hbk_page_put(page, "<h2>Figures</h2>\n<p>Bars are medians over blocks, with 95 %% intervals "
                       "where there is more than one.</p>\n");
    put_latencies(page, paper);
    put_resources(page, paper);
    put_placements(page, paper);
    put_throughput(page, paper);
    hbk_paper_put_memory_line(page, paper);
    put_pods(page, paper);
}
