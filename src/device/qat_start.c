/*
 * The library says no more than FAIL; the kernel's log says why, but not to us. So we look at what
 * it needs in the order in which it needs it: a VFIO device file, permission to open it, memory
 * that may be locked, and an instance for asymmetric cryptography rather than compression. These
 * are the cases that the paper's first appendix has people find in dmesg.
 */
#include "device/qat_start.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/slice.h"
#include "device/qat_library.h"

static void look_at_file(int folder, const char *name, struct hbk_qat_facts *facts)
{
    uint64_t number = 0;

    if (!hbk_slice_to_u64(hbk_slice_text(name), UINT32_MAX, &number)) {
        return; /* /dev/vfio/vfio is there without any device */
    }
    facts->files++;
    if (faccessat(folder, name, R_OK | W_OK, AT_EACCESS) == 0) {
        facts->usable_files++;
    } else {
        (void)snprintf(facts->denied_file, sizeof(facts->denied_file), "%s", name);
    }
}

static bool can_lock_all(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

void hbk_qat_gather_facts(const char *folder, struct hbk_qat_facts *out_facts)
{
    struct rlimit limit = {0};
    DIR *files = opendir(folder);

    *out_facts = (struct hbk_qat_facts){.folder = folder};
    if (files != NULL) {
        const struct dirent *file;
        while ((file = readdir(files)) != NULL) {
            look_at_file(dirfd(files), file->d_name, out_facts);
        }
        closedir(files);
    }
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        out_facts->lockable_bytes =
            limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
    }
    out_facts->can_lock_all = can_lock_all();
}

static hbk_status explain_failed_start(const struct hbk_qat_facts *facts, struct hbk_error *error)
{
    if (facts->files == 0) {
        return hbk_error_set(error, HBK_NOT_FOUND,
                             "QAT: no device file in %s: give the container a QAT resource "
                             "(qat.intel.com/cy), or on a host bind a virtual function to vfio-pci",
                             facts->folder);
    }
    if (facts->usable_files == 0) {
        return hbk_error_set(error, HBK_DENIED,
                             "QAT: no permission to read and write %s/%s: change its owner or "
                             "group, or the AppArmor profile",
                             facts->folder, facts->denied_file);
    }
    if (!facts->can_lock_all && facts->lockable_bytes < HBK_QAT_LOCKED_BYTES_MIN) {
        return hbk_error_set(error, HBK_LIMIT,
                             "QAT: %llu KiB of memory may be locked, and a virtual function needs "
                             "at least %d: raise the memlock limit (ulimit -l), or add the "
                             "capability IPC_LOCK",
                             (unsigned long long)facts->lockable_bytes >> 10,
                             HBK_QAT_LOCKED_BYTES_MIN >> 10);
    }
    return hbk_error_set(error, HBK_IO,
                         "QAT: icp_sal_userStart failed (%s) although %s holds %u usable device "
                         "files: see dmesg; set QAT_POLICY=1 when a plugin hands out one virtual "
                         "function, and check that the IOMMU is on",
                         hbk_qat_status_text(facts->start_status), facts->folder,
                         facts->usable_files);
}

hbk_status hbk_qat_explain(const struct hbk_qat_facts *facts, struct hbk_error *error)
{
    if (!facts->has_started) {
        return explain_failed_start(facts, error);
    }
    if (facts->rsa_instances > 0) {
        return HBK_OK;
    }
    return hbk_error_set(error, HBK_UNSUPPORTED,
                         "QAT: the device has started, but none of its %u cryptography instances "
                         "serves RSA: its services are compression (dc) or symmetric only; "
                         "configure it for asym (in Kubernetes the resource qat.intel.com/cy)",
                         facts->instances);
}
