/*
 * A private key as a configuration gives it: a key in PEM, or a provider with a key of its own and
 * perhaps a fallback (Envoy's TlsCertificate.private_key and .private_key_provider).
 */
#pragma once

#include "base/slice.h"
#include "crypto/private_key.h"

/* Longer than the PEM of any key that is taken. */
enum {
    HBK_KEY_PEM_BYTES_MAX = 16 << 10,
    HBK_KEY_PASSWORD_BYTES_MAX = 1024, /* libcrypto's own limit */
};

struct hbk_key_source {
    struct hbk_slice key_pem; /* the ordinary key; empty: none */

    const char *provider_name;         /* as written; NULL: none is configured */
    struct hbk_key_provider *provider; /* NULL: there is none of that name, or it did not start */
    struct hbk_slice provider_key_pem; /* the provider's own key; empty: none */
    bool has_fallback;                 /* do without the provider when it is not available */
    const char *provider_failure;      /* why `provider` is NULL, for the error; may be NULL */
    struct hbk_slice password;         /* of either key, if it is encrypted; empty: none */
};

/*
 * Reads one private key, encrypted or not. Fails: HBK_LIMIT, HBK_INVALID ("Failed to read private
 * key."), and as hbk_private_key_new. Control thread.
 */
HBK_MUST_USE hbk_status hbk_private_key_from_pem(struct hbk_slice pem, struct hbk_slice password,
                                                 struct hbk_key_provider *provider,
                                                 struct hbk_private_key **out_key,
                                                 struct hbk_error *error);

/*
 * The key with its provider. A provider stands before the ordinary key. If it is not available and
 * there is a fallback, the ordinary key is used with the worker's batcher, or the provider's key if
 * that is the only one; a key that is a mistake fails even so. `out_missing` says afterwards why
 * the provider does not serve the key that came back: its status is HBK_OK if it does, or none is
 * named.
 *
 * Fails: as hbk_private_key_from_pem; HBK_NOT_FOUND: no key; HBK_UNSUPPORTED: "Failed to load
 * private key provider: NAME" and why. Control thread.
 */
HBK_MUST_USE hbk_status hbk_private_key_from_source(const struct hbk_key_source *source,
                                                    struct hbk_private_key **out_key,
                                                    struct hbk_error *out_missing,
                                                    struct hbk_error *error);
