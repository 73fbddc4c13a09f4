/* The control of the paper's cell: Fortio and a Go server in the place of our two ends. */
#pragma once

#include "paper/paper.h"

/* The two ends, started where ours would be. Fail as hbk_program_start(). */
HBK_MUST_USE hbk_status hbk_control_start_server(const struct hbk_paper *paper,
                                                 const struct hbk_paper_system *system,
                                                 const struct hbk_cell *cell,
                                                 struct hbk_program *out_program,
                                                 struct hbk_error *error);
HBK_MUST_USE hbk_status hbk_control_start_load(
    const struct hbk_paper *paper, const struct hbk_paper_system *system,
    const struct hbk_cell *cell, struct hbk_program *out_program,
    char out_command[static HBK_SAMPLE_COMMAND_BYTES_MAX], struct hbk_error *error);

/* Until the load has all its connections and their first answers. Fails: HBK_TIMEOUT, HBK_CLOSED.
 */
HBK_MUST_USE hbk_status hbk_control_wait_warm(const struct hbk_program *load,
                                              const struct hbk_cell *cell, uint64_t timeout_ns,
                                              struct hbk_error *error);

/* The figures of a load that has ended; Fortio has none from due. Fails: HBK_INVALID. */
HBK_MUST_USE hbk_status hbk_control_read(const struct hbk_program *load, struct hbk_sample *sample,
                                         struct hbk_error *error);
