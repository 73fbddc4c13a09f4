/*
 * The connections that are open now, as a worker lists them for a dump: plain records behind each
 * other in a buffer, which travels to control by message. Pure; any thread that owns the buffer.
 */
#pragma once

#include "base/address.h"
#include "base/buffer.h"

enum hbk_connection_protocol {
    HBK_CONNECTION_TCP,
    HBK_CONNECTION_HBONE,
};

struct hbk_connection_entry {
    struct hbk_slice workload_uid; /* of our own end; at most 512 bytes count */
    bool is_inbound;
    enum hbk_connection_protocol protocol;
    const char *tls_engine; /* of its tunnel; a constant; NULL: none */
    struct hbk_address source;
    struct hbk_address original_destination; /* as the client meant it */
    struct hbk_address actual_destination;   /* no ip: not connected yet */
};

/* Appends a copy. Fails as hbk_buffer_append(); then nothing was appended. */
HBK_MUST_USE hbk_status hbk_connection_entry_append(struct hbk_buffer *buffer,
                                                    const struct hbk_connection_entry *entry);

/* Takes the next entry off `entries`, from which it borrows; false at the end. */
HBK_MUST_USE bool hbk_connection_entry_next(struct hbk_slice *entries,
                                            struct hbk_connection_entry *out_entry);
