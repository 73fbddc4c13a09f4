#include "crypto/p256_twin.h"

#include "crypto/ec_twin.h"

void hbk_p256_twin_keygen(struct hbk_p256_keygen *operation)
{
    operation->status =
        hbk_ec_twin_keygen(&hbk_ec_p256, operation->private_key, operation->public_key);
}

void hbk_p256_twin_agree(struct hbk_p256_agree *operation)
{
    operation->status = hbk_ec_twin_agree(&hbk_ec_p256, operation->private_key, operation->peer_key,
                                          operation->secret);
}

void hbk_p256_twin_sign(struct hbk_p256_sign *operation)
{
    operation->status = hbk_ec_twin_sign(&hbk_ec_p256, operation->private_key, operation->digest,
                                         operation->signature);
}

void hbk_p256_twin_verify(struct hbk_p256_verify *operation)
{
    operation->status = hbk_ec_twin_verify(&hbk_ec_p256, operation->public_key, operation->digest,
                                           operation->signature);
}
