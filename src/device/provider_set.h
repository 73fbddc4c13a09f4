/*
 * The providers of a program, by the names and delays that its configuration gives. It starts QAT
 * when somebody first asks for it, once, and keeps it for those who ask later.
 *
 * Control thread. It must outlive all providers that it gave, their keys, and the key workers.
 */
#pragma once

#include "crypto/key_provider.h"
#include "device/qat.h"

struct hbk_provider_set;

/* `qat` says where QAT's libraries are, its poll_delay is not used; NULL for what is usual. Fails:
 * HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_provider_set_new(const struct hbk_qat_options *qat,
                                             struct hbk_provider_set **out_set);
void hbk_provider_set_free(struct hbk_provider_set *set); /* NULL is allowed */

/*
 * A provider, as a reference of the caller's. Each call makes one with counters of its own; keys
 * share their batches all the same. `poll_delay_ns` counts for cryptomb and qat; 0: it was not
 * given. The one device has one delay: the shortest that it was asked for.
 *
 * Fails: HBK_UNSUPPORTED: not available on this machine, or a name that nobody has: a fallback may
 * serve (crypto/key_source.h takes NULL as the provider then). HBK_INVALID: poll_delay.
 * HBK_NO_MEMORY. With the reason.
 */
HBK_MUST_USE hbk_status hbk_provider_set_get(struct hbk_provider_set *set, const char *name,
                                             uint64_t poll_delay_ns,
                                             struct hbk_key_provider **out_provider,
                                             struct hbk_error *error);

/* The device, for metrics; NULL while nobody has asked for it, or it did not start. */
const struct hbk_qat *hbk_provider_set_qat(const struct hbk_provider_set *set);
