/*
 * build/tests/tls-peer: one end of TLS connections over TCP on the loopback, by either engine, for
 * tests with other people's programs. See option.c for the flags and main.c for what it writes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tls/session.h"
#include "tls/ticket.h"

enum {
    PEER_CERTIFICATES_MAX = 8,
    PEER_WAIT_MS = 10000,        /* for the next bytes of a connection */
    PEER_ACCEPT_WAIT_MS = 60000, /* for the next connection; then the program ends */
};

struct peer_options {
    enum hbk_tls_role role;
    uint16_t port;             /* a server's: 0 for any */
    unsigned connection_count; /* then it ends; a server's 0: until SIGTERM */
    struct hbk_tls_context_options context;
    struct hbk_tls_certificate_options certificates[PEER_CERTIFICATES_MAX];
    struct x509_st *chains[PEER_CERTIFICATES_MAX][HBK_CHAIN_CERTIFICATES_MAX]; /* owned */
    struct hbk_span staples[PEER_CERTIFICATES_MAX];                            /* owned */
    char protocols[HBK_TLS_PROTOCOLS_BYTES_MAX];
    uint16_t suites[HBK_TLS_LIST_MAX], groups[HBK_TLS_LIST_MAX], schemes[HBK_TLS_LIST_MAX];
    const char *ca_path; /* NULL: anybody is trusted */
    bool is_mutual, asks_client;
    const char *server_name; /* a client's; NULL: none */
    const char *send, *expect;
    bool updates_keys;
    bool gives_tickets;
};

/* Reads the command line; ends the program with a sentence when it is wrong. */
void peer_options_read(struct peer_options *options, int argc, char **argv);
void peer_options_fini(struct peer_options *options);

/* Trust and context of these options; ends the program when they cannot be. */
struct hbk_tls_context *peer_context_new(struct peer_options *options);

/* What all connections share. */
struct peer {
    struct peer_options options;
    struct hbk_tls_context *context;
    struct hbk_key_worker *keys;
    struct hbk_tls_worker *worker;
    struct hbk_tls_ticket *ticket; /* a client's, for its next connection */
};

/* One connection to its end, over a socket that stays the caller's. Returns whether all went as the
 * options say: a server is content with every outcome. */
bool peer_connection_run(struct peer *peer, int socket);
