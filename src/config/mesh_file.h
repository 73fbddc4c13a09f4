/*
 * The mesh file: YAML in ztunnel's local format (workloads, services, policies) with our own pods,
 * peerAuthentications, outboundPlainText and tlsEngine. docs/examples/mesh.yaml shows all of it.
 */
#pragma once

#include "config/report.h"
#include "model/mesh.h"

/* 50,000 workloads need about 30 MiB. */
enum { HBK_MESH_FILE_BYTES_MAX = 128 << 20 };

/*
 * Reads the file and builds a mesh that shares with `old` (NULL: none) whatever is the same.
 *
 * Memory:  the mesh has one holder, the caller.
 * Fails:   HBK_INVALID and each of the file system's failures, all told in `report`, which is
 *          started anew; HBK_NO_MEMORY. `old` is as it was.
 * Thread:  control only.
 */
HBK_MUST_USE hbk_status hbk_mesh_file_load(const char *path, const struct hbk_mesh *old,
                                           struct hbk_mesh **out_mesh, struct hbk_report *report);

/* The same from memory; `name` stands for the file in the report. */
HBK_MUST_USE hbk_status hbk_mesh_file_parse(const char *name, struct hbk_slice text,
                                            const struct hbk_mesh *old, struct hbk_mesh **out_mesh,
                                            struct hbk_report *report);
