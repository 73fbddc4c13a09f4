/* Which systems take part: ours, those whose descriptors this program carries, and files. One that
 * cannot be used is kept with its reason, so that the report says so. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "paper/paper.h"

static struct hbk_paper_system *add(struct hbk_paper *paper, const char *name, const char *title,
                                    enum hbk_paper_kind kind, bool encrypts)
{
    if (paper->system_count == HBK_PAPER_SYSTEMS_MAX) {
        return NULL;
    }
    struct hbk_paper_system *system = &paper->systems[paper->system_count++];
    *system = (struct hbk_paper_system){.kind = kind, .encrypts = encrypts, .is_usable = true};
    (void)snprintf(system->name, sizeof system->name, "%s", name);
    (void)snprintf(system->title, sizeof system->title, "%s", title);
    return system;
}

static hbk_status refuse_count(struct hbk_error *error)
{
    return hbk_error_set(error, HBK_LIMIT, "more than %d systems", HBK_PAPER_SYSTEMS_MAX);
}

static void leave_out(struct hbk_paper_system *system, const char *reason)
{
    system->is_usable = false;
    (void)snprintf(system->reason, sizeof system->reason, "%s", reason);
}

/* ---- other people's programs ---- */

/* Whether `--binary NAME=PATH` names it. */
static const char *given_binary(const struct hbk_paper *paper, const char *name)
{
    size_t size = strlen(name);
    for (unsigned i = 0; i < paper->options.binary_count; i++) {
        const char *given = paper->options.binaries[i];
        if (strncmp(given, name, size) == 0 && given[size] == '=') {
            return given + size + 1;
        }
    }
    return NULL;
}

static bool find_in_path(struct hbk_slice name, char out_path[static HBK_PATH_BYTES_MAX])
{
    const char *rest = getenv("PATH");
    static const char more[] = "/usr/sbin:/sbin";
    for (unsigned pass = 0; pass < 2; pass++, rest = more) {
        while (rest != NULL && *rest != '\0') {
            size_t size = strcspn(rest, ":");
            (void)snprintf(out_path, HBK_PATH_BYTES_MAX, "%.*s/%.*s", (int)size, rest,
                           HBK_SLICE_ARGS(name));
            if (size > 0 && access(out_path, X_OK) == 0) {
                return true;
            }
            rest += size + (rest[size] == ':' ? 1 : 0);
        }
    }
    return false;
}

static void check_needs(struct hbk_paper_system *system)
{
    const struct hbk_descriptor *descriptor = &system->descriptor;
    char path[HBK_PATH_BYTES_MAX], reason[HBK_PAPER_REASON_BYTES_MAX];
    for (uint32_t i = 0; i < descriptor->needs_count && system->is_usable; i++) {
        if (!find_in_path(descriptor->needs[i], path)) {
            (void)snprintf(reason, sizeof reason, "left out: %.*s is not there (%.*s)",
                           HBK_SLICE_ARGS(descriptor->needs[i]),
                           HBK_SLICE_ARGS(descriptor->package));
            leave_out(system, reason);
        }
    }
}

/* Whether its program is this one, or another build of it. */
static bool is_own(const struct hbk_paper_system *system)
{
    return system->kind == HBK_NODE ||
           hbk_slice_equal(system->descriptor.binary, HBK_SLICE("hauberk"));
}

static void find_binary(const struct hbk_paper *paper, struct hbk_paper_system *system)
{
    const struct hbk_descriptor *descriptor = &system->descriptor;
    const char *given = given_binary(paper, system->name);
    size_t slash;
    char reason[HBK_PAPER_REASON_BYTES_MAX];
    if (is_own(system) && given == NULL) {
        (void)snprintf(system->binary, sizeof system->binary, "/proc/self/exe");
        (void)snprintf(system->version, sizeof system->version, "hauberk %s", HBK_VERSION);
        return;
    }
    bool is_path = given != NULL || hbk_slice_find(descriptor->binary, '/', &slash);
    if (is_path) {
        (void)snprintf(system->binary, sizeof system->binary, "%.*s",
                       given != NULL ? (int)strlen(given) : (int)descriptor->binary.size,
                       given != NULL ? given : (const char *)descriptor->binary.bytes);
    }
    if (is_path ? access(system->binary, X_OK) == 0
                : find_in_path(descriptor->binary, system->binary)) {
        return;
    }
    (void)snprintf(reason, sizeof reason,
                   "left out: %.*s is not there (%.*s); --binary %s=PATH names another",
                   is_path ? (int)strlen(system->binary) : (int)descriptor->binary.size,
                   is_path ? system->binary : (const char *)descriptor->binary.bytes,
                   HBK_SLICE_ARGS(descriptor->package), system->name);
    leave_out(system, reason);
}

/* The first line of what the program says of itself when it is asked with `argument`. */
static void ask_program(struct hbk_paper_system *system, struct hbk_slice argument)
{
    char command[HBK_PATH_BYTES_MAX + 64];
    (void)snprintf(command, sizeof command, "timeout 10 '%s' %.*s 2>&1", system->binary,
                   HBK_SLICE_ARGS(argument));
    FILE *stream = popen(command, "r");
    if (stream != NULL) {
        while (fgets(system->version, sizeof system->version, stream) != NULL &&
               strspn(system->version, "\n") == strlen(system->version)) {
        }
        system->version[strcspn(system->version, "\n")] = '\0';
        while (fgetc(stream) != EOF) {
            /* Whoever has more to say would fail if nobody listened. */
        }
        if (pclose(stream) != 0) {
            char said[HBK_PAPER_REASON_BYTES_MAX / 2];
            (void)snprintf(said, sizeof said, "%.*s", (int)sizeof said - 1, system->version);
            (void)snprintf(system->version, sizeof system->version,
                           "unknown; asked for it, it failed and said: %s", said);
        }
    }
}

/* This program has said its own; of another build the path is told, too, since two builds may call
 * themselves the same. */
static void ask_version(const struct hbk_paper *paper, struct hbk_paper_system *system)
{
    const struct hbk_descriptor *descriptor = &system->descriptor;
    if (!system->is_usable) {
        return;
    }
    if (is_own(system)) {
        const char *given = given_binary(paper, system->name);
        if (given != NULL) {
            ask_program(system, HBK_SLICE("version"));
            size_t size = strlen(system->version);
            (void)snprintf(system->version + size, sizeof system->version - size, " (%s)", given);
        }
    } else if (descriptor->version_count > 0) {
        ask_program(system, descriptor->version[0]);
    }
}

/* Its program, whether it can be used, and what it calls itself. */
static void find_program(const struct hbk_paper *paper, struct hbk_paper_system *system)
{
    find_binary(paper, system);
    check_needs(system);
    ask_version(paper, system);
}

/* Its program is still to be found. */
static hbk_status add_descriptor(struct hbk_paper *paper, const char *file, struct hbk_slice text,
                                 struct hbk_paper_system **out_system, struct hbk_error *error)
{
    struct hbk_report report;
    struct hbk_descriptor descriptor;
    hbk_report_init(&report);
    hbk_status status = hbk_descriptor_read(file, text, &paper->arena, &report, &descriptor);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "%s",
                             report.count > 0 ? report.lines[0] : hbk_status_text(status));
    }
    char name[HBK_SAMPLE_NAME_BYTES_MAX], title[HBK_SAMPLE_NAME_BYTES_MAX];
    (void)snprintf(name, sizeof name, "%.*s", HBK_SLICE_ARGS(descriptor.name));
    (void)snprintf(title, sizeof title, "%.*s", HBK_SLICE_ARGS(descriptor.title));
    struct hbk_paper_system *system = add(paper, name, title, HBK_PAIR, descriptor.encrypts);
    if (system == NULL) {
        return refuse_count(error);
    }
    system->descriptor = descriptor;
    *out_system = system;
    return HBK_OK;
}

static hbk_status add_foreign(struct hbk_paper *paper, const char *file, struct hbk_slice text,
                              struct hbk_error *error)
{
    struct hbk_paper_system *system;
    HBK_TRY(add_descriptor(paper, file, text, &system, error));
    find_program(paper, system);
    return HBK_OK;
}

/* ---- by name ---- */

/* The baselines, and our agents with what can be switched off in them. */
static const struct own {
    const char *name, *title;
    enum hbk_paper_kind kind;
    bool encrypts, is_plain, is_variant;
    const char *gather;
} owns[] = {
    {"baseline", "no mesh", HBK_BASELINE, false, false, false, NULL},
    {"baseline-mtls", "no mesh, applications with mutual TLS", HBK_BASELINE_MTLS, true, false,
     false, NULL},
    {"node", "hauberk node", HBK_NODE, true, false, false, NULL},
    {"node-plain", "hauberk node, mutual TLS switched off", HBK_NODE, false, true, true, NULL},
    {"node-no-gather", "hauberk node that never rests", HBK_NODE, true, false, true, "off"},
};

static hbk_status add_own(struct hbk_paper *paper, const struct own *own, struct hbk_error *error)
{
    struct hbk_paper_system *system = add(paper, own->name, own->title, own->kind, own->encrypts);
    if (system == NULL) {
        return refuse_count(error);
    }
    system->is_plain = own->is_plain;
    system->is_variant = own->is_variant;
    system->gather = own->gather;
    if (own->kind == HBK_NODE) {
        find_program(paper, system);
    } else { /* our own load and echo */
        (void)snprintf(system->version, sizeof system->version, "hauberk %s", HBK_VERSION);
    }
    return HBK_OK;
}

/* The control is looked for like other people's programs, though nothing stands in the middle. */
static hbk_status add_control(struct hbk_paper *paper, struct hbk_error *error)
{
    static struct hbk_slice version[1];
    struct hbk_paper_system *system =
        add(paper, HBK_PAPER_CONTROL, "control: Fortio and a Go server", HBK_CONTROL, false);
    if (system == NULL) {
        return refuse_count(error);
    }
    system->descriptor.binary = HBK_SLICE("hbk-fortio");
    system->descriptor.package = HBK_SLICE("tools/peers.sh builds it from Go modules");
    version[0] = HBK_SLICE("version");
    system->descriptor.version = version;
    system->descriptor.version_count = 1;
    find_program(paper, system);
    return HBK_OK;
}

/* The gateway program as a pair of sidecars, and the variants of Figure 7: what costs something is
 * switched off, one after the other; an access log is switched on. */
static const struct sidecar {
    const char *name, *title;
    const char *base; /* name of its descriptor */
    bool encrypts, is_quiet, is_logging, is_variant;
} sidecars[] = {
    {"sidecar-tcp", "hauberk sidecar pair, TCP", "sidecar-tcp", true, false, false, false},
    {"sidecar-l7", "hauberk sidecar pair, HTTP", "sidecar-l7", true, false, false, false},
    {"sidecar-l7-log", "hauberk sidecar pair, HTTP, access log", "sidecar-l7", true, false, true,
     true},
    {"sidecar-l7-plain", "hauberk sidecar pair, HTTP, plain text", "sidecar-l7", false, false,
     false, true},
    {"sidecar-l7-quiet", "hauberk sidecar pair, HTTP, plain text, no metrics", "sidecar-l7", false,
     true, false, true},
    {"sidecar-tcp-plain", "hauberk sidecar pair, TCP, plain text", "sidecar-tcp", false, false,
     false, true},
    {"sidecar-tcp-quiet", "hauberk sidecar pair, TCP, plain text, no metrics", "sidecar-tcp", false,
     true, false, true},
};

static const char *builtin_text(const char *name)
{
    for (unsigned i = 0; i < hbk_builtin_systems_count; i++) {
        if (strcmp(name, hbk_builtin_systems[i].name) == 0) {
            return hbk_builtin_systems[i].text;
        }
    }
    return NULL;
}

static hbk_status add_sidecar(struct hbk_paper *paper, const struct sidecar *sidecar,
                              struct hbk_error *error)
{
    struct hbk_paper_system *system;
    HBK_TRY(add_descriptor(paper, sidecar->base, hbk_slice_text(builtin_text(sidecar->base)),
                           &system, error));
    (void)snprintf(system->name, sizeof system->name, "%s", sidecar->name);
    (void)snprintf(system->title, sizeof system->title, "%s", sidecar->title);
    system->encrypts = sidecar->encrypts;
    system->is_quiet = sidecar->is_quiet;
    system->is_logging = sidecar->is_logging;
    system->is_variant = sidecar->is_variant;
    find_program(paper, system);
    return HBK_OK;
}

static bool is_sidecar(const char *builtin)
{
    return strncmp(builtin, "sidecar-", 8) == 0;
}

static hbk_status refuse_name(const char *name, struct hbk_error *error)
{
    char names[480] = "";
    size_t size = 0;
    for (size_t i = 0; i < HBK_COUNT(owns); i++) {
        size += (size_t)snprintf(names + size, sizeof names - size, "%s, ", owns[i].name);
    }
    for (size_t i = 0; i < HBK_COUNT(sidecars) && size + 40 < sizeof names; i++) {
        size += (size_t)snprintf(names + size, sizeof names - size, "%s, ", sidecars[i].name);
    }
    for (unsigned i = 0; i < hbk_builtin_systems_count && size + 40 < sizeof names; i++) {
        if (!is_sidecar(hbk_builtin_systems[i].name)) {
            size += (size_t)snprintf(names + size, sizeof names - size, "%s, ",
                                     hbk_builtin_systems[i].name);
        }
    }
    (void)snprintf(names + size, sizeof names - size, "%s, ", HBK_PAPER_CONTROL);
    return hbk_error_set(error, HBK_INVALID,
                         "--systems: \"%s\" is none; allowed: %sor a file NAME.yaml", name, names);
}

static hbk_status add_named(struct hbk_paper *paper, const char *name, struct hbk_error *error)
{
    for (size_t i = 0; i < HBK_COUNT(sidecars); i++) {
        if (strcmp(name, sidecars[i].name) == 0) {
            return add_sidecar(paper, &sidecars[i], error);
        }
    }
    for (size_t i = 0; i < HBK_COUNT(owns); i++) {
        if (strcmp(name, owns[i].name) == 0) {
            return add_own(paper, &owns[i], error);
        }
    }
    if (strcmp(name, HBK_PAPER_CONTROL) == 0) {
        return add_control(paper, error);
    }
    const char *text_of_ours = builtin_text(name);
    if (text_of_ours != NULL) {
        return add_foreign(paper, name, hbk_slice_text(text_of_ours), error);
    }
    if (strchr(name, '/') == NULL && strstr(name, ".yaml") == NULL) {
        return refuse_name(name, error);
    }
    struct hbk_slice text;
    hbk_status status = hbk_file_read(&paper->arena, name, HBK_DESCRIPTOR_BYTES_MAX, &text);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "--systems: %s: %s", name, hbk_status_text(status));
    }
    HBK_TRY(add_foreign(paper, name, text, error));
    struct hbk_paper_system *system = &paper->systems[paper->system_count - 1];
    (void)snprintf(system->file, sizeof system->file, "%s", name);
    return HBK_OK;
}

static const struct hbk_paper_system *find(const struct hbk_paper *paper, const char *name)
{
    for (unsigned i = 0; i < paper->system_count; i++) {
        if (strcmp(paper->systems[i].name, name) == 0) {
            return &paper->systems[i];
        }
    }
    return NULL;
}

/* Each `--binary NAME=PATH` names a system that takes part and has a program, and each once. */
static hbk_status check_binaries(const struct hbk_paper *paper, struct hbk_error *error)
{
    for (unsigned i = 0; i < paper->options.binary_count; i++) {
        char name[HBK_PATH_BYTES_MAX];
        const char *given = paper->options.binaries[i];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
        const struct hbk_paper_system *system = find(paper, name);
        if (system == NULL) {
            return hbk_error_set(error, HBK_INVALID,
                                 "--binary \"%s\": no system of this series is called \"%s\"",
                                 given, name);
        }
        if (system->kind == HBK_BASELINE || system->kind == HBK_BASELINE_MTLS) {
            return hbk_error_set(error, HBK_INVALID,
                                 "--binary \"%s\": nothing stands between the applications of "
                                 "%s, which are this program's own load and echo",
                                 given, name);
        }
        if (given_binary(paper, name) != given + strlen(name) + 1) {
            return hbk_error_set(error, HBK_INVALID, "--binary \"%s\": %s has its program already",
                                 given, name);
        }
    }
    return HBK_OK;
}

hbk_status hbk_paper_find_systems(struct hbk_paper *paper, struct hbk_error *error)
{
    char name[HBK_PATH_BYTES_MAX];
    const char *rest = paper->options.systems;
    HBK_TRY(add_own(paper, &owns[0], error)); /* always: everything is told relative to it */
    if (rest == NULL) {
        for (size_t i = 1; i < HBK_COUNT(owns); i++) {
            HBK_TRY(add_own(paper, &owns[i], error));
        }
        for (size_t i = 0; i < HBK_COUNT(sidecars); i++) {
            HBK_TRY(add_sidecar(paper, &sidecars[i], error));
        }
        for (unsigned i = 0; i < hbk_builtin_systems_count; i++) {
            if (!is_sidecar(hbk_builtin_systems[i].name)) {
                HBK_TRY(add_named(paper, hbk_builtin_systems[i].name, error));
            }
        }
        HBK_TRY(add_control(paper, error));
    }
    while (rest != NULL && *rest != '\0') {
        size_t size = strcspn(rest, ",");
        (void)snprintf(name, sizeof name, "%.*s", (int)size, rest);
        rest += size + (rest[size] == ',' ? 1 : 0);
        if (find(paper, name) == NULL) {
            HBK_TRY(add_named(paper, name, error));
        }
    }
    return check_binaries(paper, error);
}

/* Whether this program serves a bootstrap without statistics: asked of itself, so that no list here
 * has to be kept true. */
static bool can_be_quiet(char out_reason[static HBK_PAPER_REASON_BYTES_MAX])
{
    static const uint64_t timeout_ns = 10 * HBK_NS_PER_S;
    const char *const arguments[] = {
        "/proc/self/exe",        "gateway", "--mode", "validate", "-l", "off", "--config-yaml",
        HBK_PAPER_NO_STATISTICS, NULL};
    struct hbk_process_spec spec = hbk_process_spec_of(arguments);
    struct hbk_process process = hbk_process_none();
    struct hbk_error error = {0};
    int exit_status = -1;
    HBK_CLEANUP(hbk_fd_close) int silence = open("/dev/null", O_WRONLY | O_CLOEXEC);
    spec.output_fd = spec.error_fd = silence;
    spec.death_signal = SIGKILL;
    hbk_status status = hbk_process_start(&spec, &process, &error);
    if (status == HBK_OK) {
        status = hbk_process_wait(&process, timeout_ns, &exit_status);
        hbk_process_stop(&process, 0);
    }
    (void)snprintf(out_reason, HBK_PAPER_REASON_BYTES_MAX,
                   "left out: hauberk gateway does not serve {%s}, which switches its statistics "
                   "off",
                   HBK_PAPER_NO_STATISTICS);
    return status == HBK_OK && exit_status == 0;
}

void hbk_paper_try_systems(struct hbk_paper *paper)
{
    for (unsigned i = 0; i < paper->system_count; i++) {
        struct hbk_paper_system *system = &paper->systems[i];
        if (system->is_quiet && !can_be_quiet(system->reason)) {
            system->is_usable = false;
        }
    }
}
