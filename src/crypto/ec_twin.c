/*
 * libcrypto's EC_KEY interface is deprecated in 3.0, but building an EVP_PKEY from bytes for one
 * operation costs more than the operation.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/ec_twin.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdh.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <stdatomic.h>

#include "base/secret.h"

const struct hbk_ec_curve hbk_ec_p256 = {NID_X9_62_prime256v1, &hbk_p256_order};
const struct hbk_ec_curve hbk_ec_p384 = {NID_secp384r1, &hbk_p384_order};

static size_t point_bytes(const struct hbk_ec_curve *curve)
{
    return 1 + 2 * curve->order->bytes;
}

/* Made once each, live as long as the process: building a group costs as much as half a signature.
 * Release when one is put in place, acquire when it is used. */
static _Atomic(EC_GROUP *) p256_group, p384_group;

/* NULL when out of memory. */
static const EC_GROUP *group_of(const struct hbk_ec_curve *curve)
{
    _Atomic(EC_GROUP *) *place = curve == &hbk_ec_p256 ? &p256_group : &p384_group;
    EC_GROUP *group = atomic_load_explicit(place, memory_order_acquire);
    if (group == NULL) {
        EC_GROUP *made = EC_GROUP_new_by_curve_name(curve->nid);
        if (made == NULL || atomic_compare_exchange_strong_explicit(
                                place, &group, made, memory_order_acq_rel, memory_order_acquire)) {
            return made;
        }
        EC_GROUP_free(made); /* another thread was faster */
    }
    return group;
}

static EC_KEY *new_key(const struct hbk_ec_curve *curve)
{
    const EC_GROUP *group = group_of(curve);
    EC_KEY *key = group == NULL ? NULL : EC_KEY_new();
    if (key == NULL || EC_KEY_set_group(key, group) != 1) {
        EC_KEY_free(key);
        return NULL;
    }
    return key;
}

/* NULL when out of memory; the scalar is already known to be in range. */
static EC_KEY *new_private_key(const struct hbk_ec_curve *curve, const uint8_t *private_key)
{
    EC_KEY *key = new_key(curve);
    BIGNUM *scalar = BN_bin2bn(private_key, (int)curve->order->bytes, NULL);
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

static bool write_number(const BIGNUM *number, size_t bytes, uint8_t *out)
{
    return BN_bn2binpad(number, out, (int)bytes) == (int)bytes;
}

enum hbk_lane_status hbk_ec_twin_keygen(const struct hbk_ec_curve *curve, uint8_t *out_private_key,
                                        uint8_t *out_public_key)
{
    const size_t size = point_bytes(curve);
    EC_KEY *key = new_key(curve);
    bool is_done =
        key != NULL && EC_KEY_generate_key(key) == 1 &&
        EC_POINT_point2oct(EC_KEY_get0_group(key), EC_KEY_get0_public_key(key),
                           POINT_CONVERSION_UNCOMPRESSED, out_public_key, size, NULL) == size &&
        write_number(EC_KEY_get0_private_key(key), curve->order->bytes, out_private_key);

    EC_KEY_free(key);
    hbk_secret_wipe_stack();
    return is_done ? HBK_LANE_OK : drop_errors(HBK_LANE_FAILED);
}

/* Reads an uncompressed point; refused when it is not one of the curve. */
static enum hbk_lane_status read_point(const struct hbk_ec_curve *curve, const EC_GROUP *group,
                                       const uint8_t *bytes, EC_POINT *out_point)
{
    if (out_point == NULL) {
        return HBK_LANE_FAILED;
    }
    if (bytes[0] != POINT_CONVERSION_UNCOMPRESSED ||
        EC_POINT_oct2point(group, out_point, bytes, point_bytes(curve), NULL) != 1) {
        return drop_errors(HBK_LANE_REFUSED);
    }
    return HBK_LANE_OK;
}

enum hbk_lane_status hbk_ec_twin_agree(const struct hbk_ec_curve *curve, const uint8_t *private_key,
                                       const uint8_t *peer_key, uint8_t *out_secret)
{
    const size_t bytes = curve->order->bytes;

    if (!hbk_ec_order_admits(curve->order, private_key)) {
        return HBK_LANE_REFUSED;
    }
    EC_KEY *key = new_private_key(curve, private_key);
    if (key == NULL) {
        return drop_errors(HBK_LANE_FAILED);
    }
    EC_POINT *peer = EC_POINT_new(EC_KEY_get0_group(key));
    enum hbk_lane_status status = read_point(curve, EC_KEY_get0_group(key), peer_key, peer);
    if (status == HBK_LANE_OK &&
        ECDH_compute_key(out_secret, bytes, peer, key, NULL) != (int)bytes) {
        status = drop_errors(HBK_LANE_FAILED);
    }
    EC_POINT_free(peer);
    EC_KEY_free(key);
    hbk_secret_wipe_stack();
    return status;
}

enum hbk_lane_status hbk_ec_twin_sign(const struct hbk_ec_curve *curve, const uint8_t *private_key,
                                      const uint8_t *digest, uint8_t *out_signature)
{
    const size_t bytes = curve->order->bytes;

    if (!hbk_ec_order_admits(curve->order, private_key)) {
        return HBK_LANE_REFUSED;
    }
    /* libcrypto mixes the key, the digest and fresh entropy into its nonce: hedged as ours is. */
    EC_KEY *key = new_private_key(curve, private_key);
    ECDSA_SIG *signature = key == NULL ? NULL : ECDSA_do_sign(digest, (int)bytes, key);
    bool is_done = signature != NULL &&
                   write_number(ECDSA_SIG_get0_r(signature), bytes, out_signature) &&
                   write_number(ECDSA_SIG_get0_s(signature), bytes, out_signature + bytes);

    ECDSA_SIG_free(signature);
    EC_KEY_free(key);
    hbk_secret_wipe_stack();
    return is_done ? HBK_LANE_OK : drop_errors(HBK_LANE_FAILED);
}

/* NULL when out of memory. */
static ECDSA_SIG *new_signature(const uint8_t *bytes, size_t number_bytes)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, (int)number_bytes, NULL);
    BIGNUM *s = BN_bin2bn(bytes + number_bytes, (int)number_bytes, NULL);

    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(signature);
        return NULL;
    }
    return signature;
}

enum hbk_lane_status hbk_ec_twin_verify(const struct hbk_ec_curve *curve, const uint8_t *public_key,
                                        const uint8_t *digest, const uint8_t *signature_bytes)
{
    const size_t bytes = curve->order->bytes;
    EC_KEY *key = new_key(curve);
    EC_POINT *point = key == NULL ? NULL : EC_POINT_new(EC_KEY_get0_group(key));
    ECDSA_SIG *signature = new_signature(signature_bytes, bytes);
    enum hbk_lane_status status = HBK_LANE_FAILED;

    if (point != NULL && signature != NULL) {
        status = read_point(curve, EC_KEY_get0_group(key), public_key, point);
    }
    if (status == HBK_LANE_OK) {
        bool is_right = EC_KEY_set_public_key(key, point) == 1 &&
                        ECDSA_do_verify(digest, (int)bytes, signature, key) == 1;
        status = is_right ? HBK_LANE_OK : drop_errors(HBK_LANE_REFUSED);
    }
    ECDSA_SIG_free(signature);
    EC_POINT_free(point);
    EC_KEY_free(key);
    return status;
}
