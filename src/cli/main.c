#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static int run_version(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        puts("usage: hauberk version");
        return HBK_EXIT_OK;
    }
    if (argc > 1) {
        fprintf(stderr, "hauberk version: takes no arguments\n");
        return HBK_EXIT_USAGE;
    }
    puts("hauberk " HBK_VERSION);
    return HBK_EXIT_OK;
}

const struct hbk_command hbk_commands[] = {
    {"bench", "measure the data path against others", hbk_command_bench},
    {"ca", "make a root, issue certificates from it, show one", hbk_command_ca},
    {"config", "mend an Envoy bootstrap, list what one may hold", hbk_command_config},
    {"demo", "show what a mesh does, in namespaces of its own", hbk_command_demo},
    {"echo", "answer requests: something to aim at", hbk_command_echo},
    {"gateway", "route HTTP and TCP by an Envoy bootstrap", hbk_command_gateway},
    {"load", "send requests at a steady rate and time the answers", hbk_command_load},
    {"node", "the agent of one host: carries its pods' traffic", hbk_command_node},
    {"redirect", "set up or take away the redirection of a namespace", hbk_command_redirect},
    {"speed", "measure the cryptography of this processor", hbk_command_speed},
    {"version", "print the version", run_version},
    {NULL, NULL, NULL},
};

static void print_help(FILE *stream)
{
    fputs("hauberk: every connection between services encrypted, both ends authenticated\n\n"
          "usage: hauberk COMMAND [ARGUMENTS]      (hauberk help COMMAND tells more)\n\n",
          stream);
    for (const struct hbk_command *command = hbk_commands; command->name != NULL; command++) {
        fprintf(stream, "  %-10s %s\n", command->name, command->summary);
    }
}

/* Runs the command that argv[0] names, under its full name: getopt's complaints begin with it. */
static int run_command(int argc, char **argv)
{
    static char full_name[64];
    static char long_help[] = "--help";
    const char *name = strcmp(argv[0], "--version") == 0 ? "version" : argv[0];
    for (const struct hbk_command *command = hbk_commands; command->name != NULL; command++) {
        if (strcmp(name, command->name) == 0) {
            (void)snprintf(full_name, sizeof full_name, "hauberk %s", name);
            argv[0] = full_name;
            if (argc == 2 && strcmp(argv[1], "-h") == 0) {
                argv[1] = long_help;
            }
            return command->run(argc, argv);
        }
    }
    fprintf(stderr, "hauberk: no command \"%s\"\n\n", name);
    print_help(stderr);
    return HBK_EXIT_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int main(int argc, char **argv)
{
    static char long_help[] = "--help";
    if (argc == 1) {
        print_help(stderr);
        return HBK_EXIT_USAGE;
    }
    if (!is_help(argv[1])) {
        return run_command(argc - 1, argv + 1);
    }
    if (argc == 2) {
        print_help(stdout);
        return HBK_EXIT_OK;
    }
    /* "help bench paper" is "bench paper --help". */
    for (int i = 1; i + 1 < argc; i++) {
        argv[i] = argv[i + 1];
    }
    argv[argc - 1] = long_help;
    return run_command(argc - 1, argv + 1);
}
