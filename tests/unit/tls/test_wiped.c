/*
 * Secrets leave no trace: every secret of a handshake is looked for in all memory of the process
 * that can be written, freed or not, the stack included. The test itself keeps them masked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"
#include "meeting.h"
#include "tls/engine.h"
#include "tls/schedule.h"
#include "tls/ticket.h"

enum {
    HIDDEN_MAX = 64,
    SECRET_BYTES_MAX = 64,
    NAME_BYTES_MAX = 48,
    MASK = 0xa5,
    CHUNK_BYTES = 1 << 20,
    REGION_BYTES_MAX = 256 << 20, /* larger ones are a sanitizer's */
    LINE_BYTES_MAX = 512,
};

static struct authority authority;
static struct pair_worker worker;

/* ---- the secrets, masked ---- */

/* Until when a secret may be there. */
enum life {
    UNTIL_DONE,   /* the handshake's: gone when it is done */
    UNTIL_UPDATE, /* the channel's first: gone with the first key update */
    UNTIL_FREED,  /* the session's */
    UNTIL_TICKET, /* the ticket's: as long as the client keeps it */
};

struct hidden {
    char name[NAME_BYTES_MAX];
    enum life life;
    size_t size;
    uint8_t masked[SECRET_BYTES_MAX];
};

static struct hidden hidden[HIDDEN_MAX];
static size_t hidden_count;

static void hide(const char *name, enum life life, const uint8_t *secret, size_t size)
{
    struct hidden *entry = &hidden[hidden_count++];
    assert_true(hidden_count <= HIDDEN_MAX && size >= 12 && size <= SECRET_BYTES_MAX);
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->life = life;
    entry->size = size;
    for (size_t i = 0; i < size; i++) {
        entry->masked[i] = secret[i] ^ MASK;
    }
}

hbk_status __real_hbk_tls_share_take(struct hbk_tls_share_stock *stock, enum hbk_tls_group group,
                                     struct hbk_tls_share *out_share);
hbk_status __wrap_hbk_tls_share_take(struct hbk_tls_share_stock *stock, enum hbk_tls_group group,
                                     struct hbk_tls_share *out_share);
hbk_status __real_hbk_tls_agreement_secret(struct hbk_tls_agreement_job *agreement,
                                           struct hbk_slice *out_secret);
hbk_status __wrap_hbk_tls_agreement_secret(struct hbk_tls_agreement_job *agreement,
                                           struct hbk_slice *out_secret);
void __real_hbk_tls_resumption_psk(enum hbk_cipher_suite suite, const uint8_t *resumption_secret,
                                   struct hbk_slice nonce, uint8_t *out_psk);
void __wrap_hbk_tls_resumption_psk(enum hbk_cipher_suite suite, const uint8_t *resumption_secret,
                                   struct hbk_slice nonce, uint8_t *out_psk);

hbk_status __wrap_hbk_tls_share_take(struct hbk_tls_share_stock *stock, enum hbk_tls_group group,
                                     struct hbk_tls_share *out_share)
{
    hbk_status status = __real_hbk_tls_share_take(stock, group, out_share);
    if (status == HBK_OK) {
        hide("an ephemeral private key", UNTIL_DONE, out_share->private_key,
             group == HBK_GROUP_P384 ? 48 : 32);
    }
    return status;
}

hbk_status __wrap_hbk_tls_agreement_secret(struct hbk_tls_agreement_job *agreement,
                                           struct hbk_slice *out_secret)
{
    hbk_status status = __real_hbk_tls_agreement_secret(agreement, out_secret);
    if (status == HBK_OK) {
        hide("a shared secret", UNTIL_DONE, out_secret->bytes, out_secret->size);
    }
    return status;
}

void __wrap_hbk_tls_resumption_psk(enum hbk_cipher_suite suite, const uint8_t *resumption_secret,
                                   struct hbk_slice nonce, uint8_t *out_psk)
{
    __real_hbk_tls_resumption_psk(suite, resumption_secret, nonce, out_psk);
    size_t size = hbk_cipher_suite_hash_bytes(suite);
    hide("a PSK", UNTIL_TICKET, out_psk, size);
    hide("a resumption secret", UNTIL_FREED, resumption_secret, size);
}

/* A line of the key log: LABEL RANDOM SECRET. The IV that belongs to the key is not looked for: it
 * is the nonce of the first record, which needs to be unique and not to be secret. */
static void take_line(void *owner, const char *line)
{
    static const struct {
        const char *label;
        enum life life;
        bool has_keys;
    } labels[] = {
        {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", UNTIL_DONE, true},
        {"SERVER_HANDSHAKE_TRAFFIC_SECRET", UNTIL_DONE, true},
        {"CLIENT_TRAFFIC_SECRET_0", UNTIL_UPDATE, true},
        {"SERVER_TRAFFIC_SECRET_0", UNTIL_UPDATE, true},
        {"EXPORTER_SECRET", UNTIL_FREED, false},
    };
    const enum hbk_cipher_suite suite = *(enum hbk_cipher_suite *)owner;
    uint8_t secret[SECRET_BYTES_MAX];
    uint8_t key[HBK_AEAD_KEY_BYTES_MAX];
    uint8_t iv[HBK_AEAD_NONCE_BYTES];
    char name[NAME_BYTES_MAX];
    const char *text = strrchr(line, ' ') + 1;
    size_t size = strlen(text) / 2;
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        secret[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    for (size_t i = 0; i < HBK_COUNT(labels); i++) {
        if (!hbk_slice_starts_with(hbk_slice_text(line), hbk_slice_text(labels[i].label))) {
            continue;
        }
        hide(labels[i].label, labels[i].life, secret, size);
        if (labels[i].has_keys) {
            size_t key_bytes = hbk_aead_key_bytes(hbk_cipher_suite_aead(suite));
            hbk_tls_traffic_keys(suite, secret, hbk_span_of(key, key_bytes),
                                 hbk_span_of(iv, sizeof iv));
            (void)snprintf(name, sizeof name, "%s, its key", labels[i].label);
            hide(name, labels[i].life, key, key_bytes);
        }
    }
    hbk_secret_wipe(secret, sizeof secret);
    hbk_secret_wipe(key, sizeof key);
    hbk_secret_wipe(iv, sizeof iv);
}

/* ---- the search ---- */

struct region {
    uintptr_t start, end;
    char name[LINE_BYTES_MAX];
};

static uint8_t *chunk; /* a mapping of its own, which is not searched */

/* Whether a masked secret lies at the front of the bytes. */
static bool is_here(const uint8_t *bytes, const struct hidden *entry)
{
    for (size_t i = 0; i < entry->size; i++) {
        if ((bytes[i] ^ MASK) != entry->masked[i]) {
            return false;
        }
    }
    return true;
}

/* Marks in `found` the secrets that lie in these bytes. */
static void search_bytes(const uint8_t *bytes, size_t size, const char *where,
                         const char *found[HIDDEN_MAX])
{
    bool begins[256] = {false};
    for (size_t i = 0; i < hidden_count; i++) {
        begins[hidden[i].masked[0] ^ MASK] = true;
    }
    for (size_t at = 0; at < size; at++) {
        if (!begins[bytes[at]]) {
            continue;
        }
        for (size_t i = 0; i < hidden_count; i++) {
            if (at + hidden[i].size <= size && is_here(bytes + at, &hidden[i])) {
                found[i] = where;
            }
        }
    }
}

static void search_region(int memory, const struct region *region, const char *where,
                          const char *found[HIDDEN_MAX])
{
    uintptr_t at = region->start;
    while (at < region->end) {
        size_t size = region->end - at < CHUNK_BYTES ? region->end - at : CHUNK_BYTES;
        ssize_t got = pread(memory, chunk, size, (off_t)at);
        if (got <= 0) {
            break;
        }
        search_bytes(chunk, (size_t)got, where, found);
        /* A secret may lie across two chunks. */
        at += (size_t)got > SECRET_BYTES_MAX && (size_t)got == CHUNK_BYTES
                  ? (size_t)got - SECRET_BYTES_MAX
                  : (size_t)got;
    }
}

/* Searches everything; `found[i]` says in what kind of memory a secret is. */
static void search(const char *found[HIDDEN_MAX])
{
    static char where[HIDDEN_MAX][LINE_BYTES_MAX];
    char line[LINE_BYTES_MAX];
    size_t regions = 0;
    size_t searched_bytes = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_true(maps != NULL && memory >= 0);
    memset(found, 0, HIDDEN_MAX * sizeof found[0]);
    while (fgets(line, sizeof line, maps) != NULL) {
        struct region region;
        char rights[5];
        region.name[0] = '\0';
        if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %511[^\n]", &region.start, &region.end, rights,
                   region.name) < 3) {
            continue;
        }
        bool is_mine = region.start <= (uintptr_t)chunk && (uintptr_t)chunk < region.end;
        if (rights[1] != 'w' || is_mine || region.end - region.start > REGION_BYTES_MAX) {
            continue;
        }
        char *name = where[regions < HIDDEN_MAX - 1 ? regions++ : regions];
        (void)snprintf(name, LINE_BYTES_MAX, "%s",
                       region.name[0] == '\0' ? "anonymous memory" : region.name);
        search_region(memory, &region, name, found);
        searched_bytes += region.end - region.start;
    }
    (void)fclose(maps);
    (void)close(memory);
    hbk_secret_wipe(chunk, CHUNK_BYTES);
    assert_true(searched_bytes > 64 << 10);
}

/* Nothing that should be gone is there. */
static void expect_gone(enum life until, const char *when)
{
    const char *found[HIDDEN_MAX];
    bool is_clean = true;
    search(found);
    for (size_t i = 0; i < hidden_count; i++) {
        if (found[i] != NULL && hidden[i].life <= until) {
            print_error("%s: %s is still in %s\n", when, hidden[i].name, found[i]);
            is_clean = false;
        }
    }
    assert_true(is_clean);
}

/* The search does find what is there: else it would prove nothing. */
static void expect_found(enum life life)
{
    const char *found[HIDDEN_MAX];
    size_t count = 0;
    search(found);
    for (size_t i = 0; i < hidden_count; i++) {
        count += found[i] != NULL && hidden[i].life == life;
    }
    assert_true(count > 0);
}

/* ---- lives ---- */

static enum hbk_cipher_suite suite;

struct contexts {
    struct hbk_tls_context *client, *server;
};

static struct contexts make_contexts(uint16_t group, uint16_t wanted_suite)
{
    struct hbk_tls_ticket_keys *keys = NULL;
    struct contexts contexts;
    struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE,
                                              .groups = &group,
                                              .group_count = 1,
                                              .suites = &wanted_suite,
                                              .suite_count = 1,
                                              .resumes = true};
    suite = (enum hbk_cipher_suite)wanted_suite;
    contexts.client =
        authority_context(&authority, options, authority_client(&authority, AUTHORITY_P256));
    assert_int_equal(hbk_tls_ticket_keys_new(NULL, 0, &keys), HBK_OK);
    options.resumes = false;
    options.ticket_keys = keys;
    contexts.server =
        authority_context(&authority, options, authority_server(&authority, AUTHORITY_P256));
    hbk_tls_ticket_keys_unref(keys);
    return contexts;
}

static void free_contexts(struct contexts *contexts)
{
    hbk_tls_context_unref(contexts->client);
    hbk_tls_context_unref(contexts->server);
}

static void send_update(struct hbk_tls_session *from, struct pair_queue *wire,
                        struct hbk_tls_session *to)
{
    size_t written = 0;
    uint8_t heard[1];
    enum hbk_tls_answer answer = HBK_TLS_FAILED;
    assert_int_equal(hbk_tls_flush(from, hbk_span_of(wire->bytes, sizeof wire->bytes), &written),
                     HBK_TLS_DONE);
    wire->size = written;
    (void)meeting_open(to, wire, heard, sizeof heard, &answer);
    assert_int_equal(answer, HBK_TLS_WANT_INPUT);
}

static void live(const struct contexts *contexts, struct hbk_tls_ticket **in_out_ticket)
{
    hidden_count = 0;
    struct pair *pair =
        meeting_of(&worker, contexts->client, contexts->server, *in_out_ticket, FORGE_NOW_NS);
    meeting_run(&worker, pair, meeting_at_once);
    meeting_expect_done(pair);
    assert_int_equal(hbk_tls_agreement(pair->client).was_resumed, *in_out_ticket != NULL);
    assert_true(hidden_count >= 2 * 2 + 2 * (4 * 2 + 1));
    expect_gone(UNTIL_DONE, "after the handshake");
    expect_found(UNTIL_UPDATE);

    meeting_expect_same_keys(pair);
    hbk_tls_ticket_unref(*in_out_ticket);
    *in_out_ticket = hbk_tls_take_ticket(pair->client);
    assert_non_null(*in_out_ticket);
    expect_found(UNTIL_TICKET);

    hbk_tls_update_keys(pair->client, true);
    send_update(pair->client, &pair->to_server, pair->server);
    send_update(pair->server, &pair->to_client, pair->client);
    meeting_expect_same_keys(pair);
    expect_gone(UNTIL_UPDATE, "after a key update");

    hbk_secret_wipe(pair->to_client.bytes, sizeof pair->to_client.bytes);
    pair_free(pair);
    expect_gone(UNTIL_FREED, "after the session");
}

static void secrets_are_gone_when_nobody_needs_them(void **state)
{
    (void)state;
    static const struct {
        uint16_t group, suite;
    } cases[] = {
        {HBK_GROUP_X25519, HBK_SUITE_AES_128_GCM_SHA256},
        {HBK_GROUP_P256, HBK_SUITE_AES_256_GCM_SHA384},
        {HBK_GROUP_P384, HBK_SUITE_CHACHA20_POLY1305_SHA256},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct contexts contexts = make_contexts(cases[i].group, cases[i].suite);
        struct hbk_tls_ticket *ticket = NULL;
        live(&contexts, &ticket);
        live(&contexts, &ticket); /* resumed */
        hbk_tls_ticket_unref(ticket);
        expect_gone(UNTIL_TICKET, "after the ticket");
        free_contexts(&contexts);
    }
}

/* Freed after any number of steps, whatever it was waiting for. */
static void secrets_are_gone_when_a_handshake_is_given_up(void **state)
{
    (void)state;
    struct contexts contexts = make_contexts(HBK_GROUP_X25519, HBK_SUITE_AES_128_GCM_SHA256);
    bool is_over = false;
    for (unsigned steps = 1; !is_over; steps++) {
        hidden_count = 0;
        struct pair *pair =
            meeting_of(&worker, contexts.client, contexts.server, NULL, FORGE_NOW_NS);
        for (unsigned i = 0; i < steps; i++) {
            (void)pair_step(pair->client, &pair->to_client, &pair->to_server, 40000, 40000,
                            &pair->client_answer);
            (void)pair_step(pair->server, &pair->to_server, &pair->to_client, 40000, 40000,
                            &pair->server_answer);
            (void)hbk_key_worker_flush(worker.keys, hbk_clock_monotonic_ns());
        }
        is_over = pair->client_answer == HBK_TLS_DONE && pair->server_answer == HBK_TLS_DONE;
        pair_free(pair);
        assert_true(hidden_count > 0);
        expect_gone(UNTIL_TICKET, "given up");
    }
    free_contexts(&contexts);
}

static int set_up(void **state)
{
    (void)state;
    chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(chunk != MAP_FAILED);
    authority_init(&authority, "test root");
    pair_worker_init(&worker, 0);
    worker.tls->options.key_log = take_line;
    worker.tls->options.key_log_owner = &suite;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_worker_fini(&worker);
    authority_fini(&authority);
    assert_int_equal(munmap(chunk, CHUNK_BYTES), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_gone_when_nobody_needs_them),
        cmocka_unit_test(secrets_are_gone_when_a_handshake_is_given_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
