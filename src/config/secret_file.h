/*
 * Secrets in a file, as Envoy's SDS reads them from one: YAML or JSON in the shape of a
 * DiscoveryResponse, `resources` with secrets.
 */
#pragma once

#include "base/arena.h"
#include "config/report.h"
#include "model/gateway_tls.h"

enum { HBK_SECRET_FILE_BYTES_MAX = 4 << 20 };

/*
 * Reads the secret of that name. Everything lies in the arena, which the caller wipes.
 * Fails: HBK_INVALID, HBK_NOT_FOUND (no such secret) and the file system's failures, told in
 * `report`, which is started anew; HBK_NO_MEMORY. Control thread.
 */
HBK_MUST_USE hbk_status hbk_secret_file_load(const char *path, struct hbk_slice name,
                                             struct hbk_arena *arena,
                                             const struct hbk_gw_secret **out_secret,
                                             struct hbk_report *report);
