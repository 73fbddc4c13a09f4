#include "tls/share.h"

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/cpu.h"
#include "crypto/p384.h"

/* How many pairs are made at once: a batch of the kernels has the price of one lane, while
 * libcrypto's pairs are paid for one by one. */
static size_t batch_size(void)
{
    return hbk_cpu_path() == HBK_PATH_VECTOR ? HBK_TLS_SHARE_STOCK : 1;
}

static size_t make_x25519(struct hbk_tls_share shares[static HBK_TLS_SHARE_STOCK])
{
    struct hbk_x25519_keygen pairs[HBK_LANES] = {0};
    struct hbk_x25519_keygen *lanes[HBK_LANES] = {0};
    size_t count = batch_size();
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        lanes[i] = &pairs[i];
    }
    hbk_x25519_keygen_lanes(hbk_cpu_path(), lanes);
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].status == HBK_LANE_OK) {
            shares[made].group = HBK_GROUP_X25519;
            memcpy(shares[made].private_key, pairs[i].private_key, HBK_X25519_BYTES);
            memcpy(shares[made++].public_key, pairs[i].public_key, HBK_X25519_BYTES);
        }
    }
    hbk_secret_wipe(pairs, sizeof pairs);
    return made;
}

static size_t make_p256(struct hbk_tls_share shares[static HBK_TLS_SHARE_STOCK])
{
    struct hbk_p256_keygen pairs[HBK_LANES] = {0};
    struct hbk_p256_keygen *lanes[HBK_LANES] = {0};
    size_t count = batch_size();
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        lanes[i] = &pairs[i];
    }
    hbk_p256_keygen_lanes(hbk_cpu_path(), lanes);
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].status == HBK_LANE_OK) {
            shares[made].group = HBK_GROUP_P256;
            memcpy(shares[made].private_key, pairs[i].private_key, HBK_P256_BYTES);
            memcpy(shares[made++].public_key, pairs[i].public_key, HBK_P256_POINT_BYTES);
        }
    }
    hbk_secret_wipe(pairs, sizeof pairs);
    return made;
}

static hbk_status take_from(struct hbk_tls_share *shares, size_t *count,
                            size_t (*make)(struct hbk_tls_share *shares),
                            struct hbk_tls_share *out_share)
{
    if (*count == 0) {
        *count = make(shares);
        if (*count == 0) {
            return HBK_IO;
        }
    }
    struct hbk_tls_share *share = &shares[--*count];
    *out_share = *share;
    hbk_secret_wipe(share, sizeof *share);
    return HBK_OK;
}

/* Rare, and libcrypto's alone: no stock. */
static hbk_status make_p384(struct hbk_tls_share *out_share)
{
    struct hbk_p384_keygen pair = {0};
    hbk_p384_keygen(&pair);
    if (pair.status == HBK_LANE_OK) {
        *out_share = (struct hbk_tls_share){.group = HBK_GROUP_P384};
        memcpy(out_share->private_key, pair.private_key, HBK_P384_BYTES);
        memcpy(out_share->public_key, pair.public_key, HBK_P384_POINT_BYTES);
    }
    hbk_secret_wipe(&pair, sizeof pair);
    return pair.status == HBK_LANE_OK ? HBK_OK : HBK_IO;
}

hbk_status hbk_tls_share_take(struct hbk_tls_share_stock *stock, enum hbk_tls_group group,
                              struct hbk_tls_share *out_share)
{
    switch (group) {
    case HBK_GROUP_X25519:
        return take_from(stock->x25519, &stock->x25519_count, make_x25519, out_share);
    case HBK_GROUP_P256:
        return take_from(stock->p256, &stock->p256_count, make_p256, out_share);
    case HBK_GROUP_P384:
        return make_p384(out_share);
    }
    HBK_UNREACHABLE();
}

/* ---- agreement ---- */

static void agreed(struct hbk_job *job)
{
    struct hbk_tls_agreement_job *agreement = HBK_CONTAINER(job, struct hbk_tls_agreement_job, job);
    agreement->complete(agreement);
}

hbk_status hbk_tls_agreement_begin(struct hbk_tls_agreement_job *agreement,
                                   struct hbk_batcher *batcher, const struct hbk_tls_share *share,
                                   const uint8_t *peer_key, uint64_t now_ns)
{
    struct hbk_job *job = &agreement->job;
    agreement->group = share->group;
    job->complete = agreed;
    switch ((enum hbk_tls_group)share->group) {
    case HBK_GROUP_X25519:
        job->kind = HBK_JOB_X25519_AGREE;
        job->operation.x25519_agree = (struct hbk_x25519_agree){
            .private_key = share->private_key,
            .peer_key = peer_key,
        };
        break;
    case HBK_GROUP_P256:
        job->kind = HBK_JOB_P256_AGREE;
        job->operation.p256_agree = (struct hbk_p256_agree){
            .private_key = share->private_key,
            .peer_key = peer_key,
        };
        break;
    case HBK_GROUP_P384:
        job->kind = HBK_JOB_P384_AGREE;
        job->operation.p384_agree = (struct hbk_p384_agree){
            .private_key = share->private_key,
            .peer_key = peer_key,
        };
        break;
    }
    return hbk_batcher_submit(batcher, job, now_ns);
}

static hbk_status status_of(enum hbk_lane_status status)
{
    switch (status) {
    case HBK_LANE_OK:
        return HBK_OK;
    case HBK_LANE_REFUSED:
        return HBK_INVALID;
    case HBK_LANE_FAILED:
        return HBK_IO;
    }
    HBK_UNREACHABLE();
}

hbk_status hbk_tls_agreement_secret(struct hbk_tls_agreement_job *agreement,
                                    struct hbk_slice *out_secret)
{
    const struct hbk_job *job = &agreement->job;
    enum hbk_lane_status status = HBK_LANE_FAILED;
    struct hbk_slice secret = {0};
    switch ((enum hbk_tls_group)agreement->group) {
    case HBK_GROUP_X25519:
        status = job->operation.x25519_agree.status;
        secret = hbk_slice_of(job->operation.x25519_agree.secret, HBK_X25519_BYTES);
        break;
    case HBK_GROUP_P256:
        status = job->operation.p256_agree.status;
        secret = hbk_slice_of(job->operation.p256_agree.secret, HBK_P256_BYTES);
        break;
    case HBK_GROUP_P384:
        status = job->operation.p384_agree.status;
        secret = hbk_slice_of(job->operation.p384_agree.secret, HBK_P384_BYTES);
        break;
    }
    HBK_TRY(status_of(status));
    *out_secret = secret;
    return HBK_OK;
}
