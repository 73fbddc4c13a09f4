/* The subcommands. Each gets the arguments behind its own name and returns the exit status. */
#pragma once

/* Exit statuses of every subcommand. */
enum {
    HBK_EXIT_OK = 0,
    HBK_EXIT_FAILED = 1,    /* the work was done or tried, and its answer is no */
    HBK_EXIT_USAGE = 2,     /* the command line is wrong; nothing was tried */
    HBK_EXIT_THRESHOLD = 3, /* the work was done, and a condition that was set for it is missed */
};

struct hbk_command {
    const char *name;
    const char *summary;               /* one line for `hauberk help` */
    int (*run)(int argc, char **argv); /* argv[0] is the subcommand's name */
};

/* All subcommands, ended by an entry without a name. */
extern const struct hbk_command hbk_commands[];

/* One function per subcommand, each in its own file. */
int hbk_command_bench(int argc, char **argv);
int hbk_command_bench_compare(int argc, char **argv); /* of hbk_command_bench */
int hbk_command_bench_gateway(int argc, char **argv);
int hbk_command_bench_handshakes(int argc, char **argv);
int hbk_command_bench_paper(int argc, char **argv);
int hbk_command_bench_path(int argc, char **argv);
int hbk_command_ca(int argc, char **argv);
int hbk_command_config(int argc, char **argv);
int hbk_command_demo(int argc, char **argv);
int hbk_command_echo(int argc, char **argv);
int hbk_command_gateway(int argc, char **argv);
int hbk_command_load(int argc, char **argv);
int hbk_command_node(int argc, char **argv);
int hbk_command_redirect(int argc, char **argv);
int hbk_command_speed(int argc, char **argv);
