/*
 * The spec as a command line and back. The agent hands it to its child this way, and an operator
 * can type the same; so there is one spelling, and `ps` shows what was asked for.
 */
#include "os/redirect.h"

#include <stdio.h>
#include <string.h>

enum {
    OPTIONS = 8,
    ARGUMENTS_MAX = 2 * (OPTIONS + HBK_REDIRECT_ENTRIES_MAX), /* each cgroup is one option */
    LIST_BYTES_MAX = HBK_REDIRECT_ENTRIES_MAX * HBK_ADDRESS_TEXT_BYTES_MAX,
};

struct writer {
    struct hbk_arena *arena;
    const char **arguments; /* ARGUMENTS_MAX and a NULL */
    size_t count;
    struct hbk_buffer list; /* the list that is being written */
};

static hbk_status put_option(struct writer *writer, const char *name, const char *value)
{
    HBK_TRY(writer->count + 2 <= ARGUMENTS_MAX ? HBK_OK : HBK_LIMIT);
    writer->arguments[writer->count++] = name;
    writer->arguments[writer->count++] = value;
    return HBK_OK;
}

/* Ends the list as the value of an option; an empty list is no option. */
static hbk_status put_list(struct writer *writer, const char *name)
{
    if (hbk_buffer_is_empty(&writer->list)) {
        return HBK_OK;
    }
    struct hbk_slice text = hbk_buffer_slice(&writer->list);
    char *value = hbk_arena_string(writer->arena, hbk_slice_part(text, 1, text.size));
    hbk_buffer_clear(&writer->list);
    return value == NULL ? HBK_NO_MEMORY : put_option(writer, name, value);
}

static hbk_status put_ports(struct writer *writer, const char *name,
                            struct hbk_redirect_ports ports)
{
    for (size_t i = 0; i < ports.count; i++) {
        HBK_TRY(hbk_buffer_print(&writer->list, ",%u", ports.ports[i]));
    }
    return put_list(writer, name);
}

static hbk_status put_all(struct writer *writer, const struct hbk_redirect_spec *spec)
{
    char cidr[HBK_ADDRESS_TEXT_BYTES_MAX];
    HBK_TRY(put_option(writer, "--kind", spec->kind == HBK_REDIRECT_POD ? "pod" : "host"));
    HBK_TRY(put_ports(writer, "--exclude-inbound", spec->excluded_inbound));
    HBK_TRY(put_ports(writer, "--exclude-outbound", spec->excluded_outbound));
    for (size_t i = 0; i < spec->excluded_cidr_count; i++) {
        HBK_TRY(
            hbk_buffer_print(&writer->list, ",%s", hbk_cidr_text(&spec->excluded_cidrs[i], cidr)));
    }
    HBK_TRY(put_list(writer, "--exclude-cidr"));
    for (size_t i = 0; i < spec->captured_uid_count; i++) {
        HBK_TRY(hbk_buffer_print(&writer->list, ",%u", spec->captured_uids[i]));
    }
    HBK_TRY(put_list(writer, "--uid"));
    for (size_t i = 0; i < spec->captured_cgroup_count; i++) {
        HBK_TRY(put_option(writer, "--cgroup", spec->captured_cgroups[i]));
    }
    HBK_TRY(put_ports(writer, "--outbound", spec->captured_outbound));
    return put_ports(writer, "--inbound", spec->captured_inbound);
}

hbk_status hbk_redirect_to_arguments(const struct hbk_redirect_spec *spec, struct hbk_arena *arena,
                                     const char ***out_arguments, size_t *out_count)
{
    struct writer writer = {.arena = arena};
    writer.arguments = hbk_arena_array(arena, ARGUMENTS_MAX + 1, sizeof *writer.arguments);
    if (writer.arguments == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_buffer_init(&writer.list, LIST_BYTES_MAX);
    hbk_status status = put_all(&writer, spec);
    hbk_buffer_fini(&writer.list);
    if (status == HBK_OK) {
        *out_arguments = writer.arguments;
        *out_count = writer.count;
    }
    return status;
}

struct reader {
    struct hbk_arena *arena;
    struct hbk_error *error;
    const char *option;
};

/* Takes the part before the next comma off `*rest`; false at the end. */
static bool next_part(struct hbk_slice *rest, struct hbk_slice *out_part)
{
    size_t comma = rest->size;
    if (rest->size == 0) {
        return false;
    }
    (void)hbk_slice_find(*rest, ',', &comma);
    *out_part = hbk_slice_part(*rest, 0, comma);
    *rest = hbk_slice_part(*rest, comma + 1, rest->size);
    return true;
}

static hbk_status refuse_part(struct reader *reader, struct hbk_slice part, const char *allowed)
{
    return hbk_error_set(reader->error, HBK_INVALID, "%s: \"%.*s\" found, %s is allowed",
                         reader->option, HBK_SLICE_ARGS(part), allowed);
}

/* Counts the parts of a list and makes room for them. */
static hbk_status make_room(struct reader *reader, const char *value, size_t size, void **out_room)
{
    size_t count = 1;
    for (const char *at = value; *at != '\0'; at++) {
        count += *at == ',';
    }
    if (count > HBK_REDIRECT_ENTRIES_MAX) {
        return hbk_error_set(reader->error, HBK_LIMIT, "%s: %zu entries found, %d are allowed",
                             reader->option, count, HBK_REDIRECT_ENTRIES_MAX);
    }
    *out_room = hbk_arena_array(reader->arena, count, size);
    return *out_room == NULL ? HBK_NO_MEMORY : HBK_OK;
}

static hbk_status read_ports(struct reader *reader, const char *value,
                             struct hbk_redirect_ports *out_ports)
{
    uint16_t *ports = NULL;
    size_t count = 0;
    struct hbk_slice rest = hbk_slice_text(value);
    struct hbk_slice part;
    void *room = NULL;
    HBK_TRY(make_room(reader, value, sizeof *ports, &room));
    ports = room;
    while (next_part(&rest, &part)) {
        uint64_t port = 0;
        if (!hbk_slice_to_u64(part, UINT16_MAX, &port) || port == 0) {
            return refuse_part(reader, part, "a port from 1 to 65535");
        }
        ports[count++] = (uint16_t)port;
    }
    *out_ports = (struct hbk_redirect_ports){ports, count};
    return HBK_OK;
}

static hbk_status read_cidrs(struct reader *reader, const char *value,
                             struct hbk_redirect_spec *spec)
{
    struct hbk_slice rest = hbk_slice_text(value);
    struct hbk_slice part;
    void *room = NULL;
    HBK_TRY(make_room(reader, value, sizeof(struct hbk_cidr), &room));
    struct hbk_cidr *cidrs = room;
    size_t count = 0;
    while (next_part(&rest, &part)) {
        if (!hbk_cidr_parse(part, &cidrs[count])) {
            return refuse_part(reader, part, "a block such as 10.0.0.0/8 or fd00::/8");
        }
        count++;
    }
    spec->excluded_cidrs = cidrs;
    spec->excluded_cidr_count = count;
    return HBK_OK;
}

static hbk_status read_uids(struct reader *reader, const char *value,
                            struct hbk_redirect_spec *spec)
{
    struct hbk_slice rest = hbk_slice_text(value);
    struct hbk_slice part;
    void *room = NULL;
    HBK_TRY(make_room(reader, value, sizeof(uint32_t), &room));
    uint32_t *uids = room;
    size_t count = 0;
    while (next_part(&rest, &part)) {
        uint64_t uid = 0;
        if (!hbk_slice_to_u64(part, UINT32_MAX - 1, &uid)) {
            return refuse_part(reader, part, "a numeric user id");
        }
        uids[count++] = (uint32_t)uid;
    }
    spec->captured_uids = uids;
    spec->captured_uid_count = count;
    return HBK_OK;
}

static hbk_status add_cgroup(struct reader *reader, const char *value,
                             struct hbk_redirect_spec *spec)
{
    if (spec->captured_cgroup_count == HBK_REDIRECT_ENTRIES_MAX) {
        return hbk_error_set(reader->error, HBK_LIMIT, "--cgroup: at most %d times",
                             HBK_REDIRECT_ENTRIES_MAX);
    }
    size_t count = spec->captured_cgroup_count;
    const char **larger = hbk_arena_array(reader->arena, count + 1, sizeof *larger);
    if (larger == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        larger[i] = spec->captured_cgroups[i];
    }
    larger[count] = value;
    spec->captured_cgroups = larger;
    spec->captured_cgroup_count = count + 1;
    return HBK_OK;
}

static hbk_status read_kind(struct reader *reader, const char *value,
                            struct hbk_redirect_spec *spec)
{
    bool is_host = strcmp(value, "host") == 0;
    if (!is_host && strcmp(value, "pod") != 0) {
        return refuse_part(reader, hbk_slice_text(value), "pod or host");
    }
    spec->kind = is_host ? HBK_REDIRECT_HOST : HBK_REDIRECT_POD;
    return HBK_OK;
}

static hbk_status read_option(struct reader *reader, const char *value,
                              struct hbk_redirect_spec *spec)
{
    const struct {
        const char *name;
        struct hbk_redirect_ports *ports;
    } lists[] = {
        {"--exclude-inbound", &spec->excluded_inbound},
        {"--exclude-outbound", &spec->excluded_outbound},
        {"--outbound", &spec->captured_outbound},
        {"--inbound", &spec->captured_inbound},
    };
    for (size_t i = 0; i < HBK_COUNT(lists); i++) {
        if (strcmp(reader->option, lists[i].name) == 0) {
            return read_ports(reader, value, lists[i].ports);
        }
    }
    if (strcmp(reader->option, "--kind") == 0) {
        return read_kind(reader, value, spec);
    }
    if (strcmp(reader->option, "--exclude-cidr") == 0) {
        return read_cidrs(reader, value, spec);
    }
    if (strcmp(reader->option, "--uid") == 0) {
        return read_uids(reader, value, spec);
    }
    if (strcmp(reader->option, "--cgroup") == 0) {
        return add_cgroup(reader, value, spec);
    }
    return hbk_error_set(reader->error, HBK_INVALID,
                         "no option %s; allowed are --kind, --exclude-inbound, --exclude-outbound, "
                         "--exclude-cidr, --uid, --cgroup, --outbound and --inbound",
                         reader->option);
}

static hbk_status check_kind(const struct hbk_redirect_spec *spec, struct hbk_error *error)
{
    size_t captured = spec->captured_uid_count + spec->captured_cgroup_count +
                      spec->captured_outbound.count + spec->captured_inbound.count;
    if (spec->kind == HBK_REDIRECT_POD && captured > 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "--uid, --cgroup, --outbound and --inbound need --kind host: of a pod "
                             "everything is captured");
    }
    return HBK_OK;
}

hbk_status hbk_redirect_from_arguments(const char *const *arguments, size_t count,
                                       struct hbk_arena *arena, struct hbk_redirect_spec *out_spec,
                                       struct hbk_error *error)
{
    struct hbk_redirect_spec spec = {.kind = HBK_REDIRECT_POD};
    struct reader reader = {.arena = arena, .error = error};
    for (size_t i = 0; i < count; i += 2) {
        reader.option = arguments[i];
        if (i + 1 == count) {
            return hbk_error_set(error, HBK_INVALID, "%s: an option with a value is allowed",
                                 reader.option);
        }
        HBK_TRY(read_option(&reader, arguments[i + 1], &spec));
    }
    HBK_TRY(check_kind(&spec, error));
    *out_spec = spec;
    return HBK_OK;
}
