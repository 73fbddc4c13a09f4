/*
 * A file that others read is replaced by rename, so what we read never changes under an open
 * descriptor. Its reported size can still lie: procfs says zero. We therefore believe read() and
 * not fstat(), take what comes in growing steps, and know that a file is too large by receiving the
 * byte behind the limit.
 */
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/fd.h"

enum {
    READ_STEP_BYTES = 16 << 10, /* first guess; doubled when it was too small */
    WALK_FDS = 16,              /* open directories while a tree is removed */
};

static hbk_status read_up_to(int fd, struct hbk_span space, size_t *inout_used)
{
    while (*inout_used < space.size) {
        ssize_t got = read(fd, space.bytes + *inout_used, space.size - *inout_used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return hbk_status_from_errno(errno);
        }
        if (got == 0) {
            break;
        }
        *inout_used += (size_t)got;
    }
    return HBK_OK;
}

hbk_status hbk_file_read(struct hbk_arena *arena, const char *path, size_t bytes_max,
                         struct hbk_slice *out_bytes)
{
    HBK_ASSERT(bytes_max > 0 && bytes_max <= HBK_FILE_BYTES_MAX);

    HBK_CLEANUP(hbk_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return hbk_status_from_errno(errno);
    }

    /* On failure the space stays with the arena, whose owner drops it with the failed load. */
    struct stat about;
    size_t guess = fstat(fd, &about) == 0 && about.st_size > 0 ? (size_t)about.st_size : 0;
    size_t size = guess > 0 ? guess : READ_STEP_BYTES; /* procfs says zero */
    struct hbk_span space = {0};
    size_t used = 0;
    do {
        size = size > bytes_max ? bytes_max : size;
        struct hbk_span larger = hbk_arena_bytes(arena, size + 1);
        if (larger.bytes == NULL) {
            return HBK_NO_MEMORY;
        }
        if (used > 0) {
            memcpy(larger.bytes, space.bytes, used);
        }
        space = larger;
        HBK_TRY(read_up_to(fd, space, &used));
        if (used > bytes_max) {
            return HBK_LIMIT;
        }
        size *= 2;
    } while (used == space.size);
    space.bytes[used] = 0;
    *out_bytes = hbk_slice_of(space.bytes, used);
    return HBK_OK;
}

static hbk_status write_all(int fd, struct hbk_slice bytes)
{
    for (size_t done = 0; done < bytes.size;) {
        ssize_t put = write(fd, bytes.bytes + done, bytes.size - done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return hbk_status_from_errno(put < 0 ? errno : EIO);
        }
        done += (size_t)put;
    }
    return HBK_OK;
}

/* Makes the rename itself durable; a directory that cannot be synced is not worth a failure. */
static void sync_directory_of(const char *path)
{
    char directory[HBK_PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    (void)snprintf(directory, sizeof directory, "%.*s", (int)size, path);
    const char *name = slash == NULL ? "." : slash == path ? "/" : directory;
    HBK_CLEANUP(hbk_fd_close) int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
    }
}

static hbk_status fill_and_rename(int fd, const char *temporary, const char *path,
                                  struct hbk_slice bytes, mode_t mode)
{
    HBK_TRY(write_all(fd, bytes));
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
        return hbk_status_from_errno(errno);
    }
    sync_directory_of(path);
    return HBK_OK;
}

hbk_status hbk_file_write(const char *path, struct hbk_slice bytes, mode_t mode)
{
    char temporary[HBK_PATH_BYTES_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return HBK_INVALID;
    }
    HBK_CLEANUP(hbk_fd_close) int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        return hbk_status_from_errno(errno);
    }
    hbk_status status = fill_and_rename(fd, temporary, path, bytes, mode);
    if (status != HBK_OK) {
        (void)unlink(temporary);
    }
    return status;
}

hbk_status hbk_file_set(const char *path, struct hbk_slice bytes)
{
    HBK_CLEANUP(hbk_fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return hbk_status_from_errno(errno);
    }
    ssize_t put = write(fd, bytes.bytes, bytes.size);
    if (put < 0) {
        return hbk_status_from_errno(errno);
    }
    return (size_t)put == bytes.size ? HBK_OK : HBK_IO;
}

static hbk_status make_one_directory(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0) {
        return HBK_OK;
    }
    struct stat about;
    int error_number = errno;
    if (error_number == EEXIST) {
        bool is_directory = stat(path, &about) == 0 && S_ISDIR(about.st_mode);
        return is_directory ? HBK_OK : HBK_NO_DIRECTORY;
    }
    return hbk_status_from_errno(error_number);
}

hbk_status hbk_directory_make(const char *path, mode_t mode)
{
    char part[HBK_PATH_BYTES_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof part) {
        return HBK_INVALID;
    }
    for (size_t i = 0; i <= size; i++) {
        if (i > 0 && (path[i] == '/' || path[i] == '\0') && path[i - 1] != '/') {
            part[i] = '\0';
            HBK_TRY(make_one_directory(part, mode));
        }
        part[i] = path[i];
    }
    return HBK_OK;
}

hbk_status hbk_directory_make_private(const char *name_start,
                                      char out_path[static HBK_PATH_BYTES_MAX])
{
    const char *temporary = getenv("TMPDIR");
    const char *const parents[] = {"/run", temporary != NULL ? temporary : "/tmp", "/tmp"};
    hbk_status status = HBK_DENIED;
    for (size_t i = 0; i < HBK_COUNT(parents); i++) {
        char path[HBK_PATH_BYTES_MAX];
        int length = snprintf(path, sizeof path, "%s/%s.XXXXXX", parents[i], name_start);
        if (length < 0 || (size_t)length >= sizeof path) {
            continue;
        }
        if (mkdtemp(path) != NULL) {
            memcpy(out_path, path, (size_t)length + 1);
            return HBK_OK;
        }
        status = hbk_status_from_errno(errno);
    }
    return status;
}

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about;
    (void)type;
    (void)where;
    return remove(path);
}

hbk_status hbk_directory_remove(const char *path)
{
    if (nftw(path, remove_entry, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
        return hbk_status_from_errno(errno);
    }
    return HBK_OK;
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL) {
        (void)closedir(*directory);
    }
}

hbk_status hbk_directory_each(const char *path,
                              void (*on_name)(struct hbk_slice name, void *context), void *context)
{
    HBK_CLEANUP(close_directory) DIR *directory = opendir(path);
    if (directory == NULL) {
        return hbk_status_from_errno(errno);
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            return errno == 0 ? HBK_OK : hbk_status_from_errno(errno);
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            on_name(hbk_slice_text(entry->d_name), context);
        }
    }
}
