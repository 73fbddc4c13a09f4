/*
 * The mesh file is read as a stream: each record is decoded into a short-lived arena, put into the
 * edit and forgotten, so that reading fifty thousand workloads needs little more memory than the
 * model itself.
 */
#include "config/mesh_file.h"

#include "config/mesh_decoder.h"
#include "os/file.h"

hbk_status hbk_decode_put_result(struct hbk_mesh_decoder *decoder,
                                 const struct hbk_yaml_event *event, const char *title,
                                 const struct hbk_record *spec, hbk_status result)
{
    struct hbk_slice key = hbk_slice_part(spec->key, 0, 128);
    switch (result) {
    case HBK_OK:
    case HBK_NO_MEMORY:
        return result;
    case HBK_EXISTS:
        hbk_decode_error(&decoder->base, event, "%s \"%.*s\" appears twice; allowed: once", title,
                         HBK_SLICE_ARGS(key));
        return HBK_OK;
    case HBK_LIMIT:
        hbk_decode_error(&decoder->base, event,
                         "%s \"%.*s\" has a network's name that is too long; allowed: %d bytes",
                         title, HBK_SLICE_ARGS(key), HBK_NETWORK_NAME_BYTES_MAX);
        return HBK_OK;
    default:
        hbk_decode_error(&decoder->base, event,
                         "%s \"%.*s\" has trustDomain, namespace and serviceAccount that make no "
                         "SPIFFE id; allowed: " HBK_SPIFFE_SYNTAX,
                         title, HBK_SLICE_ARGS(key));
        return HBK_OK;
    }
}

static hbk_status decode_record(struct hbk_mesh_decoder *decoder,
                                const struct hbk_record_list *list,
                                const struct hbk_yaml_event *event)
{
    struct hbk_decoder *base = &decoder->base;
    struct hbk_field field = {.key = list->table->title, .detail = list->table};
    struct hbk_yaml_event start = *event;
    size_t errors = base->errors;
    void *spec = hbk_arena_take(base->arena, list->size);
    if (spec == NULL) {
        return HBK_NO_MEMORY;
    }
    if (list->prepare != NULL) {
        list->prepare(spec);
    }
    HBK_TRY(hbk_decode_object(base, &field, event, spec));
    if (base->errors == errors) {
        HBK_TRY(list->complete(decoder, &start, spec));
    }
    if (base->errors > errors) {
        return HBK_OK;
    }
    return hbk_decode_put_result(decoder, &start, list->table->title, spec,
                                 list->put(decoder->edit, spec));
}

hbk_status hbk_decode_records(struct hbk_decoder *base, const struct hbk_field *field,
                              const struct hbk_yaml_event *event, void *target)
{
    struct hbk_mesh_decoder *decoder = target;
    if (hbk_yaml_is_null(event)) {
        return HBK_OK;
    }
    if (event->kind != HBK_YAML_SEQUENCE) {
        char found[HBK_FOUND_TEXT_BYTES_MAX];
        hbk_decode_error(base, event, "%s is %s; allowed: a list", field->key,
                         hbk_decode_found(event, found));
        return hbk_yaml_skip(base->yaml, event);
    }
    for (;;) {
        struct hbk_yaml_event next;
        HBK_TRY(hbk_yaml_next(base->yaml, &next));
        if (next.kind == HBK_YAML_END) {
            return HBK_OK;
        }
        HBK_TRY(decode_record(decoder, field->detail, &next));
        hbk_arena_fini(base->arena);
    }
}

static const struct hbk_word tls_engine_words[] = {
    {"native", HBK_MESH_TLS_NATIVE},
    {"openssl", HBK_MESH_TLS_OPENSSL},
    {NULL, 0},
};

/* The target of the lists is the decoder itself. */
static const struct hbk_field top_fields[] = {
    {.key = "workloads", .decode = hbk_decode_records, .detail = &hbk_workload_list},
    {.key = "services", .decode = hbk_decode_records, .detail = &hbk_service_list},
    {.key = "policies", .decode = hbk_decode_records, .detail = &hbk_policy_list},
    {.key = "peerAuthentications",
     .decode = hbk_decode_records,
     .detail = &hbk_peer_authentication_list},
    {.key = "pods", .decode = hbk_decode_pods},
    {.key = "outboundPlainText", .decode = hbk_decode_plain_texts},
    {.key = "tlsEngine",
     .decode = hbk_decode_word,
     .offset = offsetof(struct hbk_mesh_decoder, tls_engine),
     .detail = tls_engine_words},
};
static const struct hbk_table top_table = HBK_TABLE_OF("the mesh file", top_fields);

static void check_pods(struct hbk_mesh_decoder *decoder)
{
    const struct hbk_pod_place *places = (const void *)decoder->places.elements;
    for (uint32_t i = 0; i < decoder->places.count; i++) {
        if (hbk_mesh_workload(decoder->edit->mesh, places[i].uid) == NULL) {
            struct hbk_yaml_event event = {.line = places[i].line, .column = places[i].column};
            struct hbk_slice uid = hbk_slice_part(places[i].uid, 0, 128);
            hbk_decode_error(&decoder->base, &event,
                             "pod \"%.*s\" belongs to no workload; allowed: the uid of a workload "
                             "of this file",
                             HBK_SLICE_ARGS(uid));
        }
    }
}

/*
 * An empty file is a mistake and not an empty mesh: it may be one that is just being written, and
 * taking it for a mesh would end every connection.
 */
static hbk_status decode_file(struct hbk_mesh_decoder *decoder)
{
    static const struct hbk_field top = {.key = "the mesh file", .detail = &top_table};
    struct hbk_decoder *base = &decoder->base;
    struct hbk_yaml_event event;
    HBK_TRY(hbk_yaml_next(base->yaml, &event));
    if (event.kind == HBK_YAML_NOTHING) {
        event.line = 1;
        event.column = 1;
        hbk_decode_error(base, &event, "the mesh file is empty; allowed: a mapping, such as {}");
        return HBK_INVALID;
    }
    HBK_TRY(hbk_decode_object(base, &top, &event, decoder));
    HBK_TRY(hbk_yaml_next(base->yaml, &event)); /* nothing, or a second document */
    HBK_TRY(hbk_edit_remove_untouched(decoder->edit));
    hbk_edit_set_tls_engine(decoder->edit, decoder->tls_engine);
    check_pods(decoder);
    return base->errors > 0 ? HBK_INVALID : HBK_OK;
}

static hbk_status decode_with(struct hbk_mesh_decoder *decoder, struct hbk_slice text)
{
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    decoder->base.arena = &arena;
    hbk_arena_init(&decoder->places_arena);
    decoder->places.size = sizeof(struct hbk_pod_place);
    hbk_status status =
        hbk_yaml_open(decoder->base.file, text, decoder->base.report, &decoder->base.yaml);
    if (status == HBK_OK) {
        status = decode_file(decoder);
        hbk_yaml_close(decoder->base.yaml);
    }
    hbk_arena_fini(&decoder->places_arena);
    hbk_arena_fini(&arena);
    return status;
}

hbk_status hbk_mesh_file_parse(const char *name, struct hbk_slice text, const struct hbk_mesh *old,
                               struct hbk_mesh **out_mesh, struct hbk_report *report)
{
    hbk_report_init(report);
    struct hbk_edit edit;
    HBK_TRY(hbk_edit_begin(&edit, old));
    struct hbk_mesh_decoder decoder = {
        .base = {.report = report, .file = name},
        .edit = &edit,
        .tls_engine = HBK_MESH_TLS_DEFAULT,
    };
    hbk_status status = decode_with(&decoder, text);
    if (status != HBK_OK) {
        hbk_edit_drop(&edit);
        return status;
    }
    return hbk_edit_commit(&edit, out_mesh);
}

hbk_status hbk_mesh_file_load(const char *path, const struct hbk_mesh *old,
                              struct hbk_mesh **out_mesh, struct hbk_report *report)
{
    hbk_report_init(report);
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    struct hbk_slice text;
    hbk_status status = hbk_file_read(&arena, path, HBK_MESH_FILE_BYTES_MAX, &text);
    if (status == HBK_OK) {
        status = hbk_mesh_file_parse(path, text, old, out_mesh, report);
    } else if (status == HBK_LIMIT) {
        hbk_report_add(report, path, 0, 0, "larger than %d MiB, which is the limit",
                       HBK_MESH_FILE_BYTES_MAX >> 20);
    } else {
        hbk_report_add(report, path, 0, 0, "cannot be read: %s", hbk_status_text(status));
    }
    hbk_arena_fini(&arena);
    return status;
}
