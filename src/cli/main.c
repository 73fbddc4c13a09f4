#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static int run_version(int argc, char **argv)
{
    (void)argv;
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
          "usage: hauberk COMMAND [ARGUMENTS]      (hauberk COMMAND --help tells more)\n\n",
          stream);
    for (const struct hbk_command *command = hbk_commands; command->name != NULL; command++) {
        fprintf(stream, "  %-10s %s\n", command->name, command->summary);
    }
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return HBK_EXIT_OK;
    }
    name = strcmp(name, "--version") == 0 ? "version" : name;
    for (const struct hbk_command *command = hbk_commands; command->name != NULL; command++) {
        if (strcmp(name, command->name) == 0) {
            return command->run(argc - 1, argv + 1);
        }
    }
    if (argc > 1) {
        fprintf(stderr, "hauberk: no command \"%s\"\n\n", name);
    }
    print_help(stderr);
    return HBK_EXIT_USAGE;
}
