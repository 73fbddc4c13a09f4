/* HBONE's header fields. Parsers are strict: what is not understood in full is not used at all. */
#include "wire/hbone.h"

enum {
    TRACE_ID_AT = 3,
    PARENT_ID_AT = 36,
    FLAGS_AT = 53,
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

/* Names as DNS and Kubernetes write them; underscores occur in the wild. */
static bool is_host(struct hbk_slice text)
{
    if (text.size == 0 || text.size > HBK_HBONE_HOST_BYTES_MAX || text.bytes[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        bool is_double_dot = byte == '.' && i > 0 && text.bytes[i - 1] == '.';
        if (is_double_dot ||
            !(is_letter(byte) || is_digit(byte) || byte == '-' || byte == '_' || byte == '.')) {
            return false;
        }
    }
    return true;
}

/* "HOST:PORT". A name whose last label is a number is a broken address, not a name. */
static bool parse_named(struct hbk_slice text, struct hbk_hbone_authority *out_authority)
{
    size_t colon = 0;
    uint64_t port = 0;
    if (!hbk_slice_find(text, ':', &colon) ||
        !hbk_slice_to_u64(hbk_slice_part(text, colon + 1, text.size), UINT16_MAX, &port)) {
        return false;
    }
    struct hbk_slice host = hbk_slice_part(text, 0, colon);
    if (!is_host(host)) {
        return false;
    }
    size_t last = host.size;
    while (last > 0 && is_digit(host.bytes[last - 1])) {
        last--;
    }
    if (last == 0 || (last < host.size && host.bytes[last - 1] == '.')) {
        return false;
    }
    *out_authority = (struct hbk_hbone_authority){.host = host, .port = (uint16_t)port};
    return true;
}

bool hbk_hbone_parse_authority(struct hbk_slice text, struct hbk_hbone_authority *out_authority)
{
    struct hbk_hbone_authority authority = {0};
    if (hbk_address_parse(text, &authority.address)) {
        authority.is_address = true;
        authority.port = authority.address.port;
    } else if (!parse_named(text, &authority)) {
        return false;
    }
    if (authority.port == 0) {
        return false;
    }
    *out_authority = authority;
    return true;
}

/* Text that is appended to a span; once something did not fit, nothing more is. */
struct writer {
    struct hbk_span room;
    size_t used;
    bool is_full;
};

static void put_byte(struct writer *writer, uint8_t byte)
{
    if (writer->used == writer->room.size) {
        writer->is_full = true;
        return;
    }
    writer->room.bytes[writer->used++] = byte;
}

static void put(struct writer *writer, struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        put_byte(writer, text.bytes[i]);
    }
}

static hbk_status finish(const struct writer *writer, size_t *out_size)
{
    if (writer->is_full) {
        return HBK_LIMIT;
    }
    *out_size = writer->used;
    return HBK_OK;
}

/* W3C Baggage, 3.3.1: baggage-octet. The percent sign is left out, so that values come back whole.
 */
static bool is_baggage_byte(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f && byte != '"' && byte != ',' && byte != ';' && byte != '\\' &&
           byte != '%';
}

static void put_encoded(struct writer *writer, struct hbk_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        if (is_baggage_byte(byte)) {
            put_byte(writer, byte);
        } else {
            put_byte(writer, '%');
            put_byte(writer, (uint8_t)digits[byte >> 4]);
            put_byte(writer, (uint8_t)digits[byte & 15]);
        }
    }
}

static void put_member(struct writer *writer, struct hbk_slice key, struct hbk_slice value)
{
    if (value.size == 0) {
        return;
    }
    if (writer->used > 0) {
        put_byte(writer, ',');
    }
    put(writer, key);
    put_byte(writer, '=');
    put_encoded(writer, value);
}

/* The kinds of workload, each with the key of its name. */
static const struct {
    struct hbk_slice kind, key;
} workload_keys[] = {
    {{(const uint8_t *)"deployment", 10}, {(const uint8_t *)"k8s.deployment.name", 19}},
    {{(const uint8_t *)"cronjob", 7}, {(const uint8_t *)"k8s.cronjob.name", 16}},
    {{(const uint8_t *)"pod", 3}, {(const uint8_t *)"k8s.pod.name", 12}},
    {{(const uint8_t *)"job", 3}, {(const uint8_t *)"k8s.job.name", 12}},
};

hbk_status hbk_hbone_write_baggage(const struct hbk_hbone_baggage *baggage, struct hbk_span room,
                                   size_t *out_size)
{
    struct writer writer = {.room = room};
    put_member(&writer, HBK_SLICE("k8s.cluster.name"), baggage->cluster);
    put_member(&writer, HBK_SLICE("k8s.namespace.name"), baggage->namespace);
    for (size_t i = 0; i < HBK_COUNT(workload_keys); i++) {
        if (hbk_slice_equal(baggage->workload_kind, workload_keys[i].kind)) {
            put_member(&writer, workload_keys[i].key, baggage->workload_name);
        }
    }
    put_member(&writer, HBK_SLICE("service.name"), baggage->service_name);
    put_member(&writer, HBK_SLICE("service.version"), baggage->service_version);
    put_member(&writer, HBK_SLICE("cloud.region"), baggage->region);
    put_member(&writer, HBK_SLICE("cloud.availability_zone"), baggage->zone);
    return finish(&writer, out_size);
}

static struct hbk_slice trim(struct hbk_slice text)
{
    while (text.size > 0 && (text.bytes[0] == ' ' || text.bytes[0] == '\t')) {
        text = hbk_slice_of(text.bytes + 1, text.size - 1);
    }
    while (text.size > 0 &&
           (text.bytes[text.size - 1] == ' ' || text.bytes[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

/* Takes what stands before the next `separator`, or all that is left. */
static struct hbk_slice take_part(struct hbk_slice *text, uint8_t separator)
{
    size_t size = text->size;
    bool is_found = hbk_slice_find(*text, separator, &size);
    struct hbk_slice part = trim(hbk_slice_part(*text, 0, size));
    *text = hbk_slice_part(*text, is_found ? size + 1 : size, text->size);
    return part;
}

static void keep_first(struct hbk_slice *place, struct hbk_slice value)
{
    if (place->size == 0) {
        *place = value;
    }
}

static void keep_member(struct hbk_hbone_baggage *baggage, struct hbk_slice key,
                        struct hbk_slice value)
{
    const struct {
        struct hbk_slice key;
        struct hbk_slice *place;
    } places[] = {
        {HBK_SLICE("k8s.cluster.name"), &baggage->cluster},
        {HBK_SLICE("k8s.namespace.name"), &baggage->namespace},
        {HBK_SLICE("service.name"), &baggage->service_name},
        {HBK_SLICE("service.version"), &baggage->service_version},
        {HBK_SLICE("cloud.region"), &baggage->region},
        {HBK_SLICE("cloud.availability_zone"), &baggage->zone},
    };
    for (size_t i = 0; i < HBK_COUNT(places); i++) {
        if (hbk_slice_equal(key, places[i].key)) {
            keep_first(places[i].place, value);
        }
    }
    for (size_t i = 0; i < HBK_COUNT(workload_keys); i++) {
        if (hbk_slice_equal(key, workload_keys[i].key) && baggage->workload_name.size == 0) {
            baggage->workload_kind = workload_keys[i].kind;
            baggage->workload_name = value;
        }
    }
}

static bool is_baggage_text(struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is_baggage_byte(text.bytes[i]) && text.bytes[i] != '%') {
            return false;
        }
    }
    return true;
}

bool hbk_hbone_parse_baggage(struct hbk_slice text, struct hbk_hbone_baggage *out_baggage)
{
    if (text.size > HBK_HBONE_BAGGAGE_READ_BYTES_MAX) {
        return false;
    }
    struct hbk_hbone_baggage baggage = {0};
    for (size_t members = 0; text.size > 0; members++) {
        struct hbk_slice member = take_part(&text, ',');
        struct hbk_slice pair = take_part(&member, ';');
        size_t equals = 0;
        if (members == HBK_HBONE_BAGGAGE_MEMBERS_MAX || !hbk_slice_find(pair, '=', &equals)) {
            return false;
        }
        struct hbk_slice key = trim(hbk_slice_part(pair, 0, equals));
        struct hbk_slice value = trim(hbk_slice_part(pair, equals + 1, pair.size));
        if (key.size == 0 || !is_baggage_text(key) || !is_baggage_text(value)) {
            return false;
        }
        keep_member(&baggage, key, value);
    }
    *out_baggage = baggage;
    return true;
}

hbk_status hbk_hbone_write_forwarded(const struct hbk_address *source, struct hbk_slice host,
                                     struct hbk_span room, size_t *out_size)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct writer writer = {.room = room};
    put(&writer, HBK_SLICE("for=\""));
    put(&writer, hbk_slice_text(hbk_address_text(source, text)));
    put_byte(&writer, '"');
    if (host.size > 0) {
        /* A host name is a token of RFC 7239; anything else would need quoting. */
        if (!is_host(host)) {
            return HBK_INVALID;
        }
        put(&writer, HBK_SLICE(";host="));
        put(&writer, host);
    }
    return finish(&writer, out_size);
}

/* A parameter's value, RFC 7239, section 4: a quoted string (without escapes, which nothing that
 * we read needs) or a bare one. False when the quotes do not match. */
static bool take_value(struct hbk_slice *text, struct hbk_slice *out_value)
{
    if (text->size > 0 && text->bytes[0] == '"') {
        struct hbk_slice rest = hbk_slice_part(*text, 1, text->size);
        size_t quote = 0;
        size_t escape = 0;
        if (!hbk_slice_find(rest, '"', &quote) ||
            hbk_slice_find(hbk_slice_part(rest, 0, quote), '\\', &escape)) {
            return false;
        }
        *out_value = hbk_slice_part(rest, 0, quote);
        *text = hbk_slice_part(rest, quote + 1, rest.size);
        return true;
    }
    size_t size = 0;
    while (size < text->size && text->bytes[size] > ' ' && text->bytes[size] != ';' &&
           text->bytes[size] != ',' && text->bytes[size] != '"' && text->bytes[size] < 0x7f) {
        size++;
    }
    *out_value = hbk_slice_part(*text, 0, size);
    *text = hbk_slice_part(*text, size, text->size);
    return size > 0;
}

/* "NAME=VALUE" at the front. False when it is not there, or something else than the next parameter
 * or the next element stands behind it. */
static bool take_parameter(struct hbk_slice *text, struct hbk_slice *out_name,
                           struct hbk_slice *out_value)
{
    size_t equals = 0;
    if (!hbk_slice_find(*text, '=', &equals)) {
        return false;
    }
    *out_name = trim(hbk_slice_part(*text, 0, equals));
    *text = hbk_slice_part(*text, equals + 1, text->size);
    if (!take_value(text, out_value)) {
        return false;
    }
    *text = trim(*text);
    return text->size == 0 || text->bytes[0] == ';' || text->bytes[0] == ',';
}

bool hbk_hbone_parse_forwarded(struct hbk_slice text, struct hbk_address *out_source,
                               struct hbk_slice *out_host)
{
    struct hbk_slice source = {0};
    struct hbk_slice host = {0};
    if (text.size > HBK_HBONE_FORWARDED_BYTES_MAX) {
        return false;
    }
    for (bool is_more = true; is_more;) {
        struct hbk_slice name;
        struct hbk_slice value;
        if (!take_parameter(&text, &name, &value)) {
            return false;
        }
        if (hbk_slice_equal_nocase(name, HBK_SLICE("for"))) {
            keep_first(&source, value);
        } else if (hbk_slice_equal_nocase(name, HBK_SLICE("host"))) {
            keep_first(&host, value);
        }
        is_more = text.size > 0 && text.bytes[0] == ';';
        text = hbk_slice_part(text, 1, text.size);
    }
    struct hbk_address address;
    if (!hbk_address_parse(source, &address) || (host.size > 0 && !is_host(host))) {
        return false;
    }
    *out_source = address;
    *out_host = host;
    return true;
}

static void put_hex(uint8_t *text, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = (uint8_t)digits[bytes[i] >> 4];
        text[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
    }
}

/* Lower case only, as W3C Trace Context demands. */
static bool read_hex(const uint8_t *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < 2 * size; i++) {
        uint8_t value = 0;
        if (is_digit(text[i])) {
            value = (uint8_t)(text[i] - '0');
        } else if (text[i] >= 'a' && text[i] <= 'f') {
            value = (uint8_t)(text[i] - 'a' + 10);
        } else {
            return false;
        }
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | value);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t all = 0;
    for (size_t i = 0; i < size; i++) {
        all |= bytes[i];
    }
    return all == 0;
}

void hbk_hbone_write_traceparent(const struct hbk_hbone_trace *trace,
                                 uint8_t text[static HBK_HBONE_TRACEPARENT_BYTES])
{
    memcpy(text, "00-", TRACE_ID_AT);
    put_hex(text + TRACE_ID_AT, trace->trace_id, sizeof(trace->trace_id));
    text[PARENT_ID_AT - 1] = '-';
    put_hex(text + PARENT_ID_AT, trace->parent_id, sizeof(trace->parent_id));
    text[FLAGS_AT - 1] = '-';
    put_hex(text + FLAGS_AT, &trace->flags, 1);
}

bool hbk_hbone_parse_traceparent(struct hbk_slice text, struct hbk_hbone_trace *out_trace)
{
    struct hbk_hbone_trace trace = {0};
    uint8_t version = 0;
    const uint8_t *bytes = text.bytes;
    if (text.size < HBK_HBONE_TRACEPARENT_BYTES || !read_hex(bytes, &version, 1) ||
        version == 0xff || bytes[TRACE_ID_AT - 1] != '-' || bytes[PARENT_ID_AT - 1] != '-' ||
        bytes[FLAGS_AT - 1] != '-') {
        return false;
    }
    /* Later versions may say more behind another dash (W3C Trace Context, 3.2.4). */
    if (text.size > HBK_HBONE_TRACEPARENT_BYTES &&
        (version == 0 || bytes[HBK_HBONE_TRACEPARENT_BYTES] != '-')) {
        return false;
    }
    if (!read_hex(bytes + TRACE_ID_AT, trace.trace_id, sizeof(trace.trace_id)) ||
        !read_hex(bytes + PARENT_ID_AT, trace.parent_id, sizeof(trace.parent_id)) ||
        !read_hex(bytes + FLAGS_AT, &trace.flags, 1) ||
        is_zero(trace.trace_id, sizeof(trace.trace_id)) ||
        is_zero(trace.parent_id, sizeof(trace.parent_id))) {
        return false;
    }
    *out_trace = trace;
    return true;
}

static void add_field(struct hbk_hbone_fields *fields, struct hbk_slice name,
                      struct hbk_slice value, bool is_volatile)
{
    fields->list[fields->count++] =
        (struct hbk_h2_field){.name = name, .value = value, .is_volatile = is_volatile};
}

hbk_status hbk_hbone_write_request(const struct hbk_hbone_request *request,
                                   struct hbk_hbone_fields *out_fields)
{
    out_fields->count = 0;
    if (request->baggage.size > 0) {
        add_field(out_fields, HBK_SLICE("baggage"), request->baggage, false);
    }
    if (request->source.ip.size > 0) {
        size_t size = 0;
        HBK_TRY(hbk_hbone_write_forwarded(
            &request->source, request->service_host,
            hbk_span_of(out_fields->forwarded, sizeof(out_fields->forwarded)), &size));
        add_field(out_fields, HBK_SLICE("forwarded"), hbk_slice_of(out_fields->forwarded, size),
                  true);
    }
    if (request->trace != NULL) {
        hbk_hbone_write_traceparent(request->trace, out_fields->traceparent);
        add_field(out_fields, HBK_SLICE("traceparent"),
                  hbk_slice_of(out_fields->traceparent, HBK_HBONE_TRACEPARENT_BYTES), true);
    }
    if (request->network.size > 0) {
        add_field(out_fields, HBK_SLICE("x-forwarded-network"), request->network, false);
    }
    return HBK_OK;
}

enum hbk_hbone_status hbk_hbone_read_request(const struct hbk_h2_fields *fields,
                                             struct hbk_hbone_arrival *out_arrival,
                                             const char **out_reason)
{
    struct hbk_hbone_arrival arrival = {0};
    if (!hbk_slice_equal(fields->method, HBK_SLICE("CONNECT"))) {
        *out_reason = "the method is not CONNECT";
        return HBK_HBONE_BAD_REQUEST;
    }
    if (!hbk_hbone_parse_authority(fields->authority, &arrival.authority)) {
        *out_reason = "the authority is not ADDRESS:PORT or HOST:PORT";
        return HBK_HBONE_BAD_REQUEST;
    }
    struct hbk_slice value;
    if (hbk_h2_find_field(fields, HBK_SLICE("baggage"), &value) &&
        !hbk_hbone_parse_baggage(value, &arrival.baggage)) {
        arrival.baggage = (struct hbk_hbone_baggage){0};
    }
    if (hbk_h2_find_field(fields, HBK_SLICE("forwarded"), &value) &&
        !hbk_hbone_parse_forwarded(value, &arrival.source, &arrival.service_host)) {
        arrival.source = (struct hbk_address){0};
    }
    if (hbk_h2_find_field(fields, HBK_SLICE("traceparent"), &value)) {
        arrival.has_trace = hbk_hbone_parse_traceparent(value, &arrival.trace);
    }
    if (hbk_h2_find_field(fields, HBK_SLICE("x-forwarded-network"), &value)) {
        arrival.network = value;
    }
    *out_arrival = arrival;
    return HBK_HBONE_CONNECTED;
}
