/*
 * What a feature costs: the difference between two systems of the series that differ by its switch
 * alone, in the blocks that have both. No figure stands in this file; what a series lacks is said
 * to be lacking.
 */
#include <math.h>
#include <string.h>

#include "paper/figures.h"

struct cost {
    enum hbk_quantity quantity;
    const char *what, *unit;
    int digits;
};

/* Of the paper's cell: sides with all that stands on them. */
static const struct cost of_agents[] = {
    {HBK_QUANTITY_FORTIO_P99, "P99 (Fortio's)", "ms", 1},
    {HBK_QUANTITY_CLIENT_CPU, "CPU of the client's side", "cores", 4},
    {HBK_QUANTITY_SERVER_CPU, "of the server's", "cores", 4},
    {HBK_QUANTITY_CLIENT_MIB, "private memory of the client's side", "MiB", 2},
    {HBK_QUANTITY_SERVER_MIB, "of the server's", "MiB", 2},
};

/* Of a closed loop: how much less fits, and what each request costs both proxies together. */
static const struct cost of_full_speed[] = {
    {HBK_QUANTITY_MESH_US, "CPU of both ends' proxies", "us a request", 2},
    {HBK_QUANTITY_RATE, "full speed", "requests/s", 0},
};

struct feature {
    const char *name, *with, *without;
    bool is_at_full_speed; /* Figure 7's cell; otherwise Table II's, in these arrivals: */
    enum hbk_arrivals arrivals;
    const char *how;
};

static const struct feature features[] = {
    {"mutual TLS of the node agents: encryption, identity, policy by identity, and the tunnels "
     "that "
     "carry many connections each",
     "node", "node-plain", false, HBK_BURST,
     "mode DISABLE of a <code>peerAuthentications</code> entry in the mesh file, for a namespace, "
     "a workload or a port; or a workload's <code>protocol: TCP</code>: then plain text is "
     "relayed"},
    {"the same at full speed", "node", "node-plain", true, HBK_FULL_SPEED, "the same"},
    {"what is left of the node agents then: capture, relaying, metrics, access log of connections",
     "node-plain", "baseline", false, HBK_BURST,
     "take the pod out of the mesh file's <code>pods</code>, or its ports by "
     "<code>excludeInboundPorts</code>, <code>excludeOutboundPorts</code>"},
    {"all of the node agents", "node", "baseline", false, HBK_BURST, "both of the above"},
    {"all of the node agents, uniform arrivals", "node", "baseline", false, HBK_UNIFORM,
     "the same"},
    {"rests of the agents (gathering), uniform arrivals", "node", "node-no-gather", false,
     HBK_UNIFORM, "<code>hauberk node --gather off</code>"},
    {"HTTP parsing, routes and headers of a sidecar pair", "sidecar-l7-plain", "sidecar-tcp-plain",
     true, HBK_FULL_SPEED, "<code>tcp_proxy</code> in place of the HTTP connection manager"},
    {"mutual TLS of a sidecar pair, HTTP", "sidecar-l7", "sidecar-l7-plain", true, HBK_FULL_SPEED,
     "no <code>transport_socket</code>"},
    {"mutual TLS of a sidecar pair, TCP", "sidecar-tcp", "sidecar-tcp-plain", true, HBK_FULL_SPEED,
     "no <code>transport_socket</code>"},
    {"metrics of a sidecar pair, HTTP", "sidecar-l7-plain", "sidecar-l7-quiet", true,
     HBK_FULL_SPEED, "<code>" HBK_PAPER_NO_STATISTICS "</code>"},
    {"metrics of a sidecar pair, TCP", "sidecar-tcp-plain", "sidecar-tcp-quiet", true,
     HBK_FULL_SPEED, "the same"},
    {"access log of a sidecar pair, to /dev/null: its lines without a disk", "sidecar-l7-log",
     "sidecar-l7", true, HBK_FULL_SPEED, "no <code>access_log</code>"},
};

static const struct hbk_cell *cell_of(const struct hbk_paper *paper, const struct feature *feature)
{
    for (unsigned i = 0; i < paper->cell_count; i++) {
        const struct hbk_cell *cell = &paper->cells[i].cell;
        bool is_it = feature->is_at_full_speed
                         ? cell->arrivals == HBK_FULL_SPEED
                         : cell->arrivals == feature->arrivals && cell->rate_rps == 3200 &&
                               cell->connections == 1600 && cell->delay_ms > 0 && cell->pods == 0;
        if (is_it && cell->placement == HBK_INTER) {
            return cell;
        }
    }
    return NULL;
}

static void put_cost(struct hbk_page *page, const struct cost *cost,
                     const struct hbk_estimate *found, bool is_first)
{
    hbk_page_put(page, "%s%s %+.*f %s", is_first ? "" : ", ", cost->what, cost->digits,
                 found->median, cost->unit);
    if (!isnan(found->low)) {
        hbk_page_put(page, " [%+.*f, %+.*f]", cost->digits, found->low, cost->digits, found->high);
    }
}

static void put_costs(struct hbk_page *page, const struct hbk_paper *paper,
                      const struct feature *feature)
{
    const struct cost *costs = feature->is_at_full_speed ? of_full_speed : of_agents;
    size_t count = feature->is_at_full_speed ? HBK_COUNT(of_full_speed) : HBK_COUNT(of_agents),
           blocks = 0;
    const struct hbk_cell *cell = cell_of(paper, feature);
    for (size_t i = 0; i < count; i++) {
        struct hbk_estimate found =
            hbk_paper_difference(paper, cell, feature->with, feature->without, costs[i].quantity);
        if (found.count > 0) {
            put_cost(page, &costs[i], &found, blocks == 0);
            blocks = found.count;
        }
    }
    if (blocks == 0) {
        hbk_page_put(page, "<span class=\"none\">not measured in this run</span>");
    } else {
        hbk_page_put(page, "; %zu block%s", blocks, blocks == 1 ? "" : "s");
    }
}

void hbk_paper_put_features(struct hbk_page *page, const struct hbk_paper *paper)
{
    hbk_page_put(page,
                 "<h2 id=\"features\">What a feature costs, and how to turn it off</h2>\n"
                 "<p>Each row is the difference of two systems of this run that differ by the "
                 "feature alone, in the blocks that have both, with the interval over blocks where "
                 "there is more than one. At full speed (Figure 7's closed loop) it is CPU a "
                 "request, and how much more or less fits; otherwise the load of Table II. CPU, "
                 "latency or memory below 0 is a gain, or less than this run can see; of full "
                 "speed a gain is what is above 0, and what is below is lost. Mutual TLS of the "
                 "node agents can be a gain: with it many connections share a tunnel, whose "
                 "records and system "
                 "calls serve several of them at once, while plain text is relayed over one "
                 "connection for each.</p>\n"
                 "<div class=\"scroll\"><table class=\"facts\"><thead><tr><th>Feature</th>"
                 "<th>With and without</th><th>What it costs</th><th>How to turn it off</th>"
                 "</tr></thead>\n");
    for (size_t i = 0; i < HBK_COUNT(features); i++) {
        hbk_page_put(page, "<tr><td>%s</td><td>%s &minus; %s</td><td>", features[i].name,
                     features[i].with, features[i].without);
        put_costs(page, paper, &features[i]);
        hbk_page_put(page, "</td><td>%s</td></tr>\n", features[i].how);
    }
    hbk_page_put(page, "</table></div>\n");
}
