#include "discovery/mesh_source.h"

#include "scratch.h"

#include "base/clock.h"
#include "base/log.h"
#include "model/memory.h"

enum { TURNS_MAX = 1000 };

static struct scratch scratch;
static struct hbk_mesh_source source;

struct seen {
    uint64_t generation;
    size_t workloads;
    int count;
};

static void note_mesh(struct hbk_mesh *mesh, void *context)
{
    struct seen *seen = context;
    seen->generation = mesh->generation;
    seen->workloads = hbk_mesh_count(mesh, HBK_MESH_WORKLOADS);
    seen->count++;
}

/* Turns the loop until the number of loads, good and bad, has been reached. */
static void wait_for_loads(struct hbk_loop *loop, uint64_t loads)
{
    for (int i = 0; i < TURNS_MAX && source.loads + source.failed_loads < loads; i++) {
        hbk_loop_turn(loop, HBK_NS_PER_S);
    }
    assert_int_equal(source.loads + source.failed_loads, loads);
}

static void a_good_change_is_handed_out_and_a_bad_one_changes_nothing(void **state)
{
    (void)state;
    static const char one[] =
        "workloads: [{uid: u, name: n, namespace: s, workloadIps: [10.0.0.1]}]";
    struct hbk_loop loop;
    struct seen seen = {0};
    size_t live = hbk_model_memory().live;
    scratch_make(&scratch);
    scratch_replace(&scratch, "mesh.yaml", "{}");
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    assert_int_equal(
        hbk_mesh_source_open(&source, &loop, scratch_path(&scratch, "mesh.yaml"), note_mesh, &seen),
        HBK_OK);
    assert_int_equal(source.mesh->generation, 1);
    assert_int_equal(seen.count, 0);

    scratch_replace(&scratch, "mesh.yaml", one);
    wait_for_loads(&loop, 2);
    assert_int_equal(seen.generation, 2);
    assert_int_equal(seen.workloads, 1);

    scratch_overwrite(&scratch, "mesh.yaml", "workloads: [{uid: u}]");
    wait_for_loads(&loop, 3);
    assert_int_equal(source.failed_loads, 1);
    assert_int_equal(source.report.count, 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(source.mesh->generation, 2);

    scratch_replace(&scratch, "mesh.yaml", "{}");
    wait_for_loads(&loop, 4);
    assert_int_equal(seen.generation, 3);
    assert_int_equal(seen.workloads, 0);

    hbk_mesh_source_close(&source);
    hbk_loop_fini(&loop);
    scratch_remove(&scratch);
    assert_int_equal(hbk_model_memory().live, live);
}

static void a_first_file_that_is_wrong_or_missing_is_an_error(void **state)
{
    (void)state;
    struct hbk_loop loop;
    scratch_make(&scratch);
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    assert_int_equal(
        hbk_mesh_source_open(&source, &loop, scratch_path(&scratch, "mesh.yaml"), note_mesh, NULL),
        HBK_NOT_FOUND);
    assert_int_equal(source.report.count, 1);
    scratch_replace(&scratch, "mesh.yaml", "nonsense");
    assert_int_equal(
        hbk_mesh_source_open(&source, &loop, scratch_path(&scratch, "mesh.yaml"), note_mesh, NULL),
        HBK_INVALID);
    assert_int_equal(
        hbk_mesh_source_open(&source, &loop, "/nonexistent/mesh.yaml", note_mesh, NULL),
        HBK_NOT_FOUND);
    assert_string_equal(source.report.lines[0],
                        "/nonexistent/mesh.yaml: cannot be watched: not found");
    hbk_loop_fini(&loop);
    scratch_remove(&scratch);
}

int main(void)
{
    hbk_log_set_level(HBK_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_change_is_handed_out_and_a_bad_one_changes_nothing),
        cmocka_unit_test(a_first_file_that_is_wrong_or_missing_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
