#include "bench/descriptor.h"

#include <ctype.h>
#include <stdio.h>

#include "config/decode.h"

static const struct hbk_list_of text_list = {
    .size = sizeof(struct hbk_slice),
    .element = {.key = "argument", .decode = hbk_decode_any_text},
};

static const struct hbk_word sides[] = {
    {"client", HBK_SIDE_CLIENT}, {"server", HBK_SIDE_SERVER}, {NULL, 0}};

static const struct hbk_word process_places[] = {{"pod", 0}, {"node", 1}, {NULL, 0}};

#define PROCESS_AT(member) .offset = offsetof(struct hbk_descriptor_process, member)
#define PROCESS_COUNT(member) .count_offset = offsetof(struct hbk_descriptor_process, member)
#define AT(member) .offset = offsetof(struct hbk_descriptor, member)
#define COUNT(member) .count_offset = offsetof(struct hbk_descriptor, member)

static const struct hbk_field process_fields[] = {
    {.key = "name", .decode = hbk_decode_text, PROCESS_AT(name), .is_required = true},
    {.key = "side",
     .decode = hbk_decode_word,
     PROCESS_AT(side),
     .is_required = true,
     .detail = sides},
    {.key = "command",
     .decode = hbk_decode_list,
     PROCESS_AT(command),
     PROCESS_COUNT(command_count),
     .is_required = true,
     .detail = &text_list},
    {.key = "environment",
     .decode = hbk_decode_list,
     PROCESS_AT(environment),
     PROCESS_COUNT(environment_count),
     .detail = &text_list},
    {.key = "place", .decode = hbk_decode_word, PROCESS_AT(place), .detail = process_places},
    {.key = "program", .decode = hbk_decode_text, PROCESS_AT(program)},
    {.key = "port", .decode = hbk_decode_port, PROCESS_AT(port)},
    {.key = "ready_file", .decode = hbk_decode_text, PROCESS_AT(ready_file)},
    {.key = "ready_within_s", .decode = hbk_decode_u32, PROCESS_AT(ready_within_s)},
};
static const struct hbk_table process_table = HBK_TABLE_OF("process", process_fields);
static const struct hbk_list_of process_list = {
    .size = sizeof(struct hbk_descriptor_process),
    .element = {.key = "process", .decode = hbk_decode_object, .detail = &process_table},
};

static const struct hbk_map_of file_map = {
    .size = sizeof(struct hbk_descriptor_file),
    .key = {.key = "file name",
            .decode = hbk_decode_text,
            .offset = offsetof(struct hbk_descriptor_file, name)},
    .value = {.key = "file",
              .decode = hbk_decode_any_text,
              .offset = offsetof(struct hbk_descriptor_file, text)},
};

static const struct hbk_field fields[] = {
    {.key = "name", .decode = hbk_decode_text, AT(name), .is_required = true},
    {.key = "title", .decode = hbk_decode_text, AT(title), .is_required = true},
    {.key = "binary", .decode = hbk_decode_text, AT(binary), .is_required = true},
    {.key = "package", .decode = hbk_decode_text, AT(package)},
    {.key = "version",
     .decode = hbk_decode_list,
     AT(version),
     COUNT(version_count),
     .detail = &text_list},
    {.key = "encrypts", .decode = hbk_decode_bool, AT(encrypts), .is_required = true},
    {.key = "is_untried", .decode = hbk_decode_bool, AT(is_untried)},
    {.key = "routes", .decode = hbk_decode_bool, AT(routes)},
    {.key = "between_nodes", .decode = hbk_decode_bool, AT(between_nodes)},
    {.key = "needs",
     .decode = hbk_decode_list,
     AT(needs),
     COUNT(needs_count),
     .detail = &text_list},
    {.key = "files", .decode = hbk_decode_map, AT(files), COUNT(file_count), .detail = &file_map},
    {.key = "processes",
     .decode = hbk_decode_list,
     AT(processes),
     COUNT(process_count),
     .is_required = true,
     .detail = &process_list},
};
static const struct hbk_table table = HBK_TABLE_OF("the system", fields);

static bool is_plain_name(struct hbk_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        bool is_good = isalnum(name.bytes[i]) != 0 || memchr("._-", name.bytes[i], 3) != NULL;
        if (!is_good || name.bytes[0] == '.') {
            return false;
        }
    }
    return name.size > 0 && name.size <= 64;
}

/* What a table cannot say. */
static void check(struct hbk_decoder *decoder, const struct hbk_yaml_event *event,
                  const struct hbk_descriptor *descriptor)
{
    if (descriptor->name.size > 0 && !is_plain_name(descriptor->name)) {
        hbk_decode_error(decoder, event,
                         "name is \"%.*s\"; allowed: up to 64 letters, digits, \".\", \"_\", \"-\"",
                         HBK_SLICE_ARGS(descriptor->name));
    }
    for (uint32_t i = 0; i < descriptor->file_count; i++) {
        if (!is_plain_name(descriptor->files[i].name)) {
            hbk_decode_error(decoder, event, "file name \"%.*s\"; allowed: a name without folders",
                             HBK_SLICE_ARGS(descriptor->files[i].name));
        }
    }
    for (uint32_t i = 0; i < descriptor->process_count; i++) {
        const struct hbk_descriptor_process *process = &descriptor->processes[i];
        if ((process->port == 0) == (process->ready_file.size == 0)) {
            hbk_decode_error(decoder, event,
                             "process \"%.*s\": either port or ready_file says when it is ready",
                             HBK_SLICE_ARGS(process->name));
        }
        if (process->ready_within_s > HBK_DESCRIPTOR_READY_S_MAX) {
            hbk_decode_error(
                decoder, event, "process \"%.*s\": ready_within_s is %u; at most %d is allowed",
                HBK_SLICE_ARGS(process->name), process->ready_within_s, HBK_DESCRIPTOR_READY_S_MAX);
        }
    }
    if (descriptor->process_count > HBK_DESCRIPTOR_PROCESSES_MAX) {
        hbk_decode_error(decoder, event, "%u processes; at most %d are allowed",
                         descriptor->process_count, HBK_DESCRIPTOR_PROCESSES_MAX);
    }
}

static hbk_status decode(struct hbk_decoder *decoder, struct hbk_descriptor *descriptor)
{
    static const struct hbk_field top = {.key = "the system", .detail = &table};
    struct hbk_yaml_event event, end;
    HBK_TRY(hbk_yaml_next(decoder->yaml, &event));
    if (event.kind == HBK_YAML_NOTHING) {
        event.line = event.column = 1;
        hbk_decode_error(decoder, &event, "the file is empty; allowed: a system");
        return HBK_INVALID;
    }
    HBK_TRY(hbk_decode_object(decoder, &top, &event, descriptor));
    HBK_TRY(hbk_yaml_next(decoder->yaml, &end));
    check(decoder, &event, descriptor);
    return decoder->errors > 0 ? HBK_INVALID : HBK_OK;
}

hbk_status hbk_descriptor_read(const char *file, struct hbk_slice text, struct hbk_arena *arena,
                               struct hbk_report *report, struct hbk_descriptor *out_descriptor)
{
    struct hbk_decoder decoder = {.arena = arena, .report = report, .file = file};
    struct hbk_descriptor descriptor = {0};
    HBK_TRY(hbk_yaml_open(file, text, report, &decoder.yaml));
    hbk_status status = decode(&decoder, &descriptor);
    hbk_yaml_close(decoder.yaml);
    if (status == HBK_OK) {
        *out_descriptor = descriptor;
    }
    return status;
}

static const char *value_of(struct hbk_slice name, const struct hbk_placeholder *placeholders,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hbk_slice_equal(name, hbk_slice_text(placeholders[i].name))) {
            return placeholders[i].text;
        }
    }
    return NULL;
}

static hbk_status refuse(struct hbk_slice name, const struct hbk_placeholder *placeholders,
                         size_t count, struct hbk_error *error)
{
    char names[256] = "";
    size_t size = 0;
    for (size_t i = 0; i < count && size + 32 < sizeof names; i++) {
        size += (size_t)snprintf(names + size, sizeof names - size, "%s@%s@", i == 0 ? "" : ", ",
                                 placeholders[i].name);
    }
    return hbk_error_set(error, HBK_INVALID, "placeholder \"@%.*s@\": %s and @@ are allowed",
                         HBK_SLICE_ARGS(hbk_slice_part(name, 0, 64)), names);
}

hbk_status hbk_descriptor_render(struct hbk_slice text, const struct hbk_placeholder *placeholders,
                                 size_t count, struct hbk_buffer *out, struct hbk_error *error)
{
    size_t at, end;
    while (hbk_slice_find(text, '@', &at)) {
        HBK_TRY(hbk_buffer_append(out, hbk_slice_part(text, 0, at)));
        text = hbk_slice_part(text, at + 1, text.size);
        if (!hbk_slice_find(text, '@', &end)) {
            return refuse(text, placeholders, count, error);
        }
        struct hbk_slice name = hbk_slice_part(text, 0, end);
        const char *value = name.size == 0 ? "@" : value_of(name, placeholders, count);
        /* "@type" in Envoy's files is no placeholder: only capitals, digits and "_" are. */
        bool is_ours = true;
        for (size_t i = 0; i < name.size; i++) {
            is_ours = is_ours &&
                      (isupper(name.bytes[i]) || isdigit(name.bytes[i]) || name.bytes[i] == '_');
        }
        if (!is_ours) {
            HBK_TRY(hbk_buffer_append(out, HBK_SLICE("@")));
            continue;
        }
        if (value == NULL) {
            return refuse(name, placeholders, count, error);
        }
        HBK_TRY(hbk_buffer_append(out, hbk_slice_text(value)));
        text = hbk_slice_part(text, end + 1, text.size);
    }
    return hbk_buffer_append(out, text);
}
