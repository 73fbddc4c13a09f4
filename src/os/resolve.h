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
