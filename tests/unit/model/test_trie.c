#include "model/trie.h"

#include <stdio.h>

#include "harness.h"

#include "base/hash.h"
#include "model/memory.h"

enum { KEYS = 4000 };

struct entry {
    struct hbk_record record;
    uint32_t number;
};

static const struct hbk_shape_field entry_fields[] = {
    HBK_SHAPE_TEXT(struct entry, record.key),
    HBK_SHAPE_VALUE(struct entry, number),
};

static const struct hbk_record_kind entry_kind = {
    .name = "entry",
    .shape = HBK_SHAPE_OF(struct entry, entry_fields),
};

static struct hbk_record *new_entry(uint32_t key, uint32_t number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "key-%u", key);
    struct entry spec = {.record.key = hbk_slice_of(text, (size_t)size), .number = number};
    struct hbk_record *record = NULL;
    assert_int_equal(hbk_record_new(&entry_kind, &spec.record, &record), HBK_OK);
    return record;
}

static void put(struct hbk_trie *trie, uint32_t key, uint32_t number)
{
    struct hbk_record *record = new_entry(key, number);
    assert_int_equal(hbk_trie_put(trie, record), HBK_OK);
    hbk_record_unref(record);
}

/* The number under the key; 0 when there is none. */
static uint32_t look(const struct hbk_trie *trie, uint32_t key)
{
    char text[32];
    int size = snprintf(text, sizeof text, "key-%u", key);
    struct hbk_slice slice = hbk_slice_of(text, (size_t)size);
    const struct entry *entry = (const struct entry *)hbk_trie_find(trie, hbk_hash(slice), slice);
    return entry == NULL ? 0 : entry->number;
}

static void erase(struct hbk_trie *trie, uint32_t key)
{
    char text[32];
    int size = snprintf(text, sizeof text, "key-%u", key);
    struct hbk_slice slice = hbk_slice_of(text, (size_t)size);
    assert_int_equal(hbk_trie_remove(trie, hbk_hash(slice), slice), HBK_OK);
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static void check_against(const struct hbk_trie *trie, const uint32_t *numbers)
{
    size_t count = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        assert_int_equal(look(trie, key), numbers[key]);
        count += numbers[key] != 0;
    }
    assert_int_equal(trie->count, count);
    struct hbk_trie_walk walk = hbk_trie_begin(trie);
    size_t walked = 0;
    while (hbk_trie_next(&walk) != NULL) {
        walked++;
    }
    assert_int_equal(walked, count);
}

static void a_trie_and_its_copies_agree_with_arrays_under_random_changes(void **state)
{
    (void)state;
    size_t live = hbk_model_memory().live;
    enum { COPIES = 4 };
    static uint32_t numbers[COPIES][KEYS];
    struct hbk_trie tries[COPIES];
    for (int i = 0; i < COPIES; i++) {
        hbk_trie_init(&tries[i]);
    }
    uint64_t random = 7;
    for (int step = 0; step < 40000; step++) {
        uint32_t which = next_random(&random) % COPIES;
        uint32_t key = next_random(&random) % KEYS;
        uint32_t action = next_random(&random) % 1000;
        if (action == 0) {
            uint32_t from = next_random(&random) % COPIES;
            if (from != which) {
                hbk_trie_fini(&tries[which]);
                hbk_trie_copy(&tries[which], &tries[from]);
                memcpy(numbers[which], numbers[from], sizeof numbers[which]);
            }
        } else if (action < 400) {
            erase(&tries[which], key);
            numbers[which][key] = 0;
        } else {
            put(&tries[which], key, (uint32_t)step + 1);
            numbers[which][key] = (uint32_t)step + 1;
        }
    }
    for (int i = 0; i < COPIES; i++) {
        check_against(&tries[i], numbers[i]);
        hbk_trie_fini(&tries[i]);
    }
    assert_int_equal(hbk_model_memory().live, live);
}

static void records_with_equal_hashes_live_side_by_side(void **state)
{
    (void)state;
    enum { EQUALS = 5 };
    struct hbk_trie trie;
    hbk_trie_init(&trie);
    struct hbk_record *records[EQUALS];
    for (uint32_t i = 0; i < EQUALS; i++) {
        records[i] = new_entry(i, i + 1);
        records[i]->hash = 42;
        assert_int_equal(hbk_trie_put(&trie, records[i]), HBK_OK);
    }
    assert_int_equal(trie.count, EQUALS);
    for (uint32_t i = 0; i < EQUALS; i++) {
        assert_ptr_equal(hbk_trie_find(&trie, 42, records[i]->key), records[i]);
    }
    struct hbk_trie copy;
    hbk_trie_copy(&copy, &trie);
    for (uint32_t i = 0; i < EQUALS; i++) {
        assert_int_equal(hbk_trie_remove(&trie, 42, records[i]->key), HBK_OK);
        assert_null(hbk_trie_find(&trie, 42, records[i]->key));
        assert_ptr_equal(hbk_trie_find(&copy, 42, records[i]->key), records[i]);
    }
    assert_int_equal(trie.count, 0);
    assert_int_equal(copy.count, EQUALS);
    hbk_trie_fini(&copy);
    hbk_trie_fini(&trie);
    for (uint32_t i = 0; i < EQUALS; i++) {
        hbk_record_unref(records[i]);
    }
}

static void a_change_of_one_in_fifty_thousand_copies_a_handful_of_nodes(void **state)
{
    (void)state;
    struct hbk_trie old;
    hbk_trie_init(&old);
    for (uint32_t key = 0; key < 50000; key++) {
        put(&old, key, 1);
    }
    uint64_t taken = hbk_model_memory().taken;
    struct hbk_trie fresh;
    hbk_trie_copy(&fresh, &old);
    put(&fresh, 31337, 2);
    uint64_t nodes = hbk_model_memory().taken - taken - 1;
    struct hbk_trie_sharing sharing = hbk_trie_sharing(&old, &fresh);
    print_message("one of 50000 changed: %zu of %zu nodes are shared, %u were copied\n",
                  sharing.shared, sharing.total, (unsigned)nodes);
    assert_int_equal(sharing.total - sharing.shared, nodes);
    assert_in_range(nodes, 3, 6);
    assert_int_equal(look(&old, 31337), 1);
    assert_int_equal(look(&fresh, 31337), 2);
    hbk_trie_fini(&old);
    assert_int_equal(look(&fresh, 777), 1);
    hbk_trie_fini(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trie_and_its_copies_agree_with_arrays_under_random_changes),
        cmocka_unit_test(records_with_equal_hashes_live_side_by_side),
        cmocka_unit_test(a_change_of_one_in_fifty_thousand_copies_a_handful_of_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
