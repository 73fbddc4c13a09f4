/*
 * The mesh of a file that may change while the agent runs: reads it, watches it on the control
 * loop, and hands each good mesh out. A file that is wrong leaves the mesh as it was; what is wrong
 * with it goes to the log. Control thread only.
 */
#pragma once

#include "config/mesh_file.h"
#include "discovery/file_watch.h"
#include "runtime/loop.h"

struct hbk_mesh_source {
    struct hbk_loop *loop; /* borrowed */
    struct hbk_file_watch watch;
    struct hbk_source source;
    struct hbk_timer timer;
    struct hbk_mesh *mesh; /* held: the newest good one */

    /* Called with each new mesh, which is held by the source until the next; take a reference to
     * keep it longer. */
    void (*on_mesh)(struct hbk_mesh *mesh, void *context);
    void *context;

    uint64_t loads;           /* good files */
    uint64_t failed_loads;    /* files that were wrong or could not be read */
    struct hbk_report report; /* of the last file that was wrong */
};

/*
 * Reads the file, which must be good, and starts to watch it. `on_mesh` is first called for the
 * next change; the first mesh is source->mesh.
 * Fails: as hbk_mesh_file_load(), told in source->report, and as hbk_file_watch_open().
 */
HBK_MUST_USE hbk_status hbk_mesh_source_open(struct hbk_mesh_source *source, struct hbk_loop *loop,
                                             const char *path,
                                             void (*on_mesh)(struct hbk_mesh *mesh, void *context),
                                             void *context);
void hbk_mesh_source_close(struct hbk_mesh_source *source);
