/*
 * Runs files of Wycheproof (github.com/C2SP/wycheproof, testvectors_v1) against the crypto room.
 *
 *     wycheproof FILE.json...      the given files; one that cannot be read is an error
 *     wycheproof                   all files of $HBK_VECTORS/wycheproof; skipped (exit 77) when the
 *                                  variable is not set
 *
 * A case of an operation that has a kernel is run on both paths, in every lane and with every fill
 * from one to eight, beside a neighbour that must be refused and neighbours that must succeed.
 * Prints "N passed, N failed, N skipped" per file, and why a group was skipped. Exit 1 when a case
 * failed.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "crypto/rsa.h"

enum { FILES_MAX = 256, EXIT_SKIPPED = 77 };

struct tally {
    unsigned passed, failed, skipped;
    const char *why; /* the reason of the groups skipped last, and how many cases they have */
    unsigned why_count;
    unsigned not_run; /* cases of other groups; among the skipped */
};

static bool is_curve(const json_t *group, const char *curve, const char *sha)
{
    const json_t *key = json_object_get(group, "publicKey");
    return wycheproof_is_text(key, "curve", curve) && wycheproof_is_text(group, "sha", sha);
}

static test_function *find_aead(json_t *group, const char *algorithm, const char **out_why)
{
    *out_why = "another size of nonce, key or tag than TLS has";
    if (json_integer_value(json_object_get(group, "ivSize")) != 96 ||
        json_integer_value(json_object_get(group, "tagSize")) != 128 ||
        json_integer_value(json_object_get(group, "keySize")) == 192) {
        return NULL;
    }
    if (strcmp(algorithm, "CHACHA20-POLY1305") == 0) {
        json_object_set_new(group, "is_chacha", json_true());
        return test_aead;
    }
    *out_why = algorithm;
    return strcmp(algorithm, "AES-GCM") == 0 ? test_aead : NULL;
}

static test_function *find_rsa(const json_t *group, test_function *function, const char **out_why)
{
    enum hbk_hash hash;
    bool is_pss = wycheproof_is_text(group, "type", "RsassaPssVerify");

    *out_why = "a hash, mask or salt that TLS does not use";
    if (!wycheproof_hash_of(wycheproof_get_text(group, "sha"), &hash)) {
        return NULL;
    }
    if (is_pss &&
        (!wycheproof_is_text(group, "mgf", "MGF1") ||
         strcmp(wycheproof_get_text(group, "sha"), wycheproof_get_text(group, "mgfSha")) != 0 ||
         json_integer_value(json_object_get(group, "sLen")) != (json_int_t)hbk_hash_bytes(hash))) {
        return NULL;
    }
    *out_why = "a size of modulus that we do not take";
    json_int_t bits = json_integer_value(json_object_get(group, "keySize"));
    return bits < HBK_RSA_BITS_MIN || bits > HBK_RSA_BITS_MAX ? NULL : function;
}

/* HKDF and HMAC with the hashes that we have. */
static test_function *find_keyed_hash(json_t *group, const char *algorithm)
{
    static const struct {
        const char *algorithm;
        test_function *function;
        enum hbk_hash hash;
    } known[] = {
        {"HKDF-SHA-256", test_hkdf, HBK_HASH_SHA256}, {"HKDF-SHA-384", test_hkdf, HBK_HASH_SHA384},
        {"HKDF-SHA-512", test_hkdf, HBK_HASH_SHA512}, {"HMACSHA256", test_hmac, HBK_HASH_SHA256},
        {"HMACSHA384", test_hmac, HBK_HASH_SHA384},   {"HMACSHA512", test_hmac, HBK_HASH_SHA512},
    };
    for (size_t i = 0; i < HBK_COUNT(known); i++) {
        if (strcmp(algorithm, known[i].algorithm) == 0) {
            json_object_set_new(group, "hash", json_integer(known[i].hash));
            return known[i].function;
        }
    }
    return NULL;
}

/* The function for a group, or NULL and why it is skipped. */
static test_function *find_function(json_t *group, const char *algorithm, const char **out_why)
{
    const char *type = wycheproof_get_text(group, "type");

    *out_why = algorithm;
    if (strcmp(type, "AeadTest") == 0) {
        return find_aead(group, algorithm, out_why);
    }
    if (strcmp(type, "EcdhEcpointTest") == 0 || strcmp(type, "EcdhTest") == 0) {
        *out_why = wycheproof_get_text(group, "curve");
        return wycheproof_is_text(group, "curve", "secp256r1")   ? test_ecdh
               : wycheproof_is_text(group, "curve", "secp384r1") ? test_ecdh_p384
                                                                 : NULL;
    }
    if (strcmp(type, "EcdsaVerify") == 0 || strcmp(type, "EcdsaP1363Verify") == 0) {
        *out_why = "another curve or hash";
        return is_curve(group, "secp256r1", "SHA-256")   ? test_ecdsa
               : is_curve(group, "secp384r1", "SHA-384") ? test_ecdsa_p384
                                                         : NULL;
    }
    if (strcmp(type, "XdhComp") == 0) {
        *out_why = wycheproof_get_text(group, "curve");
        return wycheproof_is_text(group, "curve", "curve25519") ? test_xdh : NULL;
    }
    if (strcmp(type, "EddsaVerify") == 0) {
        return wycheproof_is_text(json_object_get(group, "publicKey"), "curve", "edwards25519")
                   ? test_ed25519
                   : NULL;
    }
    if (strcmp(type, "RsassaPkcs1Verify") == 0 || strcmp(type, "RsassaPssVerify") == 0) {
        return find_rsa(group, test_rsa_verify, out_why);
    }
    if (strcmp(type, "RsassaPkcs1Generate") == 0) {
        return find_rsa(group, test_rsa_generate, out_why);
    }
    if (strcmp(type, "RsaesPkcs1Decrypt") == 0) {
        return test_rsa_decrypt;
    }
    return find_keyed_hash(group, algorithm);
}

static enum expectation expectation_of(const json_t *test)
{
    return wycheproof_is_text(test, "result", "valid")     ? MUST_PASS
           : wycheproof_is_text(test, "result", "invalid") ? MUST_FAIL
                                                           : MAY_PASS;
}

/* Prints why the last groups were skipped, once for all that have the same reason. */
static void tell_skipped(struct tally *tally, const char *next_why)
{
    bool is_same = tally->why != NULL && next_why != NULL && strcmp(tally->why, next_why) == 0;

    if (tally->why != NULL && !is_same) {
        printf("  skipped %u: %s\n", tally->why_count, tally->why);
        tally->why_count = 0;
    }
    tally->why = next_why;
}

static void run_group(json_t *group, const char *algorithm, struct tally *tally)
{
    const char *why = NULL;
    test_function *function = find_function(group, algorithm, &why);
    json_t *tests = json_object_get(group, "tests");
    json_t *test;
    size_t index;

    if (function == NULL) {
        tell_skipped(tally, why);
        tally->why_count += (unsigned)json_array_size(tests);
        tally->skipped += (unsigned)json_array_size(tests);
        return;
    }
    json_array_foreach(tests, index, test)
    {
        switch (function(group, test, expectation_of(test))) {
        case CASE_PASSED:
            tally->passed++;
            break;
        case CASE_NOT_RUN:
            tally->not_run++;
            tally->skipped++;
            break;
        case CASE_FAILED:
            printf("  failed %lld: %s\n", json_integer_value(json_object_get(test, "tcId")),
                   wycheproof_get_text(test, "comment"));
            tally->failed++;
        }
    }
}

/* False when the file cannot be read. */
static bool run_file(const char *path, struct tally *total)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error);
    json_t *groups = json_object_get(file, "testGroups");
    struct tally tally = {0};
    json_t *group;
    size_t index;

    if (!json_is_array(groups)) {
        fprintf(stderr, "wycheproof: %s: %s\n", path,
                file == NULL ? error.text : "there is no array \"testGroups\" in it");
        json_decref(file);
        return false;
    }
    printf("%s\n", path);
    json_array_foreach(groups, index, group)
    {
        run_group(group, wycheproof_get_text(file, "algorithm"), &tally);
    }
    tell_skipped(&tally, NULL);
    if (tally.not_run > 0) {
        printf("  skipped %u: an input of a form or size that reaches no code of ours\n",
               tally.not_run);
    }
    printf("  %u passed, %u failed, %u skipped\n", tally.passed, tally.failed, tally.skipped);
    total->passed += tally.passed;
    total->failed += tally.failed;
    total->skipped += tally.skipped;
    wycheproof_forget_key();
    json_decref(file);
    return true;
}

static int is_json(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".json") == 0;
}

/* The files of a folder or of its folder "wycheproof"; their number, which may be more than
 * FILES_MAX, or -1. */
static int list_folder(const char *folder, char *paths[FILES_MAX])
{
    char inner[PATH_MAX];
    struct dirent **entries;

    snprintf(inner, sizeof(inner), "%s/wycheproof", folder);
    int count = scandir(inner, &entries, is_json, alphasort);
    if (count < 0) {
        snprintf(inner, sizeof(inner), "%s", folder);
        count = scandir(inner, &entries, is_json, alphasort);
    }
    for (int i = 0; i < count; i++) {
        if (i < FILES_MAX && asprintf(&paths[i], "%s/%s", inner, entries[i]->d_name) < 0) {
            abort();
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return count;
}

int main(int argc, char **argv)
{
    static char *paths[FILES_MAX];
    struct tally total = {0};
    int count = argc - 1;
    bool are_readable = true;

    for (int i = 0; i < count && i < FILES_MAX; i++) {
        paths[i] = strdup(argv[1 + i]);
    }
    if (argc == 1) {
        const char *folder = getenv("HBK_VECTORS");
        if (folder == NULL || *folder == '\0') {
            puts("skipped: HBK_VECTORS names no folder of test vectors");
            return EXIT_SKIPPED;
        }
        count = list_folder(folder, paths);
        if (count <= 0) {
            fprintf(stderr, "wycheproof: %s: no *.json files there\n", folder);
            return 1;
        }
    }
    if (count > FILES_MAX) {
        fprintf(stderr, "wycheproof: %d files; at most %d are taken at a time\n", count, FILES_MAX);
        for (int i = 0; i < FILES_MAX; i++) {
            free(paths[i]);
        }
        return 1;
    }
    wycheproof_init();
    for (int i = 0; i < count; i++) {
        are_readable &= run_file(paths[i], &total);
        free(paths[i]);
    }
    printf("%u passed, %u failed, %u skipped\n", total.passed, total.failed, total.skipped);
    wycheproof_fini();
    return total.failed == 0 && are_readable ? 0 : 1;
}
