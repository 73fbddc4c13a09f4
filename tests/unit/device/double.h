/* The double of libqat, loaded, and the device on it. */
#pragma once

#include <dlfcn.h>

#include "device/qat.h"
#include "device/qat_double.h"
#include "harness.h"

HBK_UNUSED static qat_double_set_function *double_set;
HBK_UNUSED static qat_double_get_function *double_get;
HBK_UNUSED static qat_double_event_function *double_event;
HBK_UNUSED static qat_double_wait_function *double_wait;
HBK_UNUSED static qat_double_refused_function *double_refused;

static inline void *find(void *handle, const char *name)
{
    void *address = dlsym(handle, name);
    assert_non_null(address);
    return address;
}

static inline void open_double(void)
{
    void *handle = dlopen(QAT_DOUBLE, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(handle);
    *(void **)&double_set = find(handle, "qat_double_set");
    *(void **)&double_get = find(handle, "qat_double_get");
    *(void **)&double_event = find(handle, "qat_double_event");
    *(void **)&double_wait = find(handle, "qat_double_wait");
    *(void **)&double_refused = find(handle, "qat_double_refused");
}

HBK_UNUSED static const struct qat_double_settings good = {.instances = 2, .rsa_instances = 3};
HBK_UNUSED static const struct qat_double_settings good_events = {
    .instances = 2, .rsa_instances = 3, .has_descriptors = true};

static inline struct qat_double_counts double_counts(void)
{
    struct qat_double_counts counts;
    double_get(&counts);
    return counts;
}

HBK_UNUSED static const struct hbk_qat_options options = {
    .poll_delay_ns = 1000 * 1000,
    .crypto_library = QAT_DOUBLE,
    .memory_library = QAT_DOUBLE,
};
