/* hauberk redirect: the redirection of one network namespace, by hand and as the agent's helper. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "cli/command.h"
#include "os/fd.h"
#include "os/netns.h"
#include "os/redirect.h"

static const char usage[] =
    "usage: hauberk redirect apply  [--netns WHERE] [OPTIONS]\n"
    "       hauberk redirect remove [--netns WHERE]\n"
    "       hauberk redirect show   [--netns WHERE]\n"
    "       hauberk redirect print  [OPTIONS]\n"
    "\n"
    "Sets up, takes away, shows or only prints the nftables table \"inet hauberk\", which brings\n"
    "the connections of a workload to its agent. The node agent does this for its workloads; the\n"
    "table stays when the agent stops.\n"
    "\n"
    "  --netns WHERE               path of a network namespace, pid:NUMBER, or host: this one\n"
    "                              (default)\n"
    "  --kind pod|host             pod: capture everything (default); host: what is listed\n"
    "  --exclude-inbound PORT,...  leave connections to these ports alone\n"
    "  --exclude-outbound PORT,... leave connections from here to these ports alone\n"
    "  --exclude-cidr CIDR,...     leave connections from here to these addresses alone\n"
    "with --kind host:\n"
    "  --uid UID,...               capture what these users connect to\n"
    "  --cgroup PATH               capture what this control group (v2, below /sys/fs/cgroup)\n"
    "                              connects to; may be repeated\n"
    "  --outbound PORT,...         capture connections to these ports elsewhere\n"
    "  --inbound PORT,...          capture connections to these ports of this host\n";

static int fail(const struct hbk_error *error, int exit_status)
{
    /* The agent, whose helper this is, tells our failures as its own. */
    fprintf(stderr, "%s%s\n", exit_status == HBK_EXIT_USAGE ? "hauberk redirect: " : "",
            error->text);
    return exit_status;
}

static int show(void)
{
    struct hbk_error error = {0};
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_REDIRECT_TEXT_BYTES_MAX);
    if (hbk_redirect_show_here(&text, &error) != HBK_OK) {
        return fail(&error, HBK_EXIT_FAILED);
    }
    printf("%.*s", HBK_SLICE_ARGS(hbk_buffer_slice(&text)));
    return HBK_EXIT_OK;
}

static int print(const struct hbk_redirect_spec *spec)
{
    struct hbk_error error = {0};
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_REDIRECT_TEXT_BYTES_MAX);
    if (hbk_redirect_render(spec, &text, &error) != HBK_OK) {
        return fail(&error, HBK_EXIT_FAILED);
    }
    printf("%.*s", HBK_SLICE_ARGS(hbk_buffer_slice(&text)));
    return HBK_EXIT_OK;
}

static int run_verb(const char *verb, const char *const *options, size_t count,
                    struct hbk_arena *arena)
{
    struct hbk_error error = {0};
    struct hbk_redirect_spec spec;
    bool takes_options = strcmp(verb, "apply") == 0 || strcmp(verb, "print") == 0;
    if (!takes_options && count > 0) {
        fprintf(stderr, "hauberk redirect: %s takes no %s\n", verb, options[0]);
        return HBK_EXIT_USAGE;
    }
    if (hbk_redirect_from_arguments(options, count, arena, &spec, &error) != HBK_OK) {
        return fail(&error, HBK_EXIT_USAGE);
    }
    if (strcmp(verb, "show") == 0) {
        return show();
    }
    if (strcmp(verb, "print") == 0) {
        return print(&spec);
    }
    bool is_apply = strcmp(verb, "apply") == 0;
    hbk_status status =
        is_apply ? hbk_redirect_apply_here(&spec, &error) : hbk_redirect_remove_here(&error);
    return status == HBK_OK ? HBK_EXIT_OK : fail(&error, HBK_EXIT_FAILED);
}

/* Moves into the namespace that --netns names, for the rest of the process. */
static hbk_status enter(const char *where, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_TRY(hbk_netns_open(where, &fd, error));
    hbk_status status = hbk_netns_enter(fd, &visit);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot enter network namespace %s: %s", where,
                             hbk_status_text(status));
    }
    return HBK_OK;
}

/* Takes --netns and its value out of the arguments; false if it comes twice or without a value. */
static bool take_netns(int *argc, char **argv, const char **out_where)
{
    int kept = 2;
    for (int i = 2; i < *argc; i++) {
        if (strcmp(argv[i], "--netns") != 0) {
            argv[kept++] = argv[i];
        } else if (*out_where != NULL || i + 1 == *argc) {
            return false;
        } else {
            *out_where = argv[++i];
        }
    }
    *argc = kept;
    return true;
}

static bool is_verb(const char *word)
{
    static const char *const verbs[] = {"apply", "remove", "show", "print"};
    for (size_t i = 0; i < HBK_COUNT(verbs); i++) {
        if (strcmp(word, verbs[i]) == 0) {
            return true;
        }
    }
    return false;
}

int hbk_command_redirect(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    if (argc < 2 || !is_verb(argv[1])) {
        if (argc > 1) {
            fprintf(stderr, "hauberk redirect: there is no \"%s\"\n\n", argv[1]);
        }
        fputs(usage, stderr);
        return HBK_EXIT_USAGE;
    }
    const char *where = NULL;
    if (!take_netns(&argc, argv, &where)) {
        fputs("hauberk redirect: --netns WHERE is allowed, once\n", stderr);
        return HBK_EXIT_USAGE;
    }
    struct hbk_error error = {0};
    if (where != NULL && strcmp(argv[1], "print") != 0 && enter(where, &error) != HBK_OK) {
        return fail(&error, HBK_EXIT_FAILED);
    }
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    int exit_status =
        run_verb(argv[1], (const char *const *)(argv + 2), (size_t)(argc - 2), &arena);
    hbk_arena_fini(&arena);
    return exit_status;
}
