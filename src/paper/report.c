/* The report's page: what was run and on what, Tables I to III beside the paper's, targets, notes.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/machine.h"
#include "paper/figures.h"
#include "paper/target.h"

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>hauberk bench paper</title>\n<style>"
    "body{font:15px/1.45 sans-serif;max-width:76em;margin:2em auto;padding:0 1em;color:#111}"
    "table{border-collapse:collapse;margin:1em 0;font-size:14px}"
    "th,td{border:1px solid #999;padding:.3em .55em;text-align:right;vertical-align:top}"
    "th:first-child,td:first-child,.facts td,.facts th{text-align:left}thead th{background:#eee}"
    ".scroll{overflow-x:auto;max-width:100%%}.wide{font-size:13px}.wide th,.wide td{padding:.25em "
    ".35em}td small{display:block;color:#555}code,.facts "
    "td{overflow-wrap:anywhere}.none{color:#777}"
    ".reason{text-align:left;overflow-wrap:anywhere}"
    ".verdict{white-space:nowrap}.facts td.verdict{overflow-wrap:normal}"
    ".paper td{background:#f6f6f0}.met{font-weight:bold}.met::before{content:\"\\2713 \"}"
    ".missed{font-weight:bold;text-decoration:underline}.missed::before{content:\"\\2717 \"}"
    ".mark{border:2px solid #000;padding:.5em 1em;font-weight:bold}"
    "figure{display:inline-block;margin:.5em 1em .5em 0}svg{max-width:100%%;height:auto}"
    "code{background:#f2f2f2;padding:0 .2em}@media print{body{max-width:none}figure{break-inside:"
    "avoid}}</style></head><body>\n";

/* Of so many blocks a median is more than an indication. */
enum { CLAIM_BLOCKS = 10 };

/* What the paper prints: seconds, cores, MiB, added to its baseline. */
struct printed {
    const char *system;
    double p99_s, client_cpu, server_cpu, client_mib, server_mib;
};

static const struct printed printed[HBK_PLACEMENTS][4] = {
    [HBK_INTRA] = {{"Istio", 0.38, 0.81, 0.87, 255, 169},
                   {"Istio Ambient", 0.02, 0.23, 0.23, 26, 26},
                   {"Linkerd", 0.09, 0.29, 0.22, 62, 63},
                   {"Cilium (inside a node: no encryption)", 0.22, 0.12, 0.08, 95, 95}},
    [HBK_INTER] = {{"Istio", 0.37, 0.74, 0.74, 355, 173},
                   {"Istio Ambient", 0.03, 0.23, 0.24, 86, 97},
                   {"Linkerd", 0.08, 0.22, 0.15, 53, 55},
                   {"Cilium (kernel CPU not counted)", 0.22, 0.10, 0.03, 93, 94}},
};

static void put_head(struct hbk_page *page, const struct hbk_paper *paper)
{
    hbk_page_put(page, page_head);
    hbk_page_put(page, "<h1>Service meshes under mutual TLS, on one machine</h1>\n");
    hbk_page_put(page,
                 "<p>The experiment of \"Performance Comparison of Service Mesh Frameworks: the "
                 "mTLS Test Case\" (arXiv 2411.02267), repeated by <code>");
    hbk_page_text(page, paper->options.command);
    hbk_page_put(page, "</code>.</p>\n");
    if (!paper->options.is_full) {
        hbk_page_put(page, "<p class=\"mark\">Indicative: short runs, few blocks. "
                           "<code>--full</code> follows the paper (300 s); a claim needs "
                           "<code>--blocks 10</code>, too.</p>\n");
    } else if (paper->options.blocks < CLAIM_BLOCKS) {
        hbk_page_put(page,
                     "<p class=\"mark\">Runs as long as the paper's, but fewer blocks than "
                     "the targets ask for, which are medians of at least %d: a claim needs "
                     "<code>--blocks %d</code>.</p>\n",
                     CLAIM_BLOCKS, CLAIM_BLOCKS);
    }
}

static void put_machine(struct hbk_page *page, const struct hbk_paper *paper)
{
    static struct hbk_machine machine;
    hbk_machine_look(&machine);
    hbk_page_put(page, "<h2 id=\"table3\">Table III: the machine</h2>\n<div "
                       "class=\"scroll\"><table class=\"facts\">\n");
    for (unsigned i = 0; i < machine.count; i++) {
        hbk_page_put(page, "<tr>");
        hbk_page_element(page, "th", machine.facts[i].name);
        hbk_page_element(page, "td", machine.facts[i].text);
        hbk_page_put(page, "</tr>\n");
    }
    hbk_page_put(page, "<tr><th>Calibration of the load generator</th>");
    hbk_page_element(page, "td", paper->calibration);
    hbk_page_put(
        page,
        "</tr>\n<tr><th>Placement</th><td>proxies and agents on core %u, client and server "
        "on core %u</td></tr>\n</table></div>\n",
        paper->options.agent_core, paper->options.load_core);
    hbk_page_put(page, "<p class=\"says\">The paper: three n2d-highcpu-8 of Google (8 virtual "
                       "cores, 8 GB each), Fedora CoreOS 36 with Linux 6.0.8, Kubernetes 1.24.6, "
                       "CRI-O 1.24.3.</p>\n");
    hbk_page_put(
        page,
        "<div class=\"scroll\"><table class=\"facts\"><thead><tr><th>System</th><th>What it is</th>"
        "<th>Version</th></tr></thead>\n");
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        hbk_page_put(page, "<tr>");
        hbk_page_element(page, "td", system->name);
        hbk_page_element(page, "td", system->title);
        hbk_page_element(page, "td", system->is_usable ? system->version : system->reason);
        hbk_page_put(page, "</tr>\n");
    }
    hbk_page_put(page, "</table></div>\n");
}

/* Of a table of sides, absolute or added, and of the one with ratios. */
static const struct {
    enum hbk_quantity quantity;
    int digits, ratio_digits;
} columns[] = {
    {HBK_QUANTITY_FORTIO_P99, 1, 3}, {HBK_QUANTITY_P99, 1, 3},
    {HBK_QUANTITY_CLIENT_CPU, 3, 2}, {HBK_QUANTITY_SERVER_CPU, 3, 2},
    {HBK_QUANTITY_CLIENT_MIB, 1, 2}, {HBK_QUANTITY_SERVER_MIB, 1, 2},
    {HBK_QUANTITY_CLIENT_SET, 1, 2}, {HBK_QUANTITY_SERVER_SET, 1, 2},
};

static void put_row(struct hbk_page *page, const struct hbk_paper *paper,
                    const struct hbk_cell *cell, const struct hbk_paper_system *system)
{
    bool is_baseline = system->kind == HBK_BASELINE;
    hbk_page_put(page, "<tr>");
    hbk_page_element(page, "td", system->title);
    for (size_t i = 0; i < HBK_COUNT(columns); i++) {
        struct hbk_estimate estimate = hbk_paper_estimate(
            paper, cell, system->name, columns[i].quantity, is_baseline ? HBK_ABSOLUTE : HBK_ADDED);
        hbk_page_estimate(page, &estimate, !is_baseline, columns[i].digits);
    }
    struct hbk_estimate rate =
        hbk_paper_estimate(paper, cell, system->name, HBK_QUANTITY_RATE, HBK_ABSOLUTE);
    struct hbk_estimate failed =
        hbk_paper_estimate(paper, cell, system->name, HBK_QUANTITY_FAILED, HBK_ABSOLUTE);
    struct hbk_estimate uncharged =
        hbk_paper_estimate(paper, cell, system->name, HBK_QUANTITY_UNCHARGED, HBK_ABSOLUTE);
    hbk_page_estimate(page, &rate, false, 0);
    hbk_page_estimate(page, &failed, false, 0);
    hbk_page_estimate(page, &uncharged, false, 3);
    hbk_page_put(page, "</tr>\n");
}

/* Why a system has no figures in a cell: the last failure, or that it was not tried. */
static void put_absent(struct hbk_page *page, const struct hbk_paper *paper,
                       const struct hbk_cell *cell, const struct hbk_paper_system *system)
{
    bool is_idle = cell->placement == HBK_INTRA && system->descriptor.between_nodes;
    const char *reason = !system->is_usable ? system->reason
                         : is_idle          ? "it encrypts between nodes, and nothing inside one"
                                            : "not measured";
    for (unsigned i = 0; i < paper->sample_count; i++) {
        const struct hbk_sample *sample = &paper->samples[i];
        if (!sample->is_good && strcmp(sample->system, system->name) == 0 &&
            hbk_cell_equal(&sample->cell, cell)) {
            reason = sample->why;
        }
    }
    hbk_page_put(page, "<tr>");
    hbk_page_element(page, "td", system->title);
    hbk_page_put(page, "<td class=\"none reason\" colspan=\"11\">not available here, because: ");
    hbk_page_text(page, reason);
    hbk_page_put(page, "</td></tr>\n");
}

static void put_printed(struct hbk_page *page, enum hbk_placement placement)
{
    hbk_page_put(page, "<tr class=\"paper\"><td>paper: no mesh</td><td>220</td><td></td><td>0.08"
                       "</td><td>0.12</td><td></td><td></td><td>152</td><td>71</td><td></td><td>"
                       "</td><td></td></tr>\n");
    for (size_t i = 0; i < HBK_COUNT(printed[placement]); i++) {
        const struct printed *row = &printed[placement][i];
        hbk_page_put(page,
                     "<tr class=\"paper\"><td>paper: %s</td><td>%+.0f</td><td></td><td>%+.2f</td>"
                     "<td>%+.2f</td><td></td><td></td><td>%+.0f</td><td>%+.0f</td><td></td><td>"
                     "</td><td></td></tr>\n",
                     row->system, row->p99_s * 1000, row->client_cpu, row->server_cpu,
                     row->client_mib, row->server_mib);
    }
}

/* The heads of the columns; ratios have no unit, and nothing behind the sides. */
static void put_table_head(struct hbk_page *page, bool has_ratios)
{
    const char *ms = has_ratios ? "" : ", ms", *cores = has_ratios ? "" : ", cores",
               *mib = has_ratios ? "" : ", MiB";
    hbk_page_put(page,
                 "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th rowspan=\"2\">System"
                 "</th><th colspan=\"2\">P99%s</th><th colspan=\"2\">CPU%s</th>"
                 "<th colspan=\"2\">private memory%s</th><th colspan=\"2\">working set%s</th>"
                 "%s</tr>\n<tr><th>Fortio's</th><th>from due</th><th>client</th><th>server</th>"
                 "<th>client</th><th>server</th><th>client</th><th>server</th></tr></thead>\n",
                 ms, cores, mib, mib,
                 has_ratios ? ""
                            : "<th rowspan=\"2\">achieved, /s</th><th rowspan=\"2\">failed</th>"
                              "<th rowspan=\"2\">CPU charged to none</th>");
}

/* Whether a system has no place in the table: another with a switch turned, or the control, which
 * runs the paper's cell alone. */
static bool is_elsewhere(const struct hbk_cell *cell, const struct hbk_paper_system *system)
{
    bool has_control = cell->placement == HBK_INTER && cell->arrivals == HBK_BURST;
    return system->is_variant || (system->kind == HBK_CONTROL && !has_control);
}

/* The same over the baseline of the same block, for who asks how much and not how many. */
static void put_ratios(struct hbk_page *page, const struct hbk_paper *paper,
                       const struct hbk_cell *cell)
{
    unsigned count = 0;
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        bool has_figures =
            hbk_paper_estimate(paper, cell, system->name, HBK_QUANTITY_RATE, HBK_RATIO).count > 0;
        if (!has_figures || system->kind == HBK_BASELINE || is_elsewhere(cell, system)) {
            continue;
        }
        if (count++ == 0) {
            hbk_page_put(page, "<p>The same as ratios to no mesh, in the same block:</p>\n");
            put_table_head(page, true);
        }
        hbk_page_put(page, "<tr>");
        hbk_page_element(page, "td", system->title);
        for (size_t k = 0; k < HBK_COUNT(columns); k++) {
            struct hbk_estimate ratio =
                hbk_paper_estimate(paper, cell, system->name, columns[k].quantity, HBK_RATIO);
            hbk_page_estimate(page, &ratio, false, columns[k].ratio_digits);
        }
        hbk_page_put(page, "</tr>\n");
    }
    hbk_page_put(page, "%s", count > 0 ? "</table></div>\n" : "");
}

static void put_table(struct hbk_page *page, const struct hbk_paper *paper,
                      const struct hbk_cell *cell)
{
    hbk_page_put(page, "<h3>%s, %s, %u ms server</h3>\n",
                 cell->placement == HBK_INTRA ? "Inside a node" : "Between nodes",
                 cell->arrivals == HBK_BURST ? "in bursts as Fortio sends them"
                                             : hbk_arrivals_text(cell->arrivals),
                 cell->delay_ms);
    put_table_head(page, false);
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        bool has_figures =
            hbk_paper_estimate(paper, cell, system->name, HBK_QUANTITY_RATE, HBK_ABSOLUTE).count >
            0;
        if (is_elsewhere(cell, system)) {
            continue;
        }
        if (has_figures) {
            put_row(page, paper, cell, system);
        } else {
            put_absent(page, paper, cell, system);
        }
    }
    if (cell->arrivals == HBK_BURST && cell->delay_ms > 0) {
        put_printed(page, cell->placement);
    }
    hbk_page_put(page, "</table></div>\n");
    put_ratios(page, paper, cell);
}

static void put_tables(struct hbk_page *page, const struct hbk_paper *paper)
{
    for (unsigned item = HBK_TABLE_1; item <= HBK_TABLE_2; item <<= 1) {
        hbk_page_put(page,
                     "<h2 id=\"table%d\">Table %s: 3,200 requests/s, 1,600 connections, %s</h2>\n"
                     "<p>The first row is absolute; the others are what is added to it in the same "
                     "block. A side is its application and its proxy together; inside a node one "
                     "agent stands on both sides and is counted on both, as in the paper.</p>\n",
                     item == HBK_TABLE_1 ? 1 : 2, item == HBK_TABLE_1 ? "I" : "II",
                     item == HBK_TABLE_1 ? "inside a node" : "between nodes");
        unsigned count = 0;
        for (unsigned i = 0; i < paper->cell_count; i++) {
            if ((paper->cells[i].items & item) != 0) {
                put_table(page, paper, &paper->cells[i].cell);
                count++;
            }
        }
        if (count == 0) {
            hbk_page_put(page, "<p class=\"none\">Not measured in this run.</p>\n");
        }
    }
}

static void put_targets(struct hbk_page *page, const struct hbk_paper *paper)
{
    static struct hbk_target targets[HBK_TARGETS_MAX];
    static const char *const classes[] = {"met", "missed", "none"};
    static const char *const words[] = {"met", "missed", "unknown"};
    unsigned count = hbk_paper_targets(paper, targets);
    hbk_page_put(page, "<h2 id=\"targets\">Targets of hauberk node</h2>\n<div "
                       "class=\"scroll\"><table class=\"facts\">"
                       "<thead><tr><th>Target</th><th>Found</th><th></th></tr></thead>\n");
    for (unsigned i = 0; i < count; i++) {
        hbk_page_put(page, "<tr>");
        hbk_page_element(page, "td", targets[i].text);
        hbk_page_element(page, "td", targets[i].found);
        hbk_page_put(page, "<td class=\"verdict %s\">%s</td></tr>\n", classes[targets[i].verdict],
                     words[targets[i].verdict]);
    }
    hbk_page_put(page,
                 "</table></div>\n<p>A median decides, unless a run of the cell broke, or calls "
                 "failed or were not made: then the target is missed. With fewer than ten "
                 "blocks a median is an indication and no more: a claim needs <code>--blocks "
                 "10</code>. Beside other meshes a side is compared with a side "
                 "between nodes; inside a node, where one agent does the work of both halves "
                 "of a pair, all processes of a mesh are compared with all of another, each "
                 "counted once. <code>node-plain</code> encrypts nothing and is no "
                 "competitor.</p>\n");
}

static void put_notes(struct hbk_page *page)
{
    hbk_page_put(
        page,
        "<h2 id=\"meaning\">What a difference can and cannot mean</h2>\n<ul>\n"
        "<li>Bursts: Fortio starts all connections' clocks together, so the paper's P99 is the "
        "time "
        "in which a path drains 1,600 requests that come at once. Uniform and Poisson arrivals ask "
        "the other question: what a request costs when it does not stand behind 1,599 "
        "others.</li>\n"
        "<li>Fortio's P99 below 250 ms is 99 %% of the way from the least to the greatest value of "
        "one bucket: mostly the maximum. \"From due\" has three digits and counts from when the "
        "request should have been sent: in bursts also the tens of milliseconds that the load "
        "generator itself needs to send them all, in the baseline as in every row.</li>\n"
        "<li>The achieved rate is Fortio's: all calls over the time until the last answer. A run "
        "of "
        "2 s at 3,200/s whose answers take 200 ms achieves 2,909/s at best; only a difference to "
        "the baseline says something. A run that made less than 99 %% of its calls is in "
        "doubt.</li>\n"
        "<li>CPU is user and kernel time of the processes. On one machine the kernel receives in "
        "the sender's context: client, proxies and server pay for each other's receiving. What no "
        "process was charged for is the last column; a mesh that works in the kernel shows up "
        "there.</li>\n"
        "<li>The working set is private memory plus a share of what the kernel's slabs and socket "
        "buffers grew by, divided by the sockets that each process holds. The paper's is what the "
        "kubelet reports, with page cache.</li>\n"
        "<li>The row of the control is no mesh: it is what Fortio and a Go server, in the place of "
        "our two ends, add to the figures of our own pair in the same block.</li>\n"
        "<li>Everything shares two caches and a memory bus here. Differences between systems in "
        "one block are meaningful; absolute values hold for this machine, and the paper's were "
        "taken on another.</li>\n"
        "<li>Intervals are bootstrapped over blocks. Where two intervals overlap, this run does "
        "not tell the systems apart.</li>\n</ul>\n");
}

/* As a shell reads it: quoted where it has to be. */
static void put_word(struct hbk_page *page, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./:=,@%+-";
    if (strspn(text, plain) == strlen(text)) {
        hbk_page_text(page, text);
        return;
    }
    hbk_page_text(page, "'");
    for (; *text != '\0'; text++) {
        const char one[] = {*text, '\0'};
        hbk_page_text(page, *text == '\'' ? "'\\''" : one);
    }
    hbk_page_text(page, "'");
}

static bool is_in_cell(const struct hbk_paper *paper, const struct hbk_paper_cell *cell,
                       unsigned system)
{
    return (cell->systems >> system & 1) != 0 && paper->systems[system].is_usable;
}

/* Those of the cell, by name, or by the file that was given, and their programs, where given. */
static void put_systems(struct hbk_page *page, const struct hbk_paper *paper,
                        const struct hbk_paper_cell *cell)
{
    for (unsigned i = 0, count = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[i];
        if (is_in_cell(paper, cell, i)) {
            hbk_page_put(page, "%s", count++ == 0 ? " --systems " : ",");
            put_word(page, system->file[0] != '\0' ? system->file : system->name);
        }
    }
    for (unsigned i = 0; i < paper->options.binary_count; i++) {
        const char *given = paper->options.binaries[i];
        for (unsigned k = 0; k < paper->system_count; k++) {
            const char *name = paper->systems[k].name;
            size_t size = strlen(name);
            if (is_in_cell(paper, cell, k) && strncmp(given, name, size) == 0 &&
                given[size] == '=') {
                hbk_page_put(page, " --binary ");
                put_word(page, given);
            }
        }
    }
}

/* A series that has the cell, with all its systems and blocks, as a command line. */
static void put_cell_command(struct hbk_page *page, const struct hbk_paper *paper,
                             const struct hbk_paper_cell *cell)
{
    const struct hbk_paper_options *options = &paper->options;
    hbk_page_put(page, "<code>hauberk bench paper %s", options->is_full ? "--full " : "");
    for (unsigned item = 0, count = 0; item < HBK_PAPER_ITEMS; item++) {
        if ((cell->enough >> item & 1) != 0) {
            hbk_page_put(page, "%s%s", count++ == 0 ? "--only " : ",", hbk_paper_item_names[item]);
        }
    }
    hbk_page_put(page, " --blocks %u --cores %u,%u", cell->blocks, options->agent_core,
                 options->load_core);
    if (options->duration_ms > 0) {
        hbk_page_put(page, " --duration %ums", options->duration_ms);
    }
    if (options->pause_ms != (options->is_full ? HBK_PAPER_FULL_PAUSE_MS : 0)) {
        hbk_page_put(page, " --pause %ums", options->pause_ms);
    }
    put_systems(page, paper, cell);
    hbk_page_put(page, " -o DIR</code>");
}

/* What was asked of the load generator there; the systems differ in nothing but what stands
 * between. */
static void put_load_command(struct hbk_page *page, const struct hbk_paper *paper,
                             const struct hbk_cell *cell)
{
    for (unsigned i = 0; i < paper->sample_count; i++) {
        if (hbk_cell_equal(&paper->samples[i].cell, cell)) {
            hbk_page_put(page, ", which in the client's namespace runs <code>");
            hbk_page_text(page, paper->samples[i].command);
            hbk_page_put(page, "</code>");
            return;
        }
    }
}

static void put_commands(struct hbk_page *page, const struct hbk_paper *paper)
{
    hbk_page_put(page, "<h2 id=\"commands\">Commands of the cells</h2>\n<p>Each repeats a cell, "
                       "with whatever else its table or figure has.</p>\n<ul>\n");
    for (unsigned i = 0; i < paper->cell_count; i++) {
        char key[HBK_SAMPLE_KEY_BYTES_MAX];
        hbk_page_put(page, "<li>%s: ", hbk_cell_key(&paper->cells[i].cell, key));
        put_cell_command(page, paper, &paper->cells[i]);
        put_load_command(page, paper, &paper->cells[i].cell);
        hbk_page_put(page, "</li>\n");
    }
    hbk_page_put(page, "</ul>\n");
}

static void put_runs(struct hbk_page *page, const struct hbk_paper *paper)
{
    hbk_page_put(page, "<h2 id=\"runs\">Runs that failed or are in doubt</h2>\n");
    unsigned count = 0;
    for (unsigned i = 0; i < paper->sample_count; i++) {
        const struct hbk_sample *sample = &paper->samples[i];
        char key[HBK_SAMPLE_KEY_BYTES_MAX];
        if (sample->is_good && sample->why[0] == '\0') {
            continue;
        }
        hbk_page_put(page, "%s<li>%s, %s, block %u: ", count++ == 0 ? "<ul>" : "", sample->system,
                     hbk_cell_key(&sample->cell, key), sample->block + 1);
        hbk_page_text(page, sample->why);
        hbk_page_put(page, "%s</li>\n", sample->is_good ? "" : " (not counted)");
    }
    hbk_page_put(page, count > 0 ? "</ul>\n" : "<p>None.</p>\n");
    put_commands(page, paper);
    hbk_page_put(page, "</body></html>\n");
}

hbk_status hbk_paper_report(const struct hbk_paper *paper, struct hbk_buffer *out)
{
    struct hbk_page page = {.out = out};
    put_head(&page, paper);
    put_targets(&page, paper);
    put_tables(&page, paper);
    put_machine(&page, paper);
    hbk_paper_put_figures(&page, paper);
    hbk_paper_put_features(&page, paper);
    put_notes(&page);
    put_runs(&page, paper);
    return page.status;
}
