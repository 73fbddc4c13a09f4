/*
 * A double of Intel's libqat and libusdm in one shared object: the same symbols and sizes, written
 * from the description of the interface and not from our adapter's header. Its RSA is real. A test
 * tells it how to misbehave.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { QAT_DOUBLE_INSTANCES_MAX = 8, QAT_DOUBLE_RING = 64 };

struct qat_double_settings {
    int32_t start_status;
    uint16_t instances;
    uint8_t rsa_instances; /* a bit for each that serves RSA */
    bool has_descriptors;
    int32_t submit_status; /* other than 0: what submitting returns */
    bool is_gated;         /* who is refused returns when this is taken away */
    int32_t answer_status; /* that answers come with */
    bool is_wrong;         /* answers have a wrong bit */
    bool is_held;          /* answers do not come until this is taken away */
};

struct qat_double_counts {
    unsigned started, stopped;                     /* the library */
    unsigned instances_started, instances_stopped; /* all of them together */
    unsigned submitted[QAT_DOUBLE_INSTANCES_MAX];
    unsigned answered;
    unsigned polls;
    unsigned waiting;       /* in the rings */
    unsigned refused;       /* by submit_status; may still be at the gate */
    unsigned full;          /* submissions that found a full ring */
    unsigned bad_calls;     /* arguments that the library would refuse or crash on */
    unsigned pinned_blocks; /* allocated and not released */
};

/* Any thread. Found by dlsym in the same shared object. Setting NULL clears the counts, too. */
typedef void qat_double_set_function(const struct qat_double_settings *settings);
typedef void qat_double_get_function(struct qat_double_counts *out_counts);
typedef void qat_double_wait_function(unsigned answered);   /* until so many are */
typedef void qat_double_refused_function(unsigned refused); /* waits until so many are */
typedef void qat_double_event_function(unsigned instance, int32_t event);
