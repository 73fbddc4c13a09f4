/*
 * Figure 8: memory of the node agent by number of connections, with mutual TLS and with it switched
 * off, each with the straight line through it. The paper's point is that the line is straight;
 * what tells is how steep it is, and how much of that is mutual TLS.
 */
#include <math.h>
#include <stdio.h>

#include "paper/figures.h"

enum { POINTS_MAX = 32, KIB_OF_MIB = 1024 };

/* Of one system on one side; MIB by connections. */
struct points {
    double x[POINTS_MAX];
    double own[POINTS_MAX]; /* private memory of the agent */
    double set[POINTS_MAX]; /* with the kernel's share of the side */
    unsigned count;
};

/* What stands in one pair of drawings. */
struct view {
    enum hbk_placement placement;
    bool is_server;
    const char *name;
    struct points with, without; /* mutual TLS */
};

static void collect(const struct hbk_paper *paper, const struct view *view, const char *system,
                    struct points *points)
{
    enum hbk_quantity own =
        view->is_server ? HBK_QUANTITY_SERVER_AGENT_MIB : HBK_QUANTITY_CLIENT_AGENT_MIB;
    enum hbk_quantity set = view->is_server ? HBK_QUANTITY_SERVER_SET : HBK_QUANTITY_CLIENT_SET;
    enum hbk_quantity side = view->is_server ? HBK_QUANTITY_SERVER_MIB : HBK_QUANTITY_CLIENT_MIB;
    points->count = 0;
    for (unsigned i = 0; i < paper->cell_count && points->count < POINTS_MAX; i++) {
        const struct hbk_cell *cell = &paper->cells[i].cell;
        if ((paper->cells[i].items & HBK_FIGURE_8) == 0 || cell->placement != view->placement) {
            continue;
        }
        struct hbk_estimate agent = hbk_paper_estimate(paper, cell, system, own, HBK_ABSOLUTE);
        if (agent.count > 0) {
            double kernel = hbk_paper_estimate(paper, cell, system, set, HBK_ABSOLUTE).median -
                            hbk_paper_estimate(paper, cell, system, side, HBK_ABSOLUTE).median;
            points->x[points->count] = cell->connections;
            points->own[points->count] = agent.median;
            points->set[points->count++] = agent.median + kernel;
        }
    }
}

/* The line through points, from the least x to the greatest. */
struct drawn {
    double x[2], y[2];
    struct hbk_line line;
};

static struct drawn line_through(const struct points *points, const double *y)
{
    struct drawn drawn = {.x = {INFINITY, -INFINITY},
                          .line = hbk_line_of(points->x, y, points->count)};
    for (unsigned i = 0; i < points->count; i++) {
        drawn.x[0] = fmin(drawn.x[0], points->x[i]);
        drawn.x[1] = fmax(drawn.x[1], points->x[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        drawn.y[i] = drawn.line.intercept + drawn.line.slope * drawn.x[i];
    }
    return drawn;
}

static void put_interval(struct hbk_page *page, const struct hbk_line *line)
{
    if (!isnan(line->slope_low)) {
        hbk_page_put(page, " (95 %% interval %.2f to %.2f)", line->slope_low * KIB_OF_MIB,
                     line->slope_high * KIB_OF_MIB);
    }
}

static void put_fit(struct hbk_page *page, const char *of, const struct hbk_line *line)
{
    hbk_page_put(page, "<li>%s: %.2f KiB a connection", of, line->slope * KIB_OF_MIB);
    put_interval(page, line);
    hbk_page_put(page, ", %.2f MiB without any, R&sup2; %.3f</li>\n", line->intercept,
                 line->r_squared);
}

/* The line through the differences at each number of connections that both have: its slope is the
 * difference of slopes, and it has an interval of its own. */
static void put_difference(struct hbk_page *page, const struct points *with,
                           const struct points *without, const double *with_y,
                           const double *without_y)
{
    double x[POINTS_MAX], y[POINTS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < with->count; i++) {
        for (unsigned k = 0; k < without->count; k++) {
            if (with->x[i] == without->x[k]) {
                x[count] = with->x[i];
                y[count++] = with_y[i] - without_y[k];
                break;
            }
        }
    }
    struct hbk_line line = hbk_line_of(x, y, count);
    if (isnan(line.slope)) {
        hbk_page_put(page, "<li>what mutual TLS adds: not measured in this run</li>\n");
        return;
    }
    hbk_page_put(page, "<li>so mutual TLS adds %+.2f KiB to each connection",
                 line.slope * KIB_OF_MIB);
    put_interval(page, &line);
    hbk_page_put(page, " and %+.2f MiB to an agent without any", line.intercept);
    if (line.slope_low <= 0 && line.slope_high >= 0) {
        hbk_page_put(page, "; the interval of the slope holds 0: this run does not tell the two "
                           "lines' slopes apart");
    }
    hbk_page_put(page, "</li>\n");
}

static void put_drawing(struct hbk_page *page, const struct view *view, bool is_set)
{
    char title[160];
    const struct points *with = &view->with, *without = &view->without;
    const double *with_y = is_set ? with->set : with->own;
    const double *without_y = is_set ? without->set : without->own;
    const char *what = is_set ? "working set" : "private memory";
    struct drawn with_line = line_through(with, with_y);
    struct drawn without_line = line_through(without, without_y);
    (void)snprintf(title, sizeof title, "%s, 3,200/s in bursts: %s", view->name, what);
    const struct hbk_figure figure = {.title = title, .x_name = "connections", .y_name = "MiB"};
    const struct hbk_figure_series series[] = {
        {"mutual TLS", HBK_FIGURE_POINTS, with->x, with_y, NULL, NULL, with->count},
        {"line through it", HBK_FIGURE_LINE, with_line.x, with_line.y, NULL, NULL, 2},
        {"mutual TLS switched off", HBK_FIGURE_POINTS, without->x, without_y, NULL, NULL,
         without->count},
        {"line through that", HBK_FIGURE_LINE, without_line.x, without_line.y, NULL, NULL, 2},
    };
    bool has_both = without->count >= 2;
    hbk_page_lines(page, &figure, series, has_both ? HBK_COUNT(series) : 2);
    hbk_page_put(page, "<p>%s, %s:</p>\n<ul class=\"fit\">\n", view->name, what);
    put_fit(page, "with mutual TLS", &with_line.line);
    if (has_both) {
        put_fit(page, "with mutual TLS switched off", &without_line.line);
        put_difference(page, with, without, with_y, without_y);
    } else {
        hbk_page_put(page, "<li>with mutual TLS switched off: not measured in this run (system "
                           "<code>node-plain</code>)</li>\n");
    }
    hbk_page_put(page, "</ul>\n");
}

static void put_view(struct hbk_page *page, const struct hbk_paper *paper, struct view *view)
{
    collect(paper, view, "node", &view->with);
    collect(paper, view, "node-plain", &view->without);
    if (view->with.count < 2) {
        hbk_page_put(page, "<p class=\"none\">%s: not measured in this run%s.</p>\n", view->name,
                     view->placement == HBK_INTRA ? " (<code>--only fig8</code> does, and "
                                                    "<code>--full</code>)"
                                                  : "");
        return;
    }
    put_drawing(page, view, false);
    put_drawing(page, view, true);
}

void hbk_paper_put_memory_line(struct hbk_page *page, const struct hbk_paper *paper)
{
    static struct view views[] = {
        {.placement = HBK_INTER, .name = "Client's side, between nodes"},
        {.placement = HBK_INTER, .is_server = true, .name = "Server's side, between nodes"},
        {.placement = HBK_INTRA, .name = "Inside a node, the one agent"},
    };
    hbk_page_heading(page, "figure8",
                     "Figure 8: memory of the node agent by number of connections");
    for (size_t i = 0; i < HBK_COUNT(views); i++) {
        put_view(page, paper, &views[i]);
    }
    hbk_page_put(page, "<p>Without mutual TLS the mesh file says DISABLE, and the agents relay "
                       "plain text. The working set is private memory and the kernel's share of "
                       "the side, the application's own sockets included. The paper, whose memory "
                       "is a working set, reports R&sup2; 0.99 for Ambient; its Table I implies 17 "
                       "KiB a connection there, and it sees no more memory with mutual TLS than "
                       "without. Anything linear fits well; the slope is what "
                       "tells.</p>\n");
}
