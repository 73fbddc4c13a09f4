#include <openssl/rand.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"
#include "tls/native.h"

hbk_status hbk_tls_worker_new(const struct hbk_tls_worker_options *options,
                              struct hbk_tls_worker **out_worker)
{
    struct hbk_tls_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return HBK_NO_MEMORY;
    }
    worker->options = *options;
    if (worker->options.handshakes_max == 0) {
        worker->options.handshakes_max = HBK_TLS_HANDSHAKES_MAX;
    }
    /* Sessions count what is in flight; one that has failed holds its handshake, for the text. */
    hbk_pool_init(&worker->handshakes, "handshake", sizeof(struct hbk_native), SIZE_MAX);
    hbk_openssl_fibres_init(&worker->fibres, worker->options.keys, HBK_OPENSSL_PAUSED_MAX);
    *out_worker = worker;
    return HBK_OK;
}

void hbk_tls_worker_free(struct hbk_tls_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    HBK_ASSERT(worker->in_flight == 0);
    hbk_openssl_fibres_fini(&worker->fibres);
    hbk_openssl_shelf_fini(&worker->shelf);
    hbk_pool_fini(&worker->handshakes);
    hbk_expanded_keys_fini(&worker->expanded);
    hbk_secret_wipe(worker, sizeof *worker);
    free(worker);
}

const struct hbk_tls_worker_counters *hbk_tls_worker_counters(const struct hbk_tls_worker *worker)
{
    return &worker->counters;
}

size_t hbk_tls_worker_in_flight(const struct hbk_tls_worker *worker)
{
    return worker->in_flight;
}

bool hbk_tls_worker_has_forms(const struct hbk_tls_worker *worker)
{
    return worker->shelf.count > 0;
}

bool hbk_tls_worker_tidy(struct hbk_tls_worker *worker)
{
    hbk_openssl_shelf_tidy(&worker->shelf);
    return hbk_tls_worker_has_forms(worker);
}

static hbk_status buy(uint8_t *bytes, size_t size)
{
    return RAND_priv_bytes(bytes, (int)size) == 1 ? HBK_OK : HBK_IO;
}

/* What is handed out is wiped here, so that nobody finds a used one. */
hbk_status hbk_tls_worker_random(struct hbk_tls_worker *worker, struct hbk_span out)
{
    if (out.size > sizeof worker->random) {
        return out.size <= INT32_MAX ? buy(out.bytes, out.size) : HBK_IO;
    }
    if (worker->random_left < out.size) {
        HBK_TRY(buy(worker->random, sizeof worker->random));
        worker->random_left = sizeof worker->random;
    }
    uint8_t *from = worker->random + sizeof worker->random - worker->random_left;
    if (out.size > 0) {
        memcpy(out.bytes, from, out.size);
        hbk_secret_wipe(from, out.size);
    }
    worker->random_left -= out.size;
    return HBK_OK;
}
