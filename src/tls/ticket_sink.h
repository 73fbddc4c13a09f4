/* Where a client's tickets go when they arrive: put together, read, and the newest one kept until
 * somebody takes it. Owned by a session that resumes. One thread at a time. */
#pragma once

#include <stdint.h>

#include "identity/verdict.h"
#include "tls/message.h"
#include "tls/ticket.h"

struct hbk_tls_ticket_sink;

/* The secret is copied; peer and staple are borrowed for the sink's life. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_tls_ticket_sink_new(enum hbk_cipher_suite suite,
                                                const uint8_t *resumption_secret,
                                                const struct hbk_peer *peer,
                                                struct hbk_slice staple, int64_t now_ns,
                                                struct hbk_tls_ticket_sink **out_sink);
void hbk_tls_ticket_sink_free(struct hbk_tls_ticket_sink *sink); /* wipes; NULL is allowed */

/* Takes the next piece of the body of a NewSessionTicket; with the last one it is read. A ticket
 * above HBK_TLS_TICKET_BYTES_MAX, or one for which there is no memory, is dropped. */
HBK_MUST_USE struct hbk_complaint hbk_tls_ticket_sink_take(struct hbk_tls_ticket_sink *sink,
                                                           struct hbk_slice piece, bool is_last);

/* The newest ticket, owned by the caller from then on; NULL: none since the last call. */
struct hbk_tls_ticket *hbk_tls_ticket_sink_newest(struct hbk_tls_ticket_sink *sink);
