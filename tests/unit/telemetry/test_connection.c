#include "telemetry/connection.h"

#include "harness.h"

static struct hbk_address address(const char *text)
{
    struct hbk_address parsed;
    assert_true(hbk_address_parse(hbk_slice_text(text), &parsed));
    return parsed;
}

static void entries_come_out_as_they_went_in(void **state)
{
    (void)state;
    const struct hbk_connection_entry entries[] = {
        {.workload_uid = HBK_SLICE("c0//Pod/shop/cart-1"),
         .is_inbound = true,
         .protocol = HBK_CONNECTION_HBONE,
         .tls_engine = "native",
         .source = address("10.0.0.1:1"),
         .original_destination = address("[fd00::1]:80"),
         .actual_destination = address("10.0.0.3:3")},
        {.workload_uid = HBK_SLICE(""), .source = address("10.0.0.4:4")},
    };
    struct hbk_buffer buffer;
    hbk_buffer_init(&buffer, 4096);
    for (size_t i = 0; i < HBK_COUNT(entries); i++) {
        assert_int_equal(hbk_connection_entry_append(&buffer, &entries[i]), HBK_OK);
    }
    struct hbk_slice left = hbk_buffer_slice(&buffer);
    struct hbk_connection_entry found;
    for (size_t i = 0; i < HBK_COUNT(entries); i++) {
        assert_true(hbk_connection_entry_next(&left, &found));
        assert_slice_equal(found.workload_uid, entries[i].workload_uid);
        assert_int_equal(found.is_inbound, entries[i].is_inbound);
        assert_int_equal(found.protocol, entries[i].protocol);
        assert_ptr_equal(found.tls_engine, entries[i].tls_engine);
        assert_true(hbk_address_equal(&found.source, &entries[i].source));
        assert_true(
            hbk_address_equal(&found.original_destination, &entries[i].original_destination));
        assert_true(hbk_address_equal(&found.actual_destination, &entries[i].actual_destination));
    }
    assert_false(hbk_connection_entry_next(&left, &found));
    hbk_buffer_fini(&buffer);
}

static void an_entry_that_does_not_fit_leaves_the_others_whole(void **state)
{
    (void)state;
    const struct hbk_connection_entry entry = {.workload_uid = HBK_SLICE("uid"),
                                               .source = address("10.0.0.1:1")};
    struct hbk_buffer buffer;
    hbk_buffer_init(&buffer, 200);
    size_t count = 0;
    while (hbk_connection_entry_append(&buffer, &entry) == HBK_OK) {
        count++;
    }
    assert_true(count > 0);
    struct hbk_slice left = hbk_buffer_slice(&buffer);
    struct hbk_connection_entry found;
    while (hbk_connection_entry_next(&left, &found)) {
        count--;
    }
    assert_int_equal(count, 0);
    hbk_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_out_as_they_went_in),
        cmocka_unit_test(an_entry_that_does_not_fit_leaves_the_others_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
