#include "crypto/key_provider.h"

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "crypto/key_source.h"
#include "crypto/key_worker.h"
#include "keys.h"

enum { DELAY_NS = 10 * 1000 * 1000 };

static struct hbk_key_provider *new_provider(const struct hbk_key_provider_options *options)
{
    struct hbk_key_provider *provider = NULL;
    struct hbk_error error = {0};
    if (hbk_key_provider_new(options, &provider, &error) != HBK_OK) {
        fail_msg("no provider: %s", error.text);
    }
    return provider;
}

static struct hbk_key_provider *new_cryptomb(void)
{
    return new_provider(&(struct hbk_key_provider_options){
        .kind = HBK_KEY_PROVIDER_CRYPTOMB,
        .poll_delay_ns = DELAY_NS,
    });
}

static void names_are_those_of_configurations(void **state)
{
    (void)state;
    static const char *const names[] = {"batcher", "software", "cryptomb", "qat"};
    enum hbk_key_provider_kind kind = HBK_KEY_PROVIDER_COUNT;
    for (int i = 0; i < HBK_KEY_PROVIDER_COUNT; i++) {
        assert_string_equal(hbk_key_provider_kind_text((enum hbk_key_provider_kind)i), names[i]);
        assert_true(hbk_key_provider_kind_from_text(names[i], &kind));
        assert_int_equal(kind, i);
    }
    assert_false(hbk_key_provider_kind_from_text("CryptoMB", &kind));
    assert_false(hbk_key_provider_kind_from_text("", &kind));
    for (int i = 0; i < HBK_KEY_COUNT_COUNT; i++) {
        assert_non_null(hbk_key_count_name((enum hbk_key_count)i));
    }
}

static void poll_delay_is_required_and_at_least_a_millisecond(void **state)
{
    (void)state;
    static const struct {
        uint64_t poll_delay_ns;
        const char *text; /* NULL: it is good */
    } cases[] = {
        {0, "poll_delay is required by the provider cryptomb, and at least 1 ms"},
        {900000, "poll_delay is 900 us; at least 1 ms is allowed"},
        {999999, "poll_delay is 999 us; at least 1 ms is allowed"},
        {1000000, NULL},
        {2000000, NULL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_key_provider_options options = {
            .kind = HBK_KEY_PROVIDER_CRYPTOMB,
            .poll_delay_ns = cases[i].poll_delay_ns,
        };
        struct hbk_key_provider *provider = NULL;
        struct hbk_error error = {0};
        const hbk_status status = hbk_key_provider_new(&options, &provider, &error);
        if (cases[i].text != NULL) {
            assert_int_equal(status, HBK_INVALID);
            assert_string_equal(error.text, cases[i].text);
            assert_null(provider);
            continue;
        }
        assert_int_equal(status, HBK_OK);
        assert_int_equal(hbk_key_provider_options(provider)->poll_delay_ns, cases[i].poll_delay_ns);
        hbk_key_provider_unref(provider);
    }
}

static void cryptomb_takes_the_keys_that_envoys_takes(void **state)
{
    (void)state;
    const bool has_kernels = path_count() == 2;
    const hbk_status good = has_kernels ? HBK_OK : HBK_UNSUPPORTED;
    const char *none = has_kernels ? "" : "Multi-buffer CPU instructions not available.";
    const struct {
        EVP_PKEY *pkey;
        hbk_status status;
        const char *text;
    } cases[] = {
        {EVP_RSA_gen(1024), good, none},
        {EVP_RSA_gen(2048), good, none},
        {EVP_RSA_gen(3072), good, none},
        {EVP_RSA_gen(4096), good, none},
        {EVP_EC_gen("P-256"), good, none},
        {EVP_RSA_gen(512), HBK_UNSUPPORTED,
         "Only RSA keys of 1024, 2048, 3072, and 4096 bits are supported. This one has 512."},
        {EVP_RSA_gen(2056), HBK_UNSUPPORTED,
         "Only RSA keys of 1024, 2048, 3072, and 4096 bits are supported. This one has 2056."},
        {rsa_with_exponent(2048, 3), HBK_INVALID,
         "Only RSA keys with the public exponent 65537 are allowed: results are checked with it "
         "before they are sent."},
        {EVP_EC_gen("P-384"), HBK_INVALID,
         "Only P-256 ECDSA keys are supported. This one is on secp384r1."},
        {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), HBK_INVALID,
         "Not supported key type, only EC and RSA are supported."},
    };
    struct hbk_key_provider *provider = new_cryptomb();
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_private_key *key = NULL;
        struct hbk_error error = {0};
        assert_int_equal(hbk_private_key_new(cases[i].pkey, provider, &key, &error),
                         cases[i].status);
        assert_string_equal(error.text, cases[i].text);
        assert_int_equal(key != NULL, cases[i].status == HBK_OK);
        hbk_private_key_unref(key);
        EVP_PKEY_free(cases[i].pkey);
    }
    hbk_key_provider_unref(provider);
}

static void without_kernels_cryptomb_exists_but_is_not_available(void **state)
{
    (void)state;
    struct hbk_key_provider *provider = new_provider(&(struct hbk_key_provider_options){
        .kind = HBK_KEY_PROVIDER_CRYPTOMB,
        .poll_delay_ns = DELAY_NS,
        .without_kernels = true,
    });
    struct hbk_private_key *key = NULL;
    struct hbk_error error = {0};
    assert_int_equal(hbk_private_key_new(key_pkeys[KEY_RSA_2048], provider, &key, &error),
                     HBK_UNSUPPORTED);
    assert_string_equal(error.text, "Multi-buffer CPU instructions not available.");
    hbk_key_provider_unref(provider);
}

/* ---- keys from configurations ---- */

static struct hbk_slice pem_of(EVP_PKEY *pkey, char *text, size_t room, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = password == NULL ? NULL : EVP_aes_128_cbc();
    assert_int_equal(
        PEM_write_bio_PrivateKey(bio, pkey, cipher, NULL, 0, NULL, (void *)(uintptr_t)password), 1);
    const int size = BIO_read(bio, text, (int)room);
    BIO_free(bio);
    assert_true(size > 0 && (size_t)size < room);
    return hbk_slice_of(text, (size_t)size);
}

/* Long but flat: a table of cases. */
static void a_provider_stands_before_the_ordinary_key_and_falls_back_to_it(void **state)
{
    (void)state;
    static char rsa_text[4096], p256_text[4096], p384_text[4096];
    const struct hbk_slice rsa = pem_of(key_pkeys[KEY_RSA_2048], rsa_text, sizeof(rsa_text), NULL);
    const struct hbk_slice p256 = pem_of(key_pkeys[KEY_P256], p256_text, sizeof(p256_text), NULL);
    const struct hbk_slice p384 = pem_of(key_pkeys[KEY_P384], p384_text, sizeof(p384_text), NULL);
    const struct hbk_slice none_pem = hbk_slice_of(NULL, 0);
    struct hbk_key_provider *none = new_provider(&(struct hbk_key_provider_options){
        .kind = HBK_KEY_PROVIDER_CRYPTOMB, .poll_delay_ns = DELAY_NS, .without_kernels = true});
    struct hbk_key_provider *soft =
        new_provider(&(struct hbk_key_provider_options){.kind = HBK_KEY_PROVIDER_SOFTWARE});
    const struct {
        const char *name;
        struct hbk_key_source source;
        hbk_status status;
        bool is_fallback;
        enum hbk_key_kind kind;
        const char *text;
    } cases[] = {
        {"an ordinary key", {.key_pem = p256}, HBK_OK, false, HBK_KEY_EC_P256, ""},
        {"nothing at all",
         {.key_pem = none_pem},
         HBK_NOT_FOUND,
         false,
         0,
         "no private key: neither"},
        {"the provider's key counts",
         {p256, "software", soft, rsa, false},
         HBK_OK,
         false,
         HBK_KEY_RSA,
         ""},
        {"the provider's key is missing",
         {p256, "software", soft, none_pem, true},
         HBK_NOT_FOUND,
         false,
         0,
         "the provider software has no private_key"},
        {"a provider that nobody knows",
         {p256, "kae", NULL, rsa, false},
         HBK_UNSUPPORTED,
         false,
         0,
         "Failed to load private key provider: kae: there is no such provider here"},
        {"a device that did not start",
         {p256, "qat", NULL, rsa, false, "QAT: no device file in /dev/vfio: give it one"},
         HBK_UNSUPPORTED,
         false,
         0,
         "Failed to load private key provider: qat: QAT: no device file in /dev/vfio: give it one"},
        {"the same with a fallback",
         {p256, "kae", NULL, rsa, true},
         HBK_OK,
         true,
         HBK_KEY_EC_P256,
         ""},
        {"a provider that is not available",
         {p256, "cryptomb", none, rsa, false},
         HBK_UNSUPPORTED,
         false,
         0,
         "Failed to load private key provider: cryptomb: Multi-buffer CPU"},
        {"the same with a fallback",
         {p256, "cryptomb", none, rsa, true},
         HBK_OK,
         true,
         HBK_KEY_EC_P256,
         ""},
        {"and without an ordinary key",
         {none_pem, "cryptomb", none, rsa, true},
         HBK_OK,
         true,
         HBK_KEY_RSA,
         ""},
        {"no fallback forgives a wrong key",
         {p256, "cryptomb", none, p384, true},
         HBK_INVALID,
         false,
         0,
         "Only P-256 ECDSA keys are supported."},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_private_key *key = NULL;
        struct hbk_error error = {0};
        struct hbk_error missing = {.status = HBK_IO};
        const hbk_status status =
            hbk_private_key_from_source(&cases[i].source, &key, &missing, &error);
        const bool is_fallback = missing.status != HBK_OK;
        assert_true(is_fallback == (missing.text[0] != '\0'));
        if (status != cases[i].status || is_fallback != cases[i].is_fallback ||
            strncmp(error.text, cases[i].text, strlen(cases[i].text)) != 0 ||
            (cases[i].status == HBK_OK && error.text[0] != '\0')) {
            fail_msg("%s: %d, %d, \"%s\"", cases[i].name, status, is_fallback, error.text);
        }
        if (status == HBK_OK) {
            assert_int_equal(hbk_private_key_kind(key), cases[i].kind);
        }
        hbk_private_key_unref(key);
    }
    hbk_key_provider_unref(none);
    hbk_key_provider_unref(soft);
}

static void a_key_is_read_with_its_password_or_refused(void **state)
{
    (void)state;
    static char text[4096], sealed[4096];
    static uint8_t large[HBK_KEY_PEM_BYTES_MAX + 1];
    const struct hbk_slice good = pem_of(key_pkeys[KEY_P256], text, sizeof(text), NULL);
    const struct hbk_slice none = hbk_slice_of(NULL, 0);
    const struct hbk_slice locked = pem_of(key_pkeys[KEY_P256], sealed, sizeof(sealed), "secret");
    const struct {
        struct hbk_slice pem, password;
        hbk_status status;
        const char *text;
    } cases[] = {
        {HBK_SLICE("no PEM"), none, HBK_INVALID, "Failed to read private key."},
        {{good.bytes, good.size / 2}, none, HBK_INVALID, "Failed to read private key."},
        {locked, none, HBK_INVALID, "without a password, not encrypted"},
        {locked, HBK_SLICE("secre"), HBK_INVALID, "the password must be the right one"},
        {locked, {large, sizeof(large)}, HBK_INVALID, "the password must be the right one"},
        {locked, HBK_SLICE("secret"), HBK_OK, ""},
        {good, HBK_SLICE("not needed"), HBK_OK, ""},
        {{large, sizeof(large)},
         none,
         HBK_LIMIT,
         "a private key of 16385 bytes; 16384 are allowed"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_private_key *key = NULL;
        struct hbk_error error = {0};
        assert_int_equal(
            hbk_private_key_from_pem(cases[i].pem, cases[i].password, NULL, &key, &error),
            cases[i].status);
        assert_non_null(strstr(error.text, cases[i].text));
        hbk_private_key_unref(key);
    }
}

/* ---- statistics of cryptomb ---- */

static void ignore(struct hbk_key_operation *operation)
{
    assert_int_equal(operation->status, HBK_OK);
}

static void queue_sizes_are_counted_exactly(void **state)
{
    (void)state;
    static const struct {
        enum key_name name;
        enum hbk_sign_scheme scheme;
    } cases[] = {
        {KEY_RSA_2048, HBK_SIGN_RSA_PKCS1_SHA256},
        {KEY_P256, HBK_SIGN_ECDSA_P256_SHA256},
    };
    if (path_count() < 2) {
        skip(); /* no kernels, no cryptomb */
    }
    for (size_t c = 0; c < HBK_COUNT(cases); c++) {
        struct hbk_batcher_options options;
        struct hbk_batcher *batcher = NULL;
        struct hbk_key_worker *worker = NULL;
        struct hbk_key_provider *provider = new_cryptomb();
        struct hbk_key_provider *other = new_cryptomb(); /* in one lane of each batch of three */
        struct hbk_private_key *key = new_private_key(cases[c].name, provider);
        struct hbk_private_key *other_key = new_private_key(cases[c].name, other);
        uint64_t now_ns = 0;
        hbk_batcher_options_init(&options);
        assert_int_equal(hbk_batcher_new(&options, &batcher), HBK_OK);
        assert_int_equal(hbk_key_worker_new(batcher, &worker), HBK_OK);
        for (int size = 1; size <= HBK_LANES; size++) {
            static uint8_t outputs[HBK_LANES][HBK_KEY_OUTPUT_BYTES_MAX];
            static struct hbk_key_operation operations[HBK_LANES];
            memset(operations, 0, sizeof(operations));
            for (int i = 0; i < size; i++) {
                operations[i].key = size == 3 && i == 2 ? other_key : key;
                operations[i].scheme = cases[c].scheme;
                operations[i].input = HBK_SLICE("a message");
                operations[i].output = hbk_span_of(outputs[i], sizeof(outputs[i]));
                operations[i].complete = ignore;
                assert_int_equal(hbk_key_submit(worker, &operations[i], now_ns), HBK_OK);
            }
            now_ns += size == HBK_LANES ? 0 : DELAY_NS; /* a full one does not wait */
            while (hbk_key_worker_flush(worker, now_ns)) {
            }
            assert_int_equal(hbk_key_worker_due_ns(worker), UINT64_MAX);
        }
        struct hbk_key_counters counters, others;
        hbk_key_provider_counters(provider, &counters);
        hbk_key_provider_counters(other, &others);
        for (int i = 0; i < HBK_LANES; i++) {
            const bool is_rsa = cases[c].name == KEY_RSA_2048;
            assert_int_equal(counters.rsa_queue_sizes[i], is_rsa);
            assert_int_equal(counters.ecdsa_queue_sizes[i], !is_rsa);
            assert_int_equal(others.rsa_queue_sizes[i], is_rsa && i == 2);
            assert_int_equal(others.ecdsa_queue_sizes[i], !is_rsa && i == 2);
        }
        hbk_private_key_unref(key);
        hbk_private_key_unref(other_key);
        hbk_key_provider_unref(provider);
        hbk_key_provider_unref(other);
        hbk_key_worker_free(worker);
        hbk_batcher_free(batcher);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_configurations),
        cmocka_unit_test(poll_delay_is_required_and_at_least_a_millisecond),
        cmocka_unit_test(cryptomb_takes_the_keys_that_envoys_takes),
        cmocka_unit_test(without_kernels_cryptomb_exists_but_is_not_available),
        cmocka_unit_test(a_provider_stands_before_the_ordinary_key_and_falls_back_to_it),
        cmocka_unit_test(a_key_is_read_with_its_password_or_refused),
        cmocka_unit_test(queue_sizes_are_counted_exactly),
    };
    return cmocka_run_group_tests(tests, make_key_pkeys, free_key_pkeys);
}
