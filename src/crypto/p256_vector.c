/*
 * Turns lanes of operations into rows of bytes for the P-256 kernels and back, and wipes the rows.
 * An empty lane is a row of zeros, which the kernels compute and refuse like any other.
 */
#include "crypto/p256_vector.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/secret.h"
#include "crypto/p256_nonce.h"
#include "crypto/p256_twin.h"
#include "crypto/vector/p256.h"

/* One number per lane. */
struct rows {
    uint8_t lane[HBK_LANES][HBK_P256_BYTES];
};

/* The kernel's bit for a lane as the lane's status. */
static enum hbk_lane_status status_of(uint8_t mask, int lane)
{
    return (mask >> lane & 1) == 1 ? HBK_LANE_OK : HBK_LANE_REFUSED;
}

static void point_to_rows(const uint8_t point[HBK_P256_POINT_BYTES], int lane, struct rows *x,
                          struct rows *y)
{
    /* A point in any other form becomes (0, 0), which is not on the curve. */
    if (point[0] == 4) {
        memcpy(x->lane[lane], point + 1, HBK_P256_BYTES);
        memcpy(y->lane[lane], point + 1 + HBK_P256_BYTES, HBK_P256_BYTES);
    }
}

void hbk_p256_vector_keygen(struct hbk_p256_keygen *const lanes[HBK_LANES])
{
    struct rows scalar, x, y;

    if (RAND_priv_bytes(scalar.lane[0], sizeof(scalar)) != 1) {
        HBK_LANE_EACH (i, lanes) {
            lanes[i]->status = HBK_LANE_FAILED;
        }
        hbk_secret_wipe(&scalar, sizeof(scalar));
        ERR_clear_error();
        return;
    }
    uint8_t done = hbk_vector_p256_base(scalar.lane, x.lane, y.lane);
    HBK_LANE_EACH (i, lanes) {
        if (status_of(done, i) != HBK_LANE_OK) {
            /* Once in 2^32: the random number was not below n. */
            hbk_p256_twin_keygen(lanes[i]);
            continue;
        }
        memcpy(lanes[i]->private_key, scalar.lane[i], HBK_P256_BYTES);
        lanes[i]->public_key[0] = 4;
        memcpy(lanes[i]->public_key + 1, x.lane[i], HBK_P256_BYTES);
        memcpy(lanes[i]->public_key + 1 + HBK_P256_BYTES, y.lane[i], HBK_P256_BYTES);
        lanes[i]->status = HBK_LANE_OK;
    }
    hbk_secret_wipe(&scalar, sizeof(scalar));
}

void hbk_p256_vector_agree(struct hbk_p256_agree *const lanes[HBK_LANES])
{
    struct rows scalar = {0}, x = {0}, y = {0}, secret;

    HBK_LANE_EACH (i, lanes) {
        memcpy(scalar.lane[i], lanes[i]->private_key, HBK_P256_BYTES);
        point_to_rows(lanes[i]->peer_key, i, &x, &y);
    }
    uint8_t done = hbk_vector_p256_agree(scalar.lane, x.lane, y.lane, secret.lane);
    HBK_LANE_EACH (i, lanes) {
        lanes[i]->status = status_of(done, i);
        if (lanes[i]->status == HBK_LANE_OK) {
            memcpy(lanes[i]->secret, secret.lane[i], HBK_P256_BYTES);
        }
    }
    hbk_secret_wipe(&scalar, sizeof(scalar));
    hbk_secret_wipe(&secret, sizeof(secret));
}

void hbk_p256_vector_sign(struct hbk_p256_sign *const lanes[HBK_LANES])
{
    uint8_t entropy[HBK_LANES][HBK_P256_NONCE_ENTROPY_BYTES];
    struct rows key = {0}, nonce = {0}, digest = {0}, r, s;

    /* The nonces stay good if this fails: they are only as deterministic as RFC 6979 makes them. */
    if (RAND_priv_bytes(entropy[0], sizeof(entropy)) != 1) {
        memset(entropy, 0, sizeof(entropy));
        ERR_clear_error();
    }
    HBK_LANE_EACH (i, lanes) {
        memcpy(key.lane[i], lanes[i]->private_key, HBK_P256_BYTES);
        memcpy(digest.lane[i], lanes[i]->digest, HBK_P256_BYTES);
        hbk_p256_nonce(key.lane[i], digest.lane[i], hbk_slice_of(entropy[i], sizeof(entropy[i])),
                       nonce.lane[i]);
    }
    uint8_t done = hbk_vector_p256_sign(key.lane, nonce.lane, digest.lane, r.lane, s.lane);
    HBK_LANE_EACH (i, lanes) {
        if (status_of(done, i) != HBK_LANE_OK) {
            /* A key out of range, or r or s is zero; the twin refuses the first and draws again for
             * the second. */
            hbk_p256_twin_sign(lanes[i]);
            continue;
        }
        memcpy(lanes[i]->signature, r.lane[i], HBK_P256_BYTES);
        memcpy(lanes[i]->signature + HBK_P256_BYTES, s.lane[i], HBK_P256_BYTES);
        lanes[i]->status = HBK_LANE_OK;
    }
    hbk_secret_wipe(entropy, sizeof(entropy));
    hbk_secret_wipe(&key, sizeof(key));
    hbk_secret_wipe(&nonce, sizeof(nonce));
}

void hbk_p256_vector_verify(struct hbk_p256_verify *const lanes[HBK_LANES])
{
    struct rows x = {0}, y = {0}, digest = {0}, r = {0}, s = {0};

    HBK_LANE_EACH (i, lanes) {
        point_to_rows(lanes[i]->public_key, i, &x, &y);
        memcpy(digest.lane[i], lanes[i]->digest, HBK_P256_BYTES);
        memcpy(r.lane[i], lanes[i]->signature, HBK_P256_BYTES);
        memcpy(s.lane[i], lanes[i]->signature + HBK_P256_BYTES, HBK_P256_BYTES);
    }
    uint8_t done = hbk_vector_p256_verify(x.lane, y.lane, digest.lane, r.lane, s.lane);
    HBK_LANE_EACH (i, lanes) {
        lanes[i]->status = status_of(done, i);
    }
}
