/* The cases: each kind of test against the crypto room. (main.c) */
#include "cases.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/cpu.h"
#include "crypto/ecdsa_der.h"
#include "crypto/ed25519.h"
#include "crypto/hkdf.h"
#include "crypto/p256.h"
#include "crypto/p384.h"
#include "crypto/rsa.h"
#include "crypto/x25519.h"

static struct hbk_rsa_batch *rsa_batch;

/* Bytes out of a hexadecimal text, in memory of their own that the caller frees. */
static struct hbk_span from_hex(const json_t *text)
{
    const char *hex = json_string_value(text);
    size_t size = hex == NULL ? 0 : strlen(hex) / 2;
    uint8_t *bytes = malloc(size + 1);

    if (bytes == NULL) {
        abort();
    }
    for (size_t i = 0; i < size; i++) {
        unsigned byte = 0;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            size = i;
        }
        bytes[i] = (uint8_t)byte;
    }
    return hbk_span_of(bytes, size);
}

static struct hbk_span get_hex(const json_t *object, const char *name)
{
    return from_hex(json_object_get(object, name));
}

static struct hbk_slice slice(struct hbk_span span)
{
    return hbk_slice_of(span.bytes, span.size);
}

const char *wycheproof_get_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

bool wycheproof_is_text(const json_t *object, const char *name, const char *expected)
{
    return strcmp(wycheproof_get_text(object, name), expected) == 0;
}

static int path_count(void)
{
    return hbk_cpu_path() == HBK_PATH_VECTOR ? 2 : 1;
}

/* Lanes. ----------------------------------------------------------------------------------------
 */

/* Any operation that has a kernel, with memory for what an RSA operation writes. */
struct operation {
    union {
        struct hbk_p256_agree p256_agree;
        struct hbk_p256_verify p256_verify;
        struct hbk_x25519_agree x25519_agree;
        struct hbk_rsa_operation rsa;
    } u;
    uint8_t rsa_output[HBK_RSA_BYTES_MAX];
};

/* A kind of operation and three of them: the case, one that is refused, one that succeeds. */
struct lane_test {
    void (*run)(enum hbk_path path, struct operation *lanes[HBK_LANES]);
    enum hbk_lane_status (*status)(const struct operation *operation);
    /* Whether the case came out right, given that its status is HBK_LANE_OK. */
    bool (*is_right)(const struct operation *operation, const void *context);
    const void *context;
    struct operation subject, bad, good;
};

/* One batch: the case in lane `place`, `fill` lanes filled from there on. */
static bool run_batch(const struct lane_test *test, enum hbk_path path, int place, int fill,
                      bool *out_passed)
{
    static struct operation memory[HBK_LANES];
    struct operation *lanes[HBK_LANES] = {NULL};
    bool are_neighbours_right = true;

    for (int i = 0; i < fill; i++) {
        int lane = (place + i) % HBK_LANES;
        memory[lane] = i == 0 ? test->subject : i == 1 ? test->bad : test->good;
        lanes[lane] = &memory[lane];
    }
    test->run(path, lanes);
    *out_passed =
        test->status(lanes[place]) == HBK_LANE_OK && test->is_right(lanes[place], test->context);
    for (int i = 1; i < fill; i++) {
        enum hbk_lane_status status = test->status(lanes[(place + i) % HBK_LANES]);
        are_neighbours_right &= status == (i == 1 ? HBK_LANE_REFUSED : HBK_LANE_OK);
    }
    return are_neighbours_right;
}

static bool fits(enum expectation expectation, bool has_passed)
{
    return expectation == MAY_PASS || has_passed == (expectation == MUST_PASS);
}

static enum outcome outcome_of(bool is_right)
{
    return is_right ? CASE_PASSED : CASE_FAILED;
}

/* For inputs that nothing here takes, so that no code of the room sees them. */
static enum outcome not_run(enum expectation expectation)
{
    return expectation == MUST_PASS ? CASE_FAILED : CASE_NOT_RUN;
}

/* All lanes, all fills, both paths: the answers must fit and be the same everywhere. */
static bool run_lanes(const struct lane_test *test, enum expectation expectation)
{
    bool first = false;
    bool is_first = true;

    for (int path = 0; path < path_count(); path++) {
        for (int place = 0; place < HBK_LANES; place++) {
            for (int fill = 1; fill <= HBK_LANES; fill++) {
                bool has_passed;
                /* libcrypto takes lanes one by one, so a few fills say all. */
                if (path == HBK_PATH_TWIN && fill != 1 + place % 3) {
                    continue;
                }
                if (!run_batch(test, (enum hbk_path)path, place, fill, &has_passed) ||
                    !fits(expectation, has_passed) || (!is_first && has_passed != first)) {
                    return false;
                }
                first = has_passed;
                is_first = false;
            }
        }
    }
    return true;
}

/* The lanes of one kind, out of the union. */
#define UNPACK(field)                                                  \
    __typeof__(((struct operation *)NULL)->u.field) *array[HBK_LANES]; \
    for (int i = 0; i < HBK_LANES; i++) {                              \
        array[i] = lanes[i] == NULL ? NULL : &lanes[i]->u.field;       \
    }

static void run_p256_agree(enum hbk_path path, struct operation *lanes[HBK_LANES])
{
    UNPACK(p256_agree)
    hbk_p256_agree_lanes(path, array);
}

static void run_p256_verify(enum hbk_path path, struct operation *lanes[HBK_LANES])
{
    UNPACK(p256_verify)
    hbk_p256_verify_lanes(path, array);
}

static void run_x25519_agree(enum hbk_path path, struct operation *lanes[HBK_LANES])
{
    UNPACK(x25519_agree)
    hbk_x25519_agree_lanes(path, array);
}

static void give_outputs(struct operation *lanes[HBK_LANES])
{
    for (int i = 0; i < HBK_LANES; i++) {
        if (lanes[i] != NULL) {
            lanes[i]->u.rsa.output = lanes[i]->rsa_output;
        }
    }
}

static void run_rsa_private(enum hbk_path path, struct operation *lanes[HBK_LANES])
{
    UNPACK(rsa)
    give_outputs(lanes);
    hbk_rsa_private_lanes(path, rsa_batch, array);
}

static void run_rsa_public(enum hbk_path path, struct operation *lanes[HBK_LANES])
{
    UNPACK(rsa)
    give_outputs(lanes);
    hbk_rsa_public_lanes(path, rsa_batch, array);
}

static enum hbk_lane_status p256_agree_status(const struct operation *operation)
{
    return operation->u.p256_agree.status;
}

static enum hbk_lane_status p256_verify_status(const struct operation *operation)
{
    return operation->u.p256_verify.status;
}

static enum hbk_lane_status x25519_agree_status(const struct operation *operation)
{
    return operation->u.x25519_agree.status;
}

static enum hbk_lane_status rsa_status(const struct operation *operation)
{
    return operation->u.rsa.status;
}

/* Curves. ---------------------------------------------------------------------------------------
 */

static bool is_shared_p256(const struct operation *operation, const void *context)
{
    const struct hbk_span *expected = context;
    return expected->size == 32 && memcmp(expected->bytes, operation->u.p256_agree.secret, 32) == 0;
}

static bool is_shared_x25519(const struct operation *operation, const void *context)
{
    const struct hbk_span *expected = context;
    return expected->size == 32 &&
           memcmp(expected->bytes, operation->u.x25519_agree.secret, 32) == 0;
}

static bool is_any(const struct operation *operation, const void *context)
{
    (void)operation;
    (void)context;
    return true;
}

/* A number of any length as `size` bytes; false when it does not fit. */
static bool to_size(uint8_t *out, size_t size, struct hbk_span number)
{
    size_t skip = 0;
    while (number.size - skip > size && number.bytes[skip] == 0) {
        skip++;
    }
    if (number.size - skip > size) {
        return false;
    }
    memset(out, 0, size);
    memcpy(out + size - (number.size - skip), number.bytes + skip, number.size - skip);
    return true;
}

/* The point of that group inside a SubjectPublicKeyInfo, or nothing. */
static struct hbk_span point_of_spki(struct hbk_span der, const char *expected_group)
{
    const uint8_t *cursor = der.bytes;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &cursor, (long)der.size);
    uint8_t *point = NULL;
    size_t size = 0;

    if (key != NULL && EVP_PKEY_is_a(key, "EC") == 1) {
        char group[32] = "";
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
        if (strcmp(group, expected_group) == 0) {
            size = EVP_PKEY_get1_encoded_public_key(key, &point);
        }
    }
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(copy, point, size);
    }
    OPENSSL_free(point);
    EVP_PKEY_free(key);
    return hbk_span_of(copy, size);
}

/* Some files give points, others whole public keys. */
static void to_point(const json_t *group, const char *expected_group, struct hbk_span *public_key)
{
    if (wycheproof_is_text(group, "type", "EcdhTest")) {
        struct hbk_span point = point_of_spki(*public_key, expected_group);
        free(public_key->bytes);
        *public_key = point;
    }
}

enum outcome test_ecdh(const json_t *group, const json_t *test, enum expectation expectation)
{
    static struct hbk_p256_keygen pair;
    struct hbk_p256_keygen *pair_lane[HBK_LANES] = {&pair};
    static uint8_t off_curve[HBK_P256_POINT_BYTES];
    uint8_t private_key[32];
    struct hbk_span public_key = get_hex(test, "public");
    struct hbk_span secret_key = get_hex(test, "private");
    struct hbk_span shared = get_hex(test, "shared");
    struct lane_test lanes = {.run = run_p256_agree,
                              .status = p256_agree_status,
                              .is_right = is_shared_p256,
                              .context = &shared};
    enum outcome outcome = not_run(expectation);

    to_point(group, "prime256v1", &public_key);
    hbk_p256_keygen_lanes(HBK_PATH_TWIN, pair_lane);
    memcpy(off_curve, pair.public_key, sizeof(off_curve));
    off_curve[64] ^= 1;
    if (public_key.size == HBK_P256_POINT_BYTES &&
        to_size(private_key, sizeof(private_key), secret_key)) {
        lanes.subject.u.p256_agree =
            (struct hbk_p256_agree){.private_key = private_key, .peer_key = public_key.bytes};
        lanes.good.u.p256_agree =
            (struct hbk_p256_agree){.private_key = pair.private_key, .peer_key = pair.public_key};
        lanes.bad = lanes.good;
        lanes.bad.u.p256_agree.peer_key = off_curve;
        outcome = outcome_of(run_lanes(&lanes, expectation));
    }
    free(public_key.bytes);
    free(secret_key.bytes);
    free(shared.bytes);
    return outcome;
}

enum outcome test_xdh(const json_t *group, const json_t *test, enum expectation expectation)
{
    static const uint8_t nine[32] = {9}, zero[32];
    struct hbk_span public_key = get_hex(test, "public");
    struct hbk_span secret_key = get_hex(test, "private");
    struct hbk_span shared = get_hex(test, "shared");
    struct lane_test lanes = {.run = run_x25519_agree,
                              .status = x25519_agree_status,
                              .is_right = is_shared_x25519,
                              .context = &shared};
    enum outcome outcome = not_run(expectation);

    (void)group;
    if (public_key.size == 32 && secret_key.size == 32) {
        /* A shared secret of zeros is "acceptable" there and refused here. */
        lanes.subject.u.x25519_agree = (struct hbk_x25519_agree){.private_key = secret_key.bytes,
                                                                 .peer_key = public_key.bytes};
        lanes.good.u.x25519_agree =
            (struct hbk_x25519_agree){.private_key = nine, .peer_key = nine};
        lanes.bad.u.x25519_agree = (struct hbk_x25519_agree){.private_key = nine, .peer_key = zero};
        bool is_zero = shared.size == 32 && memcmp(shared.bytes, zero, 32) == 0;
        /* Acceptable cases with another secret must still give that secret. */
        outcome = outcome_of(run_lanes(&lanes, is_zero                    ? MUST_FAIL
                                               : expectation == MUST_FAIL ? MUST_FAIL
                                                                          : MUST_PASS));
    }
    free(public_key.bytes);
    free(secret_key.bytes);
    free(shared.bytes);
    return outcome;
}

enum outcome test_ecdsa(const json_t *group, const json_t *test, enum expectation expectation)
{
    static struct hbk_p256_keygen pair;
    struct hbk_p256_keygen *pair_lane[HBK_LANES] = {&pair};
    struct hbk_p256_sign sign = {.private_key = pair.private_key};
    struct hbk_p256_sign *sign_lane[HBK_LANES] = {&sign};
    struct hbk_span point = get_hex(json_object_get(group, "publicKey"), "uncompressed");
    struct hbk_span message = get_hex(test, "msg");
    struct hbk_span signature = get_hex(test, "sig");
    struct lane_test lanes = {
        .run = run_p256_verify, .status = p256_verify_status, .is_right = is_any};
    struct hbk_p256_verify *subject = &lanes.subject.u.p256_verify;
    enum outcome outcome = not_run(expectation);
    bool is_read = false;

    if (wycheproof_is_text(group, "type", "EcdsaP1363Verify")) {
        is_read = signature.size == HBK_P256_SIGNATURE_BYTES;
        if (is_read) {
            memcpy(subject->signature, signature.bytes, signature.size);
        }
    } else {
        is_read = hbk_p256_signature_from_der(slice(signature), subject->signature);
        outcome = is_read ? outcome : outcome_of(fits(expectation, false)); /* our reader's word */
    }
    if (is_read && point.size == HBK_P256_POINT_BYTES) {
        subject->public_key = point.bytes;
        hbk_hash_once(HBK_HASH_SHA256, slice(message), subject->digest);
        hbk_p256_keygen_lanes(HBK_PATH_TWIN, pair_lane);
        hbk_p256_sign_lanes(HBK_PATH_TWIN, sign_lane);
        lanes.good.u.p256_verify = (struct hbk_p256_verify){.public_key = pair.public_key};
        memcpy(lanes.good.u.p256_verify.signature, sign.signature, sizeof(sign.signature));
        lanes.bad = lanes.good;
        lanes.bad.u.p256_verify.digest[0] ^= 1;
        outcome = outcome_of(run_lanes(&lanes, expectation));
    }
    free(point.bytes);
    free(message.bytes);
    free(signature.bytes);
    return outcome;
}

/* RSA. ------------------------------------------------------------------------------------------
 */

bool wycheproof_hash_of(const char *name, enum hbk_hash *out_hash)
{
    static const char *const names[] = {"SHA-256", "SHA-384", "SHA-512"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out_hash = (enum hbk_hash)i;
            return true;
        }
    }
    return false;
}

/* The key of a group, read once. */
static struct {
    const json_t *group;
    EVP_PKEY *pkey;
    struct hbk_rsa_key *key;
} rsa;

static bool load_rsa(const json_t *group, bool is_private)
{
    if (rsa.group == group) {
        return rsa.key != NULL;
    }
    hbk_rsa_key_free(rsa.key);
    EVP_PKEY_free(rsa.pkey);
    rsa.key = NULL;
    rsa.group = group;
    struct hbk_span der = get_hex(group, is_private ? "privateKeyPkcs8" : "publicKeyDer");
    const uint8_t *cursor = der.bytes;
    rsa.pkey = is_private ? d2i_AutoPrivateKey(NULL, &cursor, (long)der.size)
                          : d2i_PUBKEY(NULL, &cursor, (long)der.size);
    free(der.bytes);
    return rsa.pkey != NULL && hbk_rsa_key_new(rsa.pkey, &rsa.key) == HBK_OK;
}

struct rsa_check {
    enum hbk_hash hash;
    const uint8_t *digest;
    bool is_pss;
};

static bool is_signature(const struct operation *operation, const void *context)
{
    const struct rsa_check *check = context;
    unsigned bits = hbk_rsa_key_bits(rsa.key);
    return check->is_pss
               ? hbk_rsa_check_pss(check->hash, check->digest, bits, operation->rsa_output)
               : hbk_rsa_check_pkcs1(check->hash, check->digest, bits, operation->rsa_output);
}

/* The neighbours of an RSA case: an input that is too large, and one that is fine. */
static void rsa_neighbours(struct lane_test *lanes)
{
    static uint8_t large[HBK_RSA_BYTES_MAX], small[HBK_RSA_BYTES_MAX];
    memset(large, 0xff, sizeof(large));
    memset(small, 0x11, sizeof(small));
    lanes->bad.u.rsa = (struct hbk_rsa_operation){.key = rsa.key, .input = large};
    lanes->good.u.rsa = (struct hbk_rsa_operation){.key = rsa.key, .input = small};
}

enum outcome test_rsa_verify(const json_t *group, const json_t *test, enum expectation expectation)
{
    uint8_t digest[64];
    struct rsa_check check = {.digest = digest,
                              .is_pss = wycheproof_is_text(group, "type", "RsassaPssVerify")};
    struct hbk_span message = get_hex(test, "msg");
    struct hbk_span signature = get_hex(test, "sig");
    struct lane_test lanes = {
        .run = run_rsa_public, .status = rsa_status, .is_right = is_signature, .context = &check};
    enum outcome outcome = not_run(expectation);

    if (load_rsa(group, false) &&
        wycheproof_hash_of(wycheproof_get_text(group, "sha"), &check.hash) &&
        signature.size == hbk_rsa_key_bytes(rsa.key)) {
        hbk_hash_once(check.hash, slice(message), digest);
        lanes.subject.u.rsa = (struct hbk_rsa_operation){.key = rsa.key, .input = signature.bytes};
        rsa_neighbours(&lanes);
        outcome = outcome_of(run_lanes(&lanes, expectation));
    }
    free(message.bytes);
    free(signature.bytes);
    return outcome;
}

static bool is_output(const struct operation *operation, const void *context)
{
    const struct hbk_span *expected = context;
    return expected->size == hbk_rsa_key_bytes(rsa.key) &&
           memcmp(operation->rsa_output, expected->bytes, expected->size) == 0;
}

enum outcome test_rsa_generate(const json_t *group, const json_t *test,
                               enum expectation expectation)
{
    uint8_t digest[64], block[HBK_RSA_BYTES_MAX];
    enum hbk_hash hash;
    struct hbk_span message = get_hex(test, "msg");
    struct hbk_span signature = get_hex(test, "sig");
    struct lane_test lanes = {
        .run = run_rsa_private, .status = rsa_status, .is_right = is_output, .context = &signature};
    enum outcome outcome = not_run(expectation);

    if (load_rsa(group, true) && wycheproof_hash_of(wycheproof_get_text(group, "sha"), &hash)) {
        hbk_hash_once(hash, slice(message), digest);
        if (hbk_rsa_pad_pkcs1(hash, digest, hbk_rsa_key_bits(rsa.key), block)) {
            lanes.subject.u.rsa = (struct hbk_rsa_operation){.key = rsa.key, .input = block};
            rsa_neighbours(&lanes);
            outcome = outcome_of(run_lanes(&lanes, expectation));
        }
    }
    free(message.bytes);
    free(signature.bytes);
    return outcome;
}

/* RFC 8017, 7.2.2, step 3; a test may take its time. */
static bool is_message(const struct operation *operation, const void *context)
{
    const struct hbk_span *expected = context;
    const uint8_t *block = operation->rsa_output;
    const size_t size = hbk_rsa_key_bytes(rsa.key);
    size_t end = 2;

    while (end < size && block[end] != 0) {
        end++;
    }
    return block[0] == 0 && block[1] == 2 && end >= 10 && end < size &&
           size - end - 1 == expected->size &&
           memcmp(block + end + 1, expected->bytes, expected->size) == 0;
}

enum outcome test_rsa_decrypt(const json_t *group, const json_t *test, enum expectation expectation)
{
    struct hbk_span message = get_hex(test, "msg");
    struct hbk_span sealed = get_hex(test, "ct");
    struct lane_test lanes = {
        .run = run_rsa_private, .status = rsa_status, .is_right = is_message, .context = &message};
    enum outcome outcome = not_run(expectation);

    if (load_rsa(group, true) && sealed.size == hbk_rsa_key_bytes(rsa.key)) {
        lanes.subject.u.rsa = (struct hbk_rsa_operation){.key = rsa.key, .input = sealed.bytes};
        rsa_neighbours(&lanes);
        outcome = outcome_of(run_lanes(&lanes, expectation));
    }
    free(message.bytes);
    free(sealed.bytes);
    return outcome;
}

/* What has no lanes. ----------------------------------------------------------------------------
 */

enum outcome test_ecdh_p384(const json_t *group, const json_t *test, enum expectation expectation)
{
    struct hbk_span public_key = get_hex(test, "public");
    struct hbk_span secret_key = get_hex(test, "private");
    struct hbk_span shared = get_hex(test, "shared");
    uint8_t private_key[HBK_P384_BYTES];
    struct hbk_p384_agree agree = {.private_key = private_key, .status = HBK_LANE_REFUSED};
    enum outcome outcome = not_run(expectation);

    to_point(group, "secp384r1", &public_key);
    if (public_key.size == HBK_P384_POINT_BYTES &&
        to_size(private_key, sizeof(private_key), secret_key)) {
        agree.peer_key = public_key.bytes;
        hbk_p384_agree(&agree);
        outcome = outcome_of(
            fits(expectation, agree.status == HBK_LANE_OK && shared.size == sizeof(agree.secret) &&
                                  memcmp(agree.secret, shared.bytes, shared.size) == 0));
    }
    free(public_key.bytes);
    free(secret_key.bytes);
    free(shared.bytes);
    return outcome;
}

enum outcome test_ecdsa_p384(const json_t *group, const json_t *test, enum expectation expectation)
{
    struct hbk_span key = get_hex(json_object_get(group, "publicKey"), "uncompressed");
    struct hbk_span message = get_hex(test, "msg");
    struct hbk_span signature = get_hex(test, "sig");
    struct hbk_p384_verify verify = {.public_key = key.bytes, .status = HBK_LANE_REFUSED};
    enum outcome outcome = not_run(expectation);
    bool is_read;

    if (wycheproof_is_text(group, "type", "EcdsaP1363Verify")) {
        is_read = signature.size == sizeof(verify.signature);
        if (is_read) {
            memcpy(verify.signature, signature.bytes, signature.size);
        }
    } else {
        is_read = hbk_ecdsa_from_der(slice(signature), HBK_P384_BYTES, verify.signature);
        outcome = is_read ? outcome : outcome_of(fits(expectation, false)); /* our reader's word */
    }
    if (is_read && key.size == HBK_P384_POINT_BYTES) {
        hbk_hash_once(HBK_HASH_SHA384, slice(message), verify.digest);
        hbk_p384_verify(&verify);
        outcome = outcome_of(fits(expectation, verify.status == HBK_LANE_OK));
    }
    free(key.bytes);
    free(message.bytes);
    free(signature.bytes);
    return outcome;
}

enum outcome test_ed25519(const json_t *group, const json_t *test, enum expectation expectation)
{
    struct hbk_span key = get_hex(json_object_get(group, "publicKey"), "pk");
    struct hbk_span message = get_hex(test, "msg");
    struct hbk_span signature = get_hex(test, "sig");
    struct hbk_ed25519_verify verify = {
        .public_key = key.bytes, .message = slice(message), .status = HBK_LANE_REFUSED};
    enum outcome outcome = not_run(expectation);

    if (key.size == HBK_ED25519_BYTES && signature.size == sizeof(verify.signature)) {
        memcpy(verify.signature, signature.bytes, signature.size);
        hbk_ed25519_verify(&verify);
        outcome = outcome_of(fits(expectation, verify.status == HBK_LANE_OK));
    }
    free(key.bytes);
    free(message.bytes);
    free(signature.bytes);
    return outcome;
}

static bool open_and_seal(enum hbk_aead aead, enum hbk_aead_backend backend, const json_t *test,
                          enum expectation expectation)
{
    struct hbk_span secret = get_hex(test, "key"), nonce = get_hex(test, "iv");
    struct hbk_span header = get_hex(test, "aad"), plain = get_hex(test, "msg");
    struct hbk_span sealed = get_hex(test, "ct"), tag = get_hex(test, "tag");
    struct hbk_span bytes = get_hex(test, "ct");
    struct hbk_aead_key key;
    struct hbk_aead_record record = {.header = slice(header), .bytes = bytes, .tag = tag.bytes};
    uint8_t made_tag[HBK_AEAD_TAG_BYTES];
    bool is_right = false;

    if (secret.size == hbk_aead_key_bytes(aead) && nonce.size == HBK_AEAD_NONCE_BYTES &&
        tag.size == HBK_AEAD_TAG_BYTES &&
        hbk_aead_key_init(&key, aead, backend, secret.bytes) == HBK_OK) {
        memcpy(record.nonce, nonce.bytes, nonce.size);
        bool is_open = hbk_aead_open(&key, &record, 1) == 1;
        is_right = fits(expectation, is_open);
        if (is_open) {
            is_right &=
                plain.size == bytes.size && memcmp(plain.bytes, bytes.bytes, plain.size) == 0;
            record.tag = made_tag;
            is_right &= hbk_aead_seal(&key, &record, 1) &&
                        memcmp(made_tag, tag.bytes, sizeof(made_tag)) == 0 &&
                        memcmp(sealed.bytes, bytes.bytes, bytes.size) == 0;
        }
        hbk_aead_key_fini(&key);
    }
    free(secret.bytes);
    free(nonce.bytes);
    free(header.bytes);
    free(plain.bytes);
    free(sealed.bytes);
    free(tag.bytes);
    free(bytes.bytes);
    return is_right;
}

enum outcome test_aead(const json_t *group, const json_t *test, enum expectation expectation)
{
    struct hbk_span key = get_hex(test, "key");
    /* AES-128 by its key; a key of 256 bits is ChaCha20's when the group says so. */
    enum hbk_aead aead = json_is_true(json_object_get(group, "is_chacha"))
                             ? HBK_AEAD_CHACHA20_POLY1305
                         : key.size == 16 ? HBK_AEAD_AES_128_GCM
                                          : HBK_AEAD_AES_256_GCM;
    bool is_right = true;

    for (int backend = HBK_AEAD_LIBCRYPTO; backend <= HBK_AEAD_IPSEC_MB_NARROW; backend++) {
        if (hbk_aead_is_available(aead, (enum hbk_aead_backend)backend)) {
            is_right &= open_and_seal(aead, (enum hbk_aead_backend)backend, test, expectation);
        }
    }
    free(key.bytes);
    return outcome_of(is_right);
}

static enum hbk_hash hash_of(const json_t *group)
{
    return (enum hbk_hash)json_integer_value(json_object_get(group, "hash"));
}

enum outcome test_hkdf(const json_t *group, const json_t *test, enum expectation expectation)
{
    struct hbk_span secret = get_hex(test, "ikm"), salt = get_hex(test, "salt");
    struct hbk_span info = get_hex(test, "info"), expected = get_hex(test, "okm");
    const size_t size = (size_t)json_integer_value(json_object_get(test, "size"));
    const enum hbk_hash hash = hash_of(group);
    uint8_t key[HBK_HASH_BYTES_MAX];
    uint8_t *bytes = calloc(1, size + 1);

    hbk_hkdf_extract(hash, slice(salt), slice(secret), key);
    bool is_done = bytes != NULL && hbk_hkdf_expand(hash, hbk_slice_of(key, hbk_hash_bytes(hash)),
                                                    slice(info), hbk_span_of(bytes, size));
    bool is_equal = is_done && size == expected.size && memcmp(bytes, expected.bytes, size) == 0;
    free(bytes);
    free(secret.bytes);
    free(salt.bytes);
    free(info.bytes);
    free(expected.bytes);
    return outcome_of(fits(expectation, is_equal));
}

enum outcome test_hmac(const json_t *group, const json_t *test, enum expectation expectation)
{
    struct hbk_span key = get_hex(test, "key"), message = get_hex(test, "msg");
    struct hbk_span tag = get_hex(test, "tag");
    struct hbk_slice part = slice(message);
    struct hbk_hmac hmac;
    uint8_t code[HBK_HASH_BYTES_MAX];

    hbk_hmac_init(&hmac, hash_of(group), slice(key));
    hbk_hmac_code(&hmac, &part, 1, code);
    bool is_equal = tag.size <= hbk_hash_bytes(hmac.hash) && memcmp(code, tag.bytes, tag.size) == 0;
    free(key.bytes);
    free(message.bytes);
    free(tag.bytes);
    return outcome_of(fits(expectation, is_equal));
}

/* The state. ------------------------------------------------------------------------------------
 */

void wycheproof_init(void)
{
    rsa_batch = hbk_rsa_batch_new();
    if (rsa_batch == NULL) {
        abort();
    }
}

void wycheproof_forget_key(void)
{
    rsa.group = NULL;
}

void wycheproof_fini(void)
{
    hbk_rsa_key_free(rsa.key);
    EVP_PKEY_free(rsa.pkey);
    hbk_rsa_batch_free(rsa_batch);
}
