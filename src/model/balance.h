/*
 * The endpoints of a service, prepared so that choosing one costs the same for ten and for ten
 * thousand: weighted by capacity, near ones first where the service prefers them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "model/workload.h"

struct hbk_service;
struct hbk_balance;

struct hbk_endpoint {
    const struct hbk_workload *workload;
    const struct hbk_port_pair *ports; /* of this endpoint alone; before those of the service */
    uint32_t port_count;
};

/* What the choice found. */
enum hbk_balance_answer {
    HBK_BALANCE_FOUND,
    HBK_BALANCE_NO_ENDPOINT, /* none is healthy, near enough, reachable, and knows the port */
};

/*
 * Builds the table of a service from endpoints that may all be chosen and have a capacity. Takes a
 * reference on each workload; the ports are borrowed from the workload or from the service, whose
 * preferences the table borrows, too. Fails: HBK_NO_MEMORY. Control thread only.
 */
HBK_MUST_USE hbk_status hbk_balance_new(const struct hbk_service *service,
                                        const struct hbk_endpoint *endpoints, uint32_t count,
                                        struct hbk_balance **out_balance);

/* NULL is allowed. */
void hbk_balance_free(struct hbk_balance *balance);

/*
 * Chooses an endpoint for a client and the target port that goes with `service_port`. `random` is
 * 64 even bits; the same bits give the same choice. No allocation; any thread.
 */
enum hbk_balance_answer hbk_balance_choose(const struct hbk_service *service,
                                           const struct hbk_workload *client, uint16_t service_port,
                                           uint64_t random,
                                           const struct hbk_endpoint **out_endpoint,
                                           uint16_t *out_target_port);

/* The endpoints that can be chosen, for a dump and for tests. */
uint32_t hbk_balance_endpoint_count(const struct hbk_balance *balance);
const struct hbk_endpoint *hbk_balance_endpoint(const struct hbk_balance *balance, uint32_t index);
