/*
 * The mesh file. Whatever the text is, reading it either gives a mesh that can be walked, routed
 * over and dropped, or a report that is not empty; and reading it again on top of the result shares
 * everything with it.
 */
#include "fuzz_target.h"

#include <stdlib.h>

#include "base/assert.h"
#include "config/mesh_file.h"
#include "model/memory.h"
#include "policy/authorize.h"
#include "policy/route.h"

/*
 * libfyaml 0.7 forgets a few KiB when it meets a syntax error behind a long single-quoted text.
 * That happens once for each bad file, and it is not ours to mend.
 */
const char *__lsan_default_suppressions(void);

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static void use_workload(const struct hbk_mesh *mesh, const struct hbk_workload *workload)
{
    struct hbk_address destination = {.ip = {.size = 4, .bytes = {10, 96, 4, 2}}, .port = 80};
    struct hbk_route route;
    hbk_route_outbound(mesh, workload, &destination, 42, &route);
    HBK_ASSERT((route.kind == HBK_ROUTE_REFUSED) == (route.text[0] != '\0'));
    for (uint32_t i = 0; i < workload->ip_count; i++) {
        destination.ip = workload->ips[i];
        hbk_route_outbound(mesh, workload, &destination, 43, &route);
    }
    struct hbk_authorize_input input = {
        .source = destination, .destination = destination, .source_identity = workload->identity};
    struct hbk_authorization authorization;
    hbk_authorize(mesh, workload, &input, &authorization);
    HBK_ASSERT(hbk_authorize_is_same(mesh, mesh, workload));
}

static void use_mesh(const struct hbk_mesh *mesh)
{
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_WORKLOADS);
    const struct hbk_record *record;
    while ((record = hbk_trie_next(&walk)) != NULL) {
        use_workload(mesh, (const struct hbk_workload *)record);
    }
}

static void check_sharing(const struct hbk_mesh *old, const struct hbk_mesh *fresh)
{
    for (int part = 0; part < HBK_MESH_LISTED_PARTS; part++) {
        struct hbk_trie_sharing sharing = hbk_trie_sharing(&old->parts[part], &fresh->parts[part]);
        HBK_ASSERT(sharing.shared == sharing.total);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hbk_report report;
    struct hbk_slice text = hbk_slice_of(data, size);
    struct hbk_mesh *mesh = NULL;
    hbk_status status = hbk_mesh_file_parse("fuzz", text, NULL, &mesh, &report);
    HBK_ASSERT((status == HBK_OK) == (mesh != NULL));
    HBK_ASSERT((status == HBK_INVALID) == (report.count > 0));
    if (mesh != NULL) {
        use_mesh(mesh);
        struct hbk_mesh *again = NULL;
        HBK_ASSERT(hbk_mesh_file_parse("fuzz", text, mesh, &again, &report) == HBK_OK);
        check_sharing(mesh, again);
        hbk_mesh_unref(again);
        hbk_mesh_unref(mesh);
    }
    HBK_ASSERT(hbk_model_memory().live == 0);
    return 0;
}
