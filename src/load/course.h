/*
 * The course of a run: what happened in each interval, kept for the report, and told while it
 * lasts: one line that is written over on a terminal, plain lines elsewhere.
 */
#pragma once

#include <stdio.h>

#include "base/histogram.h"
#include "load/plan.h"

/* Two hours of seconds; what comes later is told but not kept. */
enum { HBK_LOAD_POINTS_MAX = 7200 };

struct hbk_load_course {
    struct hbk_load_point *points; /* owned */
    unsigned count;
    bool was_cut;

    /* Telling. */
    FILE *stream; /* borrowed; NULL: nobody listens */
    bool is_terminal;
    uint64_t told_ns;           /* until when it was told */
    struct hbk_histogram times; /* response times since then */
    uint64_t calls, failed;
};

/* Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_load_course_init(struct hbk_load_course *course, FILE *stream,
                                             bool is_terminal);
void hbk_load_course_fini(struct hbk_load_course *course);

/* An interval for this plan: about a hundred in a short run, one a second in a long one. */
uint64_t hbk_load_course_interval_ns(const struct hbk_load_plan *plan);

/* For struct hbk_load_watch: says that the schedule begins, in a log; takes a point. */
void hbk_load_course_begin(void *owner, uint64_t connections);
void hbk_load_course_add(void *course, const struct hbk_load_point *point);

/* Ends the line on a terminal. */
void hbk_load_course_end(struct hbk_load_course *course);
