/*
 * TCP sockets, non-blocking and close-on-exec, in the network namespace of the calling thread.
 *
 * Sending and receiving answer what happened in a small enum, since "not now" and "ended" are part
 * of their meaning; the rest fails with a status.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/address.h"
#include "base/slice.h"
#include "base/status.h"

enum { HBK_SOCKET_BACKLOG = 4096 };

struct hbk_listen_options {
    bool is_port_shared; /* SO_REUSEPORT: several listeners, one port */
    bool is_transparent; /* IP_TRANSPARENT where permitted; silently without it elsewhere */
    bool is_v6_only;     /* the wildcard [::] is IPv6 alone */
    bool is_local;       /* callers are on this host: nothing between that could be congested */
    uint32_t mark;       /* SO_MARK; 0: none */
};

/*
 * Listens on `address`. The wildcard [::] takes IPv4 too, unless the options say no; where IPv6 is
 * switched off it falls back to 0.0.0.0 then.
 *
 * Fails: HBK_IN_USE, HBK_NO_ADDRESS, HBK_DENIED, HBK_LIMIT (descriptors), HBK_IO. Any thread.
 */
HBK_MUST_USE hbk_status hbk_socket_listen(const struct hbk_address *address,
                                          const struct hbk_listen_options *options, int *out_fd);

/* Accepting: HBK_NOT_FOUND when nobody waits, HBK_LIMIT when descriptors have run out. */
HBK_MUST_USE hbk_status hbk_socket_accept(int listener, int *out_fd, struct hbk_address *out_peer);

struct hbk_connect_options {
    const struct hbk_address *source; /* NULL: the kernel chooses; port 0: any port */
    bool is_spoofed;                  /* `source` is not ours: IP_TRANSPARENT, IP_FREEBIND */
    bool is_local;                    /* `to` is on this host, as above */
    uint32_t mark;                    /* SO_MARK; 0: none */
};

/*
 * Starts a connection. When it becomes writable, hbk_socket_error() says whether it stands.
 *
 * Fails at once: HBK_NO_ROUTE, HBK_DENIED, HBK_LIMIT (descriptors, ports), HBK_IO. Any thread.
 */
HBK_MUST_USE hbk_status hbk_socket_connect(const struct hbk_address *to,
                                           const struct hbk_connect_options *options, int *out_fd);

/* The pending error of a socket as an errno value, 0 when there is none. */
int hbk_socket_error(int fd);

/* Where the connection was going before redirection; HBK_NOT_FOUND when it was not redirected
 * (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST). */
HBK_MUST_USE hbk_status hbk_socket_original_destination(int fd, struct hbk_address *out_address);
HBK_MUST_USE hbk_status hbk_socket_local_address(int fd, struct hbk_address *out_address);
HBK_MUST_USE hbk_status hbk_socket_peer_address(int fd, struct hbk_address *out_address);

/* TCP_NODELAY and keep-alive: 180 s, every 180 s, 9 times (ambient.md 2.2). */
void hbk_socket_tune(int fd);

/* Makes close() send a reset instead of an orderly end. */
void hbk_socket_reset_on_close(int fd);

/* Ends our direction (FIN). */
void hbk_socket_end(int fd);

enum hbk_io {
    HBK_IO_DONE,   /* some bytes moved */
    HBK_IO_AGAIN,  /* not now: wait for readiness */
    HBK_IO_END,    /* received: the other side ended its direction */
    HBK_IO_FAILED, /* the connection is dead; errno says why */
};

enum hbk_io hbk_socket_receive(int fd, struct hbk_span room, size_t *out_size);
/* The same, and the bytes stay in the socket. */
enum hbk_io hbk_socket_peek(int fd, struct hbk_span room, size_t *out_size);
enum hbk_io hbk_socket_send(int fd, struct hbk_slice bytes, size_t *out_size);
enum hbk_io hbk_socket_send_parts(int fd, const struct iovec *parts, size_t count,
                                  size_t *out_size);
