/*
 * The states of the native engine as a table: which message may come in which, in both roles, and
 * the alert that everything else is answered with (rig.h says how).
 */
#include "rig.h"

enum { TYPE_NONE = -1, ALLOWED_MAX = 2 };

/* ---- the table ---- */

/* A state that waits for a message, by the conversation that leads there, and what may come. */
struct state {
    enum conversation conversation;
    enum hbk_tls_role role;
    enum hbk_native_state state;
    int allowed[ALLOWED_MAX]; /* types; TYPE_NONE ends */
};

static const struct state states[] = {
    {MUTUAL, HBK_TLS_CLIENT, HBK_NATIVE_CLIENT_SERVER_HELLO, {HBK_MESSAGE_SERVER_HELLO, TYPE_NONE}},
    {MUTUAL,
     HBK_TLS_CLIENT,
     HBK_NATIVE_CLIENT_ENCRYPTED_EXTENSIONS,
     {HBK_MESSAGE_ENCRYPTED_EXTENSIONS, TYPE_NONE}},
    {RETRIED,
     HBK_TLS_CLIENT,
     HBK_NATIVE_CLIENT_ENCRYPTED_EXTENSIONS,
     {HBK_MESSAGE_ENCRYPTED_EXTENSIONS, TYPE_NONE}},
    {MUTUAL,
     HBK_TLS_CLIENT,
     HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE,
     {HBK_MESSAGE_CERTIFICATE_REQUEST, HBK_MESSAGE_CERTIFICATE}},
    {MUTUAL, HBK_TLS_CLIENT, HBK_NATIVE_CLIENT_CERTIFICATE, {HBK_MESSAGE_CERTIFICATE, TYPE_NONE}},
    {MUTUAL,
     HBK_TLS_CLIENT,
     HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY,
     {HBK_MESSAGE_CERTIFICATE_VERIFY, TYPE_NONE}},
    {ONE_WAY,
     HBK_TLS_CLIENT,
     HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY,
     {HBK_MESSAGE_CERTIFICATE_VERIFY, TYPE_NONE}},
    {MUTUAL, HBK_TLS_CLIENT, HBK_NATIVE_CLIENT_FINISHED, {HBK_MESSAGE_FINISHED, TYPE_NONE}},
    {ONE_WAY, HBK_TLS_CLIENT, HBK_NATIVE_CLIENT_FINISHED, {HBK_MESSAGE_FINISHED, TYPE_NONE}},

    {MUTUAL, HBK_TLS_SERVER, HBK_NATIVE_SERVER_CLIENT_HELLO, {HBK_MESSAGE_CLIENT_HELLO, TYPE_NONE}},
    {RETRIED,
     HBK_TLS_SERVER,
     HBK_NATIVE_SERVER_SECOND_HELLO,
     {HBK_MESSAGE_CLIENT_HELLO, TYPE_NONE}},
    {MUTUAL, HBK_TLS_SERVER, HBK_NATIVE_SERVER_CERTIFICATE, {HBK_MESSAGE_CERTIFICATE, TYPE_NONE}},
    {RETRIED, HBK_TLS_SERVER, HBK_NATIVE_SERVER_CERTIFICATE, {HBK_MESSAGE_CERTIFICATE, TYPE_NONE}},
    {MUTUAL,
     HBK_TLS_SERVER,
     HBK_NATIVE_SERVER_CERTIFICATE_VERIFY,
     {HBK_MESSAGE_CERTIFICATE_VERIFY, TYPE_NONE}},
    {MUTUAL, HBK_TLS_SERVER, HBK_NATIVE_SERVER_FINISHED, {HBK_MESSAGE_FINISHED, TYPE_NONE}},
    {ONE_WAY, HBK_TLS_SERVER, HBK_NATIVE_SERVER_FINISHED, {HBK_MESSAGE_FINISHED, TYPE_NONE}},
    {WITHOUT, HBK_TLS_SERVER, HBK_NATIVE_SERVER_FINISHED, {HBK_MESSAGE_FINISHED, TYPE_NONE}},
};

static struct rig *rig_in(const struct state *state)
{
    struct rig *rig = rig_new(state->conversation, state->role);
    reach(rig, state->state);
    assert_int_equal(rig->victim->answer == HBK_TLS_WAITING, false);
    return rig;
}

static bool is_allowed(const struct state *state, int type)
{
    for (size_t i = 0; i < ALLOWED_MAX && state->allowed[i] != TYPE_NONE; i++) {
        if (state->allowed[i] == type) {
            return true;
        }
    }
    return false;
}

/* ---- messages that would be good elsewhere ---- */

/* One of each type, from a conversation that went well. */
static struct message samples[256];

static void keep_sample(struct hbk_slice message)
{
    struct message *sample = &samples[message.bytes[0]];
    if (sample->size == 0) {
        sample->size = message.size;
        memcpy(sample->bytes, message.bytes, message.size);
    }
}

static void make_samples(void)
{
    static const enum hbk_native_state ends[] = {
        [HBK_TLS_CLIENT] = HBK_NATIVE_CLIENT_ANSWER, [HBK_TLS_SERVER] = HBK_NATIVE_SERVER_CONFIRM};
    for (unsigned role = HBK_TLS_CLIENT; role <= HBK_TLS_SERVER; role++) {
        struct rig *rig = rig_new(MUTUAL, role);
        reach(rig, ends[role]);
        for (size_t i = 0; i < rig->message_count; i++) {
            keep_sample(hbk_slice_of(rig->messages[i].bytes, rig->messages[i].size));
        }
        rig_free(rig);
    }
    static const uint8_t others[][24] = {
        {HBK_MESSAGE_NEW_SESSION_TICKET, 0, 0, 14, 0, 0, 1, 0, 1, 2, 3, 4, 1, 9, 0, 2, 7, 7},
        {HBK_MESSAGE_END_OF_EARLY_DATA, 0, 0, 0},
        {HBK_MESSAGE_KEY_UPDATE, 0, 0, 1, 0},
        {0, 0, 0, 0}, /* hello_request of older versions */
    };
    for (size_t i = 0; i < HBK_COUNT(others); i++) {
        keep_sample(hbk_slice_of(others[i], HBK_MESSAGE_HEADER_BYTES + others[i][3]));
    }
}

/* A message of that type. A Finished is right for all that was said so far. */
static struct hbk_slice message_of(struct rig *rig, uint8_t type, struct message *out)
{
    *out = samples[type];
    if (out->size == 0) {
        out->size = HBK_MESSAGE_HEADER_BYTES + 2;
        out->bytes[0] = type;
        out->bytes[3] = 2;
    }
    const struct hbk_native *handshake = rig->victim->handshake;
    if (type == HBK_MESSAGE_FINISHED && handshake->flight.is_in_protected) {
        uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
        (void)hbk_tls_transcript_hash(&handshake->transcript, hash);
        hbk_tls_finished(handshake->result.suite, honest_secret(rig, handshake), hash,
                         out->bytes + HBK_MESSAGE_HEADER_BYTES);
    }
    return hbk_slice_of(out->bytes, out->size);
}

static void every_message_in_every_state_is_taken_or_refused_as_the_table_says(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        for (int type = 0; type < 256; type++) {
            struct rig *rig = rig_in(&states[i]);
            struct message message;
            if (is_allowed(&states[i], type)) {
                rig_free(rig);
                continue;
            }
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, message_of(rig, (uint8_t)type, &message));
            expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
            rig_free(rig);
        }
    }
}

/* What may come is what leads on: from each state of the table the honest messages lead to the end,
 * and each passes through the table's states alone. */
static void what_is_allowed_leads_to_the_end(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        struct rig *rig = rig_in(&states[i]);
        struct hbk_slice message = next_message(rig);
        assert_true(is_allowed(&states[i], message.bytes[0]));
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, message);
        reach(rig, HBK_NATIVE_DONE);
        assert_int_equal(rig->victim->answer, HBK_TLS_DONE);
        run_honest(rig);
        assert_int_equal(rig->honest->answer, HBK_TLS_DONE);
        rig_free(rig);
    }
}

static void a_message_twice_is_refused(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        struct rig *rig = rig_in(&states[i]);
        struct hbk_slice message = next_message(rig);
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, message);
        while (rig->victim->answer == HBK_TLS_WAITING) {
            native_end_compute(&rig->victims_worker);
            step_victim(rig, NULL, 0);
        }
        if (rig->victim->answer != HBK_TLS_DONE &&
            rig->victim->handshake->state != states[i].state) {
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, message);
            expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
        }
        rig_free(rig);
    }
}

/* Any one message of the flight left out: its successor is refused. */
static void a_message_left_out_is_noticed(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        struct rig *rig = rig_in(&states[i]);
        struct hbk_slice skipped = next_message(rig);
        /* Without the request a certificate may come: the client then has another transcript. */
        bool is_request = skipped.bytes[0] == HBK_MESSAGE_CERTIFICATE_REQUEST;
        while (!is_request && rig->victim->answer != HBK_TLS_FAILED &&
               rig->message_at < rig->message_count) {
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, next_message(rig));
            expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
        }
        rig_free(rig);
    }
    struct rig *rig = rig_new(MUTUAL, HBK_TLS_CLIENT);
    reach(rig, HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE);
    assert_int_equal(next_message(rig).bytes[0], HBK_MESSAGE_CERTIFICATE_REQUEST);
    while (rig->victim->answer == HBK_TLS_WANT_INPUT) {
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, next_message(rig));
        if (rig->victim->answer == HBK_TLS_WAITING) {
            native_end_compute(&rig->victims_worker);
            step_victim(rig, NULL, 0);
        }
    }
    expect_alert(rig, HBK_ALERT_DECRYPT_ERROR);
    rig_free(rig);
}

/* ---- records ---- */

/* What a record comes to in a state. */
struct record_case {
    const char *name;
    uint8_t type;
    uint8_t body[8];
    size_t size;
    int alert;        /* that we answer with; HBK_ALERT_NONE: it is taken and nothing changes */
    bool is_received; /* `alert` is the peer's, and we say nothing */
};

static const struct record_case record_cases[] = {
    {"user_canceled", HBK_TLS_RECORD_ALERT, {1, 90}, 2, HBK_ALERT_NONE, false},
    {"close_notify", HBK_TLS_RECORD_ALERT, {1, 0}, 2, HBK_ALERT_CLOSE_NOTIFY, true},
    {"a fatal alert", HBK_TLS_RECORD_ALERT, {2, 40}, 2, HBK_ALERT_HANDSHAKE_FAILURE, true},
    {"a fatal alert called a warning",
     HBK_TLS_RECORD_ALERT,
     {1, 40},
     2,
     HBK_ALERT_HANDSHAKE_FAILURE,
     true},
    {"an alert of one byte", HBK_TLS_RECORD_ALERT, {2}, 1, HBK_ALERT_DECODE_ERROR, false},
    {"two alerts in one record",
     HBK_TLS_RECORD_ALERT,
     {1, 90, 1, 90},
     4,
     HBK_ALERT_DECODE_ERROR,
     false},
    {"an alert of no level", HBK_TLS_RECORD_ALERT, {3, 40}, 2, HBK_ALERT_ILLEGAL_PARAMETER, false},
    {"application data",
     HBK_TLS_RECORD_APPLICATION_DATA,
     {'h', 'i'},
     2,
     HBK_ALERT_UNEXPECTED_MESSAGE,
     false},
    {"an empty handshake record",
     HBK_TLS_RECORD_HANDSHAKE,
     {0},
     0,
     HBK_ALERT_UNEXPECTED_MESSAGE,
     false},
    {"a record of an unknown type", 25, {0}, 1, HBK_ALERT_UNEXPECTED_MESSAGE, false},
    {"a heartbeat", 24, {1, 0, 0}, 3, HBK_ALERT_UNEXPECTED_MESSAGE, false},
};

static void expect_received(struct rig *rig, int alert)
{
    struct native_end *victim = rig->victim;
    struct hbk_tls_failure failure = hbk_tls_native.failure(victim->handshake);
    assert_int_equal(victim->answer, HBK_TLS_FAILED);
    assert_int_equal(failure.alert, alert);
    assert_true(failure.alert_is_received);
    assert_int_equal(failure.status, HBK_CLOSED);
    assert_int_equal(victim->output_bytes, 0);
}

static void every_record_in_every_state_is_taken_or_refused_as_the_table_says(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        for (size_t j = 0; j < HBK_COUNT(record_cases); j++) {
            const struct record_case *record = &record_cases[j];
            struct rig *rig = rig_in(&states[i]);
            deliver_record(rig, record->type, hbk_slice_of(record->body, record->size));
            if (record->is_received) {
                expect_received(rig, record->alert);
            } else if (record->alert == HBK_ALERT_NONE) {
                assert_int_equal(rig->victim->answer, HBK_TLS_WANT_INPUT);
                assert_int_equal(rig->victim->handshake->state, states[i].state);
                reach(rig, HBK_NATIVE_DONE);
            } else {
                expect_alert(rig, record->alert);
            }
            rig_free(rig);
        }
    }
}

/* change_cipher_spec never is under keys (5): it may come from the first ClientHello on. */
static void a_change_cipher_spec_is_dropped_from_the_first_hello_on(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        struct rig *rig = rig_in(&states[i]);
        uint8_t record[] = {HBK_TLS_RECORD_CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1};
        step_victim(rig, record, sizeof record);
        if (states[i].state == HBK_NATIVE_SERVER_CLIENT_HELLO) {
            expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
        } else {
            assert_int_equal(rig->victim->answer, HBK_TLS_WANT_INPUT);
            assert_int_equal(rig->victim->handshake->state, states[i].state);
            reach(rig, HBK_NATIVE_DONE);
        }
        rig_free(rig);
    }
}

static void a_change_cipher_spec_that_is_none_is_refused(void **context)
{
    (void)context;
    static const uint8_t bodies[][2] = {{2}, {1, 1}, {0}};
    static const size_t sizes[] = {1, 2, 0};
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        for (size_t j = 0; j < HBK_COUNT(bodies); j++) {
            struct rig *rig = rig_in(&states[i]);
            uint8_t record[] = {HBK_TLS_RECORD_CHANGE_CIPHER_SPEC,
                                3,
                                3,
                                0,
                                (uint8_t)sizes[j],
                                bodies[j][0],
                                bodies[j][1]};
            step_victim(rig, record, HBK_TLS_RECORD_HEADER_BYTES + sizes[j]);
            expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
            rig_free(rig);
        }
    }
}

static void idle_records_are_bounded(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        if (states[i].state == HBK_NATIVE_SERVER_CLIENT_HELLO) {
            continue;
        }
        struct rig *rig = rig_in(&states[i]);
        unsigned taken = 0;
        while (rig->victim->answer == HBK_TLS_WANT_INPUT && taken < 1000) {
            uint8_t record[] = {HBK_TLS_RECORD_CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1};
            step_victim(rig, record, sizeof record);
            taken++;
        }
        assert_int_equal(taken, HBK_FLIGHT_IDLE_RECORDS_MAX + 1);
        expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
        rig_free(rig);

        rig = rig_in(&states[i]);
        for (taken = 0; rig->victim->answer == HBK_TLS_WANT_INPUT && taken < 1000; taken++) {
            static const uint8_t canceled[] = {1, 90};
            deliver_record(rig, HBK_TLS_RECORD_ALERT, hbk_slice_of(canceled, sizeof canceled));
        }
        assert_int_equal(taken, HBK_FLIGHT_WARNINGS_MAX + 1);
        expect_alert(rig, HBK_ALERT_DECODE_ERROR);
        rig_free(rig);
    }
}

/* Raw bytes, in any state: {bytes}, alert in the clear, alert under keys. */
static void bytes_that_are_no_record_are_refused(void **context)
{
    (void)context;
    static const struct {
        const char *bytes;
        size_t size;
        int alert, alert_protected;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 16, HBK_ALERT_UNEXPECTED_MESSAGE, HBK_ALERT_UNEXPECTED_MESSAGE},
        {"\x80\x2e\x01\x00\x02\x00\x15", 7, HBK_ALERT_UNEXPECTED_MESSAGE,
         HBK_ALERT_UNEXPECTED_MESSAGE}, /* a hello of SSL 2 */
        {"\x16\x02\x00\x00\x04\x01\x00\x00\x00", 9, HBK_ALERT_UNEXPECTED_MESSAGE,
         HBK_ALERT_UNEXPECTED_MESSAGE}, /* another major version */
        {"\x00\x00\x00\x00\x00", 5, HBK_ALERT_UNEXPECTED_MESSAGE, HBK_ALERT_UNEXPECTED_MESSAGE},
        {"\xff\xff\xff\xff\xff", 5, HBK_ALERT_UNEXPECTED_MESSAGE, HBK_ALERT_UNEXPECTED_MESSAGE},
        {"\x16\x03\x03\x40\x01", 5, HBK_ALERT_RECORD_OVERFLOW, HBK_ALERT_RECORD_OVERFLOW},
        {"\x15\x03\x03\x40\x01", 5, HBK_ALERT_RECORD_OVERFLOW, HBK_ALERT_RECORD_OVERFLOW},
        {"\x17\x03\x03\x41\x01", 5, HBK_ALERT_RECORD_OVERFLOW, HBK_ALERT_RECORD_OVERFLOW},
        /* A tag without anything, and a whole record of noise. */
        {"\x17\x03\x03\x00\x05"
         "noise",
         10, HBK_ALERT_UNEXPECTED_MESSAGE, HBK_ALERT_BAD_RECORD_MAC},
        {"\x17\x03\x03\x00\x14"
         "noise that is sealed",
         25, HBK_ALERT_UNEXPECTED_MESSAGE, HBK_ALERT_BAD_RECORD_MAC},
    };
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        for (size_t j = 0; j < HBK_COUNT(cases); j++) {
            struct rig *rig = rig_in(&states[i]);
            uint8_t bytes[32];
            bool is_protected = rig->victim->handshake->flight.is_in_protected;
            memcpy(bytes, cases[j].bytes, cases[j].size);
            (void)native_end_step(rig->victim, bytes, cases[j].size);
            expect_alert(rig, is_protected ? cases[j].alert_protected : cases[j].alert);
            rig_free(rig);
        }
    }
}

/* Once there are keys, nothing in the clear counts: the very message that is awaited is refused. */
static void a_message_in_the_clear_is_refused_under_keys(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        struct rig *rig = rig_in(&states[i]);
        if (rig->victim->handshake->flight.is_in_protected) {
            struct hbk_slice message = next_message(rig);
            uint8_t record[MESSAGE_BYTES_MAX + HBK_TLS_RECORD_HEADER_BYTES] = {
                HBK_TLS_RECORD_HANDSHAKE, 3, 3, (uint8_t)(message.size >> 8),
                (uint8_t)message.size};
            memcpy(record + HBK_TLS_RECORD_HEADER_BYTES, message.bytes, message.size);
            step_victim(rig, record, HBK_TLS_RECORD_HEADER_BYTES + message.size);
            expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
        }
        rig_free(rig);
    }
}

/* A message in the pieces of `size` bytes, each in a record; between the first two comes `between`.
 */
static void deliver_pieces(struct rig *rig, struct hbk_slice message, size_t size,
                           const struct hbk_slice *between)
{
    for (size_t at = 0; at < message.size && rig->victim->answer == HBK_TLS_WANT_INPUT;
         at += size) {
        struct hbk_slice piece = hbk_slice_part(message, at, size);
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, piece);
        if (at == 0 && between != NULL && rig->victim->answer == HBK_TLS_WANT_INPUT) {
            uint8_t record[16];
            memcpy(record, between->bytes, between->size);
            step_victim(rig, record, between->size);
        }
    }
}

static void a_message_may_be_spread_over_records_but_nothing_may_come_within(void **context)
{
    (void)context;
    static const uint8_t ccs[] = {HBK_TLS_RECORD_CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1};
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        static const size_t sizes[] = {1, 3, 4, 5, 50};
        for (size_t j = 0; j < HBK_COUNT(sizes); j++) {
            struct rig *rig = rig_in(&states[i]);
            deliver_pieces(rig, next_message(rig), sizes[j], NULL);
            reach(rig, HBK_NATIVE_DONE);
            rig_free(rig);
        }
        struct rig *rig = rig_in(&states[i]);
        const struct hbk_slice between = hbk_slice_of(ccs, sizeof ccs);
        deliver_pieces(rig, next_message(rig), 4, &between);
        expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
        rig_free(rig);

        rig = rig_in(&states[i]);
        static const uint8_t canceled[] = {1, 90};
        struct hbk_slice message = next_message(rig);
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_part(message, 0, 2));
        deliver_record(rig, HBK_TLS_RECORD_ALERT, hbk_slice_of(canceled, sizeof canceled));
        expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
        rig_free(rig);
    }
}

/* 5.1: a record must not hold a message behind one at which keys change. */
static void nothing_may_follow_in_a_record_where_keys_change(void **context)
{
    (void)context;
    static const uint8_t extra[] = {HBK_MESSAGE_ENCRYPTED_EXTENSIONS, 0, 0, 2, 0, 0};
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        for (size_t extra_bytes = 1; extra_bytes <= sizeof extra; extra_bytes++) {
            struct rig *rig = rig_in(&states[i]);
            struct hbk_slice message = next_message(rig);
            uint8_t type = message.bytes[0];
            uint8_t both[MESSAGE_BYTES_MAX];
            memcpy(both, message.bytes, message.size);
            memcpy(both + message.size, extra, extra_bytes);
            if (type == HBK_MESSAGE_CLIENT_HELLO || type == HBK_MESSAGE_SERVER_HELLO ||
                type == HBK_MESSAGE_FINISHED) {
                deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE,
                               hbk_slice_of(both, message.size + extra_bytes));
                expect_alert(rig, HBK_ALERT_UNEXPECTED_MESSAGE);
            }
            rig_free(rig);
        }
    }
}

/* All messages of a flight in one record are as good as each in its own. */
static void a_whole_flight_may_come_in_one_record(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        struct rig *rig = rig_in(&states[i]);
        uint8_t flight[MESSAGE_BYTES_MAX];
        size_t used = 0;
        if (rig->victim->handshake->flight.is_in_protected) {
            do {
                struct hbk_slice message = next_message(rig);
                assert_true(used + message.size <= sizeof flight);
                memcpy(flight + used, message.bytes, message.size);
                used += message.size;
            } while (rig->message_at < rig->message_count);
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(flight, used));
            reach(rig, HBK_NATIVE_DONE);
        }
        rig_free(rig);
    }
}

/* By its header alone, before its body comes: illegal_parameter for what may come, else as ever. */
static void a_message_that_is_too_long_is_refused_before_it_came(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        for (unsigned is_allowed_type = 0; is_allowed_type < 2; is_allowed_type++) {
            struct rig *rig = rig_in(&states[i]);
            const uint8_t header[] = {is_allowed_type ? (uint8_t)states[i].allowed[0]
                                                      : HBK_MESSAGE_KEY_UPDATE,
                                      0xff, 0xff, 0xff};
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(header, sizeof header));
            expect_alert(rig, is_allowed_type ? HBK_ALERT_ILLEGAL_PARAMETER
                                              : HBK_ALERT_UNEXPECTED_MESSAGE);
            rig_free(rig);
        }
    }
}

/* ---- waiting for jobs ---- */

static const struct state waiting_states[] = {
    {MUTUAL, HBK_TLS_CLIENT, HBK_NATIVE_CLIENT_AGREE, {TYPE_NONE}},
    {MUTUAL, HBK_TLS_CLIENT, HBK_NATIVE_CLIENT_ANSWER, {TYPE_NONE}},
    {ONE_WAY, HBK_TLS_CLIENT, HBK_NATIVE_CLIENT_ANSWER, {TYPE_NONE}},
    {MUTUAL, HBK_TLS_SERVER, HBK_NATIVE_SERVER_ANSWER, {TYPE_NONE}},
    {MUTUAL, HBK_TLS_SERVER, HBK_NATIVE_SERVER_CONFIRM, {TYPE_NONE}},
};

static void nothing_is_read_while_jobs_run(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(waiting_states); i++) {
        struct rig *rig = rig_new(waiting_states[i].conversation, waiting_states[i].role);
        reach(rig, waiting_states[i].state);
        assert_int_equal(rig->victim->answer, HBK_TLS_WAITING);
        uint8_t noise[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
        for (unsigned times = 0; times < 3; times++) {
            assert_int_equal(native_end_step(rig->victim, noise, sizeof noise), 0);
            assert_int_equal(rig->victim->answer, HBK_TLS_WAITING);
            assert_int_equal(rig->victim->output_bytes, 0);
        }
        assert_int_equal(noise[0], 0xff);
        reach(rig, HBK_NATIVE_DONE);
        rig_free(rig);
    }
}

/* ---- a wrong Finished, a wrong signature ---- */

static void a_wrong_finished_is_refused_in_every_byte(void **context)
{
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        if (states[i].allowed[0] != HBK_MESSAGE_FINISHED) {
            continue;
        }
        for (size_t at = 0; at < 32; at++) {
            struct rig *rig = rig_in(&states[i]);
            struct message changed;
            struct hbk_slice message = next_message(rig);
            memcpy(changed.bytes, message.bytes, message.size);
            changed.bytes[HBK_MESSAGE_HEADER_BYTES + at] ^= 1;
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE,
                           hbk_slice_of(changed.bytes, message.size));
            expect_alert(rig, HBK_ALERT_DECRYPT_ERROR);
            rig_free(rig);
        }
        /* And in its length: a Finished that is a prefix of the right one, down to nothing. */
        for (uint8_t size = 0; size < 32; size++) {
            struct rig *rig = rig_in(&states[i]);
            struct message shorter;
            memcpy(shorter.bytes, next_message(rig).bytes, HBK_MESSAGE_HEADER_BYTES + 32u);
            shorter.bytes[3] = size;
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE,
                           hbk_slice_of(shorter.bytes, HBK_MESSAGE_HEADER_BYTES + size));
            struct hbk_tls_failure failure = hbk_tls_native.failure(rig->victim->handshake);
            expect_alert(rig, failure.alert == HBK_ALERT_DECODE_ERROR ? HBK_ALERT_DECODE_ERROR
                                                                      : HBK_ALERT_DECRYPT_ERROR);
            rig_free(rig);
        }
    }
}

/* Delivers a CertificateVerify that was changed at `at`, and the honest end's rest. */
static void deliver_changed_verify(struct rig *rig, size_t at)
{
    struct message changed;
    struct hbk_slice message = next_message(rig);
    memcpy(changed.bytes, message.bytes, message.size);
    changed.bytes[at] ^= 1;
    deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(changed.bytes, message.size));
    if (rig->victim->answer == HBK_TLS_WANT_INPUT) {
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE,
                       message_of(rig, HBK_MESSAGE_FINISHED, &changed));
        assert_int_equal(rig->victim->answer, HBK_TLS_WAITING);
        native_end_compute(&rig->victims_worker);
        step_victim(rig, NULL, 0);
    }
}

/* Though a Finished that is right for it follows, so that only the signature tells. */
static void a_wrong_signature_is_refused(void **context)
{
    (void)context;
    enum { SCHEME_AT = HBK_MESSAGE_HEADER_BYTES, SIGNATURE_AT = SCHEME_AT + 4 };
    for (size_t i = 0; i < HBK_COUNT(states); i++) {
        if (states[i].allowed[0] != HBK_MESSAGE_CERTIFICATE_VERIFY) {
            continue;
        }
        struct rig *rig = rig_in(&states[i]);
        deliver_changed_verify(rig, SIGNATURE_AT + 40);
        expect_alert(rig, HBK_ALERT_DECRYPT_ERROR);
        rig_free(rig);

        rig = rig_in(&states[i]);
        deliver_changed_verify(rig, SCHEME_AT + 1);
        expect_alert(rig, HBK_ALERT_ILLEGAL_PARAMETER);
        rig_free(rig);
    }
}

static int set_up(void **context)
{
    (void)context;
    rig_set_up();
    make_samples();
    return 0;
}

static int tear_down(void **context)
{
    (void)context;
    rig_tear_down();
    return 0;
}

/* ---- records beyond what we take ---- */

/* The last message of a handshake in a record whose text, type and padding are as many as we said
 * that we take, or one more (RFC 8449, 4). */
static void a_record_above_the_limit_that_was_agreed_on_is_refused(void **state)
{
    (void)state;
    enum { LIMIT = 2048 };
    static const enum hbk_native_state last[] = {HBK_NATIVE_CLIENT_FINISHED,
                                                 HBK_NATIVE_SERVER_FINISHED};
    for (unsigned i = 0; i < 4; i++) {
        enum hbk_tls_role role = i % 2 == 0 ? HBK_TLS_CLIENT : HBK_TLS_SERVER;
        size_t padded_bytes = LIMIT + i / 2;
        struct rig *rig = rig_new(MUTUAL, role);
        contexts[MUTUAL][HBK_TLS_CLIENT]->record_size_limit = LIMIT;
        contexts[MUTUAL][HBK_TLS_SERVER]->record_size_limit = LIMIT;
        reach(rig, last[role]);
        uint8_t body[LIMIT + 1] = {0};
        struct hbk_slice message = next_message(rig);
        memcpy(body, message.bytes, message.size);
        body[message.size] = HBK_TLS_RECORD_HANDSHAKE;
        deliver_record(rig, 0, hbk_slice_of(body, padded_bytes - 1)); /* type 0: padding */
        if (padded_bytes > LIMIT) {
            expect_alert(rig, HBK_ALERT_RECORD_OVERFLOW);
        } else {
            assert_int_equal(rig->victim->answer, HBK_TLS_WAITING);
        }
        contexts[MUTUAL][HBK_TLS_CLIENT]->record_size_limit = 0;
        contexts[MUTUAL][HBK_TLS_SERVER]->record_size_limit = 0;
        rig_free(rig);
    }
}

/* ---- what a peer has not proved ---- */

/* Good chains of others are easy to get: they leave nothing in the cache of verdicts before their
 * owner has signed. (A session keeps what it has seen proved; see test_interop.c.) */
static void a_chain_without_a_signature_takes_no_place_in_the_cache(void **state)
{
    (void)state;
    static const enum hbk_native_state behind_the_chain[] = {HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY,
                                                             HBK_NATIVE_SERVER_CERTIFICATE_VERIFY};
    for (enum hbk_tls_role role = HBK_TLS_CLIENT; role <= HBK_TLS_SERVER; role++) {
        struct rig *rig = rig_new(MUTUAL, role);
        struct hbk_verdict_cache *verdicts = &rig->victims_worker.verdicts;
        verdicts->entries_max = 8;
        reach(rig, behind_the_chain[role]);
        assert_int_equal(verdicts->misses, 1);
        assert_int_equal(verdicts->entries.count, 0);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_in_every_state_is_taken_or_refused_as_the_table_says),
        cmocka_unit_test(what_is_allowed_leads_to_the_end),
        cmocka_unit_test(a_message_twice_is_refused),
        cmocka_unit_test(a_message_left_out_is_noticed),
        cmocka_unit_test(every_record_in_every_state_is_taken_or_refused_as_the_table_says),
        cmocka_unit_test(a_change_cipher_spec_is_dropped_from_the_first_hello_on),
        cmocka_unit_test(a_change_cipher_spec_that_is_none_is_refused),
        cmocka_unit_test(idle_records_are_bounded),
        cmocka_unit_test(bytes_that_are_no_record_are_refused),
        cmocka_unit_test(a_message_in_the_clear_is_refused_under_keys),
        cmocka_unit_test(a_message_may_be_spread_over_records_but_nothing_may_come_within),
        cmocka_unit_test(nothing_may_follow_in_a_record_where_keys_change),
        cmocka_unit_test(a_whole_flight_may_come_in_one_record),
        cmocka_unit_test(a_message_that_is_too_long_is_refused_before_it_came),
        cmocka_unit_test(nothing_is_read_while_jobs_run),
        cmocka_unit_test(a_wrong_finished_is_refused_in_every_byte),
        cmocka_unit_test(a_wrong_signature_is_refused),
        cmocka_unit_test(a_record_above_the_limit_that_was_agreed_on_is_refused),
        cmocka_unit_test(a_chain_without_a_signature_takes_no_place_in_the_cache),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
