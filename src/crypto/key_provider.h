/*
 * Who computes with a private key. A provider is what a configuration names; it is immutable but
 * for its counters, counted, shared by all workers, and says where a worker takes an operation.
 * docs/providers.md tells what each is for.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "crypto/lane.h"

struct hbk_key_device; /* crypto/key_device.h */

enum hbk_key_provider_kind {
    HBK_KEY_PROVIDER_BATCHER,  /* the worker's own batcher with its policy: when none is named */
    HBK_KEY_PROVIDER_SOFTWARE, /* libcrypto, one operation at a time */
    HBK_KEY_PROVIDER_CRYPTOMB, /* a batcher that waits for eight or for poll_delay: the paper's */
    HBK_KEY_PROVIDER_QAT,      /* a device; what it does not take goes to the worker's batcher */
    HBK_KEY_PROVIDER_COUNT,
};

/* "batcher", "software", "cryptomb", "qat"; never NULL. */
const char *hbk_key_provider_kind_text(enum hbk_key_provider_kind kind);

/* False, and nothing written, for any other name. */
HBK_MUST_USE bool hbk_key_provider_kind_from_text(const char *text,
                                                  enum hbk_key_provider_kind *out_kind);

/* The shortest poll_delay, as Envoy's providers have it. */
enum { HBK_POLL_DELAY_NS_MIN = 1000 * 1000 };

struct hbk_key_provider_options {
    enum hbk_key_provider_kind kind;
    uint64_t poll_delay_ns;        /* of cryptomb; 0: missing */
    struct hbk_key_device *device; /* of qat; borrowed, must outlive the provider */
    bool without_kernels;          /* for tests: as on a processor that has none */
};

struct hbk_key_provider;

/* Fails: HBK_INVALID (poll_delay), HBK_NO_MEMORY; with the reason. Control thread. */
HBK_MUST_USE hbk_status hbk_key_provider_new(const struct hbk_key_provider_options *options,
                                             struct hbk_key_provider **out_provider,
                                             struct hbk_error *error);

/* References; any thread. */
struct hbk_key_provider *hbk_key_provider_ref(struct hbk_key_provider *provider);
void hbk_key_provider_unref(struct hbk_key_provider *provider); /* NULL is allowed */

const struct hbk_key_provider_options *
hbk_key_provider_options(const struct hbk_key_provider *provider);

/*
 * Whether the provider can serve a key. Fails: HBK_UNSUPPORTED when it is not available for this
 * key on this machine, so that a fallback may serve it; HBK_INVALID when the key is a mistake,
 * which no fallback forgives. The texts begin as Envoy's do. Control thread.
 */
HBK_MUST_USE hbk_status hbk_key_provider_check(const struct hbk_key_provider *provider,
                                               EVP_PKEY *pkey, struct hbk_error *error);

/* What happened to the operations of a provider's keys. */
enum hbk_key_count {
    HBK_KEY_COUNT_DEVICE,      /* taken by the device */
    HBK_KEY_COUNT_ANSWERED,    /* computed by it, and the result was right */
    HBK_KEY_COUNT_OVERFLOW,    /* not taken: all instances were full */
    HBK_KEY_COUNT_DOWN,        /* not taken: no instance was up */
    HBK_KEY_COUNT_FAILED,      /* the device said that it failed */
    HBK_KEY_COUNT_WRONG,       /* the result was wrong; it went nowhere */
    HBK_KEY_COUNT_LATE,        /* no answer within HBK_KEY_DEVICE_PATIENCE_NS */
    HBK_KEY_COUNT_TO_BATCHER,  /* of the five above: computed by the worker's batcher instead */
    HBK_KEY_COUNT_TO_SOFTWARE, /* or, its queue being full, by libcrypto */
    HBK_KEY_COUNT_COUNT,
};

/* A short name for metrics, such as "device_overflow"; never NULL. */
const char *hbk_key_count_name(enum hbk_key_count count);

struct hbk_key_counters {
    /* Of cryptomb: batches by their number of operations, less one. A batch that operations of
     * several providers share counts with its whole size for each of them. */
    uint64_t rsa_queue_sizes[HBK_LANES];
    uint64_t ecdsa_queue_sizes[HBK_LANES];
    uint64_t counts[HBK_KEY_COUNT_COUNT];
};

/* A copy of the counters; any thread. */
void hbk_key_provider_counters(const struct hbk_key_provider *provider,
                               struct hbk_key_counters *out_counters);
