/*
 * The channel behind a handshake, as a peer that has the keys sees it: the input is a list of
 * records (type, size of two bytes, body), sealed here and opened in pieces. A first byte that is
 * odd puts them on the wire as they are, as a stranger would.
 */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "tls/channel.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

enum { WIRE_BYTES_MAX = 1 << 17 };

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void start(struct hbk_tls_channel *channel, enum hbk_tls_role role)
{
    static const uint8_t secrets[2][32] = {{1}, {2}};
    hbk_channel_init(channel, role, &expanded, HBK_SUITE_AES_128_GCM_SHA256,
                     hbk_slice_of(secrets[0], 32), hbk_slice_of(secrets[1], 32), 0);
}

static size_t seal_records(struct hbk_tls_channel *peer, struct hbk_cursor *input, uint8_t *wire)
{
    size_t used = 0;
    while (input->left.size > 0) {
        uint8_t type = (uint8_t)hbk_cursor_number(input, 1);
        size_t size = hbk_cursor_number(input, 2) % (HBK_TLS_PLAIN_BYTES_MAX + 1);
        struct hbk_slice body =
            hbk_cursor_take(input, size < input->left.size ? size : input->left.size);
        if (input->has_failed || used + body.size + HBK_TLS_RECORD_EXTRA_BYTES > WIRE_BYTES_MAX) {
            break;
        }
        if (body.size > 0) {
            memcpy(wire + used + HBK_TLS_RECORD_HEADER_BYTES, body.bytes, body.size);
        }
        require(hbk_tls_record_seal(&peer->out, (enum hbk_tls_record_type)type, wire + used,
                                    body.size));
        used += body.size + HBK_TLS_RECORD_EXTRA_BYTES;
    }
    return used;
}

static void open_wire(struct hbk_tls_channel *channel, uint8_t *wire, size_t size)
{
    size_t at = 0;
    enum hbk_tls_answer answer = HBK_TLS_DONE;
    while (answer == HBK_TLS_DONE) {
        size_t consumed = 0;
        struct hbk_slice plain;
        answer = hbk_channel_open(channel, hbk_span_of(wire + at, size - at), &consumed, &plain);
        require(consumed <= size - at);
        require(plain.size == 0 ||
                (plain.bytes >= wire + at && plain.bytes + plain.size <= wire + at + consumed));
        require(answer != HBK_TLS_DONE || consumed > 0);
        require(plain.size == 0 || answer == HBK_TLS_DONE);
        at += consumed;
    }
    require(answer == HBK_TLS_WANT_INPUT || answer == HBK_TLS_CLOSED || answer == HBK_TLS_FAILED);
    uint8_t control[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    require(hbk_channel_flush(channel, hbk_span_of(control, sizeof control), &written) ==
            HBK_TLS_DONE);
    require(!hbk_channel_has_output(channel));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t wire[WIRE_BYTES_MAX];
    struct hbk_cursor input = hbk_cursor_of(hbk_slice_of(data, size));
    uint8_t first = (uint8_t)hbk_cursor_number(&input, 1);
    enum hbk_tls_role role = (first & 2) != 0 ? HBK_TLS_CLIENT : HBK_TLS_SERVER;
    struct hbk_tls_channel channel;
    struct hbk_tls_channel peer;
    start(&channel, role);
    start(&peer, role == HBK_TLS_CLIENT ? HBK_TLS_SERVER : HBK_TLS_CLIENT);
    size_t used = 0;
    if ((first & 1) != 0) {
        used = input.left.size < sizeof wire ? input.left.size : sizeof wire;
        if (used > 0) {
            memcpy(wire, input.left.bytes, used);
        }
    } else {
        used = seal_records(&peer, &input, wire);
    }
    open_wire(&channel, wire, used);
    hbk_channel_fini(&channel);
    hbk_channel_fini(&peer);
    return 0;
}
