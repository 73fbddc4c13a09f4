/* Names of failures as the outside runner knows them: its expectations are texts like
 * ":DECODE_ERROR:" on standard error. */
#pragma once

#include "flags.h"
#include "tls/session.h"

/* Says on standard error why a session failed: its names, then the engine's own sentence. */
void shim_report_failure(const struct hbk_tls_failure *failure);

/* Whether a failure says no more than that the peer speaks an older TLS, which the flags would let
 * it: then the test is one for another program. */
bool shim_is_older_version(const struct shim_settings *settings,
                           const struct hbk_tls_failure *failure);
