/*
 * Options of the batcher (docs/crypto.md), for the commands whose workers have one.
 */
#pragma once

#include <getopt.h>

#include "crypto/batcher.h"

/* A handshake waits so long, several times. */
#define HBK_BATCH_DELAY_NS_MAX UINT64_C(1000000000)

/* getopt_long's codes; above those of the commands. */
enum hbk_batch_option {
    HBK_BATCH_OPTION_POLICY = 1024,
    HBK_BATCH_OPTION_DELAY,
    HBK_BATCH_OPTION_BREAK_EVEN,
};

/* Rows of a command's table. */
#define HBK_BATCH_OPTION_ROWS                                              \
    {"batch-policy", required_argument, NULL, HBK_BATCH_OPTION_POLICY},    \
        {"batch-delay", required_argument, NULL, HBK_BATCH_OPTION_DELAY},  \
    {                                                                      \
        "break-even", required_argument, NULL, HBK_BATCH_OPTION_BREAK_EVEN \
    }

/* Lines of a command's help. */
#define HBK_BATCH_OPTION_USAGE                                                                 \
    "  --batch-policy now|fixed|adaptive   when fewer than eight operations of TLS run\n"      \
    "                      together: without waiting, after --batch-delay, or after as much\n" \
    "                      of it as arrivals make worth while (now)\n"                         \
    "  --batch-delay D     the wait of fixed and adaptive, at most 1s (10ms)\n"                \
    "  --break-even QUEUE=LANES   from how many operations on a batch takes the vector\n"      \
    "                      kernel, 1 to 8, or 9 for never; `hauberk speed primitives`\n"       \
    "                      measures them. May be repeated\n"

struct hbk_batch_choice {
    struct hbk_batcher_options batcher;
    bool has_delay;
};

/* Nothing was chosen. */
void hbk_batch_choice_init(struct hbk_batch_choice *choice);

bool hbk_batch_option_is(int code);

/* Fails: HBK_INVALID, HBK_NOT_FOUND (a queue), with the reason. */
HBK_MUST_USE hbk_status hbk_batch_choice_read(struct hbk_batch_choice *choice, int code,
                                              const char *value, struct hbk_error *error);

/* After all options. Fails: HBK_INVALID (a delay for a policy that waits for nothing). */
HBK_MUST_USE hbk_status hbk_batch_choice_check(const struct hbk_batch_choice *choice,
                                               struct hbk_error *error);
