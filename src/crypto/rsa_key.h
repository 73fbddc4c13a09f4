/* What an RSA key consists of, for the files of this room. */
#pragma once

#include <openssl/evp.h>

#include "crypto/rsa.h"
#include "crypto/vector/rsa.h"

struct hbk_rsa_key {
    EVP_PKEY *pkey; /* shared with libcrypto's owner, for the twin */
    unsigned bits;
    bool is_private;
    bool is_vector;
    uint8_t modulus[HBK_RSA_BYTES_MAX]; /* big endian, hbk_rsa_key_bytes of it */
    struct hbk_vector_rsa_key lanes;    /* zero unless is_vector */
};
