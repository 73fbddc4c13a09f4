/*
 * The peer's certificates in a handshake, judged the same way for every engine: by the context's
 * trust, through the worker's cache, and against whom the session expects.
 */
#pragma once

#include "tls/engine.h"

/*
 * Judges what the peer presented. The caller owns a reference to the peer.
 * Fails: HBK_UNTRUSTED, HBK_LIMIT, HBK_NO_MEMORY; `failure` then says why, always with a text.
 */
HBK_MUST_USE hbk_status hbk_tls_judge(const struct hbk_tls_setup *setup,
                                      const struct hbk_chain *chain,
                                      const struct hbk_peer **out_peer,
                                      struct hbk_verdict_failure *failure);

/* The alert that such a failure is answered with (RFC 8446, 6.2). */
int hbk_tls_judge_alert(const struct hbk_verdict_failure *failure);
