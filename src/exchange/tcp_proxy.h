/*
 * tcp_proxy: joins a client's connection with one to a host of a cluster, byte by byte. One
 * worker's thread.
 */
#pragma once

#include "exchange/arrival.h"
#include "exchange/upstream.h"

/* Takes an accepted socket. */
void hbk_gw_tcp_open(struct hbk_gw_shard *shard, const struct hbk_gw_handler *handler,
                     hbk_gw_counter *listener_stats, const struct hbk_gw_arrival *arrival);
void hbk_gw_tcp_abort_all(struct hbk_gw_shard *shard);

/* Checks say that nobody shall go to the host: this worker's connections to it end. */
void hbk_gw_tcp_host_failed(struct hbk_gw_host *host);

size_t hbk_gw_tcp_object_bytes(void); /* for the pool of them */
