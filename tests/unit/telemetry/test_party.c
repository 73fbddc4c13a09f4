#include "telemetry/party.h"

#include <stdio.h>

#include "harness.h"

static struct hbk_party_table table;

static int set_up(void **state)
{
    (void)state;
    return hbk_party_table_init(&table) == HBK_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_party_table_fini(&table);
    return 0;
}

static struct hbk_party_text cart(const char *pod)
{
    return (struct hbk_party_text){
        .pod = hbk_slice_text(pod),
        .workload = HBK_SLICE("cart"),
        .namespace = HBK_SLICE("shop"),
        .zone = HBK_SLICE("z1"),
    };
}

static void equal_texts_are_one_party(void **state)
{
    (void)state;
    struct hbk_party_text text = cart("cart-1");
    struct hbk_party *first = hbk_party_get(&table, &text);
    struct hbk_party *second = hbk_party_get(&table, &text);
    assert_ptr_equal(first, second);
    assert_slice_equal(first->text.pod, HBK_SLICE("cart-1"));
    assert_slice_equal(first->text.zone, HBK_SLICE("z1"));
    assert_slice_equal(first->text.cluster, HBK_SLICE(""));
    hbk_party_unref(&table, first);
    hbk_party_unref(&table, second);
}

static void texts_moved_to_another_field_are_another_party(void **state)
{
    (void)state;
    struct hbk_party_text text = cart("");
    struct hbk_party_text moved = text;
    moved.region = moved.zone;
    moved.zone = hbk_slice_of(NULL, 0);
    struct hbk_party *first = hbk_party_get(&table, &text);
    struct hbk_party *second = hbk_party_get(&table, &moved);
    assert_ptr_not_equal(first, second);
    hbk_party_unref(&table, first);
    hbk_party_unref(&table, second);
}

static void pods_of_a_workload_share_their_labels(void **state)
{
    (void)state;
    struct hbk_party_text one = cart("cart-1");
    struct hbk_party_text two = cart("cart-2");
    struct hbk_party *first = hbk_party_get(&table, &one);
    struct hbk_party *second = hbk_party_get(&table, &two);
    assert_ptr_not_equal(first, second);
    assert_ptr_equal(first->labels, second->labels);
    assert_slice_equal(first->labels->text.pod, HBK_SLICE(""));
    assert_ptr_equal(first->labels->labels, first->labels);
    hbk_party_unref(&table, first);
    hbk_party_unref(&table, second);
}

static void the_last_holder_frees_a_party(void **state)
{
    (void)state;
    size_t before = table.parties.count;
    struct hbk_party_text text = cart("cart-1");
    struct hbk_party *party = hbk_party_ref(hbk_party_get(&table, &text));
    assert_int_equal(table.parties.count, before + 2);
    hbk_party_unref(&table, party);
    assert_int_equal(table.parties.count, before + 2);
    hbk_party_unref(&table, party);
    assert_int_equal(table.parties.count, before);
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    char text[HBK_PARTY_TEXT_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    struct hbk_party_text party_text = {.principal = hbk_slice_of(text, sizeof text)};
    struct hbk_party *party = hbk_party_get(&table, &party_text);
    assert_int_equal(party->text.principal.size, HBK_PARTY_TEXT_BYTES_MAX);
    hbk_party_unref(&table, party);
}

static void nobody_and_no_service_need_no_texts(void **state)
{
    (void)state;
    struct hbk_party_text empty = {0};
    struct hbk_party *party = hbk_party_get(&table, NULL);
    struct hbk_party *same = hbk_party_get(&table, &empty);
    assert_ptr_equal(party, same);
    struct hbk_destination *destination = hbk_destination_get(&table, NULL);
    assert_slice_equal(destination->text.host, HBK_SLICE(""));
    hbk_party_unref(&table, party);
    hbk_party_unref(&table, same);
    hbk_destination_unref(&table, destination);
}

static void beyond_the_limit_everybody_is_other(void **state)
{
    (void)state;
    static struct hbk_party *held[HBK_PARTIES_MAX];
    size_t count = 0;
    while (table.parties.count < HBK_PARTIES_MAX) {
        char name[24];
        (void)snprintf(name, sizeof name, "w-%zu", count);
        struct hbk_party_text text = {.workload = hbk_slice_text(name)};
        held[count++] = hbk_party_get(&table, &text);
    }
    struct hbk_party_text late = {.workload = HBK_SLICE("late"), .pod = HBK_SLICE("late-1")};
    struct hbk_party *folded = hbk_party_get(&table, &late);
    assert_slice_equal(folded->text.workload, HBK_SLICE("other"));
    assert_int_equal(table.folded, 1);

    /* With one place left a pod gets a party, but its labels are folded. */
    hbk_party_unref(&table, held[--count]);
    struct hbk_party *half = hbk_party_get(&table, &late);
    assert_slice_equal(half->text.pod, HBK_SLICE("late-1"));
    assert_slice_equal(half->labels->text.workload, HBK_SLICE("other"));

    hbk_party_unref(&table, half);
    hbk_party_unref(&table, folded);
    while (count > 0) {
        hbk_party_unref(&table, held[--count]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_texts_are_one_party, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_moved_to_another_field_are_another_party, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pods_of_a_workload_share_their_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_holder_frees_a_party, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_text_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_and_no_service_need_no_texts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_limit_everybody_is_other, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
