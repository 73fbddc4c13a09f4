/* The machine that a benchmark ran on, as in the paper's Table III. */
#pragma once

enum { HBK_MACHINE_FACTS_MAX = 16, HBK_MACHINE_TEXT_BYTES_MAX = 160 };

struct hbk_machine_fact {
    const char *name;
    char text[HBK_MACHINE_TEXT_BYTES_MAX]; /* "unknown" where the kernel does not say */
};

struct hbk_machine {
    struct hbk_machine_fact facts[HBK_MACHINE_FACTS_MAX];
    unsigned count;
};

/* Looks around. Thread: control. */
void hbk_machine_look(struct hbk_machine *out_machine);
