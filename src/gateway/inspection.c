/*
 *     accepted -> [original destination] -> [PROXY header] -> [ClientHello] -> arrived
 *
 * One timer bounds all of it (listener_filters_timeout). A listener that goes on after it chooses
 * by what is known then.
 */
#include "gateway/inspection.h"

#include "base/clock.h"
#include "base/cursor.h"
#include "os/fd.h"
#include "os/socket.h"
#include "tls/message.h"
#include "wire/proxy_protocol.h"

enum { RECORD_HANDSHAKE = 22, RECORD_HEAD_BYTES = 5 };

struct inspection {
    struct hbk_source source;
    struct hbk_timer timer;
    struct hbk_task bury;
    struct hbk_link link;
    struct hbk_gw_acceptor *acceptor;
    struct hbk_address peer, direct, local;
    uint64_t start_ns;
    int64_t start_real_ns;
    bool awaits_proxy, may_lack_proxy, awaits_hello, is_restored, is_over;
};

static const void *find_filter(const struct hbk_gw_listener *listener, int kind)
{
    for (uint32_t i = 0; i < listener->listener_filters_count; i++) {
        if (listener->listener_filters[i].typed_config.kind == kind) {
            return listener->listener_filters[i].typed_config.message;
        }
    }
    return NULL;
}

/* Envoy adds the inspector by itself where a chain's match needs it; so do we. */
static bool needs_hello(const struct hbk_gw_listener *listener)
{
    bool needs = find_filter(listener, HBK_GW_TLS_INSPECTOR) != NULL;
    for (uint32_t i = 0; i < listener->filter_chains_count; i++) {
        const struct hbk_gw_filter_chain_match *match =
            listener->filter_chains[i].filter_chain_match;
        needs |= match != NULL &&
                 (match->server_names_count > 0 || match->application_protocols_count > 0 ||
                  match->transport_protocol.size > 0);
    }
    return needs;
}

bool hbk_gw_needs_inspection(const struct hbk_gw_listener *listener)
{
    return listener->listener_filters_count > 0 || needs_hello(listener);
}

static void on_burial(struct hbk_task *task)
{
    struct inspection *inspection = HBK_CONTAINER(task, struct inspection, bury);
    hbk_pool_give(&inspection->acceptor->entrance->inspections, inspection);
}

/* Lets go of the socket: it is closed, or somebody else's. */
static void finish(struct inspection *inspection)
{
    struct hbk_loop *loop = inspection->acceptor->entrance->shard->net.loop;
    inspection->is_over = true;
    hbk_loop_timer_cancel(loop, &inspection->timer);
    hbk_loop_remove(loop, &inspection->source);
    hbk_link_remove(&inspection->link);
    hbk_loop_post(loop, HBK_PHASE_END, &inspection->bury);
}

/* What ends here is known to the listener alone. */
static void log_end(const struct inspection *inspection)
{
    struct hbk_gw_shard *shard = inspection->acceptor->entrance->shard;
    const struct hbk_gw_info info = {
        .start_ns = inspection->start_real_ns,
        .duration_ns = shard->net.loop->now_ns - inspection->start_ns,
        .request_ns = UINT64_MAX,
        .response_ns = UINT64_MAX,
        .downstream_remote = inspection->peer,
        .downstream_direct_remote = inspection->direct,
        .downstream_local = inspection->local,
    };
    hbk_gw_log_write(shard, &inspection->acceptor->listener->logs, &info);
}

static void close_socket(struct inspection *inspection)
{
    log_end(inspection);
    finish(inspection);
    hbk_fd_close(&inspection->source.fd);
}

/* `why`: what is counted, one of HBK_GW_L_FILTER_.... */
static void give_up(struct inspection *inspection, unsigned why)
{
    hbk_gw_count(&inspection->acceptor->stats[why], 1);
    close_socket(inspection);
}

static void arrive(struct inspection *inspection, const struct hbk_client_hello *hello)
{
    struct hbk_gw_arrival arrival = {
        .listener = inspection->acceptor->listener,
        .fd = inspection->source.fd,
        .peer = inspection->peer,
        .direct = inspection->direct,
        .local = inspection->local,
        .is_restored = inspection->is_restored,
        .is_tls = hello != NULL,
    };
    if (hello != NULL) {
        arrival.server_name = hello->server_name;
        arrival.protocols = hello->protocols;
    }
    finish(inspection);
    hbk_gw_arrived(inspection->acceptor, &arrival);
}

/* ---- the PROXY header ---- */

/* Takes the header off the socket. False when it is not complete, or the connection is over. */
static bool take_proxy(struct inspection *inspection, struct hbk_slice seen)
{
    struct hbk_proxy_header header;
    size_t size = 0;
    uint8_t scratch[HBK_PROXY_BYTES_MAX];
    switch (hbk_proxy_header_read(seen, &header)) {
    case HBK_PROXY_NEED_MORE:
        return false;
    case HBK_PROXY_ABSENT:
        if (!inspection->may_lack_proxy) {
            give_up(inspection, HBK_GW_L_FILTER_ERROR);
            return false;
        }
        inspection->awaits_proxy = false;
        return true;
    case HBK_PROXY_INVALID:
        give_up(inspection, HBK_GW_L_FILTER_ERROR);
        return false;
    case HBK_PROXY_DONE:
        break;
    }
    if (hbk_socket_receive(inspection->source.fd, hbk_span_of(scratch, header.size_bytes), &size) !=
            HBK_IO_DONE ||
        size != header.size_bytes) {
        give_up(inspection, HBK_GW_L_FILTER_ERROR);
        return false;
    }
    if (header.is_known) {
        inspection->peer = header.source;
        inspection->local = header.destination;
        inspection->is_restored = true;
    }
    inspection->awaits_proxy = false;
    return true;
}

/* ---- the ClientHello ---- */

enum hello_answer { HELLO_NEED_MORE, HELLO_READY, HELLO_NONE, HELLO_TOO_LARGE };

/* Joins the fragments of the first handshake message, of at most `bytes_max`; so much `room` holds.
 */
static enum hello_answer join_hello(struct hbk_slice seen, uint8_t *room, size_t bytes_max,
                                    struct hbk_slice *out_body)
{
    size_t used = 0;
    struct hbk_cursor cursor = hbk_cursor_of(seen);
    if (seen.size > 0 && seen.bytes[0] != RECORD_HANDSHAKE) {
        return HELLO_NONE;
    }
    for (;;) {
        if (cursor.left.size < RECORD_HEAD_BYTES) {
            return HELLO_NEED_MORE;
        }
        uint64_t type = hbk_cursor_number(&cursor, 1), version = hbk_cursor_number(&cursor, 2);
        size_t size = (size_t)hbk_cursor_number(&cursor, 2);
        if (type != RECORD_HANDSHAKE || version >> 8 != 3 || size == 0) {
            return HELLO_NONE;
        }
        if (used + size > bytes_max) {
            return HELLO_TOO_LARGE;
        }
        bool is_whole = size <= cursor.left.size;
        struct hbk_slice part = hbk_cursor_take(&cursor, is_whole ? size : cursor.left.size);
        memcpy(room + used, part.bytes, part.size);
        used += part.size;
        if (used >= HBK_MESSAGE_HEADER_BYTES) {
            size_t body = (size_t)room[1] << 16 | (size_t)room[2] << 8 | room[3];
            if (room[0] != HBK_MESSAGE_CLIENT_HELLO) {
                return HELLO_NONE;
            }
            if (body + HBK_MESSAGE_HEADER_BYTES > bytes_max) {
                return HELLO_TOO_LARGE;
            }
            if (used >= body + HBK_MESSAGE_HEADER_BYTES) {
                *out_body = hbk_slice_of(room + HBK_MESSAGE_HEADER_BYTES, body);
                return HELLO_READY;
            }
        }
        if (!is_whole) {
            return HELLO_NEED_MORE;
        }
    }
}

static size_t hello_bytes_max(const struct hbk_gw_listener *listener)
{
    const struct hbk_gw_tls_inspector *inspector = find_filter(listener, HBK_GW_TLS_INSPECTOR);
    return inspector != NULL && inspector->max_client_hello_size > 0
               ? inspector->max_client_hello_size
               : HBK_GW_HELLO_BYTES_MAX;
}

/*
 * A hello that cannot be read is TLS all the same: the session will say what is wrong with it. One
 * that comes in records so small that their headers fill the room is too large as well: no more of
 * it will ever be seen.
 */
static void take_hello(struct inspection *inspection, struct hbk_slice seen)
{
    static const struct hbk_client_hello unreadable;
    struct hbk_client_hello hello;
    struct hbk_slice body;
    uint8_t *room = inspection->acceptor->entrance->shard->net.output.bytes;
    size_t bytes_max = hello_bytes_max(inspection->acceptor->listener->config);
    switch (join_hello(seen, room, bytes_max, &body)) {
    case HELLO_NEED_MORE:
        if (seen.size >= bytes_max + HBK_GW_HELLO_HEADERS_BYTES_MAX) {
            give_up(inspection, HBK_GW_L_FILTER_ERROR);
        }
        return;
    case HELLO_TOO_LARGE:
        give_up(inspection, HBK_GW_L_FILTER_ERROR);
        return;
    case HELLO_NONE:
        arrive(inspection, NULL);
        return;
    case HELLO_READY:
        break;
    }
    struct hbk_complaint complaint = hbk_client_hello_read(body, &hello);
    arrive(inspection, complaint.alert == HBK_ALERT_NONE ? &hello : &unreadable);
}

/* ---- the socket ---- */

static void look(struct inspection *inspection)
{
    struct hbk_span room =
        hbk_span_of(inspection->acceptor->entrance->shard->net.input.bytes, HBK_GW_PEEK_BYTES_MAX);
    while (!inspection->is_over) {
        size_t size = 0;
        if (!inspection->awaits_proxy && !inspection->awaits_hello) {
            arrive(inspection, NULL);
            return;
        }
        switch (hbk_socket_peek(inspection->source.fd, room, &size)) {
        case HBK_IO_DONE:
            break;
        case HBK_IO_AGAIN:
            return;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            give_up(inspection, HBK_GW_L_FILTER_CLOSE);
            return;
        }
        struct hbk_slice seen = hbk_slice_of(room.bytes, size);
        if (!inspection->awaits_proxy) {
            take_hello(inspection, seen);
            return;
        }
        if (!take_proxy(inspection, seen)) {
            return;
        }
    }
}

static void on_ready(struct hbk_source *source)
{
    struct inspection *inspection = HBK_CONTAINER(source, struct inspection, source);
    if ((source->ready & HBK_HUNG_UP) != 0) {
        give_up(inspection, HBK_GW_L_FILTER_CLOSE);
        return;
    }
    look(inspection);
}

static void on_timeout(struct hbk_timer *timer)
{
    struct inspection *inspection = HBK_CONTAINER(timer, struct inspection, timer);
    hbk_gw_count(&inspection->acceptor->stats[HBK_GW_L_FILTER_TIMEOUT], 1);
    if (inspection->acceptor->listener->config->continue_on_listener_filters_timeout) {
        arrive(inspection, NULL);
    } else {
        close_socket(inspection);
    }
}

/* A connection that was not redirected has no other destination, or its own once more. */
static void restore_destination(struct inspection *inspection, int fd)
{
    struct hbk_address original;
    if (hbk_socket_original_destination(fd, &original) == HBK_OK &&
        !hbk_address_equal(&original, &inspection->local)) {
        inspection->local = original;
        inspection->is_restored = true;
    }
}

void hbk_gw_inspect(struct hbk_gw_acceptor *acceptor, int fd, const struct hbk_address *peer,
                    const struct hbk_address *local)
{
    const struct hbk_gw_listener *config = acceptor->listener->config;
    struct hbk_gw_entrance *entrance = acceptor->entrance;
    struct hbk_gw_shard *shard = entrance->shard;
    const struct hbk_gw_proxy_protocol *proxy = find_filter(config, HBK_GW_PROXY_PROTOCOL);
    struct inspection *inspection = hbk_pool_take(&entrance->inspections);
    if (inspection == NULL ||
        hbk_loop_add(shard->net.loop, &inspection->source, fd, on_ready) != HBK_OK) {
        hbk_pool_give(&entrance->inspections, inspection);
        hbk_gw_count(&acceptor->stats[HBK_GW_L_CX_OVERFLOW], 1);
        hbk_fd_close(&fd);
        return;
    }
    inspection->acceptor = acceptor;
    inspection->start_ns = shard->net.loop->now_ns;
    inspection->start_real_ns = hbk_clock_realtime_ns();
    inspection->peer = inspection->direct = *peer;
    inspection->local = *local;
    inspection->awaits_proxy = proxy != NULL;
    inspection->may_lack_proxy = proxy != NULL && proxy->allow_requests_without_proxy_protocol;
    inspection->awaits_hello = needs_hello(config);
    hbk_timer_init(&inspection->timer, on_timeout);
    hbk_task_init(&inspection->bury, on_burial);
    hbk_list_append(&entrance->inspection_list, &inspection->link);
    if (find_filter(config, HBK_GW_ORIGINAL_DST_FILTER) != NULL) {
        restore_destination(inspection, fd);
    }
    if (config->listener_filters_timeout > 0) {
        hbk_loop_timer(shard->net.loop, &inspection->timer, config->listener_filters_timeout);
    }
    look(inspection);
}

void hbk_gw_inspect_close_all(struct hbk_gw_entrance *entrance)
{
    HBK_LIST_EACH (link, &entrance->inspection_list) {
        close_socket(HBK_CONTAINER(link, struct inspection, link));
    }
}

size_t hbk_gw_inspection_object_bytes(void)
{
    return sizeof(struct inspection);
}
