#include "crypto/x25519.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/vector/x25519.h"

/* One key or secret per lane. */
struct rows {
    uint8_t lane[HBK_LANES][HBK_X25519_BYTES];
};

static void vector_keygen(struct hbk_x25519_keygen *const lanes[HBK_LANES])
{
    struct rows scalar, public;

    if (RAND_priv_bytes(scalar.lane[0], sizeof(scalar)) != 1) {
        HBK_LANE_EACH (i, lanes) {
            lanes[i]->status = HBK_LANE_FAILED;
        }
        hbk_secret_wipe(&scalar, sizeof(scalar));
        ERR_clear_error();
        return;
    }
    hbk_vector_x25519_base(scalar.lane, public.lane);
    HBK_LANE_EACH (i, lanes) {
        memcpy(lanes[i]->private_key, scalar.lane[i], HBK_X25519_BYTES);
        memcpy(lanes[i]->public_key, public.lane[i], HBK_X25519_BYTES);
        lanes[i]->status = HBK_LANE_OK;
    }
    hbk_secret_wipe(&scalar, sizeof(scalar));
}

static void vector_agree(struct hbk_x25519_agree *const lanes[HBK_LANES])
{
    struct rows scalar = {0}, peer = {0}, secret;

    HBK_LANE_EACH (i, lanes) {
        memcpy(scalar.lane[i], lanes[i]->private_key, HBK_X25519_BYTES);
        memcpy(peer.lane[i], lanes[i]->peer_key, HBK_X25519_BYTES);
    }
    uint8_t done = hbk_vector_x25519_agree(scalar.lane, peer.lane, secret.lane);
    HBK_LANE_EACH (i, lanes) {
        lanes[i]->status = (done >> i & 1) == 1 ? HBK_LANE_OK : HBK_LANE_REFUSED;
        if (lanes[i]->status == HBK_LANE_OK) {
            memcpy(lanes[i]->secret, secret.lane[i], HBK_X25519_BYTES);
        }
    }
    hbk_secret_wipe(&scalar, sizeof(scalar));
    hbk_secret_wipe(&secret, sizeof(secret));
}

static void twin_keygen(struct hbk_x25519_keygen *operation)
{
    size_t private_bytes = HBK_X25519_BYTES;
    size_t public_bytes = HBK_X25519_BYTES;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

    bool is_done = key != NULL &&
                   EVP_PKEY_get_raw_private_key(key, operation->private_key, &private_bytes) == 1 &&
                   EVP_PKEY_get_raw_public_key(key, operation->public_key, &public_bytes) == 1;
    operation->status = is_done ? HBK_LANE_OK : HBK_LANE_FAILED;
    EVP_PKEY_free(key);
    ERR_clear_error();
    hbk_secret_wipe_stack();
}

/*
 * A key for derivations alone. A raw private key makes libcrypto compute the public one, at the
 * price of the whole agreement; one that is told a public key believes it, and a derivation never
 * looks at it. NULL when out of memory.
 */
static EVP_PKEY *new_private_key(const uint8_t private_key[HBK_X25519_BYTES])
{
    static const uint8_t any_public_key[HBK_X25519_BYTES] = {9};
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)any_public_key, sizeof(any_public_key)),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)private_key,
                                          HBK_X25519_BYTES),
        OSSL_PARAM_construct_end(),
    };
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    return key;
}

/* libcrypto itself refuses to derive the all-zero secret; its check of the peer's key, which every
 * 32 bytes pass (RFC 7748, 5), costs as much as half the derivation. */
static enum hbk_lane_status derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t out[HBK_X25519_BYTES])
{
    uint8_t secret[HBK_X25519_BYTES];
    size_t secret_bytes = sizeof(secret);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    enum hbk_lane_status status = HBK_LANE_FAILED;

    if (context != NULL && EVP_PKEY_derive_init(context) == 1 &&
        EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1) {
        status =
            EVP_PKEY_derive(context, secret, &secret_bytes) == 1 ? HBK_LANE_OK : HBK_LANE_REFUSED;
    }
    if (status == HBK_LANE_OK) {
        memcpy(out, secret, sizeof(secret));
    }
    hbk_secret_wipe(secret, sizeof(secret));
    EVP_PKEY_CTX_free(context);
    return status;
}

static void twin_agree(struct hbk_x25519_agree *operation)
{
    EVP_PKEY *key = new_private_key(operation->private_key);
    EVP_PKEY *peer =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, operation->peer_key, HBK_X25519_BYTES);

    operation->status = HBK_LANE_FAILED;
    if (key != NULL && peer != NULL) {
        operation->status = derive(key, peer, operation->secret);
    }
    EVP_PKEY_free(peer);
    EVP_PKEY_free(key);
    ERR_clear_error();
    hbk_secret_wipe_stack();
}

void hbk_x25519_keygen_lanes(enum hbk_path path, struct hbk_x25519_keygen *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        vector_keygen(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        twin_keygen(lanes[i]);
    }
}

void hbk_x25519_agree_lanes(enum hbk_path path, struct hbk_x25519_agree *const lanes[HBK_LANES])
{
    if (HBK_PATH_IS_VECTOR(path)) {
        vector_agree(lanes);
        return;
    }
    HBK_LANE_EACH (i, lanes) {
        twin_agree(lanes[i]);
    }
}
