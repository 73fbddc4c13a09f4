/*
 * RSA on eight lanes, by the Chinese remainder theorem (RFC 8017, 5.1.2, 2b):
 *
 *     mq = input^dq mod q,  mp = input^dp mod p,  h = (mp - mq) / q mod p,  result = mq + h q
 *
 * Each half is an exponentiation in windows of five bits: a table of 32 powers, then for each
 * window five squarings and one product with an entry. Exponents are secret: there are as many
 * windows as the prime has bits for, zero windows multiply by one, and an entry is fetched by
 * reading all 32 and selecting. A half can stop between two windows and go on later.
 *
 * One faulty half would give the factors of the modulus away (Boneh, DeMillo, Lipton 1997), so no
 * result leaves before its 65537th power was compared with the input.
 *
 * An empty lane has zeros for a modulus: all its numbers stay zero.
 */
#include "crypto/vector/schedule.h"

#include "crypto/vector/rsa.h"

#include "base/secret.h"
#include "crypto/vector/long.h"
#include "crypto/vector/wipe.h"

_Static_assert((int)PICK_STRIDE == (int)HBK_VECTOR_RSA_PRIME_DIGITS_MAX, "how entries lie");
_Static_assert((int)PICK_BITS_MAX == (int)HBK_VECTOR_RSA_WINDOW_BITS_MAX, "bits of a window");

enum {
    LANES = HBK_VECTOR_RSA_LANES,
    PUBLIC_SQUARINGS = 16, /* 65537 = 2^16 + 1 */
};

static __m512i *vectors(hbk_vector_word *words)
{
    return (__m512i *)(void *)words;
}

/* Bytes, big endian, to digits of one lane. The time depends on sizes only. */
static void lane_from_bytes(hbk_vector_word *digits, unsigned count, int lane, const uint8_t *bytes,
                            size_t size)
{
    uint64_t gathered = 0;
    unsigned gathered_bits = 0;
    unsigned next = 0;

    for (size_t i = size; i-- > 0;) {
        if (gathered_bits + 8 > DIGIT_BITS) {
            unsigned taken = DIGIT_BITS - gathered_bits;
            digits[next++][lane] = (gathered | (uint64_t)bytes[i] << gathered_bits) & DIGIT_MASK;
            gathered = (uint64_t)bytes[i] >> taken;
            gathered_bits = 8 - taken;
        } else {
            gathered |= (uint64_t)bytes[i] << gathered_bits;
            gathered_bits += 8;
        }
    }
    for (; next < count; next++) {
        digits[next][lane] = gathered;
        gathered = 0;
    }
}

/* The reverse, for a number that fits. */
static void lane_to_bytes(uint8_t *bytes, size_t size, int lane, hbk_vector_word *digits)
{
    for (size_t i = 0; i < size; i++) {
        size_t bit = 8 * i;
        size_t digit = bit / DIGIT_BITS;
        size_t shift = bit % DIGIT_BITS;
        uint64_t value = digits[digit][lane] >> shift;
        if (shift + 8 > DIGIT_BITS) {
            value |= digits[digit + 1][lane] << (DIGIT_BITS - shift);
        }
        bytes[size - 1 - i] = (uint8_t)value;
    }
}

/* One lane's number to its places; zeros in an empty lane. */
static void lane_set(hbk_vector_word *digits, unsigned count, int lane, const uint64_t *number)
{
    for (unsigned i = 0; i < count; i++) {
        digits[i][lane] = number == NULL ? 0 : number[i];
    }
}

/* out = a b / R and a^2 / R modulo `modulus`, as long.h has it. `out` may be a factor. */
static void multiply(struct hbk_vector_rsa_batch *batch, __m512i *out, const __m512i *a,
                     const __m512i *b, hbk_vector_word *modulus, unsigned digits)
{
    __m512i *columns = vectors(batch->columns);

    long_multiply(columns, a, b, digits);
    long_reduce(out, columns, vectors(modulus), *vectors(&batch->inverse), digits);
}

static void square(struct hbk_vector_rsa_batch *batch, __m512i *a, hbk_vector_word *modulus,
                   unsigned digits)
{
    __m512i *columns = vectors(batch->columns);

    long_square(columns, a, digits);
    long_reduce(a, columns, vectors(modulus), *vectors(&batch->inverse), digits);
}

static const struct hbk_vector_rsa_prime *prime_of(const struct hbk_vector_rsa_key *key,
                                                   unsigned half)
{
    return half == 0 ? &key->q : &key->p;
}

/* Takes the constants of this half's prime from the keys; `factor` becomes R^3. */
static void load_half(struct hbk_vector_rsa_batch *batch)
{
    const unsigned digits = batch->prime_digits;

    for (int lane = 0; lane < LANES; lane++) {
        const struct hbk_vector_rsa_key *key = batch->keys[lane];
        const struct hbk_vector_rsa_prime *prime = key == NULL ? NULL : prime_of(key, batch->half);
        lane_set(batch->prime[batch->half], digits, lane, key == NULL ? NULL : prime->digits);
        lane_set(batch->table[0], digits, lane, key == NULL ? NULL : prime->one);
        lane_set(batch->factor, digits, lane, key == NULL ? NULL : prime->r_cubed);
        lane_set(batch->exponent, HBK_VECTOR_RSA_PRIME_WORDS_MAX + 1, lane,
                 key == NULL ? NULL : prime->exponent);
        batch->inverse[lane] = key == NULL ? 0 : prime->inverse;
    }
}

/* The table: the powers from 0 on of the input modulo this half's prime, in Montgomery form. */
static void build_table(struct hbk_vector_rsa_batch *batch)
{
    const unsigned digits = batch->prime_digits;
    hbk_vector_word *prime = batch->prime[batch->half];
    __m512i *columns = vectors(batch->columns);
    __m512i *input = vectors(batch->input);

    /* The input is below p q < R p, so it can be reduced as if it were a product; R^3 makes up for
     * the two divisions by R. */
    for (unsigned i = 0; i < 2 * digits; i++) {
        columns[i] = input[i];
    }
    __m512i *first = vectors(batch->table[1]);
    long_reduce(first, columns, vectors(prime), *vectors(&batch->inverse), digits);
    multiply(batch, first, first, vectors(batch->factor), prime, digits);
    for (unsigned i = 2; i < 1U << batch->window_bits; i++) {
        multiply(batch, vectors(batch->table[i]), vectors(batch->table[i - 1]), first, prime,
                 digits);
    }
}

/* The bits of the exponents from `position` on, as many as a window has. */
static __m512i window_at(struct hbk_vector_rsa_batch *batch, unsigned position)
{
    const __m512i *words = vectors(batch->exponent) + position / 64;
    const unsigned shift = position % 64;
    __m512i bits = _mm512_srli_epi64(words[0], shift);

    if (shift > 64 - batch->window_bits) {
        bits = _mm512_or_si512(bits, _mm512_slli_epi64(words[1], 64 - shift));
    }
    return _mm512_and_si512(bits, word((1 << batch->window_bits) - 1));
}

static unsigned window_count(const struct hbk_vector_rsa_batch *batch)
{
    /* 1024, 1536 or 2048 bits: as 20, 30 or 40 digits of 52 less the unused bits. */
    const unsigned bits = batch->prime_digits / ROW_DIGITS * 512;
    return (bits + batch->window_bits - 1) / batch->window_bits;
}

static void begin_half(struct hbk_vector_rsa_batch *batch)
{
    load_half(batch);
    build_table(batch);
    for (unsigned i = 0; i < batch->prime_digits; i++) {
        vectors(batch->power)[i] = vectors(batch->table[0])[i];
    }
    batch->windows_left = window_count(batch);
}

/*
 * The squarings of a window and its product. The first squaring's reduction fetches the entry,
 * which depends on the exponent alone. A frame of its own, below what is wiped, since it holds a
 * window.
 */
NOINLINE void one_window(struct hbk_vector_rsa_batch *batch)
{
    const unsigned digits = batch->prime_digits;
    hbk_vector_word *prime = batch->prime[batch->half];
    __m512i *power = vectors(batch->power);
    __m512i *columns = vectors(batch->columns);

    batch->windows_left--;
    const __m512i window = window_at(batch, batch->windows_left * batch->window_bits);
    struct row_pick pick = {
        .from = vectors(batch->table[0]),
        .to = vectors(batch->factor),
        .digits = digits,
        .count = batch->window_bits == PICK_BITS_MAX ? 2 * digits : digits,
    };
    for (unsigned i = 0; i < PICK_BITS_MAX; i++) {
        pick.bits[i] = _mm512_movm_epi64(_mm512_test_epi64_mask(window, word(1 << i)));
    }
    long_square(columns, power, digits);
    long_reduce_picking(power, columns, vectors(prime), *vectors(&batch->inverse), digits, &pick);
    for (unsigned i = 1; i < batch->window_bits; i++) {
        square(batch, power, prime, digits);
    }
    multiply(batch, power, power, pick.to, prime, digits);
}

/* residue = power / R, the least residue. */
static void end_half(struct hbk_vector_rsa_batch *batch)
{
    const unsigned digits = batch->prime_digits;
    __m512i *columns = vectors(batch->columns);
    __m512i *residue = vectors(batch->residue[batch->half]);
    __m512i *prime = vectors(batch->prime[batch->half]);

    for (unsigned i = 0; i < digits; i++) {
        columns[i] = vectors(batch->power)[i];
        columns[digits + i] = _mm512_setzero_si512();
    }
    long_reduce(residue, columns, prime, *vectors(&batch->inverse), digits);
    long_subtract_once(residue, residue, prime, columns, digits);
}

static void load_modulus(struct hbk_vector_rsa_batch *batch)
{
    for (int lane = 0; lane < LANES; lane++) {
        const struct hbk_vector_rsa_key *key = batch->keys[lane];
        lane_set(batch->modulus, batch->digits, lane, key == NULL ? NULL : key->n.digits);
        lane_set(batch->r_squared, batch->digits, lane, key == NULL ? NULL : key->n.r_squared);
        batch->inverse[lane] = key == NULL ? 0 : key->n.inverse;
    }
}

static void load_batch(struct hbk_vector_rsa_batch *batch,
                       const struct hbk_vector_rsa_key *const keys[LANES],
                       const uint8_t *const inputs[LANES])
{
    static const uint8_t zeros[1] = {0};

    for (int lane = 0; lane < LANES; lane++) {
        batch->keys[lane] = keys[lane];
        if (keys[lane] != NULL) {
            batch->digits = keys[lane]->digits;
            batch->prime_digits = keys[lane]->digits / 2;
        }
    }
    for (int lane = 0; lane < LANES; lane++) {
        bool is_empty = keys[lane] == NULL;
        lane_from_bytes(batch->input, batch->digits, lane, is_empty ? zeros : inputs[lane],
                        is_empty ? sizeof(zeros) : keys[lane]->bits / 8);
    }
}

void hbk_vector_rsa_begin(struct hbk_vector_rsa_batch *batch,
                          const struct hbk_vector_rsa_key *const keys[LANES],
                          const uint8_t *const inputs[LANES])
{
    load_batch(batch, keys, inputs);
    /* The table of 16 entries of 20 digits, 20 KiB, stays in the first cache; one of 32 would not,
     * and reading it would cost more than the products that it saves. Longer numbers have no table
     * that fits, and dearer products. */
    batch->window_bits = batch->prime_digits == 20 ? 4 : HBK_VECTOR_RSA_WINDOW_BITS_MAX;
    batch->half = 0;
    begin_half(batch);
    hbk_vector_wipe();
}

bool hbk_vector_rsa_step(struct hbk_vector_rsa_batch *batch, unsigned windows)
{
    for (; windows > 0 && batch->half < 2; windows--) {
        one_window(batch);
        if (batch->windows_left == 0) {
            end_half(batch);
            batch->half++;
            if (batch->half < 2) {
                begin_half(batch);
            }
        }
    }
    hbk_vector_wipe();
    return batch->half == 2;
}

/*
 * h = (mp - mq) / q mod p. q has as many bits as p, so mq < q < 2 p and mp - mq + 2 p is in
 * (0, 3 p). The constants of p are still loaded.
 */
static void difference_over_q(struct hbk_vector_rsa_batch *batch, __m512i *out)
{
    const unsigned digits = batch->prime_digits;
    const __m512i *mq = vectors(batch->residue[0]);
    const __m512i *mp = vectors(batch->residue[1]);
    __m512i *prime = vectors(batch->prime[1]);
    __m512i *columns = vectors(batch->columns);

    for (unsigned i = 0; i < digits; i++) {
        columns[i] = plus(minus(mp[i], mq[i]), plus(prime[i], prime[i]));
    }
    long_carry(out, columns, digits);
    for (int lane = 0; lane < LANES; lane++) {
        lane_set(batch->factor, digits, lane,
                 batch->keys[lane] == NULL ? NULL : batch->keys[lane]->q_inverse);
    }
    multiply(batch, out, out, vectors(batch->factor), batch->prime[1], digits);
    long_subtract_once(out, out, prime, columns, digits);
}

/* output = mq + h q. */
static void join_halves(struct hbk_vector_rsa_batch *batch)
{
    const unsigned digits = batch->prime_digits;
    __m512i *columns = vectors(batch->columns);
    __m512i *h = vectors(batch->power);

    difference_over_q(batch, h);
    long_multiply(columns, h, vectors(batch->prime[0]), digits);
    for (unsigned i = 0; i < digits; i++) {
        columns[i] = plus(columns[i], vectors(batch->residue[0])[i]);
    }
    long_carry(vectors(batch->output), columns, batch->digits);
}

/* power = a^65537 mod n, the least residue. The last factor is plain and so is the product. */
static void raise_public(struct hbk_vector_rsa_batch *batch, __m512i *a)
{
    const unsigned digits = batch->digits;
    __m512i *power = vectors(batch->power);

    multiply(batch, power, a, vectors(batch->r_squared), batch->modulus, digits);
    for (int i = 0; i < PUBLIC_SQUARINGS; i++) {
        square(batch, power, batch->modulus, digits);
    }
    multiply(batch, power, power, a, batch->modulus, digits);
    long_subtract_once(power, power, vectors(batch->modulus), vectors(batch->columns), digits);
}

/* The lanes in which `power` is the input. */
static __mmask8 is_input(struct hbk_vector_rsa_batch *batch)
{
    __m512i difference = _mm512_setzero_si512();

    for (unsigned i = 0; i < batch->digits; i++) {
        difference = _mm512_or_si512(
            difference, _mm512_xor_si512(vectors(batch->power)[i], vectors(batch->input)[i]));
    }
    return _mm512_testn_epi64_mask(difference, difference);
}

uint8_t hbk_vector_rsa_finish(struct hbk_vector_rsa_batch *batch, uint8_t *const outputs[LANES])
{
    __m512i *mp = vectors(batch->residue[1]);
    mp[0] = _mm512_mask_xor_epi64(mp[0], batch->fault, mp[0], word(1 << 20));

    join_halves(batch);
    load_modulus(batch);
    raise_public(batch, vectors(batch->output));
    uint8_t done = is_input(batch);
    HBK_DECLASSIFY(done); /* whether a result is right is known to whoever gets or misses it */
    for (int lane = 0; lane < LANES; lane++) {
        if (batch->keys[lane] == NULL) {
            done &= (uint8_t) ~(1U << lane);
        } else if ((done >> lane & 1) == 1) {
            lane_to_bytes(outputs[lane], batch->keys[lane]->bits / 8, lane, batch->output);
        }
    }
    hbk_secret_wipe(batch, sizeof(*batch));
    hbk_vector_wipe();
    return done;
}

void hbk_vector_rsa_public(struct hbk_vector_rsa_batch *batch,
                           const struct hbk_vector_rsa_key *const keys[LANES],
                           const uint8_t *const inputs[LANES], uint8_t *const outputs[LANES])
{
    load_batch(batch, keys, inputs);
    load_modulus(batch);
    raise_public(batch, vectors(batch->input));
    for (int lane = 0; lane < LANES; lane++) {
        if (keys[lane] != NULL) {
            lane_to_bytes(outputs[lane], keys[lane]->bits / 8, lane, batch->power);
        }
    }
}
