#include "crypto/signature.h"

#include "crypto/ecdsa_der.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/p384.h"

static enum hbk_lane_status verify_p384(const struct hbk_signature_verify *operation)
{
    struct hbk_p384_verify verify = {.public_key = operation->public_key.bytes};

    if (operation->public_key.size != HBK_P384_POINT_BYTES ||
        !hbk_ecdsa_from_der(operation->signature, HBK_P384_BYTES, verify.signature)) {
        return HBK_LANE_REFUSED;
    }
    hbk_hash_once(HBK_HASH_SHA384, operation->message, verify.digest);
    hbk_p384_verify(&verify);
    return verify.status;
}

static enum hbk_lane_status verify_ed25519(const struct hbk_signature_verify *operation)
{
    struct hbk_ed25519_verify verify = {.public_key = operation->public_key.bytes,
                                        .message = operation->message};

    if (operation->public_key.size != HBK_ED25519_BYTES ||
        operation->signature.size != sizeof(verify.signature)) {
        return HBK_LANE_REFUSED;
    }
    memcpy(verify.signature, operation->signature.bytes, sizeof(verify.signature));
    hbk_ed25519_verify(&verify);
    return verify.status;
}

void hbk_signature_verify(struct hbk_signature_verify *operation)
{
    operation->status = operation->scheme == HBK_SIGNATURE_ECDSA_P384_SHA384
                            ? verify_p384(operation)
                            : verify_ed25519(operation);
}
