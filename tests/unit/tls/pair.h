/* Two sessions joined by memory, and the certificates behind them. */
#pragma once

#include "crypto/key_worker.h"
#include "failing_heap.h"
#include "forge.h"
#include "tls/credential.h"
#include "tls/session.h"

enum { PAIR_QUEUE_BYTES = 256 << 10 };

/* Bytes on their way from one side to the other. */
struct pair_queue {
    uint8_t bytes[PAIR_QUEUE_BYTES];
    size_t size;
    size_t arrived; /* of them: what the receiver has been shown */
};

/* Which engine the credentials of a test get; its main runs everything with each. */
HBK_UNUSED static enum hbk_tls_engine_kind pair_engine = HBK_TLS_ENGINE_OPENSSL;

/* What the sessions of a test share. */
struct pair_worker {
    struct hbk_batcher *batcher;
    struct hbk_key_worker *keys;
    struct hbk_verdict_cache verdicts;
    struct hbk_tls_worker *tls;
};

HBK_UNUSED static void pair_worker_init(struct pair_worker *worker, size_t verdicts_max)
{
    struct hbk_batcher_options options;
    hbk_batcher_options_init(&options);
    assert_int_equal(hbk_batcher_new(&options, &worker->batcher), HBK_OK);
    assert_int_equal(hbk_key_worker_new(worker->batcher, &worker->keys), HBK_OK);
    hbk_verdict_cache_init(&worker->verdicts, verdicts_max);
    const struct hbk_tls_worker_options tls = {.keys = worker->keys, .verdicts = &worker->verdicts};
    assert_int_equal(hbk_tls_worker_new(&tls, &worker->tls), HBK_OK);
}

/* Runs the jobs that wait. */
HBK_UNUSED static void pair_worker_flush(struct pair_worker *worker)
{
    while (hbk_key_worker_due_ns(worker->keys) == 0) {
        (void)hbk_key_worker_flush(worker->keys, 1);
    }
}

HBK_UNUSED static void pair_worker_fini(struct pair_worker *worker)
{
    assert_int_equal(hbk_tls_worker_in_flight(worker->tls), 0);
    hbk_tls_worker_free(worker->tls);
    hbk_verdict_cache_fini(&worker->verdicts);
    hbk_key_worker_free(worker->keys);
    hbk_batcher_free(worker->batcher);
}

struct pair_mesh {
    struct pair_worker worker; /* without a cache */
    struct forged root;
    struct hbk_bundle_set *bundles;
    struct hbk_tls_credential *cart; /* spiffe://td.test/ns/shop/sa/cart */
    struct hbk_tls_credential *web;  /* spiffe://td.test/ns/shop/sa/web */
};

HBK_UNUSED static struct hbk_tls_credential *pair_credential(const struct forged *leaf,
                                                             struct hbk_bundle_set *bundles)
{
    struct hbk_svid *svid = forge_svid(leaf);
    struct hbk_tls_credential *credential = NULL;
    struct hbk_error error = {0};
    if (hbk_tls_credential_new(svid, bundles, 1, pair_engine, &credential, &error) != HBK_OK) {
        fail_msg("no credential: %s", error.text);
    }
    hbk_svid_unref(svid);
    return credential;
}

HBK_UNUSED static void pair_mesh_init(struct pair_mesh *mesh)
{
    pair_worker_init(&mesh->worker, 0);
    mesh->root = forge((struct forge)FORGE_ROOT("pair root"));
    mesh->bundles = forge_bundle_set("td.test", mesh->root.certificate);
    struct forged cart = forge((struct forge){.signer = &mesh->root});
    struct forged web = forge((struct forge){
        .signer = &mesh->root, .names = "critical,URI:spiffe://td.test/ns/shop/sa/web"});
    mesh->cart = pair_credential(&cart, mesh->bundles);
    mesh->web = pair_credential(&web, mesh->bundles);
    forged_free(&cart);
    forged_free(&web);
}

HBK_UNUSED static void pair_mesh_fini(struct pair_mesh *mesh)
{
    hbk_tls_credential_unref(mesh->cart);
    hbk_tls_credential_unref(mesh->web);
    hbk_bundle_set_unref(mesh->bundles);
    forged_free(&mesh->root);
    pair_worker_fini(&mesh->worker);
}

struct pair {
    struct pair_worker *worker; /* of both */
    struct hbk_tls_session *client;
    struct hbk_tls_session *server;
    enum hbk_tls_answer client_answer;
    enum hbk_tls_answer server_answer;
    struct pair_queue to_client;
    struct pair_queue to_server;
};

/* One step of a side, at which at most `input_max` more bytes arrive and which has `room` for
 * output. Returns the bytes that moved. */
HBK_UNUSED static size_t pair_step(struct hbk_tls_session *session, struct pair_queue *in,
                                   struct pair_queue *out, size_t input_max, size_t room,
                                   enum hbk_tls_answer *answer)
{
    size_t consumed = 0;
    size_t written = 0;
    if (*answer == HBK_TLS_DONE || *answer == HBK_TLS_FAILED) {
        return 0;
    }
    assert_true(out->size + room <= sizeof out->bytes);
    size_t left = in->size - in->arrived;
    size_t arriving = left < input_max ? left : input_max;
    in->arrived += arriving;
    *answer = hbk_tls_handshake(session, hbk_span_of(in->bytes, in->arrived), &consumed,
                                hbk_span_of(out->bytes + out->size, room), &written);
    assert_true(written <= room && consumed <= in->arrived);
    memmove(in->bytes, in->bytes + consumed, in->size - consumed);
    in->size -= consumed;
    in->arrived -= consumed;
    out->size += written;
    return arriving + consumed + written;
}

/* Runs both handshakes in pieces of random size up to `piece_max` until neither gets any further.
 */
HBK_UNUSED static void pair_handshake(struct pair *pair, size_t piece_max)
{
    pair->client_answer = HBK_TLS_WANT_INPUT;
    pair->server_answer = HBK_TLS_WANT_INPUT;
    size_t moved = 0;
    do {
        size_t input_max = 1 + (size_t)rand() % piece_max;
        size_t room = 1 + (size_t)rand() % piece_max;
        moved = pair_step(pair->client, &pair->to_client, &pair->to_server, input_max, room,
                          &pair->client_answer);
        moved += pair_step(pair->server, &pair->to_server, &pair->to_client, input_max, room,
                           &pair->server_answer);
        pair_worker_flush(pair->worker);
    } while (moved > 0 || pair->client_answer == HBK_TLS_WAITING ||
             pair->server_answer == HBK_TLS_WAITING);
}

/* Sessions of any contexts; roles and worker are filled in. */
HBK_UNUSED static struct pair *pair_of(struct pair_worker *worker, struct hbk_tls_context *client,
                                       struct hbk_tls_options client_options,
                                       struct hbk_tls_context *server, int64_t now_ns)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    pair->worker = worker;
    client_options.role = HBK_TLS_CLIENT;
    client_options.worker = worker->tls;
    assert_int_equal(hbk_tls_session_new(client, &client_options, now_ns, &pair->client), HBK_OK);
    const struct hbk_tls_options options = {.role = HBK_TLS_SERVER, .worker = worker->tls};
    assert_int_equal(hbk_tls_session_new(server, &options, now_ns, &pair->server), HBK_OK);
    return pair;
}

/* Sessions of a mesh; the server accepts the client's whole trust. */
HBK_UNUSED static struct pair *pair_new(struct pair_mesh *mesh, struct hbk_tls_credential *client,
                                        const struct hbk_expectation *expected_server,
                                        struct hbk_tls_credential *server, int64_t now_ns)
{
    struct hbk_tls_options options = {.expectation = hbk_tls_credential_neighbours(client)};
    if (expected_server != NULL) {
        options.expectation = *expected_server;
    }
    return pair_of(&mesh->worker, hbk_tls_credential_context(client), options,
                   hbk_tls_credential_context(server), now_ns);
}

HBK_UNUSED static void pair_free(struct pair *pair)
{
    hbk_tls_session_free(pair->client);
    hbk_tls_session_free(pair->server);
    free(pair);
}

/* A pair whose handshake is done. */
HBK_UNUSED static struct pair *pair_joined(struct pair_mesh *mesh)
{
    struct pair *pair = pair_new(mesh, mesh->web, NULL, mesh->cart, FORGE_NOW_NS);
    pair_handshake(pair, 20000);
    assert_int_equal(pair->client_answer, HBK_TLS_DONE);
    assert_int_equal(pair->server_answer, HBK_TLS_DONE);
    return pair;
}
