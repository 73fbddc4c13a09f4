#include "base/map.h"

#include "harness.h"

enum { OBJECTS = 500 };

struct object {
    unsigned key;
    bool is_in;
};

static bool has_key(const void *object, const void *key)
{
    return ((const struct object *)object)->key == *(const unsigned *)key;
}

/* Few hash values, so that runs are long and deletion has to shift. */
static uint64_t hash_of(unsigned key)
{
    return key % 37;
}

static void a_map_agrees_with_an_array_under_random_changes(void **state)
{
    (void)state;
    static struct object objects[OBJECTS];
    struct hbk_map map;
    hbk_map_init(&map);
    uint64_t random = 1;
    for (int step = 0; step < 20000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        unsigned key = (unsigned)(random >> 33) % OBJECTS;
        struct object *object = &objects[key];
        object->key = key;
        if (object->is_in) {
            assert_true(hbk_map_remove(&map, hash_of(key), object));
        } else {
            assert_int_equal(hbk_map_add(&map, hash_of(key), object), HBK_OK);
        }
        object->is_in = !object->is_in;
        unsigned other = (unsigned)(random >> 20) % OBJECTS;
        const void *expected = objects[other].is_in ? &objects[other] : NULL;
        assert_ptr_equal(hbk_map_find(&map, hash_of(other), has_key, &other), expected);
    }
    size_t cursor = 0;
    size_t walked = 0;
    for (struct object *object; (object = hbk_map_next(&map, &cursor)) != NULL; walked++) {
        assert_true(object->is_in);
    }
    assert_int_equal(walked, map.count);
    hbk_map_fini(&map);
}

static void an_empty_map_finds_and_removes_nothing(void **state)
{
    (void)state;
    struct hbk_map map;
    hbk_map_init(&map);
    unsigned key = 1;
    assert_null(hbk_map_find(&map, 1, has_key, &key));
    assert_false(hbk_map_remove(&map, 1, &key));
    hbk_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_agrees_with_an_array_under_random_changes),
        cmocka_unit_test(an_empty_map_finds_and_removes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
