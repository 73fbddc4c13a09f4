/*
 * Waiting inside libssl.
 *
 *     step --> SSL_do_handshake on a fibre --> ... libssl ... --> our RSA or EC method
 *                                                                  | submit, pause
 *     <-- "it waits" ----------------------------------------------'
 *     ... the worker flushes: a batch, on the worker's own stack ...
 *     step --> the fibre goes on behind the pause, with the result in `output`
 *
 * 1. A paused fibre is resumed only when its operation has ended or was cancelled.
 * 2. At most paused_max fibres of a worker are paused. A step that would begin another waits in
 *    line, since each step may come to a signature; the pool therefore never runs dry.
 * 3. libssl does not free the fibre of a handshake that dies. So the operation is cancelled, the
 *    fibre resumed for the last time, our method answers with a failure, and libssl returns.
 *
 * libssl learns of the key by a method of the older kind (RSA_METHOD, EC_KEY_METHOD), which 3.0
 * calls deprecated and serves by its path for foreign keys. The other way is a provider, with key
 * management and signatures of its own beside the default one's: ten times the code for the same
 * effect.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "tls/openssl_fibre.h"

#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/hash.h"

/* The handshake whose step is under way on this thread. */
static _Thread_local struct hbk_openssl_fibre *current;

/* ---- fibres ---- */

void hbk_openssl_fibres_init(struct hbk_openssl_fibres *fibres, struct hbk_key_worker *keys,
                             unsigned paused_max)
{
    HBK_ASSERT(paused_max >= 1 && paused_max <= HBK_OPENSSL_PAUSED_MAX);
    *fibres = (struct hbk_openssl_fibres){.keys = keys, .paused_max = paused_max};
    hbk_list_init(&fibres->line);
}

void hbk_openssl_fibres_fini(struct hbk_openssl_fibres *fibres)
{
    /* The pool is the thread's and goes with it: another worker may live there. */
    HBK_ASSERT(fibres->paused == 0 && hbk_list_is_empty(&fibres->line));
}

void hbk_openssl_fibre_init(struct hbk_openssl_fibre *fibre, struct hbk_openssl_fibres *fibres,
                            void (*on_progress)(void *owner), void *owner)
{
    fibre->fibres = fibres;
    fibre->on_progress = on_progress;
    fibre->owner = owner;
    hbk_link_init(&fibre->link);
}

static void tell(struct hbk_openssl_fibre *fibre)
{
    if (fibre->on_progress != NULL) {
        fibre->on_progress(fibre->owner);
    }
}

static void leave_line(struct hbk_openssl_fibre *fibre)
{
    hbk_link_remove(&fibre->link);
    fibre->is_in_line = false;
}

/* A fibre is free: the first in line may try. It leaves the line when it steps. */
static void call_next(struct hbk_openssl_fibres *fibres)
{
    if (!hbk_list_is_empty(&fibres->line)) {
        tell(HBK_CONTAINER(fibres->line.head.next, struct hbk_openssl_fibre, link));
    }
}

static bool must_wait_in_line(const struct hbk_openssl_fibre *fibre)
{
    const struct hbk_openssl_fibres *fibres = fibre->fibres;
    const bool is_first = fibres->line.head.next == &fibre->link;

    return fibres->paused >= fibres->paused_max || (!hbk_list_is_empty(&fibres->line) && !is_first);
}

bool hbk_openssl_fibre_step(struct hbk_openssl_fibre *fibre, SSL *ssl, uint64_t now_ns,
                            int *out_returned)
{
    struct hbk_openssl_fibres *fibres = fibre->fibres;

    if (fibre->is_paused && !fibre->has_ended) {
        return true;
    }
    if (!fibre->is_paused && must_wait_in_line(fibre)) {
        if (!fibre->is_in_line) {
            hbk_list_append(&fibres->line, &fibre->link);
            fibre->is_in_line = true;
            fibres->counters.in_line++;
        }
        return true;
    }
    if (fibre->is_in_line) {
        leave_line(fibre);
    }
    fibre->now_ns = now_ns;
    current = fibre;
    SSL_set_mode(ssl, SSL_MODE_ASYNC);
    *out_returned = SSL_do_handshake(ssl);
    current = NULL;
    if (!fibre->is_paused) {
        SSL_clear_mode(ssl, SSL_MODE_ASYNC); /* the handshake alone runs on fibres */
    }
    if (fibres->paused < fibres->paused_max) {
        call_next(fibres);
    }
    return fibre->is_paused;
}

void hbk_openssl_fibre_fini(struct hbk_openssl_fibre *fibre, SSL *ssl)
{
    if (fibre->fibres == NULL) {
        return;
    }
    if (fibre->is_in_line) {
        leave_line(fibre);
        call_next(fibre->fibres);
    }
    if (fibre->is_paused) {
        int returned;
        hbk_key_cancel(fibre->fibres->keys, &fibre->operation);
        fibre->is_cancelled = true;
        fibre->has_ended = true;
        const bool is_waiting = hbk_openssl_fibre_step(fibre, ssl, fibre->now_ns, &returned);
        HBK_ASSERT(!is_waiting);
        ERR_clear_error();
    }
    hbk_secret_wipe(fibre->output, sizeof(fibre->output));
}

/* From the worker's flush. */
static void on_complete(struct hbk_key_operation *operation)
{
    struct hbk_openssl_fibre *fibre = HBK_CONTAINER(operation, struct hbk_openssl_fibre, operation);

    fibre->has_ended = true;
    tell(fibre);
}

/* On the fibre: submits, pauses and comes back; false when it could not even begin. */
static bool wait_for(struct hbk_openssl_fibre *fibre)
{
    struct hbk_openssl_fibres *fibres = fibre->fibres;

    fibre->has_ended = false;
    fibre->operation.complete = on_complete;
    if (hbk_key_submit(fibres->keys, &fibre->operation, fibre->now_ns) != HBK_OK) {
        return false;
    }
    fibre->is_paused = true;
    fibres->paused++;
    fibres->counters.paused++;
    (void)ASYNC_pause_job();
    fibre->is_paused = false;
    fibres->paused--;
    if (!fibre->has_ended) { /* libssl forbids pauses just now */
        hbk_key_cancel(fibres->keys, &fibre->operation);
        return false;
    }
    return true;
}

/* ---- what libssl's methods ask for ---- */

struct request {
    struct hbk_private_key *key;
    enum hbk_key_action action;
    enum hbk_sign_scheme scheme;
    struct hbk_slice input;
};

/* By libcrypto, within the call; the size, 0 on failure. */
static size_t compute_at_once(const struct request *request, struct hbk_span output)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(hbk_private_key_pkey(request->key), NULL);
    const struct hbk_slice input = request->input;
    size_t size = output.size;
    bool is_done = false;

    if (context != NULL && request->action == HBK_KEY_DECRYPT) {
        is_done = EVP_PKEY_decrypt_init(context) == 1 &&
                  EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
                  EVP_PKEY_decrypt(context, output.bytes, &size, input.bytes, input.size) == 1;
    } else if (context != NULL) {
        is_done = EVP_PKEY_sign_init(context) == 1 &&
                  EVP_PKEY_sign(context, output.bytes, &size, input.bytes, input.size) == 1;
    }
    EVP_PKEY_CTX_free(context);
    return is_done ? size : 0;
}

/* On a fibre by the key's provider, elsewhere at once; the size, 0 on failure. */
static size_t compute(const struct request *request, struct hbk_span output)
{
    struct hbk_openssl_fibre *fibre = ASYNC_get_current_job() == NULL ? NULL : current;

    HBK_ASSERT(output.size >= hbk_private_key_output_bytes(request->key));
    if (fibre == NULL) {
        return compute_at_once(request, output);
    }
    fibre->operation.key = request->key;
    fibre->operation.action = request->action;
    fibre->operation.scheme = request->scheme;
    fibre->operation.input = request->input;
    fibre->operation.output = hbk_span_of(fibre->output, sizeof(fibre->output));
    if (!wait_for(fibre)) {
        fibre->fibres->counters.at_once++;
        return compute_at_once(request, output);
    }
    if (fibre->is_cancelled || fibre->operation.status != HBK_OK) {
        return 0;
    }
    memcpy(output.bytes, fibre->output, fibre->operation.output_bytes);
    return fibre->operation.output_bytes;
}

/* ---- the methods ---- */

static RSA_METHOD *rsa_method; /* made once; live as long as the process */
static EC_KEY_METHOD *ec_method;
static int rsa_index = -1, ec_index = -1; /* of the key in libcrypto's objects */
static pthread_once_t methods_once = PTHREAD_ONCE_INIT;

static void free_key(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long number,
                     void *pointer)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)pointer;
    hbk_private_key_unref(key);
}

/* The raw private operation, after the padding that libcrypto left to us. */
static int sign_rsa(int size, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    struct hbk_private_key *key = RSA_get_ex_data(rsa, rsa_index);
    const int modulus_bytes = RSA_size(rsa);
    uint8_t block[HBK_KEY_OUTPUT_BYTES_MAX];

    if (padding == RSA_NO_PADDING && size == modulus_bytes) {
        memcpy(block, from, (size_t)size);
    } else if (padding != RSA_PKCS1_PADDING ||
               RSA_padding_add_PKCS1_type_1(block, modulus_bytes, from, size) != 1) {
        return -1;
    }
    const struct request request = {
        .key = key,
        .action = HBK_KEY_DECRYPT,
        .input = hbk_slice_of(block, (size_t)modulus_bytes),
    };
    return compute(&request, hbk_span_of(to, (size_t)modulus_bytes)) == 0 ? -1 : modulus_bytes;
}

/* FIPS 186-4, 6.4: of a longer hash the first bytes count; a shorter one is a smaller number. */
static int sign_ec(int type, const unsigned char *digest, int digest_bytes, unsigned char *out,
                   unsigned int *out_bytes, const BIGNUM *inverse, const BIGNUM *r, EC_KEY *ec)
{
    struct hbk_private_key *key = EC_KEY_get_ex_data(ec, ec_index);
    const bool is_p256 = hbk_private_key_kind(key) == HBK_KEY_EC_P256;
    const size_t size = is_p256 ? HBK_SHA256_BYTES : HBK_SHA384_BYTES;
    const size_t given = (size_t)digest_bytes;
    uint8_t number[HBK_SHA384_BYTES] = {0};
    uint8_t signature[HBK_KEY_OUTPUT_BYTES_MAX];
    (void)type;
    (void)inverse;
    (void)r;

    memcpy(number + (given < size ? size - given : 0), digest, given < size ? given : size);
    const struct request request = {
        .key = key,
        .action = HBK_KEY_SIGN_DIGEST,
        .scheme = is_p256 ? HBK_SIGN_ECDSA_P256_SHA256 : HBK_SIGN_ECDSA_P384_SHA384,
        .input = hbk_slice_of(number, size),
    };
    const size_t written = compute(&request, hbk_span_of(signature, sizeof(signature)));
    if (written == 0) {
        return 0;
    }
    memcpy(out, signature, written); /* libcrypto has room for the longest of the curve */
    *out_bytes = (unsigned)written;
    return 1;
}

static void make_methods(void)
{
    RSA_METHOD *rsa = RSA_meth_dup(RSA_PKCS1_OpenSSL());
    EC_KEY_METHOD *ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());

    rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, free_key);
    ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, free_key);
    if (rsa == NULL || ec == NULL || rsa_index < 0 || ec_index < 0 ||
        RSA_meth_set1_name(rsa, "hauberk") != 1 || RSA_meth_set_priv_enc(rsa, sign_rsa) != 1) {
        RSA_meth_free(rsa);
        EC_KEY_METHOD_free(ec);
        return;
    }
    EC_KEY_METHOD_set_sign(ec, sign_ec, NULL, NULL);
    rsa_method = rsa;
    ec_method = ec;
}

/* The public half of an RSA key with our method. */
static EVP_PKEY *wrap_rsa(struct hbk_private_key *key)
{
    const RSA *own = EVP_PKEY_get0_RSA(hbk_private_key_pkey(key));
    RSA *rsa = own == NULL ? NULL : RSAPublicKey_dup(own);
    EVP_PKEY *pkey = EVP_PKEY_new();

    if (rsa != NULL && pkey != NULL && RSA_set_method(rsa, rsa_method) == 1 &&
        RSA_set_ex_data(rsa, rsa_index, key) == 1) {
        hbk_private_key_ref(key);
        if (EVP_PKEY_assign_RSA(pkey, rsa) == 1) {
            return pkey;
        }
    }
    RSA_free(rsa);
    EVP_PKEY_free(pkey);
    return NULL;
}

static EVP_PKEY *wrap_ec(struct hbk_private_key *key)
{
    const EC_KEY *own = EVP_PKEY_get0_EC_KEY(hbk_private_key_pkey(key));
    EC_KEY *ec = EC_KEY_new();
    EVP_PKEY *pkey = EVP_PKEY_new();

    if (own != NULL && ec != NULL && pkey != NULL &&
        EC_KEY_set_group(ec, EC_KEY_get0_group(own)) == 1 &&
        EC_KEY_set_public_key(ec, EC_KEY_get0_public_key(own)) == 1 &&
        EC_KEY_set_method(ec, ec_method) == 1 && EC_KEY_set_ex_data(ec, ec_index, key) == 1) {
        hbk_private_key_ref(key);
        if (EVP_PKEY_assign_EC_KEY(pkey, ec) == 1) {
            return pkey;
        }
    }
    EC_KEY_free(ec);
    EVP_PKEY_free(pkey);
    return NULL;
}

EVP_PKEY *hbk_openssl_key_new(struct hbk_private_key *key)
{
    EVP_PKEY *pkey = NULL;

    pthread_once(&methods_once, make_methods);
    switch (hbk_private_key_kind(key)) {
    case HBK_KEY_RSA:
        pkey = rsa_method == NULL ? NULL : wrap_rsa(key);
        break;
    case HBK_KEY_EC_P256:
    case HBK_KEY_EC_P384:
        pkey = ec_method == NULL ? NULL : wrap_ec(key);
        break;
    case HBK_KEY_ED25519:
        pkey = hbk_private_key_pkey(key);
        pkey = EVP_PKEY_up_ref(pkey) == 1 ? pkey : NULL;
        break;
    }
    ERR_clear_error();
    return pkey;
}
