/*
 * c-ares tells which of its descriptors it wants watched, and when it wants to be called at the
 * latest. The loop signals edges, and c-ares reads one message per call from TCP: it is called as
 * long as a descriptor has bytes, up to a limit, and again in the next turn.
 */
#include "cluster/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "os/socket.h"

enum { READS_PER_TURN = 64 };

struct watched {
    struct hbk_source source;
    struct hbk_task again;
    struct hbk_gw_resolver *resolver;
    bool is_used;
};

struct hbk_gw_resolver {
    struct hbk_loop *loop; /* borrowed */
    ares_channel channel;  /* owned */
    struct hbk_timer timer;
    struct watched sockets[HBK_GW_DNS_SOCKETS_MAX];
    bool has_channel, is_ending;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void init_library(void)
{
    library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

/* ---- time and descriptors ---- */

static void set_timer(struct hbk_gw_resolver *resolver)
{
    struct timeval room;
    const struct timeval *wait = ares_timeout(resolver->channel, NULL, &room);
    if (wait == NULL) {
        hbk_loop_timer_cancel(resolver->loop, &resolver->timer);
    } else {
        hbk_loop_timer(resolver->loop, &resolver->timer,
                       (uint64_t)wait->tv_sec * HBK_NS_PER_S + (uint64_t)wait->tv_usec * 1000);
    }
}

static void on_timer(struct hbk_timer *timer)
{
    struct hbk_gw_resolver *resolver = HBK_CONTAINER(timer, struct hbk_gw_resolver, timer);
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(resolver);
}

static bool has_bytes(const struct watched *watched)
{
    uint8_t byte;
    size_t size = 0;
    return hbk_socket_peek(watched->source.fd, hbk_span_of(&byte, 1), &size) == HBK_IO_DONE;
}

static void process(struct watched *watched)
{
    struct hbk_gw_resolver *resolver = watched->resolver;
    int fd = watched->source.fd;
    uint32_t ready = watched->source.ready;
    bool is_readable = (ready & ~(uint32_t)HBK_WRITABLE) != 0;
    watched->source.ready = 0;
    ares_process_fd(resolver->channel, is_readable ? fd : ARES_SOCKET_BAD,
                    (ready & HBK_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
    for (int i = 0; is_readable && watched->is_used && watched->source.fd == fd; i++) {
        if (!has_bytes(watched)) {
            break;
        }
        if (i == READS_PER_TURN) {
            watched->source.ready = HBK_READABLE;
            hbk_loop_post(resolver->loop, HBK_PHASE_READ, &watched->again);
            break;
        }
        ares_process_fd(resolver->channel, fd, ARES_SOCKET_BAD);
    }
    set_timer(resolver);
}

static void on_ready(struct hbk_source *source)
{
    process(HBK_CONTAINER(source, struct watched, source));
}

static void on_again(struct hbk_task *task)
{
    struct watched *watched = HBK_CONTAINER(task, struct watched, again);
    if (watched->is_used) {
        process(watched);
    }
}

static struct watched *find_watched(struct hbk_gw_resolver *resolver, int fd)
{
    for (size_t i = 0; i < HBK_GW_DNS_SOCKETS_MAX; i++) {
        if (resolver->sockets[i].is_used && resolver->sockets[i].source.fd == fd) {
            return &resolver->sockets[i];
        }
    }
    return NULL;
}

static void watch(struct hbk_gw_resolver *resolver, int fd)
{
    for (size_t i = 0; i < HBK_GW_DNS_SOCKETS_MAX; i++) {
        struct watched *watched = &resolver->sockets[i];
        if (!watched->is_used) {
            watched->resolver = resolver;
            hbk_task_init(&watched->again, on_again);
            /* One that cannot be watched is one that never answers: the time ends it. */
            watched->is_used =
                hbk_loop_add(resolver->loop, &watched->source, fd, on_ready) == HBK_OK;
            return;
        }
    }
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct hbk_gw_resolver *resolver = data;
    struct watched *watched = find_watched(resolver, fd);
    if (readable == 0 && writable == 0) {
        if (watched != NULL) {
            watched->is_used = false;
            hbk_task_cancel(&watched->again);
            hbk_loop_remove(resolver->loop, &watched->source);
        }
    } else if (watched == NULL) {
        watch(resolver, fd);
    }
}

/* ---- look-ups ---- */

static void add_address(struct hbk_gw_lookup *lookup, const struct ares_addrinfo_node *node)
{
    struct hbk_ip ip;
    const void *name = node->ai_addr;
    struct hbk_slice bytes = hbk_slice_of(NULL, 0);
    if (node->ai_family == AF_INET) {
        bytes = hbk_slice_of(&((const struct sockaddr_in *)name)->sin_addr, 4);
    } else if (node->ai_family == AF_INET6) {
        bytes = hbk_slice_of(&((const struct sockaddr_in6 *)name)->sin6_addr, 16);
    }
    if (lookup->count == HBK_GW_NAME_ADDRESSES_MAX || !hbk_ip_from_bytes(bytes, &ip)) {
        return;
    }
    for (uint32_t i = 0; i < lookup->count; i++) {
        if (hbk_ip_equal(&lookup->ips[i], &ip)) {
            return;
        }
    }
    uint32_t ttl_s = node->ai_ttl < 0 ? 0 : (uint32_t)node->ai_ttl;
    lookup->ttl_s = lookup->count == 0 || ttl_s < lookup->ttl_s ? ttl_s : lookup->ttl_s;
    lookup->ips[lookup->count++] = ip;
}

static void ask(struct hbk_gw_lookup *lookup);

static void on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *found)
{
    struct hbk_gw_lookup *lookup = argument;
    bool is_done = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
    (void)timeouts;
    for (const struct ares_addrinfo_node *node = found == NULL ? NULL : found->nodes; node != NULL;
         node = node->ai_next) {
        add_address(lookup, node);
    }
    if (found != NULL) {
        ares_freeaddrinfo(found);
    }
    if (lookup->resolver->is_ending) {
        return;
    }
    bool has_two = lookup->family == HBK_GW_DNS_AUTO || lookup->family == HBK_GW_DNS_V4_PREFERRED;
    if (is_done && lookup->count == 0 && has_two && !lookup->is_second) {
        lookup->is_second = true;
        ask(lookup);
        return;
    }
    lookup->on_done(lookup, is_done ? HBK_GW_LOOKUP_DONE : HBK_GW_LOOKUP_FAILED,
                    ares_strerror(status));
}

static void ask(struct hbk_gw_lookup *lookup)
{
    static const int families[][2] = {
        [HBK_GW_DNS_AUTO] = {AF_INET6, AF_INET},
        [HBK_GW_DNS_V4_ONLY] = {AF_INET},
        [HBK_GW_DNS_V6_ONLY] = {AF_INET6},
        [HBK_GW_DNS_ALL] = {AF_UNSPEC},
        [HBK_GW_DNS_V4_PREFERRED] = {AF_INET, AF_INET6},
    };
    const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT,
        .ai_family = families[lookup->family % 5][lookup->is_second ? 1 : 0],
        .ai_socktype = SOCK_STREAM,
    };
    ares_getaddrinfo(lookup->resolver->channel, lookup->name, NULL, &hints, on_answer, lookup);
}

void hbk_gw_lookup_start(struct hbk_gw_lookup *lookup, struct hbk_gw_resolver *resolver,
                         const char *name, int family)
{
    lookup->resolver = resolver;
    lookup->name = name;
    lookup->family = family;
    lookup->is_second = false;
    lookup->count = 0;
    lookup->ttl_s = 0;
    ask(lookup);
    set_timer(resolver);
}

/* ---- the whole ---- */

static void server_of(const struct hbk_gw_address *address, struct ares_addr_port_node *out_node)
{
    const struct hbk_address *ip = &address->socket_address->ip;
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct in_addr v4;
    struct in6_addr v6;
    out_node->udp_port = out_node->tcp_port = ip->port;
    (void)hbk_ip_text(&ip->ip, text);
    if (ares_inet_pton(AF_INET, text, &v4) == 1) {
        out_node->family = AF_INET;
        memcpy(&out_node->addr.addr4, &v4, sizeof v4);
    } else if (ares_inet_pton(AF_INET6, text, &v6) == 1) {
        out_node->family = AF_INET6;
        memcpy(&out_node->addr.addr6, &v6, sizeof v6);
    }
}

static int set_servers(struct hbk_gw_resolver *resolver, const struct hbk_gw_cares_config *config)
{
    struct ares_addr_port_node nodes[HBK_GW_DNS_SERVERS_MAX] = {0};
    if (config == NULL || config->resolvers_count == 0) {
        return ARES_SUCCESS;
    }
    for (uint32_t i = 0; i < config->resolvers_count; i++) {
        server_of(&config->resolvers[i], &nodes[i]);
        nodes[i].next = i + 1 < config->resolvers_count ? &nodes[i + 1] : NULL;
    }
    return ares_set_servers_ports(resolver->channel, nodes);
}

static int open_channel(struct hbk_gw_resolver *resolver, const struct hbk_gw_cares_config *config)
{
    static const struct hbk_gw_cares_config usual = {.query_timeout_seconds = HBK_GW_DNS_TIMEOUT_S,
                                                     .query_tries = HBK_GW_DNS_TRIES};
    const struct hbk_gw_cares_config *used = config == NULL ? &usual : config;
    const struct hbk_gw_dns_options *flags = used->dns_resolver_options;
    struct ares_options options = {
        .timeout = (int)used->query_timeout_seconds * 1000,
        .tries = (int)used->query_tries,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    options.flags |= flags != NULL && flags->use_tcp_for_dns_lookups ? ARES_FLAG_USEVC : 0;
    options.flags |= flags != NULL && flags->no_default_search_domain ? ARES_FLAG_NOSEARCH : 0;
    int status = ares_init_options(
        &resolver->channel, &options,
        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
            (used->rotate_nameservers ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE));
    resolver->has_channel = status == ARES_SUCCESS;
    return status == ARES_SUCCESS ? set_servers(resolver, config) : status;
}

hbk_status hbk_gw_resolver_new(struct hbk_loop *loop, const struct hbk_gw_cares_config *config,
                               struct hbk_gw_resolver **out_resolver)
{
    struct hbk_gw_resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return HBK_NO_MEMORY;
    }
    resolver->loop = loop;
    hbk_timer_init(&resolver->timer, on_timer);
    int status = pthread_once(&library_once, init_library) == 0 ? library_status : ARES_EFORMERR;
    status = status == ARES_SUCCESS ? open_channel(resolver, config) : status;
    if (status != ARES_SUCCESS) {
        hbk_gw_resolver_free(resolver);
        return status == ARES_ENOMEM ? HBK_NO_MEMORY : HBK_IO;
    }
    *out_resolver = resolver;
    return HBK_OK;
}

void hbk_gw_resolver_free(struct hbk_gw_resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    resolver->is_ending = true;
    hbk_loop_timer_cancel(resolver->loop, &resolver->timer);
    if (resolver->has_channel) {
        ares_destroy(resolver->channel);
    }
    free(resolver);
}
