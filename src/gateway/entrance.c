#include "gateway/entrance.h"

#include <stdlib.h>

#include "base/clock.h"
#include "exchange/downstream.h"
#include "exchange/tcp_proxy.h"
#include "gateway/chain.h"
#include "gateway/inspection.h"
#include "os/fd.h"
#include "os/socket.h"

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
    struct hbk_gw_shard *shard = acceptor->entrance->shard;
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
        hbk_gw_log_write(shard, &arrival->listener->logs, &info);
        hbk_fd_close(&fd);
        return;
    }
    if (handler->http != NULL) {
        hbk_gw_connection_open(shard, handler, acceptor->stats, arrival);
    } else {
        hbk_gw_tcp_open(shard, handler, acceptor->stats, arrival);
    }
}

static hbk_status listen_on(struct hbk_gw_entrance *entrance,
                            const struct hbk_gw_plan_listener *listener, unsigned index,
                            const struct hbk_gw_socket_address *where, struct hbk_error *error)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    const struct hbk_address *address = &where->ip;
    const struct hbk_listen_options options = {.is_port_shared = true,
                                               .is_v6_only = !where->ipv4_compat};
    struct hbk_gw_acceptor *acceptor = &entrance->acceptors[entrance->acceptor_count];
    int fd = -1;
    acceptor->entrance = entrance;
    acceptor->listener = listener;
    acceptor->stats = entrance->shard->listener_stats[index];
    acceptor->address = *address;
    hbk_status status = hbk_socket_listen(address, &options, &fd);
    if (status == HBK_OK) {
        status =
            hbk_listener_open(&acceptor->socket, &entrance->shard->net, fd, on_accept, entrance);
    }
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "listener \"%s\": cannot listen on %s: %s",
                             (const char *)listener->config->name.bytes,
                             hbk_address_text(address, text), hbk_status_text(status));
    }
    acceptor->is_open = true;
    entrance->acceptor_count++;
    return HBK_OK;
}

hbk_status hbk_gw_entrance_listen(struct hbk_gw_entrance *entrance, struct hbk_error *error)
{
    const struct hbk_gw_plan *plan = entrance->shard->plan;
    for (uint32_t i = 0; i < plan->listener_count; i++) {
        const struct hbk_gw_plan_listener *listener = &plan->listeners[i];
        const struct hbk_gw_listener *config = listener->config;
        if (!config->bind_to_port) {
            continue;
        }
        HBK_TRY(listen_on(entrance, listener, i, config->address->socket_address, error));
        for (uint32_t k = 0; k < config->additional_addresses_count; k++) {
            HBK_TRY(listen_on(entrance, listener, i,
                              config->additional_addresses[k].address->socket_address, error));
        }
    }
    return HBK_OK;
}

hbk_status hbk_gw_entrance_init(struct hbk_gw_entrance *entrance, struct hbk_gw_shard *shard)
{
    const struct hbk_gw_plan *plan = shard->plan;
    size_t addresses = 0;
    for (uint32_t i = 0; i < plan->listener_count; i++) {
        addresses += 1 + plan->listeners[i].config->additional_addresses_count;
    }
    *entrance = (struct hbk_gw_entrance){.shard = shard};
    hbk_pool_init(&entrance->inspections, "gateway inspection", hbk_gw_inspection_object_bytes(),
                  HBK_GW_CONNECTIONS_MAX);
    hbk_list_init(&entrance->inspection_list);
    entrance->acceptors = calloc(addresses + 1, sizeof *entrance->acceptors);
    return entrance->acceptors == NULL ? HBK_NO_MEMORY : HBK_OK;
}

void hbk_gw_entrance_shut(struct hbk_gw_entrance *entrance)
{
    for (uint32_t i = 0; i < entrance->acceptor_count; i++) {
        if (entrance->acceptors[i].is_open) {
            entrance->acceptors[i].is_open = false;
            hbk_listener_close(&entrance->acceptors[i].socket);
        }
    }
}

void hbk_gw_entrance_close(struct hbk_gw_entrance *entrance)
{
    if (entrance->shard != NULL) {
        hbk_gw_entrance_shut(entrance);
        hbk_gw_inspect_close_all(entrance);
    }
}

void hbk_gw_entrance_fini(struct hbk_gw_entrance *entrance)
{
    if (entrance->shard != NULL) {
        hbk_pool_fini(&entrance->inspections);
        free(entrance->acceptors);
        *entrance = (struct hbk_gw_entrance){.shard = NULL};
    }
}
