/* Private keys as a configuration may bring them: whatever libcrypto reads is either refused or
 * signs, and no wrong RSA signature leaves. */
#include "fuzz_target.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "crypto/key_source.h"
#include "crypto/key_worker.h"

enum { FLUSHES_MAX = 100 };

static const char message[] = "a message";

static void on_complete(struct hbk_key_operation *operation)
{
    (void)operation;
}

static bool is_right(const struct hbk_private_key *key, const struct hbk_key_operation *operation)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_right =
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, hbk_private_key_pkey(key)) == 1 &&
        EVP_DigestVerify(context, operation->output.bytes, operation->output_bytes,
                         (const uint8_t *)message, sizeof message - 1) == 1;
    EVP_MD_CTX_free(context);
    return is_right;
}

static void sign(struct hbk_key_worker *worker, struct hbk_private_key *key)
{
    enum hbk_sign_scheme schemes[HBK_KEY_SCHEMES_MAX];
    uint8_t output[HBK_KEY_OUTPUT_BYTES_MAX];
    const bool is_rsa = hbk_private_key_kind(key) == HBK_KEY_RSA;
    if (hbk_private_key_schemes(key, schemes) == 0) {
        abort(); /* a key that signs nothing */
    }
    struct hbk_key_operation operation = {
        .key = key,
        .scheme = is_rsa ? HBK_SIGN_RSA_PKCS1_SHA256 : schemes[0],
        .input = HBK_SLICE(message),
        .output = hbk_span_of(output, hbk_private_key_output_bytes(key)),
        .complete = on_complete,
    };
    if (hbk_key_submit(worker, &operation, 0) != HBK_OK) {
        return;
    }
    int flushes = 0;
    while (hbk_key_worker_flush(worker, HBK_POLL_DELAY_NS_MIN)) {
        if (++flushes == FLUSHES_MAX) {
            abort(); /* it does not end */
        }
    }
    if (is_rsa && operation.status == HBK_OK && !is_right(key, &operation)) {
        abort(); /* a wrong signature got out */
    }
}

/* cryptomb takes the vector path even for one operation; the other one goes to libcrypto. */
static void try_with(struct hbk_slice pem, struct hbk_key_worker *worker,
                     enum hbk_key_provider_kind kind)
{
    const struct hbk_key_provider_options options = {.kind = kind,
                                                     .poll_delay_ns = HBK_POLL_DELAY_NS_MIN};
    struct hbk_key_provider *provider = NULL;
    struct hbk_private_key *key = NULL;
    struct hbk_error error = {0};
    if (hbk_key_provider_new(&options, &provider, NULL) != HBK_OK) {
        return;
    }
    if (hbk_private_key_from_pem(pem, hbk_slice_of(NULL, 0), provider, &key, &error) == HBK_OK) {
        sign(worker, key);
    } else if (error.text[0] == '\0') {
        abort(); /* a refusal without a reason */
    }
    hbk_private_key_unref(key);
    hbk_key_provider_unref(provider);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hbk_batcher *batcher;
    static struct hbk_key_worker *worker;
    struct hbk_batcher_options options;
    hbk_batcher_options_init(&options);
    if (worker == NULL && (hbk_batcher_new(&options, &batcher) != HBK_OK ||
                           hbk_key_worker_new(batcher, &worker) != HBK_OK)) {
        return 0;
    }
    try_with(hbk_slice_of(data, size), worker, HBK_KEY_PROVIDER_BATCHER);
    try_with(hbk_slice_of(data, size), worker, HBK_KEY_PROVIDER_CRYPTOMB);
    return 0;
}
