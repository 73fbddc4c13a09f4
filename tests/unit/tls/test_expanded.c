#include "tls/expanded.h"

#include "harness.h"

static const uint8_t secret_key[HBK_AEAD_KEY_BYTES_MAX] = {1, 2, 3};

static uint16_t take(struct hbk_expanded_keys *keys, const void *user)
{
    struct hbk_expanded_key *place =
        hbk_expanded_keys_take(keys, user, HBK_AEAD_AES_128_GCM, secret_key);
    assert_non_null(place);
    assert_ptr_equal(hbk_expanded_keys_find(keys, place->number, user), place);
    return place->number;
}

static void a_place_is_its_users_until_it_is_dropped(void **state)
{
    (void)state;
    static struct hbk_expanded_keys keys;
    static char users[2];
    assert_null(hbk_expanded_keys_find(&keys, HBK_EXPANDED_KEY_NONE, NULL));
    hbk_expanded_keys_drop(&keys, HBK_EXPANDED_KEY_NONE, &users[0]);
    uint16_t place = take(&keys, &users[0]);
    assert_null(hbk_expanded_keys_find(&keys, place, &users[1]));
    hbk_expanded_keys_drop(&keys, place, &users[1]); /* not its */
    assert_non_null(hbk_expanded_keys_find(&keys, place, &users[0]));
    hbk_expanded_keys_drop(&keys, place, &users[0]);
    assert_null(hbk_expanded_keys_find(&keys, place, &users[0]));
    for (size_t i = 0; i < sizeof keys.places[place]->aead.schedule; i++) {
        assert_int_equal(keys.places[place]->aead.schedule[i], 0);
    }
    hbk_expanded_keys_drop(&keys, place, &users[0]);     /* again, and nothing */
    assert_int_equal(take(&keys, &users[1]), place);     /* the free one before a new one */
    assert_int_equal(take(&keys, &users[0]), place + 1); /* and then a new one */
    hbk_expanded_keys_fini(&keys);
    assert_int_equal(keys.count, 0);
}

static void places_are_bounded_and_the_last_comers_have_them(void **state)
{
    (void)state;
    static struct hbk_expanded_keys keys;
    static char users[4 * HBK_EXPANDED_KEYS_MAX];
    static uint16_t places[HBK_COUNT(users)];
    for (size_t i = 0; i < HBK_COUNT(users); i++) {
        places[i] = take(&keys, &users[i]);
    }
    assert_int_equal(keys.count, HBK_EXPANDED_KEYS_MAX);
    for (size_t i = 0; i < HBK_COUNT(users); i++) {
        bool is_late = i >= HBK_COUNT(users) - HBK_EXPANDED_KEYS_MAX;
        assert_int_equal(hbk_expanded_keys_find(&keys, places[i], &users[i]) != NULL, is_late);
    }
    hbk_expanded_keys_fini(&keys);
}

static void who_speaks_all_the_time_keeps_its_place(void **state)
{
    (void)state;
    static struct hbk_expanded_keys keys;
    static char users[4 * HBK_EXPANDED_KEYS_MAX];
    static char speaker;
    size_t losses = 0;
    uint16_t place = take(&keys, &speaker);
    for (size_t i = 0; i < HBK_COUNT(users); i++) {
        (void)take(&keys, &users[i]);
        if (hbk_expanded_keys_find(&keys, place, &speaker) == NULL) {
            place = take(&keys, &speaker);
            losses++;
        }
    }
    /* Once: when all places fill up, everybody has been seen since the hand stood still. */
    assert_true(losses <= 1);
    hbk_expanded_keys_fini(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_its_users_until_it_is_dropped),
        cmocka_unit_test(places_are_bounded_and_the_last_comers_have_them),
        cmocka_unit_test(who_speaks_all_the_time_keeps_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
