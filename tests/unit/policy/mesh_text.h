/* Meshes for tests, written as the file that they would come from. */
#pragma once

#include "config/mesh_file.h"

#include "harness.h"

/* The mesh that the text describes, held by the caller; a mistake in it fails the test. */
static inline struct hbk_mesh *mesh_of(const char *text)
{
    static struct hbk_report report;
    struct hbk_mesh *mesh = NULL;
    hbk_status status =
        hbk_mesh_file_parse("test.yaml", hbk_slice_text(text), NULL, &mesh, &report);
    for (size_t i = 0; i < report.count; i++) {
        print_error("%s\n", report.lines[i]);
    }
    assert_int_equal(status, HBK_OK);
    return mesh;
}

static inline const struct hbk_workload *workload_of(const struct hbk_mesh *mesh, const char *uid)
{
    const struct hbk_workload *workload = hbk_mesh_workload(mesh, hbk_slice_text(uid));
    assert_non_null(workload);
    return workload;
}

static inline struct hbk_address address_of(const char *text)
{
    struct hbk_address address;
    assert_true(hbk_address_parse(hbk_slice_text(text), &address));
    return address;
}
