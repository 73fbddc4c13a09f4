#include "telemetry/access_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"

/*
 * Eleven texts, the error, two addresses, four numbers and all the keys: 11 * 256 + 512 + 2 * 64 +
 * 4 * 20 + 400 stays below HBK_ACCESS_LINE_BYTES_MAX, so nothing here needs to be cut but values.
 */
struct line {
    char *bytes;
    size_t size;
    bool is_json;
    bool has_field;
};

static void put(struct line *line, struct hbk_slice text)
{
    HBK_ASSERT(text.size <= HBK_ACCESS_LINE_BYTES_MAX - line->size);
    if (text.size > 0) {
        memcpy(line->bytes + line->size, text.bytes, text.size);
        line->size += text.size;
    }
}

/* "key=" with a blank in front, or ,"key": */
static void put_key(struct line *line, const char *key)
{
    if (line->is_json) {
        put(line, HBK_SLICE(",\""));
        put(line, hbk_slice_text(key));
        put(line, HBK_SLICE("\":"));
        return;
    }
    put(line, line->has_field ? HBK_SLICE(" ") : HBK_SLICE("\t"));
    put(line, hbk_slice_text(key));
    put(line, HBK_SLICE("="));
    line->has_field = true;
}

/* How many bytes at the start go out as they are in text form. */
static size_t plain_bytes(struct hbk_slice text)
{
    size_t i = 0;
    while (i < text.size && text.bytes[i] >= ' ' && text.bytes[i] <= '~' && text.bytes[i] != '"' &&
           text.bytes[i] != '\\') {
        i++;
    }
    return i;
}

/* One byte that does not, by name or by number; returns the size. */
static size_t escape_byte(uint8_t byte, char piece[static 5])
{
    static const char names[] = {
        ['"'] = '"', ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (byte < sizeof names && names[byte] != '\0') {
        piece[0] = '\\';
        piece[1] = names[byte];
        return 2;
    }
    return (size_t)snprintf(piece, 5, "\\x%02x", byte);
}

/* The inside of a quoted value in text form: whole escapes only, at most out.size bytes. */
static size_t escape_text(struct hbk_slice text, struct hbk_span out)
{
    size_t used = 0;
    while (text.size > 0) {
        size_t plain = plain_bytes(text);
        size_t size = plain < out.size - used ? plain : out.size - used;
        memcpy(out.bytes + used, text.bytes, size);
        used += size;
        text = hbk_slice_part(text, size, text.size);
        if (size < plain || text.size == 0) {
            break;
        }
        char piece[5];
        size = escape_byte(text.bytes[0], piece);
        if (size > out.size - used) {
            break;
        }
        memcpy(out.bytes + used, piece, size);
        used += size;
        text = hbk_slice_part(text, 1, text.size);
    }
    return used;
}

static void put_quoted(struct line *line, const char *key, struct hbk_slice value, size_t bytes_max)
{
    if (value.size == 0) {
        return;
    }
    HBK_ASSERT(bytes_max + 2 <= HBK_ACCESS_LINE_BYTES_MAX - line->size);
    put_key(line, key);
    put(line, HBK_SLICE("\""));
    struct hbk_span room = hbk_span_of(line->bytes + line->size, bytes_max);
    line->size += line->is_json ? hbk_log_escape_json(value, room) : escape_text(value, room);
    put(line, HBK_SLICE("\""));
}

static void put_text(struct line *line, const char *key, struct hbk_slice value)
{
    put_quoted(line, key, value, HBK_ACCESS_VALUE_BYTES_MAX);
}

static void put_number(struct line *line, const char *key, uint64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRIu64, number);
    put_key(line, key);
    put(line, hbk_slice_of(text, (size_t)size));
}

/* Addresses stand without quotes in text form. */
static void put_bare(struct line *line, const char *key, struct hbk_slice value)
{
    if (line->is_json) {
        put_text(line, key, value);
        return;
    }
    put_key(line, key);
    put(line, value);
}

static void put_address(struct line *line, const char *key, const struct hbk_address *address)
{
    if (address->ip.size > 0) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        put_bare(line, key, hbk_slice_text(hbk_address_text(address, text)));
    }
}

static bool is_host_byte(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '.' || byte == '-' || byte == '_' ||
           byte == ':' || byte == '[' || byte == ']';
}

/* An authority is an address or a host name with a port; only one that looks like it goes bare. */
static void put_authority(struct line *line, const char *key, struct hbk_slice value)
{
    bool is_plain = value.size <= HBK_ACCESS_VALUE_BYTES_MAX;
    for (size_t i = 0; is_plain && i < value.size; i++) {
        is_plain = is_host_byte(value.bytes[i]);
    }
    if (is_plain && value.size > 0) {
        put_bare(line, key, value);
    } else {
        put_text(line, key, value);
    }
}

struct party_keys {
    const char *workload, *namespace, *identity, *cluster;
};

static void put_party(struct line *line, const struct party_keys *keys,
                      const struct hbk_party *party, bool is_mutual_tls)
{
    if (party == NULL) {
        return;
    }
    const struct hbk_party_text *text = &party->text;
    put_text(line, keys->workload, text->pod.size > 0 ? text->pod : text->canonical_service);
    put_text(line, keys->namespace, text->namespace);
    if (is_mutual_tls) {
        put_text(line, keys->identity, text->principal);
    }
    put_text(line, keys->cluster, text->cluster);
}

static void put_source(struct line *line, const struct hbk_access_record *record)
{
    static const struct party_keys keys = {"src.workload", "src.namespace", "src.identity",
                                           "src.cluster"};
    put_address(line, "src.addr", &record->source);
    if (record->event != HBK_ACCESS_FAILED) {
        put_party(line, &keys, record->source_party, record->is_mutual_tls);
    }
}

static void put_destination(struct line *line, const struct hbk_access_record *record)
{
    static const struct party_keys keys = {"dst.workload", "dst.namespace", "dst.identity",
                                           "dst.cluster"};
    put_address(line, "dst.addr", &record->destination);
    if (record->event == HBK_ACCESS_FAILED) {
        return;
    }
    put_authority(line, "dst.hbone_addr", record->hbone_target);
    if (record->service != NULL) {
        put_text(line, "dst.service", record->service->text.host);
    }
    put_party(line, &keys, record->destination_party, record->is_mutual_tls);
}

static void put_message(struct line *line, enum hbk_access_event event)
{
    static const char *const messages[] = {
        [HBK_ACCESS_COMPLETE] = "connection complete",
        [HBK_ACCESS_OPENED] = "connection opened",
        [HBK_ACCESS_FAILED] = "connection failed",
    };
    put(line, line->is_json ? HBK_SLICE("\"message\":\"") : HBK_SLICE(""));
    put(line, hbk_slice_text(messages[event]));
    put(line, line->is_json ? HBK_SLICE("\"") : HBK_SLICE(""));
}

size_t hbk_access_line(const struct hbk_access_record *record, bool is_json,
                       char bytes[static HBK_ACCESS_LINE_BYTES_MAX])
{
    struct line line = {.bytes = bytes, .is_json = is_json};
    bool is_outbound = record->reporter == HBK_REPORTER_SOURCE;

    put_message(&line, record->event);
    put_source(&line, record);
    put_destination(&line, record);
    put_text(&line, "direction", is_outbound ? HBK_SLICE("outbound") : HBK_SLICE("inbound"));
    put_text(&line, "tls.engine", record->tls_engine);
    if (record->event == HBK_ACCESS_COMPLETE) {
        char duration[24];
        (void)snprintf(duration, sizeof duration, "%" PRIu64 "ms",
                       record->duration_ns / HBK_NS_PER_MS);
        put_number(&line, "bytes_sent", record->sent_bytes);
        put_number(&line, "bytes_recv", record->received_bytes);
        put_text(&line, "duration", hbk_slice_text(duration));
    }
    put_quoted(&line, "error", record->error, HBK_ACCESS_ERROR_BYTES_MAX);
    return line.size;
}

enum hbk_log_level hbk_access_level(const struct hbk_access_record *record)
{
    switch (record->event) {
    case HBK_ACCESS_COMPLETE:
        return record->error.size > 0 ? HBK_LOG_ERROR : HBK_LOG_INFO;
    case HBK_ACCESS_OPENED:
        return HBK_LOG_DEBUG;
    case HBK_ACCESS_FAILED:
        break;
    }
    return HBK_LOG_WARN;
}

void hbk_access_log(const struct hbk_access_record *record)
{
    enum hbk_log_level level = hbk_access_level(record);
    if (!hbk_log_is_on(level)) {
        return;
    }
    char line[HBK_ACCESS_LINE_BYTES_MAX];
    size_t size = hbk_access_line(record, hbk_log_is_json(), line);
    hbk_log_prepared(level, "access", hbk_slice_of(line, size));
}
