/*
 *     CONNECTING -- stands --> SHAKING -- done --> WAITING for the agent's SETTINGS
 *                                                     | close_notify
 *                                                     v
 *                                                  LEAVING -- the agent's end --> free
 *
 * The agent closes first, so that it is its side of the connection that lingers, and our ports are
 * free at once.
 */
#include "bench/dialler.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "net/batch.h"
#include "os/fd.h"
#include "os/limits.h"
#include "os/process.h"
#include "os/socket.h"
#include "tls/session.h"

enum {
    INPUT_BYTES = 2 * HBK_TLS_RECORD_BYTES_MAX,
    OUTPUT_BYTES = 16 << 10,
};

static const uint64_t tick_ns = HBK_NS_PER_MS;
static const uint64_t grace_ns = 10 * HBK_NS_PER_S; /* for the last ones to end */

enum state { CALL_FREE, CALL_CONNECTING, CALL_SHAKING, CALL_WAITING, CALL_LEAVING };

struct dialler;

struct call {
    struct hbk_source source;
    struct hbk_task flight; /* the handshake may go on */
    struct hbk_task burial; /* at the end of the turn */
    struct dialler *dialler;
    struct hbk_tls_session *tls; /* owned */
    enum state state;
    bool is_batched; /* waits for a batch */
    uint64_t begun_ns;
    size_t input_bytes;
    uint8_t input[INPUT_BYTES];
};

struct dialler {
    const struct hbk_dialler_plan *plan;
    struct hbk_dialler_result *result;
    struct hbk_loop loop;
    struct hbk_batch batch;
    struct hbk_timer tick; /* of the clock by which calls are due, and of the window */
    struct call *calls;    /* owned */
    unsigned busy;
    uint64_t start_ns, window_start_ns, window_end_ns;
    bool is_in_window, is_over;
    struct hbk_histogram times;
    uint64_t cpu_before_ns[HBK_DIALLER_WATCHED_MAX];
    uint64_t client_before_ns;
    uint8_t output[OUTPUT_BYTES];
};

static void begin_due(struct dialler *dialler);

/* The window -------------------------------------------------------------------------------- */

static void read_cpu(const struct dialler *dialler, uint64_t cpu_ns[HBK_DIALLER_WATCHED_MAX])
{
    for (size_t i = 0; i < HBK_DIALLER_WATCHED_MAX; i++) {
        cpu_ns[i] = 0;
        if (dialler->plan->watched[i] != 0) {
            (void)!hbk_process_cpu(dialler->plan->watched[i], &cpu_ns[i]);
        }
    }
}

static void enter_window(struct dialler *dialler)
{
    dialler->is_in_window = true;
    read_cpu(dialler, dialler->cpu_before_ns);
    dialler->client_before_ns = hbk_clock_thread_cpu_ns();
    dialler->window_start_ns = hbk_clock_monotonic_ns();
    dialler->window_end_ns = dialler->window_start_ns + dialler->plan->measure_ns;
}

static void leave_window(struct dialler *dialler)
{
    struct hbk_dialler_result *result = dialler->result;
    uint64_t after_ns[HBK_DIALLER_WATCHED_MAX];
    dialler->is_in_window = false;
    dialler->is_over = true;
    result->window_ns = hbk_clock_monotonic_ns() - dialler->window_start_ns;
    result->client_cpu_ns = hbk_clock_thread_cpu_ns() - dialler->client_before_ns;
    read_cpu(dialler, after_ns);
    for (size_t i = 0; i < HBK_DIALLER_WATCHED_MAX; i++) {
        result->cpu_ns[i] = after_ns[i] - dialler->cpu_before_ns[i];
    }
    result->p50_us = (double)hbk_histogram_percentile(&dialler->times, 50) / 1e3;
    result->p99_us = (double)hbk_histogram_percentile(&dialler->times, 99) / 1e3;
}

static void on_tick(struct hbk_timer *timer)
{
    struct dialler *dialler = HBK_CONTAINER(timer, struct dialler, tick);
    uint64_t now_ns = dialler->loop.now_ns;
    if (dialler->is_over) {
        hbk_loop_stop(&dialler->loop); /* the last ones took too long */
        return;
    }
    if (dialler->is_in_window && now_ns >= dialler->window_end_ns) {
        leave_window(dialler);
        hbk_loop_timer(&dialler->loop, &dialler->tick, grace_ns);
        return;
    }
    if (!dialler->is_in_window && now_ns >= dialler->start_ns + dialler->plan->warm_ns) {
        enter_window(dialler);
    }
    begin_due(dialler);
    hbk_loop_timer(&dialler->loop, &dialler->tick, tick_ns);
}

/* A call -------------------------------------------------------------------------------------- */

static void end(struct call *call)
{
    hbk_loop_remove(&call->dialler->loop, &call->source);
    hbk_task_cancel(&call->flight);
    hbk_fd_close(&call->source.fd);
    call->state = CALL_FREE;
    hbk_loop_post(&call->dialler->loop, HBK_PHASE_END, &call->burial);
}

static void on_burial(struct hbk_task *task)
{
    struct call *call = HBK_CONTAINER(task, struct call, burial);
    struct dialler *dialler = call->dialler;
    hbk_tls_session_free(call->tls);
    call->tls = NULL;
    dialler->busy--;
    if (dialler->is_over && dialler->busy == 0) {
        hbk_loop_stop(&dialler->loop);
    } else {
        begin_due(dialler);
    }
}

HBK_PRINTF(2, 3) static void fail(struct call *call, const char *format, ...)
{
    struct hbk_dialler_result *result = call->dialler->result;
    result->errors++;
    if (result->failure[0] == '\0') {
        va_list values;
        va_start(values, format);
        (void)vsnprintf(result->failure, sizeof result->failure, format, values);
        va_end(values);
    }
    end(call);
}

/* What we say is short and the socket is young: it takes all of it. */
static bool say(struct call *call, size_t size)
{
    size_t sent = 0;
    if (size == 0) {
        return true;
    }
    if (hbk_socket_send(call->source.fd, hbk_slice_of(call->dialler->output, size), &sent) !=
            HBK_IO_DONE ||
        sent < size) {
        fail(call, "a flight of %zu bytes was not taken", size);
        return false;
    }
    return true;
}

static void greeted(struct call *call)
{
    struct dialler *dialler = call->dialler;
    size_t size = 0;
    if (dialler->is_in_window) {
        dialler->result->handshakes++;
        hbk_histogram_record(&dialler->times, hbk_clock_monotonic_ns() - call->begun_ns);
    }
    call->state = CALL_LEAVING;
    (void)!hbk_tls_shutdown(call->tls, hbk_span_of(dialler->output, OUTPUT_BYTES), &size);
    (void)say(call, size);
}

static void drop_input(struct call *call, size_t size)
{
    call->input_bytes -= size;
    memmove(call->input, call->input + size, call->input_bytes);
}

/* False when it wants more, or has ended. */
static bool shake(struct call *call)
{
    size_t consumed = 0;
    size_t written = 0;
    enum hbk_tls_answer answer =
        hbk_tls_handshake(call->tls, hbk_span_of(call->input, call->input_bytes), &consumed,
                          hbk_span_of(call->dialler->output, OUTPUT_BYTES), &written);
    drop_input(call, consumed);
    if (answer == HBK_TLS_FAILED) {
        fail(call, "%s", hbk_tls_failure(call->tls).text);
        return false;
    }
    if (!say(call, written)) {
        return false;
    }
    if (answer == HBK_TLS_DONE) {
        call->state = CALL_WAITING;
        return true;
    }
    if (answer == HBK_TLS_WAITING) {
        call->is_batched = true;
        hbk_batch_wake(&call->dialler->batch);
    }
    return answer == HBK_TLS_WANT_ROOM;
}

static bool read_greeting(struct call *call)
{
    size_t consumed = 0;
    struct hbk_slice plain = {0};
    enum hbk_tls_answer answer =
        hbk_tls_open(call->tls, hbk_span_of(call->input, call->input_bytes), &consumed, &plain);
    if (answer == HBK_TLS_FAILED || answer == HBK_TLS_CLOSED) {
        fail(call, "the agent ended the tunnel before a word");
        return false;
    }
    drop_input(call, consumed);
    if (answer == HBK_TLS_DONE && plain.size > 0) {
        greeted(call);
        return false;
    }
    return answer == HBK_TLS_DONE;
}

static void go_on(struct call *call)
{
    while (call->state == CALL_SHAKING && shake(call)) {
    }
    while (call->state == CALL_WAITING && read_greeting(call)) {
    }
}

static void on_progress(void *owner)
{
    struct call *call = owner;
    hbk_loop_post(&call->dialler->loop, HBK_PHASE_FLIGHT, &call->flight);
}

static void read_ready(struct call *call);

static void on_flight(struct hbk_task *task)
{
    struct call *call = HBK_CONTAINER(task, struct call, flight);
    call->is_batched = false;
    go_on(call);
    read_ready(call);
}

/* Reads until there is nothing, or no reason to. */
static void read_ready(struct call *call)
{
    while (call->state >= CALL_SHAKING && !call->is_batched &&
           (call->source.ready & HBK_READABLE) != 0) {
        size_t size = 0;
        if (call->state == CALL_LEAVING) {
            call->input_bytes = 0; /* whatever the agent still says */
        }
        switch (hbk_socket_receive(
            call->source.fd,
            hbk_span_of(call->input + call->input_bytes, INPUT_BYTES - call->input_bytes), &size)) {
        case HBK_IO_DONE:
            call->input_bytes += size;
            go_on(call);
            break;
        case HBK_IO_AGAIN:
            call->source.ready &= ~(uint32_t)HBK_READABLE;
            break;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            if (call->state == CALL_LEAVING) {
                end(call);
            } else {
                fail(call, "the agent closed during the handshake");
            }
            break;
        }
    }
}

static void on_ready(struct hbk_source *source)
{
    struct call *call = HBK_CONTAINER(source, struct call, source);
    if (call->state == CALL_CONNECTING) {
        int error = hbk_socket_error(source->fd);
        if (error != 0) {
            fail(call, "no connection: %s", strerror(error));
        } else if ((source->ready & HBK_WRITABLE) != 0) {
            call->state = CALL_SHAKING;
            go_on(call);
        }
    }
    read_ready(call);
}

static void begin(struct dialler *dialler, struct call *call)
{
    const struct hbk_dialler_plan *plan = dialler->plan;
    const struct hbk_tls_options options = {
        .role = HBK_TLS_CLIENT,
        .worker = dialler->batch.tls,
        .expectation = hbk_tls_credential_neighbours(plan->credential),
        .on_progress = on_progress,
        .owner = call,
    };
    const struct hbk_connect_options connect = {.mark = plan->mark};
    int fd = -1;
    call->source = (struct hbk_source){.fd = -1};
    call->is_batched = false;
    call->input_bytes = 0;
    call->begun_ns = hbk_clock_monotonic_ns();
    call->state = CALL_CONNECTING;
    dialler->busy++;
    dialler->result->handshakes_begun++;
    hbk_status status = hbk_tls_session_new(hbk_tls_credential_context(plan->credential), &options,
                                            hbk_clock_realtime_ns(), &call->tls);
    if (status == HBK_OK) {
        status = hbk_socket_connect(&plan->to, &connect, &fd);
    }
    if (status == HBK_OK) {
        hbk_socket_tune(fd);
        status = hbk_loop_add(&dialler->loop, &call->source, fd, on_ready);
        call->source.fd = fd;
    }
    if (status != HBK_OK) {
        fail(call, "no connection: %s", hbk_status_text(status));
    }
}

/* How many calls should have been begun by now. */
static uint64_t due_calls(const struct dialler *dialler)
{
    if (dialler->plan->rate == 0) {
        return UINT64_MAX;
    }
    uint64_t passed_ns = dialler->loop.now_ns - dialler->start_ns;
    return (uint64_t)((double)passed_ns * dialler->plan->rate / 1e9);
}

static void begin_due(struct dialler *dialler)
{
    uint64_t due = due_calls(dialler);
    for (unsigned i = 0;
         i < dialler->plan->in_flight && !dialler->is_over &&
         dialler->busy < dialler->plan->in_flight && dialler->result->handshakes_begun < due;
         i++) {
        struct call *call = &dialler->calls[i];
        if (call->state == CALL_FREE && !hbk_link_is_linked(&call->burial.link)) {
            begin(dialler, call);
        }
    }
}

/* The process ------------------------------------------------------------------------------- */

static void run(struct dialler *dialler)
{
    for (unsigned i = 0; i < dialler->plan->in_flight; i++) {
        struct call *call = &dialler->calls[i];
        call->dialler = dialler;
        hbk_task_init(&call->flight, on_flight);
        hbk_task_init(&call->burial, on_burial);
    }
    dialler->loop.now_ns = hbk_clock_monotonic_ns();
    hbk_timer_init(&dialler->tick, on_tick);
    hbk_loop_timer(&dialler->loop, &dialler->tick, tick_ns);
    dialler->start_ns = dialler->loop.now_ns;
    hbk_loop_run(&dialler->loop);
}

int hbk_dialler_run(void *argument)
{
    const struct hbk_dialler *ours = argument;
    uint64_t files_max = 0;
    struct dialler *dialler = calloc(1, sizeof *dialler);
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    if (dialler == NULL) {
        return EXIT_FAILURE;
    }
    dialler->plan = &ours->plan;
    dialler->result = ours->result;
    dialler->calls = calloc(ours->plan.in_flight, sizeof *dialler->calls);
    if (dialler->calls == NULL || hbk_histogram_init(&dialler->times) != HBK_OK ||
        hbk_limits_raise_open_files(&files_max) != HBK_OK ||
        hbk_loop_init(&dialler->loop) != HBK_OK ||
        hbk_batch_init(&dialler->batch, &dialler->loop, NULL) != HBK_OK) {
        return EXIT_FAILURE; /* which frees all */
    }
    run(dialler);
    return dialler->result->window_ns > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
