/* What a test expects of a connection whose handshake is done. */
#pragma once

#include "connection.h"

/* Ends the program with SHIM_EXIT_CHECK, and a sentence, at the first expectation that is not met.
 */
void shim_check(const struct shim_connection *connection, int number);
