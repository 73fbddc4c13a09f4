/*
 * libcrypto's EC_KEY interface is deprecated in 3.0, but building an EVP_PKEY from bytes for one
 * operation costs more than the operation.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/p256_twin.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdh.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include "crypto/p256_nonce.h"

static EC_KEY *new_key(void)
{
    return EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
}

/* NULL when out of memory; the scalar is already known to be in range. */
static EC_KEY *new_private_key(const uint8_t private_key[HBK_P256_BYTES])
{
    EC_KEY *key = new_key();
    BIGNUM *scalar = BN_bin2bn(private_key, HBK_P256_BYTES, NULL);
    bool is_done = key != NULL && scalar != NULL && EC_KEY_set_private_key(key, scalar) == 1;

    BN_clear_free(scalar);
    if (!is_done) {
        EC_KEY_free(key);
        return NULL;
    }
    return key;
}

/* One lane failed inside libcrypto; its message queue is not ours to fill. */
static enum hbk_lane_status drop_errors(enum hbk_lane_status status)
{
    ERR_clear_error();
    return status;
}

void hbk_p256_twin_keygen(struct hbk_p256_keygen *operation)
{
    EC_KEY *key = new_key();

    operation->status = HBK_LANE_FAILED;
    if (key != NULL && EC_KEY_generate_key(key) == 1 &&
        BN_bn2binpad(EC_KEY_get0_private_key(key), operation->private_key, HBK_P256_BYTES) ==
            HBK_P256_BYTES &&
        EC_POINT_point2oct(EC_KEY_get0_group(key), EC_KEY_get0_public_key(key),
                           POINT_CONVERSION_UNCOMPRESSED, operation->public_key,
                           HBK_P256_POINT_BYTES, NULL) == HBK_P256_POINT_BYTES) {
        operation->status = HBK_LANE_OK;
    } else {
        drop_errors(HBK_LANE_FAILED);
    }
    EC_KEY_free(key);
}

/* Reads an uncompressed point; refused when it is not one of the curve. */
static enum hbk_lane_status
read_point(const EC_GROUP *group, const uint8_t bytes[HBK_P256_POINT_BYTES], EC_POINT *out_point)
{
    if (out_point == NULL) {
        return HBK_LANE_FAILED;
    }
    if (bytes[0] != POINT_CONVERSION_UNCOMPRESSED ||
        EC_POINT_oct2point(group, out_point, bytes, HBK_P256_POINT_BYTES, NULL) != 1) {
        return drop_errors(HBK_LANE_REFUSED);
    }
    return HBK_LANE_OK;
}

void hbk_p256_twin_agree(struct hbk_p256_agree *operation)
{
    if (!hbk_p256_is_scalar(operation->private_key)) {
        operation->status = HBK_LANE_REFUSED;
        return;
    }
    operation->status = HBK_LANE_FAILED;
    EC_KEY *key = new_private_key(operation->private_key);
    if (key == NULL) {
        drop_errors(HBK_LANE_FAILED);
        return;
    }
    EC_POINT *peer = EC_POINT_new(EC_KEY_get0_group(key));
    operation->status = read_point(EC_KEY_get0_group(key), operation->peer_key, peer);
    if (operation->status == HBK_LANE_OK &&
        ECDH_compute_key(operation->secret, HBK_P256_BYTES, peer, key, NULL) != HBK_P256_BYTES) {
        operation->status = drop_errors(HBK_LANE_FAILED);
    }
    EC_POINT_free(peer);
    EC_KEY_free(key);
}

void hbk_p256_twin_sign(struct hbk_p256_sign *operation)
{
    if (!hbk_p256_is_scalar(operation->private_key)) {
        operation->status = HBK_LANE_REFUSED;
        return;
    }
    /* libcrypto mixes the key, the digest and fresh entropy into its nonce: hedged as ours is. */
    EC_KEY *key = new_private_key(operation->private_key);
    ECDSA_SIG *signature =
        key == NULL ? NULL : ECDSA_do_sign(operation->digest, HBK_P256_BYTES, key);

    if (signature != NULL &&
        BN_bn2binpad(ECDSA_SIG_get0_r(signature), operation->signature, HBK_P256_BYTES) > 0 &&
        BN_bn2binpad(ECDSA_SIG_get0_s(signature), operation->signature + HBK_P256_BYTES,
                     HBK_P256_BYTES) > 0) {
        operation->status = HBK_LANE_OK;
    } else {
        operation->status = drop_errors(HBK_LANE_FAILED);
    }
    ECDSA_SIG_free(signature);
    EC_KEY_free(key);
}

/* NULL when out of memory. */
static ECDSA_SIG *new_signature(const uint8_t bytes[HBK_P256_SIGNATURE_BYTES])
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, HBK_P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(bytes + HBK_P256_BYTES, HBK_P256_BYTES, NULL);

    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return NULL;
    }
    return signature;
}

void hbk_p256_twin_verify(struct hbk_p256_verify *operation)
{
    EC_KEY *key = new_key();
    EC_POINT *point = key == NULL ? NULL : EC_POINT_new(EC_KEY_get0_group(key));
    ECDSA_SIG *signature = new_signature(operation->signature);

    operation->status = HBK_LANE_FAILED;
    if (point != NULL && signature != NULL) {
        operation->status = read_point(EC_KEY_get0_group(key), operation->public_key, point);
    }
    if (operation->status == HBK_LANE_OK) {
        bool is_right = EC_KEY_set_public_key(key, point) == 1 &&
                        ECDSA_do_verify(operation->digest, HBK_P256_BYTES, signature, key) == 1;
        operation->status = is_right ? HBK_LANE_OK : drop_errors(HBK_LANE_REFUSED);
    }
    ECDSA_SIG_free(signature);
    EC_POINT_free(point);
    EC_KEY_free(key);
}
