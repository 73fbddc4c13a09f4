#include "tls/session.h"

#include "pair.h"

static struct pair_mesh mesh;

static int set_up(void **state)
{
    (void)state;
    pair_mesh_init(&mesh);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_mesh_fini(&mesh);
    assert_int_equal(hbk_spiffe_count(), 0);
    return 0;
}

/* Seals `plain` into a queue, in as many calls as it takes. */
static void seal(struct hbk_tls_session *session, struct hbk_slice plain, struct pair_queue *out,
                 size_t room_max)
{
    while (plain.size > 0) {
        size_t sealed = 0;
        size_t written = 0;
        enum hbk_tls_answer answer = hbk_tls_seal(
            session, &plain, 1, hbk_span_of(out->bytes + out->size, room_max), &sealed, &written);
        assert_true(answer == HBK_TLS_DONE || answer == HBK_TLS_WANT_ROOM);
        assert_true(sealed > 0);
        assert_true(written <= room_max);
        out->size += written;
        plain = hbk_slice_part(plain, sealed, plain.size);
    }
}

/* Opens all that is in the queue; returns the last answer. */
static enum hbk_tls_answer open_all(struct hbk_tls_session *session, struct pair_queue *in,
                                    uint8_t *plain, size_t *plain_size)
{
    size_t at = 0;
    for (;;) {
        size_t consumed = 0;
        struct hbk_slice piece;
        enum hbk_tls_answer answer =
            hbk_tls_open(session, hbk_span_of(in->bytes + at, in->size - at), &consumed, &piece);
        assert_true(piece.size == 0 || (piece.bytes >= in->bytes + at &&
                                        piece.bytes + piece.size <= in->bytes + at + consumed));
        at += consumed;
        if (piece.size > 0) {
            memcpy(plain + *plain_size, piece.bytes, piece.size);
            *plain_size += piece.size;
        }
        if (answer != HBK_TLS_DONE) {
            memmove(in->bytes, in->bytes + at, in->size - at);
            in->size -= at;
            return answer;
        }
    }
}

static void both_sides_learn_who_the_other_is(void **state)
{
    (void)state;
    struct pair *pair = pair_joined(&mesh);
    const struct hbk_peer *peer = hbk_tls_peer(pair->server);
    assert_slice_equal(peer->id->text, HBK_SLICE("spiffe://td.test/ns/shop/sa/web"));
    assert_int_equal(peer->not_after_ns, FORGE_NOW_NS + FORGE_HOUR_NS);
    assert_string_equal(peer->serial_text, "4d");
    peer = hbk_tls_peer(pair->client);
    assert_slice_equal(peer->id->text, HBK_SLICE("spiffe://td.test/ns/shop/sa/cart"));
    assert_ptr_equal(hbk_tls_session_credential(pair->client), mesh.web);
    assert_string_equal(hbk_tls_cipher_text(pair->client), "TLS_AES_128_GCM_SHA256");
    assert_int_equal(hbk_tls_job(pair->client), 0);
    pair_free(pair);
}

static void handshakes_survive_any_split_of_the_bytes(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 7, 100, 1000, 5000, 20000};
    for (size_t i = 0; i < HBK_COUNT(pieces); i++) {
        struct pair *pair = pair_new(mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
        pair_handshake(pair, pieces[i]);
        assert_int_equal(pair->client_answer, HBK_TLS_DONE);
        assert_int_equal(pair->server_answer, HBK_TLS_DONE);
        pair_free(pair);
    }
}

static void data_passes_both_ways_in_any_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64, 1000, 4096, 16384, 16385, 100000};
    static const size_t rooms[] = {23, 300, 20000, 120000};
    static uint8_t sent[100000];
    static uint8_t got[100000];
    struct pair *pair = pair_joined(&mesh);
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (uint8_t)rand();
    }
    for (size_t i = 0; i < HBK_COUNT(sizes); i++) {
        for (size_t j = 0; j < HBK_COUNT(rooms); j++) {
            if (sizes[i] * 23 > sizeof pair->to_server.bytes && rooms[j] == 23) {
                continue;
            }
            size_t size = 0;
            seal(pair->client, hbk_slice_of(sent, sizes[i]), &pair->to_server, rooms[j]);
            assert_int_equal(open_all(pair->server, &pair->to_server, got, &size),
                             HBK_TLS_WANT_INPUT);
            assert_slice_equal(hbk_slice_of(got, size), hbk_slice_of(sent, sizes[i]));
            size = 0;
            seal(pair->server, hbk_slice_of(sent, sizes[i]), &pair->to_client, rooms[j]);
            assert_int_equal(open_all(pair->client, &pair->to_client, got, &size),
                             HBK_TLS_WANT_INPUT);
            assert_slice_equal(hbk_slice_of(got, size), hbk_slice_of(sent, sizes[i]));
        }
    }
    pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_who_the_other_is),
        cmocka_unit_test(handshakes_survive_any_split_of_the_bytes),
        cmocka_unit_test(data_passes_both_ways_in_any_sizes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
