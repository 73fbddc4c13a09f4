/*
 * What fails under a handshake: any allocation, any job of the batcher, the batcher itself, and the
 * connection, which may go at any time. The handshake then fails with a reason, nothing leaks, no
 * job stays behind, and the next handshake is as good as ever.
 */
#include <malloc.h>

#include "meeting.h"
#include "native_end.h"
#include "tls/engine.h"
#include "tls/ticket.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

static struct authority authority;
static struct pair_worker worker;

/* ---- jobs that fail ---- */

enum sabotage {
    SABOTAGE_NOTHING,
    SABOTAGE_REFUSES, /* the queue is full */
    SABOTAGE_FAILS,   /* nobody could compute it */
};

static struct {
    enum sabotage how;
    uint64_t submitted;
    uint64_t at; /* which job, from 1 */
    void (*complete)(struct hbk_job *job);
} jobs;

hbk_status __real_hbk_batcher_submit(struct hbk_batcher *batcher, struct hbk_job *job,
                                     uint64_t now_ns);
hbk_status __wrap_hbk_batcher_submit(struct hbk_batcher *batcher, struct hbk_job *job,
                                     uint64_t now_ns);

static enum hbk_lane_status *status_of(struct hbk_job *job)
{
    switch (job->kind) {
    case HBK_JOB_P256_AGREE:
        return &job->operation.p256_agree.status;
    case HBK_JOB_P256_SIGN:
        return &job->operation.p256_sign.status;
    case HBK_JOB_P256_VERIFY:
        return &job->operation.p256_verify.status;
    case HBK_JOB_X25519_AGREE:
        return &job->operation.x25519_agree.status;
    case HBK_JOB_RSA_PRIVATE:
    case HBK_JOB_RSA_PUBLIC:
        return &job->operation.rsa.status;
    case HBK_JOB_P384_AGREE:
        return &job->operation.p384_agree.status;
    case HBK_JOB_P384_SIGN:
        return &job->operation.p384_sign.status;
    case HBK_JOB_P384_VERIFY:
        return &job->operation.p384_verify.status;
    case HBK_JOB_ED25519_SIGN:
        return &job->operation.ed25519_sign.status;
    case HBK_JOB_ED25519_VERIFY:
        return &job->operation.ed25519_verify.status;
    default:
        fail_msg("a handshake submits no job of the kind %d", job->kind);
        return NULL;
    }
}

static void complete_failed(struct hbk_job *job)
{
    *status_of(job) = HBK_LANE_FAILED;
    job->complete = jobs.complete;
    jobs.complete(job);
}

hbk_status __wrap_hbk_batcher_submit(struct hbk_batcher *batcher, struct hbk_job *job,
                                     uint64_t now_ns)
{
    if (++jobs.submitted == jobs.at && jobs.how == SABOTAGE_REFUSES) {
        return HBK_LIMIT;
    }
    if (jobs.submitted == jobs.at && jobs.how == SABOTAGE_FAILS) {
        jobs.complete = job->complete;
        job->complete = complete_failed;
    }
    return __real_hbk_batcher_submit(batcher, job, now_ns);
}

static void sabotage(enum sabotage how, uint64_t at)
{
    jobs.how = how;
    jobs.submitted = 0;
    jobs.at = at;
}

static bool has_jobs(void)
{
    return hbk_key_worker_due_ns(worker.keys) != UINT64_MAX;
}

/* ---- a life ---- */

struct life {
    const char *name;
    enum authority_kind kind;
    const uint16_t *groups, *servers_groups; /* one each; NULL: the default */
    bool has_tickets;
    size_t piece_max; /* of the bytes on their way; 0: all at once */
};

static const uint16_t p256[] = {HBK_GROUP_P256};
static const uint16_t p384[] = {HBK_GROUP_P384};

static const struct life lives[] = {
    {"P-256, X25519", AUTHORITY_P256, NULL, NULL, false, 0},
    {"P-256, after a retry, in pieces", AUTHORITY_P256, NULL, p256, false, 100},
    {"P-384", AUTHORITY_P384, p384, NULL, false, 0},
    {"Ed25519, P-256", AUTHORITY_ED25519, p256, NULL, false, 0},
    {"RSA-2048, with tickets", AUTHORITY_RSA2048, NULL, NULL, true, 0},
};

struct lives_contexts {
    struct hbk_tls_context *client, *server;
};

static struct lives_contexts make_contexts(const struct life *life)
{
    struct hbk_tls_ticket_keys *keys = NULL;
    struct lives_contexts contexts;
    struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE,
                                              .resumes = life->has_tickets,
                                              .groups = life->groups,
                                              .group_count = life->groups != NULL ? 1 : 0};
    contexts.client =
        authority_context(&authority, options, authority_client(&authority, life->kind));
    if (life->has_tickets) {
        assert_int_equal(hbk_tls_ticket_keys_new(NULL, 0, &keys), HBK_OK);
    }
    options = (struct hbk_tls_context_options){
        .engine = HBK_TLS_ENGINE_NATIVE,
        .groups = life->servers_groups,
        .group_count = life->servers_groups != NULL ? 1 : 0,
        .ticket_keys = keys,
    };
    contexts.server =
        authority_context(&authority, options, authority_server(&authority, life->kind));
    hbk_tls_ticket_keys_unref(keys);
    return contexts;
}

static void free_contexts(struct lives_contexts *contexts)
{
    hbk_tls_context_unref(contexts->client);
    hbk_tls_context_unref(contexts->server);
}

/* One word from one to the other; false when it does not arrive. */
static bool speak(struct hbk_tls_session *from, struct pair_queue *wire, struct hbk_tls_session *to)
{
    struct hbk_slice word = HBK_SLICE("word");
    size_t sealed = 0;
    size_t written = 0;
    if (hbk_tls_seal(from, &word, 1,
                     hbk_span_of(wire->bytes + wire->size, sizeof wire->bytes - wire->size),
                     &sealed, &written) != HBK_TLS_DONE) {
        return false;
    }
    wire->size += written;
    uint8_t heard[16];
    enum hbk_tls_answer answer = HBK_TLS_FAILED;
    size_t used = meeting_open(to, wire, heard, sizeof heard, &answer);
    return answer == HBK_TLS_WANT_INPUT && hbk_slice_equal(hbk_slice_of(heard, used), word);
}

/* A failure has a reason: of ours, or the alert that the other sent. */
static void expect_reason(const struct hbk_tls_session *session, enum hbk_tls_answer answer)
{
    if (answer == HBK_TLS_FAILED) {
        struct hbk_tls_failure failure = hbk_tls_failure(session);
        assert_true(failure.text != NULL && failure.text[0] != '\0');
        assert_int_not_equal(failure.status, HBK_OK);
    }
}

/* Handshake, a word each way, the ticket; true when all went well. Nothing is left behind. */
static bool live(const struct life *life, const struct lives_contexts *contexts)
{
    static struct pair pair;
    struct hbk_tls_ticket *ticket = NULL;
    struct hbk_tls_options options = {
        .role = HBK_TLS_CLIENT, .worker = worker.tls, .server_name = HBK_SLICE("cart.test")};
    memset(&pair, 0, sizeof pair);
    pair.client_answer = pair.server_answer = HBK_TLS_WANT_INPUT;
    bool is_good =
        hbk_tls_session_new(contexts->client, &options, FORGE_NOW_NS, &pair.client) == HBK_OK;
    options = (struct hbk_tls_options){.role = HBK_TLS_SERVER, .worker = worker.tls};
    is_good = is_good &&
              hbk_tls_session_new(contexts->server, &options, FORGE_NOW_NS, &pair.server) == HBK_OK;
    if (is_good) {
        struct meeting_pace pace = {.room_max = life->piece_max};
        meeting_run(&worker, &pair, pace);
        expect_reason(pair.client, pair.client_answer);
        expect_reason(pair.server, pair.server_answer);
        is_good = pair.client_answer == HBK_TLS_DONE && pair.server_answer == HBK_TLS_DONE;
    }
    is_good = is_good && speak(pair.client, &pair.to_server, pair.server) &&
              speak(pair.server, &pair.to_client, pair.client);
    if (is_good && life->has_tickets) {
        ticket = hbk_tls_take_ticket(pair.client);
        is_good = ticket != NULL;
    }
    hbk_tls_ticket_unref(ticket);
    hbk_tls_session_free(pair.client);
    hbk_tls_session_free(pair.server);
    assert_int_equal(hbk_tls_worker_in_flight(worker.tls), 0);
    assert_false(has_jobs());
    return is_good;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(lives); i++) {
        struct lives_contexts contexts = make_contexts(&lives[i]);
        assert_true(live(&lives[i], &contexts));
        uint64_t survived = 0;
        uint64_t number = 1;
        for (; number < 2000; number++) {
            heap_fail_at(number);
            bool is_good = live(&lives[i], &contexts);
            bool has_failed = heap_allocations >= number;
            heap_fail_at(0);
            if (!has_failed) {
                assert_true(is_good);
                break;
            }
            survived += is_good;
        }
        print_message("           %s: %u allocations, %u survived\n", lives[i].name,
                      (unsigned)number - 1, (unsigned)survived);
        assert_in_range(number, 5, 1999);
        /* What may be missing: a verdict in the cache, an alert. */
        assert_true(survived * 4 <= number);
        assert_true(live(&lives[i], &contexts));
        free_contexts(&contexts);
    }
}

static void any_job_may_fail_or_be_refused(void **state)
{
    (void)state;
    static const enum sabotage ways[] = {SABOTAGE_REFUSES, SABOTAGE_FAILS};
    for (size_t i = 0; i < HBK_COUNT(lives); i++) {
        struct lives_contexts contexts = make_contexts(&lives[i]);
        sabotage(SABOTAGE_NOTHING, 0);
        assert_true(live(&lives[i], &contexts));
        uint64_t count = jobs.submitted;
        /* An agreement, a signature and a verification on each side. */
        assert_int_equal(count, 6);
        for (size_t j = 0; j < HBK_COUNT(ways); j++) {
            for (uint64_t at = 1; at <= count; at++) {
                sabotage(ways[j], at);
                assert_false(live(&lives[i], &contexts));
                sabotage(SABOTAGE_NOTHING, 0);
                assert_true(live(&lives[i], &contexts));
            }
        }
        free_contexts(&contexts);
    }
}

/* Who fails says internal_error, and the other hears it. */
static void a_job_that_fails_is_an_internal_error(void **state)
{
    (void)state;
    static const bool is_client[] = {false, false, true, true, true, false};
    struct lives_contexts contexts = make_contexts(&lives[0]);
    for (unsigned at = 1; at <= HBK_COUNT(is_client); at++) {
        for (unsigned how = SABOTAGE_REFUSES; how <= SABOTAGE_FAILS; how++) {
            struct pair *pair =
                meeting_of(&worker, contexts.client, contexts.server, NULL, FORGE_NOW_NS);
            sabotage(how, at);
            meeting_run(&worker, pair, meeting_at_once);
            sabotage(SABOTAGE_NOTHING, 0);
            /* The client's agreement runs first on its side; then its two jobs, in any order. */
            bool client_failed = pair->client_answer == HBK_TLS_FAILED &&
                                 !hbk_tls_failure(pair->client).alert_is_received;
            assert_int_equal(client_failed, is_client[at - 1]);
            meeting_expect_failed(pair, client_failed, HBK_ALERT_INTERNAL_ERROR);
            assert_false(has_jobs());
            pair_free(pair);
        }
    }
    free_contexts(&contexts);
}

/* ---- connections that go ---- */

/* Counts the answers that a pair gives until it is done, by freeing it after `steps` of them. */
static bool free_after(const struct lives_contexts *contexts, unsigned steps, bool client_first)
{
    struct pair *pair = meeting_of(&worker, contexts->client, contexts->server, NULL, FORGE_NOW_NS);
    unsigned taken = 0;
    while (taken < steps) {
        bool is_over = pair->client_answer == HBK_TLS_DONE && pair->server_answer == HBK_TLS_DONE;
        if (is_over) {
            pair_free(pair);
            return false;
        }
        if (taken % 3 == 0) {
            (void)pair_step(pair->client, &pair->to_client, &pair->to_server, 40000, 300,
                            &pair->client_answer);
        } else if (taken % 3 == 1) {
            (void)pair_step(pair->server, &pair->to_server, &pair->to_client, 40000, 300,
                            &pair->server_answer);
        } else {
            (void)hbk_key_worker_flush(worker.keys, hbk_clock_monotonic_ns());
        }
        taken++;
    }
    if (client_first) {
        hbk_tls_session_free(pair->client);
        pair->client = NULL;
        while (hbk_key_worker_flush(worker.keys, hbk_clock_monotonic_ns())) {
        }
    }
    hbk_tls_session_free(pair->server);
    hbk_tls_session_free(pair->client);
    free(pair);
    assert_false(has_jobs());
    assert_int_equal(hbk_tls_worker_in_flight(worker.tls), 0);
    return true;
}

static void sessions_may_be_freed_in_every_state_with_jobs_in_flight(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(lives); i++) {
        struct lives_contexts contexts = make_contexts(&lives[i]);
        uint64_t cancelled = hbk_batcher_counters(worker.batcher)->cancelled_jobs;
        for (unsigned client_first = 0; client_first < 2; client_first++) {
            unsigned steps = 0;
            while (free_after(&contexts, steps, client_first == 1)) {
                steps++;
            }
            assert_in_range(steps, 10, 500);
        }
        assert_true(hbk_batcher_counters(worker.batcher)->cancelled_jobs > cancelled + 4);
        assert_true(live(&lives[i], &contexts));
        free_contexts(&contexts);
    }
}

/* ---- many at once ---- */

enum { HALF_OPEN = 10000 };

/* What the heap has given out. */
static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void half_open_handshakes_have_a_bound_and_are_counted(void **state)
{
    (void)state;
    static struct hbk_tls_session *sessions[HALF_OPEN];
    struct lives_contexts contexts = make_contexts(&lives[0]);
    struct hbk_tls_worker *small = NULL;
    const struct hbk_tls_worker_options worker_options = {.keys = worker.keys,
                                                          .handshakes_max = HALF_OPEN};
    assert_int_equal(hbk_tls_worker_new(&worker_options, &small), HBK_OK);
    struct hbk_tls_options options = {
        .role = HBK_TLS_CLIENT, .worker = worker.tls, .server_name = HBK_SLICE("cart.test")};
    struct hbk_tls_session *client = NULL;
    uint8_t hello[1024];
    uint8_t output[8192];
    size_t hello_bytes = 0;
    size_t consumed = 0;
    size_t written = 0;
    assert_int_equal(hbk_tls_session_new(contexts.client, &options, FORGE_NOW_NS, &client), HBK_OK);
    assert_int_equal(hbk_tls_handshake(client, hbk_span_of(NULL, 0), &consumed,
                                       hbk_span_of(hello, sizeof hello), &hello_bytes),
                     HBK_TLS_WANT_INPUT);

    options = (struct hbk_tls_options){.role = HBK_TLS_SERVER, .worker = small};
    size_t before_bytes = heap_bytes();
    for (size_t i = 0; i < HALF_OPEN; i++) {
        uint8_t copy[sizeof hello];
        memcpy(copy, hello, hello_bytes);
        assert_int_equal(hbk_tls_session_new(contexts.server, &options, FORGE_NOW_NS, &sessions[i]),
                         HBK_OK);
        /* Every other one has got as far as its flight, and waits for ever for the client's. */
        if (i % 2 == 0) {
            enum hbk_tls_answer answer =
                hbk_tls_handshake(sessions[i], hbk_span_of(copy, hello_bytes), &consumed,
                                  hbk_span_of(output, sizeof output), &written);
            while (answer == HBK_TLS_WAITING) {
                while (hbk_key_worker_flush(worker.keys, hbk_clock_monotonic_ns())) {
                }
                answer = hbk_tls_handshake(sessions[i], hbk_span_of(NULL, 0), &consumed,
                                           hbk_span_of(output, sizeof output), &written);
            }
            assert_int_equal(answer, HBK_TLS_WANT_INPUT);
        }
    }
    size_t each_bytes = (heap_bytes() - before_bytes) / HALF_OPEN;
    print_message("           %zu bytes each\n", each_bytes);
    assert_true(each_bytes < 16 << 10);
    assert_int_equal(hbk_tls_worker_in_flight(small), HALF_OPEN);
    assert_int_equal(hbk_tls_worker_counters(small)->handshakes_refused, 0);

    /* The shed point: one more is refused and counted; when one goes, one may come. */
    struct hbk_tls_session *more = NULL;
    assert_int_equal(hbk_tls_session_new(contexts.server, &options, FORGE_NOW_NS, &more),
                     HBK_LIMIT);
    assert_int_equal(hbk_tls_session_new(contexts.server, &options, FORGE_NOW_NS, &more),
                     HBK_LIMIT);
    assert_null(more);
    assert_int_equal(hbk_tls_worker_counters(small)->handshakes_refused, 2);
    hbk_tls_session_free(sessions[0]);
    assert_int_equal(hbk_tls_session_new(contexts.server, &options, FORGE_NOW_NS, &sessions[0]),
                     HBK_OK);
    for (size_t i = 0; i < HALF_OPEN; i++) {
        hbk_tls_session_free(sessions[i]);
    }
    hbk_tls_session_free(client);
    assert_int_equal(hbk_tls_worker_in_flight(small), 0);
    hbk_tls_worker_free(small);
    free_contexts(&contexts);
}

/* A full batcher, not only a refused job: nobody is served, nobody hangs. */
static void a_full_batcher_refuses_handshakes_and_recovers(void **state)
{
    (void)state;
    enum { QUEUED_MAX = 5, PAIRS = 8 };
    struct pair_worker full = {0};
    struct hbk_batcher_options batcher;
    struct pair *pairs[PAIRS];
    struct lives_contexts contexts = make_contexts(&lives[0]);
    hbk_batcher_options_init(&batcher);
    batcher.queued_max = QUEUED_MAX;
    assert_int_equal(hbk_batcher_new(&batcher, &full.batcher), HBK_OK);
    assert_int_equal(hbk_key_worker_new(full.batcher, &full.keys), HBK_OK);
    hbk_verdict_cache_init(&full.verdicts, 0);
    const struct hbk_tls_worker_options options = {.keys = full.keys, .verdicts = &full.verdicts};
    assert_int_equal(hbk_tls_worker_new(&options, &full.tls), HBK_OK);

    unsigned done = 0;
    unsigned failed = 0;
    for (size_t i = 0; i < PAIRS; i++) {
        pairs[i] = meeting_of(&full, contexts.client, contexts.server, NULL, FORGE_NOW_NS);
    }
    /* All hellos arrive in one turn: two jobs each, and there is room for five. */
    for (size_t i = 0; i < PAIRS; i++) {
        (void)pair_step(pairs[i]->client, &pairs[i]->to_client, &pairs[i]->to_server, 40000, 40000,
                        &pairs[i]->client_answer);
        (void)pair_step(pairs[i]->server, &pairs[i]->to_server, &pairs[i]->to_client, 40000, 40000,
                        &pairs[i]->server_answer);
    }
    for (size_t i = 0; i < PAIRS; i++) {
        meeting_run(&full, pairs[i], meeting_at_once);
        if (pairs[i]->server_answer == HBK_TLS_DONE) {
            meeting_expect_done(pairs[i]);
            done++;
        } else {
            meeting_expect_failed(pairs[i], false, HBK_ALERT_INTERNAL_ERROR);
            assert_int_equal(hbk_tls_failure(pairs[i]->server).status, HBK_LIMIT);
            failed++;
        }
        pair_free(pairs[i]);
    }
    assert_true(done >= 2 && failed >= 2);
    assert_int_equal(done + failed, PAIRS);
    assert_true(hbk_batcher_counters(full.batcher)->refused_jobs >= failed);
    struct pair *pair = meeting_of(&full, contexts.client, contexts.server, NULL, FORGE_NOW_NS);
    meeting_run(&full, pair, meeting_at_once);
    meeting_expect_done(pair);
    pair_free(pair);
    pair_worker_fini(&full);
    free_contexts(&contexts);
}

/* ---- storms behind the handshake ---- */

/* The records of a peer that floods: `message` again and again, until we have enough. */
static unsigned flood(enum hbk_tls_role role, struct hbk_slice message, bool changes_keys,
                      int *out_alert)
{
    uint8_t client_secret[32];
    uint8_t server_secret[32];
    memset(client_secret, 1, sizeof client_secret);
    memset(server_secret, 2, sizeof server_secret);
    struct hbk_slice a = hbk_slice_of(client_secret, sizeof client_secret);
    struct hbk_slice b = hbk_slice_of(server_secret, sizeof server_secret);
    enum hbk_cipher_suite suite = HBK_SUITE_AES_128_GCM_SHA256;
    struct hbk_tls_channel channel;
    struct hbk_tls_record_direction direction;
    hbk_channel_init(&channel, role, &expanded, suite, a, b, 0);
    hbk_tls_record_direction_init(&direction, &expanded, suite, role == HBK_TLS_CLIENT ? b : a);
    unsigned count = 0;
    enum hbk_tls_answer answer = HBK_TLS_DONE;
    size_t heap = heap_bytes();
    size_t sent_bytes = 0;
    while (answer != HBK_TLS_FAILED && count < 100000) {
        uint8_t record[128];
        uint8_t output[HBK_TLS_CONTROL_BYTES_MAX];
        struct hbk_slice plain;
        size_t consumed = 0;
        size_t written = 0;
        memcpy(record + HBK_TLS_RECORD_HEADER_BYTES, message.bytes, message.size);
        assert_true(
            hbk_tls_record_seal(&direction, HBK_TLS_RECORD_HANDSHAKE, record, message.size));
        if (changes_keys) {
            hbk_tls_record_direction_update(&direction);
        }
        answer = hbk_channel_open(&channel,
                                  hbk_span_of(record, message.size + HBK_TLS_RECORD_EXTRA_BYTES),
                                  &consumed, &plain);
        assert_int_equal(plain.size, 0);
        assert_int_equal(hbk_channel_flush(&channel, hbk_span_of(output, sizeof output), &written),
                         HBK_TLS_DONE);
        sent_bytes += written;
        count++;
    }
    assert_int_equal(answer, HBK_TLS_FAILED);
    assert_true(heap_bytes() < heap + (64 << 10));
    assert_true(sent_bytes < count * HBK_TLS_CONTROL_BYTES_MAX);
    *out_alert = channel.failure.alert;
    hbk_channel_fini(&channel);
    hbk_tls_record_direction_fini(&direction);
    return count;
}

static void key_update_storms_and_ticket_floods_end(void **state)
{
    (void)state;
    static const uint8_t update[] = {24, 0, 0, 1, 0};
    static const uint8_t asking_update[] = {24, 0, 0, 1, 1};
    static const uint8_t ticket[] = {4, 0, 0, 14, 0, 0, 1, 0, 1, 2, 3, 4, 1, 9, 0, 1, 7, 0, 0};
    const struct {
        enum hbk_tls_role role;
        struct hbk_slice message;
        bool changes_keys;
    } cases[] = {
        {HBK_TLS_CLIENT, hbk_slice_of(update, sizeof update), true},
        {HBK_TLS_SERVER, hbk_slice_of(update, sizeof update), true},
        {HBK_TLS_CLIENT, hbk_slice_of(asking_update, sizeof asking_update), true},
        {HBK_TLS_SERVER, hbk_slice_of(asking_update, sizeof asking_update), true},
        {HBK_TLS_CLIENT, hbk_slice_of(ticket, 4 + 14), false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        int alert = HBK_ALERT_NONE;
        unsigned count = flood(cases[i].role, cases[i].message, cases[i].changes_keys, &alert);
        assert_in_range(count, 8, HBK_CHANNEL_IDLE_RECORDS_MAX + 1);
        assert_int_equal(alert, HBK_ALERT_UNEXPECTED_MESSAGE);
    }
}

static int set_up(void **state)
{
    (void)state;
    authority_init(&authority, "test root");
    pair_worker_init(&worker, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_worker_fini(&worker);
    authority_fini(&authority);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(any_job_may_fail_or_be_refused),
        cmocka_unit_test(a_job_that_fails_is_an_internal_error),
        cmocka_unit_test(sessions_may_be_freed_in_every_state_with_jobs_in_flight),
        cmocka_unit_test(half_open_handshakes_have_a_bound_and_are_counted),
        cmocka_unit_test(a_full_batcher_refuses_handshakes_and_recovers),
        cmocka_unit_test(key_update_storms_and_ticket_floods_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
