#include "load/course.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "load/format.h"

enum { INTERVALS_OF_SHORT_RUN = 100 };

hbk_status hbk_load_course_init(struct hbk_load_course *course, FILE *stream, bool is_terminal)
{
    *course = (struct hbk_load_course){.stream = stream, .is_terminal = is_terminal};
    HBK_TRY(hbk_histogram_init(&course->times));
    course->points = calloc(HBK_LOAD_POINTS_MAX, sizeof *course->points);
    if (course->points == NULL) {
        hbk_load_course_fini(course);
        return HBK_NO_MEMORY;
    }
    return HBK_OK;
}

void hbk_load_course_fini(struct hbk_load_course *course)
{
    free(course->points);
    hbk_histogram_fini(&course->times);
    *course = (struct hbk_load_course){0};
}

uint64_t hbk_load_course_interval_ns(const struct hbk_load_plan *plan)
{
    uint64_t interval_ns = plan->duration_ns / INTERVALS_OF_SHORT_RUN;
    if (plan->calls > 0 || plan->duration_ns == 0 || interval_ns > HBK_NS_PER_S) {
        return HBK_NS_PER_S;
    }
    return interval_ns < HBK_LOAD_INTERVAL_NS_MIN ? HBK_LOAD_INTERVAL_NS_MIN : interval_ns;
}

void hbk_load_course_begin(void *owner, uint64_t connections)
{
    struct hbk_load_course *course = owner;
    if (course->stream != NULL && !course->is_terminal) {
        fprintf(course->stream, "started over %" PRIu64 " connections\n", connections);
        (void)fflush(course->stream);
    }
}

/* A line of what happened since the last one. */
static void tell(struct hbk_load_course *course, const struct hbk_load_point *point)
{
    char p50[HBK_LOAD_DURATION_BYTES_MAX], p99[HBK_LOAD_DURATION_BYTES_MAX];
    const struct hbk_histogram *times = &course->times;
    uint64_t at_ns = point->since_ns + point->length_ns;
    double seconds = (double)(at_ns - course->told_ns) / (double)HBK_NS_PER_S;
    hbk_histogram_merge(&course->times, point->times);
    if (at_ns - course->told_ns < HBK_NS_PER_S - HBK_NS_PER_S / INTERVALS_OF_SHORT_RUN) {
        return; /* once a second is enough for eyes and logs */
    }
    course->told_ns = at_ns;
    fprintf(course->stream,
            "%s%7.1f s  %9.1f/s  P50 %9s  P99 %9s  %" PRIu64 " done, %" PRIu64 " failed%s",
            course->is_terminal ? "\r" : "", (double)at_ns / (double)HBK_NS_PER_S,
            (double)times->total / seconds,
            hbk_load_latency_text((double)hbk_histogram_percentile(times, 50), p50),
            hbk_load_latency_text((double)hbk_histogram_percentile(times, 99), p99), course->calls,
            course->failed, course->is_terminal ? "\033[K" : "\n");
    (void)fflush(course->stream);
    hbk_histogram_clear(&course->times);
}

void hbk_load_course_add(void *owner, const struct hbk_load_point *point)
{
    struct hbk_load_course *course = owner;
    course->calls += point->calls;
    course->failed += point->failed;
    if (course->count < HBK_LOAD_POINTS_MAX) {
        course->points[course->count++] = *point;
    } else {
        course->was_cut = true;
    }
    if (course->stream != NULL) {
        tell(course, point);
    }
}

void hbk_load_course_end(struct hbk_load_course *course)
{
    if (course->stream != NULL && course->is_terminal && course->told_ns > 0) {
        fputs("\r\033[K", course->stream);
    }
}
