/*
 * Who computes with a private key. A provider is what a configuration names; it is immutable,
 * counted and shared by all workers, and says where a worker takes an operation.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

enum hbk_key_provider_kind {
    HBK_KEY_PROVIDER_BATCHER,  /* the worker's own batcher with its policy: when none is named */
    HBK_KEY_PROVIDER_SOFTWARE, /* libcrypto, one operation at a time */
    HBK_KEY_PROVIDER_CRYPTOMB, /* a batcher that waits for eight or for poll_delay: the paper's */
};

/* "batcher", "software", "cryptomb"; never NULL. */
const char *hbk_key_provider_kind_text(enum hbk_key_provider_kind kind);

struct hbk_key_provider_options {
    enum hbk_key_provider_kind kind;
    uint64_t poll_delay_ns; /* of cryptomb */
};

struct hbk_key_provider;

/* Fails: HBK_NO_MEMORY. Control thread. */
HBK_MUST_USE hbk_status hbk_key_provider_new(const struct hbk_key_provider_options *options,
                                             struct hbk_key_provider **out_provider,
                                             struct hbk_error *error);

/* References; any thread. */
struct hbk_key_provider *hbk_key_provider_ref(struct hbk_key_provider *provider);
void hbk_key_provider_unref(struct hbk_key_provider *provider); /* NULL is allowed */

const struct hbk_key_provider_options *
hbk_key_provider_options(const struct hbk_key_provider *provider);
