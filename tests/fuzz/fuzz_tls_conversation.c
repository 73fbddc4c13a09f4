/*
 * Whole conversations of our client with our server, with a mutating middle that has the keys: each
 * worker writes them to its key log. It opens every record, changes the content as the input says,
 * and seals it again, so that what is wrong gets past the ciphers and to the state machines.
 *
 *     input: flags, then steps of six bytes: direction and record, what to do, two arguments
 *
 * Whatever it does, neither side may be done with a handshake of which it was shown other messages
 * than its peer sent, and two sides that are done understand each other. All randomness comes from
 * a generator that each input seeds anew, so that a run repeats itself.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_set_rand_method(), with which libcrypto is seeded */

#include "fuzz_target.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "crypto/batcher.h"
#include "crypto/key_worker.h"
#include "identity/trust.h"
#include "tls/message.h"
#include "tls/record.h"
#include "tls/session.h"
#include "tls/ticket.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

enum {
    STEPS_MAX = 16,
    TURNS_MAX = 2000, /* of one conversation, above what any needs */
    STREAM_BYTES_MAX = 1 << 18,
    INJECTED_BYTES_MAX = 300,
    /* Flags of an input. */
    IS_MUTUAL = 1,
    IS_RETRIED = 2,
    IS_RESUMED = 4,
    HAS_LONG_HASH = 8,
    VARIANTS = 16,
};

static const int64_t now_ns = INT64_C(1795435200) * 1000000000;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* ---- randomness that repeats ---- */

static uint64_t generator;

static int generate(unsigned char *bytes, int size)
{
    for (int i = 0; i < size; i++) {
        generator = generator * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (unsigned char)(generator >> 56);
    }
    return 1;
}

static int is_seeded(void)
{
    return 1;
}

static void make_randomness_repeat(void)
{
    static const RAND_METHOD method = {
        .bytes = generate, .pseudorand = generate, .status = is_seeded};
    require(RAND_set_rand_method(&method) == 1);
}

/* ---- contexts, made once ---- */

static struct hbk_tls_context *clients[VARIANTS], *servers[VARIANTS];

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    require(certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 &&
            ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7) == 1);
    require(ASN1_TIME_set(X509_getm_notBefore(certificate), 1795000000) != NULL &&
            ASN1_TIME_set(X509_getm_notAfter(certificate), 1796000000) != NULL);
    require(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                       (const unsigned char *)"fuzz", -1, -1, 0) == 1 &&
            X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
            X509_set_pubkey(certificate, key) == 1 &&
            X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void make_variant(unsigned flags, const struct hbk_tls_certificate_options *certificate,
                         const struct hbk_trust *trust, struct hbk_tls_ticket_keys *keys)
{
    static const uint16_t p256[] = {HBK_GROUP_P256};
    static const uint16_t both[] = {HBK_GROUP_X25519, HBK_GROUP_P256};
    static const uint16_t short_hash[] = {HBK_SUITE_AES_128_GCM_SHA256};
    static const uint16_t long_hash[] = {HBK_SUITE_AES_256_GCM_SHA384};
    struct hbk_error error = {0};
    struct hbk_tls_context_options options = {
        .engine = HBK_TLS_ENGINE_NATIVE,
        .certificates = certificate,
        .certificate_count = 1,
        .trust = trust,
        .client_certificate = (flags & IS_MUTUAL) != 0 ? HBK_TLS_CLIENT_CERTIFICATE_REQUIRED
                                                       : HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .protocols = HBK_SLICE("\x02h2"),
        .suites = (flags & HAS_LONG_HASH) != 0 ? long_hash : short_hash,
        .suite_count = 1,
        .groups = (flags & IS_RETRIED) != 0 ? p256 : both,
        .group_count = (flags & IS_RETRIED) != 0 ? 1 : 2,
        .ticket_keys = keys,
    };
    require(hbk_tls_context_new(&options, &servers[flags], &error) == HBK_OK);
    options.ticket_keys = NULL;
    options.resumes = true;
    options.groups = both;
    options.group_count = 2;
    options.record_size_limit = 4096;
    require(hbk_tls_context_new(&options, &clients[flags], &error) == HBK_OK);
}

static void make_contexts(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    require(key != NULL);
    X509 *certificate = make_certificate(key);
    const struct hbk_tls_certificate_options options = {
        .chain = &certificate, .chain_count = 1, .private_key = key};
    const struct hbk_trust_options anybody = {.rule = HBK_TRUST_ANYBODY};
    const struct hbk_trust *trust = NULL;
    struct hbk_tls_ticket_keys *keys = NULL;
    require(hbk_trust_new(&anybody, &trust) == HBK_OK &&
            hbk_tls_ticket_keys_new(NULL, 0, &keys) == HBK_OK);
    for (unsigned i = 0; i < VARIANTS; i++) {
        make_variant(i, &options, trust, keys);
    }
    hbk_tls_ticket_keys_unref(keys);
    hbk_trust_unref(trust);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- a side ---- */

/* The secrets of a key log, in the order of time. */
enum phase { CLEAR, HANDSHAKE, APPLICATION, PHASES };

/* One direction as one side sees it: the keys and where it stands. */
struct view {
    uint8_t secrets[PHASES][HBK_TLS_RECORD_SECRET_BYTES_MAX];
    bool has_secret[PHASES];
    enum phase phase;
    struct hbk_tls_record_direction direction;
};

struct side {
    struct hbk_batcher *batcher;
    struct hbk_key_worker *keys;
    struct hbk_tls_worker *worker;
    struct hbk_tls_session *session;
    enum hbk_tls_answer answer;
    struct view from_client, from_server;
    struct hbk_buffer arriving;        /* entries that the middle made, not yet sealed */
    struct hbk_buffer input;           /* one record of them */
    struct hbk_buffer sent, delivered; /* handshake bytes: from it, and shown to it */
    unsigned records;                  /* that it sent */
};

static uint8_t from_digit(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* Lines of the SSLKEYLOGFILE format: label, client random, secret. */
static void take_key_log(void *owner, const char *line)
{
    static const struct {
        const char *label;
        bool is_clients;
        enum phase phase;
    } labels[] = {
        {"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", true, HANDSHAKE},
        {"SERVER_HANDSHAKE_TRAFFIC_SECRET ", false, HANDSHAKE},
        {"CLIENT_TRAFFIC_SECRET_0 ", true, APPLICATION},
        {"SERVER_TRAFFIC_SECRET_0 ", false, APPLICATION},
    };
    struct side *side = owner;
    const char *secret = strrchr(line, ' ') + 1;
    for (size_t i = 0; i < HBK_COUNT(labels); i++) {
        if (strncmp(line, labels[i].label, strlen(labels[i].label)) == 0) {
            struct view *view = labels[i].is_clients ? &side->from_client : &side->from_server;
            for (size_t j = 0; secret[2 * j] != '\0'; j++) {
                view->secrets[labels[i].phase][j] =
                    (uint8_t)(from_digit(secret[2 * j]) << 4 | from_digit(secret[2 * j + 1]));
            }
            view->has_secret[labels[i].phase] = true;
        }
    }
}

static void side_init(struct side *side, enum hbk_tls_role role, struct hbk_tls_context *context,
                      struct hbk_tls_ticket *ticket)
{
    struct hbk_batcher_options batcher;
    *side = (struct side){.answer = HBK_TLS_WANT_INPUT};
    hbk_batcher_options_init(&batcher);
    require(hbk_batcher_new(&batcher, &side->batcher) == HBK_OK &&
            hbk_key_worker_new(side->batcher, &side->keys) == HBK_OK);
    const struct hbk_tls_worker_options worker = {
        .keys = side->keys, .key_log = take_key_log, .key_log_owner = side};
    require(hbk_tls_worker_new(&worker, &side->worker) == HBK_OK);
    const struct hbk_tls_options options = {
        .role = role,
        .worker = side->worker,
        .server_name = role == HBK_TLS_CLIENT ? HBK_SLICE("shop.test") : hbk_slice_of(NULL, 0),
        .ticket = ticket,
    };
    require(hbk_tls_session_new(context, &options, now_ns, &side->session) == HBK_OK);
    hbk_buffer_init(&side->arriving, STREAM_BYTES_MAX);
    hbk_buffer_init(&side->input, STREAM_BYTES_MAX);
    hbk_buffer_init(&side->sent, STREAM_BYTES_MAX);
    hbk_buffer_init(&side->delivered, STREAM_BYTES_MAX);
}

static void side_fini(struct side *side)
{
    hbk_tls_session_free(side->session);
    hbk_tls_worker_free(side->worker);
    hbk_key_worker_free(side->keys);
    hbk_batcher_free(side->batcher);
    hbk_buffer_fini(&side->arriving);
    hbk_buffer_fini(&side->input);
    hbk_buffer_fini(&side->sent);
    hbk_buffer_fini(&side->delivered);
    hbk_tls_record_direction_fini(&side->from_client.direction);
    hbk_tls_record_direction_fini(&side->from_server.direction);
}

static void run_jobs(struct side *side)
{
    for (uint64_t due_ns = hbk_key_worker_due_ns(side->keys); due_ns != UINT64_MAX;
         due_ns = hbk_key_worker_due_ns(side->keys)) {
        (void)hbk_key_worker_flush(side->keys, due_ns + 1);
    }
}

/* ---- the middle ---- */

enum action {
    FLIP,
    CUT,
    INSERT,
    DROP,
    DOUBLE,
    RETYPE,
    INJECT,
    SPLIT,
    SPOIL, /* the sealed bytes */
    ACTIONS,
};

struct step {
    bool is_of_server;
    uint8_t record;
    enum action action;
    uint16_t place;
    uint8_t value;
};

struct middle {
    struct side client, server;
    enum hbk_cipher_suite suite;
    struct step steps[STEPS_MAX];
    size_t step_count;
};

static void move_to(struct view *view, enum phase phase, enum hbk_cipher_suite suite)
{
    if (view->phase != phase && view->has_secret[phase]) {
        hbk_tls_record_direction_fini(&view->direction);
        hbk_tls_record_direction_init(
            &view->direction, &expanded, suite,
            hbk_slice_of(view->secrets[phase], hbk_cipher_suite_hash_bytes(suite)));
        view->phase = phase;
    }
}

/* A record on its way: what stands before its content in `arriving`. */
struct entry {
    enum phase phase; /* whose keys the sender used */
    uint8_t type;
    bool is_spoilt;
    size_t size;
};

static void put(struct side *receiver, enum phase phase, uint8_t type, struct hbk_slice content,
                bool is_spoilt)
{
    const struct entry entry = {phase, type, is_spoilt, content.size};
    require(hbk_buffer_append(&receiver->arriving, hbk_slice_of(&entry, sizeof entry)) == HBK_OK &&
            hbk_buffer_append(&receiver->arriving, content) == HBK_OK);
}

/* Makes a record of the next entry, sealed as the receiver awaits it; false: there is none. */
static bool seal_next(struct side *receiver, struct view *view, enum hbk_cipher_suite suite)
{
    struct hbk_slice arriving = hbk_buffer_slice(&receiver->arriving);
    struct entry entry;
    struct hbk_span room;
    if (arriving.size == 0) {
        return false;
    }
    memcpy(&entry, arriving.bytes, sizeof entry);
    struct hbk_slice content = hbk_slice_part(arriving, sizeof entry, entry.size);
    require(hbk_buffer_reserve(&receiver->input, entry.size + HBK_TLS_RECORD_EXTRA_BYTES, &room) ==
            HBK_OK);
    if (entry.size > 0) {
        memcpy(room.bytes + HBK_TLS_RECORD_HEADER_BYTES, content.bytes, entry.size);
    }
    if (entry.phase > view->phase) {
        move_to(view, entry.phase, suite);
    }
    if (entry.phase == CLEAR || view->phase == CLEAR) {
        room.bytes[0] = entry.type;
        room.bytes[1] = 3;
        room.bytes[2] = 3;
        room.bytes[3] = (uint8_t)(entry.size >> 8);
        room.bytes[4] = (uint8_t)entry.size;
        hbk_buffer_commit(&receiver->input, entry.size + HBK_TLS_RECORD_HEADER_BYTES);
    } else {
        require(hbk_tls_record_seal(&view->direction, (enum hbk_tls_record_type)entry.type,
                                    room.bytes, entry.size));
        room.bytes[HBK_TLS_RECORD_HEADER_BYTES + entry.size / 2] ^= entry.is_spoilt ? 1 : 0;
        hbk_buffer_commit(&receiver->input, entry.size + HBK_TLS_RECORD_EXTRA_BYTES);
    }
    if (entry.type == HBK_TLS_RECORD_HANDSHAKE) {
        require(hbk_buffer_append(&receiver->delivered, content) == HBK_OK);
    }
    hbk_buffer_consume(&receiver->arriving, sizeof entry + entry.size);
    return true;
}

/* What the middle makes of one record. */
struct piece {
    uint8_t type;
    bool is_dropped, is_doubled, is_spoilt;
    size_t size, split_at;
    uint8_t bytes[HBK_TLS_PLAIN_BYTES_MAX + 64];
};

static void inject(struct side *receiver, enum phase phase, const struct step *step)
{
    uint8_t bytes[INJECTED_BYTES_MAX] = {0};
    size_t size = step->place % INJECTED_BYTES_MAX;
    memset(bytes, step->value, size);
    if (size >= 4) {
        /* A message that could be whole. */
        bytes[1] = 0;
        bytes[2] = (uint8_t)((size - 4) >> 8);
        bytes[3] = (uint8_t)(size - 4);
    }
    put(receiver, phase, (uint8_t)(20 + step->value % 5), hbk_slice_of(bytes, size), false);
}

static void change(struct piece *piece, const struct step *step)
{
    size_t place = piece->size == 0 ? 0 : step->place % piece->size;
    switch (step->action) {
    case FLIP:
        piece->bytes[place] ^= piece->size == 0 ? 0 : step->value;
        break;
    case CUT:
        piece->size = place;
        break;
    case INSERT:
        if (piece->size < HBK_TLS_PLAIN_BYTES_MAX) {
            memmove(piece->bytes + place + 1, piece->bytes + place, piece->size - place);
            piece->bytes[place] = step->value;
            piece->size++;
        }
        break;
    case DROP:
        piece->is_dropped = true;
        break;
    case DOUBLE:
        piece->is_doubled = true;
        break;
    case RETYPE:
        piece->type = step->value;
        break;
    case SPLIT:
        piece->split_at = place;
        break;
    case SPOIL:
        piece->is_spoilt = true;
        break;
    case INJECT:
    case ACTIONS:
        break;
    }
}

static void deliver(struct side *receiver, enum phase phase, const struct piece *piece)
{
    struct hbk_slice content = hbk_slice_of(piece->bytes, piece->size);
    if (piece->is_dropped) {
        return;
    }
    if (piece->split_at > 0) {
        put(receiver, phase, piece->type, hbk_slice_part(content, 0, piece->split_at), false);
    }
    put(receiver, phase, piece->type, hbk_slice_part(content, piece->split_at, content.size),
        piece->is_spoilt);
    if (piece->is_doubled) {
        put(receiver, phase, piece->type, content, false);
    }
}

/* Whether this side's Finished is among what it has sent. */
static bool has_finished(const struct side *side)
{
    struct hbk_slice left = hbk_buffer_slice(&side->sent);
    while (left.size >= HBK_MESSAGE_HEADER_BYTES) {
        size_t size = HBK_MESSAGE_HEADER_BYTES +
                      ((size_t)left.bytes[1] << 16 | (size_t)left.bytes[2] << 8 | left.bytes[3]);
        if (left.bytes[0] == HBK_MESSAGE_FINISHED && left.size >= size) {
            return true;
        }
        left = hbk_slice_part(left, size, left.size);
    }
    return false;
}

/* One record of a side, opened, changed, and on its way to the other. */
static void relay(struct middle *middle, bool is_of_server, struct hbk_span record)
{
    static struct piece piece;
    struct side *sender = is_of_server ? &middle->server : &middle->client;
    struct side *receiver = is_of_server ? &middle->client : &middle->server;
    struct view *sent = is_of_server ? &sender->from_server : &sender->from_client;
    struct hbk_span body = hbk_span_of(record.bytes + HBK_TLS_RECORD_HEADER_BYTES,
                                       record.size - HBK_TLS_RECORD_HEADER_BYTES);
    enum phase phase = CLEAR;
    piece = (struct piece){.type = record.bytes[0]};
    if (piece.type == HBK_TLS_RECORD_APPLICATION_DATA) {
        struct hbk_tls_record opened;
        phase = has_finished(sender) ? APPLICATION : HANDSHAKE;
        move_to(sent, phase, middle->suite);
        require(hbk_tls_record_open(&sent->direction, record, &opened) == HBK_TLS_RECORD_OPENED);
        piece.type = opened.type;
        body = opened.plain;
    }
    require(body.size <= HBK_TLS_PLAIN_BYTES_MAX);
    piece.size = body.size;
    memcpy(piece.bytes, body.bytes, body.size);
    if (piece.type == HBK_TLS_RECORD_HANDSHAKE) {
        require(hbk_buffer_append(&sender->sent, hbk_slice_of(piece.bytes, piece.size)) == HBK_OK);
    }
    for (size_t i = 0; i < middle->step_count; i++) {
        const struct step *step = &middle->steps[i];
        if (step->is_of_server == is_of_server && step->record == sender->records) {
            if (step->action == INJECT) {
                inject(receiver, phase, step);
            }
            change(&piece, step);
        }
    }
    sender->records++;
    deliver(receiver, phase, &piece);
}

/* ---- a conversation ---- */

static struct hbk_span span_of(struct hbk_buffer *buffer)
{
    size_t size = hbk_buffer_size(buffer);
    return hbk_span_of(size == 0 ? NULL : buffer->bytes + buffer->start, size);
}

/* What a side that is done was shown is what its peer said. */
static void judge_done(const struct side *side, const struct side *peer)
{
    struct hbk_slice shown = hbk_buffer_slice(&side->delivered);
    struct hbk_slice said = hbk_buffer_slice(&peer->sent);
    require(shown.size <= said.size && hbk_slice_equal(shown, hbk_slice_part(said, 0, shown.size)));
}

/* One step of a side, and its records to the other. Returns whether anything happened. */
static bool turn(struct middle *middle, bool is_of_server)
{
    static uint8_t output[STREAM_BYTES_MAX];
    struct side *side = is_of_server ? &middle->server : &middle->client;
    struct view *awaited = is_of_server ? &side->from_client : &side->from_server;
    if (side->answer == HBK_TLS_DONE || side->answer == HBK_TLS_FAILED) {
        return false;
    }
    bool has_moved = side->answer == HBK_TLS_WAITING;
    if (side->answer == HBK_TLS_WANT_INPUT && hbk_buffer_is_empty(&side->input)) {
        has_moved = seal_next(side, awaited, middle->suite);
    }
    size_t consumed = 0;
    size_t written = 0;
    size_t shown = hbk_buffer_size(&side->input);
    side->answer = hbk_tls_handshake(side->session, span_of(&side->input), &consumed,
                                     hbk_span_of(output, sizeof output), &written);
    require(consumed <= shown && side->answer != HBK_TLS_WANT_ROOM);
    hbk_buffer_consume(&side->input, consumed);
    run_jobs(side);
    for (size_t at = 0; at < written;) {
        size_t record = hbk_tls_record_size(hbk_slice_of(output + at, written - at));
        require(record > 0 && at + record <= written);
        relay(middle, is_of_server, hbk_span_of(output + at, record));
        at += record;
    }
    if (side->answer == HBK_TLS_DONE) {
        judge_done(side, is_of_server ? &middle->client : &middle->server);
    }
    if (side->answer == HBK_TLS_FAILED) {
        require(hbk_tls_failure(side->session).text != NULL);
    }
    return has_moved || consumed + written > 0;
}

static void shake_hands(struct middle *middle)
{
    bool has_moved = true;
    for (int turns = 0; has_moved; turns++) {
        require(turns < TURNS_MAX);
        has_moved = turn(middle, false);
        has_moved |= turn(middle, true);
    }
}

static void understand_each_other(struct middle *middle)
{
    static const char text[] = "understood";
    uint8_t wire[256];
    size_t sealed = 0;
    size_t written = 0;
    size_t consumed = 0;
    struct hbk_slice plain = hbk_slice_text(text);
    require(hbk_tls_seal(middle->client.session, &plain, 1, hbk_span_of(wire, sizeof wire), &sealed,
                         &written) == HBK_TLS_DONE);
    require(hbk_tls_open(middle->server.session, hbk_span_of(wire, written), &consumed, &plain) ==
            HBK_TLS_DONE);
    require(hbk_slice_equal(plain, hbk_slice_text(text)));
}

static void middle_init(struct middle *middle, unsigned flags, struct hbk_tls_ticket *ticket)
{
    *middle = (struct middle){.suite = (flags & HAS_LONG_HASH) != 0 ? HBK_SUITE_AES_256_GCM_SHA384
                                                                    : HBK_SUITE_AES_128_GCM_SHA256};
    side_init(&middle->client, HBK_TLS_CLIENT, clients[flags % VARIANTS], ticket);
    side_init(&middle->server, HBK_TLS_SERVER, servers[flags % VARIANTS], NULL);
}

static void middle_fini(struct middle *middle)
{
    side_fini(&middle->client);
    side_fini(&middle->server);
}

/* What an undisturbed conversation leaves to resume with. */
static struct hbk_tls_ticket *make_ticket(unsigned flags)
{
    static struct middle middle;
    middle_init(&middle, flags, NULL);
    shake_hands(&middle);
    require(middle.client.answer == HBK_TLS_DONE && middle.server.answer == HBK_TLS_DONE);
    understand_each_other(&middle);
    struct side *client = &middle.client;
    while (seal_next(client, &client->from_server, middle.suite)) {
        size_t consumed = 0;
        struct hbk_slice plain = {0};
        require(hbk_tls_open(client->session, span_of(&client->input), &consumed, &plain) ==
                HBK_TLS_DONE);
        hbk_buffer_consume(&client->input, consumed);
    }
    struct hbk_tls_ticket *ticket = hbk_tls_take_ticket(client->session);
    require(ticket != NULL);
    middle_fini(&middle);
    return ticket;
}

static size_t read_steps(struct hbk_cursor *input, struct step *steps)
{
    size_t count = 0;
    while (count < STEPS_MAX && input->left.size >= 6) {
        uint8_t which = (uint8_t)hbk_cursor_number(input, 1);
        steps[count++] = (struct step){
            .is_of_server = (which & 1) != 0,
            .record = which >> 1,
            .action = (enum action)(hbk_cursor_number(input, 1) % ACTIONS),
            .place = (uint16_t)hbk_cursor_number(input, 2),
            .value = (uint8_t)(hbk_cursor_number(input, 2) & 0xff),
        };
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct middle middle;
    static struct hbk_tls_ticket *tickets[VARIANTS];
    static bool is_ready;
    if (!is_ready) {
        generator = 1;
        make_randomness_repeat();
        make_contexts();
        for (unsigned i = 0; i < VARIANTS; i++) {
            tickets[i] = make_ticket(i);
        }
        is_ready = true;
    }
    generator = 2;
    struct hbk_cursor input = hbk_cursor_of(hbk_slice_of(data, size));
    unsigned flags = (unsigned)hbk_cursor_number(&input, 1) % VARIANTS;
    middle_init(&middle, flags, (flags & IS_RESUMED) != 0 ? tickets[flags] : NULL);
    middle.step_count = read_steps(&input, middle.steps);
    shake_hands(&middle);
    bool are_done = middle.client.answer == HBK_TLS_DONE && middle.server.answer == HBK_TLS_DONE;
    require(are_done || middle.step_count > 0);
    if (are_done) {
        understand_each_other(&middle);
    }
    middle_fini(&middle);
    return 0;
}
