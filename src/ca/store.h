/*
 * The directory of a built-in CA, as `hauberk ca init` makes it:
 *
 *     root.pem        the root's certificate
 *     root-key.pem    its key, mode 0600
 *     bundle.pem      optional: more roots to trust, for a change of the root
 *     crl.pem         optional: revocation lists, PEM or DER
 *
 * and the files that `hauberk ca issue` writes for one identity (see folder.h, which reads them).
 * Control thread.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "identity/authority.h"
#include "identity/bundle.h"

#define HBK_CA_ROOT_FILE "root.pem"
#define HBK_CA_ROOT_KEY_FILE "root-key.pem"
#define HBK_CA_BUNDLE_FILE "bundle.pem"
#define HBK_CA_CRL_FILE "crl.pem"
#define HBK_CA_KEY_SUFFIX "-key.pem"
#define HBK_CA_CERTIFICATE_SUFFIX ".pem"

/*
 * Makes the directory, if it is missing, and a root in it. A root that is there is never replaced.
 * Fails: HBK_EXISTS, and as hbk_authority_make_root() and hbk_file_write(); the error names the
 * file.
 */
HBK_MUST_USE hbk_status hbk_ca_store_init(const char *path, struct hbk_slice trust_domain,
                                          int64_t now_ns, struct hbk_error *error);

/* Reads the root and its key. Fails: as hbk_file_read() and hbk_authority_new(); the error names
 * the file. */
HBK_MUST_USE hbk_status hbk_ca_store_open(const char *path, struct hbk_authority **out_authority,
                                          struct hbk_error *error);

/* Reads what to trust: the roots of root.pem and bundle.pem, the lists of crl.pem. Fails likewise.
 */
HBK_MUST_USE hbk_status hbk_ca_store_bundle(const char *path, const struct hbk_authority *authority,
                                            struct hbk_bundle **out_bundle,
                                            struct hbk_error *error);

enum { HBK_CA_FILE_NAME_BYTES_MAX = 200 };

/* The name that an identity's files begin with: "shop.cart" for /ns/shop/sa/cart, and the path with
 * dots for slashes else, its end if it is long. Returns `name`. */
const char *hbk_ca_file_name(const struct hbk_spiffe_id *id,
                             char name[static HBK_CA_FILE_NAME_BYTES_MAX]);

/*
 * Writes an identity's files into `path`, made if it is missing: NAME-key.pem (mode 0600),
 * NAME.pem, and bundle.pem with the root. Each is replaced as a whole.
 * Fails: as hbk_file_write(); the error names the file.
 */
HBK_MUST_USE hbk_status hbk_ca_store_write(const char *path, const struct hbk_spiffe_id *id,
                                           const struct hbk_issued *issued,
                                           struct hbk_slice roots_pem, struct hbk_error *error);

/*
 * Reads a file for this room: what is secret in it is wiped by hbk_ca_bytes_fini(). A missing
 * optional file is empty. Fails: as hbk_file_read(); the error names the file.
 */
struct hbk_ca_bytes {
    struct hbk_arena arena;
    struct hbk_slice bytes; /* of the arena */
};
HBK_MUST_USE hbk_status hbk_ca_bytes_read(struct hbk_ca_bytes *out_bytes, const char *directory,
                                          const char *name, size_t bytes_max, bool is_optional,
                                          struct hbk_error *error);
void hbk_ca_bytes_fini(struct hbk_ca_bytes *bytes);
