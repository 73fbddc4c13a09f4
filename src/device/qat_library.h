/*
 * Intel's QAT library as this program calls it: libqat and libusdm, found at run time, so that
 * neither is needed to build or to start. The declarations are our own, of the interface that is
 * stable from version 22.07 to 26.08 for what is listed (64-bit Linux); numbers are big endian.
 *
 * No device was at hand when this was written: the tests speak to a double of the library.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum hbk_qat_status {
    HBK_QAT_SUCCESS = 0,
    HBK_QAT_FAIL = -1,
    HBK_QAT_RETRY = -2, /* full, or nothing there */
    HBK_QAT_RESOURCE = -3,
    HBK_QAT_INVALID_PARAM = -4,
    HBK_QAT_FATAL = -5,
    HBK_QAT_UNSUPPORTED = -6,
    HBK_QAT_RESTARTING = -7,
};

enum hbk_qat_event {
    HBK_QAT_EVENT_RESTARTING = 0,
    HBK_QAT_EVENT_RESTARTED = 1,
    HBK_QAT_EVENT_FATAL_ERROR = 2,
};

enum {
    HBK_QAT_SERVICE_CRYPTO = 0,
    HBK_QAT_RESPONSE_BY_EVENT = 2,
    HBK_QAT_KEY_TWO_PRIMES = 1,
    HBK_QAT_KEY_REPRESENTATION_CRT = 2,
    /* More than any version writes: the structs grow. */
    HBK_QAT_INFO_BYTES = 2048,
    HBK_QAT_INFO_NODE_OFFSET = 912,  /* uint32_t: the NUMA node */
    HBK_QAT_INFO_STATE_OFFSET = 916, /* int32_t: 1 is up */
    HBK_QAT_CAPABILITIES_BYTES = 256,
    HBK_QAT_CAPABILITIES_RSA_OFFSET = 16, /* int32_t: whether RSA is served */
};

struct hbk_qat_buffer {
    uint32_t size;
    uint8_t *bytes;
};

struct hbk_qat_rsa_private_key {
    int32_t version;
    int32_t representation;
    struct hbk_qat_buffer modulus, private_exponent; /* unused by us */
    struct hbk_qat_buffer prime_p, prime_q, exponent_p, exponent_q, inverse_q;
};

struct hbk_qat_rsa_decrypt {
    struct hbk_qat_rsa_private_key *key;
    struct hbk_qat_buffer input;
};

_Static_assert(sizeof(struct hbk_qat_buffer) == 16, "the library's flat buffer");
_Static_assert(sizeof(struct hbk_qat_rsa_private_key) == 120, "the library's private key");
_Static_assert(sizeof(struct hbk_qat_rsa_decrypt) == 24, "the library's operation");

typedef void hbk_qat_rsa_callback(void *tag, int32_t status, void *operation,
                                  struct hbk_qat_buffer *output);
typedef void hbk_qat_event_callback(void *instance, void *tag, int32_t event);

/* The functions; those after the empty line are missing (NULL) in older versions. */
struct hbk_qat_library {
    void *crypto; /* dlopen's handles */
    void *memory;

    int32_t (*start)(const char *section);
    int32_t (*stop)(void);
    int32_t (*count_instances)(uint16_t *out_count);
    int32_t (*get_instances)(uint16_t count, void **out_instances);
    int32_t (*get_info)(void *instance, void *out_info);
    int32_t (*get_capabilities)(void *instance, void *out_capabilities);
    int32_t (*set_translation)(void *instance, uint64_t (*translate)(void *address));
    int32_t (*start_instance)(void *instance);
    int32_t (*stop_instance)(void *instance);
    int32_t (*rsa_decrypt)(void *instance, hbk_qat_rsa_callback *callback, void *tag,
                           const struct hbk_qat_rsa_decrypt *operation,
                           struct hbk_qat_buffer *output);
    int32_t (*poll_instance)(void *instance, uint32_t quota);
    void *(*allocate)(size_t size, int node, size_t alignment); /* memory that a device reads */
    void (*release)(void **address);                            /* wipes */
    uint64_t (*translate)(void *address);

    int32_t (*set_event_callback)(void *instance, hbk_qat_event_callback *callback, void *tag);
    int32_t (*poll_events)(void);
    int32_t (*set_response_mode)(void *instance, int32_t service, int32_t mode);
    int32_t (*get_descriptor)(void *instance, int *out_descriptor);
    int32_t (*put_descriptor)(void *instance);
};

/*
 * Loads both libraries; NULL as a name tries those that the versions have had. Fails:
 * HBK_NOT_FOUND (no library), HBK_UNSUPPORTED (one without a function that we need), with the
 * reason and the remedy. Control thread.
 */
HBK_MUST_USE hbk_status hbk_qat_library_open(const char *crypto_name, const char *memory_name,
                                             struct hbk_qat_library *out_library,
                                             struct hbk_error *error);
void hbk_qat_library_close(struct hbk_qat_library *library);

/* "FAIL", "RETRY", ...; never NULL. */
const char *hbk_qat_status_text(int32_t status);
