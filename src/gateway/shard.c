#include "gateway/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/downstream.h"
#include "gateway/inspection.h"
#include "gateway/upstream.h"
#include "os/fd.h"
#include "os/socket.h"

uint64_t hbk_gw_random(struct hbk_gw_shard *shard)
{
    uint64_t a = shard->random[0];
    const uint64_t b = shard->random[1];
    shard->random[0] = b;
    a ^= a << 23;
    shard->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return shard->random[1] + b;
}

struct hbk_slice hbk_gw_date(struct hbk_gw_shard *shard)
{
    uint64_t second = (uint64_t)(hbk_clock_realtime_ns() / (int64_t)HBK_NS_PER_S);
    if (second != shard->date_second) {
        struct tm parts;
        time_t now = (time_t)second;
        (void)gmtime_r(&now, &parts);
        (void)strftime(shard->date, sizeof shard->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        shard->date_second = second;
    }
    return hbk_slice_of(shard->date, HBK_GW_DATE_BYTES);
}

static void bury(struct hbk_gw_shard *shard)
{
    shard->dead_count = 0;
    for (struct hbk_link *link; (link = hbk_list_pop(&shard->dead)) != NULL;) {
        struct hbk_gw_stream *stream = HBK_CONTAINER(link, struct hbk_gw_stream, link);
        hbk_gw_tls_facts_fini(&stream->upstream_tls);
        hbk_buffer_fini(&stream->out);
        hbk_buffer_fini(&stream->up_out);
        hbk_buffer_fini(&stream->held);
        hbk_arena_fini(&stream->arena);
        hbk_pool_give(&shard->streams, stream);
    }
}

static void on_bury(struct hbk_task *task)
{
    bury(HBK_CONTAINER(task, struct hbk_gw_shard, bury));
}

void hbk_gw_bury_some(struct hbk_gw_shard *shard)
{
    if (shard->dead_count >= HBK_GW_DEAD_STREAMS_MAX) {
        bury(shard);
    }
}

static void on_log_timer(struct hbk_timer *timer)
{
    hbk_gw_log_flush(HBK_CONTAINER(timer, struct hbk_gw_shard, log_timer));
}

/* ---- accepting ---- */

static void on_accept(struct hbk_listener *socket, int fd, const struct hbk_address *peer)
{
    struct hbk_gw_acceptor *acceptor = HBK_CONTAINER(socket, struct hbk_gw_acceptor, socket);
    struct hbk_address local = acceptor->address;
    if (hbk_socket_local_address(fd, &local) != HBK_OK) {
        local = acceptor->address;
    }
    if (hbk_gw_needs_inspection(acceptor->listener->config)) {
        hbk_gw_inspect(acceptor, fd, peer, &local);
        return;
    }
    const struct hbk_gw_arrival arrival = {
        .listener = acceptor->listener, .fd = fd, .peer = *peer, .direct = *peer, .local = local};
    hbk_gw_arrived(acceptor, &arrival);
}

void hbk_gw_arrived(struct hbk_gw_acceptor *acceptor, const struct hbk_gw_arrival *arrival)
{
    const struct hbk_gw_handler *handler = hbk_gw_choose_handler(acceptor->listener, arrival);
    if (handler == NULL) {
        int fd = arrival->fd;
        const struct hbk_gw_info info = {
            .start_ns = hbk_clock_realtime_ns(),
            .request_ns = UINT64_MAX,
            .response_ns = UINT64_MAX,
            .flags = HBK_GW_FLAG_NR,
            .details = "filter_chain_not_found",
            .downstream_remote = arrival->peer,
            .downstream_direct_remote = arrival->direct,
            .downstream_local = arrival->local,
        };
        hbk_gw_count(&acceptor->stats[HBK_GW_L_NO_CHAIN], 1);
        hbk_gw_log_write(acceptor->shard, &arrival->listener->logs, &info);
        hbk_fd_close(&fd);
        return;
    }
    if (handler->http != NULL) {
        hbk_gw_connection_open(acceptor->shard, handler, acceptor->stats, arrival);
    } else {
        hbk_gw_tcp_open(acceptor->shard, handler, acceptor->stats, arrival);
    }
}

static hbk_status listen_on(struct hbk_gw_shard *shard, const struct hbk_gw_plan_listener *listener,
                            unsigned index, const struct hbk_gw_socket_address *where,
                            struct hbk_error *error)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    const struct hbk_address *address = &where->ip;
    const struct hbk_listen_options options = {.is_port_shared = true,
                                               .is_v6_only = !where->ipv4_compat};
    struct hbk_gw_acceptor *acceptor = &shard->acceptors[shard->acceptor_count];
    int fd = -1;
    acceptor->shard = shard;
    acceptor->listener = listener;
    acceptor->stats = shard->listener_stats[index];
    acceptor->address = *address;
    hbk_status status = hbk_socket_listen(address, &options, &fd);
    if (status == HBK_OK) {
        status = hbk_listener_open(&acceptor->socket, &shard->net, fd, on_accept, shard);
    }
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "listener \"%s\": cannot listen on %s: %s",
                             (const char *)listener->config->name.bytes,
                             hbk_address_text(address, text), hbk_status_text(status));
    }
    acceptor->is_open = true;
    shard->acceptor_count++;
    return HBK_OK;
}

hbk_status hbk_gw_shard_listen(struct hbk_gw_shard *shard, struct hbk_error *error)
{
    for (uint32_t i = 0; i < shard->plan->listener_count; i++) {
        const struct hbk_gw_plan_listener *listener = &shard->plan->listeners[i];
        const struct hbk_gw_listener *config = listener->config;
        if (!config->bind_to_port) {
            continue;
        }
        HBK_TRY(listen_on(shard, listener, i, config->address->socket_address, error));
        for (uint32_t k = 0; k < config->additional_addresses_count; k++) {
            HBK_TRY(listen_on(shard, listener, i,
                              config->additional_addresses[k].address->socket_address, error));
        }
    }
    return HBK_OK;
}

/* ---- beginning and end ---- */

static hbk_status take_arrays(struct hbk_gw_shard *shard)
{
    const struct hbk_gw_plan *plan = shard->plan;
    size_t addresses = 0;
    for (uint32_t i = 0; i < plan->listener_count; i++) {
        addresses += 1 + plan->listeners[i].config->additional_addresses_count;
    }
    shard->acceptors = calloc(addresses + 1, sizeof *shard->acceptors);
    shard->pools = calloc((size_t)plan->cluster_count + 1, sizeof *shard->pools);
    shard->http_stats = calloc((size_t)plan->handler_count + 1, sizeof *shard->http_stats);
    shard->tcp_stats = calloc((size_t)plan->handler_count + 1, sizeof *shard->tcp_stats);
    shard->listener_stats = calloc((size_t)plan->listener_count + 1, sizeof *shard->listener_stats);
    shard->times = calloc((size_t)plan->handler_count + 1, sizeof *shard->times);
    shard->logs = calloc((size_t)plan->log_count + 1, sizeof *shard->logs);
    shard->contexts = calloc((size_t)plan->handler_count + 1, sizeof *shard->contexts);
    return shard->acceptors == NULL || shard->pools == NULL || shard->http_stats == NULL ||
                   shard->tcp_stats == NULL || shard->listener_stats == NULL ||
                   shard->times == NULL || shard->logs == NULL || shard->contexts == NULL
               ? HBK_NO_MEMORY
               : HBK_OK;
}

static void init_objects(struct hbk_gw_shard *shard)
{
    hbk_pool_init(&shard->connections, "gateway connection", sizeof(struct hbk_gw_connection),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_pool_init(&shard->streams, "gateway stream", sizeof(struct hbk_gw_stream),
                  HBK_GW_STREAMS_MAX);
    hbk_pool_init(&shard->upstreams, "gateway upstream", sizeof(struct hbk_gw_upstream),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_pool_init(&shard->relays, "gateway relay", hbk_gw_tcp_object_bytes(),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_pool_init(&shard->inspections, "gateway inspection", hbk_gw_inspection_object_bytes(),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_list_init(&shard->inspection_list);
    hbk_list_init(&shard->open);
    hbk_list_init(&shard->relay_list);
    hbk_list_init(&shard->dead);
    hbk_task_init(&shard->bury, on_bury);
    hbk_timer_init(&shard->log_timer, on_log_timer);
}

hbk_status hbk_gw_shard_init(struct hbk_gw_shard *shard, struct hbk_gw_plan *plan,
                             struct hbk_worker *worker)
{
    struct hbk_net_config config = HBK_NET_CONFIG_DEFAULT;
    config.mark = 0;
    config.batcher = plan->batcher;
    *shard = (struct hbk_gw_shard){.plan = plan, .worker = worker};
    init_objects(shard);
    HBK_TRY(hbk_net_init(&shard->net, &worker->loop, &config));
    HBK_TRY(hbk_batch_serve_devices(&shard->net.batch));
    HBK_TRY(take_arrays(shard));
    if (getrandom(shard->random, sizeof shard->random, 0) != sizeof shard->random) {
        return HBK_IO;
    }
    shard->random[0] |= 1;
    for (uint32_t i = 0; i < plan->handler_count; i++) {
        if (plan->handlers[i].tls != NULL) {
            shard->contexts[i] = hbk_tls_context_ref(plan->handlers[i].tls);
        }
    }
    for (uint32_t i = 0; i < plan->cluster_count; i++) {
        shard->pools[i].shard = shard;
        shard->pools[i].cluster = &plan->clusters[i];
        hbk_list_init(&shard->pools[i].hosts);
        hbk_gw_original_init(&shard->pools[i]);
        if (plan->clusters[i].tls != NULL) {
            shard->pools[i].tls = hbk_tls_context_ref(plan->clusters[i].tls);
        }
    }
    return HBK_OK;
}

static void stop_listening(struct hbk_gw_shard *shard)
{
    for (uint32_t i = 0; i < shard->acceptor_count; i++) {
        if (shard->acceptors[i].is_open) {
            shard->acceptors[i].is_open = false;
            hbk_listener_close(&shard->acceptors[i].socket);
        }
    }
}

void hbk_gw_shard_drain(struct hbk_gw_shard *shard)
{
    if (shard->is_draining) {
        return;
    }
    shard->is_draining = true;
    stop_listening(shard);
    HBK_LIST_EACH (link, &shard->open) {
        hbk_gw_connection_drain(HBK_CONTAINER(link, struct hbk_gw_connection, link));
    }
}

void hbk_gw_shard_close(struct hbk_gw_shard *shard)
{
    stop_listening(shard);
    HBK_LIST_EACH (link, &shard->open) {
        hbk_gw_connection_abort(HBK_CONTAINER(link, struct hbk_gw_connection, link), HBK_GW_FLAG_DC,
                                "downstream_local_disconnect");
    }
    hbk_gw_inspect_close_all(shard);
    hbk_gw_tcp_abort_all(shard);
    for (uint32_t i = 0; shard->pools != NULL && i < shard->plan->cluster_count; i++) {
        hbk_gw_pool_close(&shard->pools[i]);
    }
    if (shard->net.loop != NULL) {
        hbk_loop_timer_cancel(shard->net.loop, &shard->log_timer);
    }
}

void hbk_gw_shard_fini(struct hbk_gw_shard *shard)
{
    hbk_gw_log_flush(shard);
    for (uint32_t i = 0; shard->logs != NULL && i < shard->plan->log_count; i++) {
        hbk_buffer_fini(&shard->logs[i].text);
    }
    if (shard->net.loop != NULL) {
        hbk_net_fini(&shard->net);
    }
    hbk_pool_fini(&shard->connections);
    hbk_pool_fini(&shard->streams);
    hbk_pool_fini(&shard->upstreams);
    hbk_pool_fini(&shard->relays);
    hbk_pool_fini(&shard->inspections);
    for (uint32_t i = 0; shard->contexts != NULL && i < shard->plan->handler_count; i++) {
        hbk_tls_context_unref(shard->contexts[i]);
    }
    for (uint32_t i = 0; shard->pools != NULL && i < shard->plan->cluster_count; i++) {
        hbk_tls_context_unref(shard->pools[i].tls);
        hbk_gw_histogram_fini(&shard->pools[i].request_ms);
        hbk_gw_original_fini(&shard->pools[i]);
    }
    for (uint32_t i = 0; shard->times != NULL && i < shard->plan->handler_count; i++) {
        for (unsigned k = 0; k < HBK_GW_TIMES; k++) {
            hbk_gw_histogram_fini(&shard->times[i][k]);
        }
    }
    free(shard->times);
    free(shard->contexts);
    free(shard->acceptors);
    free(shard->pools);
    free(shard->http_stats);
    free(shard->tcp_stats);
    free(shard->listener_stats);
    free(shard->logs);
}
