/*
 * The main() of a fuzz target in an ordinary build: replays the files of a corpus folder.
 *
 * Each input lies in an allocation of exactly its size, so that the address sanitizer sees a read
 * of one byte too many. Its prefixes are replayed too: a parser meets every place at which a peer
 * may stop. Long inputs are cut at fewer places, so that the work stays linear.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_target.h"

enum {
    INPUT_BYTES_MAX = 1 << 20,
    PREFIXES_PER_INPUT = 256,
    PATH_BYTES_MAX = 4096,
};

static void replay(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL) {
        fputs("replay: out of memory\n", stderr);
        exit(1);
    }
    if (size > 0) {
        memcpy(exact, bytes, size);
    }
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void replay_with_prefixes(const uint8_t *bytes, size_t size)
{
    size_t step = size / PREFIXES_PER_INPUT + 1;
    for (size_t cut = 0; cut < size; cut += step) {
        replay(bytes, cut);
    }
    replay(bytes, size);
}

static int replay_file(const char *folder, const char *name)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        fprintf(stderr, "replay: %s/%s: the path is too long\n", folder, name);
        return -1;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        return -1;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    replay_with_prefixes(bytes, size);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        fprintf(stderr, "replay: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    int files = 0;
    int status = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        files++;
        status |= replay_file(argv[1], entry->d_name);
    }
    (void)closedir(folder);
    if (files == 0) {
        fprintf(stderr, "replay: %s holds no input\n", argv[1]);
        return 1;
    }
    printf("%d inputs replayed\n", files);
    return status == 0 ? 0 : 1;
}
