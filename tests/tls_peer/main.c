/*
 * tls-peer server|client: accepts or opens TCP connections on 127.0.0.1, one after the other.
 *
 * It writes `listening PORT`, then for each connection a line of JSON when the handshake is done
 * ("event": "handshake") and one at its end: "closed", "cut off" (without close_notify), "failed"
 * with the alert, whether it was received, and why. A client ends with 0 if every connection
 * brought back what was expected.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "crypto/batcher.h"
#include "crypto/key_worker.h"

static volatile sig_atomic_t is_ending;

static void end(int number)
{
    (void)number;
    is_ending = 1;
}

static int complain(const char *what)
{
    fprintf(stderr, "tls-peer: %s: %s\n", what, strerror(errno));
    return 1;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
    };
}

static int run_client(struct peer *peer)
{
    struct sockaddr_in address = loopback(peer->options.port);
    for (unsigned i = 0; i < peer->options.connection_count; i++) {
        int connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connected < 0 || connect(connected, (struct sockaddr *)&address, sizeof address) != 0) {
            return complain("connect");
        }
        bool is_good = peer_connection_run(peer, connected);
        (void)close(connected);
        if (!is_good) {
            return 1;
        }
    }
    return 0;
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    socklen_t size = sizeof address;
    int one = 1;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(listening, (struct sockaddr *)&address, size) != 0 || listen(listening, 64) != 0 ||
        getsockname(listening, (struct sockaddr *)&address, &size) != 0) {
        (void)complain("listen");
        exit(1);
    }
    printf("listening %u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return listening;
}

static int run_server(struct peer *peer)
{
    int listening = listen_on(peer->options.port);
    unsigned served = 0;
    while (is_ending == 0 &&
           (peer->options.connection_count == 0 || served < peer->options.connection_count)) {
        struct pollfd waiting = {.fd = listening, .events = POLLIN};
        int ready = poll(&waiting, 1, PEER_ACCEPT_WAIT_MS);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready != 1) {
            fputs("tls-peer: nobody comes\n", stderr);
            break;
        }
        int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (accepted < 0) {
            continue;
        }
        served++;
        (void)peer_connection_run(peer, accepted);
        (void)close(accepted);
    }
    (void)close(listening);
    return 0;
}

int main(int argc, char **argv)
{
    struct peer peer = {0};
    struct hbk_batcher *batcher = NULL;
    struct hbk_batcher_options options;
    const struct sigaction ending = {.sa_handler = end};
    peer_options_read(&peer.options, argc, argv);
    peer.context = peer_context_new(&peer.options);
    hbk_batcher_options_init(&options);
    if (hbk_batcher_new(&options, &batcher) != HBK_OK ||
        hbk_key_worker_new(batcher, &peer.keys) != HBK_OK) {
        return complain("batcher");
    }
    const struct hbk_tls_worker_options worker = {.keys = peer.keys};
    if (hbk_tls_worker_new(&worker, &peer.worker) != HBK_OK ||
        sigaction(SIGTERM, &ending, NULL) != 0 || sigaction(SIGINT, &ending, NULL) != 0) {
        return complain("worker");
    }
    int status = peer.options.role == HBK_TLS_CLIENT ? run_client(&peer) : run_server(&peer);
    hbk_tls_ticket_unref(peer.ticket);
    hbk_tls_worker_free(peer.worker);
    hbk_key_worker_free(peer.keys);
    hbk_batcher_free(batcher);
    hbk_tls_context_unref(peer.context);
    peer_options_fini(&peer.options);
    return status;
}
