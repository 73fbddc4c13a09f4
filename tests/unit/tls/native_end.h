/* One end of a native handshake, below the session, so that a test sees and changes its inside. */
#pragma once

#include "pair.h"
#include "tls/native.h"

enum { NATIVE_OUTPUT_BYTES = 64 << 10 };

struct native_end {
    struct pair_worker *worker; /* borrowed */
    struct hbk_tls_setup setup;
    struct hbk_native *handshake;
    enum hbk_tls_answer answer;
    size_t output_bytes; /* that the last step wrote */
    uint8_t output[NATIVE_OUTPUT_BYTES];
};

/* On the heap, since it is large. The context is borrowed; the name is the one that a client asks
 * for. */
HBK_UNUSED static struct native_end *native_end_new(struct pair_worker *worker,
                                                    struct hbk_tls_context *context,
                                                    enum hbk_tls_role role, const char *server_name)
{
    struct native_end *end = calloc(1, sizeof *end);
    void *handshake = NULL;
    assert_non_null(end);
    end->worker = worker;
    end->setup = (struct hbk_tls_setup){
        .context = context,
        .role = role,
        .worker = worker->tls,
        .server_name = role == HBK_TLS_CLIENT ? hbk_slice_text(server_name) : hbk_slice_of(NULL, 0),
        .now_ns = FORGE_NOW_NS,
    };
    assert_int_equal(hbk_tls_native.handshake_new(&end->setup, &handshake), HBK_OK);
    end->handshake = handshake;
    end->answer = HBK_TLS_WANT_INPUT;
    return end;
}

HBK_UNUSED static void native_end_free(struct native_end *end)
{
    hbk_tls_native.handshake_free(end->handshake);
    free(end);
}

/* One step; returns how much of the input was consumed. The input is scratch afterwards. */
HBK_UNUSED static size_t native_end_step(struct native_end *end, uint8_t *input, size_t input_bytes)
{
    size_t consumed = 0;
    end->answer =
        hbk_tls_native.step(end->handshake, hbk_span_of(input, input_bytes), &consumed,
                            hbk_span_of(end->output, sizeof end->output), &end->output_bytes);
    assert_true(consumed <= input_bytes);
    assert_true(end->answer != HBK_TLS_WANT_ROOM);
    return consumed;
}

/* Runs all jobs of the worker. */
HBK_UNUSED static void native_end_compute(struct pair_worker *worker)
{
    while (hbk_key_worker_flush(worker->keys, hbk_clock_monotonic_ns())) {
    }
}
