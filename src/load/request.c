/*
 * A request is prepared once and sent a million times. "{uuid}" is replaced by a UUID of fixed
 * length when it is prepared, so that Content-Length holds for every later one, and by a fresh one
 * in the same place with every call.
 */
#include "load/request.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "load/schedule.h"

enum { USER_BYTES_MAX = 1024 };

static const char uuid_token[] = "{uuid}";
static const char uuid_blank[] = "00000000-0000-4000-8000-000000000000";

_Static_assert(sizeof uuid_blank - 1 == HBK_LOAD_UUID_BYTES, "a UUID's text has 36 characters");

static struct hbk_slice method_of(const struct hbk_load_plan *plan)
{
    if (plan->method.size > 0) {
        return plan->method;
    }
    /* As Fortio: a body or a content type makes it a POST. */
    bool is_post = plan->body.size > 0 || plan->content_type.size > 0;
    return is_post ? HBK_SLICE("POST") : HBK_SLICE("GET");
}

/* What the caller's own headers replace. */
struct given {
    bool has_host, has_agent, has_type, has_connection;
};

static struct hbk_slice name_of(struct hbk_slice line)
{
    size_t colon = 0;
    (void)hbk_slice_find(line, ':', &colon);
    return hbk_slice_part(line, 0, colon);
}

static struct hbk_slice value_of(struct hbk_slice line)
{
    size_t colon = 0;
    (void)hbk_slice_find(line, ':', &colon);
    struct hbk_slice value = hbk_slice_part(line, colon + 1, line.size);
    while (value.size > 0 && (value.bytes[0] == ' ' || value.bytes[0] == '\t')) {
        value = hbk_slice_part(value, 1, value.size);
    }
    return value;
}

static struct given given_headers(const struct hbk_load_plan *plan)
{
    struct given given = {0};
    for (unsigned i = 0; i < plan->header_count; i++) {
        struct hbk_slice name = name_of(plan->headers[i]);
        given.has_host |= hbk_slice_equal_nocase(name, HBK_SLICE("host"));
        given.has_agent |= hbk_slice_equal_nocase(name, HBK_SLICE("user-agent"));
        given.has_type |= hbk_slice_equal_nocase(name, HBK_SLICE("content-type"));
        given.has_connection |= hbk_slice_equal_nocase(name, HBK_SLICE("connection"));
    }
    return given;
}

/* "Basic dXNlcjpwYXNz" (RFC 7617). */
static hbk_status credentials(const struct hbk_load_plan *plan, char *out_text)
{
    if (plan->user.size > USER_BYTES_MAX) {
        return HBK_LIMIT;
    }
    (void)EVP_EncodeBlock((unsigned char *)out_text, plan->user.bytes, (int)plan->user.size);
    return HBK_OK;
}

static hbk_status put_own_headers(const struct hbk_load_plan *plan, struct hbk_buffer *out)
{
    struct given given = given_headers(plan);
    char user[USER_BYTES_MAX * 2];
    if (!given.has_host) {
        HBK_TRY(hbk_buffer_print(out, "Host: %.*s\r\n", HBK_SLICE_ARGS(plan->target.authority)));
    }
    if (!given.has_agent) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("User-Agent: hauberk/" HBK_VERSION "\r\n")));
    }
    if (!given.has_connection && plan->reuse_max == 1) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("Connection: close\r\n")));
    }
    if (plan->user.size > 0) {
        HBK_TRY(credentials(plan, user));
        HBK_TRY(hbk_buffer_print(out, "Authorization: Basic %s\r\n", user));
    }
    if (!given.has_type && plan->content_type.size > 0) {
        HBK_TRY(
            hbk_buffer_print(out, "Content-Type: %.*s\r\n", HBK_SLICE_ARGS(plan->content_type)));
    }
    return HBK_OK;
}

/* Appends text with a UUID in the place of every "{uuid}". */
static hbk_status put_with_uuids(struct hbk_buffer *out, struct hbk_slice text)
{
    while (text.size > 0) {
        const uint8_t *found = memmem(text.bytes, text.size, uuid_token, sizeof uuid_token - 1);
        size_t before = found == NULL ? text.size : (size_t)(found - text.bytes);
        HBK_TRY(hbk_buffer_append(out, hbk_slice_part(text, 0, before)));
        if (found == NULL) {
            return HBK_OK;
        }
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE(uuid_blank)));
        text = hbk_slice_part(text, before + sizeof uuid_token - 1, text.size);
    }
    return HBK_OK;
}

static size_t size_with_uuids(struct hbk_slice text)
{
    size_t size = text.size;
    for (size_t i = 0; i + sizeof uuid_token - 1 <= text.size; i++) {
        if (memcmp(text.bytes + i, uuid_token, sizeof uuid_token - 1) == 0) {
            size += sizeof uuid_blank - sizeof uuid_token;
        }
    }
    return size;
}

hbk_status hbk_load_request_build(const struct hbk_load_plan *plan, struct hbk_slice path,
                                  struct hbk_buffer *out)
{
    struct hbk_slice method = method_of(plan);
    HBK_TRY(hbk_buffer_print(out, "%.*s ", HBK_SLICE_ARGS(method)));
    HBK_TRY(put_with_uuids(out, path));
    HBK_TRY(hbk_buffer_print(out, " HTTP/1.%d\r\n", plan->is_http10 ? 0 : 1));
    HBK_TRY(put_own_headers(plan, out));
    for (unsigned i = 0; i < plan->header_count; i++) {
        /* As in Fortio, a header without a value takes ours away and sends nothing. */
        if (value_of(plan->headers[i]).size > 0) {
            HBK_TRY(hbk_buffer_print(out, "%.*s\r\n", HBK_SLICE_ARGS(plan->headers[i])));
        }
    }
    if (!hbk_slice_equal(method, HBK_SLICE("GET")) || plan->body.size > 0) {
        HBK_TRY(hbk_buffer_print(out, "Content-Length: %zu\r\n", size_with_uuids(plan->body)));
    }
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE("\r\n")));
    return put_with_uuids(out, plan->body);
}

/* Finds the blanks again. What the caller wrote cannot be told apart, and need not be. */
static hbk_status find_uuids(struct hbk_load_request *request, struct hbk_error *error)
{
    struct hbk_slice rest = hbk_buffer_slice(&request->bytes);
    size_t at = 0;
    const uint8_t *found;
    while ((found = memmem(rest.bytes + at, rest.size - at, uuid_blank, HBK_LOAD_UUID_BYTES)) !=
           NULL) {
        if (request->uuid_count == HBK_LOAD_UUIDS_MAX) {
            return hbk_error_set(error, HBK_LIMIT, "at most %d {uuid} in a request are allowed",
                                 HBK_LOAD_UUIDS_MAX);
        }
        at = (size_t)(found - rest.bytes);
        request->uuids[request->uuid_count++] = at;
        at += HBK_LOAD_UUID_BYTES;
    }
    return HBK_OK;
}

/* ---- HTTP/2 ---- */

static bool is_of_connection(struct hbk_slice name)
{
    /* RFC 9113, 8.2.2; and Host is told as :authority. */
    return hbk_slice_equal_nocase(name, HBK_SLICE("connection")) ||
           hbk_slice_equal_nocase(name, HBK_SLICE("keep-alive")) ||
           hbk_slice_equal_nocase(name, HBK_SLICE("upgrade")) ||
           hbk_slice_equal_nocase(name, HBK_SLICE("host"));
}

static void add_field(struct hbk_load_request *request, struct hbk_slice name,
                      struct hbk_slice value)
{
    request->fields[request->field_count++] = (struct hbk_h2_field){.name = name, .value = value};
}

/* Appends to `text`, whose room was reserved, so that earlier slices stay. */
static struct hbk_slice keep_text(struct hbk_load_request *request, struct hbk_slice text,
                                  bool is_lowered)
{
    struct hbk_span room;
    if (hbk_buffer_reserve(&request->text, text.size, &room) != HBK_OK) {
        return HBK_SLICE("");
    }
    for (size_t i = 0; i < text.size; i++) {
        bool is_upper = text.bytes[i] >= 'A' && text.bytes[i] <= 'Z';
        room.bytes[i] = is_lowered && is_upper ? text.bytes[i] | 0x20 : text.bytes[i];
    }
    hbk_buffer_commit(&request->text, text.size);
    return hbk_slice_of(room.bytes, text.size);
}

static hbk_status prepare_h2(struct hbk_load_request *request, const struct hbk_load_plan *plan,
                             struct hbk_slice path)
{
    struct given given = given_headers(plan);
    struct hbk_span room;
    char user[USER_BYTES_MAX * 2], text[USER_BYTES_MAX * 2 + 8];
    size_t size = sizeof text;
    for (unsigned i = 0; i < plan->header_count; i++) {
        size += plan->headers[i].size;
    }
    HBK_TRY(hbk_buffer_reserve(&request->text, size, &room)); /* so that it never moves */
    request->h2 = (struct hbk_h2_request){
        .method = method_of(plan),
        .scheme = plan->target.is_tls ? HBK_SLICE("https") : HBK_SLICE("http"),
        .authority = plan->target.authority,
        .path = path,
    };
    request->body = plan->body;
    if (!given.has_agent) {
        add_field(request, HBK_SLICE("user-agent"), HBK_SLICE("hauberk/" HBK_VERSION));
    }
    if (plan->user.size > 0) {
        HBK_TRY(credentials(plan, user));
        int length = snprintf(text, sizeof text, "Basic %s", user);
        add_field(request, HBK_SLICE("authorization"),
                  keep_text(request, hbk_slice_of(text, (size_t)length), false));
    }
    if (!given.has_type && plan->content_type.size > 0) {
        add_field(request, HBK_SLICE("content-type"), plan->content_type);
    }
    for (unsigned i = 0; i < plan->header_count; i++) {
        struct hbk_slice name = name_of(plan->headers[i]), value = value_of(plan->headers[i]);
        if (hbk_slice_equal_nocase(name, HBK_SLICE("host"))) {
            request->h2.authority = value;
        }
        if (!is_of_connection(name) && value.size > 0) {
            add_field(request, keep_text(request, name, true), value);
        }
    }
    return HBK_OK;
}

static hbk_status prepare(struct hbk_load_request *request, const struct hbk_load_plan *plan,
                          struct hbk_slice path, struct hbk_error *error)
{
    if (!plan->is_http2) {
        HBK_TRY(hbk_load_request_build(plan, path, &request->bytes));
        return find_uuids(request, error);
    }
    if (memmem(path.bytes, path.size, uuid_token, sizeof uuid_token - 1) != NULL ||
        (plan->body.size > 0 &&
         memmem(plan->body.bytes, plan->body.size, uuid_token, sizeof uuid_token - 1) != NULL)) {
        return hbk_error_set(error, HBK_UNSUPPORTED, "{uuid} is for HTTP/1 only");
    }
    return prepare_h2(request, plan, path);
}

hbk_status hbk_load_requests_init(struct hbk_load_requests *requests,
                                  const struct hbk_load_plan *plan, struct hbk_error *error)
{
    double sum = 0, up_to = 0;
    *requests = (struct hbk_load_requests){.count = plan->path_count > 0 ? plan->path_count : 1};
    for (unsigned i = 0; i < plan->path_count; i++) {
        sum += plan->paths[i].weight;
    }
    for (unsigned i = 0; i < requests->count; i++) {
        struct hbk_load_request *request = &requests->list[i];
        bool is_only = plan->path_count == 0;
        hbk_buffer_init(&request->bytes, HBK_LOAD_REQUEST_BYTES_MAX);
        hbk_buffer_init(&request->text, HBK_LOAD_REQUEST_BYTES_MAX);
        up_to += is_only ? 1 : plan->paths[i].weight / sum;
        request->weight_up_to = i + 1 == requests->count ? 1 : up_to;
        request->url = is_only ? plan->target.url : plan->paths[i].url;
        if (plan->target.scheme == HBK_LOAD_HTTP) {
            HBK_TRY(
                prepare(request, plan, is_only ? plan->target.path : plan->paths[i].path, error));
        }
    }
    return HBK_OK;
}

void hbk_load_requests_fini(struct hbk_load_requests *requests)
{
    for (unsigned i = 0; i < requests->count; i++) {
        hbk_buffer_fini(&requests->list[i].bytes);
        hbk_buffer_fini(&requests->list[i].text);
    }
    requests->count = 0;
}

unsigned hbk_load_requests_choose(const struct hbk_load_requests *requests, double random)
{
    unsigned i = 0;
    while (i + 1 < requests->count && random > requests->list[i].weight_up_to) {
        i++;
    }
    return i;
}

static uint64_t random_bits(uint64_t *random)
{
    (void)hbk_schedule_random(random);
    return *random * UINT64_C(0x2545f4914f6cdd1d);
}

void hbk_load_request_renew(struct hbk_load_request *request, uint64_t *random)
{
    for (unsigned i = 0; i < request->uuid_count; i++) {
        char text[HBK_LOAD_UUID_BYTES + 1];
        uint64_t high = random_bits(random), low = random_bits(random);
        snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(high >> 32),
                 (unsigned)(high >> 16) & 0xffff, (unsigned)high & 0xfff,
                 ((unsigned)(low >> 48) & 0x3fff) | 0x8000,
                 (unsigned long long)(low & UINT64_C(0xffffffffffff)));
        memcpy(request->bytes.bytes + request->bytes.start + request->uuids[i], text,
               HBK_LOAD_UUID_BYTES);
    }
}

void hbk_load_message_build(uint32_t connection, uint64_t number,
                            uint8_t out[static HBK_LOAD_MESSAGE_BYTES])
{
    char text[HBK_LOAD_MESSAGE_BYTES + 1];
    snprintf(text, sizeof text, "%08x%016llx", connection, (unsigned long long)number);
    memcpy(out, text, HBK_LOAD_MESSAGE_BYTES);
}
