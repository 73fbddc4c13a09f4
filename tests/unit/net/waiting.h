/* Handshakes that wait for a batch, whatever engine speaks: the linker sends steps of handshakes
 * here (--wrap). One thread. */
#pragma once

#include <stdbool.h>

/* Each session answers HBK_TLS_WAITING so many times, each time until a job of its own has run,
 * before each step that it is given input for; 0: as the engine likes. */
extern unsigned waiting_wanted;

/* No job is submitted: the session waits until the end. */
extern bool waiting_holds;

/* Jobs that were submitted, and those of sessions that were freed before. */
extern unsigned waiting_jobs, waiting_cancelled;
