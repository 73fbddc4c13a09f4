/* A loop that is woken by a device's answer, while nothing else happens. */
#include "net/batch.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>

#include "crypto/key_device.h"
#include "harness.h"

enum { TURNS_MAX = 1000, TURN_NS = 1000 * 1000 * 1000 };

/* A device that answers on a thread of its own. */
struct slow_device {
    struct hbk_key_device device;
    struct hbk_key_answer answer;
    struct hbk_key_mailbox *mailbox;
    EVP_PKEY *pkey;
    pthread_t thread;
    uint8_t input[256], output[256];
    bool is_released;
};

static struct slow_device *device_of(struct hbk_key_device *device)
{
    return HBK_CONTAINER(device, struct slow_device, device);
}

static hbk_status key_new(struct hbk_key_device *device, EVP_PKEY *pkey, void **out_key,
                          struct hbk_error *error)
{
    (void)error;
    device_of(device)->pkey = pkey;
    *out_key = pkey;
    return HBK_OK;
}

static void key_free(struct hbk_key_device *device, void *key)
{
    (void)device;
    (void)key;
}

static void *compute(void *argument)
{
    struct slow_device *slow = argument;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(slow->pkey, NULL);
    size_t size = sizeof slow->output;
    slow->answer.is_good =
        EVP_PKEY_decrypt_init(context) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
        EVP_PKEY_decrypt(context, slow->output, &size, slow->input, sizeof slow->input) == 1;
    EVP_PKEY_CTX_free(context);
    slow->answer.output = slow->output;
    struct hbk_key_mailbox *mailbox = slow->mailbox;
    hbk_key_mailbox_post(mailbox, &slow->answer);
    hbk_key_mailbox_unref(mailbox);
    return NULL;
}

static enum hbk_key_device_result submit(struct hbk_key_device *device, void *key,
                                         struct hbk_slice input,
                                         struct hbk_key_operation *operation,
                                         struct hbk_key_mailbox *mailbox,
                                         struct hbk_key_answer **out_answer)
{
    struct slow_device *slow = device_of(device);
    (void)key;
    assert_int_equal(input.size, sizeof slow->input);
    memcpy(slow->input, input.bytes, input.size);
    slow->mailbox = hbk_key_mailbox_ref(mailbox);
    slow->answer = (struct hbk_key_answer){.device = device, .operation = operation};
    *out_answer = &slow->answer;
    assert_int_equal(pthread_create(&slow->thread, NULL, compute, slow), 0);
    return HBK_KEY_DEVICE_TAKEN;
}

static void give_up(struct hbk_key_device *device, struct hbk_key_answer *answer)
{
    (void)device;
    (void)answer;
}

static void release(struct hbk_key_device *device, struct hbk_key_answer *answer)
{
    (void)answer;
    device_of(device)->is_released = true;
}

static void on_complete(struct hbk_key_operation *operation)
{
    assert_int_equal(operation->status, HBK_OK);
}

static void a_devices_answer_wakes_the_loop(void **state)
{
    (void)state;
    struct slow_device slow = {.device = {key_new, key_free, submit, give_up, release}};
    const struct hbk_key_provider_options options = {
        .kind = HBK_KEY_PROVIDER_QAT,
        .device = &slow.device,
    };
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    struct hbk_key_provider *provider = NULL;
    struct hbk_private_key *key = NULL;
    struct hbk_loop loop;
    struct hbk_batch batch;
    uint8_t signature[256];
    assert_int_equal(hbk_key_provider_new(&options, &provider, NULL), HBK_OK);
    assert_int_equal(hbk_private_key_new(pkey, provider, &key, NULL), HBK_OK);
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    assert_int_equal(hbk_batch_init(&batch, &loop, NULL), HBK_OK);
    assert_int_equal(hbk_batch_serve_devices(&batch), HBK_OK);

    struct hbk_key_operation operation = {
        .key = key,
        .scheme = HBK_SIGN_RSA_PSS_RSAE_SHA256,
        .input = HBK_SLICE("a message"),
        .output = hbk_span_of(signature, sizeof signature),
        .complete = on_complete,
    };
    assert_int_equal(hbk_key_submit(batch.keys, &operation, loop.now_ns), HBK_OK);
    hbk_batch_wake(&batch);
    for (int i = 0; i < TURNS_MAX && operation.output_bytes == 0; i++) {
        hbk_loop_turn(&loop, TURN_NS);
    }
    assert_int_equal(operation.output_bytes, sizeof signature);
    assert_true(slow.is_released);
    struct hbk_key_counters counters;
    hbk_key_provider_counters(provider, &counters);
    assert_int_equal(counters.counts[HBK_KEY_COUNT_ANSWERED], 1);
    assert_int_equal(counters.counts[HBK_KEY_COUNT_LATE], 0);

    pthread_join(slow.thread, NULL);
    hbk_private_key_unref(key);
    hbk_key_provider_unref(provider);
    hbk_batch_fini(&batch);
    hbk_batch_fini(&batch);
    hbk_loop_fini(&loop);
    EVP_PKEY_free(pkey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_devices_answer_wakes_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
