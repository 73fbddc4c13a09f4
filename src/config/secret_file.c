#include "config/secret_file.h"

#include "config/envoy.h"
#include "os/file.h"

struct response {
    struct hbk_slice version_info, type_url, nonce;
    const struct hbk_gw_any *resources;
    uint32_t resources_count;
};

static const struct hbk_proto_any_types resource_types = {
    .title = "secret", .known = (const struct hbk_proto_message *const[]){&hbk_envoy_secret, NULL}};

#define T struct response
static const struct hbk_proto_field response_fields[] = {
    F_TEXT(version_info),
    HBK_PROTO_LIST(T, resources, HBK_PROTO_ANY, .type = &resource_types, .is_required = true),
    F_TEXT(type_url),
    F_TEXT(nonce),
    F_NOTHING("control_plane", "nothing here reads it"),
};
static const struct hbk_proto_message response_message = {
    MESSAGE("envoy.service.discovery.v3.DiscoveryResponse", response_fields)};
#undef T

static hbk_status read_response(const char *path, struct hbk_arena *arena,
                                struct hbk_report *report, struct response *out_response)
{
    struct hbk_slice text;
    struct hbk_node *root = NULL;
    struct hbk_report warnings;
    struct hbk_envoy_context context = {0};
    struct hbk_proto_reader reader = {
        .arena = arena, .report = report, .warnings = &warnings, .file = path, .context = &context};
    hbk_report_init(report);
    hbk_report_init(&warnings);
    hbk_status status = hbk_file_read(arena, path, HBK_SECRET_FILE_BYTES_MAX, &text);
    if (status != HBK_OK) {
        hbk_report_add(report, path, 0, 0, "cannot be read: %s", hbk_status_text(status));
        return status;
    }
    HBK_TRY(hbk_document_parse(path, text, arena, report, &root));
    HBK_TRY(hbk_proto_read(&reader, &response_message, root, out_response));
    return reader.errors == 0 ? HBK_OK : HBK_INVALID;
}

hbk_status hbk_secret_file_load(const char *path, struct hbk_slice name, struct hbk_arena *arena,
                                const struct hbk_gw_secret **out_secret, struct hbk_report *report)
{
    struct response response = {0};
    HBK_TRY(read_response(path, arena, report, &response));
    for (uint32_t i = 0; i < response.resources_count; i++) {
        const struct hbk_gw_secret *secret = response.resources[i].message;
        if (hbk_slice_equal(secret->name, name)) {
            *out_secret = secret;
            return HBK_OK;
        }
    }
    hbk_report_add(report, path, 0, 0, "there is no secret \"%.*s\" among its %u resources",
                   HBK_SLICE_ARGS(name), response.resources_count);
    return HBK_NOT_FOUND;
}
