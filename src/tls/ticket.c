/*
 * A ticket of ours, as it travels:
 *
 *     key name 16 | nonce 12 | sealed by AES-256-GCM: content | tag 16
 *
 *     content:  format 1 | suite 2 | issued 8 | begun 8 | expires 8 (seconds, realtime)
 *             | SHA-256 of our leaf 32 | PSK (32 or 48) | server name (1 + n)
 *             | certificates of the client: count 1, each (3 + n)
 *
 * The key's name is authenticated, too. A server that restarts with keys of its own making forgets
 * all tickets; with keys from outside, or several servers with the same ones, they stay good.
 *
 * libssl seals tickets of its own format, under keys that are derived from the same ones. Into each
 * goes a content as above with zeros for the PSK, so that both engines ask the same questions
 * before they resume.
 */
#include "tls/ticket.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/secret.h"
#include "crypto/hkdf.h"
#include "tls/judge.h"
#include "tls/schedule.h"
#include "tls/ticket_parts.h"

enum {
    NAME_BYTES = 16,
    KEY_BYTES = 32,
    FORMAT = 1,
    FIXED_BYTES = 1 + 2 + 8 + 8 + 8 + HBK_SHA256_BYTES + HBK_TLS_HASH_BYTES_MAX + 1 + 255 + 1,
    SEALED_EXTRA_BYTES = NAME_BYTES + HBK_AEAD_NONCE_BYTES + HBK_AEAD_TAG_BYTES,
    MESSAGE_EXTRA_BYTES = 64,
    NONCE_BYTES = 1,
};

struct ticket_key {
    uint8_t name[NAME_BYTES];
    uint8_t key[KEY_BYTES];
};

/* The first seals, all open. Immutable. */
struct key_ring {
    size_t count;
    struct ticket_key keys[];
};

struct hbk_tls_ticket_keys {
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    bool is_made;
    struct key_ring *_Atomic ring; /* owned; release by a rotation, acquire by readers */
    struct key_ring *replaced;     /* owned; by the last rotation, which readers may be behind */
};

/* ---- keys ---- */

static struct key_ring *ring_new(size_t count)
{
    struct key_ring *ring = calloc(1, sizeof *ring + count * sizeof ring->keys[0]);
    if (ring != NULL) {
        ring->count = count;
    }
    return ring;
}

static void ring_free(struct key_ring *ring)
{
    if (ring != NULL) {
        hbk_secret_wipe(ring, sizeof *ring + ring->count * sizeof ring->keys[0]);
        free(ring);
    }
}

/* For one call: a rotation keeps it until the next one. */
static const struct key_ring *ring_of(const struct hbk_tls_ticket_keys *keys)
{
    return atomic_load_explicit(&keys->ring, memory_order_acquire);
}

/* The key of a name; the count without one. */
static size_t find_key(const struct key_ring *ring, const uint8_t name[static NAME_BYTES])
{
    size_t index = 0;
    while (index < ring->count && memcmp(ring->keys[index].name, name, NAME_BYTES) != 0) {
        index++;
    }
    return index;
}

hbk_status hbk_tls_ticket_keys_new(const struct hbk_slice *keys, size_t count,
                                   struct hbk_tls_ticket_keys **out_keys)
{
    size_t made = count == 0 ? 1 : count;
    if (count > HBK_TLS_TICKET_KEYS_MAX) {
        return HBK_LIMIT;
    }
    struct hbk_tls_ticket_keys *all = calloc(1, sizeof *all);
    struct key_ring *ring = ring_new(made);
    hbk_status status = all == NULL || ring == NULL ? HBK_NO_MEMORY : HBK_OK;
    for (size_t i = 0; i < count && status == HBK_OK; i++) {
        HBK_ASSERT(keys[i].size == HBK_TLS_TICKET_KEY_BYTES);
        memcpy(&ring->keys[i], keys[i].bytes, sizeof ring->keys[i]);
    }
    if (status == HBK_OK && count == 0 &&
        RAND_bytes((uint8_t *)&ring->keys[0], sizeof ring->keys[0]) != 1) {
        status = HBK_IO;
    }
    if (status != HBK_OK) {
        ring_free(ring);
        free(all);
        return status;
    }
    atomic_init(&all->references, 1);
    atomic_init(&all->ring, ring);
    all->is_made = count == 0;
    *out_keys = all;
    return HBK_OK;
}

hbk_status hbk_tls_ticket_keys_rotate(struct hbk_tls_ticket_keys *keys)
{
    if (!keys->is_made) {
        return HBK_OK;
    }
    struct key_ring *now = atomic_load_explicit(&keys->ring, memory_order_relaxed);
    struct key_ring *next = ring_new(2);
    if (next == NULL) {
        return HBK_NO_MEMORY;
    }
    if (RAND_bytes((uint8_t *)&next->keys[0], sizeof next->keys[0]) != 1) {
        ring_free(next);
        return HBK_IO;
    }
    next->keys[1] = now->keys[0];
    ring_free(keys->replaced);
    keys->replaced = now;
    atomic_store_explicit(&keys->ring, next, memory_order_release);
    return HBK_OK;
}

struct hbk_tls_ticket_keys *hbk_tls_ticket_keys_ref(struct hbk_tls_ticket_keys *keys)
{
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&keys->references, 1, memory_order_relaxed);
    return keys;
}

void hbk_tls_ticket_keys_unref(struct hbk_tls_ticket_keys *keys)
{
    if (keys != NULL &&
        atomic_fetch_sub_explicit(&keys->references, 1, memory_order_acq_rel) == 1) {
        ring_free(atomic_load_explicit(&keys->ring, memory_order_relaxed));
        ring_free(keys->replaced);
        free(keys);
    }
}

/* Seals or opens in place between the nonce and the tag; `sealed` is the whole ticket. */
static bool crypt(const struct ticket_key *key, struct hbk_span sealed, bool is_opening)
{
    struct hbk_aead_key schedule;
    if (hbk_aead_key_init(&schedule, HBK_AEAD_AES_256_GCM,
                          hbk_aead_best_backend(HBK_AEAD_AES_256_GCM), key->key) != HBK_OK) {
        return false;
    }
    struct hbk_aead_record record = {
        .header = hbk_slice_of(sealed.bytes, NAME_BYTES),
        .bytes = hbk_span_of(sealed.bytes + NAME_BYTES + HBK_AEAD_NONCE_BYTES,
                             sealed.size - SEALED_EXTRA_BYTES),
        .tag = sealed.bytes + sealed.size - HBK_AEAD_TAG_BYTES,
    };
    memcpy(record.nonce, sealed.bytes + NAME_BYTES, HBK_AEAD_NONCE_BYTES);
    bool is_good = is_opening ? hbk_aead_open(&schedule, &record, 1) == 1
                              : hbk_aead_seal(&schedule, &record, 1);
    hbk_aead_key_fini(&schedule);
    return is_good;
}

/* ---- giving ---- */

/* The earliest of: our usual lifetime, the end of our own leaf and of the client's path, a week
 * after the full handshake. */
static int64_t expiry_s(const struct hbk_tls_setup *setup, const struct hbk_peer *peer,
                        const struct hbk_tls_certificate *certificate, int64_t begun_ns)
{
    const int64_t second_ns = (int64_t)HBK_NS_PER_S;
    int64_t expires_ns = setup->now_ns + setup->context->ticket_lifetime_s * second_ns;
    int64_t week_ns = begun_ns + HBK_TLS_TICKET_LIFETIME_S_MAX * second_ns;
    expires_ns = week_ns < expires_ns ? week_ns : expires_ns;
    if (certificate->not_after_ns < expires_ns) {
        expires_ns = certificate->not_after_ns;
    }
    if (peer != NULL && peer->not_after_ns < expires_ns) {
        expires_ns = peer->not_after_ns;
    }
    return expires_ns / second_ns;
}

static void write_content(struct hbk_writer *writer, const struct hbk_tls_setup *setup,
                          enum hbk_cipher_suite suite, const struct hbk_peer *peer,
                          struct hbk_slice name, const uint8_t *leaf_hash, const uint8_t *psk,
                          int64_t begun_ns, int64_t expires_s)
{
    const int64_t second_ns = (int64_t)HBK_NS_PER_S;
    hbk_writer_number(writer, FORMAT, 1);
    hbk_writer_number(writer, (uint64_t)suite, 2);
    hbk_writer_number(writer, (uint64_t)(setup->now_ns / second_ns), 8);
    hbk_writer_number(writer, (uint64_t)(begun_ns / second_ns), 8);
    hbk_writer_number(writer, (uint64_t)expires_s, 8);
    hbk_writer_put(writer, hbk_slice_of(leaf_hash, HBK_SHA256_BYTES));
    hbk_writer_put(writer, hbk_slice_of(psk, hbk_cipher_suite_hash_bytes(suite)));
    hbk_writer_number(writer, name.size, 1);
    hbk_writer_put(writer, name);
    hbk_writer_number(writer, peer == NULL ? 0 : peer->certificate_count, 1);
    for (size_t i = 0; peer != NULL && i < peer->certificate_count; i++) {
        hbk_writer_number(writer, peer->certificates[i].size, 3);
        hbk_writer_put(writer, peer->certificates[i]);
    }
}

static size_t content_bytes_max(const struct hbk_peer *peer)
{
    size_t size = FIXED_BYTES;
    for (size_t i = 0; peer != NULL && i < peer->certificate_count; i++) {
        size += 3 + peer->certificates[i].size;
    }
    return size;
}

/* Writes the sealed ticket into `out`, which has room. Fails: HBK_IO. */
static hbk_status seal_ticket(const struct hbk_tls_setup *setup,
                              const struct hbk_tls_result *result,
                              const struct hbk_tls_certificate *certificate, const uint8_t *psk,
                              int64_t begun_ns, int64_t expires_s, struct hbk_writer *out)
{
    const struct ticket_key *key = &ring_of(setup->context->ticket_keys)->keys[0];
    uint8_t nonce[HBK_AEAD_NONCE_BYTES];
    static const uint8_t no_tag[HBK_AEAD_TAG_BYTES];
    size_t start = out->used;
    HBK_TRY(hbk_tls_worker_random(setup->worker, hbk_span_of(nonce, sizeof nonce)));
    hbk_writer_put(out, hbk_slice_of(key->name, NAME_BYTES));
    hbk_writer_put(out, hbk_slice_of(nonce, sizeof nonce));
    struct hbk_slice name =
        result->server_name == NULL ? hbk_slice_of(NULL, 0) : hbk_slice_text(result->server_name);
    write_content(out, setup, result->suite, result->peer, name, certificate->leaf_sha256, psk,
                  begun_ns, expires_s);
    hbk_writer_put(out, hbk_slice_of(no_tag, sizeof no_tag));
    HBK_ASSERT(!out->has_failed);
    struct hbk_span sealed = hbk_span_of(out->room.bytes + start, out->used - start);
    return crypt(key, sealed, false) ? HBK_OK : HBK_IO;
}

hbk_status hbk_tls_ticket_issue(const struct hbk_tls_setup *setup,
                                const struct hbk_tls_certificate *certificate,
                                const struct hbk_tls_result *result, int64_t begun_ns,
                                unsigned number, struct hbk_buffer *messages)
{
    const int64_t now_s = setup->now_ns / (int64_t)HBK_NS_PER_S;
    int64_t expires_s = expiry_s(setup, result->peer, certificate, begun_ns);
    size_t content_bytes = content_bytes_max(result->peer);
    if (expires_s <= now_s || SEALED_EXTRA_BYTES + content_bytes > HBK_TLS_TICKET_GIVEN_BYTES_MAX) {
        return HBK_OK; /* it would not live; or nobody could bring it back */
    }
    uint8_t nonce[NONCE_BYTES] = {(uint8_t)number};
    uint8_t psk[HBK_TLS_HASH_BYTES_MAX];
    uint32_t age_add = 0;
    size_t size = MESSAGE_EXTRA_BYTES + SEALED_EXTRA_BYTES + content_bytes;
    struct hbk_span room;
    HBK_TRY(hbk_tls_worker_random(setup->worker, hbk_span_of(&age_add, sizeof age_add)));
    HBK_TRY(hbk_buffer_reserve(messages, 2 * size, &room));
    hbk_tls_resumption_psk(result->suite, result->resumption_secret,
                           hbk_slice_of(nonce, sizeof nonce), psk);
    /* The ticket is made behind the place of the message, which then takes it in. */
    struct hbk_writer ticket = hbk_writer_of(hbk_span_of(room.bytes + size, size));
    hbk_status status = seal_ticket(setup, result, certificate, psk, begun_ns, expires_s, &ticket);
    hbk_secret_wipe(psk, sizeof psk);
    HBK_TRY(status);
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(room.bytes, size));
    const struct hbk_new_session_ticket message = {
        .lifetime_s = (uint32_t)(expires_s - now_s),
        .age_add = age_add,
        .nonce = hbk_slice_of(nonce, sizeof nonce),
        .ticket = hbk_slice_of(ticket.room.bytes, ticket.used),
    };
    hbk_new_session_ticket_write(&writer, &message);
    HBK_ASSERT(!writer.has_failed);
    hbk_buffer_commit(messages, writer.used);
    return HBK_OK;
}

/* ---- taking back ---- */

void hbk_tls_ticket_content_fini(struct hbk_tls_ticket_content *content)
{
    hbk_peer_unref(content->peer);
    hbk_secret_wipe(content, sizeof *content);
}

static bool is_leaf(const struct hbk_tls_certificate *certificate, struct hbk_slice leaf_hash)
{
    return hbk_slice_equal(leaf_hash,
                           hbk_slice_of(certificate->leaf_sha256, sizeof certificate->leaf_sha256));
}

/* Judges the client by the certificates that it had: as if it had presented them now. */
static bool judge_client(const struct hbk_tls_setup *setup, struct hbk_cursor *cursor,
                         const struct hbk_peer **out_peer)
{
    struct hbk_slice certificates[HBK_CHAIN_CERTIFICATES_MAX];
    size_t count = (size_t)hbk_cursor_number(cursor, 1);
    enum hbk_tls_client_certificate wanted = setup->context->client_certificate;
    if (count > HBK_CHAIN_CERTIFICATES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        certificates[i] = hbk_cursor_take(cursor, (size_t)hbk_cursor_number(cursor, 3));
    }
    if (cursor->has_failed || cursor->left.size > 0) {
        return false;
    }
    *out_peer = NULL;
    if (count == 0) {
        return wanted != HBK_TLS_CLIENT_CERTIFICATE_REQUIRED;
    }
    const struct hbk_chain chain = {.certificates = certificates, .count = count};
    struct hbk_verdict_failure failure = {0};
    return wanted != HBK_TLS_CLIENT_CERTIFICATE_NONE &&
           hbk_tls_judge(setup, &chain, out_peer, &failure) == HBK_OK;
}

static bool read_content(const struct hbk_tls_setup *setup,
                         const struct hbk_tls_certificate *certificate, struct hbk_slice bytes,
                         enum hbk_cipher_suite suite, struct hbk_slice server_name,
                         struct hbk_tls_ticket_content *content)
{
    struct hbk_cursor cursor = hbk_cursor_of(bytes);
    const int64_t now_s = setup->now_ns / (int64_t)HBK_NS_PER_S;
    size_t hash_bytes = hbk_cipher_suite_hash_bytes(suite);
    if (hbk_cursor_number(&cursor, 1) != FORMAT) {
        return false;
    }
    uint16_t sealed_suite = (uint16_t)hbk_cursor_number(&cursor, 2);
    int64_t issued_s = (int64_t)hbk_cursor_number(&cursor, 8);
    int64_t begun_s = (int64_t)hbk_cursor_number(&cursor, 8);
    int64_t expires_s = (int64_t)hbk_cursor_number(&cursor, 8);
    struct hbk_slice leaf_hash = hbk_cursor_take(&cursor, HBK_SHA256_BYTES);
    if (cursor.has_failed || !hbk_cipher_suite_is_known(sealed_suite) ||
        hbk_cipher_suite_hash_bytes((enum hbk_cipher_suite)sealed_suite) != hash_bytes ||
        now_s >= expires_s || now_s < issued_s) {
        return false;
    }
    struct hbk_slice psk = hbk_cursor_take(&cursor, hash_bytes);
    struct hbk_slice name = hbk_cursor_take(&cursor, (size_t)hbk_cursor_number(&cursor, 1));
    if (cursor.has_failed || !hbk_slice_equal(name, server_name) ||
        !is_leaf(certificate, leaf_hash) || !judge_client(setup, &cursor, &content->peer)) {
        return false;
    }
    memcpy(content->psk, psk.bytes, psk.size);
    content->begun_ns = begun_s * (int64_t)HBK_NS_PER_S;
    return true;
}

bool hbk_tls_ticket_open(const struct hbk_tls_setup *setup,
                         const struct hbk_tls_certificate *certificate, struct hbk_slice identity,
                         enum hbk_cipher_suite suite, struct hbk_slice server_name,
                         struct hbk_tls_ticket_content *out_content)
{
    const struct key_ring *ring = ring_of(setup->context->ticket_keys);
    if (identity.size <= SEALED_EXTRA_BYTES || identity.size > HBK_TLS_TICKET_BYTES_MAX) {
        return false;
    }
    size_t index = find_key(ring, identity.bytes);
    uint8_t *copy = index < ring->count ? malloc(identity.size) : NULL;
    if (copy == NULL) {
        return false; /* not ours; or no memory, and then a full handshake is tried */
    }
    memcpy(copy, identity.bytes, identity.size);
    struct hbk_tls_ticket_content content = {0};
    bool is_good = crypt(&ring->keys[index], hbk_span_of(copy, identity.size), true) &&
                   read_content(setup, certificate,
                                hbk_slice_of(copy + NAME_BYTES + HBK_AEAD_NONCE_BYTES,
                                             identity.size - SEALED_EXTRA_BYTES),
                                suite, server_name, &content);
    hbk_secret_wipe(copy, identity.size);
    free(copy);
    if (is_good) {
        *out_content = content;
    }
    hbk_secret_wipe(&content, sizeof content);
    return is_good;
}

/* ---- for libssl's tickets ---- */

/* The content names the hash by a suite; without a PSK any will do. */
static const enum hbk_cipher_suite no_suite = HBK_SUITE_AES_128_GCM_SHA256;

hbk_status hbk_tls_ticket_write_binding(const struct hbk_tls_setup *setup,
                                        const struct hbk_tls_certificate *certificate,
                                        const struct hbk_peer *peer, struct hbk_slice server_name,
                                        int64_t begun_ns, struct hbk_buffer *out)
{
    static const uint8_t no_psk[HBK_TLS_HASH_BYTES_MAX];
    struct hbk_span room;
    int64_t expires_s = expiry_s(setup, peer, certificate, begun_ns);
    if (expires_s <= setup->now_ns / (int64_t)HBK_NS_PER_S) {
        return HBK_LIMIT; /* it would not live */
    }
    HBK_TRY(hbk_buffer_reserve(out, content_bytes_max(peer), &room));
    struct hbk_writer writer = hbk_writer_of(room);
    write_content(&writer, setup, no_suite, peer, server_name, certificate->leaf_sha256, no_psk,
                  begun_ns, expires_s);
    HBK_ASSERT(!writer.has_failed);
    hbk_buffer_commit(out, writer.used);
    return HBK_OK;
}

bool hbk_tls_ticket_check_binding(const struct hbk_tls_setup *setup,
                                  const struct hbk_tls_certificate *certificate,
                                  struct hbk_slice binding, struct hbk_slice server_name,
                                  struct hbk_tls_ticket_content *out_content)
{
    struct hbk_tls_ticket_content content = {0};
    bool is_good = read_content(setup, certificate, binding, no_suite, server_name, &content);
    if (is_good) {
        *out_content = content;
    }
    return is_good;
}

bool hbk_tls_ticket_derive(const struct hbk_tls_ticket_keys *keys, const uint8_t *name,
                           struct hbk_tls_derived_ticket_key *out_key)
{
    const struct key_ring *ring = ring_of(keys);
    size_t index = name == NULL ? 0 : find_key(ring, name);
    if (index == ring->count) {
        return false;
    }
    struct hbk_slice key = hbk_slice_of(ring->keys[index].key, KEY_BYTES);
    memcpy(out_key->name, ring->keys[index].name, NAME_BYTES);
    out_key->is_newest = index == 0;
    bool is_good = hbk_hkdf_expand(HBK_HASH_SHA256, key, HBK_SLICE("hauberk libssl ticket cipher"),
                                   hbk_span_of(out_key->cipher_key, sizeof out_key->cipher_key)) &&
                   hbk_hkdf_expand(HBK_HASH_SHA256, key, HBK_SLICE("hauberk libssl ticket mac"),
                                   hbk_span_of(out_key->mac_key, sizeof out_key->mac_key));
    HBK_ASSERT(is_good);
    return true;
}

/* ---- a client's ---- */

hbk_status hbk_tls_ticket_new(enum hbk_cipher_suite suite, const uint8_t *resumption_secret,
                              const struct hbk_peer *peer, struct hbk_slice staple,
                              const struct hbk_new_session_ticket *message, int64_t now_ns,
                              struct hbk_tls_ticket **out_ticket)
{
    *out_ticket = NULL;
    if (message->lifetime_s == 0 || peer == NULL) {
        return HBK_OK;
    }
    uint32_t lifetime_s = message->lifetime_s < HBK_TLS_TICKET_LIFETIME_S_MAX
                              ? message->lifetime_s
                              : HBK_TLS_TICKET_LIFETIME_S_MAX;
    struct hbk_tls_ticket *ticket = calloc(1, sizeof *ticket + message->ticket.size + staple.size);
    if (ticket == NULL) {
        return HBK_NO_MEMORY;
    }
    atomic_init(&ticket->references, 1);
    ticket->suite = suite;
    ticket->age_add = message->age_add;
    ticket->received_ns = now_ns;
    ticket->expires_ns = now_ns + (int64_t)lifetime_s * (int64_t)HBK_NS_PER_S;
    ticket->peer = hbk_peer_ref(peer);
    memcpy(ticket->bytes, message->ticket.bytes, message->ticket.size);
    ticket->identity = hbk_slice_of(ticket->bytes, message->ticket.size);
    if (staple.size > 0) {
        memcpy(ticket->bytes + message->ticket.size, staple.bytes, staple.size);
        ticket->staple = hbk_slice_of(ticket->bytes + message->ticket.size, staple.size);
    }
    hbk_tls_resumption_psk(suite, resumption_secret, message->nonce, ticket->psk);
    *out_ticket = ticket;
    return HBK_OK;
}

struct hbk_tls_ticket *hbk_tls_ticket_ref(struct hbk_tls_ticket *ticket)
{
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&ticket->references, 1, memory_order_relaxed);
    return ticket;
}

void hbk_tls_ticket_unref(struct hbk_tls_ticket *ticket)
{
    if (ticket != NULL &&
        atomic_fetch_sub_explicit(&ticket->references, 1, memory_order_acq_rel) == 1) {
        hbk_peer_unref(ticket->peer);
        SSL_SESSION_free(ticket->libssl);
        hbk_secret_wipe(ticket, sizeof *ticket);
        free(ticket);
    }
}

hbk_status hbk_tls_ticket_new_libssl(struct ssl_session_st *session, const struct hbk_peer *peer,
                                     struct hbk_slice staple, int64_t now_ns,
                                     struct hbk_tls_ticket **out_ticket)
{
    int64_t lifetime_s = (int64_t)SSL_SESSION_get_ticket_lifetime_hint(session);
    *out_ticket = NULL;
    struct hbk_tls_ticket *ticket = calloc(1, sizeof *ticket + staple.size);
    if (ticket == NULL) {
        return HBK_NO_MEMORY;
    }
    atomic_init(&ticket->references, 1);
    /* RFC 5077, 3.3: zero is "no hint" in TLS 1.2; TLS 1.3's zero never comes here. */
    lifetime_s = lifetime_s == 0 || lifetime_s > HBK_TLS_TICKET_LIFETIME_S_MAX
                     ? HBK_TLS_TICKET_LIFETIME_S
                     : lifetime_s;
    ticket->received_ns = now_ns;
    ticket->expires_ns = now_ns + lifetime_s * (int64_t)HBK_NS_PER_S;
    ticket->peer = hbk_peer_ref(peer);
    ticket->libssl = session;
    if (staple.size > 0) {
        memcpy(ticket->bytes, staple.bytes, staple.size);
        ticket->staple = hbk_slice_of(ticket->bytes, staple.size);
    }
    *out_ticket = ticket;
    return HBK_OK;
}

/* Whether one of the suites that are offered goes with the ticket's hash; libssl looks itself. */
static bool has_suite_for(const struct hbk_tls_ticket *ticket, const struct hbk_tls_setup *setup)
{
    const struct hbk_tls_list *suites = &setup->context->suites;
    if (ticket->libssl != NULL) {
        return true;
    }
    size_t hash_bytes = hbk_cipher_suite_hash_bytes(ticket->suite);
    bool has_suite = false;
    for (size_t i = 0; i < suites->count; i++) {
        has_suite |=
            hbk_cipher_suite_hash_bytes((enum hbk_cipher_suite)suites->items[i]) == hash_bytes;
    }
    return has_suite;
}

bool hbk_tls_ticket_is_usable(const struct hbk_tls_ticket *ticket,
                              const struct hbk_tls_setup *setup)
{
    if (!has_suite_for(ticket, setup) || setup->now_ns < ticket->received_ns ||
        setup->now_ns >= ticket->expires_ns) {
        return false;
    }
    const struct hbk_chain chain = {
        .certificates = ticket->peer->certificates,
        .count = ticket->peer->certificate_count,
    };
    struct hbk_verdict_failure failure = {0};
    const struct hbk_peer *peer = NULL;
    if (hbk_tls_judge(setup, &chain, &peer, &failure) != HBK_OK) {
        return false;
    }
    hbk_peer_unref(peer);
    return true;
}

uint32_t hbk_tls_ticket_age(const struct hbk_tls_ticket *ticket, int64_t now_ns)
{
    const int64_t millisecond_ns = (int64_t)HBK_NS_PER_S / 1000;
    return (uint32_t)((now_ns - ticket->received_ns) / millisecond_ns) + ticket->age_add;
}
