/*
 * Intel's multi-buffer library beside our kernels: loaded at run time from where it was unpacked,
 * and asked for the same operations with the same keys. Its functions are declared here after its
 * documentation; nothing of it is needed to build.
 */
#pragma once

#include "base/error.h"
#include "speed/primitive_operation.h"

struct hbk_crypto_mb;

/*
 * Loads the library `path`, and from the same folder the runtime libraries of Intel's compiler that
 * it wants, where they lie.
 *
 * Fails: HBK_NOT_FOUND (it cannot be loaded, or a function is missing), HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_crypto_mb_open(const char *path, struct hbk_crypto_mb **out_library,
                                           struct hbk_error *error);
void hbk_crypto_mb_close(struct hbk_crypto_mb *library); /* NULL is allowed */

/*
 * Takes over the keys and inputs of a state that is set up for the operation, which is borrowed
 * until the next call, and runs it once with eight lanes. False when the library does not have the
 * operation, or its results are not those of libcrypto: then nothing may be measured.
 */
HBK_MUST_USE bool hbk_crypto_mb_prepare(struct hbk_crypto_mb *library,
                                        const struct hbk_primitive_operation *operation,
                                        struct hbk_primitive_state *state);

/* What was prepared, with so many lanes filled. */
void hbk_crypto_mb_run(struct hbk_crypto_mb *library, unsigned lanes);
