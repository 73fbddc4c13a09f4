/*
 * A system that stands between client and server in a benchmark, as a YAML file: its processes,
 * their configuration as templates, and when they are ready. docs/bench.md tells how to add one.
 */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "config/report.h"

enum {
    HBK_DESCRIPTOR_BYTES_MAX = 256 << 10,
    HBK_DESCRIPTOR_PROCESSES_MAX = 8,
    HBK_DESCRIPTOR_READY_S = 20,
    HBK_DESCRIPTOR_READY_S_MAX = 600,
    HBK_DESCRIPTOR_RENDERED_BYTES_MAX = 64 << 10,
};

enum hbk_side { HBK_SIDE_CLIENT, HBK_SIDE_SERVER, HBK_SIDES };

struct hbk_descriptor_file {
    struct hbk_slice name, text;
};

struct hbk_descriptor_process {
    struct hbk_slice name;
    enum hbk_side side;
    struct hbk_slice *command; /* behind the program's path */
    uint32_t command_count;
    struct hbk_slice *environment; /* "NAME=TEXT" */
    uint32_t environment_count;
    int place;                   /* 0: the pod; 1: its node, whose processes serve all pods */
    struct hbk_slice program;    /* a path; empty: the system's own binary */
    uint16_t port;               /* accepts connections when it is ready; 0: */
    struct hbk_slice ready_file; /* this file exists then */
    uint32_t ready_within_s;     /* how long that may take; 0: HBK_DESCRIPTOR_READY_S */
};

/* Everything lies in the arena it was read with. */
struct hbk_descriptor {
    struct hbk_slice name, title;
    struct hbk_slice binary;  /* looked for in PATH unless it is a path */
    struct hbk_slice package; /* where it comes from, for people */
    struct hbk_slice *version;
    uint32_t version_count;
    bool encrypts;
    bool is_untried;
    bool routes;             /* traffic finds its way by routes; nothing is captured */
    bool between_nodes;      /* does nothing inside a node */
    struct hbk_slice *needs; /* other programs that have to be in PATH */
    uint32_t needs_count;
    struct hbk_descriptor_file *files;
    uint32_t file_count;
    struct hbk_descriptor_process *processes;
    uint32_t process_count;
};

/* A descriptor, or another text with placeholders, that this program carries with it. */
struct hbk_descriptor_text {
    const char *name;
    const char *text;
};

/* The configurations of `bench gateway`, with the same placeholders. */
extern const struct hbk_descriptor_text hbk_gateway_configurations[];
extern const unsigned hbk_gateway_configurations_count;

/* Reads one. Fails: HBK_INVALID (reported with line and column), HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_descriptor_read(const char *file, struct hbk_slice text,
                                            struct hbk_arena *arena, struct hbk_report *report,
                                            struct hbk_descriptor *out_descriptor);

/* What "@NAME@" stands for. */
struct hbk_placeholder {
    const char *name;
    const char *text;
};

/* Appends `text` with placeholders replaced; "@@" is one "@". Fails: HBK_INVALID (`error` names a
 * placeholder that does not exist, and those that do), HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_descriptor_render(struct hbk_slice text,
                                              const struct hbk_placeholder *placeholders,
                                              size_t count, struct hbk_buffer *out,
                                              struct hbk_error *error);
