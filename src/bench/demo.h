/*
 * The demonstration: seven claims about a mesh of two hosts, each shown and checked.
 *
 *  1. front reaches cart without a mesh      5. an intruder is refused by a named policy
 *  2. the same with the mesh, and its price  6. plain text is refused
 *  3. the caller is named by certificate     7. certificates rotate and no request fails
 *  4. nothing of the requests is on a wire
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "bench/load_run.h"
#include "bench/scene.h"
#include "os/capture.h"

enum {
    HBK_DEMO_STEPS = 7,
    HBK_DEMO_DETAIL_BYTES_MAX = 512,
    HBK_DEMO_MARKER_BYTES = 32,
    HBK_DEMO_SERIALS_MAX = 16,
};

struct hbk_demo_options {
    bool is_kept;            /* wait at the end, with everything running */
    bool is_json;            /* one object at the end instead of text */
    uint64_t duration_ns;    /* of each load that is timed */
    unsigned rate_rps;       /* of those */
    unsigned connections;    /* of those */
    bool has_user_namespace; /* which a shell outside must enter, too */
};

enum hbk_demo_verdict {
    HBK_DEMO_NOT_RUN,
    HBK_DEMO_PASSED,
    HBK_DEMO_FAILED,
};

struct hbk_demo_step {
    enum hbk_demo_verdict verdict;
    char detail[HBK_DEMO_DETAIL_BYTES_MAX]; /* what was seen, one line or none */
};

/* What a timed load cost. Per request, in microseconds of CPU. */
struct hbk_demo_timing {
    struct hbk_bench_load_figures load;
    double server_us;
    double agent_us[2];              /* alpha, beta */
    uint64_t agent_private_bytes[2]; /* after the load */
};

/* The certificates that an agent was seen to show, by serial number. */
struct hbk_demo_serials {
    char seen[HBK_DEMO_SERIALS_MAX][HBK_PROGRAM_PATH_BYTES_MAX];
    unsigned count;
};

struct hbk_demo {
    struct hbk_demo_options options;
    struct hbk_demo_step steps[HBK_DEMO_STEPS];
    struct hbk_scene scene;
    struct hbk_program services[2]; /* of cart and neighbour */
    struct hbk_program steady_load; /* from before step 3 to the end of step 7 */
    char marker[HBK_DEMO_MARKER_BYTES + 1];

    struct hbk_demo_timing plain, mesh;
    struct hbk_capture_counts plain_wire, plain_cable; /* the control: the marker is seen */
    struct hbk_capture_counts mesh_wire, mesh_cable;
    struct hbk_demo_serials serials[2]; /* shown for cart and for front */
    struct hbk_bench_load_figures steady;
    unsigned fresh_requests, fresh_failed; /* over new connections, during rotation */
};

/* Runs all steps in the calling process, which must be the first of a private world. Prints as it
 * goes. Returns true when every check holds. */
bool hbk_demo_run(const struct hbk_demo_options *options);

const char *hbk_demo_title(unsigned step);
