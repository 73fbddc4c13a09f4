/*
 * Messages to read: any of them by its kind, made of hexadecimal text around a list of extensions,
 * and those of RFC 8448 (bodies, without their header of four bytes).
 */
#pragma once

#include <stdio.h>

#include "failing_heap.h"
#include "harness.h"
#include "tls/message.h"

enum { BYTES_MAX = 1 << 17 };

/* Reads hexadecimal digits; blanks are for people. */
HBK_UNUSED static size_t read_hex(const char *text, uint8_t *out)
{
    size_t size = 0;
    for (; text[0] != '\0'; text++) {
        if (text[0] != ' ') {
            char pair[3] = {text[0], text[1], '\0'};
            char *end;
            out[size++] = (uint8_t)strtoul(pair, &end, 16);
            assert_ptr_equal(end, pair + 2);
            text++;
        }
    }
    return size;
}

/* ---- any message, by its kind ---- */

enum kind {
    CLIENT_HELLO,
    SERVER_HELLO,
    RETRY,
    ENCRYPTED_EXTENSIONS,
    CERTIFICATE_REQUEST,
    CERTIFICATE, /* the extensions of its only certificate */
    CERTIFICATE_VERIFY,
    NEW_SESSION_TICKET,
    KIND_COUNT,
};

union message {
    struct hbk_client_hello client_hello;
    struct hbk_server_hello server_hello;
    struct hbk_encrypted_extensions encrypted_extensions;
    struct hbk_certificate_request certificate_request;
    struct hbk_certificate_message certificate;
    struct hbk_certificate_verify certificate_verify;
    struct hbk_new_session_ticket new_session_ticket;
};

/* What a client of every extension has offered. */
enum { OFFERED_ALL = (1 << 14) - 1 };

HBK_UNUSED static struct hbk_complaint read_message(enum kind kind, struct hbk_slice body,
                                                    union message *out)
{
    switch (kind) {
    case CLIENT_HELLO:
        return hbk_client_hello_read(body, &out->client_hello);
    case SERVER_HELLO:
    case RETRY:
        return hbk_server_hello_read(body, &out->server_hello);
    case ENCRYPTED_EXTENSIONS:
        return hbk_encrypted_extensions_read(body, OFFERED_ALL, &out->encrypted_extensions);
    case CERTIFICATE_REQUEST:
        return hbk_certificate_request_read(body, &out->certificate_request);
    case CERTIFICATE:
        return hbk_certificate_message_read(body, OFFERED_ALL, &out->certificate);
    case CERTIFICATE_VERIFY:
        return hbk_certificate_verify_read(body, &out->certificate_verify);
    case NEW_SESSION_TICKET:
        return hbk_new_session_ticket_read(body, &out->new_session_ticket);
    case KIND_COUNT:
        break;
    }
    fail();
    return HBK_NO_COMPLAINT;
}

/* Reads a copy that ends where its allocation ends, and returns the alert. A message that is
 * refused leaves the output alone, and says why. */
HBK_UNUSED static int alert_of(enum kind kind, struct hbk_slice body)
{
    union message message;
    union message untouched;
    memset(&message, 0x5a, sizeof message);
    memset(&untouched, 0x5a, sizeof untouched);
    uint8_t *exact = malloc(body.size > 0 ? body.size : 1);
    assert_non_null(exact);
    if (body.size > 0) {
        memcpy(exact, body.bytes, body.size);
    }
    struct hbk_complaint complaint = read_message(kind, hbk_slice_of(exact, body.size), &message);
    if (complaint.alert != HBK_ALERT_NONE) {
        assert_non_null(complaint.text);
        assert_memory_equal(&message, &untouched, sizeof message);
    }
    free(exact);
    return complaint.alert;
}

#define RANDOM "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define RETRY_RANDOM "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
#define VERSION_13 "002b 0002 0304 "
#define SCHEMES "000d 0004 0002 0403 "

/* A message of that kind around a list of extensions. What the kind must have besides is put before
 * it, unless the list begins with that extension itself. */
HBK_UNUSED static struct hbk_slice message_around(enum kind kind, const char *extensions_hex,
                                                  uint8_t *bytes)
{
    static const char *const before[KIND_COUNT] = {
        [CLIENT_HELLO] = "0303" RANDOM "00 0002 1301 01 00",
        [SERVER_HELLO] = "0303" RANDOM "00 1301 00",
        [RETRY] = "0303" RETRY_RANDOM "00 1301 00",
        [ENCRYPTED_EXTENSIONS] = "",
        [CERTIFICATE_REQUEST] = "00",
        [NEW_SESSION_TICKET] = "00000e10 01020304 02 0001 0003 aabbcc",
    };
    static const char *const besides[KIND_COUNT] = {
        [SERVER_HELLO] = VERSION_13,
        [RETRY] = VERSION_13,
        [CERTIFICATE_REQUEST] = SCHEMES,
    };
    uint8_t part[BYTES_MAX / 4];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, BYTES_MAX));
    size_t list = 0;
    if (kind == CERTIFICATE) {
        hbk_writer_number(&writer, 0, 1);
        list = hbk_writer_open(&writer, 3);
        hbk_writer_prefixed(&writer, HBK_SLICE("leaf"), 3);
    } else {
        hbk_writer_put(&writer, hbk_slice_of(part, read_hex(before[kind], part)));
    }
    size_t extensions = hbk_writer_open(&writer, 2);
    if (besides[kind] != NULL && strncmp(extensions_hex, besides[kind], 4) != 0) {
        hbk_writer_put(&writer, hbk_slice_of(part, read_hex(besides[kind], part)));
    }
    hbk_writer_put(&writer, hbk_slice_of(part, read_hex(extensions_hex, part)));
    hbk_writer_close(&writer, extensions, 2);
    if (kind == CERTIFICATE) {
        hbk_writer_close(&writer, list, 3);
    }
    assert_false(writer.has_failed);
    return hbk_writer_written(&writer);
}

#define assert_hex(found, expected_hex)                                                \
    do {                                                                               \
        uint8_t hex_[1024];                                                            \
        assert_slice_equal((found), hbk_slice_of(hex_, read_hex(expected_hex, hex_))); \
    } while (0)

/* The message around one extension, of which the first `size` bytes of `body` are the body. */
HBK_UNUSED static int alert_of_body(enum kind kind, uint16_t type, const uint8_t *body, size_t size)
{
    static uint8_t bytes[BYTES_MAX];
    char hex[4096];
    int used = snprintf(hex, sizeof hex, "%04x %04zx ", type, size);
    for (size_t i = 0; i < size; i++) {
        used += snprintf(hex + used, sizeof hex - (size_t)used, "%02x", body[i]);
    }
    struct hbk_slice message = message_around(kind, hex, bytes);
    return alert_of(kind, message);
}

/* ---- RFC 8448 ---- */

HBK_UNUSED static const char rfc8448_client_hello[] =
    "0303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000"
    "910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400"
    "230000003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c00"
    "2b0003020304000d0020001e04030503060302030804080508060401050106010201040205020602020200"
    "2d00020101001c00024001";

HBK_UNUSED static const char rfc8448_server_hello[] =
    "0303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e003300240"
    "01d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";

/* Section 5. */
#define RFC8448_COOKIE                                                                   \
    "71dcd04bb88bc3189119398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf625636" \
    "e5f21bb2e23fcc654b1b5b40318d10d137abcbb87574e36e8a1f025f7dfa5d6e50781b5eda4aa15b0c" \
    "8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf571fb2b7cff0f934b0"
HBK_UNUSED static const char rfc8448_retry[] =
    "0303" RETRY_RANDOM "001301000084003300020017002c00740072" RFC8448_COOKIE "002b00020304";

/* Section 4: the client that resumes. */
#define RFC8448_TICKET                                                                   \
    "2c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883c936" \
    "7c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279c" \
    "ce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d" \
    "8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5b" \
    "fbc388e93343694093934ae4d357"
#define RFC8448_BINDER "3add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d"
#define ZEROS_29 "0000000000000000000000000000000000000000000000000000000000"
HBK_UNUSED static const char rfc8448_resuming_hello[] =
    "03031bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95000006130113031302010001"
    "cd0000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400"
    "3300260024001d0020e4ffb68ac05f8d96c99da26698346c6be16482badddafe051a66b4f18d668f0b002a000000"
    "2b0003020304000d0020001e04030503060302030804080508060401050106010201040205020602020200"
    "2d00020101001c0002400100150057" ZEROS_29 ZEROS_29 ZEROS_29 "002900dd00b800b2" RFC8448_TICKET
    "fad6aacb002120" RFC8448_BINDER;

HBK_UNUSED static const char rfc8448_ticket[] =
    "0000001efad6aac502000000b2" RFC8448_TICKET "0008002a000400000400";
HBK_UNUSED static const char rfc8448_encrypted_extensions[] =
    "0022000a00140012001d00170018001901000101010201030104001c0002400100000000";
