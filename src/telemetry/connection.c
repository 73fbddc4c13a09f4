#include "telemetry/connection.h"

#include "base/assert.h"

enum { UID_BYTES_MAX = 512 };

/* An entry as it lies in the buffer: this, and behind it the uid. */
struct head {
    struct hbk_address source, original_destination, actual_destination;
    const char *tls_engine;
    uint16_t uid_bytes;
    uint8_t is_inbound;
    uint8_t protocol;
};

hbk_status hbk_connection_entry_append(struct hbk_buffer *buffer,
                                       const struct hbk_connection_entry *entry)
{
    struct hbk_slice uid = hbk_slice_part(entry->workload_uid, 0, UID_BYTES_MAX);
    const struct head head = {
        .source = entry->source,
        .original_destination = entry->original_destination,
        .actual_destination = entry->actual_destination,
        .tls_engine = entry->tls_engine,
        .uid_bytes = (uint16_t)uid.size,
        .is_inbound = entry->is_inbound ? 1 : 0,
        .protocol = (uint8_t)entry->protocol,
    };
    struct hbk_span room;
    HBK_TRY(hbk_buffer_reserve(buffer, sizeof head + uid.size, &room));
    memcpy(room.bytes, &head, sizeof head);
    if (uid.size > 0) {
        memcpy(room.bytes + sizeof head, uid.bytes, uid.size);
    }
    hbk_buffer_commit(buffer, sizeof head + uid.size);
    return HBK_OK;
}

bool hbk_connection_entry_next(struct hbk_slice *entries, struct hbk_connection_entry *out_entry)
{
    if (entries->size == 0) {
        return false;
    }
    struct head head;
    HBK_ASSERT(entries->size >= sizeof head);
    memcpy(&head, entries->bytes, sizeof head);
    HBK_ASSERT(entries->size >= sizeof head + head.uid_bytes);
    *out_entry = (struct hbk_connection_entry){
        .workload_uid = hbk_slice_part(*entries, sizeof head, head.uid_bytes),
        .is_inbound = head.is_inbound == 1,
        .protocol = (enum hbk_connection_protocol)head.protocol,
        .tls_engine = head.tls_engine,
        .source = head.source,
        .original_destination = head.original_destination,
        .actual_destination = head.actual_destination,
    };
    *entries = hbk_slice_part(*entries, sizeof head + head.uid_bytes, entries->size);
    return true;
}
