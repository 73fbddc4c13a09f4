#include "model/pod.h"

static const struct hbk_shape_field port_fields[] = {HBK_SHAPE_WHOLE(uint16_t)};
static const struct hbk_shape port_shape = HBK_SHAPE_OF(uint16_t, port_fields);

static const struct hbk_shape_field uid_fields[] = {HBK_SHAPE_WHOLE(uint32_t)};
static const struct hbk_shape uid_shape = HBK_SHAPE_OF(uint32_t, uid_fields);

_Static_assert(sizeof(struct hbk_cidr) == 18, "an address block has no gaps");
static const struct hbk_shape_field cidr_fields[] = {HBK_SHAPE_WHOLE(struct hbk_cidr)};
static const struct hbk_shape cidr_shape = HBK_SHAPE_OF(struct hbk_cidr, cidr_fields);

static const struct hbk_shape_field pod_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_pod, record.key),
    HBK_SHAPE_TEXT(struct hbk_pod, path),
    HBK_SHAPE_ARRAY(struct hbk_pod, capture_uids, capture_uid_count, &uid_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, capture_cgroups, capture_cgroup_count, &hbk_text_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, capture_outbound_ports, capture_outbound_port_count,
                    &port_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, capture_inbound_ports, capture_inbound_port_count, &port_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, exclude_inbound_ports, exclude_inbound_port_count, &port_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, exclude_outbound_ports, exclude_outbound_port_count,
                    &port_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, exclude_outbound_cidrs, exclude_outbound_cidr_count,
                    &cidr_shape),
    HBK_SHAPE_VALUE(struct hbk_pod, pid),
    HBK_SHAPE_VALUE(struct hbk_pod, netns_kind),
};

const struct hbk_record_kind hbk_pod_kind = {
    .name = "pod",
    .shape = HBK_SHAPE_OF(struct hbk_pod, pod_fields),
};
