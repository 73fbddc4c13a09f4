/*
 * The native engine's tickets: that a resumed session is what it was, and that no ticket outlives
 * what vouched for it. What tickets are bound to, with either engine, is in test_resumption.c.
 * Whatever is wrong with a ticket, the handshake goes on without it (RFC 8446, 4.2.11); only a
 * binder that is wrong ends it.
 */
#include "meeting.h"
#include "stranger.h"
#include "tls/ticket_parts.h"

static struct authority authority;
static struct pair_worker worker;

/* ---- two contexts, and meetings of them ---- */

struct house {
    struct hbk_tls_context *client, *server;
};

struct plan {
    struct hbk_tls_context_options client, server;
    const struct forged *clients_leaf, *servers_leaf; /* default: P-256; the client has one */
    bool client_is_anonymous;
    struct hbk_tls_ticket_keys *keys; /* default: new ones */
};

static struct house house_of(struct plan plan)
{
    struct hbk_tls_ticket_keys *keys = NULL;
    struct house house;
    plan.client.engine = plan.server.engine = HBK_TLS_ENGINE_NATIVE;
    plan.client.resumes = true;
    if (plan.keys == NULL) {
        assert_int_equal(hbk_tls_ticket_keys_new(NULL, 0, &keys), HBK_OK);
        plan.keys = keys;
    }
    if (plan.clients_leaf == NULL && !plan.client_is_anonymous) {
        plan.clients_leaf = authority_client(&authority, AUTHORITY_P256);
    }
    if (plan.servers_leaf == NULL) {
        plan.servers_leaf = authority_server(&authority, AUTHORITY_P256);
    }
    plan.server.ticket_keys = plan.keys;
    house.client = authority_context(&authority, plan.client, plan.clients_leaf);
    house.server = authority_context(&authority, plan.server, plan.servers_leaf);
    hbk_tls_ticket_keys_unref(keys);
    return house;
}

static void house_free(struct house *house)
{
    hbk_tls_context_unref(house->client);
    hbk_tls_context_unref(house->server);
}

enum outcome { FULL, RESUMED };

/*
 * A meeting with a ticket, or with none, that must go well in the way that is expected. Returns the
 * newest ticket that came of it; the one given is used up.
 */
static struct hbk_tls_ticket *meet(const struct house *house, struct hbk_tls_ticket *ticket,
                                   int64_t now_ns, enum outcome expected)
{
    struct pair *pair = meeting_of(&worker, house->client, house->server, ticket, now_ns);
    meeting_run(&worker, pair, meeting_at_once);
    meeting_expect_done(pair);
    struct hbk_tls_agreement of_client = hbk_tls_agreement(pair->client);
    struct hbk_tls_agreement of_server = hbk_tls_agreement(pair->server);
    assert_int_equal(of_client.was_resumed, expected == RESUMED);
    assert_int_equal(of_server.was_resumed, expected == RESUMED);
    assert_int_equal(of_client.group, of_server.group);
    assert_int_not_equal(of_client.group, 0);
    assert_string_equal(of_client.cipher_text, of_server.cipher_text);
    assert_int_equal(of_client.peer_scheme == 0, expected == RESUMED);
    /* Who the peers are is known as if they had presented themselves. */
    assert_non_null(hbk_tls_peer(pair->client));
    meeting_expect_same_keys(pair);
    struct hbk_tls_ticket *newest = hbk_tls_take_ticket(pair->client);
    assert_null(hbk_tls_take_ticket(pair->client));
    pair_free(pair);
    hbk_tls_ticket_unref(ticket);
    return newest;
}

/* The first meeting of a house, which gives a ticket. */
static struct hbk_tls_ticket *meet_first(const struct house *house)
{
    struct hbk_tls_ticket *ticket = meet(house, NULL, FORGE_NOW_NS, FULL);
    assert_non_null(ticket);
    return ticket;
}

/* A meeting that fails with an alert of that side. */
static void meet_badly(const struct house *house, struct hbk_tls_ticket *ticket, int64_t now_ns,
                       bool is_client, int alert)
{
    struct pair *pair = meeting_of(&worker, house->client, house->server, ticket, now_ns);
    meeting_run(&worker, pair, meeting_at_once);
    meeting_expect_failed(pair, is_client, alert);
    pair_free(pair);
    hbk_tls_ticket_unref(ticket);
}

static const int64_t minute_ns = INT64_C(60) * 1000000000;

/* ---- what resumes ---- */

static void sessions_resume_in_every_suite_and_group(void **state)
{
    (void)state;
    static const uint16_t suites[] = {HBK_SUITE_AES_128_GCM_SHA256, HBK_SUITE_AES_256_GCM_SHA384,
                                      HBK_SUITE_CHACHA20_POLY1305_SHA256};
    static const uint16_t groups[] = {HBK_GROUP_X25519, HBK_GROUP_P256, HBK_GROUP_P384};
    for (size_t i = 0; i < HBK_COUNT(suites); i++) {
        for (size_t j = 0; j < HBK_COUNT(groups); j++) {
            for (unsigned is_anonymous = 0; is_anonymous < 2; is_anonymous++) {
                struct hbk_tls_context_options options = {
                    .suites = &suites[i], .suite_count = 1, .groups = &groups[j], .group_count = 1};
                struct plan plan = {
                    .client = options, .server = options, .client_is_anonymous = is_anonymous == 1};
                plan.server.client_certificate = is_anonymous == 1
                                                     ? HBK_TLS_CLIENT_CERTIFICATE_NONE
                                                     : HBK_TLS_CLIENT_CERTIFICATE_REQUIRED;
                struct house house = house_of(plan);
                struct hbk_tls_ticket *ticket = meet_first(&house);
                for (unsigned times = 1; times < 4; times++) {
                    ticket = meet(&house, ticket, FORGE_NOW_NS + times * minute_ns, RESUMED);
                    assert_non_null(ticket);
                }
                hbk_tls_ticket_unref(ticket);
                house_free(&house);
            }
        }
    }
}

static void the_peers_of_a_resumed_session_are_those_of_the_first(void **state)
{
    (void)state;
    struct house house = house_of((struct plan){0});
    struct hbk_tls_ticket *ticket = meet_first(&house);
    struct pair *pair = meeting_of(&worker, house.client, house.server, ticket, FORGE_NOW_NS);
    meeting_run(&worker, pair, meeting_at_once);
    meeting_expect_done(pair);
    assert_true(hbk_tls_agreement(pair->server).was_resumed);
    assert_slice_equal(hbk_tls_peer(pair->client)->names.dns_names, hbk_slice_of("cart.test", 10));
    assert_slice_equal(hbk_tls_peer(pair->server)->names.dns_names, hbk_slice_of("web.test", 9));
    assert_slice_equal(hbk_tls_agreement(pair->server).server_name, HBK_SLICE("cart.test"));
    pair_free(pair);
    hbk_tls_ticket_unref(ticket);
    house_free(&house);
}

static void a_session_resumes_after_a_retry(void **state)
{
    (void)state;
    static const uint16_t both[] = {HBK_GROUP_X25519, HBK_GROUP_P256};
    struct house house = house_of((struct plan){
        .client = {.groups = both, .group_count = 2},
        .server = {.groups = &both[1], .group_count = 1},
    });
    uint64_t retries = hbk_tls_worker_counters(worker.tls)->retries_asked;
    struct hbk_tls_ticket *ticket = meet_first(&house);
    ticket = meet(&house, ticket, FORGE_NOW_NS + minute_ns, RESUMED);
    assert_int_equal(hbk_tls_worker_counters(worker.tls)->retries_asked, retries + 2);
    hbk_tls_ticket_unref(ticket);
    house_free(&house);
}

/* A ticket is bound to the hash of its suite, not to the suite. */
static void a_session_resumes_in_another_suite_of_the_same_hash_alone(void **state)
{
    /* RFC 8446 4.2.11: a session resumes in a suite of its hash alone */
    (void)state;
    static const uint16_t aes128[] = {HBK_SUITE_AES_128_GCM_SHA256};
    static const uint16_t chacha[] = {HBK_SUITE_CHACHA20_POLY1305_SHA256};
    static const uint16_t aes256[] = {HBK_SUITE_AES_256_GCM_SHA384};
    static const struct {
        const uint16_t *suite;
        enum outcome outcome;
    } cases[] = {{aes128, RESUMED}, {chacha, RESUMED}, {aes256, FULL}};
    struct hbk_tls_ticket_keys *keys = NULL;
    assert_int_equal(hbk_tls_ticket_keys_new(NULL, 0, &keys), HBK_OK);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct house first =
            house_of((struct plan){.server = {.suites = aes128, .suite_count = 1}, .keys = keys});
        struct house second = house_of(
            (struct plan){.server = {.suites = cases[i].suite, .suite_count = 1}, .keys = keys});
        struct hbk_tls_ticket *ticket = meet_first(&first);
        ticket = meet(&second, ticket, FORGE_NOW_NS + minute_ns, cases[i].outcome);
        hbk_tls_ticket_unref(ticket);
        house_free(&first);
        house_free(&second);
    }
    hbk_tls_ticket_keys_unref(keys);
}

/* ---- what does not ---- */

static void a_ticket_lives_two_hours_and_not_before_it_was_given(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &authority.root,
                                              .names = "critical,DNS:cart.test",
                                              .end_ns = FORGE_NOW_NS + FORGE_DAY_NS});
    struct forged web = forge((struct forge){.signer = &authority.root,
                                             .names = "critical,DNS:web.test",
                                             .end_ns = FORGE_NOW_NS + FORGE_DAY_NS});
    const struct {
        int64_t after_ns;
        enum outcome outcome;
    } cases[] = {
        {0, RESUMED},
        {119 * minute_ns, RESUMED},
        {120 * minute_ns - 1000000000, RESUMED},
        {120 * minute_ns, FULL},
        {121 * minute_ns, FULL},
        {-1 * minute_ns, FULL},
    };
    struct house house = house_of((struct plan){.servers_leaf = &leaf, .clients_leaf = &web});
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        for (unsigned is_stubborn = 0; is_stubborn < 2; is_stubborn++) {
            struct hbk_tls_ticket *ticket = meet_first(&house);
            if (is_stubborn == 1) {
                /* A client that offers it all the same: the server looks for itself. */
                ticket->received_ns = INT64_MIN / 2;
                ticket->expires_ns = INT64_MAX;
            }
            ticket = meet(&house, ticket, FORGE_NOW_NS + cases[i].after_ns, cases[i].outcome);
            hbk_tls_ticket_unref(ticket);
        }
    }
    house_free(&house);
    forged_free(&leaf);
    forged_free(&web);
}

/* Certificates that end sooner end the ticket sooner: the server's, and the client's. */
static void a_ticket_does_not_outlive_a_certificate(void **state)
{
    (void)state;
    for (unsigned is_client = 0; is_client < 2; is_client++) {
        struct forged brief = forge(
            (struct forge){.signer = &authority.root,
                           .names = is_client ? "critical,DNS:web.test" : "critical,DNS:cart.test",
                           .end_ns = FORGE_NOW_NS + 10 * minute_ns});
        struct house house = house_of((struct plan){.servers_leaf = is_client ? NULL : &brief,
                                                    .clients_leaf = is_client ? &brief : NULL});
        struct hbk_tls_ticket *ticket = meet_first(&house);
        assert_true(ticket->expires_ns <= FORGE_NOW_NS + 10 * minute_ns);
        ticket = meet(&house, ticket, FORGE_NOW_NS + 9 * minute_ns, RESUMED);
        ticket->expires_ns = INT64_MAX;
        meet_badly(&house, ticket, FORGE_NOW_NS + 11 * minute_ns, !is_client,
                   HBK_ALERT_CERTIFICATE_EXPIRED);
        house_free(&house);
        forged_free(&brief);
    }
}

/* A chain of resumptions ends a week after its full handshake. */
static void resumptions_end_a_week_after_the_full_handshake(void **state)
{
    /* RFC 8446 4.6.1: no ticket outlives seven days */
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &authority.root,
                                              .names = "critical,DNS:cart.test",
                                              .end_ns = FORGE_NOW_NS + 30 * FORGE_DAY_NS});
    struct forged web = forge((struct forge){.signer = &authority.root,
                                             .names = "critical,DNS:web.test",
                                             .end_ns = FORGE_NOW_NS + 30 * FORGE_DAY_NS});
    struct house house = house_of((struct plan){.servers_leaf = &leaf, .clients_leaf = &web});
    struct hbk_tls_ticket *ticket = meet_first(&house);
    int64_t now_ns = FORGE_NOW_NS;
    const int64_t week_ns = 7 * FORGE_DAY_NS;
    unsigned resumptions = 0;
    while (now_ns + 110 * minute_ns < FORGE_NOW_NS + week_ns) {
        now_ns += 110 * minute_ns;
        ticket = meet(&house, ticket, now_ns, RESUMED);
        assert_non_null(ticket);
        resumptions++;
    }
    assert_in_range(resumptions, 80, 100);
    ticket->expires_ns = INT64_MAX;
    ticket = meet(&house, ticket, FORGE_NOW_NS + week_ns, FULL);
    hbk_tls_ticket_unref(ticket);
    house_free(&house);
    forged_free(&leaf);
    forged_free(&web);
}

/* Offers a ticket of the first house to the second, which shares its keys. */
static void offer_elsewhere(struct plan first_plan, struct plan second_plan, enum outcome outcome)
{
    struct hbk_tls_ticket_keys *keys = NULL;
    assert_int_equal(hbk_tls_ticket_keys_new(NULL, 0, &keys), HBK_OK);
    first_plan.keys = second_plan.keys = keys;
    struct house first = house_of(first_plan);
    struct house second = house_of(second_plan);
    struct hbk_tls_ticket *ticket = meet_first(&first);
    ticket = meet(&second, ticket, FORGE_NOW_NS + minute_ns, outcome);
    hbk_tls_ticket_unref(ticket);
    house_free(&first);
    house_free(&second);
    hbk_tls_ticket_keys_unref(keys);
}

/* Who was trusted when the ticket was given may not be now. */
static void a_ticket_does_not_outlive_the_trust_in_a_peer(void **state)
{
    (void)state;
    struct authority other;
    authority_init(&other, "other root");
    const struct hbk_trust *again = authority_trust(authority.root.certificate);
    struct hbk_tls_ticket_keys *keys = NULL;
    assert_int_equal(hbk_tls_ticket_keys_new(NULL, 0, &keys), HBK_OK);
    struct house first = house_of((struct plan){.keys = keys});

    /* A new generation of the same roots: judged anew, and good. */
    struct house same = house_of(
        (struct plan){.client = {.trust = again}, .server = {.trust = again}, .keys = keys});
    struct hbk_tls_ticket *ticket = meet_first(&first);
    ticket = meet(&same, ticket, FORGE_NOW_NS + minute_ns, RESUMED);
    hbk_tls_ticket_unref(ticket);

    /* The server does not trust the client any more; then the client its server. */
    for (unsigned is_client = 0; is_client < 2; is_client++) {
        struct house changed =
            house_of((struct plan){.client = {.trust = is_client ? other.trust : NULL},
                                   .server = {.trust = is_client ? NULL : other.trust},
                                   .keys = keys});
        meet_badly(&changed, meet_first(&first), FORGE_NOW_NS + minute_ns, is_client == 1,
                   HBK_ALERT_UNKNOWN_CA);
        house_free(&changed);
    }

    house_free(&first);
    house_free(&same);
    hbk_tls_ticket_keys_unref(keys);
    hbk_trust_unref(again);
    authority_fini(&other);
}

/* A ticket of a client without a certificate does not get one around the question. */
static void an_anonymous_session_does_not_become_a_mutual_one(void **state)
{
    (void)state;
    const struct plan anonymous = {
        .client_is_anonymous = true,
        .server = {.client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE}};
    const struct plan asked = {.server = {.client_certificate = HBK_TLS_CLIENT_CERTIFICATE_ASKED}};
    offer_elsewhere(anonymous, (struct plan){0}, FULL);
    offer_elsewhere(anonymous, asked, RESUMED);
}

static struct hbk_tls_ticket_keys *keys_of(const uint8_t *numbers, size_t count)
{
    uint8_t bytes[4][HBK_TLS_TICKET_KEY_BYTES];
    struct hbk_slice slices[4];
    struct hbk_tls_ticket_keys *keys = NULL;
    for (size_t i = 0; i < count; i++) {
        memset(bytes[i], numbers[i], sizeof bytes[i]);
        slices[i] = hbk_slice_of(bytes[i], sizeof bytes[i]);
    }
    assert_int_equal(hbk_tls_ticket_keys_new(slices, count, &keys), HBK_OK);
    return keys;
}

static void ticket_keys_rotate(void **state)
{
    (void)state;
    static const struct {
        uint8_t first[2], second[2];
        size_t first_count, second_count;
        enum outcome outcome;
    } cases[] = {
        {{1}, {1}, 1, 1, RESUMED},       {{1}, {2, 1}, 1, 2, RESUMED}, {{1}, {2}, 1, 1, FULL},
        {{1, 2}, {2, 1}, 2, 2, RESUMED}, {{1, 2}, {2}, 2, 1, FULL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_tls_ticket_keys *before = keys_of(cases[i].first, cases[i].first_count);
        struct hbk_tls_ticket_keys *after = keys_of(cases[i].second, cases[i].second_count);
        struct house first = house_of((struct plan){.keys = before});
        struct house second = house_of((struct plan){.keys = after});
        struct hbk_tls_ticket *ticket = meet_first(&first);
        ticket = meet(&second, ticket, FORGE_NOW_NS + minute_ns, cases[i].outcome);
        hbk_tls_ticket_unref(ticket);
        house_free(&first);
        house_free(&second);
        hbk_tls_ticket_keys_unref(before);
        hbk_tls_ticket_keys_unref(after);
    }
}

static void keys_of_our_own_making_rotate_in_their_place(void **state)
{
    (void)state;
    struct hbk_tls_ticket_keys *keys = NULL;
    assert_int_equal(hbk_tls_ticket_keys_new(NULL, 0, &keys), HBK_OK);
    struct house house = house_of((struct plan){.keys = keys});
    struct hbk_tls_derived_ticket_key before, after;
    assert_true(hbk_tls_ticket_derive(keys, NULL, &before) && before.is_newest);
    struct hbk_tls_ticket *one = meet_first(&house), *two = meet_first(&house);
    assert_int_equal(hbk_tls_ticket_keys_rotate(keys), HBK_OK);
    one = meet(&house, one, FORGE_NOW_NS + minute_ns, RESUMED);
    assert_true(hbk_tls_ticket_derive(keys, before.name, &after) && !after.is_newest);
    assert_memory_equal(after.cipher_key, before.cipher_key, sizeof after.cipher_key);
    assert_true(hbk_tls_ticket_derive(keys, NULL, &after) && after.is_newest);
    assert_memory_not_equal(after.mac_key, before.mac_key, sizeof after.mac_key);
    assert_int_equal(hbk_tls_ticket_keys_rotate(keys), HBK_OK);
    one = meet(&house, one, FORGE_NOW_NS + 2 * minute_ns, RESUMED); /* given after the first */
    two = meet(&house, two, FORGE_NOW_NS + 2 * minute_ns, FULL);
    assert_false(hbk_tls_ticket_derive(keys, before.name, &after));
    hbk_tls_ticket_unref(one);
    hbk_tls_ticket_unref(two);
    house_free(&house);
    hbk_tls_ticket_keys_unref(keys);
}

static void keys_from_outside_stay_as_they_are(void **state)
{
    (void)state;
    struct hbk_tls_ticket_keys *keys = keys_of((const uint8_t[]){1}, 1);
    struct house house = house_of((struct plan){.keys = keys});
    struct hbk_tls_ticket *ticket = meet_first(&house);
    assert_int_equal(hbk_tls_ticket_keys_rotate(keys), HBK_OK);
    assert_int_equal(hbk_tls_ticket_keys_rotate(keys), HBK_OK);
    hbk_tls_ticket_unref(meet(&house, ticket, FORGE_NOW_NS + minute_ns, RESUMED));
    house_free(&house);
    hbk_tls_ticket_keys_unref(keys);
}

/* Keys of the same name and other content: the tag tells. */
static void a_key_of_the_same_name_is_not_the_same_key(void **state)
{
    (void)state;
    uint8_t one[HBK_TLS_TICKET_KEY_BYTES] = {0};
    uint8_t two[HBK_TLS_TICKET_KEY_BYTES] = {0};
    two[HBK_TLS_TICKET_KEY_BYTES - 1] = 1;
    const struct hbk_slice slices[] = {hbk_slice_of(one, sizeof one),
                                       hbk_slice_of(two, sizeof two)};
    struct hbk_tls_ticket_keys *keys[2] = {NULL, NULL};
    struct house houses[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(hbk_tls_ticket_keys_new(&slices[i], 1, &keys[i]), HBK_OK);
        houses[i] = house_of((struct plan){.keys = keys[i]});
    }
    struct hbk_tls_ticket *ticket = meet_first(&houses[0]);
    ticket = meet(&houses[1], ticket, FORGE_NOW_NS, FULL);
    hbk_tls_ticket_unref(ticket);
    for (size_t i = 0; i < 2; i++) {
        house_free(&houses[i]);
        hbk_tls_ticket_keys_unref(keys[i]);
    }
}

static void a_ticket_that_was_changed_in_any_byte_is_not_resumed(void **state)
{
    (void)state;
    struct house house =
        house_of((struct plan){.client_is_anonymous = true,
                               .server = {.client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE}});
    struct hbk_tls_ticket *ticket = meet_first(&house);
    size_t size = ticket->identity.size;
    for (size_t at = 0; at < size; at++) {
        ticket->bytes[at] ^= 0x40;
        hbk_tls_ticket_unref(meet(&house, hbk_tls_ticket_ref(ticket), FORGE_NOW_NS, FULL));
        ticket->bytes[at] ^= 0x40;
    }
    /* Shorter ones, down to a single byte. */
    for (size_t left = size - 1; left > 0; left = left > 40 ? left - 7 : left - 1) {
        ticket->identity.size = left;
        hbk_tls_ticket_unref(meet(&house, hbk_tls_ticket_ref(ticket), FORGE_NOW_NS, FULL));
    }
    ticket->identity.size = size;
    hbk_tls_ticket_unref(meet(&house, ticket, FORGE_NOW_NS, RESUMED));
    house_free(&house);
}

/* Who has a ticket and not its secret is told so: the binder is wrong (4.2.11). */
static void a_ticket_without_its_secret_ends_the_connection(void **state)
{
    (void)state;
    struct house house = house_of((struct plan){0});
    for (size_t at = 0; at < 32; at++) {
        struct hbk_tls_ticket *ticket = meet_first(&house);
        ticket->psk[at] ^= 1;
        meet_badly(&house, ticket, FORGE_NOW_NS, false, HBK_ALERT_DECRYPT_ERROR);
    }
    house_free(&house);
}

static void a_client_that_does_not_resume_is_given_no_ticket(void **state)
{
    (void)state;
    struct house house = house_of((struct plan){0});
    struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE};
    struct hbk_tls_context *plain =
        authority_context(&authority, options, authority_client(&authority, AUTHORITY_P256));
    struct pair *pair = meeting_of(&worker, plain, house.server, NULL, FORGE_NOW_NS);
    meeting_run(&worker, pair, meeting_at_once);
    meeting_expect_done(pair);
    assert_int_equal(pair->to_client.size, 0);
    pair_free(pair);
    hbk_tls_context_unref(plain);
    house_free(&house);
}

/* The largest that a client keeps, by a server that does not know it: what goes wrong is the
 * resumption alone. */
static void a_ticket_of_any_size_that_is_kept_can_be_offered(void **state)
{
    (void)state;
    static uint8_t bytes[HBK_TLS_TICKET_BYTES_MAX] = {1};
    static const size_t sizes[] = {1, HBK_TLS_TICKET_BYTES_MAX / 2, HBK_TLS_TICKET_BYTES_MAX};
    struct house house = house_of((struct plan){0});
    const struct habits habits = {.is_server = true,
                                  .certificate = authority_server(&authority, AUTHORITY_P256),
                                  .has_no_demands = true};
    for (size_t i = 0; i < HBK_COUNT(sizes); i++) {
        struct hbk_tls_ticket *ticket = meet_first(&house);
        ticket->identity = hbk_slice_of(bytes, sizes[i]);
        const struct hbk_tls_options options = {.server_name = HBK_SLICE("cart.test"),
                                                .ticket = ticket};
        struct interop *interop = interop_of(&habits, NULL, &worker, house.client, options);
        interop_shake(interop);
        assert_int_equal(interop->answer, HBK_TLS_DONE);
        assert_int_equal(interop->ssl_result, 1);
        assert_false(hbk_tls_agreement(interop->session).was_resumed);
        hbk_tls_ticket_unref(ticket);
        interop_free(interop);
    }
    house_free(&house);
}

static int set_up(void **state)
{
    (void)state;
    authority_init(&authority, "test root");
    pair_worker_init(&worker, 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_worker_fini(&worker);
    authority_fini(&authority);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_resume_in_every_suite_and_group),
        cmocka_unit_test(the_peers_of_a_resumed_session_are_those_of_the_first),
        cmocka_unit_test(a_session_resumes_after_a_retry),
        cmocka_unit_test(a_session_resumes_in_another_suite_of_the_same_hash_alone),
        cmocka_unit_test(a_ticket_lives_two_hours_and_not_before_it_was_given),
        cmocka_unit_test(a_ticket_does_not_outlive_a_certificate),
        cmocka_unit_test(resumptions_end_a_week_after_the_full_handshake),
        cmocka_unit_test(a_ticket_does_not_outlive_the_trust_in_a_peer),
        cmocka_unit_test(an_anonymous_session_does_not_become_a_mutual_one),
        cmocka_unit_test(ticket_keys_rotate),
        cmocka_unit_test(keys_of_our_own_making_rotate_in_their_place),
        cmocka_unit_test(keys_from_outside_stay_as_they_are),
        cmocka_unit_test(a_key_of_the_same_name_is_not_the_same_key),
        cmocka_unit_test(a_ticket_that_was_changed_in_any_byte_is_not_resumed),
        cmocka_unit_test(a_ticket_without_its_secret_ends_the_connection),
        cmocka_unit_test(a_client_that_does_not_resume_is_given_no_ticket),
        cmocka_unit_test(a_ticket_of_any_size_that_is_kept_can_be_offered),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
