#include "crypto/verification.h"

#include <stdlib.h>

#include "base/assert.h"
#include "crypto/ecdsa_der.h"
#include "crypto/hash.h"
#include "crypto/private_key.h"
#include "crypto/rsa_padding.h"

static bool is_pss(uint16_t scheme)
{
    return scheme == HBK_SIGN_RSA_PSS_RSAE_SHA256 || scheme == HBK_SIGN_RSA_PSS_RSAE_SHA384 ||
           scheme == HBK_SIGN_RSA_PSS_RSAE_SHA512;
}

bool hbk_verification_fits(const struct hbk_public_key *key, uint16_t scheme)
{
    switch (key->kind) {
    case HBK_PUBLIC_KEY_RSA:
        return is_pss(scheme);
    case HBK_PUBLIC_KEY_P256:
        return scheme == HBK_SIGN_ECDSA_P256_SHA256;
    case HBK_PUBLIC_KEY_P384:
        return scheme == HBK_SIGN_ECDSA_P384_SHA384;
    case HBK_PUBLIC_KEY_ED25519:
        return scheme == HBK_SIGN_ED25519;
    case HBK_PUBLIC_KEY_OTHER:
        return false;
    }
    HBK_UNREACHABLE();
}

static enum hbk_hash hash_of(uint16_t scheme)
{
    switch (scheme) {
    case HBK_SIGN_RSA_PSS_RSAE_SHA384:
    case HBK_SIGN_ECDSA_P384_SHA384:
        return HBK_HASH_SHA384;
    case HBK_SIGN_RSA_PSS_RSAE_SHA512:
        return HBK_HASH_SHA512;
    default:
        return HBK_HASH_SHA256;
    }
}

static void let_go(struct hbk_verification *verification)
{
    free(verification->bytes);
    verification->bytes = NULL;
}

static void complete(struct hbk_verification *verification, enum hbk_lane_status status)
{
    let_go(verification);
    verification->status = status;
    verification->complete(verification);
}

static void checked_p256(struct hbk_job *job)
{
    complete(HBK_CONTAINER(job, struct hbk_verification, job), job->operation.p256_verify.status);
}

static void checked_p384(struct hbk_job *job)
{
    complete(HBK_CONTAINER(job, struct hbk_verification, job), job->operation.p384_verify.status);
}

static void checked_ed25519(struct hbk_job *job)
{
    complete(HBK_CONTAINER(job, struct hbk_verification, job),
             job->operation.ed25519_verify.status);
}

static void opened_rsa(struct hbk_job *job)
{
    struct hbk_verification *verification = HBK_CONTAINER(job, struct hbk_verification, job);
    enum hbk_lane_status status = job->operation.rsa.status;
    if (status == HBK_LANE_OK &&
        !hbk_rsa_check_pss(hash_of(verification->scheme), verification->digest,
                           hbk_rsa_key_bits(verification->key->rsa), verification->bytes)) {
        status = HBK_LANE_REFUSED;
    }
    complete(verification, status);
}

/* Each fills in the job; false: it cannot be a signature of that key. */

static bool prepare_rsa(struct hbk_verification *verification, struct hbk_slice signature)
{
    struct hbk_job *job = &verification->job;
    if (signature.size != hbk_rsa_key_bytes(verification->key->rsa)) {
        return false;
    }
    memcpy(verification->bytes, signature.bytes, signature.size);
    job->kind = HBK_JOB_RSA_PUBLIC;
    job->complete = opened_rsa;
    job->operation.rsa = (struct hbk_rsa_operation){
        .key = verification->key->rsa,
        .input = verification->bytes,
        .output = verification->bytes,
    };
    return true;
}

static bool prepare_p256(struct hbk_verification *verification, struct hbk_slice signature)
{
    struct hbk_job *job = &verification->job;
    struct hbk_p256_verify *operation = &job->operation.p256_verify;
    job->kind = HBK_JOB_P256_VERIFY;
    job->complete = checked_p256;
    *operation = (struct hbk_p256_verify){.public_key = verification->key->bytes};
    memcpy(operation->digest, verification->digest, sizeof operation->digest);
    return hbk_p256_signature_from_der(signature, operation->signature);
}

static bool prepare_p384(struct hbk_verification *verification, struct hbk_slice signature)
{
    struct hbk_job *job = &verification->job;
    struct hbk_p384_verify *operation = &job->operation.p384_verify;
    job->kind = HBK_JOB_P384_VERIFY;
    job->complete = checked_p384;
    *operation = (struct hbk_p384_verify){.public_key = verification->key->bytes};
    memcpy(operation->digest, verification->digest, sizeof operation->digest);
    return hbk_ecdsa_from_der(signature, HBK_P384_BYTES, operation->signature);
}

/* Ed25519 needs the message itself, which is kept. */
static bool prepare_ed25519(struct hbk_verification *verification, struct hbk_slice message,
                            struct hbk_slice signature)
{
    struct hbk_job *job = &verification->job;
    struct hbk_ed25519_verify *operation = &job->operation.ed25519_verify;
    if (signature.size != HBK_ED25519_SIGNATURE_BYTES) {
        return false;
    }
    memcpy(verification->bytes, message.bytes, message.size);
    job->kind = HBK_JOB_ED25519_VERIFY;
    job->complete = checked_ed25519;
    *operation = (struct hbk_ed25519_verify){
        .public_key = verification->key->bytes,
        .message = hbk_slice_of(verification->bytes, message.size),
    };
    memcpy(operation->signature, signature.bytes, signature.size);
    return true;
}

static bool prepare(struct hbk_verification *verification, struct hbk_slice message,
                    struct hbk_slice signature)
{
    hbk_hash_once(hash_of(verification->scheme), message, verification->digest);
    switch (verification->key->kind) {
    case HBK_PUBLIC_KEY_RSA:
        return prepare_rsa(verification, signature);
    case HBK_PUBLIC_KEY_P256:
        return prepare_p256(verification, signature);
    case HBK_PUBLIC_KEY_P384:
        return prepare_p384(verification, signature);
    case HBK_PUBLIC_KEY_ED25519:
        return prepare_ed25519(verification, message, signature);
    case HBK_PUBLIC_KEY_OTHER:
        break;
    }
    HBK_UNREACHABLE();
}

/* Memory for what two kinds of keys need until the end. */
static hbk_status make_room(struct hbk_verification *verification, struct hbk_slice message,
                            struct hbk_slice signature)
{
    enum hbk_public_key_kind kind = verification->key->kind;
    size_t size = kind == HBK_PUBLIC_KEY_RSA       ? signature.size
                  : kind == HBK_PUBLIC_KEY_ED25519 ? message.size
                                                   : 0;
    if (size == 0) {
        return HBK_OK;
    }
    verification->bytes = malloc(size);
    return verification->bytes == NULL ? HBK_NO_MEMORY : HBK_OK;
}

hbk_status hbk_verification_begin(struct hbk_verification *verification,
                                  struct hbk_batcher *batcher, const struct hbk_public_key *key,
                                  uint16_t scheme, struct hbk_slice message,
                                  struct hbk_slice signature, uint64_t now_ns, bool *out_is_waiting)
{
    HBK_ASSERT(hbk_verification_fits(key, scheme));
    HBK_ASSERT(message.size <= HBK_VERIFICATION_MESSAGE_BYTES_MAX);
    *out_is_waiting = false;
    verification->key = key;
    verification->scheme = scheme;
    HBK_TRY(make_room(verification, message, signature));
    if (!prepare(verification, message, signature)) {
        let_go(verification);
        verification->status = HBK_LANE_REFUSED;
        return HBK_OK;
    }
    hbk_status status = hbk_batcher_submit(batcher, &verification->job, now_ns);
    if (status != HBK_OK) {
        let_go(verification);
        return status;
    }
    *out_is_waiting = true;
    return HBK_OK;
}

void hbk_verification_cancel(struct hbk_verification *verification, struct hbk_batcher *batcher)
{
    hbk_batcher_cancel(batcher, &verification->job);
    let_go(verification);
}
