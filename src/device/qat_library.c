#include "device/qat_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const char *const crypto_names[] = {"libqat.so.4", "libqat.so.3", "libqat_s.so"};
static const char *const memory_names[] = {"libusdm.so.0", "libusdm_drv_s.so"};

struct symbol {
    const char *name;
    size_t offset; /* of the pointer in struct hbk_qat_library */
    bool is_optional;
};

#define SYMBOL(name, member)                                  \
    {                                                         \
        name, offsetof(struct hbk_qat_library, member), false \
    }
#define OPTIONAL(name, member)                               \
    {                                                        \
        name, offsetof(struct hbk_qat_library, member), true \
    }

static const struct symbol crypto_symbols[] = {
    SYMBOL("icp_sal_userStart", start),
    SYMBOL("icp_sal_userStop", stop),
    SYMBOL("cpaCyGetNumInstances", count_instances),
    SYMBOL("cpaCyGetInstances", get_instances),
    SYMBOL("cpaCyInstanceGetInfo2", get_info),
    SYMBOL("cpaCyQueryCapabilities", get_capabilities),
    SYMBOL("cpaCySetAddressTranslation", set_translation),
    SYMBOL("cpaCyStartInstance", start_instance),
    SYMBOL("cpaCyStopInstance", stop_instance),
    SYMBOL("cpaCyRsaDecrypt", rsa_decrypt),
    SYMBOL("icp_sal_CyPollInstance", poll_instance),
    OPTIONAL("cpaCyInstanceSetNotificationCb", set_event_callback),
    OPTIONAL("icp_sal_poll_device_events", poll_events),
    OPTIONAL("cpaInstanceSetResponseMode", set_response_mode),
    OPTIONAL("icp_sal_CyGetFileDescriptor", get_descriptor),
    OPTIONAL("icp_sal_CyPutFileDescriptor", put_descriptor),
};

static const struct symbol memory_symbols[] = {
    SYMBOL("qaeMemAllocNUMA", allocate),
    SYMBOL("qaeMemFreeNUMA", release),
    SYMBOL("qaeVirtToPhysNUMA", translate),
};

/* RTLD_LOCAL: libqat brings a libcrypto along, which must not take the place of ours. */
static hbk_status open_one(const char *const *names, size_t count, void **out_handle,
                           struct hbk_error *error)
{
    hbk_status status = HBK_NOT_FOUND;

    for (size_t i = 0; i < count; i++) {
        *out_handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (*out_handle != NULL) {
            return HBK_OK;
        }
        if (i == 0) { /* The next dlopen() frees this one's reason. */
            status = hbk_error_set(error, HBK_NOT_FOUND,
                                   "QAT: %s cannot be loaded (%s): install Intel's qatlib, version "
                                   "22.07 or newer",
                                   names[0], dlerror());
        }
    }
    return status;
}

static hbk_status find_symbols(struct hbk_qat_library *library, void *handle,
                               const struct symbol *symbols, size_t count, struct hbk_error *error)
{
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(handle, symbols[i].name);
        if (address == NULL && !symbols[i].is_optional) {
            return hbk_error_set(error, HBK_UNSUPPORTED,
                                 "QAT: the library has no function %s: install Intel's qatlib, "
                                 "version 22.07 or newer",
                                 symbols[i].name);
        }
        memcpy((char *)library + symbols[i].offset, &address, sizeof(address));
    }
    return HBK_OK;
}

static hbk_status open_both(const char *crypto_name, const char *memory_name,
                            struct hbk_qat_library *library, struct hbk_error *error)
{
    const char *const *cryptos = crypto_name == NULL ? crypto_names : &crypto_name;
    const char *const *memories = memory_name == NULL ? memory_names : &memory_name;

    HBK_TRY(open_one(cryptos, crypto_name == NULL ? HBK_COUNT(crypto_names) : 1, &library->crypto,
                     error));
    HBK_TRY(open_one(memories, memory_name == NULL ? HBK_COUNT(memory_names) : 1, &library->memory,
                     error));
    HBK_TRY(
        find_symbols(library, library->crypto, crypto_symbols, HBK_COUNT(crypto_symbols), error));
    return find_symbols(library, library->memory, memory_symbols, HBK_COUNT(memory_symbols), error);
}

hbk_status hbk_qat_library_open(const char *crypto_name, const char *memory_name,
                                struct hbk_qat_library *out_library, struct hbk_error *error)
{
    struct hbk_qat_library library = {0};
    const hbk_status status = open_both(crypto_name, memory_name, &library, error);

    if (status != HBK_OK) {
        hbk_qat_library_close(&library);
        return status;
    }
    *out_library = library;
    return HBK_OK;
}

void hbk_qat_library_close(struct hbk_qat_library *library)
{
    if (library->memory != NULL) {
        dlclose(library->memory);
    }
    if (library->crypto != NULL) {
        dlclose(library->crypto);
    }
    *library = (struct hbk_qat_library){0};
}

const char *hbk_qat_status_text(int32_t status)
{
    static const char *const texts[] = {
        "SUCCESS",       "FAIL",  "RETRY",       "RESOURCE",
        "INVALID_PARAM", "FATAL", "UNSUPPORTED", "RESTARTING",
    };
    return status <= 0 && status > -(int32_t)HBK_COUNT(texts) ? texts[-status] : "unknown";
}
