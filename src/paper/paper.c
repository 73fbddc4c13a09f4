/*
 * The series: blocks, each of which has every cell, and in it every system once, both in random
 * order. After each run its sample is on the disk; whatever ends the series, all that was measured
 * is kept, and --resume goes on behind it.
 */
#include "paper/paper.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/load_run.h"
#include "paper/sample_file.h"

static bool is_measured(const struct hbk_paper *paper, const struct hbk_paper_system *system,
                        const struct hbk_cell *cell, unsigned block)
{
    for (unsigned i = 0; i < paper->sample_count; i++) {
        const struct hbk_sample *sample = &paper->samples[i];
        if (sample->block == block && sample->is_good &&
            strcmp(sample->system, system->name) == 0 && hbk_cell_equal(&sample->cell, cell)) {
            return true;
        }
    }
    return false;
}

enum { SERIES_TEXT_BYTES_MAX = 8192 };

/* ---- the series ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void shuffle(unsigned *list, unsigned count, uint64_t *random)
{
    for (unsigned i = 0; i < count; i++) {
        list[i] = i;
    }
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)((next_random(random) >> 11) % i);
        unsigned kept = list[i - 1];
        list[i - 1] = list[other];
        list[other] = kept;
    }
}

/* How far the series is, and how long the rest should take. */
struct course {
    unsigned number, count;        /* of runs, those of a resumed series included */
    uint64_t left_ms;              /* by plan */
    uint64_t planned_ms, taken_ms; /* of the runs of this process */
};

static bool is_run(const struct hbk_paper *paper, const struct hbk_paper_cell *cell,
                   unsigned system)
{
    return (cell->systems >> system & 1) != 0 && paper->systems[system].is_usable;
}

/* Counts the runs and their time, and says what was planned before it begins. */
static struct course plan_course(const struct hbk_paper *paper)
{
    struct course course = {0};
    uint64_t measuring_ms = 0;
    unsigned left = 0;
    for (unsigned i = 0; i < paper->cell_count; i++) {
        const struct hbk_paper_cell *cell = &paper->cells[i];
        for (unsigned k = 0; k < paper->system_count; k++) {
            const struct hbk_paper_system *system = &paper->systems[k];
            for (unsigned block = 0; is_run(paper, cell, k) && block < cell->blocks; block++) {
                course.count++;
                if (!is_measured(paper, system, &cell->cell, block)) {
                    left++;
                    measuring_ms += cell->cell.duration_ms;
                    course.left_ms += hbk_paper_run_ms(paper, system, &cell->cell);
                }
            }
        }
    }
    uint64_t other_ms = course.left_ms - measuring_ms;
    fprintf(stderr,
            "%u runs of %u cells, %u of them to do: %.0f s of measuring and %.0f s of set-up and "
            "pauses (%.1f s a run), %.1f minutes on an idle machine\n",
            course.count, paper->cell_count, left, (double)measuring_ms / 1000,
            (double)other_ms / 1000, left == 0 ? 0 : (double)other_ms / 1000 / left,
            (double)course.left_ms / 60000);
    return course;
}

static void tell(const struct hbk_sample *sample, const struct course *course)
{
    char key[HBK_SAMPLE_KEY_BYTES_MAX];
    /* The plan is for an idle machine; what the runs took until now tells how idle this one is. */
    double left_ms =
        (double)course->left_ms * (double)course->taken_ms / (double)course->planned_ms;
    fprintf(stderr, "[%u/%u, %.1f min left] block %u  %-14s %-40s ", course->number, course->count,
            left_ms / 60000, sample->block + 1, sample->system, hbk_cell_key(&sample->cell, key));
    if (!sample->is_good) {
        fprintf(stderr, "FAILED: %s\n", sample->why);
        return;
    }
    double p99_ms = sample->values[HBK_P99_MS]; /* which the control does not have */
    fprintf(stderr, "%8.0f/s  P99 %7.1f ms  CPU %.3f + %.3f%s%s\n",
            sample->values[HBK_ACHIEVED_RPS],
            isnan(p99_ms) ? sample->values[HBK_FORTIO_P99_MS] : p99_ms,
            hbk_sample_side_cpu(sample, false), hbk_sample_side_cpu(sample, true),
            sample->why[0] == '\0' ? "" : "  ", sample->why);
}

static hbk_status keep(struct hbk_paper *paper, const struct hbk_sample *sample,
                       struct hbk_error *error)
{
    if (paper->sample_count < HBK_PAPER_SAMPLES_MAX) {
        paper->samples[paper->sample_count++] = *sample;
    }
    return hbk_samples_add(paper->options.directory, sample, error);
}

static hbk_status run_cell(struct hbk_paper *paper, const struct hbk_paper_cell *cell,
                           unsigned block, uint64_t *random, struct course *course,
                           struct hbk_error *error)
{
    static struct hbk_sample sample;
    unsigned order[HBK_PAPER_SYSTEMS_MAX];
    shuffle(order, paper->system_count, random);
    for (unsigned i = 0; i < paper->system_count; i++) {
        const struct hbk_paper_system *system = &paper->systems[order[i]];
        if (!is_run(paper, cell, order[i])) {
            continue;
        }
        course->number++;
        if (is_measured(paper, system, &cell->cell, block)) {
            continue;
        }
        uint64_t began_ns = hbk_clock_monotonic_ns();
        uint64_t run_ms = hbk_paper_run_ms(paper, system, &cell->cell);
        hbk_paper_measure(paper, system, &cell->cell, block, &sample);
        HBK_TRY(keep(paper, &sample, error));
        hbk_program_pause((uint64_t)paper->options.pause_ms * HBK_NS_PER_MS);
        course->left_ms -= run_ms;
        course->planned_ms += run_ms;
        course->taken_ms += (hbk_clock_monotonic_ns() - began_ns) / HBK_NS_PER_MS;
        tell(&sample, course);
    }
    return HBK_OK;
}

/*
 * What the load generator costs and how late it is on this machine, with nothing to wait for: a
 * second at the paper's rate against a server on the loopback of the client's pod.
 */
static hbk_status calibrate(struct hbk_paper *paper, struct hbk_error *error)
{
    enum { CONNECTIONS = 64, RATE_RPS = 3200 };
    static const uint64_t server_timeout_ns = 10 * HBK_NS_PER_S;
    const char *const arguments[] = {"echo", "--listen", "127.0.0.1:9000", NULL};
    const struct hbk_program_spec spec = {.name = "calibration-server",
                                          .place = HBK_PLACE_FRONT,
                                          .cpu = (int)paper->options.agent_core,
                                          .arguments = arguments};
    const struct hbk_bench_load_plan plan = {
        .name = "calibration",
        .from = HBK_PLACE_FRONT,
        .cpu = (int)paper->options.load_core,
        .to = {.ip = {.size = 4, .bytes = {127, 0, 0, 1}}, .port = HBK_SCENE_PORT},
        .path = "/",
        .connections = CONNECTIONS,
        .rate_rps = RATE_RPS,
        .duration_ns = HBK_NS_PER_S,
    };
    struct hbk_program server = hbk_program_none();
    struct hbk_bench_load_figures figures;
    HBK_TRY(hbk_program_start(&paper->scene.topology, &spec, &server, error));
    hbk_status status = hbk_program_wait_for(&server, "listening on", server_timeout_ns, error);
    if (status == HBK_OK) {
        status = hbk_bench_load_run(&paper->scene.topology, &plan, &figures, error);
    }
    hbk_program_stop(&server);
    HBK_TRY(status);
    (void)snprintf(paper->calibration, sizeof paper->calibration,
                   "%d/s over %d connections of the loopback: %.1f us of the client's CPU a "
                   "request, P99 %.2f ms, of which the load generator was late P99 %.2f ms",
                   RATE_RPS, CONNECTIONS, figures.client_us, figures.p99_us / 1000,
                   figures.lateness_us / 1000);
    return HBK_OK;
}

/* The series does not depend on it; whatever is wrong is told there, too. */
static void try_calibration(struct hbk_paper *paper)
{
    struct hbk_error error = {0};
    hbk_status status = calibrate(paper, &error);
    if (status != HBK_OK) {
        (void)snprintf(paper->calibration, sizeof paper->calibration, "failed: %.*s",
                       HBK_PAPER_REASON_BYTES_MAX - 16,
                       error.status == HBK_OK ? hbk_status_text(status) : error.text);
    }
    fprintf(stderr, "calibration: %s\n", paper->calibration);
}

static hbk_status run_series(struct hbk_paper *paper, struct hbk_error *error)
{
    unsigned order[HBK_PAPER_CELLS_MAX], blocks = 0;
    struct course course = plan_course(paper);
    uint64_t random = paper->options.seed | 1;
    for (unsigned i = 0; i < paper->cell_count; i++) {
        blocks = paper->cells[i].blocks > blocks ? paper->cells[i].blocks : blocks;
    }
    for (unsigned block = 0; block < blocks; block++) {
        shuffle(order, paper->cell_count, &random);
        for (unsigned i = 0; i < paper->cell_count; i++) {
            const struct hbk_paper_cell *cell = &paper->cells[order[i]];
            if (block < cell->blocks) {
                HBK_TRY(run_cell(paper, cell, block, &random, &course, error));
            }
        }
    }
    return HBK_OK;
}

static hbk_status write_kind(const struct hbk_paper *paper, struct hbk_buffer *out)
{
    HBK_TRY(hbk_buffer_print(out, "hauberk %s, agents on core %u, client and server on core %u",
                             HBK_VERSION, paper->options.agent_core, paper->options.load_core));
    for (unsigned i = 0; i < paper->options.binary_count; i++) {
        HBK_TRY(hbk_buffer_print(out, ", %s", paper->options.binaries[i]));
    }
    return HBK_OK;
}

/* Runs of one folder must be of one kind: what is not in a cell's key is in this file. */
static hbk_status check_series(const struct hbk_paper *paper, struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    struct hbk_arena arena;
    struct hbk_slice found = {0};
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, SERIES_TEXT_BYTES_MAX);
    HBK_TRY(write_kind(paper, &text));
    (void)snprintf(path, sizeof path, "%s/series.txt", paper->options.directory);
    struct hbk_slice own = hbk_buffer_slice(&text);
    hbk_arena_init(&arena);
    hbk_status status = hbk_file_read(&arena, path, SERIES_TEXT_BYTES_MAX, &found);
    bool is_other = status == HBK_OK && paper->sample_count > 0 && !hbk_slice_equal(found, own);
    if (is_other) {
        status = hbk_error_set(
            error, HBK_INVALID, "%s was measured with \"%.*s\" and cannot be resumed with \"%.*s\"",
            paper->options.directory, HBK_SLICE_ARGS(found), HBK_SLICE_ARGS(own));
    }
    hbk_arena_fini(&arena);
    if (is_other) {
        return status;
    }
    status = hbk_file_write(path, own, 0644);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
}

static hbk_status prepare(struct hbk_paper *paper, struct hbk_error *error)
{
    hbk_status status = hbk_directory_make(paper->options.directory, 0755);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "%s: %s", paper->options.directory,
                             hbk_status_text(status));
    }
    HBK_TRY(hbk_samples_read(paper->options.directory, paper->samples, HBK_PAPER_SAMPLES_MAX,
                             &paper->sample_count, error));
    if (paper->sample_count > 0 && !paper->options.is_resumed) {
        return hbk_error_set(error, HBK_EXISTS,
                             "%s holds %u runs already; --resume goes on with them, another -o "
                             "begins anew",
                             paper->options.directory, paper->sample_count);
    }
    HBK_TRY(check_series(paper, error));
    HBK_TRY(hbk_paper_find_systems(paper, error));
    hbk_paper_try_systems(paper);
    hbk_paper_plan(paper);
    if (paper->cell_count == 0) {
        return hbk_error_set(error, HBK_INVALID, "nothing is left to measure");
    }
    return HBK_OK;
}

static hbk_status perform(struct hbk_paper *paper, struct hbk_error *error)
{
    HBK_TRY(prepare(paper, error));
    for (unsigned i = 0; i < paper->system_count; i++) {
        if (!paper->systems[i].is_usable) {
            fprintf(stderr, "%s: %s\n", paper->systems[i].name, paper->systems[i].reason);
        }
    }
    HBK_TRY(hbk_scene_init(&paper->scene, HBK_PLACES_OF_MESH, error));
    hbk_status status = hbk_paper_open_services(paper, error);
    if (status == HBK_OK) {
        try_calibration(paper);
        status = run_series(paper, error);
    }
    hbk_scene_fini(&paper->scene);
    HBK_TRY(status);
    return hbk_paper_write(paper, error);
}

bool hbk_paper_run(const struct hbk_paper_options *options)
{
    static struct hbk_paper paper; /* once per process, and too large for a stack */
    struct hbk_error error = {0};
    paper = (struct hbk_paper){.options = *options};
    hbk_arena_init(&paper.arena);
    paper.samples = calloc(HBK_PAPER_SAMPLES_MAX, sizeof *paper.samples);
    hbk_status status = paper.samples == NULL ? HBK_NO_MEMORY : perform(&paper, &error);
    if (status != HBK_OK) {
        fprintf(stderr, "hauberk bench: %s\n",
                error.status == HBK_OK ? hbk_status_text(status) : error.text);
    }
    free(paper.samples);
    hbk_arena_fini(&paper.arena);
    return status == HBK_OK;
}
