#include "load/plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

enum { NUMBER_BYTES_MAX = 40 };

void hbk_load_plan_init(struct hbk_load_plan *plan)
{
    *plan = (struct hbk_load_plan){
        .connections = 4,
        .streams = 1,
        .threads = 1,
        .unit_s = 0.001,
        .rate_per_s = 8,
        .duration_ns = 5 * HBK_NS_PER_S,
        .timeout_ns = 3 * HBK_NS_PER_S,
        .first_core = -1,
        .percentiles = {50, 75, 90, 99, 99.9},
        .percentile_count = 5,
    };
}

hbk_status hbk_load_number_parse(struct hbk_slice text, double max, double *out_number)
{
    char copy[NUMBER_BYTES_MAX + 1];
    if (text.size == 0 || text.size > NUMBER_BYTES_MAX) {
        return HBK_INVALID;
    }
    /* strtod() also takes blanks, signs, hexadecimal, "inf" and "nan". */
    for (size_t i = 0; i < text.size; i++) {
        if (memchr("0123456789.eE+-", text.bytes[i], 15) == NULL) {
            return HBK_INVALID;
        }
    }
    memcpy(copy, text.bytes, text.size);
    copy[text.size] = '\0';
    char *end = NULL;
    double number = strtod(copy, &end);
    if (*end != '\0' || !isfinite(number) || number < 0 || number > max) {
        return HBK_INVALID;
    }
    *out_number = number;
    return HBK_OK;
}

hbk_status hbk_load_plan_set_percentiles(struct hbk_load_plan *plan, struct hbk_slice text,
                                         struct hbk_error *error)
{
    double percentiles[HBK_LOAD_PERCENTILES_MAX];
    unsigned count = 0;
    for (bool is_last = false; !is_last;) {
        size_t comma = text.size;
        is_last = !hbk_slice_find(text, ',', &comma);
        struct hbk_slice part = hbk_slice_part(text, 0, comma);
        if (count == HBK_LOAD_PERCENTILES_MAX) {
            return hbk_error_set(error, HBK_LIMIT, "at most %d percentiles are allowed",
                                 HBK_LOAD_PERCENTILES_MAX);
        }
        if (hbk_load_number_parse(part, 100, &percentiles[count]) != HBK_OK ||
            percentiles[count] <= 0 || percentiles[count] >= 100) {
            return hbk_error_set(error, HBK_INVALID,
                                 "percentile \"%.*s\": a number above 0 and below 100 is allowed",
                                 HBK_SLICE_ARGS(part));
        }
        count++;
        text = hbk_slice_part(text, comma + 1, text.size);
    }
    memcpy(plan->percentiles, percentiles, sizeof percentiles);
    plan->percentile_count = count;
    return HBK_OK;
}

/* "9@" in front of a URL. */
static hbk_status take_weight(struct hbk_slice *text, double *out_weight, struct hbk_error *error)
{
    size_t at, digits = 0;
    *out_weight = 1;
    while (digits < text->size && memchr("0123456789.", text->bytes[digits], 11) != NULL) {
        digits++;
    }
    if (digits == 0 || !hbk_slice_find(*text, '@', &at) || at != digits) {
        return HBK_OK;
    }
    struct hbk_slice number = hbk_slice_part(*text, 0, at);
    if (hbk_load_number_parse(number, HBK_LOAD_WEIGHT_MAX, out_weight) != HBK_OK ||
        *out_weight <= 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "weight \"%.*s\": a number above 0, at most %d, is allowed",
                             HBK_SLICE_ARGS(number), HBK_LOAD_WEIGHT_MAX);
    }
    *text = hbk_slice_part(*text, at + 1, text->size);
    return HBK_OK;
}

hbk_status hbk_load_plan_add_url(struct hbk_load_plan *plan, struct hbk_slice text,
                                 struct hbk_error *error)
{
    struct hbk_load_target target;
    struct hbk_load_path path;
    if (plan->path_count == HBK_LOAD_PATHS_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "at most %d URLs are allowed", HBK_LOAD_PATHS_MAX);
    }
    HBK_TRY(take_weight(&text, &path.weight, error));
    HBK_TRY(hbk_load_target_parse(text, &target, error));
    if (plan->path_count == 0) {
        plan->target = target;
    } else if (target.scheme != plan->target.scheme || target.is_tls != plan->target.is_tls ||
               target.port != plan->target.port ||
               !hbk_slice_equal_nocase(target.host, plan->target.host)) {
        return hbk_error_set(error, HBK_INVALID,
                             "\"%.*s\": all URLs must have the scheme, host and port of the first",
                             HBK_SLICE_ARGS(text));
    }
    path.url = target.url;
    path.path = target.path;
    plan->paths[plan->path_count++] = path;
    return HBK_OK;
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct hbk_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.bytes[i];
        if (byte <= ' ' || byte >= 0x7f || memchr("\"(),/:;<=>?@[\\]{}", byte, 17) != NULL) {
            return false;
        }
    }
    return name.size > 0;
}

/* RFC 9110, section 5.5: visible bytes, blanks and tabs. */
static bool is_field_value(struct hbk_slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        if ((value.bytes[i] < ' ' && value.bytes[i] != '\t') || value.bytes[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

hbk_status hbk_load_plan_add_header(struct hbk_load_plan *plan, struct hbk_slice line,
                                    struct hbk_error *error)
{
    size_t colon;
    if (!hbk_slice_find(line, ':', &colon) || !is_token(hbk_slice_part(line, 0, colon)) ||
        !is_field_value(hbk_slice_part(line, colon + 1, line.size))) {
        return hbk_error_set(
            error, HBK_INVALID,
            "header \"%.*s\": \"Name: value\" without control characters is allowed",
            HBK_SLICE_ARGS(line));
    }
    struct hbk_slice name = hbk_slice_part(line, 0, colon);
    if (hbk_slice_equal_nocase(name, HBK_SLICE("content-length")) ||
        hbk_slice_equal_nocase(name, HBK_SLICE("transfer-encoding"))) {
        return hbk_error_set(error, HBK_INVALID,
                             "header \"%.*s\": the body's length is told without it",
                             HBK_SLICE_ARGS(name));
    }
    if (plan->header_count == HBK_LOAD_HEADERS_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "at most %d headers are allowed",
                             HBK_LOAD_HEADERS_MAX);
    }
    plan->headers[plan->header_count++] = line;
    return HBK_OK;
}

static hbk_status check_counts(const struct hbk_load_plan *plan, struct hbk_error *error)
{
    if (plan->connections < 1 || plan->connections > HBK_LOAD_CONNECTIONS_MAX) {
        return hbk_error_set(error, HBK_INVALID, "%u connections: 1 to %d are allowed",
                             plan->connections, HBK_LOAD_CONNECTIONS_MAX);
    }
    if (plan->threads < 1 || plan->threads > HBK_LOAD_THREADS_MAX ||
        plan->threads > plan->connections) {
        return hbk_error_set(error, HBK_INVALID,
                             "%u threads: 1 to %d are allowed, and not more than connections",
                             plan->threads, HBK_LOAD_THREADS_MAX);
    }
    if (plan->streams < 1 || plan->streams > HBK_LOAD_STREAMS_MAX ||
        (plan->streams > 1 && (!plan->is_http2 || plan->arrival == HBK_LOAD_FORTIO))) {
        return hbk_error_set(error, HBK_INVALID,
                             "%u streams: 1 to %d are allowed with HTTP/2, 1 without and with "
                             "Fortio's schedule",
                             plan->streams, HBK_LOAD_STREAMS_MAX);
    }
    if (plan->reuse_max < plan->reuse_min || (plan->reuse_max > 0 && plan->reuse_min == 0)) {
        return hbk_error_set(error, HBK_INVALID,
                             "requests per connection from %u to %u: 1 and above are allowed, in "
                             "that order",
                             plan->reuse_min, plan->reuse_max);
    }
    return HBK_OK;
}

static hbk_status check_times(const struct hbk_load_plan *plan, struct hbk_error *error)
{
    bool has_lead = plan->ramp_ns > 0 || plan->warm_up_ns > 0;
    if (plan->timeout_ns == 0) {
        return hbk_error_set(error, HBK_INVALID, "a time-out of 0 would fail every request");
    }
    if (has_lead && plan->arrival == HBK_LOAD_FORTIO) {
        return hbk_error_set(error, HBK_INVALID, "a ramp or warm-up is not in Fortio's schedule");
    }
    if (plan->ramp_ns > 0 && !hbk_load_plan_is_open(plan)) {
        return hbk_error_set(error, HBK_INVALID, "a ramp needs a rate");
    }
    if (plan->arrival == HBK_LOAD_POISSON && !hbk_load_plan_is_open(plan)) {
        return hbk_error_set(error, HBK_INVALID, "Poisson arrivals need a rate");
    }
    bool is_fortio = plan->arrival == HBK_LOAD_FORTIO;
    if (!is_fortio && (plan->has_jitter || plan->skips_missed)) {
        return hbk_error_set(error, HBK_INVALID,
                             "jitter and no catching up belong to Fortio's schedule (--fortio)");
    }
    return HBK_OK;
}

static hbk_status check_protocol(const struct hbk_load_plan *plan, struct hbk_error *error)
{
    bool has_request = plan->header_count > 0 || plan->method.size > 0 ||
                       plan->content_type.size > 0 || plan->user.size > 0 || plan->body.size > 0;
    if (plan->target.scheme == HBK_LOAD_TCP && plan->header_count > 0) {
        return hbk_error_set(error, HBK_INVALID, "headers are for http://, the target is tcp://");
    }
    if (plan->target.scheme == HBK_LOAD_TCP && (has_request || plan->is_http2)) {
        return hbk_error_set(error, HBK_INVALID,
                             "method, body, user and HTTP/2 are for http://, the target is tcp://");
    }
    if (plan->is_http2 && plan->is_http10) {
        return hbk_error_set(error, HBK_INVALID, "HTTP/1.0 and HTTP/2 at once");
    }
    if (plan->method.size > 0 && !is_token(plan->method)) {
        return hbk_error_set(error, HBK_INVALID, "method \"%.*s\": a token such as PUT is allowed",
                             HBK_SLICE_ARGS(plan->method));
    }
    if (!is_field_value(plan->content_type) || !is_field_value(plan->user)) {
        return hbk_error_set(error, HBK_INVALID, "control characters in content type or user");
    }
    return HBK_OK;
}

hbk_status hbk_load_plan_check(const struct hbk_load_plan *plan, struct hbk_error *error)
{
    HBK_TRY(check_counts(plan, error));
    HBK_TRY(check_times(plan, error));
    return check_protocol(plan, error);
}
