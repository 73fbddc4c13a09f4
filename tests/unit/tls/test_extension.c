#include "tls/extension.h"

#include "harness.h"
#include "message_cases.h"

/* Good bodies of each extension in each message that may have it (RFC 8446, 4.2). None stays good
 * when it is cut or when a byte follows. */
static const struct body {
    enum kind kind;
    uint16_t type;
    const char *hex;
} good_bodies[] = {
    {CLIENT_HELLO, 0, "0009 00 0006 736572766572"},
    {CLIENT_HELLO, 0, "000d 07 0004 aabbccdd 00 0003 612e62"}, /* another type, then a name */
    {CLIENT_HELLO, 5, "01 0000 0000"},
    {CLIENT_HELLO, 5, "01 0005 0003 aabbcc 0002 3000"},
    {CLIENT_HELLO, 10, "0002 001d"},
    {CLIENT_HELLO, 10, "0004 0a0a 0017"},
    {CLIENT_HELLO, 13, "0004 0403 0804"},
    {CLIENT_HELLO, 16, "000c 02 6832 08 687474702f312e31"},
    {CLIENT_HELLO, 28, "0040"},
    {CLIENT_HELLO, 28, "ffff"}, /* RFC 8449, 4: a server must not enforce the upper limit */
    {CLIENT_HELLO, 41, "0009 0003 aabbcc 00000001 0021 20" RANDOM},
    {CLIENT_HELLO, 41, "000e 0001 aa 00000001 0001 bb 00000002 0004 01aa 01bb"},
    {CLIENT_HELLO, 42, ""},
    {CLIENT_HELLO, 43, "02 0304"},
    {CLIENT_HELLO, 43, "06 3a3a 0304 0303"},
    {CLIENT_HELLO, 44, "0002 aabb"},
    {CLIENT_HELLO, 45, "01 01"},
    {CLIENT_HELLO, 45, "02 0001"},
    {CLIENT_HELLO, 47, "0009 0002 3000 0003 310100"},
    {CLIENT_HELLO, 50, "0002 0403"},
    {CLIENT_HELLO, 51, "0000"},
    {CLIENT_HELLO, 51, "0006 001d 0002 aabb"},
    {CLIENT_HELLO, 51, "000c 001d 0002 aabb 0017 0002 ccdd"},
    {SERVER_HELLO, 41, "0000"},
    {SERVER_HELLO, 43, "0304"},
    {SERVER_HELLO, 51, "001d 0002 aabb"},
    {RETRY, 43, "0304"},
    {RETRY, 44, "0003 aabbcc"},
    {RETRY, 51, "0017"},
    {ENCRYPTED_EXTENSIONS, 0, ""},
    {ENCRYPTED_EXTENSIONS, 10, "0004 001d 0017"},
    {ENCRYPTED_EXTENSIONS, 16, "0003 02 6832"},
    {ENCRYPTED_EXTENSIONS, 28, "4001"},
    {ENCRYPTED_EXTENSIONS, 42, ""},
    {CERTIFICATE_REQUEST, 13, "0002 0403"},
    {CERTIFICATE_REQUEST, 47, "0004 0002 3000"},
    {CERTIFICATE_REQUEST, 50, "0004 0403 0804"},
    {CERTIFICATE, 5, "01 000003 300100"},
    {NEW_SESSION_TICKET, 42, "00000400"},
};

/* Malformed in another way than being cut or going on. */
static const struct bad_body {
    enum kind kind;
    uint16_t type;
    const char *hex;
    int alert;
} bad_bodies[] = {
    {CLIENT_HELLO, 0, "0000", HBK_ALERT_DECODE_ERROR},                       /* no name */
    {CLIENT_HELLO, 0, "0003 00 0000", HBK_ALERT_DECODE_ERROR},               /* empty name */
    {CLIENT_HELLO, 0, "0008 00 0001 61 00 0001 62", HBK_ALERT_DECODE_ERROR}, /* two names */
    {CLIENT_HELLO, 0, "0006 00 0003 610062", HBK_ALERT_DECODE_ERROR},        /* zero inside */
    {CLIENT_HELLO, 5, "01 0002 0000 0000", HBK_ALERT_DECODE_ERROR},          /* empty id */
    {CLIENT_HELLO, 10, "0000", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 10, "0003 001d 00", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 13, "0000", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 13, "0001 04", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 16, "0000", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 16, "0001 00", HBK_ALERT_DECODE_ERROR}, /* empty name */
    {CLIENT_HELLO, 16, "0004 02 6832 00", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 28, "003f", HBK_ALERT_ILLEGAL_PARAMETER},                     /* RFC 8449, 4 */
    {CLIENT_HELLO, 41, "0000 0021 20" RANDOM, HBK_ALERT_DECODE_ERROR},           /* no identity */
    {CLIENT_HELLO, 41, "0007 0001 aa 00000001 0000", HBK_ALERT_DECODE_ERROR},    /* no binder */
    {CLIENT_HELLO, 41, "0007 0001 aa 00000001 0001 00", HBK_ALERT_DECODE_ERROR}, /* empty binder */
    {CLIENT_HELLO, 41, "0006 0000 00000001 0021 20" RANDOM, HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 41, "0007 0001 aa 00000001 0042 20" RANDOM "20" RANDOM,
     HBK_ALERT_ILLEGAL_PARAMETER},
    {CLIENT_HELLO, 41, "000e 0001 aa 00000001 0001 bb 00000002 0021 20" RANDOM,
     HBK_ALERT_ILLEGAL_PARAMETER},
    {CLIENT_HELLO, 43, "00", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 43, "03 030403", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 44, "0000", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 45, "00", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 47, "0000", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 47, "0002 0000", HBK_ALERT_DECODE_ERROR}, /* empty name */
    {CLIENT_HELLO, 50, "0000", HBK_ALERT_DECODE_ERROR},
    {CLIENT_HELLO, 51, "0004 001d 0000", HBK_ALERT_DECODE_ERROR}, /* empty key */
    {CLIENT_HELLO, 51, "000a 001d 0001 aa 001d 0001 bb", HBK_ALERT_ILLEGAL_PARAMETER},
    {SERVER_HELLO, 51, "001d 0000", HBK_ALERT_DECODE_ERROR},
    {SERVER_HELLO, 51, "001d", HBK_ALERT_DECODE_ERROR}, /* as in a retry */
    {RETRY, 44, "0000", HBK_ALERT_DECODE_ERROR},
    {RETRY, 51, "001d 0002 aabb", HBK_ALERT_DECODE_ERROR}, /* as in a hello */
    {ENCRYPTED_EXTENSIONS, 0, "0009 00 0006 736572766572", HBK_ALERT_DECODE_ERROR},
    {ENCRYPTED_EXTENSIONS, 10, "0000", HBK_ALERT_DECODE_ERROR},
    {ENCRYPTED_EXTENSIONS, 16, "0000", HBK_ALERT_DECODE_ERROR},
    {ENCRYPTED_EXTENSIONS, 16, "0001 00", HBK_ALERT_DECODE_ERROR},
    {ENCRYPTED_EXTENSIONS, 16, "0006 02 6832 02 6833", HBK_ALERT_DECODE_ERROR}, /* two names */
    {ENCRYPTED_EXTENSIONS, 28, "003f", HBK_ALERT_ILLEGAL_PARAMETER},
    {ENCRYPTED_EXTENSIONS, 28, "4002", HBK_ALERT_ILLEGAL_PARAMETER},
    {CERTIFICATE_REQUEST, 5, "01", HBK_ALERT_DECODE_ERROR},
    {CERTIFICATE_REQUEST, 47, "0000", HBK_ALERT_DECODE_ERROR},
    {CERTIFICATE_REQUEST, 50, "0000", HBK_ALERT_DECODE_ERROR},
    {CERTIFICATE, 5, "", HBK_ALERT_DECODE_ERROR},
    {CERTIFICATE, 5, "01 000000", HBK_ALERT_DECODE_ERROR},        /* empty staple */
    {CERTIFICATE, 5, "02 000003 300100", HBK_ALERT_DECODE_ERROR}, /* another type */
    {NEW_SESSION_TICKET, 42, "", HBK_ALERT_DECODE_ERROR},
};

static void every_extension_is_read_where_it_may_stand(void **state)
{
    (void)state;
    uint8_t body[1024];
    for (size_t i = 0; i < HBK_COUNT(good_bodies); i++) {
        size_t size = read_hex(good_bodies[i].hex, body);
        assert_int_equal(alert_of_body(good_bodies[i].kind, good_bodies[i].type, body, size),
                         HBK_ALERT_NONE);
    }
}

static void an_extension_that_is_cut_anywhere_or_goes_on_is_a_decode_error(void **state)
{
    (void)state;
    uint8_t body[1024];
    for (size_t i = 0; i < HBK_COUNT(good_bodies); i++) {
        size_t size = read_hex(good_bodies[i].hex, body);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(alert_of_body(good_bodies[i].kind, good_bodies[i].type, body, cut),
                             HBK_ALERT_DECODE_ERROR);
        }
        body[size] = 0;
        assert_int_equal(alert_of_body(good_bodies[i].kind, good_bodies[i].type, body, size + 1),
                         HBK_ALERT_DECODE_ERROR);
    }
}

static void an_extension_with_a_content_that_cannot_be_gets_its_alert(void **state)
{
    (void)state;
    uint8_t body[1024];
    for (size_t i = 0; i < HBK_COUNT(bad_bodies); i++) {
        size_t size = read_hex(bad_bodies[i].hex, body);
        assert_int_equal(alert_of_body(bad_bodies[i].kind, bad_bodies[i].type, body, size),
                         bad_bodies[i].alert);
    }
}

static const uint16_t known_types[] = {0, 5, 10, 13, 16, 28, 41, 42, 43, 44, 45, 47, 50, 51};

static bool may_stand(enum kind kind, uint16_t type)
{
    for (size_t i = 0; i < HBK_COUNT(good_bodies); i++) {
        if (good_bodies[i].kind == kind && good_bodies[i].type == type) {
            return true;
        }
    }
    return kind == CERTIFICATE_REQUEST && type == 5; /* in a test of its own */
}

/* What each message answers to an extension in the wrong place, to one that nobody knows, and to
 * one that stands there twice. */
static const struct refusal {
    enum kind kind;
    int misplaced, unknown, twice;
} refusals[] = {
    {CLIENT_HELLO, HBK_ALERT_NONE, HBK_ALERT_NONE, HBK_ALERT_DECODE_ERROR},
    {SERVER_HELLO, HBK_ALERT_UNSUPPORTED_EXTENSION, HBK_ALERT_UNSUPPORTED_EXTENSION,
     HBK_ALERT_ILLEGAL_PARAMETER},
    {RETRY, HBK_ALERT_UNSUPPORTED_EXTENSION, HBK_ALERT_UNSUPPORTED_EXTENSION,
     HBK_ALERT_ILLEGAL_PARAMETER},
    {ENCRYPTED_EXTENSIONS, HBK_ALERT_ILLEGAL_PARAMETER, HBK_ALERT_UNSUPPORTED_EXTENSION,
     HBK_ALERT_DECODE_ERROR},
    {CERTIFICATE_REQUEST, HBK_ALERT_ILLEGAL_PARAMETER, HBK_ALERT_NONE, HBK_ALERT_ILLEGAL_PARAMETER},
    {CERTIFICATE, HBK_ALERT_UNSUPPORTED_EXTENSION, HBK_ALERT_UNSUPPORTED_EXTENSION,
     HBK_ALERT_ILLEGAL_PARAMETER},
    {NEW_SESSION_TICKET, HBK_ALERT_ILLEGAL_PARAMETER, HBK_ALERT_NONE, HBK_ALERT_ILLEGAL_PARAMETER},
};

static void an_extension_in_the_wrong_message_gets_its_alert(void **state)
{
    (void)state;
    size_t misplaced = 0;
    for (size_t i = 0; i < HBK_COUNT(refusals); i++) {
        for (size_t j = 0; j < HBK_COUNT(known_types); j++) {
            if (!may_stand(refusals[i].kind, known_types[j])) {
                misplaced++;
                assert_int_equal(alert_of_body(refusals[i].kind, known_types[j], NULL, 0),
                                 refusals[i].misplaced);
            }
        }
    }
    /* 14 kinds in 7 messages, of which the table of RFC 8446, 4.2, allows 14, 3, 3, 5, 4, 1, 1. */
    assert_int_equal(misplaced, 7 * 14 - 31);
}

static void an_unknown_extension_is_ignored_unless_it_is_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(refusals); i++) {
        assert_int_equal(alert_of_body(refusals[i].kind, 0x1a1a, NULL, 0), refusals[i].unknown);
    }
}

static void an_extension_may_not_stand_in_a_message_twice(void **state)
{
    (void)state;
    static uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < HBK_COUNT(refusals); i++) {
        static const char *const lists[] = {
            "ffff 0000 ffff 0000", "ffff 0001 00 1a1a 0000 ffff 0000",
            "002b 0002 0304 002b 0002 0304", "000d 0004 0002 0403 0033 0002 0000 000d 0000"};
        for (size_t j = 0; j < HBK_COUNT(lists); j++) {
            assert_int_equal(
                alert_of(refusals[i].kind, message_around(refusals[i].kind, lists[j], bytes)),
                refusals[i].twice);
        }
    }
}

static void more_extensions_than_the_limit_are_refused(void **state)
{
    (void)state;
    static uint8_t bytes[BYTES_MAX];
    char hex[8 * (HBK_MESSAGE_EXTENSIONS_MAX + 1) + 1];
    for (int i = 0; i <= HBK_MESSAGE_EXTENSIONS_MAX; i++) {
        (void)snprintf(hex + 8 * (size_t)i, 9, "%04x0000", 0x4000 + i);
    }
    assert_int_equal(alert_of(CLIENT_HELLO, message_around(CLIENT_HELLO, hex, bytes)),
                     HBK_ALERT_ILLEGAL_PARAMETER);
    hex[8 * HBK_MESSAGE_EXTENSIONS_MAX] = '\0';
    assert_int_equal(alert_of(CLIENT_HELLO, message_around(CLIENT_HELLO, hex, bytes)),
                     HBK_ALERT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_extension_is_read_where_it_may_stand),
        cmocka_unit_test(an_extension_that_is_cut_anywhere_or_goes_on_is_a_decode_error),
        cmocka_unit_test(an_extension_with_a_content_that_cannot_be_gets_its_alert),
        cmocka_unit_test(an_extension_in_the_wrong_message_gets_its_alert),
        cmocka_unit_test(an_unknown_extension_is_ignored_unless_it_is_an_answer),
        cmocka_unit_test(an_extension_may_not_stand_in_a_message_twice),
        cmocka_unit_test(more_extensions_than_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
