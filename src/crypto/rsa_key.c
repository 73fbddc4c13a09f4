/*
 * Reading RSA keys. The constants that the kernels need (digits, -1/p modulo 2^52, powers of R) are
 * computed here once, by libcrypto, and so cost nothing per operation.
 */
#include "crypto/rsa_key.h"

#include <openssl/bn.h>
#include <openssl/bnerr.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/secret.h"

enum { DIGIT_BITS = 52 };

/* The numbers of a key; secret ones are freed with BN_clear_free. */
struct numbers {
    BIGNUM *n, *e, *p, *q, *dp, *dq;
    BN_CTX *context;
};

static void numbers_fini(struct numbers *numbers)
{
    BN_free(numbers->n);
    BN_free(numbers->e);
    BN_clear_free(numbers->p);
    BN_clear_free(numbers->q);
    BN_clear_free(numbers->dp);
    BN_clear_free(numbers->dq);
    BN_CTX_free(numbers->context);
}

/* Digits of a number below 2^(52 count). */
static bool to_digits(uint64_t *digits, unsigned count, const BIGNUM *number)
{
    uint8_t bytes[(HBK_VECTOR_RSA_DIGITS_MAX * DIGIT_BITS + 7) / 8 + 8] = {0};
    bool is_done = BN_bn2lebinpad(number, bytes, (int)(sizeof(bytes) - 8)) >= 0;

    for (unsigned i = 0; is_done && i < count; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * DIGIT_BITS / 8, sizeof(word));
        digits[i] = word >> i * DIGIT_BITS % 8 & ((UINT64_C(1) << DIGIT_BITS) - 1);
    }
    hbk_secret_wipe(bytes, sizeof(bytes));
    return is_done;
}

/* -1 / m modulo 2^52, for an odd m: each step of Newton's doubles the bits that are right. */
static uint64_t negative_inverse(uint64_t m)
{
    uint64_t inverse = m;
    for (int i = 0; i < 5; i++) {
        inverse *= 2 - m * inverse;
    }
    return (0 - inverse) & ((UINT64_C(1) << DIGIT_BITS) - 1);
}

/* Digits of 2^(52 count power) modulo m. */
static bool power_of_r(uint64_t *digits, unsigned count, unsigned power, const BIGNUM *m,
                       BN_CTX *context)
{
    BIGNUM *number = BN_secure_new();
    bool is_done = number != NULL && BN_set_bit(number, (int)(DIGIT_BITS * count * power)) == 1 &&
                   BN_nnmod(number, number, m, context) == 1 && to_digits(digits, count, number);
    BN_clear_free(number);
    return is_done;
}

static bool set_prime(struct hbk_vector_rsa_prime *prime, unsigned digits, const BIGNUM *p,
                      const BIGNUM *exponent, BN_CTX *context)
{
    uint8_t bytes[8 * HBK_VECTOR_RSA_PRIME_WORDS_MAX];
    bool is_done = BN_bn2lebinpad(exponent, bytes, sizeof(bytes)) >= 0 &&
                   to_digits(prime->digits, digits, p) &&
                   power_of_r(prime->one, digits, 1, p, context) &&
                   power_of_r(prime->r_cubed, digits, 3, p, context);

    memcpy(prime->exponent, bytes, sizeof(bytes));
    prime->inverse = negative_inverse(prime->digits[0]);
    hbk_secret_wipe(bytes, sizeof(bytes));
    return is_done;
}

/* R / q modulo p. */
static bool set_q_inverse(struct hbk_vector_rsa_key *lanes, const struct numbers *numbers)
{
    BIGNUM *number = BN_secure_new();
    bool is_done = number != NULL &&
                   BN_mod_inverse(number, numbers->q, numbers->p, numbers->context) != NULL &&
                   BN_lshift(number, number, (int)(DIGIT_BITS * lanes->digits / 2)) == 1 &&
                   BN_nnmod(number, number, numbers->p, numbers->context) == 1 &&
                   to_digits(lanes->q_inverse, lanes->digits / 2, number);
    BN_clear_free(number);
    return is_done;
}

/* Whether the kernels can compute with the key; `is_private` asks for the primes too. */
static bool fits_lanes(const struct numbers *numbers, bool is_private)
{
    const int bits = BN_num_bits(numbers->n);

    if ((bits != 2048 && bits != 3072 && bits != 4096) || !BN_is_odd(numbers->n) ||
        !BN_is_word(numbers->e, 65537)) {
        return false;
    }
    if (!is_private) {
        return true;
    }
    return numbers->p != NULL && numbers->q != NULL && numbers->dp != NULL && numbers->dq != NULL &&
           BN_is_odd(numbers->p) && BN_is_odd(numbers->q) && BN_num_bits(numbers->p) == bits / 2 &&
           BN_num_bits(numbers->q) == bits / 2 && BN_cmp(numbers->dp, numbers->p) < 0 &&
           BN_cmp(numbers->dq, numbers->q) < 0;
}

static bool set_lanes(struct hbk_vector_rsa_key *lanes, const struct numbers *numbers,
                      bool is_private)
{
    lanes->bits = (unsigned)BN_num_bits(numbers->n);
    lanes->digits = lanes->bits / 1024 * 20;
    lanes->has_private = is_private;
    if (!to_digits(lanes->n.digits, lanes->digits, numbers->n) ||
        !power_of_r(lanes->n.r_squared, lanes->digits, 2, numbers->n, numbers->context)) {
        return false;
    }
    lanes->n.inverse = negative_inverse(lanes->n.digits[0]);
    if (!is_private) {
        return true;
    }
    const unsigned half = lanes->digits / 2;
    return set_prime(&lanes->p, half, numbers->p, numbers->dp, numbers->context) &&
           set_prime(&lanes->q, half, numbers->q, numbers->dq, numbers->context) &&
           set_q_inverse(lanes, numbers);
}

static bool read_numbers(struct numbers *numbers, EVP_PKEY *pkey)
{
    numbers->context = BN_CTX_secure_new();
    if (numbers->context == NULL ||
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &numbers->n) != 1 ||
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &numbers->e) != 1) {
        return false;
    }
    /* Absent in a public key, and in a private one without the theorem's numbers. */
    (void)EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, &numbers->p);
    (void)EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, &numbers->q);
    (void)EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT1, &numbers->dp);
    (void)EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT2, &numbers->dq);
    /* libcrypto then inverts without branches on the primes (set_q_inverse). */
    if (numbers->p != NULL && numbers->q != NULL) {
        BN_set_flags(numbers->p, BN_FLG_CONSTTIME);
        BN_set_flags(numbers->q, BN_FLG_CONSTTIME);
    }
    return true;
}

static bool has_private_exponent(EVP_PKEY *pkey)
{
    BIGNUM *d = NULL;
    bool is_private = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_D, &d) == 1;
    BN_clear_free(d);
    return is_private;
}

hbk_status hbk_rsa_key_new(EVP_PKEY *pkey, struct hbk_rsa_key **out_key)
{
    const int bits = EVP_PKEY_get_bits(pkey);
    struct numbers numbers = {0};
    struct hbk_rsa_key *key;

    if (EVP_PKEY_is_a(pkey, "RSA") != 1 && EVP_PKEY_is_a(pkey, "RSA-PSS") != 1) {
        return HBK_UNSUPPORTED;
    }
    if (bits < HBK_RSA_BITS_MIN || bits > HBK_RSA_BITS_MAX) {
        return HBK_UNSUPPORTED;
    }
    key = calloc(1, sizeof(*key));
    if (key == NULL || !read_numbers(&numbers, pkey) || EVP_PKEY_up_ref(pkey) != 1) {
        numbers_fini(&numbers);
        free(key);
        return HBK_NO_MEMORY;
    }
    key->pkey = pkey;
    if (BN_num_bits(numbers.e) > HBK_RSA_EXPONENT_BITS_MAX) {
        numbers_fini(&numbers);
        hbk_rsa_key_free(key);
        return HBK_UNSUPPORTED;
    }
    key->bits = (unsigned)bits;
    key->is_private = has_private_exponent(pkey);
    bool is_done = BN_bn2binpad(numbers.n, key->modulus, (bits + 7) / 8) > 0;
    if (is_done && HBK_HAS_VECTOR && fits_lanes(&numbers, key->is_private)) {
        key->is_vector = set_lanes(&key->lanes, &numbers, key->is_private);
        /* Two "primes" with a common factor: libcrypto may make of that what it can. */
        is_done = key->is_vector || ERR_GET_REASON(ERR_peek_last_error()) == BN_R_NO_INVERSE;
    }
    numbers_fini(&numbers);
    ERR_clear_error();
    if (!is_done) {
        hbk_rsa_key_free(key);
        return HBK_NO_MEMORY;
    }
    *out_key = key;
    return HBK_OK;
}

void hbk_rsa_key_free(struct hbk_rsa_key *key)
{
    if (key == NULL) {
        return;
    }
    EVP_PKEY_free(key->pkey);
    hbk_secret_wipe(key, sizeof(*key));
    free(key);
}

unsigned hbk_rsa_key_bits(const struct hbk_rsa_key *key)
{
    return key->bits;
}

size_t hbk_rsa_key_bytes(const struct hbk_rsa_key *key)
{
    return (key->bits + 7) / 8;
}

bool hbk_rsa_key_is_private(const struct hbk_rsa_key *key)
{
    return key->is_private;
}

bool hbk_rsa_key_is_vector(const struct hbk_rsa_key *key)
{
    return key->is_vector;
}
