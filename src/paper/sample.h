/*
 * One run of one cell of the paper's matrix, and how it is kept: a line of JSON in a file that only
 * grows, so that an interrupted series can be resumed. The names below are the keys of that file,
 * of results.json and of results.csv.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    HBK_SAMPLE_NAME_BYTES_MAX = 65,
    HBK_SAMPLE_KEY_BYTES_MAX = 160,
    HBK_SAMPLE_WHY_BYTES_MAX = 400,
    HBK_SAMPLE_COMMAND_BYTES_MAX = 640,
    HBK_SAMPLE_LINE_BYTES_MAX = 8192,
};

enum hbk_placement { HBK_INTRA, HBK_INTER, HBK_PLACEMENTS };
enum hbk_arrivals { HBK_BURST, HBK_UNIFORM, HBK_POISSON, HBK_FULL_SPEED, HBK_ARRIVALS };

const char *hbk_placement_text(enum hbk_placement placement);
const char *hbk_arrivals_text(enum hbk_arrivals arrivals);

/* What is asked of a system. */
struct hbk_cell {
    enum hbk_placement placement;
    enum hbk_arrivals arrivals;
    unsigned rate_rps; /* 0: closed loop */
    unsigned connections;
    unsigned delay_ms; /* of the server */
    unsigned duration_ms;
    unsigned pods; /* clients on a node, and as many servers, among which the load is divided;
                    * 0: one, the scene's own */
};

/* "inter burst 3200/s 1600c 200ms 4000ms", and " 50 pods": what makes a cell itself. */
const char *hbk_cell_key(const struct hbk_cell *cell,
                         char out_key[static HBK_SAMPLE_KEY_BYTES_MAX]);
bool hbk_cell_equal(const struct hbk_cell *a, const struct hbk_cell *b);

/* What was measured. Times in ms, CPU in cores, memory in MiB. */
enum hbk_measure {
    HBK_ACHIEVED_RPS,
    HBK_CALLS,
    HBK_FAILED,
    HBK_P50_MS, /* from the intended time */
    HBK_P99_MS,
    HBK_SERVICE_P50_MS, /* from the actual one */
    HBK_SERVICE_P99_MS,
    HBK_FORTIO_P50_MS, /* in Fortio's buckets */
    HBK_FORTIO_P99_MS,
    HBK_LATENESS_P99_MS,
    HBK_CLIENT_CPU, /* of the application, kernel included */
    HBK_SERVER_CPU,
    HBK_CLIENT_AGENT_CPU, /* of what stands beside it */
    HBK_SERVER_AGENT_CPU,
    HBK_SOFTIRQ_CPU,   /* of the whole machine, charged to whoever was running */
    HBK_UNCHARGED_CPU, /* the machine's busy time less that of our processes */
    HBK_CLIENT_MIB,    /* private memory of the application */
    HBK_SERVER_MIB,
    HBK_CLIENT_AGENT_MIB,
    HBK_SERVER_AGENT_MIB,
    HBK_CLIENT_SOCKETS,
    HBK_SERVER_SOCKETS,
    HBK_CLIENT_AGENT_SOCKETS,
    HBK_SERVER_AGENT_SOCKETS,
    HBK_KERNEL_MIB, /* what the kernel's slabs and socket buffers grew by, of the whole machine */
    HBK_WINDOW_S,   /* in which CPU was measured */
    HBK_START_S,    /* until system and server were ready */
    HBK_WARM_S,     /* then until the load had warmed up and its window began */
    HBK_STOP_S,     /* from the load's end until nothing was left of the run */
    HBK_MEASURES,
};

const char *hbk_measure_name(enum hbk_measure measure);

struct hbk_sample {
    char system[HBK_SAMPLE_NAME_BYTES_MAX];
    struct hbk_cell cell;
    unsigned block;
    bool is_good;                               /* false: `why` says what happened instead */
    char why[HBK_SAMPLE_WHY_BYTES_MAX];         /* also of a good one: why it should be doubted */
    char command[HBK_SAMPLE_COMMAND_BYTES_MAX]; /* of the load */
    double values[HBK_MEASURES];                /* NAN: not measured */
};

/* Appends one line with its end. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_sample_write(const struct hbk_sample *sample, struct hbk_buffer *out);

/* Reads one line. Fails: HBK_INVALID. */
HBK_MUST_USE hbk_status hbk_sample_read(struct hbk_slice line, struct hbk_sample *out_sample);

/* The head of results.csv, and one row. */
HBK_MUST_USE hbk_status hbk_sample_csv_head(struct hbk_buffer *out);
HBK_MUST_USE hbk_status hbk_sample_csv(const struct hbk_sample *sample, struct hbk_buffer *out);

/* What one side uses: application and agent together, and its share of the kernel's memory. */
double hbk_sample_side_cpu(const struct hbk_sample *sample, bool is_server);
double hbk_sample_side_private_mib(const struct hbk_sample *sample, bool is_server);
double hbk_sample_side_working_set_mib(const struct hbk_sample *sample, bool is_server);

/* What stands between the applications, all of it: of a pair both sides, of an agent that is on
 * both sides itself, once. NAN where nothing does. */
double hbk_sample_mesh_cpu(const struct hbk_sample *sample);
double hbk_sample_mesh_private_mib(const struct hbk_sample *sample);
