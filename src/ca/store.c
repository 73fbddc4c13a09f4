#include "ca/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/secret.h"
#include "identity/svid.h"
#include "os/file.h"
#include "os/watch.h"

enum { PUBLIC_FILE_MODE = 0644, SECRET_FILE_MODE = 0600, DIRECTORY_MODE = 0755 };

static hbk_status join_path(char path[static HBK_PATH_BYTES_MAX], const char *directory,
                            const char *name, struct hbk_error *error)
{
    int size = snprintf(path, HBK_PATH_BYTES_MAX, "%s/%s", directory, name);
    return size >= 0 && size < HBK_PATH_BYTES_MAX
               ? HBK_OK
               : hbk_error_set(error, HBK_INVALID, "a path above %d bytes", HBK_PATH_BYTES_MAX);
}

hbk_status hbk_ca_bytes_read(struct hbk_ca_bytes *out_bytes, const char *directory,
                             const char *name, size_t bytes_max, bool is_optional,
                             struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    HBK_TRY(join_path(path, directory, name, error));
    *out_bytes = (struct hbk_ca_bytes){0};
    hbk_arena_init(&out_bytes->arena);
    hbk_status status = hbk_file_read(&out_bytes->arena, path, bytes_max, &out_bytes->bytes);
    if (status == HBK_OK || (status == HBK_NOT_FOUND && is_optional)) {
        return HBK_OK;
    }
    hbk_arena_fini(&out_bytes->arena);
    return hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
}

void hbk_ca_bytes_fini(struct hbk_ca_bytes *bytes)
{
    if (bytes->bytes.size > 0) {
        /* Ours: the arena lent it as constant only. */
        hbk_secret_wipe((void *)(uintptr_t)bytes->bytes.bytes, bytes->bytes.size);
    }
    hbk_arena_fini(&bytes->arena);
    bytes->bytes = hbk_slice_of(NULL, 0);
}

static hbk_status write_file(const char *directory, const char *name, struct hbk_slice bytes,
                             mode_t mode, struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    HBK_TRY(join_path(path, directory, name, error));
    hbk_status status = hbk_file_write(path, bytes, mode);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
}

static hbk_status make_directory(const char *path, struct hbk_error *error)
{
    hbk_status status = hbk_directory_make(path, DIRECTORY_MODE);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
}

static hbk_status check_absent(const char *directory, const char *name, struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    HBK_TRY(join_path(path, directory, name, error));
    struct hbk_file_mark mark = hbk_file_mark_of(path);
    return !mark.exists ? HBK_OK
                        : hbk_error_set(error, HBK_EXISTS,
                                        "%s is there already, and a root is never replaced: "
                                        "remove it yourself or choose another directory",
                                        path);
}

hbk_status hbk_ca_store_init(const char *path, struct hbk_slice trust_domain, int64_t now_ns,
                             struct hbk_error *error)
{
    HBK_TRY(check_absent(path, HBK_CA_ROOT_FILE, error));
    HBK_TRY(check_absent(path, HBK_CA_ROOT_KEY_FILE, error));
    struct hbk_issued root;
    hbk_issued_init(&root);
    hbk_status status = hbk_authority_make_root(trust_domain, now_ns, &root, error);
    if (status == HBK_OK) {
        status = make_directory(path, error);
    }
    if (status == HBK_OK) {
        status = write_file(path, HBK_CA_ROOT_KEY_FILE, hbk_buffer_slice(&root.key_pem),
                            SECRET_FILE_MODE, error);
    }
    if (status == HBK_OK) {
        status = write_file(path, HBK_CA_ROOT_FILE, hbk_buffer_slice(&root.chain_pem),
                            PUBLIC_FILE_MODE, error);
    }
    hbk_issued_fini(&root);
    return status;
}

hbk_status hbk_ca_store_open(const char *path, struct hbk_authority **out_authority,
                             struct hbk_error *error)
{
    struct hbk_ca_bytes root;
    struct hbk_ca_bytes key;
    hbk_status status =
        hbk_ca_bytes_read(&root, path, HBK_CA_ROOT_FILE, HBK_CHAIN_BYTES_MAX, false, error);
    if (status != HBK_OK) {
        hbk_error_prefix(error, "no CA (\"hauberk ca init DIR\" makes one)");
        return status;
    }
    status = hbk_ca_bytes_read(&key, path, HBK_CA_ROOT_KEY_FILE, HBK_PRIVATE_KEY_BYTES_MAX, false,
                               error);
    if (status == HBK_OK) {
        status = hbk_authority_new(root.bytes, key.bytes, out_authority, error);
        if (status != HBK_OK) {
            hbk_error_prefix(error, "%s/%s", path, HBK_CA_ROOT_FILE);
        }
        hbk_ca_bytes_fini(&key);
    }
    hbk_ca_bytes_fini(&root);
    return status;
}

hbk_status hbk_ca_store_bundle(const char *path, const struct hbk_authority *authority,
                               struct hbk_bundle **out_bundle, struct hbk_error *error)
{
    struct hbk_ca_bytes more;
    struct hbk_ca_bytes crl;
    HBK_TRY(hbk_ca_bytes_read(&more, path, HBK_CA_BUNDLE_FILE, HBK_BUNDLE_BYTES_MAX, true, error));
    hbk_status status =
        hbk_ca_bytes_read(&crl, path, HBK_CA_CRL_FILE, HBK_BUNDLE_CRL_BYTES_MAX, true, error);
    if (status != HBK_OK) {
        hbk_ca_bytes_fini(&more);
        return status;
    }
    struct hbk_buffer roots;
    hbk_buffer_init(&roots, HBK_BUNDLE_BYTES_MAX + HBK_CHAIN_BYTES_MAX);
    status = hbk_buffer_append(&roots, hbk_authority_root_pem(authority));
    if (status == HBK_OK) {
        status = hbk_buffer_append(&roots, more.bytes);
    }
    if (status == HBK_OK) {
        status = hbk_bundle_new(hbk_authority_trust_domain(authority), hbk_buffer_slice(&roots),
                                crl.bytes, out_bundle, error);
        if (status != HBK_OK) {
            hbk_error_prefix(error, "%s, %s or %s", path, HBK_CA_BUNDLE_FILE, HBK_CA_CRL_FILE);
        }
    }
    hbk_buffer_fini(&roots);
    hbk_ca_bytes_fini(&crl);
    hbk_ca_bytes_fini(&more);
    return status;
}

const char *hbk_ca_file_name(const struct hbk_spiffe_id *id,
                             char name[static HBK_CA_FILE_NAME_BYTES_MAX])
{
    const struct hbk_spiffe_parts *parts = &id->parts;
    int size =
        parts->service_account.size > 0
            ? snprintf(name, HBK_CA_FILE_NAME_BYTES_MAX, "%.*s.%.*s",
                       HBK_SLICE_ARGS(parts->namespace_), HBK_SLICE_ARGS(parts->service_account))
            : HBK_CA_FILE_NAME_BYTES_MAX;
    if (size < HBK_CA_FILE_NAME_BYTES_MAX) {
        return name;
    }
    struct hbk_slice path = hbk_slice_part(parts->path, 1, parts->path.size);
    size_t start =
        path.size < HBK_CA_FILE_NAME_BYTES_MAX ? 0 : path.size - (HBK_CA_FILE_NAME_BYTES_MAX - 1);
    path = hbk_slice_part(path, start, path.size);
    for (size_t i = 0; i < path.size; i++) {
        name[i] = path.bytes[i] == '/' ? '.' : (char)path.bytes[i];
    }
    name[path.size] = '\0';
    return name;
}

hbk_status hbk_ca_store_write(const char *path, const struct hbk_spiffe_id *id,
                              const struct hbk_issued *issued, struct hbk_slice roots_pem,
                              struct hbk_error *error)
{
    char name[HBK_CA_FILE_NAME_BYTES_MAX];
    char file[HBK_CA_FILE_NAME_BYTES_MAX + 16];
    hbk_ca_file_name(id, name);
    HBK_TRY(make_directory(path, error));
    (void)snprintf(file, sizeof file, "%s" HBK_CA_KEY_SUFFIX, name);
    HBK_TRY(write_file(path, file, hbk_buffer_slice(&issued->key_pem), SECRET_FILE_MODE, error));
    (void)snprintf(file, sizeof file, "%s" HBK_CA_CERTIFICATE_SUFFIX, name);
    HBK_TRY(write_file(path, file, hbk_buffer_slice(&issued->chain_pem), PUBLIC_FILE_MODE, error));
    return write_file(path, HBK_CA_BUNDLE_FILE, roots_pem, PUBLIC_FILE_MODE, error);
}
