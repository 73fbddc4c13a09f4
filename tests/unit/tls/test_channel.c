#include "tls/channel.h"

#include "failing_heap.h"
#include "harness.h"
#include "tls/alert.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

enum { QUEUE_BYTES = 200000 };

/* A client, a server, and the bytes from the first to the second. */
struct ends {
    struct hbk_tls_channel client, server;
    uint8_t wire[QUEUE_BYTES];
    size_t wire_size;
};

/* The server takes records of `limit` bytes from the client. */
static struct ends *start_with(enum hbk_cipher_suite suite, uint16_t limit)
{
    uint8_t client_secret[48];
    uint8_t server_secret[48];
    struct ends *ends = calloc(1, sizeof *ends);
    assert_non_null(ends);
    memset(client_secret, 1, sizeof client_secret);
    memset(server_secret, 2, sizeof server_secret);
    struct hbk_slice a = hbk_slice_of(client_secret, hbk_cipher_suite_hash_bytes(suite));
    struct hbk_slice b = hbk_slice_of(server_secret, hbk_cipher_suite_hash_bytes(suite));
    hbk_channel_init(&ends->client, HBK_TLS_CLIENT, &expanded, suite, a, b, limit);
    hbk_channel_init(&ends->server, HBK_TLS_SERVER, &expanded, suite, a, b, 0);
    return ends;
}

static struct ends *start(void)
{
    return start_with(HBK_SUITE_AES_128_GCM_SHA256, 0);
}

static void finish(struct ends *ends)
{
    hbk_channel_fini(&ends->client);
    hbk_channel_fini(&ends->server);
    free(ends);
}

/* Puts one raw record of the client's on the wire. */
static void put(struct ends *ends, struct hbk_tls_channel *from, uint8_t type,
                struct hbk_slice body)
{
    uint8_t *at = ends->wire + ends->wire_size;
    if (body.size > 0) {
        memcpy(at + HBK_TLS_RECORD_HEADER_BYTES, body.bytes, body.size);
    }
    assert_true(hbk_tls_record_seal(&from->out, (enum hbk_tls_record_type)type, at, body.size));
    ends->wire_size += body.size + HBK_TLS_RECORD_EXTRA_BYTES;
}

static void say(struct ends *ends, const char *text)
{
    struct hbk_slice plain = hbk_slice_text(text);
    size_t sealed = 0;
    size_t written = 0;
    assert_int_equal(hbk_channel_seal(&ends->client, &plain, 1,
                                      hbk_span_of(ends->wire + ends->wire_size,
                                                  sizeof ends->wire - ends->wire_size),
                                      &sealed, &written),
                     HBK_TLS_DONE);
    assert_int_equal(sealed, plain.size);
    ends->wire_size += written;
}

/* Opens once at `*at` of the wire. */
static enum hbk_tls_answer hear(struct ends *ends, struct hbk_tls_channel *to, size_t *at,
                                struct hbk_slice *plain)
{
    size_t consumed = 0;
    enum hbk_tls_answer answer = hbk_channel_open(
        to, hbk_span_of(ends->wire + *at, ends->wire_size - *at), &consumed, plain);
    *at += consumed;
    return answer;
}

static void small_records_become_one_slice(void **state)
{
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    say(ends, "one ");
    say(ends, "two ");
    say(ends, "three");
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("one two three"));
    assert_int_equal(at, ends->wire_size);
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_WANT_INPUT);
    finish(ends);
}

static void slices_are_gathered_into_one_record(void **state)
{
    (void)state;
    struct ends *ends = start();
    const struct hbk_slice pieces[] = {HBK_SLICE("a"), HBK_SLICE(""), HBK_SLICE("bc"),
                                       HBK_SLICE("def")};
    struct hbk_slice plain;
    size_t sealed = 0;
    size_t at = 0;
    assert_int_equal(hbk_channel_seal(&ends->client, pieces, HBK_COUNT(pieces),
                                      hbk_span_of(ends->wire, sizeof ends->wire), &sealed,
                                      &ends->wire_size),
                     HBK_TLS_DONE);
    assert_int_equal(sealed, 6);
    assert_int_equal(ends->wire_size, 6 + HBK_TLS_RECORD_EXTRA_BYTES);
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("abcdef"));
    finish(ends);
}

static void nothing_is_sealed_into_too_little_room(void **state)
{
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain = HBK_SLICE("hello");
    for (size_t room = 0; room <= 40; room++) {
        size_t sealed = 9;
        size_t written = 9;
        enum hbk_tls_answer answer = hbk_channel_seal(
            &ends->client, &plain, 1, hbk_span_of(ends->wire, room), &sealed, &written);
        size_t fits = room > HBK_TLS_RECORD_EXTRA_BYTES ? room - HBK_TLS_RECORD_EXTRA_BYTES : 0;
        fits = fits < plain.size ? fits : plain.size;
        assert_int_equal(sealed, fits);
        assert_int_equal(written, fits == 0 ? 0 : fits + HBK_TLS_RECORD_EXTRA_BYTES);
        assert_int_equal(answer, fits == plain.size ? HBK_TLS_DONE : HBK_TLS_WANT_ROOM);
    }
    finish(ends);
}

static void the_stated_bounds_always_suffice(void **state)
{
    (void)state;
    static uint8_t bytes[30000];
    static const uint16_t limits[] = {0, 64, 1000, 16384, 16385};
    for (size_t i = 0; i < HBK_COUNT(limits); i++) {
        struct ends *ends = start_with(HBK_SUITE_AES_128_GCM_SHA256, limits[i]);
        for (size_t size = 0; size < sizeof bytes; size += 1 + size / 7) {
            struct hbk_slice plain = hbk_slice_of(bytes, size);
            size_t room = hbk_channel_sealed_bytes_max(&ends->client, size);
            size_t sealed = 0;
            size_t written = 0;
            hbk_channel_update_keys(&ends->client, true);
            assert_true(hbk_channel_plain_bytes_max(&ends->client, room) >= size);
            assert_int_equal(hbk_channel_seal(&ends->client, &plain, 1,
                                              hbk_span_of(ends->wire, room), &sealed, &written),
                             HBK_TLS_DONE);
            hbk_channel_update_keys(&ends->client, true);
            plain.size = hbk_channel_plain_bytes_max(&ends->client, size);
            assert_int_equal(hbk_channel_seal(&ends->client, &plain, plain.size == 0 ? 0 : 1,
                                              hbk_span_of(ends->wire, size), &sealed, &written),
                             size < 27 ? HBK_TLS_WANT_ROOM : HBK_TLS_DONE);
        }
        finish(ends);
    }
}

/* RFC 8449, 4: the limit counts the byte of the type, and no record may be larger. */
static void records_keep_to_the_size_that_the_peer_takes(void **state)
{
    (void)state;
    static const struct {
        uint16_t limit;
        size_t largest;
    } cases[] = {{64, 63}, {65, 64}, {1024, 1023}, {16384, 16383}, {16385, 16384}, {0, 16384}};
    static uint8_t bytes[20000];
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct ends *ends = start_with(HBK_SUITE_AES_128_GCM_SHA256, cases[i].limit);
        struct hbk_slice plain = hbk_slice_of(bytes, sizeof bytes);
        size_t sealed = 0;
        size_t largest = 0;
        assert_int_equal(hbk_channel_seal(&ends->client, &plain, 1,
                                          hbk_span_of(ends->wire, sizeof ends->wire), &sealed,
                                          &ends->wire_size),
                         HBK_TLS_DONE);
        assert_int_equal(sealed, sizeof bytes);
        for (size_t at = 0; at < ends->wire_size;) {
            size_t size = hbk_tls_record_size(hbk_slice_of(ends->wire + at, ends->wire_size - at));
            assert_true(size > HBK_TLS_RECORD_EXTRA_BYTES);
            size_t inside = size - HBK_TLS_RECORD_EXTRA_BYTES;
            largest = inside > largest ? inside : largest;
            at += size;
        }
        assert_int_equal(largest, cases[i].largest);
        finish(ends);
    }
}

static void every_suite_carries_data(void **state)
{
    (void)state;
    static const enum hbk_cipher_suite suites[] = {HBK_SUITE_AES_128_GCM_SHA256,
                                                   HBK_SUITE_AES_256_GCM_SHA384,
                                                   HBK_SUITE_CHACHA20_POLY1305_SHA256};
    for (size_t i = 0; i < HBK_COUNT(suites); i++) {
        struct ends *ends = start_with(suites[i], 0);
        for (unsigned round = 0; round < 3; round++) {
            struct hbk_slice plain = HBK_SLICE("abc");
            size_t sealed = 0;
            size_t at = 0;
            assert_int_equal(hbk_channel_seal(&ends->client, &plain, 1,
                                              hbk_span_of(ends->wire, sizeof ends->wire), &sealed,
                                              &ends->wire_size),
                             HBK_TLS_DONE);
            assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
            assert_slice_equal(plain, HBK_SLICE("abc"));
            assert_int_equal(ends->server.in.suite, suites[i]);
            hbk_channel_update_keys(&ends->client, true);
        }
        finish(ends);
    }
}

/* RFC 8446, 4.6.3. */
static void a_key_update_is_followed_and_answered_once(void **state)
{
    /* RFC 8446 4.6.3: a request for an update is answered once, by one that asks for nothing */
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    size_t written = 0;
    say(ends, "before ");
    hbk_channel_update_keys(&ends->client, true);
    assert_true(hbk_channel_has_output(&ends->client));
    say(ends, "between ");
    hbk_channel_update_keys(&ends->client, true);
    say(ends, "after");
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("before between after"));
    assert_int_equal(ends->client.out.sequence, 1);

    /* Two requests, one answer, without a request of its own. */
    assert_true(hbk_channel_has_output(&ends->server));
    assert_int_equal(
        hbk_channel_flush(&ends->server, hbk_span_of(ends->wire, sizeof ends->wire), &written),
        HBK_TLS_DONE);
    assert_int_equal(written, 5 + HBK_TLS_RECORD_EXTRA_BYTES);
    assert_false(hbk_channel_has_output(&ends->server));
    ends->wire_size = written;
    at = 0;
    assert_int_equal(hear(ends, &ends->client, &at, &plain), HBK_TLS_DONE);
    assert_false(hbk_channel_has_output(&ends->client));
    finish(ends);
}

static void a_key_update_that_asks_for_nothing_is_not_answered(void **state)
{
    /* RFC 8446 4.6.3: update_not_requested is not answered */
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    hbk_channel_update_keys(&ends->client, false);
    say(ends, "new keys");
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("new keys"));
    assert_false(hbk_channel_has_output(&ends->server));
    finish(ends);
}

static void keys_are_changed_before_their_limit(void **state)
{
    /* RFC 8446 5.5: a key MUST be replaced before its limit of records */
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    ends->client.out.sequence = HBK_TLS_RECORD_SEALED_MAX - 1;
    ends->server.in.sequence = HBK_TLS_RECORD_SEALED_MAX - 1;
    say(ends, "last ");
    say(ends, "first");
    assert_int_equal(ends->client.out.sequence, 1);
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("last first"));
    assert_false(hbk_channel_has_output(&ends->server)); /* it was no request */
    finish(ends);
}

static void a_ticket_is_skipped_in_any_pieces(void **state)
{
    (void)state;
    uint8_t ticket[4 + 300] = {4, 0, 1, 44};
    for (size_t cut = 1; cut < sizeof ticket; cut++) {
        struct ends *ends = start();
        struct hbk_slice plain;
        size_t at = 0;
        put(ends, &ends->server, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(ticket, cut));
        put(ends, &ends->server, HBK_TLS_RECORD_HANDSHAKE,
            hbk_slice_of(ticket + cut, sizeof ticket - cut));
        put(ends, &ends->server, HBK_TLS_RECORD_APPLICATION_DATA, HBK_SLICE("x"));
        assert_int_equal(hear(ends, &ends->client, &at, &plain), HBK_TLS_DONE);
        assert_slice_equal(plain, HBK_SLICE("x"));
        finish(ends);
    }
}

/* What a peer may not send behind the handshake, from client to server, and the alert for it. */
static void what_may_not_come_ends_the_connection(void **state)
{
    /* RFC 8446 4.6: what may not come behind the handshake MUST be refused */
    (void)state;
    static const struct {
        uint8_t type;
        const char *body;
        size_t size;
        int alert;
    } cases[] = {
        {HBK_TLS_RECORD_HANDSHAKE, "", 0, HBK_ALERT_UNEXPECTED_MESSAGE},
        {HBK_TLS_RECORD_HANDSHAKE, "\x04\x00\x00\x01\x00", 5, HBK_ALERT_UNEXPECTED_MESSAGE},
        {HBK_TLS_RECORD_HANDSHAKE, "\x01\x00\x00\x01\x00", 5, HBK_ALERT_UNEXPECTED_MESSAGE},
        {HBK_TLS_RECORD_HANDSHAKE, "\x0d\x00\x00\x01\x00", 5, HBK_ALERT_UNEXPECTED_MESSAGE},
        {HBK_TLS_RECORD_HANDSHAKE, "\x18\x00\x00\x01\x02", 5, HBK_ALERT_ILLEGAL_PARAMETER},
        {HBK_TLS_RECORD_HANDSHAKE, "\x18\x00\x00\x02\x00\x00", 6, HBK_ALERT_DECODE_ERROR},
        {HBK_TLS_RECORD_HANDSHAKE, "\x18\x00\x00\x00", 4, HBK_ALERT_DECODE_ERROR},
        {HBK_TLS_RECORD_HANDSHAKE, "\x18\x00\x00\x01\x00\x18", 6, HBK_ALERT_UNEXPECTED_MESSAGE},
        {HBK_TLS_RECORD_CHANGE_CIPHER_SPEC, "\x01", 1, HBK_ALERT_UNEXPECTED_MESSAGE},
        {99, "?", 1, HBK_ALERT_UNEXPECTED_MESSAGE},
        {HBK_TLS_RECORD_ALERT, "\x01", 1, HBK_ALERT_DECODE_ERROR},
        {HBK_TLS_RECORD_ALERT, "\x01\x00\x01\x00", 4, HBK_ALERT_DECODE_ERROR},
        {HBK_TLS_RECORD_ALERT, "", 0, HBK_ALERT_UNEXPECTED_MESSAGE},
        {HBK_TLS_RECORD_ALERT, "\x03\x28", 2, HBK_ALERT_ILLEGAL_PARAMETER},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct ends *ends = start();
        struct hbk_slice plain;
        size_t at = 0;
        size_t written = 0;
        say(ends, "good");
        put(ends, &ends->client, cases[i].type, hbk_slice_of(cases[i].body, cases[i].size));
        assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
        assert_slice_equal(plain, HBK_SLICE("good"));
        assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_FAILED);
        assert_int_equal(plain.size, 0);
        assert_int_equal(ends->server.failure.alert, cases[i].alert);
        assert_int_equal(ends->server.failure.status, HBK_INVALID);
        assert_false(ends->server.failure.alert_is_received);

        /* The alert reaches the peer, which tells it as received. */
        assert_true(hbk_channel_has_output(&ends->server));
        assert_int_equal(
            hbk_channel_flush(&ends->server, hbk_span_of(ends->wire, sizeof ends->wire), &written),
            HBK_TLS_DONE);
        assert_false(hbk_channel_has_output(&ends->server));
        ends->wire_size = written;
        at = 0;
        assert_int_equal(hear(ends, &ends->client, &at, &plain), HBK_TLS_FAILED);
        assert_int_equal(ends->client.failure.alert, cases[i].alert);
        assert_true(ends->client.failure.alert_is_received);
        assert_int_equal(ends->client.failure.status, HBK_CLOSED);
        assert_non_null(strstr(ends->client.failure.text, hbk_tls_alert_text(cases[i].alert)));
        assert_false(hbk_channel_has_output(&ends->client));
        finish(ends);
    }
}

static void data_within_a_handshake_message_is_refused(void **state)
{
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    put(ends, &ends->client, HBK_TLS_RECORD_HANDSHAKE, HBK_SLICE("\x18\x00"));
    say(ends, "data");
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_FAILED);
    assert_int_equal(ends->server.failure.alert, HBK_ALERT_UNEXPECTED_MESSAGE);
    finish(ends);
}

static void records_without_data_are_counted(void **state)
{
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < HBK_CHANNEL_IDLE_RECORDS_MAX; i++) {
            put(ends, &ends->client, HBK_TLS_RECORD_APPLICATION_DATA, HBK_SLICE(""));
        }
        say(ends, "x");
    }
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("xxx"));
    for (unsigned i = 0; i <= HBK_CHANNEL_IDLE_RECORDS_MAX; i++) {
        put(ends, &ends->client, HBK_TLS_RECORD_APPLICATION_DATA, HBK_SLICE(""));
    }
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_FAILED);
    assert_int_equal(ends->server.failure.alert, HBK_ALERT_UNEXPECTED_MESSAGE);
    finish(ends);
}

static void warnings_in_a_row_are_counted(void **state)
{
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < HBK_CHANNEL_WARNINGS_MAX; i++) {
            put(ends, &ends->client, HBK_TLS_RECORD_ALERT, HBK_SLICE("\x01\x5a"));
        }
        say(ends, "x");
    }
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("xxx"));
    for (unsigned i = 0; i <= HBK_CHANNEL_WARNINGS_MAX; i++) {
        put(ends, &ends->client, HBK_TLS_RECORD_ALERT, HBK_SLICE("\x01\x5a"));
    }
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_FAILED);
    assert_int_equal(ends->server.failure.alert, HBK_ALERT_DECODE_ERROR);
    finish(ends);
}

/* Servers give tickets, which say nothing about who sends nothing. */
static void tickets_are_not_counted_among_empty_records(void **state)
{
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain;
    size_t at = 0;
    for (unsigned i = 0; i < HBK_CHANNEL_IDLE_RECORDS_MAX; i++) {
        put(ends, &ends->server, HBK_TLS_RECORD_HANDSHAKE, HBK_SLICE("\x04\x00\x00\x01?"));
    }
    for (unsigned i = 0; i < HBK_CHANNEL_IDLE_RECORDS_MAX; i++) {
        put(ends, &ends->server, HBK_TLS_RECORD_APPLICATION_DATA, HBK_SLICE(""));
    }
    assert_int_equal(hear(ends, &ends->client, &at, &plain), HBK_TLS_DONE);
    assert_int_equal(plain.size, 0);
    put(ends, &ends->server, HBK_TLS_RECORD_HANDSHAKE, HBK_SLICE("\x04\x00\x00\x01?"));
    assert_int_equal(hear(ends, &ends->client, &at, &plain), HBK_TLS_FAILED);
    assert_int_equal(ends->client.failure.alert, HBK_ALERT_UNEXPECTED_MESSAGE);
    finish(ends);
}

/* RFC 8446, 6.1: each direction closes for itself. */
static void a_close_ends_one_direction(void **state)
{
    /* RFC 8446 6.1: close_notify ends one direction alone */
    (void)state;
    struct ends *ends = start();
    struct hbk_slice plain = HBK_SLICE("late");
    size_t at = 0;
    size_t sealed = 0;
    size_t written = 0;
    say(ends, "bye");
    struct hbk_span rest =
        hbk_span_of(ends->wire + ends->wire_size, sizeof ends->wire - ends->wire_size);
    assert_int_equal(hbk_channel_shutdown(&ends->client, hbk_span_of(rest.bytes, 23), &written),
                     HBK_TLS_WANT_ROOM);
    assert_int_equal(written, 0);
    assert_int_equal(hbk_channel_shutdown(&ends->client, rest, &written), HBK_TLS_DONE);
    ends->wire_size += written;
    assert_int_equal(hbk_channel_shutdown(&ends->client, rest, &written), HBK_TLS_DONE);
    assert_int_equal(written, 0);
    assert_int_equal(hbk_channel_seal(&ends->client, &plain, 1, rest, &sealed, &written),
                     HBK_TLS_FAILED);
    memset(ends->wire + ends->wire_size, 'x', 100);
    ends->wire_size += 100; /* whatever follows is not looked at */
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("bye"));
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_CLOSED);
    assert_int_equal(at, ends->wire_size);
    assert_int_equal(hear(ends, &ends->server, &at, &plain), HBK_TLS_CLOSED);

    plain = HBK_SLICE("answer");
    assert_int_equal(hbk_channel_seal(&ends->server, &plain, 1,
                                      hbk_span_of(ends->wire, sizeof ends->wire), &sealed,
                                      &ends->wire_size),
                     HBK_TLS_DONE);
    at = 0;
    assert_int_equal(hear(ends, &ends->client, &at, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("answer"));
    finish(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_records_become_one_slice),
        cmocka_unit_test(slices_are_gathered_into_one_record),
        cmocka_unit_test(nothing_is_sealed_into_too_little_room),
        cmocka_unit_test(the_stated_bounds_always_suffice),
        cmocka_unit_test(records_keep_to_the_size_that_the_peer_takes),
        cmocka_unit_test(every_suite_carries_data),
        cmocka_unit_test(a_key_update_is_followed_and_answered_once),
        cmocka_unit_test(a_key_update_that_asks_for_nothing_is_not_answered),
        cmocka_unit_test(keys_are_changed_before_their_limit),
        cmocka_unit_test(a_ticket_is_skipped_in_any_pieces),
        cmocka_unit_test(what_may_not_come_ends_the_connection),
        cmocka_unit_test(data_within_a_handshake_message_is_refused),
        cmocka_unit_test(records_without_data_are_counted),
        cmocka_unit_test(warnings_in_a_row_are_counted),
        cmocka_unit_test(tickets_are_not_counted_among_empty_records),
        cmocka_unit_test(a_close_ends_one_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
