/* Why QAT does not start, told so that it can be mended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What was found. */
struct hbk_qat_facts {
    const char *folder;      /* where the device files are: /dev/vfio */
    unsigned files;          /* that are devices: their names are numbers */
    unsigned usable_files;   /* of those, that we may read and write */
    char denied_file[64];    /* the name of one that we may not; empty: none */
    uint64_t lockable_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX: no limit */
    bool can_lock_all;       /* the capability CAP_IPC_LOCK */
    bool has_started;        /* icp_sal_userStart succeeded */
    int32_t start_status;    /* what it returned */
    unsigned instances;      /* that the library has for cryptography */
    unsigned rsa_instances;  /* of those, that serve RSA */
};

/* What a virtual function pins before it is used; Intel's figure. */
enum { HBK_QAT_LOCKED_BYTES_MIN = 16 << 20 };

/* Fills in what the system tells: all but the last four. `folder` is borrowed. */
void hbk_qat_gather_facts(const char *folder, struct hbk_qat_facts *out_facts);

/* HBK_OK when RSA can be served; else HBK_NOT_FOUND (no device file), HBK_DENIED (no permission),
 * HBK_LIMIT (no lockable memory), HBK_UNSUPPORTED (only compression instances), HBK_IO (none of
 * these). The error gives the remedy. */
HBK_MUST_USE hbk_status hbk_qat_explain(const struct hbk_qat_facts *facts, struct hbk_error *error);
