/* A series made by hand: a baseline, our agents and another mesh in one cell. */
#pragma once

#include <math.h>

#include "harness.h"
#include "paper/paper.h"

static struct hbk_paper paper; /* too large for a stack */

static const struct hbk_cell the_cell = {.placement = HBK_INTER,
                                         .arrivals = HBK_BURST,
                                         .rate_rps = 3200,
                                         .connections = 1600,
                                         .delay_ms = 200,
                                         .duration_ms = 4000};

static struct hbk_sample *add(const char *system, unsigned block, double p99_ms)
{
    struct hbk_sample *sample = &paper.samples[paper.sample_count++];
    *sample = (struct hbk_sample){.cell = the_cell, .block = block, .is_good = true};
    (void)strncpy(sample->system, system, sizeof sample->system - 1);
    for (unsigned i = 0; i < HBK_MEASURES; i++) {
        sample->values[i] = NAN;
    }
    sample->values[HBK_FORTIO_P99_MS] = sample->values[HBK_P99_MS] = p99_ms;
    sample->values[HBK_CLIENT_CPU] = sample->values[HBK_SERVER_CPU] = 0.05;
    sample->values[HBK_CLIENT_MIB] = sample->values[HBK_SERVER_MIB] = 10;
    sample->values[HBK_CLIENT_SOCKETS] = sample->values[HBK_SERVER_SOCKETS] = 1600;
    sample->values[HBK_KERNEL_MIB] = 16;
    sample->values[HBK_CALLS] = 3200 * 4;
    sample->values[HBK_FAILED] = 0;
    return sample;
}

static void add_agent(struct hbk_sample *sample, double cpu, double mib)
{
    sample->values[HBK_CLIENT_AGENT_CPU] = sample->values[HBK_SERVER_AGENT_CPU] = cpu;
    sample->values[HBK_CLIENT_AGENT_MIB] = sample->values[HBK_SERVER_AGENT_MIB] = mib;
    sample->values[HBK_CLIENT_AGENT_SOCKETS] = sample->values[HBK_SERVER_AGENT_SOCKETS] = 1600;
    sample->values[HBK_KERNEL_MIB] = 32;
}

static int begin(void **state)
{
    static struct hbk_sample samples[64];
    (void)state;
    paper = (struct hbk_paper){.samples = samples, .system_count = 3, .cell_count = 1};
    paper.systems[0] = (struct hbk_paper_system){.name = "baseline", .is_usable = true};
    paper.systems[1] = (struct hbk_paper_system){
        .name = "node", .kind = HBK_NODE, .encrypts = true, .is_usable = true};
    paper.systems[2] = (struct hbk_paper_system){
        .name = "other", .kind = HBK_PAIR, .encrypts = true, .is_usable = true};
    paper.cells[0] = (struct hbk_paper_cell){
        .cell = the_cell, .items = HBK_TABLE_2, .enough = HBK_TABLE_2, .blocks = 3, .systems = 7};
    return 0;
}
