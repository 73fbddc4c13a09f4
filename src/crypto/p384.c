#include "crypto/p384.h"

#include "crypto/ec_twin.h"

void hbk_p384_keygen(struct hbk_p384_keygen *operation)
{
    operation->status =
        hbk_ec_twin_keygen(&hbk_ec_p384, operation->private_key, operation->public_key);
}

void hbk_p384_agree(struct hbk_p384_agree *operation)
{
    operation->status = hbk_ec_twin_agree(&hbk_ec_p384, operation->private_key, operation->peer_key,
                                          operation->secret);
}

void hbk_p384_sign(struct hbk_p384_sign *operation)
{
    operation->status = hbk_ec_twin_sign(&hbk_ec_p384, operation->private_key, operation->digest,
                                         operation->signature);
}

void hbk_p384_verify(struct hbk_p384_verify *operation)
{
    operation->status = hbk_ec_twin_verify(&hbk_ec_p384, operation->public_key, operation->digest,
                                           operation->signature);
}
