/* What a private key consists of, for the files of this room. */
#pragma once

#include <stdatomic.h>

#include "crypto/ed25519.h"
#include "crypto/p256.h"
#include "crypto/p384.h"
#include "crypto/private_key.h"
#include "crypto/rsa.h"

struct hbk_private_key {
    EVP_PKEY *pkey; /* a reference */
    struct hbk_key_provider *provider;
    enum hbk_key_kind kind;
    unsigned bits;
    struct hbk_rsa_key *rsa;        /* owned; NULL unless RSA */
    uint8_t scalar[HBK_P384_BYTES]; /* of EC keys: as long as the order */
    void *device_key;               /* the form of the provider's device; NULL without one */
    _Atomic uint32_t references;    /* release on giving back, acquire before the free */
};
