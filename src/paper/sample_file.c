#include "paper/sample_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"

enum { SAMPLES_BYTES_MAX = 128 << 20 };

static const char *path_in(const char *directory, char out_path[static HBK_PATH_BYTES_MAX])
{
    (void)snprintf(out_path, HBK_PATH_BYTES_MAX, "%s/samples.jsonl", directory);
    return out_path;
}

hbk_status hbk_samples_read(const char *directory, struct hbk_sample *out_samples,
                            unsigned count_max, unsigned *out_count, struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    struct hbk_arena arena;
    struct hbk_slice text = {0};
    unsigned count = 0;
    hbk_arena_init(&arena);
    hbk_status status = hbk_file_read(&arena, path_in(directory, path), SAMPLES_BYTES_MAX, &text);
    while (status == HBK_OK && text.size > 0) {
        size_t end = text.size;
        (void)hbk_slice_find(text, '\n', &end);
        struct hbk_slice line = hbk_slice_part(text, 0, end);
        text = hbk_slice_part(text, end + 1, text.size);
        if (count < count_max && hbk_sample_read(line, &out_samples[count]) == HBK_OK) {
            count++;
        }
    }
    hbk_arena_fini(&arena);
    if (status != HBK_OK && status != HBK_NOT_FOUND) {
        return hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
    }
    *out_count = count;
    return HBK_OK;
}

/* Behind a cut line a new one would be cut, too. */
static hbk_status write_line(int fd, struct hbk_slice bytes)
{
    char last = '\n';
    off_t size = lseek(fd, 0, SEEK_END);
    if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1) {
        return hbk_status_from_errno(errno);
    }
    ssize_t written = write(fd, bytes.bytes, bytes.size);
    if (written >= 0 && (size_t)written < bytes.size) {
        return HBK_LIMIT;
    }
    return written < 0 || fsync(fd) != 0 ? hbk_status_from_errno(errno) : HBK_OK;
}

hbk_status hbk_samples_add(const char *directory, const struct hbk_sample *sample,
                           struct hbk_error *error)
{
    char path[HBK_PATH_BYTES_MAX];
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer line;
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    hbk_buffer_init(&line, HBK_SAMPLE_LINE_BYTES_MAX);
    HBK_TRY(hbk_sample_write(sample, &line));
    fd = open(path_in(directory, path), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    hbk_status status =
        fd < 0 ? hbk_status_from_errno(errno) : write_line(fd, hbk_buffer_slice(&line));
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
}
