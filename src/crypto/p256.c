#include "crypto/p256.h"

#include "crypto/ecdsa_der.h"
#include "crypto/p256_twin.h"
#include "crypto/p256_vector.h"

void hbk_p256_keygen_lanes(enum hbk_path path, struct hbk_p256_keygen *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_keygen(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_keygen(lanes[i]);
    }
}

void hbk_p256_agree_lanes(enum hbk_path path, struct hbk_p256_agree *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_agree(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_agree(lanes[i]);
    }
}

void hbk_p256_sign_lanes(enum hbk_path path, struct hbk_p256_sign *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_sign(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_sign(lanes[i]);
    }
}

void hbk_p256_verify_lanes(enum hbk_path path, struct hbk_p256_verify *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        hbk_p256_vector_verify(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        hbk_p256_twin_verify(lanes[i]);
    }
}

size_t hbk_p256_signature_to_der(const uint8_t signature[HBK_P256_SIGNATURE_BYTES],
                                 uint8_t out_der[HBK_P256_DER_BYTES_MAX])
{
    return hbk_ecdsa_to_der(signature, HBK_P256_BYTES, out_der);
}

bool hbk_p256_signature_from_der(struct hbk_slice der,
                                 uint8_t out_signature[HBK_P256_SIGNATURE_BYTES])
{
    return hbk_ecdsa_from_der(der, HBK_P256_BYTES, out_signature);
}
