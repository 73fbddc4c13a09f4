/*
 * The experiment of "Performance Comparison of Service Mesh Frameworks: the mTLS Test Case" (arXiv
 * 2411.02267) on one machine: its tables and figures, for our data paths and for other people's.
 * docs/bench.md tells how to read what comes out.
 *
 *     plan (cells of the matrix) -> blocks: every system once in each cell, in random order
 *        -> samples.jsonl, one line a run -> results.json, results.csv, report.html
 */
#pragma once

#include "base/arena.h"
#include "bench/descriptor.h"
#include "bench/scene.h"
#include "paper/sample.h"

enum {
    HBK_PAPER_SYSTEMS_MAX = 24,
    HBK_PAPER_CELLS_MAX = 128,
    HBK_PAPER_BLOCKS_MAX = 100,
    HBK_PAPER_SAMPLES_MAX = HBK_PAPER_SYSTEMS_MAX * HBK_PAPER_CELLS_MAX * 8,
    HBK_PAPER_REASON_BYTES_MAX = 400,
    HBK_PAPER_BINARIES_MAX = 8,
    HBK_PAPER_FULL_PAUSE_MS = 10000, /* between two runs of a full series; of others: none */
};

/* The name of the control among the systems. */
#define HBK_PAPER_CONTROL "fortio"

/* In a bootstrap of ours or Envoy's: nothing is counted. */
#define HBK_PAPER_NO_STATISTICS "stats_config: {stats_matcher: {reject_all: true}}"

/* In an HTTP connection manager of ours: a line for each request, made and written, and kept by no
 * disk, which would be measured, too, and filled. */
#define HBK_PAPER_ACCESS_LOG                                                            \
    "access_log: [{name: envoy.access_loggers.file, typed_config: {\"@type\": "         \
    "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: " \
    "/dev/null}}]"

/* Tables and figures of the paper; bits of a cell's use. */
enum hbk_paper_item {
    HBK_TABLE_1 = 1 << 0, /* inside a node */
    HBK_TABLE_2 = 1 << 1, /* between nodes */
    HBK_FIGURE_2 = 1 << 2,
    HBK_FIGURE_3 = 1 << 3,
    HBK_FIGURE_4 = 1 << 4,
    HBK_FIGURE_5 = 1 << 5,
    HBK_FIGURE_6 = 1 << 6,
    HBK_FIGURE_7 = 1 << 7,
    HBK_FIGURE_8 = 1 << 8,
    HBK_FIGURE_9 = 1 << 9,
    HBK_FIGURE_10 = 1 << 10,
    HBK_FIGURE_11 = 1 << 11,
    HBK_FIGURE_12 = 1 << 12,
    HBK_MORE_PODS = 1 << 13, /* not in the paper: the same load over more pods of a node */
    HBK_ALL_ITEMS = (1 << 14) - 1,
};

/* What --only calls them, in the order of their bits. */
enum { HBK_PAPER_ITEMS = 14 };
extern const char *const hbk_paper_item_names[HBK_PAPER_ITEMS];

/* The systems that this program carries with it: their descriptors. */
extern const struct hbk_descriptor_text hbk_builtin_systems[];
extern const unsigned hbk_builtin_systems_count;

enum hbk_paper_kind {
    HBK_BASELINE,      /* nothing between client and server */
    HBK_BASELINE_MTLS, /* mutual TLS between the applications themselves */
    HBK_NODE,          /* our agents */
    HBK_PAIR,          /* two processes beside the applications, by descriptor */
    HBK_CONTROL,       /* no mesh either, and other people's client and server */
};

struct hbk_paper_system {
    char name[HBK_SAMPLE_NAME_BYTES_MAX];
    char title[HBK_SAMPLE_NAME_BYTES_MAX];
    enum hbk_paper_kind kind;
    bool encrypts;
    bool is_plain;      /* our agents with mutual TLS switched off in the mesh file */
    bool is_quiet;      /* a sidecar of ours without statistics */
    bool is_logging;    /* a sidecar of ours with an access log */
    bool is_variant;    /* differs by a switch: in Figures 7 and 8 and among the features alone */
    const char *gather; /* our agents' --gather; NULL: their default */
    bool is_usable;
    char reason[HBK_PAPER_REASON_BYTES_MAX]; /* why it is left out */
    char version[HBK_PAPER_REASON_BYTES_MAX];
    struct hbk_descriptor descriptor; /* of a pair */
    char binary[HBK_PATH_BYTES_MAX];  /* of all but the baselines */
    char file[HBK_PATH_BYTES_MAX];    /* of the descriptor, as it was given; empty: none was */
};

struct hbk_paper_cell {
    struct hbk_cell cell;
    unsigned items;   /* enum hbk_paper_item */
    unsigned enough;  /* those of them that ask for all its systems and blocks together */
    unsigned blocks;  /* at most the series' own */
    unsigned systems; /* a bit per system that it is for */
};

struct hbk_paper_options {
    bool is_full, is_quick; /* neither: quick, too */
    bool is_resumed;
    unsigned items;      /* enum hbk_paper_item */
    const char *systems; /* names and files, separated by commas; NULL: all there are */
    const char *directory;
    unsigned blocks;      /* 0: as the mode says */
    unsigned duration_ms; /* 0: as the mode says */
    unsigned pause_ms;    /* between two runs */
    unsigned agent_core, load_core;
    uint64_t seed;
    const char *binaries[HBK_PAPER_BINARIES_MAX]; /* "NAME=PATH" */
    unsigned binary_count;
    const char *command; /* the whole command line, for the report */
};

struct hbk_paper {
    struct hbk_paper_options options;
    struct hbk_arena arena; /* of descriptors */
    struct hbk_paper_system systems[HBK_PAPER_SYSTEMS_MAX];
    unsigned system_count;
    struct hbk_paper_cell cells[HBK_PAPER_CELLS_MAX];
    unsigned cell_count;
    struct hbk_sample *samples; /* owned */
    unsigned sample_count;
    struct hbk_scene scene;
    char calibration[HBK_PAPER_REASON_BYTES_MAX]; /* of the load generator, before the series */
};

/* Runs the series in the calling process, the first of a private world, and writes the report.
 * False when nothing could be measured or written. */
bool hbk_paper_run(const struct hbk_paper_options *options);

/* The cells for the options. Pure. */
void hbk_paper_plan(struct hbk_paper *paper);

/* How long a run should take on an idle machine, with all that goes with it. Pure. */
unsigned hbk_paper_run_ms(const struct hbk_paper *paper, const struct hbk_paper_system *system,
                          const struct hbk_cell *cell);

/* Finds the systems that were asked for; what cannot be used gets its reason. Fails: HBK_INVALID
 * (no such name, a descriptor with errors; the error has the first), HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_paper_find_systems(struct hbk_paper *paper, struct hbk_error *error);

/* Leaves out what this program cannot do, as it says itself when asked: starts processes. */
void hbk_paper_try_systems(struct hbk_paper *paper);

/* What stands between the applications in one run. */
struct hbk_paper_agents {
    pid_t nodes[HBK_SIDES]; /* our agents; 0: none; equal when one stands on both sides */
    struct hbk_program programs[HBK_DESCRIPTOR_PROCESSES_MAX];
    enum hbk_side sides[HBK_DESCRIPTOR_PROCESSES_MAX];
    unsigned program_count;
};

/* Puts a system between client and server of a placement, and takes it away. */
HBK_MUST_USE hbk_status hbk_paper_start_system(struct hbk_paper *paper,
                                               const struct hbk_paper_system *system,
                                               enum hbk_placement placement,
                                               struct hbk_paper_agents *out_agents,
                                               struct hbk_error *error);
void hbk_paper_stop_system(struct hbk_paper *paper, const struct hbk_paper_system *system,
                           struct hbk_paper_agents *agents);

/* The directory of a system's files in a placement. */
void hbk_paper_directory(const struct hbk_paper *paper, const struct hbk_paper_system *system,
                         enum hbk_placement placement,
                         char out_path[static HBK_PROGRAM_PATH_BYTES_MAX]);

/* Where the server of a placement is, and under which address it is called. */
enum hbk_place hbk_paper_server(enum hbk_placement placement);
const char *hbk_paper_address(enum hbk_placement placement);

/* Lets the service addresses lead to the servers, as kube-proxy does, for every system. */
HBK_MUST_USE hbk_status hbk_paper_open_services(struct hbk_paper *paper, struct hbk_error *error);

/* One run. Its failure is told in the sample. */
void hbk_paper_measure(struct hbk_paper *paper, const struct hbk_paper_system *system,
                       const struct hbk_cell *cell, unsigned block, struct hbk_sample *out_sample);

/* The same of a cell with more pods, for hauberk node: fills the values of a sample that has none.
 * Fails: HBK_TIMEOUT, HBK_CLOSED (something ended early), and as what it starts. */
HBK_MUST_USE hbk_status hbk_paper_measure_pods(struct hbk_paper *paper,
                                               const struct hbk_paper_system *system,
                                               const struct hbk_cell *cell,
                                               struct hbk_sample *sample, struct hbk_error *error);

/* results.json, results.csv and report.html. */
HBK_MUST_USE hbk_status hbk_paper_write(struct hbk_paper *paper, struct hbk_error *error);
