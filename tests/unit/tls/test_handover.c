/* Hellos of TLS 1.2 that the native engine hands over to libssl; libssl alone does the same. */
#include "tls/session.h"

#include "stage.h"
#include "stranger.h"
#include "tls/alert.h"
#include "tls/engine.h"

enum { PADDING_TYPE = 0xff77, RECORD_HEADER_BYTES = 5, MESSAGE_HEADER_BYTES = 4 };

static int set_up_stranger(void **state)
{
    assert_int_equal(set_up(state), 0);
    stranger = forge((struct forge){.signer = &root, .names = "DNS:x.test"});
    return 0;
}

static int tear_down_stranger(void **state)
{
    forged_free(&stranger);
    return tear_down(state);
}

static struct hbk_tls_context *old_server(void)
{
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    return context_of((struct hbk_tls_context_options){
        .certificates = &own,
        .certificate_count = 1,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .allows_tls12 = true,
    });
}

/* ---- hellos ---- */

static size_t padding_bytes;

static int add_padding(SSL *ssl, unsigned type, unsigned context, const unsigned char **out,
                       size_t *out_bytes, X509 *certificate, size_t chain_index, int *alert,
                       void *argument)
{
    static uint8_t zeros[1 << 15];
    (void)ssl;
    (void)type;
    (void)context;
    (void)certificate;
    (void)chain_index;
    (void)alert;
    (void)argument;
    *out = zeros;
    *out_bytes = padding_bytes;
    return 1;
}

/* A client of TLS 1.2 that has said hello, which is on the wire; its body has so many bytes. */
static struct interop *client_with_hello(struct hbk_tls_context *ours, size_t hello_bytes)
{
    const struct habits habits = {.version = TLS1_2_VERSION, .has_no_demands = true};
    struct interop *interop = NULL;
    padding_bytes = 1000;
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        SSL_CTX *context = make_context(&habits);
        assert_int_equal(SSL_CTX_add_custom_ext(context, PADDING_TYPE,
                                                SSL_EXT_CLIENT_HELLO | SSL_EXT_IGNORE_ON_RESUMPTION,
                                                add_padding, NULL, NULL, NULL, NULL),
                         1);
        interop = interop_of(&habits, context, &worker, ours, (struct hbk_tls_options){0});
        SSL_CTX_free(context);
        (void)SSL_do_handshake(interop->ssl);
        carry(interop);
        const uint8_t *message = interop->wire.bytes + RECORD_HEADER_BYTES;
        size_t size = (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
        if (hello_bytes == 0 || size == hello_bytes) {
            return interop;
        }
        padding_bytes += hello_bytes - size;
        interop_free(interop);
    }
    fail_msg("no hello of %zu bytes", hello_bytes);
    return NULL;
}

/* ---- tests ---- */

static void a_hello_of_any_size_is_handed_over_whole(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = old_server();
    for (size_t size = (16 << 10) - 16; size <= 16 << 10; size++) {
        struct interop *interop = client_with_hello(ours, size);
        interop_shake(interop);
        if (interop->answer != HBK_TLS_DONE || interop->ssl_result != 1) {
            fail_msg("%zu bytes: %s", size, hbk_tls_answer_text(interop->answer));
        }
        assert_int_equal(hbk_tls_agreement(interop->session).version, HBK_TLS_1_2);
        interop_free(interop);
    }
    hbk_tls_context_unref(ours);
}

static void a_hello_that_is_too_long_is_answered_with_an_alert(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = old_server();
    struct interop *interop = client_with_hello(ours, (16 << 10) + 1);
    interop_shake(interop);
    if (pair_engine == HBK_TLS_ENGINE_NATIVE) {
        assert_int_equal(interop->answer, HBK_TLS_FAILED);
        assert_int_equal(hbk_tls_failure(interop->session).alert, HBK_ALERT_ILLEGAL_PARAMETER);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
    } else {
        assert_int_equal(interop->answer, HBK_TLS_DONE);
    }
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

static enum hbk_tls_answer step_once(struct interop *interop, size_t *out_written)
{
    uint8_t out[20000];
    size_t consumed = 0;
    interop->answer =
        hbk_tls_handshake(interop->session, hbk_span_of(interop->wire.bytes, interop->wire.size),
                          &consumed, hbk_span_of(out, sizeof out), out_written);
    memmove(interop->wire.bytes, interop->wire.bytes + consumed, interop->wire.size - consumed);
    interop->wire.size -= consumed;
    BIO_write(interop->to_ssl, out, (int)*out_written);
    return interop->answer;
}

static void clients_for_whom_there_is_no_fibre_wait_in_line(void **state)
{
    (void)state;
    enum { CLIENTS = 4 };
    struct hbk_tls_context *ours = old_server();
    struct interop *interops[CLIENTS];
    unsigned paused_max = worker.tls->fibres.paused_max;
    worker.tls->fibres.paused_max = 1;
    for (size_t i = 0; i < CLIENTS; i++) {
        size_t written = 0;
        interops[i] = client_with_hello(ours, 0);
        assert_int_equal(step_once(interops[i], &written), HBK_TLS_WAITING);
        assert_int_equal(written, 0);
    }
    assert_int_equal(worker.tls->fibres.paused, 1);
    /* One that leaves the line, with its hello unread, holds nobody up. */
    interop_free(interops[2]);
    interops[2] = NULL;
    for (unsigned turn = 0; turn < 8 * CLIENTS; turn++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            size_t written = 0;
            if (interops[i] != NULL && interops[i]->answer != HBK_TLS_DONE) {
                (void)step_once(interops[i], &written);
                interops[i]->ssl_result = SSL_do_handshake(interops[i]->ssl);
                carry(interops[i]);
            }
        }
        pair_worker_flush(&worker);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        if (interops[i] != NULL) {
            assert_int_equal(interops[i]->answer, HBK_TLS_DONE);
            assert_int_equal(interops[i]->ssl_result, 1);
            expect_from_ssl(interops[i], HBK_SLICE("good day"));
            interop_free(interops[i]);
        }
    }
    worker.tls->fibres.paused_max = paused_max;
    hbk_tls_context_unref(ours);
}

/* A step that hands over goes on with what came behind the hello: here an alert. */
static void what_follows_the_hello_is_read_in_the_same_step(void **state)
{
    (void)state;
    static const uint8_t alert[] = {HBK_TLS_RECORD_ALERT, 3, 3, 0, 2, 2, HBK_ALERT_DECODE_ERROR};
    struct hbk_tls_context *ours = old_server();
    struct interop *interop = client_with_hello(ours, 0);
    memcpy(interop->wire.bytes + interop->wire.size, alert, sizeof alert);
    interop->wire.size += sizeof alert;
    interop_shake(interop);
    assert_int_equal(interop->answer, HBK_TLS_FAILED);
    struct hbk_tls_failure failure = hbk_tls_failure(interop->session);
    assert_true(failure.alert_is_received);
    assert_int_equal(failure.alert, HBK_ALERT_DECODE_ERROR);
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

/* Every allocation in turn, up to the server's first answer. */
static void a_hello_that_cannot_be_handed_over_is_answered_with_internal_error(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = old_server();
    unsigned failures = 0;
    uint64_t number = 1;
    for (bool has_failed = true; has_failed; number++) {
        struct interop *interop = client_with_hello(ours, 0);
        size_t written = 0;
        heap_fail_at(number);
        enum hbk_tls_answer answer = step_once(interop, &written);
        has_failed = heap_allocations >= number;
        heap_fail_at(0);
        if (answer == HBK_TLS_FAILED) {
            failures++;
            assert_int_equal(hbk_tls_failure(interop->session).alert, HBK_ALERT_INTERNAL_ERROR);
            assert_true(written > 0);
            assert_true(SSL_do_handshake(interop->ssl) < 0);
            assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_INTERNAL_ERROR);
        }
        interop_free(interop);
    }
    assert_true(number > 1);
    if (pair_engine == HBK_TLS_ENGINE_NATIVE) {
        assert_true(failures > 1); /* the copy of the hello, libssl's handshake */
    }
    hbk_tls_context_unref(ours);
}

static int run(enum hbk_tls_engine_kind engine)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_of_any_size_is_handed_over_whole),
        cmocka_unit_test(a_hello_that_is_too_long_is_answered_with_an_alert),
        cmocka_unit_test(clients_for_whom_there_is_no_fibre_wait_in_line),
        cmocka_unit_test(what_follows_the_hello_is_read_in_the_same_step),
        cmocka_unit_test(a_hello_that_cannot_be_handed_over_is_answered_with_internal_error),
    };
    pair_engine = engine;
    return cmocka_run_group_tests_name(hbk_tls_engine_text(engine), tests, set_up_stranger,
                                       tear_down_stranger);
}

int main(void)
{
    int failed = run(HBK_TLS_ENGINE_OPENSSL);
    return failed + run(HBK_TLS_ENGINE_NATIVE);
}
