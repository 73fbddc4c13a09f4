/* An echo server in the test's own process, for the tests of load and of echo. */
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include "harness.h"
#include "load/echo.h"
#include "os/fd.h"
#include "os/poll.h"

/* An echo server on a thread of its own. */
struct server {
    struct hbk_echo_options options;
    pthread_t thread;
    sem_t is_listening;
    struct hbk_address address;
    int stop;
    hbk_status status;
};

static inline void on_listening(const struct hbk_address *bound, void *argument)
{
    struct server *server = argument;
    server->address = *bound;
    assert_int_equal(sem_post(&server->is_listening), 0);
}

static inline void *run_server(void *argument)
{
    struct server *server = argument;
    server->status = hbk_echo_run(&server->options, server->stop, on_listening, server, NULL);
    return NULL;
}

static inline void server_start(struct server *server, enum hbk_echo_mode mode)
{
    server->options.mode = mode;
    server->options.threads = server->options.threads == 0 ? 1 : server->options.threads;
    server->options.first_core = -1;
    if (server->options.bodies_bytes_max == 0) {
        server->options.bodies_bytes_max = HBK_ECHO_BODIES_BYTES;
    }
    assert_true(hbk_address_parse(HBK_SLICE("127.0.0.1:0"), &server->options.listen));
    assert_int_equal(sem_init(&server->is_listening, 0, 0), 0);
    assert_int_equal(hbk_event_open(&server->stop), HBK_OK);
    assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
    while (sem_wait(&server->is_listening) != 0) {
    }
}

static inline void server_stop(struct server *server)
{
    hbk_event_set(server->stop);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_int_equal(server->status, HBK_OK);
    hbk_fd_close(&server->stop);
    sem_destroy(&server->is_listening);
}
