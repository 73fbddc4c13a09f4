#include "os/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/fd.h"

/* SO_ORIGINAL_DST and its IPv6 twin; the kernel's headers do not compile beside <netinet/in.h>. */
enum { ORIGINAL_DESTINATION = 80 };

enum { KEEPALIVE_IDLE_S = 180, KEEPALIVE_INTERVAL_S = 180, KEEPALIVE_PROBES = 9 };

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t name_of(const struct hbk_address *address, union name *out_name)
{
    memset(out_name, 0, sizeof *out_name);
    if (address->ip.size == 4) {
        out_name->v4.sin_family = AF_INET;
        out_name->v4.sin_port = htons(address->port);
        memcpy(&out_name->v4.sin_addr, address->ip.bytes, 4);
        return sizeof out_name->v4;
    }
    out_name->v6.sin6_family = AF_INET6;
    out_name->v6.sin6_port = htons(address->port);
    memcpy(&out_name->v6.sin6_addr, address->ip.bytes, 16);
    return sizeof out_name->v6;
}

static hbk_status address_of(const union name *name, struct hbk_address *out_address)
{
    bool is_ok = false;
    struct hbk_address address = {.port = 0};
    if (name->any.sa_family == AF_INET) {
        is_ok = hbk_ip_from_bytes(hbk_slice_of(&name->v4.sin_addr, 4), &address.ip);
        address.port = ntohs(name->v4.sin_port);
    } else if (name->any.sa_family == AF_INET6) {
        is_ok = hbk_ip_from_bytes(hbk_slice_of(&name->v6.sin6_addr, 16), &address.ip);
        address.port = ntohs(name->v6.sin6_port);
    }
    if (!is_ok) {
        return HBK_UNSUPPORTED;
    }
    *out_address = address;
    return HBK_OK;
}

static bool set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* Marks are unsigned in the kernel and int in the interface. */
static bool set_mark(int fd, uint32_t mark)
{
    return mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0;
}

static void set_transparent(int fd, int family)
{
    if (family == AF_INET6) {
        (void)set_int(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
    }
    (void)set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

/*
 * Within a host no link can be congested, and what BBR, where it is the default, does for each
 * message in pacing and estimating is done for nothing. Reno, which every kernel has and everybody
 * may choose, does next to nothing. What a listener has its connections have.
 */
static void set_local(int fd)
{
    static const char plain[] = "reno";
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1);
}

static bool is_wildcard6(const struct hbk_ip *ip)
{
    static const uint8_t zeros[16];
    return ip->size == 16 && memcmp(ip->bytes, zeros, 16) == 0;
}

hbk_status hbk_socket_listen(const struct hbk_address *address,
                             const struct hbk_listen_options *options, int *out_fd)
{
    int family = address->ip.size == 4 ? AF_INET : AF_INET6;
    bool takes_both = is_wildcard6(&address->ip) && !options->is_v6_only;
    HBK_CLEANUP(hbk_fd_close)
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && takes_both) {
        struct hbk_address any4 = {.ip = {.size = 4}, .port = address->port};
        return hbk_socket_listen(&any4, options, out_fd);
    }
    if (fd < 0) {
        return hbk_status_from_errno(errno);
    }
    bool is_set = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) && set_mark(fd, options->mark);
    if (family == AF_INET6) {
        is_set = is_set && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !takes_both);
    }
    if (options->is_port_shared) {
        is_set = is_set && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (!is_set) {
        return hbk_status_from_errno(errno);
    }
    if (options->is_transparent) {
        set_transparent(fd, family);
    }
    if (options->is_local) {
        set_local(fd);
    }
    union name name;
    socklen_t size = name_of(address, &name);
    if (bind(fd, &name.any, size) < 0 || listen(fd, HBK_SOCKET_BACKLOG) < 0) {
        return hbk_status_from_errno(errno);
    }
    *out_fd = hbk_fd_take(&fd);
    return HBK_OK;
}

hbk_status hbk_socket_accept(int listener, int *out_fd, struct hbk_address *out_peer)
{
    union name name;
    socklen_t size = sizeof name;
    HBK_CLEANUP(hbk_fd_close)
    int fd = accept4(listener, &name.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* A connection that died in the queue is nobody, too (accept(2)). */
        bool is_nobody = errno == EAGAIN || errno == ECONNABORTED || errno == EINTR ||
                         errno == EPROTO || errno == ENETDOWN || errno == EHOSTUNREACH;
        return is_nobody ? HBK_NOT_FOUND : hbk_status_from_errno(errno);
    }
    HBK_TRY(address_of(&name, out_peer));
    *out_fd = hbk_fd_take(&fd);
    return HBK_OK;
}

static hbk_status bind_source(int fd, const struct hbk_connect_options *options)
{
    if (options->source == NULL) {
        return HBK_OK;
    }
    union name name;
    socklen_t size = name_of(options->source, &name);
    if (options->is_spoofed) {
        set_transparent(fd, name.any.sa_family);
        (void)set_int(fd, IPPROTO_IP, IP_FREEBIND, 1);
    }
    /* Ports are chosen at connect(), when the whole tuple is known, so that they do not run out. */
    (void)set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, &name.any, size) < 0 ? hbk_status_from_errno(errno) : HBK_OK;
}

hbk_status hbk_socket_connect(const struct hbk_address *to,
                              const struct hbk_connect_options *options, int *out_fd)
{
    int family = to->ip.size == 4 ? AF_INET : AF_INET6;
    HBK_CLEANUP(hbk_fd_close)
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || !set_mark(fd, options->mark)) {
        return hbk_status_from_errno(errno);
    }
    HBK_TRY(bind_source(fd, options));
    if (options->is_local) {
        set_local(fd);
    }
    union name name;
    socklen_t size = name_of(to, &name);
    if (connect(fd, &name.any, size) < 0 && errno != EINPROGRESS) {
        return hbk_status_from_errno(errno);
    }
    *out_fd = hbk_fd_take(&fd);
    return HBK_OK;
}

int hbk_socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

hbk_status hbk_socket_original_destination(int fd, struct hbk_address *out_address)
{
    union name name;
    socklen_t size = sizeof name;
    if (getsockopt(fd, IPPROTO_IP, ORIGINAL_DESTINATION, &name, &size) == 0) {
        return address_of(&name, out_address);
    }
    size = sizeof name;
    if (getsockopt(fd, IPPROTO_IPV6, ORIGINAL_DESTINATION, &name, &size) == 0) {
        return address_of(&name, out_address);
    }
    return HBK_NOT_FOUND;
}

hbk_status hbk_socket_local_address(int fd, struct hbk_address *out_address)
{
    union name name;
    socklen_t size = sizeof name;
    return getsockname(fd, &name.any, &size) < 0 ? hbk_status_from_errno(errno)
                                                 : address_of(&name, out_address);
}

hbk_status hbk_socket_peer_address(int fd, struct hbk_address *out_address)
{
    union name name;
    socklen_t size = sizeof name;
    return getpeername(fd, &name.any, &size) < 0 ? hbk_status_from_errno(errno)
                                                 : address_of(&name, out_address);
}

void hbk_socket_tune(int fd)
{
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

void hbk_socket_reset_on_close(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void hbk_socket_end(int fd)
{
    (void)shutdown(fd, SHUT_WR);
}

static enum hbk_io receive(int fd, struct hbk_span room, int flags, size_t *out_size)
{
    HBK_ASSERT(room.size > 0);
    ssize_t size;
    do {
        size = recv(fd, room.bytes, room.size, flags);
    } while (size < 0 && errno == EINTR);
    if (size > 0) {
        *out_size = (size_t)size;
        return HBK_IO_DONE;
    }
    if (size == 0) {
        return HBK_IO_END;
    }
    return errno == EAGAIN ? HBK_IO_AGAIN : HBK_IO_FAILED;
}

enum hbk_io hbk_socket_receive(int fd, struct hbk_span room, size_t *out_size)
{
    return receive(fd, room, 0, out_size);
}

enum hbk_io hbk_socket_peek(int fd, struct hbk_span room, size_t *out_size)
{
    return receive(fd, room, MSG_PEEK, out_size);
}
static enum hbk_io sent(ssize_t size, size_t *out_size)
{
    if (size >= 0) {
        *out_size = (size_t)size;
        return HBK_IO_DONE;
    }
    return errno == EAGAIN ? HBK_IO_AGAIN : HBK_IO_FAILED;
}

enum hbk_io hbk_socket_send(int fd, struct hbk_slice bytes, size_t *out_size)
{
    ssize_t size;
    do {
        size = send(fd, bytes.bytes, bytes.size, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return sent(size, out_size);
}

enum hbk_io hbk_socket_send_parts(int fd, const struct iovec *parts, size_t count, size_t *out_size)
{
    struct iovec *vector = (struct iovec *)(uintptr_t)parts; /* sendmsg() does not write here */
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
    ssize_t size;
    do {
        size = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return sent(size, out_size);
}
