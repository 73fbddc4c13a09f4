/* Sessions of the engine openssl whose signatures are made by the worker's batcher. */
#include "pair.h"

enum { MANY = 32, WEB_PORTION = 20000 };

static void count_call(void *owner)
{
    (*(int *)owner)++;
}

/* Moves bytes until the server waits for its signature. */
static void run_until_the_server_waits(struct pair *pair)
{
    pair->client_answer = HBK_TLS_WANT_INPUT;
    pair->server_answer = HBK_TLS_WANT_INPUT;
    for (int i = 0; i < 10 && pair->server_answer != HBK_TLS_WAITING; i++) {
        (void)pair_step(pair->client, &pair->to_client, &pair->to_server, WEB_PORTION, WEB_PORTION,
                        &pair->client_answer);
        (void)pair_step(pair->server, &pair->to_server, &pair->to_client, WEB_PORTION, WEB_PORTION,
                        &pair->server_answer);
    }
    assert_int_equal(pair->server_answer, HBK_TLS_WAITING);
}

static void a_session_waits_for_its_signature_and_tells_its_owner(void **state)
{
    (void)state;
    struct pair_mesh mesh;
    int calls = 0;
    pair_mesh_init(&mesh);
    struct pair *pair = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
    hbk_tls_session_watch(pair->server, count_call, &calls);
    run_until_the_server_waits(pair);
    assert_int_equal(calls, 0);
    /* Stepped too early it waits on, and takes nothing. */
    assert_int_equal(pair_step(pair->server, &pair->to_server, &pair->to_client, WEB_PORTION,
                               WEB_PORTION, &pair->server_answer),
                     0);
    assert_int_equal(pair->server_answer, HBK_TLS_WAITING);
    pair_worker_flush(&mesh.worker);
    assert_int_equal(calls, 1);
    pair_handshake(pair, WEB_PORTION);
    assert_int_equal(pair->client_answer, HBK_TLS_DONE);
    assert_int_equal(pair->server_answer, HBK_TLS_DONE);
    pair_free(pair);
    pair_mesh_fini(&mesh);
}

static void signatures_of_many_sessions_share_batches(void **state)
{
    (void)state;
    struct pair_mesh mesh;
    struct pair *pairs[MANY];
    pair_mesh_init(&mesh);
    for (int i = 0; i < MANY; i++) {
        pairs[i] = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
        run_until_the_server_waits(pairs[i]);
    }
    pair_worker_flush(&mesh.worker);
    const struct hbk_batcher_counters *counters = hbk_batcher_counters(mesh.worker.batcher);
    if (counters->vector_jobs > 0) { /* where there are kernels */
        assert_int_equal(counters->batches[HBK_QUEUE_P256_SIGN][HBK_LANES - 1], MANY / HBK_LANES);
    } else {
        assert_int_equal(counters->twin_jobs, MANY);
    }
    for (int i = 0; i < MANY; i++) {
        pair_handshake(pairs[i], WEB_PORTION);
        assert_int_equal(pairs[i]->server_answer, HBK_TLS_DONE);
        assert_int_equal(pairs[i]->client_answer, HBK_TLS_DONE);
        pair_free(pairs[i]);
    }
    pair_mesh_fini(&mesh);
}

static void a_session_may_be_freed_while_it_waits(void **state)
{
    (void)state;
    struct pair_mesh mesh;
    pair_mesh_init(&mesh);
    struct pair *dead = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
    struct pair *alive = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
    run_until_the_server_waits(dead);
    run_until_the_server_waits(alive);
    pair_free(dead);
    assert_int_equal(hbk_batcher_counters(mesh.worker.batcher)->cancelled_jobs, 1);
    pair_handshake(alive, WEB_PORTION);
    assert_int_equal(alive->server_answer, HBK_TLS_DONE);
    pair_free(alive);
    pair_mesh_fini(&mesh); /* looks for handshakes in flight */
}

static void handshakes_that_come_in_bytes_wait_as_well(void **state)
{
    (void)state;
    struct pair_mesh mesh;
    pair_mesh_init(&mesh);
    for (int i = 0; i < 5; i++) {
        struct pair *pair = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
        pair_handshake(pair, 50);
        assert_int_equal(pair->client_answer, HBK_TLS_DONE);
        assert_int_equal(pair->server_answer, HBK_TLS_DONE);
        pair_free(pair);
    }
    pair_mesh_fini(&mesh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_waits_for_its_signature_and_tells_its_owner),
        cmocka_unit_test(signatures_of_many_sessions_share_batches),
        cmocka_unit_test(a_session_may_be_freed_while_it_waits),
        cmocka_unit_test(handshakes_that_come_in_bytes_wait_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
