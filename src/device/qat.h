/*
 * Private keys on Intel QuickAssist devices (QAT): RSA with two primes of equal length, through
 * libqat. One per process; all workers share its instances.
 *
 * No hardware was tried: see docs/providers.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/key_device.h"

enum {
    HBK_QAT_INSTANCES_MAX = 64, /* further ones are left alone */
    /* Operations at an instance. Its ring has 64 places, and a request to a full ring makes the
     * library spin inside the call. */
    HBK_QAT_IN_FLIGHT_MAX = 56,
};

/* How often the library is asked for restarts when nothing else happens. */
#define HBK_QAT_EVENTS_NS UINT64_C(1000000000)

/* A handshake waits for a poll. */
#define HBK_QAT_POLL_DELAY_NS_MAX UINT64_C(10000000000)

struct hbk_qat_options {
    /* Between two polls, where the library gives no descriptor: from 1 ms to the limit above. */
    uint64_t poll_delay_ns;
    uint64_t events_ns; /* for tests; 0: HBK_QAT_EVENTS_NS */

    /* NULL for what is usual. */
    const char *crypto_library; /* libqat.so.4 */
    const char *memory_library; /* libusdm.so.0 */
    const char *folder;         /* /dev/vfio, which is looked at when QAT does not start */
};

struct hbk_qat;

/* Fails: HBK_INVALID, with the reason. */
HBK_MUST_USE hbk_status hbk_qat_check_delay(uint64_t poll_delay_ns, struct hbk_error *error);

/*
 * Starts QAT and a thread that collects its answers. Fails: HBK_INVALID (poll_delay), HBK_NOT_FOUND
 * (no library, no device file), HBK_DENIED (no permission), HBK_LIMIT (no lockable memory),
 * HBK_UNSUPPORTED (an old library, or no instance for RSA), HBK_NO_MEMORY, HBK_IO; with the reason
 * and the remedy. Control thread; it may take seconds.
 */
HBK_MUST_USE hbk_status hbk_qat_open(const struct hbk_qat_options *options,
                                     struct hbk_qat **out_qat, struct hbk_error *error);

/* Stops it. After the last key and the last key worker that used it. Control thread. */
void hbk_qat_close(struct hbk_qat *qat); /* NULL is allowed */

/* For struct hbk_key_provider_options; lives as long as `qat`. */
struct hbk_key_device *hbk_qat_device(struct hbk_qat *qat);

/* Polls at least so often from now on; no delay under HBK_POLL_DELAY_NS_MIN. Any thread. */
void hbk_qat_poll_faster(struct hbk_qat *qat, uint64_t poll_delay_ns);

struct hbk_qat_state {
    uint64_t poll_delay_ns;
    unsigned instances;        /* in use for RSA */
    unsigned up;               /* of those, that take operations now */
    unsigned with_descriptors; /* of those, that need no poll_delay */
    unsigned in_flight;        /* operations at the device */
};

/* Any thread. */
struct hbk_qat_state hbk_qat_state(const struct hbk_qat *qat);
