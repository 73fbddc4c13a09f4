/* hauberk bench: measurements by which claims are made. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const char usage[] =
    "usage: hauberk bench path|handshakes|gateway|paper|compare [OPTIONS]\n"
    "\n"
    "  path        the path of a request: no mesh, bare relays, two agents, HAProxy\n"
    "  handshakes  tunnels to an agent, with each TLS engine\n"
    "  gateway     handshakes and requests at the gateway: HAProxy, nginx, Envoy beside it\n"
    "  paper       the tables and figures of \"Performance Comparison of Service Mesh "
    "Frameworks\"\n"
    "  compare     two results of paper against each other\n"
    "\n"
    "Each has its own --help. All make namespaces of their own and need no root.\n";

int hbk_command_bench(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } parts[] = {
        {"path", hbk_command_bench_path},       {"handshakes", hbk_command_bench_handshakes},
        {"gateway", hbk_command_bench_gateway}, {"paper", hbk_command_bench_paper},
        {"compare", hbk_command_bench_compare},
    };
    static char full_name[64];
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(argv[1], parts[i].name) == 0) {
            (void)snprintf(full_name, sizeof full_name, "hauberk bench %s", parts[i].name);
            argv[1] = full_name; /* with which getopt's complaints begin */
            return parts[i].run(argc - 1, argv + 1);
        }
    }
    if (argc > 1) {
        fprintf(stderr, "hauberk bench: there is no \"%s\"\n\n", argv[1]);
    }
    fputs(usage, stderr);
    return HBK_EXIT_USAGE;
}
