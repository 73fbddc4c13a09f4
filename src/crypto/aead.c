#include "crypto/aead.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/cpu.h"

#if HBK_HAS_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

size_t hbk_aead_key_bytes(enum hbk_aead aead)
{
    return aead == HBK_AEAD_AES_128_GCM ? 16 : 32;
}

#if HBK_HAS_IPSEC_MB

_Static_assert(sizeof(struct gcm_key_data) <= sizeof(((struct hbk_aead_key *)NULL)->schedule),
               "the schedule of libipsec-mb has its place");

/*
 * The managers of libipsec-mb: used only as tables of functions, so every thread can share them.
 * NULL where the processor or the memory does not allow one.
 */
static pthread_once_t managers_once = PTHREAD_ONCE_INIT;
static IMB_MGR *wide_manager;
static IMB_MGR *narrow_manager;

static void make_managers(void)
{
    if (hbk_cpu_path() != HBK_PATH_VECTOR || !hbk_cpu_detect().has_vaes) {
        return;
    }
    wide_manager = alloc_mb_mgr(0);
    narrow_manager = alloc_mb_mgr(0);
    if (wide_manager != NULL) {
        init_mb_mgr_avx512(wide_manager);
    }
    if (narrow_manager != NULL) {
        init_mb_mgr_avx2(narrow_manager);
    }
}

static IMB_MGR *manager_of(enum hbk_aead_backend backend)
{
    pthread_once(&managers_once, make_managers);
    return backend == HBK_AEAD_IPSEC_MB ? wide_manager : narrow_manager;
}

static bool has_manager(enum hbk_aead_backend backend)
{
    return manager_of(backend) != NULL;
}

static void expand(struct hbk_aead_key *key, const uint8_t *secret_key)
{
    IMB_MGR *manager = manager_of(key->backend);
    struct gcm_key_data *schedule = (struct gcm_key_data *)(void *)key->schedule;

    if (key->aead == HBK_AEAD_AES_128_GCM) {
        IMB_AES128_GCM_PRE(manager, secret_key, schedule);
    } else {
        IMB_AES256_GCM_PRE(manager, secret_key, schedule);
    }
}

typedef void (*gcm_function)(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *,
                             const uint8_t *, uint64_t, const uint8_t *, const uint8_t *, uint64_t,
                             uint8_t *, uint64_t);

static void run_gcm(gcm_function function, struct hbk_aead_key *key, struct hbk_aead_record *record,
                    uint8_t *tag)
{
    const struct gcm_key_data *schedule = (const struct gcm_key_data *)(const void *)key->schedule;
    /* Left without secrets by the library, as Debian builds it: its SAFE_DATA. */
    struct gcm_context_data context;
    static const uint8_t nothing[1];
    uint8_t none[1];

    function(schedule, &context, record->bytes.size > 0 ? record->bytes.bytes : none,
             record->bytes.size > 0 ? record->bytes.bytes : nothing, record->bytes.size,
             record->nonce, record->header.size > 0 ? record->header.bytes : nothing,
             record->header.size, tag, HBK_AEAD_TAG_BYTES);
}

static void ipsec_mb_seal(struct hbk_aead_key *key, struct hbk_aead_record *record)
{
    IMB_MGR *manager = manager_of(key->backend);
    run_gcm(key->aead == HBK_AEAD_AES_128_GCM ? manager->gcm128_enc : manager->gcm256_enc, key,
            record, record->tag);
}

static bool ipsec_mb_open(struct hbk_aead_key *key, struct hbk_aead_record *record)
{
    IMB_MGR *manager = manager_of(key->backend);
    uint8_t tag[HBK_AEAD_TAG_BYTES];

    run_gcm(key->aead == HBK_AEAD_AES_128_GCM ? manager->gcm128_dec : manager->gcm256_dec, key,
            record, tag);
    bool is_authentic = hbk_secret_equal(hbk_slice_of(tag, sizeof(tag)),
                                         hbk_slice_of(record->tag, HBK_AEAD_TAG_BYTES));
    /* Of a forged record it is the tag that the forger wanted to know. */
    hbk_secret_wipe(tag, sizeof(tag));
    return is_authentic;
}

#else

static bool has_manager(enum hbk_aead_backend backend)
{
    (void)backend;
    return false;
}

static void expand(struct hbk_aead_key *key, const uint8_t *secret_key)
{
    (void)key;
    (void)secret_key;
    HBK_UNREACHABLE();
}

static void ipsec_mb_seal(struct hbk_aead_key *key, struct hbk_aead_record *record)
{
    (void)key;
    (void)record;
    HBK_UNREACHABLE();
}

static bool ipsec_mb_open(struct hbk_aead_key *key, struct hbk_aead_record *record)
{
    (void)key;
    (void)record;
    HBK_UNREACHABLE();
}

#endif

bool hbk_aead_is_available(enum hbk_aead aead, enum hbk_aead_backend backend)
{
    if (backend == HBK_AEAD_LIBCRYPTO) {
        return true;
    }
    return aead != HBK_AEAD_CHACHA20_POLY1305 && has_manager(backend);
}

enum hbk_aead_backend hbk_aead_best_backend(enum hbk_aead aead)
{
    return hbk_aead_is_available(aead, HBK_AEAD_IPSEC_MB) ? HBK_AEAD_IPSEC_MB : HBK_AEAD_LIBCRYPTO;
}

static const EVP_CIPHER *cipher_of(enum hbk_aead aead)
{
    switch (aead) {
    case HBK_AEAD_AES_128_GCM:
        return EVP_aes_128_gcm();
    case HBK_AEAD_AES_256_GCM:
        return EVP_aes_256_gcm();
    case HBK_AEAD_CHACHA20_POLY1305:
        return EVP_chacha20_poly1305();
    }
    HBK_UNREACHABLE();
}

hbk_status hbk_aead_key_init(struct hbk_aead_key *key, enum hbk_aead aead,
                             enum hbk_aead_backend backend, const uint8_t *secret_key)
{
    if (!hbk_aead_is_available(aead, backend)) {
        return HBK_UNSUPPORTED;
    }
    key->aead = aead;
    key->backend = backend;
    key->seal_context = NULL;
    key->open_context = NULL;
    if (backend != HBK_AEAD_LIBCRYPTO) {
        expand(key, secret_key);
        return HBK_OK;
    }
    key->seal_context = EVP_CIPHER_CTX_new();
    key->open_context = EVP_CIPHER_CTX_new();
    if (key->seal_context == NULL || key->open_context == NULL ||
        EVP_EncryptInit_ex(key->seal_context, cipher_of(aead), NULL, secret_key, NULL) != 1 ||
        EVP_DecryptInit_ex(key->open_context, cipher_of(aead), NULL, secret_key, NULL) != 1) {
        hbk_aead_key_fini(key);
        ERR_clear_error();
        return HBK_NO_MEMORY;
    }
    return HBK_OK;
}

void hbk_aead_key_fini(struct hbk_aead_key *key)
{
    EVP_CIPHER_CTX_free(key->seal_context);
    EVP_CIPHER_CTX_free(key->open_context);
    hbk_secret_wipe(key, sizeof(*key));
}

static bool libcrypto_seal(EVP_CIPHER_CTX *context, struct hbk_aead_record *record)
{
    int size = 0;
    uint8_t none[HBK_AEAD_TAG_BYTES];
    uint8_t *bytes = record->bytes.size > 0 ? record->bytes.bytes : none;

    return EVP_EncryptInit_ex(context, NULL, NULL, NULL, record->nonce) == 1 &&
           (record->header.size == 0 ||
            EVP_EncryptUpdate(context, NULL, &size, record->header.bytes,
                              (int)record->header.size) == 1) &&
           EVP_EncryptUpdate(context, bytes, &size, bytes, (int)record->bytes.size) == 1 &&
           EVP_EncryptFinal_ex(context, none, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, HBK_AEAD_TAG_BYTES, record->tag) ==
               1;
}

static bool libcrypto_open(EVP_CIPHER_CTX *context, struct hbk_aead_record *record)
{
    int size = 0;
    uint8_t none[HBK_AEAD_TAG_BYTES];
    uint8_t *bytes = record->bytes.size > 0 ? record->bytes.bytes : none;

    return EVP_DecryptInit_ex(context, NULL, NULL, NULL, record->nonce) == 1 &&
           (record->header.size == 0 ||
            EVP_DecryptUpdate(context, NULL, &size, record->header.bytes,
                              (int)record->header.size) == 1) &&
           EVP_DecryptUpdate(context, bytes, &size, bytes, (int)record->bytes.size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, HBK_AEAD_TAG_BYTES, record->tag) ==
               1 &&
           EVP_DecryptFinal_ex(context, none, &size) == 1;
}

bool hbk_aead_seal(struct hbk_aead_key *key, struct hbk_aead_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        HBK_ASSERT(records[i].bytes.size <= HBK_AEAD_RECORD_BYTES_MAX);
        if (key->backend != HBK_AEAD_LIBCRYPTO) {
            ipsec_mb_seal(key, &records[i]);
        } else if (!libcrypto_seal(key->seal_context, &records[i])) {
            ERR_clear_error();
            return false;
        }
    }
    return true;
}

size_t hbk_aead_open(struct hbk_aead_key *key, struct hbk_aead_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        HBK_ASSERT(records[i].bytes.size <= HBK_AEAD_RECORD_BYTES_MAX);
        bool is_authentic = key->backend != HBK_AEAD_LIBCRYPTO
                                ? ipsec_mb_open(key, &records[i])
                                : libcrypto_open(key->open_context, &records[i]);
        if (!is_authentic) {
            if (records[i].bytes.size > 0) {
                memset(records[i].bytes.bytes, 0, records[i].bytes.size);
            }
            ERR_clear_error();
            return i;
        }
    }
    return count;
}
