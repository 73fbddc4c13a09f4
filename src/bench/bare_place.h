/* Bare peers in places of the topology: how they are started there, and room for many of them. */
#pragma once

#include "bench/bare.h"
#include "bench/topology.h"
#include "os/process.h"

/* Starts a bare server on the services' port of a pod; a sink when it has a counter to fill (shared
 * memory). `cpu` -1: any. Owned: hbk_process_stop(). */
HBK_MUST_USE hbk_status hbk_bare_start_server(const struct hbk_topology *topology,
                                              enum hbk_place place, int cpu,
                                              _Atomic uint64_t *swallowed_bytes,
                                              struct hbk_process *out_process,
                                              struct hbk_error *error);

/* Starts `run(argument)`, a client, in a pod; it has a copy of all our memory. Owned likewise. */
HBK_MUST_USE hbk_status hbk_bare_start_client(const struct hbk_topology *topology,
                                              enum hbk_place place, int cpu,
                                              int (*run)(void *argument), void *argument,
                                              struct hbk_process *out_process,
                                              struct hbk_error *error);

/* Lets thousands of short connections a second find ports and room there; where the kernel does not
 * let us, figures show it. */
void hbk_bare_ease_short_connections(const struct hbk_topology *topology, enum hbk_place place);
