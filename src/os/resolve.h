/* Host names to addresses, through the system's resolver. */
#pragma once

#include "base/address.h"
#include "base/error.h"
#include "base/slice.h"

/*
 * The address of `host`, a literal or a name, with `port`; of several the system's first.
 *
 * Fails: HBK_NOT_FOUND (no such name), HBK_IO (no resolver answers), HBK_NO_MEMORY; `error` says
 * so. Thread: one that may block, since it waits for the network.
 */
HBK_MUST_USE hbk_status hbk_resolve(struct hbk_slice host, uint16_t port,
                                    struct hbk_address *out_address, struct hbk_error *error);

enum hbk_resolve_family { HBK_RESOLVE_ANY, HBK_RESOLVE_V4, HBK_RESOLVE_V6 };

/*
 * All addresses of `host`, each once, at most `max`. The same failures, and the same thread.
 */
HBK_MUST_USE hbk_status hbk_resolve_all(struct hbk_slice host, enum hbk_resolve_family family,
                                        struct hbk_ip *out_ips, size_t max, size_t *out_count,
                                        struct hbk_error *error);
