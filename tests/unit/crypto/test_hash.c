#include "crypto/hash.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "paths.h"

enum { BYTES_MAX = 1100 };

static const EVP_MD *digest_function(enum hbk_hash hash)
{
    return hash == HBK_HASH_SHA256   ? EVP_sha256()
           : hash == HBK_HASH_SHA384 ? EVP_sha384()
                                     : EVP_sha512();
}

static void assert_digest(enum hbk_hash hash, struct hbk_slice bytes, const uint8_t *digest)
{
    uint8_t expected[EVP_MAX_MD_SIZE];
    assert_int_equal(
        EVP_Digest(bytes.bytes, bytes.size, expected, NULL, digest_function(hash), NULL), 1);
    assert_memory_equal(digest, expected, hbk_hash_bytes(hash));
}

static void known_answers_of_fips_180_hold(void **state)
{
    (void)state;
    static const char *const digests[HBK_HASH_COUNT] = {
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134"
        "c825"
        "a7",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3"
        "feeb"
        "bd454d4423643ce80e2a9ac94fa54ca49f",
    };
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        uint8_t expected[HBK_HASH_BYTES_MAX], digest[HBK_HASH_BYTES_MAX];
        const size_t size = hbk_hash_bytes((enum hbk_hash)hash);
        from_hex(expected, size, digests[hash]);
        hbk_hash_once((enum hbk_hash)hash, HBK_SLICE("abc"), digest);
        assert_memory_equal(digest, expected, size);
    }
}

static void sizes_are_those_of_the_standard(void **state)
{
    (void)state;
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        const EVP_MD *function = digest_function((enum hbk_hash)hash);
        assert_int_equal(hbk_hash_bytes((enum hbk_hash)hash), EVP_MD_get_size(function));
        assert_int_equal(hbk_hash_block_bytes((enum hbk_hash)hash),
                         EVP_MD_get_block_size(function));
    }
}

/* Around each block's end, where the padding takes another block. */
static void every_length_agrees_with_libcrypto(void **state)
{
    (void)state;
    static uint8_t bytes[BYTES_MAX];
    uint8_t digest[HBK_HASH_BYTES_MAX];

    assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        for (size_t size = 0; size <= 300; size++) {
            hbk_hash_once((enum hbk_hash)hash, hbk_slice_of(bytes, size), digest);
            assert_digest((enum hbk_hash)hash, hbk_slice_of(bytes, size), digest);
        }
    }
}

/* A transcript: pieces of any size, a digest asked for after each, and a copy that goes its own
 * way. */
static void a_digest_in_between_disturbs_nothing(void **state)
{
    (void)state;
    static uint8_t bytes[BYTES_MAX];
    uint8_t digest[HBK_HASH_BYTES_MAX];

    assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
    for (unsigned round = 0; round < 300; round++) {
        const enum hbk_hash hash = (enum hbk_hash)(round % HBK_HASH_COUNT);
        struct hbk_hash_state running, fork;
        size_t done = 0;

        hbk_hash_init(&running, hash);
        for (size_t piece = round; done + piece <= sizeof(bytes); piece = piece * 7 % 197 + 1) {
            hbk_hash_update(&running, hbk_slice_of(bytes + done, piece));
            done += piece;
            hbk_hash_digest(&running, digest);
            assert_digest(hash, hbk_slice_of(bytes, done), digest);
            fork = running;
            hbk_hash_update(&fork, HBK_SLICE("another way"));
            hbk_hash_digest(&fork, digest);
        }
        hbk_hash_digest(&running, digest);
        assert_digest(hash, hbk_slice_of(bytes, done), digest);
    }
}

static void a_copy_goes_its_own_way(void **state)
{
    (void)state;
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        struct hbk_hash_state first, second;
        uint8_t digest[HBK_HASH_BYTES_MAX];

        hbk_hash_init(&first, (enum hbk_hash)hash);
        hbk_hash_update(&first, HBK_SLICE("client hello"));
        second = first;
        hbk_hash_update(&first, HBK_SLICE(", server hello"));
        hbk_hash_update(&second, HBK_SLICE(", retry"));
        hbk_hash_digest(&first, digest);
        assert_digest((enum hbk_hash)hash, HBK_SLICE("client hello, server hello"), digest);
        hbk_hash_digest(&second, digest);
        assert_digest((enum hbk_hash)hash, HBK_SLICE("client hello, retry"), digest);
    }
}

/* An empty piece may come without an address. */
static void an_empty_piece_changes_nothing(void **state)
{
    (void)state;
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        struct hbk_hash_state running;
        uint8_t digest[HBK_HASH_BYTES_MAX];

        hbk_hash_init(&running, (enum hbk_hash)hash);
        hbk_hash_update(&running, hbk_slice_of(NULL, 0));
        hbk_hash_update(&running, HBK_SLICE("abc"));
        hbk_hash_update(&running, hbk_slice_of(NULL, 0));
        hbk_hash_digest(&running, digest);
        assert_digest((enum hbk_hash)hash, HBK_SLICE("abc"), digest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_of_fips_180_hold),
        cmocka_unit_test(sizes_are_those_of_the_standard),
        cmocka_unit_test(every_length_agrees_with_libcrypto),
        cmocka_unit_test(a_digest_in_between_disturbs_nothing),
        cmocka_unit_test(a_copy_goes_its_own_way),
        cmocka_unit_test(an_empty_piece_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
