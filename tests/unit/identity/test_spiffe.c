#include "identity/spiffe.h"

#include <pthread.h>
#include <stdio.h>

#include "harness.h"

static void ids_follow_the_specification(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_id;
        const char *trust_domain, *path, *namespace_, *service_account;
    } cases[] = {
        {"spiffe://mesh.example/ns/shop/sa/cart", true, "mesh.example", "/ns/shop/sa/cart", "shop",
         "cart"},
        {"spiffe://mesh.example", true, "mesh.example", "", "", ""},
        {"spiffe://a_b-c.9/X/y.z", true, "a_b-c.9", "/X/y.z", "", ""},
        {"spiffe://10.0.0.1/a", true, "10.0.0.1", "/a", "", ""},
        {"spiffe://td/ns/shop/sa/cart/more", true, "td", "/ns/shop/sa/cart/more", "", ""},
        {"spiffe://td/ns/shop/sa", true, "td", "/ns/shop/sa", "", ""},
        {"spiffe://td/NS/shop/sa/cart", true, "td", "/NS/shop/sa/cart", "", ""},
        {"spiffe://td/...", true, "td", "/...", "", ""},
        {"", false, NULL, NULL, NULL, NULL},
        {"spiffe:", false, NULL, NULL, NULL, NULL},
        {"spiffe://", false, NULL, NULL, NULL, NULL},
        {"spiffe:///a", false, NULL, NULL, NULL, NULL},
        {"SPIFFE://td/a", false, NULL, NULL, NULL, NULL},
        {"https://td/a", false, NULL, NULL, NULL, NULL},
        {"spiffe://TD/a", false, NULL, NULL, NULL, NULL},
        {"spiffe://td:443/a", false, NULL, NULL, NULL, NULL},
        {"spiffe://user@td/a", false, NULL, NULL, NULL, NULL},
        {"spiffe://[::1]/a", false, NULL, NULL, NULL, NULL},
        {"spiffe://t%64/a", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/a/", false, NULL, NULL, NULL, NULL},
        {"spiffe://td//a", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/a/./b", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/..", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/a?b", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/a#b", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/%41", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/a b", false, NULL, NULL, NULL, NULL},
        {"spiffe://td/\xc3\xa4", false, NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_spiffe_parts parts;
        bool is_id = hbk_spiffe_parse(hbk_slice_text(cases[i].text), &parts);
        if (is_id != cases[i].is_id) {
            fail_msg("\"%s\" was%s taken", cases[i].text, is_id ? "" : " not");
        }
        if (is_id) {
            assert_slice_equal(parts.trust_domain, hbk_slice_text(cases[i].trust_domain));
            assert_slice_equal(parts.path, hbk_slice_text(cases[i].path));
            assert_slice_equal(parts.namespace_, hbk_slice_text(cases[i].namespace_));
            assert_slice_equal(parts.service_account, hbk_slice_text(cases[i].service_account));
        }
    }
}

static void a_zero_byte_is_no_part_of_an_id(void **state)
{
    (void)state;
    struct hbk_spiffe_parts parts;
    assert_false(hbk_spiffe_parse(HBK_SLICE("spiffe://td/a\0b"), &parts));
    assert_false(hbk_spiffe_parse(HBK_SLICE("spiffe://td\0/b"), &parts));
}

/* SPIFFE-ID, 2.3: URIs of 2048 bytes must be supported; 2.1: trust domains of 255 bytes. */
static void lengths_are_limited(void **state)
{
    (void)state;
    char text[HBK_SPIFFE_ID_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    memcpy(text, "spiffe://td/", 12);
    struct hbk_spiffe_parts parts;
    assert_true(hbk_spiffe_parse(hbk_slice_of(text, HBK_SPIFFE_ID_BYTES_MAX), &parts));
    assert_false(hbk_spiffe_parse(hbk_slice_of(text, HBK_SPIFFE_ID_BYTES_MAX + 1), &parts));

    memset(text, 'a', sizeof text);
    memcpy(text, "spiffe://", 9);
    assert_true(hbk_spiffe_parse(hbk_slice_of(text, 9 + 255), &parts));
    assert_false(hbk_spiffe_parse(hbk_slice_of(text, 9 + 256), &parts));
}

static void one_text_is_one_object_while_somebody_holds_it(void **state)
{
    (void)state;
    const struct hbk_spiffe_id *first = NULL;
    const struct hbk_spiffe_id *second = NULL;
    const struct hbk_spiffe_id *other = NULL;
    assert_int_equal(hbk_spiffe_count(), 0);
    assert_int_equal(hbk_spiffe_intern(HBK_SLICE("spiffe://td/ns/a/sa/b"), &first), HBK_OK);
    assert_int_equal(
        hbk_spiffe_intern_account(HBK_SLICE("td"), HBK_SLICE("a"), HBK_SLICE("b"), &second),
        HBK_OK);
    assert_int_equal(hbk_spiffe_intern(HBK_SLICE("spiffe://td/ns/a/sa/c"), &other), HBK_OK);
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, other);
    assert_slice_equal(first->without_scheme, HBK_SLICE("td/ns/a/sa/b"));
    assert_slice_equal(first->parts.service_account, HBK_SLICE("b"));
    assert_string_equal((const char *)first->text.bytes, "spiffe://td/ns/a/sa/b");
    assert_int_equal(hbk_spiffe_count(), 2);
    hbk_spiffe_unref(first);
    hbk_spiffe_unref(other);
    assert_int_equal(hbk_spiffe_count(), 1);
    hbk_spiffe_unref(second);
    hbk_spiffe_unref(NULL);
    assert_int_equal(hbk_spiffe_count(), 0);
}

static void what_is_no_id_is_not_interned(void **state)
{
    (void)state;
    const struct hbk_spiffe_id *id = NULL;
    assert_int_equal(hbk_spiffe_intern(HBK_SLICE("spiffe://td/"), &id), HBK_INVALID);
    assert_int_equal(
        hbk_spiffe_intern_account(HBK_SLICE("td"), HBK_SLICE("a/sa/b"), HBK_SLICE("c"), &id),
        HBK_INVALID);
    assert_int_equal(hbk_spiffe_intern_account(HBK_SLICE("td"), HBK_SLICE("a"), HBK_SLICE(""), &id),
                     HBK_INVALID);
    assert_null(id);
    assert_int_equal(hbk_spiffe_count(), 0);
}

/* Returns NULL, or its argument when an id could not be made. */
static void *intern_and_drop(void *argument)
{
    const unsigned *rounds = argument;
    for (unsigned i = 0; i < *rounds; i++) {
        char text[64];
        int size = snprintf(text, sizeof text, "spiffe://td/%u", i % 3);
        const struct hbk_spiffe_id *id = NULL;
        if (hbk_spiffe_intern(hbk_slice_of(text, (size_t)size), &id) != HBK_OK) {
            return argument;
        }
        hbk_spiffe_unref(hbk_spiffe_ref(id));
        hbk_spiffe_unref(id);
    }
    return NULL;
}

static void threads_share_the_table(void **state)
{
    (void)state;
    unsigned round_count = 2000;
    pthread_t threads[4];
    for (size_t i = 0; i < HBK_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, intern_and_drop, &round_count), 0);
    }
    for (size_t i = 0; i < HBK_COUNT(threads); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(hbk_spiffe_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_follow_the_specification),
        cmocka_unit_test(a_zero_byte_is_no_part_of_an_id),
        cmocka_unit_test(lengths_are_limited),
        cmocka_unit_test(one_text_is_one_object_while_somebody_holds_it),
        cmocka_unit_test(what_is_no_id_is_not_interned),
        cmocka_unit_test(threads_share_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
