/* The tables of pods and of outbound plain text. */
#include "config/mesh_decoder.h"

#define LIST_AT(member, count_member)           \
    .offset = offsetof(struct hbk_pod, member), \
    .count_offset = offsetof(struct hbk_pod, count_member)

static bool parse_netns(struct hbk_slice text, struct hbk_pod *pod)
{
    if (hbk_slice_equal(text, HBK_SLICE("host"))) {
        pod->netns_kind = HBK_NETNS_HOST;
        return true;
    }
    uint64_t pid = 0;
    if (hbk_slice_starts_with(text, HBK_SLICE("pid:")) &&
        hbk_slice_to_u64(hbk_slice_part(text, 4, text.size), INT32_MAX, &pid) && pid > 0) {
        pod->netns_kind = HBK_NETNS_PID;
        pod->pid = (uint32_t)pid;
        return true;
    }
    bool is_path =
        hbk_slice_starts_with(text, HBK_SLICE("/")) && memchr(text.bytes, '\0', text.size) == NULL;
    pod->netns_kind = HBK_NETNS_PATH;
    pod->path = text;
    return is_path;
}

static hbk_status decode_netns(struct hbk_decoder *decoder, const struct hbk_field *field,
                               const struct hbk_yaml_event *event, void *target)
{
    struct hbk_pod parsed = {0};
    if (event->kind != HBK_YAML_SCALAR || !parse_netns(event->text, &parsed)) {
        char found[HBK_FOUND_TEXT_BYTES_MAX];
        hbk_decode_error(decoder, event, "%s is %s; allowed: an absolute path, pid:NUMBER, or host",
                         field->key, hbk_decode_found(event, found));
        return hbk_yaml_skip(decoder->yaml, event);
    }
    struct hbk_pod *pod = target;
    pod->netns_kind = parsed.netns_kind;
    pod->pid = parsed.pid;
    return parsed.path.size == 0 ? HBK_OK : hbk_decode_any_text(decoder, field, event, &pod->path);
}

static const struct hbk_list_of port_list = {
    .size = sizeof(uint16_t),
    .element = {.key = "port", .decode = hbk_decode_port},
};
static const struct hbk_list_of uid_list = {
    .size = sizeof(uint32_t),
    .element = {.key = "uid", .decode = hbk_decode_u32},
};
static const struct hbk_list_of cidr_list = {
    .size = sizeof(struct hbk_cidr),
    .element = {.key = "address block", .decode = hbk_decode_cidr},
};

static const struct hbk_field pod_fields[] = {
    {.key = "netns", .decode = decode_netns, .is_required = true},
    {.key = "captureUids",
     .decode = hbk_decode_list,
     LIST_AT(capture_uids, capture_uid_count),
     .detail = &uid_list},
    {.key = "captureCgroups",
     .decode = hbk_decode_list,
     LIST_AT(capture_cgroups, capture_cgroup_count),
     .detail = &hbk_text_list},
    {.key = "captureOutboundPorts",
     .decode = hbk_decode_list,
     LIST_AT(capture_outbound_ports, capture_outbound_port_count),
     .detail = &port_list},
    {.key = "captureInboundPorts",
     .decode = hbk_decode_list,
     LIST_AT(capture_inbound_ports, capture_inbound_port_count),
     .detail = &port_list},
    {.key = "excludeInboundPorts",
     .decode = hbk_decode_list,
     LIST_AT(exclude_inbound_ports, exclude_inbound_port_count),
     .detail = &port_list},
    {.key = "excludeOutboundPorts",
     .decode = hbk_decode_list,
     LIST_AT(exclude_outbound_ports, exclude_outbound_port_count),
     .detail = &port_list},
    {.key = "excludeOutboundCidrs",
     .decode = hbk_decode_list,
     LIST_AT(exclude_outbound_cidrs, exclude_outbound_cidr_count),
     .detail = &cidr_list},
};
static const struct hbk_table pod_table = HBK_TABLE_OF("pod", pod_fields);

static void check_capture(struct hbk_decoder *decoder, const struct hbk_yaml_event *event,
                          const struct hbk_pod *pod)
{
    bool is_host = pod->netns_kind == HBK_NETNS_HOST;
    bool has_capture = pod->capture_uid_count + pod->capture_cgroup_count +
                           pod->capture_outbound_port_count + pod->capture_inbound_port_count >
                       0;
    if (is_host && !has_capture) {
        hbk_decode_error(decoder, event,
                         "pod in netns host that captures nothing; it needs one of captureUids, "
                         "captureCgroups, captureOutboundPorts, captureInboundPorts");
    } else if (!is_host && has_capture) {
        hbk_decode_error(decoder, event,
                         "pod with a namespace of its own and a capture list; in such a namespace "
                         "everything is captured: allowed are the exclude lists");
    }
}

/* Remembers where the pod was named, for hbk_mesh_file_parse() to look for its workload. */
static hbk_status remember_place(struct hbk_mesh_decoder *decoder,
                                 const struct hbk_yaml_event *event, struct hbk_slice uid)
{
    struct hbk_pod_place *place = hbk_growing_add(&decoder->places, &decoder->places_arena);
    char *copy = hbk_arena_string(&decoder->places_arena, uid);
    if (place == NULL || copy == NULL) {
        return HBK_NO_MEMORY;
    }
    *place = (struct hbk_pod_place){
        .uid = hbk_slice_of(copy, uid.size), .line = event->line, .column = event->column};
    return HBK_OK;
}

/* One pair of the map: the uid that `key` holds, and a path or a mapping behind it. */
static hbk_status decode_pod(struct hbk_mesh_decoder *decoder, const struct hbk_yaml_event *key)
{
    static const struct hbk_field uid_field = {.key = "pod"};
    static const struct hbk_field netns_field = {.key = "netns"};
    static const struct hbk_field pod_field = {.key = "pod", .detail = &pod_table};
    struct hbk_decoder *base = &decoder->base;
    struct hbk_yaml_event start = *key;
    struct hbk_pod pod = {0};
    size_t errors = base->errors;
    HBK_TRY(hbk_decode_text(base, &uid_field, key, &pod.record.key));
    struct hbk_yaml_event value;
    HBK_TRY(hbk_yaml_next(base->yaml, &value));
    HBK_TRY(value.kind == HBK_YAML_SCALAR ? decode_netns(base, &netns_field, &value, &pod)
                                          : hbk_decode_object(base, &pod_field, &value, &pod));
    if (base->errors > errors) {
        return HBK_OK;
    }
    check_capture(base, &start, &pod);
    HBK_TRY(remember_place(decoder, &start, pod.record.key));
    return hbk_decode_put_result(decoder, &start, "pod", &pod.record,
                                 hbk_edit_put_pod(decoder->edit, &pod));
}

static hbk_status refuse_map(struct hbk_decoder *decoder, const struct hbk_field *field,
                             const struct hbk_yaml_event *event, const char *allowed)
{
    char found[HBK_FOUND_TEXT_BYTES_MAX];
    hbk_decode_error(decoder, event, "%s is %s; allowed: %s", field->key,
                     hbk_decode_found(event, found), allowed);
    return hbk_yaml_skip(decoder->yaml, event);
}

hbk_status hbk_decode_pods(struct hbk_decoder *base, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    struct hbk_mesh_decoder *decoder = target;
    if (hbk_yaml_is_null(event)) {
        return HBK_OK;
    }
    if (event->kind != HBK_YAML_MAPPING) {
        return refuse_map(base, field, event, "a mapping of workload uids");
    }
    for (;;) {
        struct hbk_yaml_event key;
        HBK_TRY(hbk_yaml_next(base->yaml, &key));
        if (key.kind == HBK_YAML_END) {
            return HBK_OK;
        }
        HBK_TRY(decode_pod(decoder, &key));
        hbk_arena_fini(base->arena);
    }
}

static const struct hbk_word plain_text_words[] = {
    {"allow", 1},
    {"deny", 0},
    {NULL, 0},
};

static hbk_status decode_plain_text(struct hbk_mesh_decoder *decoder,
                                    const struct hbk_yaml_event *key)
{
    static const struct hbk_field key_field = {.key = "namespace"};
    static const struct hbk_field value_field = {.key = "outboundPlainText",
                                                 .detail = plain_text_words};
    struct hbk_decoder *base = &decoder->base;
    struct hbk_yaml_event start = *key;
    struct hbk_plain_text plain_text = {0};
    int is_allowed = 0;
    size_t errors = base->errors;
    HBK_TRY(hbk_decode_any_text(base, &key_field, key, &plain_text.record.key));
    struct hbk_yaml_event value;
    HBK_TRY(hbk_yaml_next(base->yaml, &value));
    HBK_TRY(hbk_decode_word(base, &value_field, &value, &is_allowed));
    if (base->errors > errors) {
        return HBK_OK;
    }
    plain_text.is_allowed = is_allowed != 0;
    return hbk_decode_put_result(decoder, &start, "outboundPlainText of", &plain_text.record,
                                 hbk_edit_put_plain_text(decoder->edit, &plain_text));
}

hbk_status hbk_decode_plain_texts(struct hbk_decoder *base, const struct hbk_field *field,
                                  const struct hbk_yaml_event *event, void *target)
{
    struct hbk_mesh_decoder *decoder = target;
    if (hbk_yaml_is_null(event)) {
        return HBK_OK;
    }
    if (event->kind != HBK_YAML_MAPPING) {
        return refuse_map(base, field, event, "a mapping of namespaces to allow or deny");
    }
    for (;;) {
        struct hbk_yaml_event key;
        HBK_TRY(hbk_yaml_next(base->yaml, &key));
        if (key.kind == HBK_YAML_END) {
            return HBK_OK;
        }
        HBK_TRY(decode_plain_text(decoder, &key));
        hbk_arena_fini(base->arena);
    }
}
