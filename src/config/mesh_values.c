/* The small values of the mesh file: names, keys, addresses on networks. */
#include <stdio.h>

#include "config/mesh_decoder.h"

static hbk_status refuse(struct hbk_decoder *decoder, const struct hbk_field *field,
                         const struct hbk_yaml_event *event, const char *allowed)
{
    char found[HBK_FOUND_TEXT_BYTES_MAX];
    hbk_decode_error(decoder, event, "%s is %s; allowed: %s", field->key,
                     hbk_decode_found(event, found), allowed);
    return hbk_yaml_skip(decoder->yaml, event);
}

static bool is_name(struct hbk_slice text)
{
    bool is_fine = text.size > 0;
    for (size_t i = 0; i < text.size && is_fine; i++) {
        is_fine = text.bytes[i] > ' ' && text.bytes[i] != '/' && text.bytes[i] != 0x7f;
    }
    return is_fine;
}

hbk_status hbk_decode_name(struct hbk_decoder *decoder, const struct hbk_field *field,
                           const struct hbk_yaml_event *event, void *target)
{
    if (event->kind != HBK_YAML_SCALAR || !is_name(event->text)) {
        return refuse(decoder, field, event, "a name without blanks and slashes");
    }
    return hbk_decode_any_text(decoder, field, event, target);
}

/* Splits at the first slash; false when there is none. */
static bool split(struct hbk_slice text, struct hbk_slice *out_left, struct hbk_slice *out_right)
{
    size_t slash = 0;
    if (!hbk_slice_find(text, '/', &slash)) {
        return false;
    }
    *out_left = hbk_slice_part(text, 0, slash);
    *out_right = hbk_slice_part(text, slash + 1, text.size);
    return true;
}

static bool is_key(struct hbk_slice text)
{
    struct hbk_slice namespace;
    struct hbk_slice name;
    return split(text, &namespace, &name) && is_name(namespace) && is_name(name);
}

hbk_status hbk_decode_key(struct hbk_decoder *decoder, const struct hbk_field *field,
                          const struct hbk_yaml_event *event, void *target)
{
    if (event->kind != HBK_YAML_SCALAR || !is_key(event->text)) {
        return refuse(decoder, field, event, "namespace/name");
    }
    return hbk_decode_any_text(decoder, field, event, target);
}

hbk_status hbk_decode_spiffe_id(struct hbk_decoder *decoder, const struct hbk_field *field,
                                const struct hbk_yaml_event *event, void *target)
{
    struct hbk_spiffe_parts parts;
    if (event->kind != HBK_YAML_SCALAR || !hbk_spiffe_parse(event->text, &parts)) {
        return refuse(decoder, field, event, HBK_SPIFFE_SYNTAX);
    }
    return hbk_decode_any_text(decoder, field, event, target);
}

hbk_status hbk_decode_join_key(struct hbk_decoder *decoder, struct hbk_slice namespace,
                               struct hbk_slice name, struct hbk_slice *out_key)
{
    size_t size = namespace.size + 1 + name.size;
    struct hbk_span key = hbk_arena_bytes(decoder->arena, size + 1);
    if (key.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    (void)snprintf((char *)key.bytes, size + 1, "%.*s/%.*s", HBK_SLICE_ARGS(namespace),
                   HBK_SLICE_ARGS(name));
    *out_key = hbk_slice_of(key.bytes, size);
    return HBK_OK;
}

/* Keeps a network's name, which is short or refused. */
static hbk_status keep_network(struct hbk_decoder *decoder, struct hbk_slice network,
                               struct hbk_slice *out_network)
{
    char *copy = hbk_arena_string(decoder->arena, network);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    *out_network = hbk_slice_of(copy, network.size);
    return HBK_OK;
}

static bool parse_vip(struct hbk_slice text, bool is_block, struct hbk_vip *vip)
{
    struct hbk_slice address;
    if (!split(text, &vip->network, &address) || vip->network.size > HBK_NETWORK_NAME_BYTES_MAX) {
        return false;
    }
    vip->is_block = is_block;
    if (is_block) {
        return hbk_cidr_parse(address, &vip->cidr);
    }
    bool is_ip = hbk_ip_parse(address, &vip->cidr.ip);
    vip->cidr.prefix_bits = is_ip ? (uint8_t)(vip->cidr.ip.size * 8) : 0;
    return is_ip;
}

static hbk_status decode_vip(struct hbk_decoder *decoder, const struct hbk_field *field,
                             const struct hbk_yaml_event *event, bool is_block, void *target)
{
    struct hbk_vip vip = {0};
    if (event->kind != HBK_YAML_SCALAR || !parse_vip(event->text, is_block, &vip)) {
        return refuse(decoder, field, event,
                      is_block ? "network/address/bits, such as /10.96.0.0/16"
                               : "network/address, such as /10.96.4.2");
    }
    HBK_TRY(keep_network(decoder, vip.network, &vip.network));
    memcpy(target, &vip, sizeof vip);
    return HBK_OK;
}

hbk_status hbk_decode_vip(struct hbk_decoder *decoder, const struct hbk_field *field,
                          const struct hbk_yaml_event *event, void *target)
{
    return decode_vip(decoder, field, event, false, target);
}

hbk_status hbk_decode_block_vip(struct hbk_decoder *decoder, const struct hbk_field *field,
                                const struct hbk_yaml_event *event, void *target)
{
    return decode_vip(decoder, field, event, true, target);
}

/* What is behind the slash decides: an address, or else a host's name. */
hbk_status hbk_decode_destination(struct hbk_decoder *decoder, const struct hbk_field *field,
                                  const struct hbk_yaml_event *event, void *target)
{
    struct hbk_gateway *gateway = target;
    struct hbk_slice left = {0};
    struct hbk_slice right = {0};
    bool has_slash = event->kind == HBK_YAML_SCALAR && split(event->text, &left, &right);
    struct hbk_ip ip;
    if (has_slash && left.size <= HBK_NETWORK_NAME_BYTES_MAX && hbk_ip_parse(right, &ip)) {
        gateway->ip = ip;
        return keep_network(decoder, left, &gateway->network);
    }
    if (!has_slash || !is_key(event->text)) {
        return refuse(decoder, field, event, "network/address or namespace/hostname");
    }
    return hbk_decode_any_text(decoder, field, event, &gateway->service_key);
}

const struct hbk_map_of hbk_port_pairs = {
    .size = sizeof(struct hbk_port_pair),
    .key = {.key = "service port",
            .decode = hbk_decode_port,
            .offset = offsetof(struct hbk_port_pair, service_port)},
    .value = {.key = "target port",
              .decode = hbk_decode_port_or_0,
              .offset = offsetof(struct hbk_port_pair, target_port)},
};

const struct hbk_list_of hbk_text_list = {
    .size = sizeof(struct hbk_text),
    .element = {.key = "element", .decode = hbk_decode_text},
};

const struct hbk_list_of hbk_key_list = {
    .size = sizeof(struct hbk_text),
    .element = {.key = "element", .decode = hbk_decode_key},
};

static const struct hbk_field gateway_fields[] = {
    {.key = "destination", .decode = hbk_decode_destination, .is_required = true},
    {.key = "hboneMtlsPort",
     .decode = hbk_decode_port_or_0,
     .offset = offsetof(struct hbk_gateway, hbone_port)},
};
static const struct hbk_table gateway_table = HBK_TABLE_OF("gateway", gateway_fields);

const struct hbk_optional hbk_gateway_optional = {
    .size = sizeof(struct hbk_gateway),
    .table = &gateway_table,
};

const struct hbk_word hbk_health_words[] = {
    {"Healthy", HBK_HEALTHY},
    {"Unhealthy", HBK_UNHEALTHY},
    {NULL, 0},
};
