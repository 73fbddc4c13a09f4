#define OPENSSL_SUPPRESS_DEPRECATED /* to look into keys */

#include "tls/openssl_fibre.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "failing_heap.h"
#include "forge.h"

enum { MANY = 64, TURNS_MAX = 10000, KEYS = 5 };

/* ---- keys and contexts ---- */

static const struct {
    const char *name;
    bool waits; /* through its provider; else within the step */
} key_cases[KEYS] = {
    {"RSA-2048", true}, {"P-256", true}, {"P-384", true}, {"Ed25519", false}, {"RSA-4096", true},
};

static struct forged root;
static struct forged leaves[KEYS];

static EVP_PKEY *make_pkey(int index)
{
    switch (index) {
    case 0:
        return EVP_RSA_gen(2048);
    case 1:
        return EVP_EC_gen("P-256");
    case 2:
        return EVP_EC_gen("P-384");
    case 3:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default:
        return EVP_RSA_gen(4096);
    }
}

static int make_leaves(void **state)
{
    (void)state;
    root = forge((struct forge)FORGE_ROOT("fibre root"));
    for (int i = 0; i < KEYS; i++) {
        EVP_PKEY *pkey = make_pkey(i);
        leaves[i] = forge((struct forge){.signer = &root, .key = pkey});
        EVP_PKEY_free(pkey);
    }
    return 0;
}

static int free_leaves(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        forged_free(&leaves[i]);
    }
    forged_free(&root);
    return 0;
}

static SSL_CTX *new_context(int version, const struct forged *leaf, EVP_PKEY *pkey)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    assert_int_equal(SSL_CTX_set_min_proto_version(context, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, version), 1);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.certificate);
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context), FORGE_NOW_NS / 1000000000);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
    if (leaf != NULL) {
        assert_int_equal(SSL_CTX_use_cert_and_key(context, leaf->certificate, pkey, NULL, 1), 1);
    }
    return context;
}

/* ---- a worker and its connections ---- */

struct bench {
    struct hbk_batcher *batcher;
    struct hbk_key_worker *keys;
    struct hbk_openssl_fibres fibres;
    struct hbk_private_key *key;
    SSL_CTX *server, *client;
    int progress; /* calls of on_progress */
};

struct connection {
    struct bench *bench;
    SSL *server, *client;
    struct hbk_openssl_fibre fibre; /* the server's */
    bool is_server_done, is_client_done, has_failed;
    bool is_waiting, is_called;
};

static struct hbk_private_key *new_key(EVP_PKEY *pkey)
{
    struct hbk_private_key *key = NULL;
    assert_int_equal(hbk_private_key_new(pkey, NULL, &key, NULL), HBK_OK);
    return key;
}

static void bench_open(struct bench *bench, int version, int leaf, unsigned paused_max,
                       unsigned queued_max)
{
    struct hbk_batcher_options options;
    memset(bench, 0, sizeof(*bench));
    hbk_batcher_options_init(&options);
    options.queued_max = queued_max;
    assert_int_equal(hbk_batcher_new(&options, &bench->batcher), HBK_OK);
    assert_int_equal(hbk_key_worker_new(bench->batcher, &bench->keys), HBK_OK);
    hbk_openssl_fibres_init(&bench->fibres, bench->keys, paused_max);
    bench->key = new_key(leaves[leaf].key);
    EVP_PKEY *pkey = hbk_openssl_key_new(bench->key);
    assert_non_null(pkey);
    bench->server = new_context(version, &leaves[leaf], pkey);
    EVP_PKEY_free(pkey);
    bench->client = new_context(version, NULL, NULL);
    SSL_CTX_set_verify(bench->client, SSL_VERIFY_PEER, NULL);
}

static void bench_close(struct bench *bench)
{
    SSL_CTX_free(bench->server);
    SSL_CTX_free(bench->client);
    hbk_private_key_unref(bench->key);
    assert_int_equal(bench->fibres.paused, 0);
    assert_int_equal(hbk_batcher_due_ns(bench->batcher), UINT64_MAX); /* no job is left */
    hbk_openssl_fibres_fini(&bench->fibres);
    hbk_key_worker_free(bench->keys);
    hbk_batcher_free(bench->batcher);
}

static void on_progress(void *owner)
{
    struct connection *connection = owner;
    connection->is_called = true;
    connection->bench->progress++;
}

/* Two BIOs of memory, each read by one side and written by the other. */
static void connection_open(struct connection *connection, struct bench *bench)
{
    BIO *to_server = BIO_new(BIO_s_mem());
    BIO *to_client = BIO_new(BIO_s_mem());
    memset(connection, 0, sizeof(*connection));
    BIO_set_mem_eof_return(to_server, -1);
    BIO_set_mem_eof_return(to_client, -1);
    connection->bench = bench;
    connection->server = SSL_new(bench->server);
    connection->client = SSL_new(bench->client);
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(connection->server, to_server, to_client);
    SSL_set_bio(connection->client, to_client, to_server);
    SSL_set_accept_state(connection->server);
    SSL_set_connect_state(connection->client);
    hbk_openssl_fibre_init(&connection->fibre, &bench->fibres, on_progress, connection);
}

static void connection_close(struct connection *connection)
{
    hbk_openssl_fibre_fini(&connection->fibre, connection->server);
    SSL_free(connection->server);
    SSL_free(connection->client);
}

static bool is_open(const struct connection *connection)
{
    return !connection->has_failed && (!connection->is_server_done || !connection->is_client_done);
}

static void note(struct connection *connection, SSL *ssl, int returned, bool *is_done)
{
    const int error = SSL_get_error(ssl, returned);
    *is_done = returned == 1;
    if (returned != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        connection->has_failed = true;
    }
    ERR_clear_error();
}

static void step(struct connection *connection)
{
    int returned = 0;
    if (!connection->is_client_done) {
        note(connection, connection->client, SSL_do_handshake(connection->client),
             &connection->is_client_done);
    }
    if (connection->is_server_done) {
        return;
    }
    const bool was_waiting = connection->is_waiting;
    connection->is_waiting =
        hbk_openssl_fibre_step(&connection->fibre, connection->server, 0, &returned);
    if (was_waiting && !connection->is_waiting) {
        assert_true(connection->is_called); /* whoever waits is told */
    }
    if (!connection->is_waiting) {
        note(connection, connection->server, returned, &connection->is_server_done);
    }
}

/* Turns of a loop: every connection steps, then what is due is flushed. Returns how many finished
 * both sides. */
static int run(struct bench *bench, struct connection *connections, int count)
{
    bool is_any_open = true;
    for (int turn = 0; turn < TURNS_MAX && is_any_open; turn++) {
        is_any_open = false;
        for (int i = 0; i < count; i++) {
            if (is_open(&connections[i])) {
                step(&connections[i]);
                is_any_open = true;
            }
        }
        assert_true(bench->fibres.paused <= bench->fibres.paused_max);
        while (hbk_key_worker_flush(bench->keys, 0)) {
        }
    }
    assert_false(is_any_open);
    int finished = 0;
    for (int i = 0; i < count; i++) {
        finished += !connections[i].has_failed;
    }
    return finished;
}

static struct connection *open_many(struct bench *bench, int count)
{
    struct connection *connections = calloc((size_t)count, sizeof(*connections));
    for (int i = 0; i < count; i++) {
        connection_open(&connections[i], bench);
    }
    return connections;
}

static void close_many(struct connection *connections, int count)
{
    for (int i = 0; i < count; i++) {
        connection_close(&connections[i]);
    }
    free(connections);
}

/* ---- what goes well ---- */

static void handshakes_of_every_key_wait_for_their_signature(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < HBK_COUNT(versions); v++) {
        for (int i = 0; i < KEYS; i++) {
            struct bench bench;
            struct connection connection;
            bench_open(&bench, versions[v], i, HBK_OPENSSL_PAUSED_MAX, 64);
            connection_open(&connection, &bench);
            if (run(&bench, &connection, 1) != 1) {
                fail_msg("%s", key_cases[i].name);
            }
            assert_int_equal(bench.fibres.counters.paused, key_cases[i].waits);
            assert_int_equal(bench.progress, key_cases[i].waits);
            assert_int_equal(bench.fibres.counters.at_once, 0);
            connection_close(&connection);
            bench_close(&bench);
        }
    }
}

static void many_handshakes_fill_the_lanes(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, TLS1_2_VERSION, 0, HBK_OPENSSL_PAUSED_MAX, HBK_BATCHER_QUEUED_MAX);
    struct connection *connections = open_many(&bench, MANY);
    assert_int_equal(run(&bench, connections, MANY), MANY);
    assert_string_equal(SSL_get_version(connections[0].server), "TLSv1.2");
    assert_int_equal(bench.fibres.counters.paused, MANY);
    const struct hbk_batcher_counters *counters = hbk_batcher_counters(bench.batcher);
    if (counters->vector_jobs > 0) { /* where there are kernels */
        assert_int_equal(counters->vector_jobs, MANY);
        assert_int_equal(counters->batches[HBK_QUEUE_RSA_PRIVATE_2048][HBK_LANES - 1],
                         MANY / HBK_LANES);
    } else {
        assert_int_equal(counters->twin_jobs, MANY);
    }
    close_many(connections, MANY);
    bench_close(&bench);
}

static void above_the_limit_handshakes_wait_in_line(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, TLS1_3_VERSION, 0, 3, HBK_BATCHER_QUEUED_MAX);
    struct connection *connections = open_many(&bench, MANY);
    assert_int_equal(run(&bench, connections, MANY), MANY);
    assert_int_equal(bench.fibres.counters.paused, MANY);
    assert_true(bench.fibres.counters.in_line >= MANY - 3);
    assert_int_equal(bench.fibres.counters.at_once, 0);
    close_many(connections, MANY);
    bench_close(&bench);
}

/* ---- what goes wrong ---- */

static void a_connection_may_die_while_it_waits(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < HBK_COUNT(versions); v++) {
        struct bench bench;
        bench_open(&bench, versions[v], 0, HBK_OPENSSL_PAUSED_MAX, 64);
        struct connection *connections = open_many(&bench, 9);
        for (int i = 0; i < 9; i++) {
            step(&connections[i]);
            assert_true(connections[i].is_waiting);
        }
        assert_int_equal(bench.fibres.paused, 9);
        connection_close(&connections[4]);
        assert_int_equal(bench.fibres.paused, 8);
        connection_open(&connections[4], &bench); /* another one in its place */
        assert_int_equal(run(&bench, connections, 9), 9);
        assert_int_equal(hbk_batcher_counters(bench.batcher)->cancelled_jobs, 1);
        close_many(connections, 9);
        bench_close(&bench);
    }
}

static void a_connection_may_die_when_its_signature_is_there(void **state)
{
    (void)state;
    struct bench bench;
    struct connection connection;
    bench_open(&bench, TLS1_2_VERSION, 1, HBK_OPENSSL_PAUSED_MAX, 64);
    connection_open(&connection, &bench);
    step(&connection);
    while (hbk_key_worker_flush(bench.keys, 0)) {
    }
    assert_true(connection.is_called);
    connection_close(&connection);
    bench_close(&bench);
}

static void a_connection_may_die_in_line(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, TLS1_2_VERSION, 1, 1, 64);
    struct connection *connections = open_many(&bench, 4);
    for (int i = 0; i < 4; i++) {
        step(&connections[i]);
    }
    assert_int_equal(bench.fibres.paused, 1);
    assert_int_equal(bench.fibres.counters.in_line, 3);
    connection_close(&connections[1]);
    connection_open(&connections[1], &bench); /* to the end of the line */
    connection_close(&connections[0]);        /* the one that had the fibre */
    assert_true(connections[2].is_called);    /* the first in line may go on */
    connection_open(&connections[0], &bench);
    assert_int_equal(run(&bench, connections, 4), 4);
    close_many(connections, 4);
    bench_close(&bench);
}

static void a_step_before_its_time_changes_nothing(void **state)
{
    (void)state;
    struct bench bench;
    struct connection connection;
    bench_open(&bench, TLS1_3_VERSION, 0, HBK_OPENSSL_PAUSED_MAX, 64);
    connection_open(&connection, &bench);
    for (int i = 0; i < 10; i++) {
        step(&connection);
        assert_true(connection.is_waiting);
    }
    assert_int_equal(bench.fibres.counters.paused, 1);
    assert_int_equal(run(&bench, &connection, 1), 1);
    connection_close(&connection);
    bench_close(&bench);
}

static void what_the_batcher_refuses_libcrypto_computes_at_once(void **state)
{
    (void)state;
    for (int leaf = 0; leaf < 3; leaf++) {
        struct bench bench;
        bench_open(&bench, TLS1_2_VERSION, leaf, HBK_OPENSSL_PAUSED_MAX, 1);
        struct connection *connections = open_many(&bench, 3);
        assert_int_equal(run(&bench, connections, 3), 3);
        assert_int_equal(bench.fibres.counters.at_once, 2);
        assert_int_equal(bench.fibres.counters.paused, 1);
        close_many(connections, 3);
        bench_close(&bench);
    }
}

static void a_signature_that_nobody_can_make_fails_the_handshake(void **state)
{
    (void)state;
    struct bench bench;
    struct connection connection;
    bench_open(&bench, TLS1_3_VERSION, 0, HBK_OPENSSL_PAUSED_MAX, 64);
    connection_open(&connection, &bench);
    step(&connection);
    assert_true(connection.is_waiting);
    /* As if the provider had completed it so. */
    hbk_key_cancel(bench.keys, &connection.fibre.operation);
    connection.fibre.operation.status = HBK_IO;
    connection.fibre.operation.complete(&connection.fibre.operation);
    assert_int_equal(run(&bench, &connection, 1), 0);
    assert_true(connection.has_failed);
    connection_close(&connection);
    bench_close(&bench);
}

/* ---- outside of fibres ---- */

static void without_a_fibre_a_key_signs_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        struct hbk_private_key *key = new_key(leaves[i].key);
        EVP_PKEY *pkey = hbk_openssl_key_new(key);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        const EVP_MD *hash = i == 3 ? NULL : EVP_sha384(); /* longer than P-256's order */
        uint8_t signature[512];
        size_t size = sizeof(signature);
        hbk_private_key_unref(key); /* the other one holds it */
        assert_int_equal(EVP_DigestSignInit(context, NULL, hash, NULL, pkey), 1);
        assert_int_equal(EVP_DigestSign(context, signature, &size, (const uint8_t *)"text", 4), 1);
        EVP_MD_CTX_free(context);
        context = EVP_MD_CTX_new();
        assert_int_equal(EVP_DigestVerifyInit(context, NULL, hash, NULL, leaves[i].key), 1);
        assert_int_equal(EVP_DigestVerify(context, signature, size, (const uint8_t *)"text", 4), 1);
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(pkey);
    }
}

static void libssl_gets_no_private_number(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        struct hbk_private_key *key = new_key(leaves[i].key);
        EVP_PKEY *pkey = hbk_openssl_key_new(key);
        hbk_private_key_unref(key);
        if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA) {
            assert_null(RSA_get0_d(EVP_PKEY_get0_RSA(pkey)));
            assert_null(RSA_get0_p(EVP_PKEY_get0_RSA(pkey)));
        } else if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC) {
            assert_null(EC_KEY_get0_private_key(EVP_PKEY_get0_EC_KEY(pkey)));
        } else {
            assert_false(key_cases[i].waits); /* Ed25519, which libssl computes itself */
        }
        EVP_PKEY_free(pkey);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_of_every_key_wait_for_their_signature),
        cmocka_unit_test(many_handshakes_fill_the_lanes),
        cmocka_unit_test(above_the_limit_handshakes_wait_in_line),
        cmocka_unit_test(a_connection_may_die_while_it_waits),
        cmocka_unit_test(a_connection_may_die_when_its_signature_is_there),
        cmocka_unit_test(a_connection_may_die_in_line),
        cmocka_unit_test(a_step_before_its_time_changes_nothing),
        cmocka_unit_test(what_the_batcher_refuses_libcrypto_computes_at_once),
        cmocka_unit_test(a_signature_that_nobody_can_make_fails_the_handshake),
        cmocka_unit_test(without_a_fibre_a_key_signs_at_once),
        cmocka_unit_test(libssl_gets_no_private_number),
    };
    return cmocka_run_group_tests(tests, make_leaves, free_leaves);
}
