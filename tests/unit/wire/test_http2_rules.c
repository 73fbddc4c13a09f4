/*
 * What a peer may not do, one rule of RFC 9113 per line, and what becomes of it: the session fails,
 * one stream is reset, or nothing happens. Each case runs whole and byte by byte.
 */
#include "wire/http2.h"

#include "http2_scene.h"

enum outcome {
    PASSES,
    RESETS, /* RST_STREAM on stream `reset_id` */
    FAILS,  /* GOAWAY */
};

struct rule {
    const char *text;
    enum outcome outcome;
    enum hbk_h2_code code;
    uint32_t reset_id;
    struct sent frames[5];
};

static void check_outcome(const struct rule *rule, struct scene *scene)
{
    uint32_t id = 0;
    uint32_t code = 0;
    const struct hbk_h2_session *session = &scene->end.session;
    bool has_failed = session->has_failed;
    bool has_reset = find_sent(&scene->end, H2_RST_STREAM, &id, &code);
    if (has_failed != (rule->outcome == FAILS) || has_reset != (rule->outcome == RESETS)) {
        fail_msg("%s: failed %d (%s), reset %d", rule->text, has_failed,
                 has_failed ? session->failure_text : "", has_reset);
    }
    if (rule->outcome == RESETS && (id != rule->reset_id || code != rule->code)) {
        fail_msg("%s: stream %u, %s", rule->text, id, hbk_h2_code_text(code));
    }
    if (rule->outcome == FAILS) {
        assert_true(find_sent(&scene->end, H2_GOAWAY, &id, &code));
        if (session->failure_code != rule->code || code != rule->code) {
            fail_msg("%s: %s", rule->text, hbk_h2_code_text(session->failure_code));
        }
    }
}

static void run_rules(const struct rule *rules, size_t count, enum hbk_h2_role role)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t step = 1; step <= 1 << 20; step <<= 20) {
            struct scene scene;
            struct hbk_buffer bytes;
            scene_init(&scene, role);
            hbk_buffer_init(&bytes, 1 << 20);
            for (size_t at = 0; at < HBK_COUNT(rules[i].frames); at++) {
                const struct sent *frame = &rules[i].frames[at];
                if (frame->id != 0 || frame->type != 0 || frame->size != 0) {
                    add_frame(&bytes, frame);
                }
            }
            read_all(&scene, hbk_buffer_slice(&bytes), step);
            check_outcome(&rules[i], &scene);
            hbk_buffer_fini(&bytes);
            end_fini(&scene.end);
        }
    }
}

static const struct rule frame_rules[] = {
    {"4.2: a frame of 16384 bytes", PASSES, 0, 0, {ZEROS(H2_DATA, 0, 1, 16384)}},
    {"4.2: a longer frame", FAILS, HBK_H2_FRAME_SIZE_ERROR, 0, {ZEROS(H2_DATA, 0, 1, 16385)}},
    {"5.5: unknown types", PASSES, 0, 0, {FRAME(0xfa, 0xff, 9, "what"), FRAME(0xfb, 0, 0, "")}},
    {"5.5: unknown types inside a block",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_HEADERS, 0, 3, CONNECT), FRAME(0xfa, 0, 3, "")}},
    {"6.1: DATA on stream 0", FAILS, HBK_H2_PROTOCOL_ERROR, 0, {FRAME(H2_DATA, 0, 0, "x")}},
    {"5.1: DATA on an idle stream", FAILS, HBK_H2_PROTOCOL_ERROR, 0, {FRAME(H2_DATA, 0, 9, "x")}},
    {"6.1: padding as long as the payload",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_DATA, H2_FLAG_PADDED, 1, "\4\0\0\0")}},
    {"6.1: padding that fills the frame",
     PASSES,
     0,
     0,
     {FRAME(H2_DATA, H2_FLAG_PADDED, 1, "\3\0\0\0")}},
    {"6.1: padded, and empty",
     FAILS,
     HBK_H2_FRAME_SIZE_ERROR,
     0,
     {ZEROS(H2_DATA, H2_FLAG_PADDED, 1, 0)}},
    {"5.1: DATA behind END_STREAM",
     RESETS,
     HBK_H2_STREAM_CLOSED,
     1,
     {FRAME(H2_DATA, LAST, 1, "x"), FRAME(H2_DATA, 0, 1, "y")}},
    {"6.2: padding longer than HEADERS",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE | H2_FLAG_PADDED, 3, "\7abc")}},
    {"6.2: HEADERS without room for priority",
     FAILS,
     HBK_H2_FRAME_SIZE_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE | H2_FLAG_PRIORITY, 3, "abcd")}},
    {"6.2: HEADERS on stream 0",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE, 0, CONNECT)}},
    {"6.3: PRIORITY on stream 0", FAILS, HBK_H2_PROTOCOL_ERROR, 0, {ZEROS(H2_PRIORITY, 0, 0, 5)}},
    {"6.3: PRIORITY of 4 bytes", RESETS, HBK_H2_FRAME_SIZE_ERROR, 1, {ZEROS(H2_PRIORITY, 0, 1, 4)}},
    {"6.3: PRIORITY on an idle stream", PASSES, 0, 0, {ZEROS(H2_PRIORITY, 0, 77, 5)}},
    {"6.4: RST_STREAM on stream 0",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {ZEROS(H2_RST_STREAM, 0, 0, 4)}},
    {"6.4: RST_STREAM on an idle stream",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {ZEROS(H2_RST_STREAM, 0, 99, 4)}},
    {"6.4: RST_STREAM of 5 bytes",
     FAILS,
     HBK_H2_FRAME_SIZE_ERROR,
     0,
     {ZEROS(H2_RST_STREAM, 0, 1, 5)}},
    {"5.1: frames on a stream that was reset twice",
     PASSES,
     0,
     0,
     {ZEROS(H2_RST_STREAM, 0, 1, 4), ZEROS(H2_RST_STREAM, 0, 1, 4),
      FRAME(H2_WINDOW_UPDATE, 0, 1, "\0\0\0\1")}},
    {"5.1: DATA behind the peer's own RST_STREAM",
     FAILS,
     HBK_H2_STREAM_CLOSED,
     0,
     {ZEROS(H2_RST_STREAM, 0, 1, 4), FRAME(H2_DATA, 0, 1, "x")}},
    {"6.5: SETTINGS on a stream", FAILS, HBK_H2_PROTOCOL_ERROR, 0, {ZEROS(H2_SETTINGS, 0, 1, 0)}},
    {"6.5: SETTINGS of 5 bytes", FAILS, HBK_H2_FRAME_SIZE_ERROR, 0, {ZEROS(H2_SETTINGS, 0, 0, 5)}},
    {"6.5: an ACK with a payload",
     FAILS,
     HBK_H2_FRAME_SIZE_ERROR,
     0,
     {ZEROS(H2_SETTINGS, H2_FLAG_ACK, 0, 6)}},
    {"6.5.2: an unknown setting", PASSES, 0, 0, {FRAME(H2_SETTINGS, 0, 0, "\xff\xff\1\2\3\4")}},
    {"6.5.2: ENABLE_PUSH 2",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_SETTINGS, 0, 0, "\0\2\0\0\0\2")}},
    {"6.5.2: INITIAL_WINDOW_SIZE 2^31",
     FAILS,
     HBK_H2_FLOW_CONTROL_ERROR,
     0,
     {FRAME(H2_SETTINGS, 0, 0, "\0\4\x80\0\0\0")}},
    {"6.5.2: INITIAL_WINDOW_SIZE 2^31 - 1",
     PASSES,
     0,
     0,
     {FRAME(H2_SETTINGS, 0, 0, "\0\4\x7f\xff\xff\xff")}},
    {"6.9.2: a stream's window overflows with the initial one",
     FAILS,
     HBK_H2_FLOW_CONTROL_ERROR,
     0,
     {FRAME(H2_WINDOW_UPDATE, 0, 1, "\0\0\0\1"), FRAME(H2_SETTINGS, 0, 0, "\0\4\x7f\xff\xff\xff")}},
    {"6.5.2: MAX_FRAME_SIZE 16383",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_SETTINGS, 0, 0, "\0\5\0\0\x3f\xff")}},
    {"6.5.2: MAX_FRAME_SIZE 2^24",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_SETTINGS, 0, 0, "\0\5\1\0\0\0")}},
    {"6.7: PING on a stream", FAILS, HBK_H2_PROTOCOL_ERROR, 0, {ZEROS(H2_PING, 0, 1, 8)}},
    {"6.7: PING of 7 bytes", FAILS, HBK_H2_FRAME_SIZE_ERROR, 0, {ZEROS(H2_PING, 0, 0, 7)}},
    {"6.8: GOAWAY on a stream", FAILS, HBK_H2_PROTOCOL_ERROR, 0, {ZEROS(H2_GOAWAY, 0, 1, 8)}},
    {"6.8: GOAWAY of 7 bytes", FAILS, HBK_H2_FRAME_SIZE_ERROR, 0, {ZEROS(H2_GOAWAY, 0, 0, 7)}},
    {"6.8: GOAWAY that grows",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0"), FRAME(H2_GOAWAY, 0, 0, "\0\0\0\3\0\0\0\0")}},
    {"6.8: GOAWAY that shrinks",
     PASSES,
     0,
     0,
     {FRAME(H2_GOAWAY, 0, 0, "\x7f\xff\xff\xff\0\0\0\0why"),
      FRAME(H2_GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0")}},
    {"6.9: WINDOW_UPDATE of 3 bytes",
     FAILS,
     HBK_H2_FRAME_SIZE_ERROR,
     0,
     {ZEROS(H2_WINDOW_UPDATE, 0, 1, 3)}},
    {"6.9: WINDOW_UPDATE of zero, connection",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {ZEROS(H2_WINDOW_UPDATE, 0, 0, 4)}},
    {"6.9: WINDOW_UPDATE of zero, stream",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     1,
     {ZEROS(H2_WINDOW_UPDATE, 0, 1, 4)}},
    {"5.1: WINDOW_UPDATE on an idle stream",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_WINDOW_UPDATE, 0, 99, "\0\0\0\1")}},
    {"6.9.1: the connection's window overflows",
     FAILS,
     HBK_H2_FLOW_CONTROL_ERROR,
     0,
     {FRAME(H2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff")}},
    {"6.9.1: a stream's window overflows",
     RESETS,
     HBK_H2_FLOW_CONTROL_ERROR,
     1,
     {FRAME(H2_WINDOW_UPDATE, 0, 1, "\x7f\xff\xff\xff")}},
    {"6.9.1: DATA beyond the stream's window",
     RESETS,
     HBK_H2_FLOW_CONTROL_ERROR,
     1,
     {ZEROS(H2_DATA, 0, 1, 16384), ZEROS(H2_DATA, 0, 1, 16384), ZEROS(H2_DATA, 0, 1, 16384),
      ZEROS(H2_DATA, 0, 1, 16384), FRAME(H2_DATA, 0, 1, "x")}},
    {"6.10: CONTINUATION without HEADERS",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_CONTINUATION, WHOLE, 1, "")}},
    {"6.10: another stream inside a block",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_HEADERS, 0, 3, CONNECT), FRAME(H2_CONTINUATION, WHOLE, 5, "")}},
    {"6.10: CONTINUATION behind END_HEADERS",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_PING, 0, 0, "12345678"), FRAME(H2_CONTINUATION, WHOLE, 1, "")}},
    {"4.3: HPACK index 0",
     FAILS,
     HBK_H2_COMPRESSION_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE, 1, "\x80")}},
    {"4.3: a block that ends inside a field",
     FAILS,
     HBK_H2_COMPRESSION_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE, 1, "\0\7:me")}},
};

static void frames_that_break_a_rule_have_the_outcome_that_the_rule_says(void **state)
{
    (void)state;
    run_rules(frame_rules, HBK_COUNT(frame_rules), HBK_H2_SERVER);
    run_rules(frame_rules, HBK_COUNT(frame_rules), HBK_H2_CLIENT);
}

#define REQUEST(text, outcome, fields)           \
    {                                            \
        text, outcome, HBK_H2_PROTOCOL_ERROR, 3, \
        {                                        \
            FRAME(H2_HEADERS, WHOLE, 3, fields)  \
        }                                        \
    }

static const struct rule request_rules[] = {
    REQUEST("8.5: CONNECT", PASSES, CONNECT),
    REQUEST("8.3.1: GET", PASSES, METHOD_GET SCHEME PATH),
    REQUEST("8.3.1: GET with authority", PASSES, METHOD_GET SCHEME AUTHORITY PATH),
    REQUEST("8.3.1: OPTIONS *", PASSES,
            FIELD("\7", ":method", "\7", "OPTIONS") SCHEME FIELD("\5", ":path", "\1", "*")),
    REQUEST("8.5: CONNECT with a path", RESETS, CONNECT PATH),
    REQUEST("8.5: CONNECT with a scheme", RESETS, CONNECT SCHEME),
    REQUEST("8.5: CONNECT without authority", RESETS, METHOD_CONNECT),
    REQUEST("8.3.1: no method", RESETS, AUTHORITY),
    REQUEST("8.3.1: GET without path", RESETS, METHOD_GET SCHEME),
    REQUEST("8.3.1: GET without scheme", RESETS, METHOD_GET PATH),
    REQUEST("8.3.1: an empty path", RESETS, METHOD_GET SCHEME FIELD("\5", ":path", "\0", "")),
    REQUEST("8.3.1: a path without slash", RESETS,
            METHOD_GET SCHEME FIELD("\5", ":path", "\1", "x")),
    REQUEST("8.3.1: a blank in a path", RESETS,
            METHOD_GET SCHEME FIELD("\5", ":path", "\3", "/ x")),
    REQUEST("8.3.1: a tabulator in a path", RESETS,
            METHOD_GET SCHEME FIELD("\5", ":path", "\3", "/\tx")),
    REQUEST("8.3.1: a byte above ASCII in a path", RESETS,
            METHOD_GET SCHEME FIELD("\5", ":path", "\2", "/\xff")),
    REQUEST("8.3.1: a blank in an authority", RESETS,
            METHOD_GET SCHEME PATH FIELD("\12", ":authority", "\3", "a b")),
    REQUEST("8.3.1: a method that is no token", RESETS,
            FIELD("\7", ":method", "\3", "G T") SCHEME PATH),
    REQUEST("8.3: a pseudo field twice", RESETS, CONNECT AUTHORITY),
    REQUEST("8.3: a pseudo field behind others", RESETS,
            METHOD_CONNECT FIELD("\1", "a", "\1", "b") AUTHORITY),
    REQUEST("8.3: an unknown pseudo field", RESETS, CONNECT FIELD("\6", ":other", "\1", "b")),
    REQUEST("8.3: a response's pseudo field", RESETS, CONNECT STATUS),
    REQUEST("RFC 8441: extended CONNECT, which we never offered", RESETS,
            CONNECT SCHEME PATH FIELD("\11", ":protocol", "\1", "x")),
    REQUEST("8.2.1: upper case", RESETS, CONNECT FIELD("\3", "Abc", "\1", "b")),
    REQUEST("8.2.1: an empty name", RESETS, CONNECT FIELD("\0", "", "\1", "b")),
    REQUEST("8.2.1: a blank in a name", RESETS, CONNECT FIELD("\3", "a b", "\1", "b")),
    REQUEST("8.2.1: a colon in a name", RESETS, CONNECT FIELD("\3", "a:b", "\1", "b")),
    REQUEST("8.2.1: an empty value", PASSES, CONNECT FIELD("\1", "a", "\0", "")),
    REQUEST("8.2.1: bytes above ASCII in a value", PASSES,
            CONNECT FIELD("\1", "a", "\2", "\xc3\xbc")),
    REQUEST("8.2.1: LF in a value", RESETS, CONNECT FIELD("\1", "a", "\3", "b\nc")),
    REQUEST("8.2.1: CR in a value", RESETS, CONNECT FIELD("\1", "a", "\3", "b\rc")),
    REQUEST("8.2.1: NUL in a value", RESETS, CONNECT FIELD("\1", "a", "\3", "b\0c")),
    REQUEST("8.2.1: a blank before a value", RESETS, CONNECT FIELD("\1", "a", "\2", " b")),
    REQUEST("8.2.1: a blank behind a value", RESETS, CONNECT FIELD("\1", "a", "\2", "b\t")),
    REQUEST("8.2.2: connection", RESETS, CONNECT FIELD("\12", "connection", "\5", "close")),
    REQUEST("8.2.2: transfer-encoding", RESETS,
            CONNECT FIELD("\21", "transfer-encoding", "\7", "chunked")),
    REQUEST("8.2.2: upgrade", RESETS, CONNECT FIELD("\7", "upgrade", "\1", "x")),
    REQUEST("8.2.2: te: trailers", PASSES, CONNECT FIELD("\2", "te", "\10", "trailers")),
    REQUEST("8.2.2: te: gzip", RESETS, CONNECT FIELD("\2", "te", "\4", "gzip")),
    {"5.1.1: an even id", FAILS, HBK_H2_PROTOCOL_ERROR, 0, {FRAME(H2_HEADERS, WHOLE, 4, CONNECT)}},
    {"5.1.1: an id below the last",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE, 5, CONNECT), FRAME(H2_HEADERS, WHOLE, 3, CONNECT)}},
    {"5.1: HEADERS on a stream that the peer reset",
     FAILS,
     HBK_H2_STREAM_CLOSED,
     0,
     {ZEROS(H2_RST_STREAM, 0, 1, 4), FRAME(H2_HEADERS, WHOLE, 1, CONNECT)}},
    {"5.1: DATA on a stream that the peer reset",
     FAILS,
     HBK_H2_STREAM_CLOSED,
     0,
     {ZEROS(H2_RST_STREAM, 0, 1, 4), FRAME(H2_DATA, 0, 1, "x")}},
    {"5.1: DATA and trailers on a stream that we reset",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     3,
     {FRAME(H2_HEADERS, WHOLE, 3, METHOD_GET), FRAME(H2_DATA, 0, 3, "x"),
      FRAME(H2_HEADERS, WHOLE | LAST, 3, FIELD("\1", "a", "\1", "b"))}},
    {"RFC 7540, 5.3.1: HEADERS that depend on themselves",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     3,
     {FRAME(H2_HEADERS, WHOLE | H2_FLAG_PRIORITY, 3, "\0\0\0\3\0" CONNECT)}},
    {"RFC 7540, 5.3.1: PRIORITY of a stream on itself",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     1,
     {FRAME(H2_PRIORITY, 0, 1, "\x80\0\0\1\0")}},
    {"8.5: HEADERS inside a tunnel",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     1,
     {FRAME(H2_HEADERS, WHOLE | LAST, 1, FIELD("\1", "a", "\1", "b"))}},
    {"5.1: HEADERS behind END_STREAM",
     RESETS,
     HBK_H2_STREAM_CLOSED,
     1,
     {FRAME(H2_DATA, LAST, 1, ""), FRAME(H2_HEADERS, WHOLE | LAST, 1, "")}},
    {"8.1: trailers that do not end the stream",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     3,
     {FRAME(H2_HEADERS, WHOLE, 3, METHOD_GET SCHEME PATH),
      FRAME(H2_HEADERS, WHOLE, 3, FIELD("\1", "a", "\1", "b"))}},
    {"8.1: trailers",
     PASSES,
     0,
     0,
     {FRAME(H2_HEADERS, WHOLE, 3, METHOD_GET SCHEME PATH),
      FRAME(H2_HEADERS, WHOLE | LAST, 3, FIELD("\1", "a", "\1", "b"))}},
    {"8.3: pseudo fields in trailers",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     3,
     {FRAME(H2_HEADERS, WHOLE, 3, METHOD_GET SCHEME PATH),
      FRAME(H2_HEADERS, WHOLE | LAST, 3, PATH)}},
    {"6.10: a block in three frames",
     PASSES,
     0,
     0,
     {FRAME(H2_HEADERS, 0, 3, METHOD_CONNECT "\0"), FRAME(H2_CONTINUATION, 0, 3, "\12:auth"),
      FRAME(H2_CONTINUATION, WHOLE, 3, "ority\4a:80")}},
    {"6.2: padding and priority around a block",
     PASSES,
     0,
     0,
     {FRAME(H2_HEADERS, WHOLE | H2_FLAG_PADDED | H2_FLAG_PRIORITY, 3,
            "\2"
            "\0\0\0\0\0" CONNECT "\0\0")}},
};

static void requests_that_break_a_rule_fail_alone(void **state)
{
    (void)state;
    run_rules(request_rules, HBK_COUNT(request_rules), HBK_H2_SERVER);
}

static const struct rule client_rules[] = {
    {"8.4: PUSH_PROMISE",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_PUSH_PROMISE, WHOLE, 1, "\0\0\0\2")}},
    {"5.1: HEADERS on an idle stream",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE, 3, STATUS)}},
    {"5.1.1: HEADERS on a server's stream",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_HEADERS, WHOLE, 2, STATUS)}},
    {"6.5.2: ENABLE_PUSH from a server",
     FAILS,
     HBK_H2_PROTOCOL_ERROR,
     0,
     {FRAME(H2_SETTINGS, 0, 0, "\0\2\0\0\0\1")}},
    {"8.5: trailers in a tunnel",
     RESETS,
     HBK_H2_PROTOCOL_ERROR,
     1,
     {FRAME(H2_HEADERS, WHOLE | LAST, 1, FIELD("\1", "a", "\1", "b"))}},
    {"5.1: a stream ends, both sides", PASSES, 0, 0, {FRAME(H2_DATA, LAST, 1, "x")}},
};

static void servers_that_break_a_rule_are_refused(void **state)
{
    (void)state;
    run_rules(client_rules, HBK_COUNT(client_rules), HBK_H2_CLIENT);
}

/* RFC 9113, 8.1 and 8.3.2: on a stream whose response has not come. */
static void responses_follow_their_rules(void **state)
{
    (void)state;
    static const struct rule rules[] = {
        {"8.3.2: 200", PASSES, 0, 0, {FRAME(H2_HEADERS, WHOLE, 3, STATUS)}},
        {"8.3.2: no status", RESETS, HBK_H2_PROTOCOL_ERROR, 3, {FRAME(H2_HEADERS, WHOLE, 3, "")}},
        {"8.3.2: four digits",
         RESETS,
         HBK_H2_PROTOCOL_ERROR,
         3,
         {FRAME(H2_HEADERS, WHOLE, 3, FIELD("\7", ":status", "\4", "2000"))}},
        {"8.3.2: 099",
         RESETS,
         HBK_H2_PROTOCOL_ERROR,
         3,
         {FRAME(H2_HEADERS, WHOLE, 3, FIELD("\7", ":status", "\3", "099"))}},
        {"8.6: 101",
         RESETS,
         HBK_H2_PROTOCOL_ERROR,
         3,
         {FRAME(H2_HEADERS, WHOLE, 3, FIELD("\7", ":status", "\3", "101"))}},
        {"8.1: 103, then 200",
         PASSES,
         0,
         0,
         {FRAME(H2_HEADERS, WHOLE, 3, FIELD("\7", ":status", "\3", "103")),
          FRAME(H2_HEADERS, WHOLE, 3, STATUS)}},
        {"8.1: 103 that ends the stream",
         RESETS,
         HBK_H2_PROTOCOL_ERROR,
         3,
         {FRAME(H2_HEADERS, WHOLE | LAST, 3, FIELD("\7", ":status", "\3", "103"))}},
        {"8.3.2: a request's pseudo field",
         RESETS,
         HBK_H2_PROTOCOL_ERROR,
         3,
         {FRAME(H2_HEADERS, WHOLE, 3, STATUS PATH)}},
        {"8.1: DATA before HEADERS", RESETS, HBK_H2_PROTOCOL_ERROR, 3, {FRAME(H2_DATA, 0, 3, "x")}},
        {"8.5: a refused CONNECT may have a body and trailers",
         PASSES,
         0,
         0,
         {FRAME(H2_HEADERS, WHOLE, 3, FIELD("\7", ":status", "\3", "503")),
          FRAME(H2_DATA, 0, 3, "sorry"), FRAME(H2_HEADERS, WHOLE | LAST, 3, "")}},
    };
    for (size_t i = 0; i < HBK_COUNT(rules); i++) {
        struct scene scene;
        struct hbk_buffer bytes;
        struct hbk_h2_stream second = {0};
        scene_init(&scene, HBK_H2_CLIENT);
        hbk_buffer_init(&bytes, 1 << 20);
        assert_int_equal(
            hbk_h2_open_connect(&scene.end.session, &second, HBK_SLICE("b:80"), NULL, 0), HBK_OK);
        hbk_buffer_clear(&scene.end.out);
        for (size_t at = 0; at < HBK_COUNT(rules[i].frames); at++) {
            if (rules[i].frames[at].id != 0) {
                add_frame(&bytes, &rules[i].frames[at]);
            }
        }
        read_all(&scene, hbk_buffer_slice(&bytes), 1);
        check_outcome(&rules[i], &scene);
        assert_int_equal(scene.resets, rules[i].outcome == RESETS);
        assert_int_equal(hbk_h2_is_closed(&second), rules[i].outcome == RESETS);
        hbk_buffer_fini(&bytes);
        end_fini(&scene.end);
    }
}

/* RFC 9113, 3.4. */
static void a_connection_begins_with_preface_and_settings(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool is_client;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 16, false},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", 24, false},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x06\0\0\0\0\0", 33, false},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\1\0\0\0\0", 33, false},
        {"\x16\x03\x01\x02\x00\x01", 6, false},
        {"HTTP/1.1 400 Bad Request\r\n", 26, true},
        {"\0\0\x8\6\0\0\0\0\0\0\0\0\0\0\0\0\0", 17, true},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        for (size_t step = 1; step <= 64; step <<= 6) {
            struct scene scene = {0};
            end_init(&scene.end, cases[i].is_client ? HBK_H2_CLIENT : HBK_H2_SERVER, NULL);
            read_all(&scene, hbk_slice_of(cases[i].bytes, cases[i].size), step);
            assert_true(scene.end.session.has_failed);
            end_fini(&scene.end);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_that_break_a_rule_have_the_outcome_that_the_rule_says),
        cmocka_unit_test(requests_that_break_a_rule_fail_alone),
        cmocka_unit_test(servers_that_break_a_rule_are_refused),
        cmocka_unit_test(responses_follow_their_rules),
        cmocka_unit_test(a_connection_begins_with_preface_and_settings),
    };
    return cmocka_run_group_tests_name("http2_rules", tests, NULL, NULL);
}
