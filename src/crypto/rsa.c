/*
 * RSA by lanes: sorts the lanes of a batch into those for the kernels and those for libcrypto, and
 * walks through them in steps.
 */
#include "crypto/rsa.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/cpu.h"
#include "crypto/rsa_key.h"
#include "crypto/vector/wipe.h"

/* Windows of an exponent per step: about a millisecond for eight lanes. */
enum {
    STEP_WINDOWS_2048 = 512, /* the whole of it */
    STEP_WINDOWS_3072 = 160,
    STEP_WINDOWS_4096 = 80,
};

struct hbk_rsa_batch {
    struct hbk_vector_rsa_batch kernel;
    struct hbk_rsa_operation *lanes[HBK_LANES];
    uint8_t vector_lanes; /* still in the kernel */
    uint8_t twin_lanes;   /* still to be computed by libcrypto */
    uint8_t fault;        /* see hbk_rsa_batch_inject_fault */
};

struct hbk_rsa_batch *hbk_rsa_batch_new(void)
{
    size_t size = (sizeof(struct hbk_rsa_batch) + 63) / 64 * 64;
    struct hbk_rsa_batch *batch = aligned_alloc(64, size);

    /* The kernel's part is written before it is read; leaving it alone keeps its pages untouched.
     */
    if (batch != NULL) {
        memset(batch->lanes, 0, sizeof(batch->lanes));
        batch->vector_lanes = 0;
        batch->twin_lanes = 0;
        batch->fault = 0;
    }
    return batch;
}

void hbk_rsa_batch_free(struct hbk_rsa_batch *batch)
{
    if (batch != NULL) {
        hbk_secret_wipe(batch, sizeof(*batch));
        free(batch);
    }
}

void hbk_rsa_batch_wipe(struct hbk_rsa_batch *batch)
{
    hbk_secret_wipe(batch, sizeof(*batch));
#if HBK_HAS_VECTOR
    if (hbk_cpu_path() == HBK_PATH_VECTOR) {
        hbk_vector_wipe();
        return;
    }
#endif
    hbk_secret_wipe_stack();
}

void hbk_rsa_batch_inject_fault(struct hbk_rsa_batch *batch, uint8_t mask)
{
    batch->fault = mask;
}

static uint8_t bit(int lane)
{
    return (uint8_t)(1U << lane);
}

/* The raw operation by libcrypto, which blinds private ones itself. */
static void twin(struct hbk_rsa_operation *operation, bool is_private)
{
    size_t size = hbk_rsa_key_bytes(operation->key);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(operation->key->pkey, NULL);
    int result = -1;

    if (context != NULL && is_private && EVP_PKEY_decrypt_init(context) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1) {
        result = EVP_PKEY_decrypt(context, operation->output, &size, operation->input, size);
    } else if (context != NULL && !is_private && EVP_PKEY_encrypt_init(context) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1) {
        result = EVP_PKEY_encrypt(context, operation->output, &size, operation->input, size);
    }
    operation->status = result == 1 ? HBK_LANE_OK : HBK_LANE_FAILED;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    if (is_private) {
        hbk_secret_wipe_stack();
    }
}

/* Inputs and moduli are public here: an input is a padded block or comes from the peer. */
static bool is_acceptable(const struct hbk_rsa_operation *operation, bool is_private)
{
    return (!is_private || operation->key->is_private) &&
           memcmp(operation->input, operation->key->modulus, hbk_rsa_key_bytes(operation->key)) < 0;
}

/* Fills in who computes which lane; refused lanes are done. */
static void sort_lanes(struct hbk_rsa_batch *batch, enum hbk_path path, bool is_private,
                       struct hbk_rsa_operation *const lanes[HBK_LANES])
{
    unsigned bits = 0;

    batch->vector_lanes = 0;
    batch->twin_lanes = 0;
    for (int i = 0; i < HBK_LANES; i++) {
        batch->lanes[i] = lanes[i];
        if (lanes[i] == NULL) {
            continue;
        }
        HBK_ASSERT(bits == 0 || bits == lanes[i]->key->bits);
        bits = lanes[i]->key->bits;
        lanes[i]->was_redone = false;
        if (!is_acceptable(lanes[i], is_private)) {
            lanes[i]->status = HBK_LANE_REFUSED;
        } else if (HBK_PATH_IS_VECTOR(path) && lanes[i]->key->is_vector) {
            batch->vector_lanes |= bit(i);
        } else {
            batch->twin_lanes |= bit(i);
        }
    }
}

/* What the kernel wants to know of its lanes. */
struct kernel_lanes {
    const struct hbk_vector_rsa_key *keys[HBK_LANES];
    const uint8_t *inputs[HBK_LANES];
    uint8_t *outputs[HBK_LANES];
};

static struct kernel_lanes kernel_lanes_of(const struct hbk_rsa_batch *batch)
{
    struct kernel_lanes kernel = {0};

    for (int i = 0; i < HBK_LANES; i++) {
        if ((batch->vector_lanes & bit(i)) != 0) {
            kernel.keys[i] = &batch->lanes[i]->key->lanes;
            kernel.inputs[i] = batch->lanes[i]->input;
            kernel.outputs[i] = batch->lanes[i]->output;
        }
    }
    return kernel;
}

void hbk_rsa_batch_begin(struct hbk_rsa_batch *batch, enum hbk_path path,
                         struct hbk_rsa_operation *const lanes[HBK_LANES])
{
    sort_lanes(batch, path, true, lanes);
    if (HBK_HAS_VECTOR && batch->vector_lanes != 0) {
        const struct kernel_lanes kernel = kernel_lanes_of(batch);
        hbk_vector_rsa_begin(&batch->kernel, kernel.keys, kernel.inputs);
        batch->kernel.fault = batch->fault;
        batch->fault = 0;
    }
}

static unsigned step_windows(const struct hbk_rsa_batch *batch)
{
    switch (batch->kernel.digits) {
    case 40:
        return STEP_WINDOWS_2048;
    case 60:
        return STEP_WINDOWS_3072;
    default:
        return STEP_WINDOWS_4096;
    }
}

/* Delivers the lanes whose results the kernel has checked, and sends the others to the twin. */
static void finish_kernel(struct hbk_rsa_batch *batch)
{
    const struct kernel_lanes kernel = kernel_lanes_of(batch);
    const uint8_t right = hbk_vector_rsa_finish(&batch->kernel, kernel.outputs);

    for (int i = 0; i < HBK_LANES; i++) {
        if ((batch->vector_lanes & bit(i)) == 0) {
            continue;
        }
        if ((right & bit(i)) != 0) {
            batch->lanes[i]->status = HBK_LANE_OK;
        } else {
            batch->lanes[i]->was_redone = true;
            batch->twin_lanes |= bit(i);
        }
    }
    batch->vector_lanes = 0;
}

bool hbk_rsa_batch_step(struct hbk_rsa_batch *batch)
{
    if (HBK_HAS_VECTOR && batch->vector_lanes != 0) {
        if (hbk_vector_rsa_step(&batch->kernel, step_windows(batch))) {
            finish_kernel(batch);
        }
    } else if (batch->twin_lanes != 0) {
        int lane = __builtin_ctz(batch->twin_lanes);
        twin(batch->lanes[lane], true);
        batch->twin_lanes &= (uint8_t)~bit(lane);
    }
    return batch->vector_lanes == 0 && batch->twin_lanes == 0;
}

void hbk_rsa_batch_cancel(struct hbk_rsa_batch *batch, const struct hbk_rsa_operation *operation)
{
    for (int i = 0; i < HBK_LANES; i++) {
        if (batch->lanes[i] == operation) {
            const bool was_vector = (batch->vector_lanes & bit(i)) != 0;
            batch->lanes[i] = NULL;
            batch->kernel.keys[i] = NULL;
            batch->vector_lanes &= (uint8_t)~bit(i);
            batch->twin_lanes &= (uint8_t)~bit(i);
            if (was_vector && batch->vector_lanes == 0) {
                hbk_secret_wipe(&batch->kernel, sizeof(batch->kernel));
            }
        }
    }
}

void hbk_rsa_private_lanes(enum hbk_path path, struct hbk_rsa_batch *batch,
                           struct hbk_rsa_operation *const lanes[HBK_LANES])
{
    hbk_rsa_batch_begin(batch, path, lanes);
    while (!hbk_rsa_batch_step(batch)) {
    }
}

void hbk_rsa_public_lanes(enum hbk_path path, struct hbk_rsa_batch *batch,
                          struct hbk_rsa_operation *const lanes[HBK_LANES])
{
    sort_lanes(batch, path, false, lanes);
    if (HBK_HAS_VECTOR && batch->vector_lanes != 0) {
        const struct kernel_lanes kernel = kernel_lanes_of(batch);
        hbk_vector_rsa_public(&batch->kernel, kernel.keys, kernel.inputs, kernel.outputs);
    }
    for (int i = 0; i < HBK_LANES; i++) {
        if ((batch->vector_lanes & bit(i)) != 0) {
            batch->lanes[i]->status = HBK_LANE_OK;
        } else if ((batch->twin_lanes & bit(i)) != 0) {
            twin(batch->lanes[i], false);
        }
    }
    batch->vector_lanes = 0;
    batch->twin_lanes = 0;
}
