/* The echo server over plain TCP: sends back, swallows, pours out. Half-close passes both ways: the
 * other side's end is answered with ours when everything before it has been sent. */
#include "base/assert.h"
#include "load/echo_server.h"
#include "os/socket.h"

enum { POUR_BYTES = 64 * 1024 };

static const uint8_t zeros[POUR_BYTES];

/* Sends from the front of `held`; false when the socket takes no more or the connection died. */
static bool send_held(struct hbk_echo_connection *connection)
{
    while (!hbk_buffer_is_empty(&connection->held)) {
        size_t size;
        switch (hbk_echo_send(connection, hbk_buffer_slice(&connection->held), &size)) {
        case HBK_IO_DONE:
            hbk_buffer_consume(&connection->held, size);
            break;
        case HBK_IO_AGAIN:
            return false;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            hbk_echo_close(connection);
            return false;
        }
    }
    return true;
}

/* Sends what arrived straight from the room; only what the socket does not take is held. */
static bool send_back(struct hbk_echo_connection *connection, struct hbk_slice bytes)
{
    while (bytes.size > 0) {
        size_t size;
        enum hbk_io io = hbk_echo_send(connection, bytes, &size);
        if (io == HBK_IO_DONE) {
            bytes = hbk_slice_part(bytes, size, bytes.size);
            continue;
        }
        if (io != HBK_IO_AGAIN || hbk_buffer_append(&connection->held, bytes) != HBK_OK) {
            hbk_echo_close(connection);
        }
        return false;
    }
    return true;
}

static bool pour(struct hbk_echo_connection *connection)
{
    while (connection->owed > 0) {
        if (!hbk_echo_may_send(connection)) {
            return true;
        }
        size_t size = connection->owed < POUR_BYTES ? (size_t)connection->owed : POUR_BYTES;
        switch (hbk_socket_send(connection->source.fd, hbk_slice_of(zeros, size), &size)) {
        case HBK_IO_DONE:
            connection->owed -= size;
            if (connection->owed == 0) {
                hbk_socket_end(connection->source.fd);
            }
            break;
        case HBK_IO_AGAIN:
            return true;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            hbk_echo_close(connection);
            return false;
        }
    }
    return true;
}

/* After the other side's end, when everything is sent, nothing can happen any more. */
static void end_if_over(struct hbk_echo_connection *connection)
{
    if (!connection->is_dead && connection->has_ended && hbk_buffer_is_empty(&connection->held) &&
        connection->owed == 0 && hbk_echo_is_flushed(connection)) {
        hbk_echo_close(connection);
    }
}

void hbk_echo_tcp_serve(struct hbk_echo_connection *connection)
{
    bool is_echo = connection->server->options->mode == HBK_ECHO_TCP;
    if (!pour(connection)) {
        return;
    }
    for (unsigned round = 0; send_held(connection); round++) {
        struct hbk_slice bytes;
        if (round == HBK_ECHO_ROUNDS_MAX) {
            hbk_echo_again(connection);
            return;
        }
        if (!hbk_echo_receive(connection, &bytes)) {
            break;
        }
        if (is_echo && !send_back(connection, bytes)) {
            break;
        }
    }
    end_if_over(connection);
}
