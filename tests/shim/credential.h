/* The contexts of a test: what its flags say about certificates, trust and lists, given to the
 * engine. */
#pragma once

#include "flags.h"
#include "tls/context.h"
#include "tls/ticket.h"

/* Which of several credentials a context presents: its number in the flags; -1: the default one,
 * which stands last in a context, or none. */
int shim_credential_number(const struct shim_flags *flags, const struct hbk_tls_context *context,
                           size_t index_in_context);

/*
 * Builds the context of one connection. Ends the program with a status when a file cannot be used:
 * "unimplemented" for a key that the engine does not speak. `keys` may be NULL.
 */
struct hbk_tls_context *shim_context_new(const struct shim_flags *flags,
                                         const struct shim_settings *settings,
                                         struct hbk_tls_ticket_keys *keys);

/* Bytes of a base64 text; owned by the caller (free). Ends the program if it is none. */
struct hbk_span shim_base64_read(const char *text);

/* certificate_authorities as on the wire, without the outer length, of "HEX,HEX"; "<EMPTY>" and
 * "<NULL>" are none. Owned by the caller (free). */
struct hbk_span shim_authorities_read(const char *text);

/* Whether the file's certificates are these, in order. */
bool shim_is_chain_of(const char *file, const struct hbk_slice *certificates, size_t count);
