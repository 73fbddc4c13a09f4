/*
 * Certificates and revocation lists for benchmarks of programs that read PEM files: an authority of
 * its own for each run, P-256, and leaves below it. Everything is public; nothing outlives the
 * private world that it is written in. Thread: control.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/status.h"

struct hbk_material; /* the authority */

enum { HBK_MATERIAL_PATH_BYTES_MAX = 256 };

/* Makes the authority and writes `folder`/ca.pem. Fails: HBK_IO, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_material_new(const char *folder, struct hbk_material **out_material,
                                         struct hbk_error *error);
void hbk_material_free(struct hbk_material *material); /* NULL is allowed */

/* Writes a leaf for a DNS name: leaf, authority and key in one file. A key of RSA-2048 or P-256.
 * Fails: HBK_IO, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_material_write_leaf(const struct hbk_material *material,
                                                const char *path, const char *host, bool is_rsa,
                                                struct hbk_error *error);

/* Writes a revocation list of so many entries with serial numbers of 16 bytes, none of them in use;
 * about 47 bytes of PEM each. */
HBK_MUST_USE hbk_status hbk_material_write_list(const struct hbk_material *material,
                                                const char *path, unsigned entries,
                                                struct hbk_error *error);
