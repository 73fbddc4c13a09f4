#include "model/pod.h"

static const struct hbk_shape_field port_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_pod_port, port),
};
static const struct hbk_shape port_shape = HBK_SHAPE_OF(struct hbk_pod_port, port_fields);

static const struct hbk_shape_field user_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_pod_user, uid),
};
static const struct hbk_shape user_shape = HBK_SHAPE_OF(struct hbk_pod_user, user_fields);

static const struct hbk_shape_field cidr_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_pod_cidr, cidr.ip.size),
    HBK_SHAPE_VALUE(struct hbk_pod_cidr, cidr.ip.bytes),
    HBK_SHAPE_VALUE(struct hbk_pod_cidr, cidr.prefix_bits),
};
static const struct hbk_shape cidr_shape = HBK_SHAPE_OF(struct hbk_pod_cidr, cidr_fields);

static const struct hbk_shape_field pod_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_pod, record.key),
    HBK_SHAPE_TEXT(struct hbk_pod, path),
    HBK_SHAPE_ARRAY(struct hbk_pod, capture_users, capture_user_count, &user_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, capture_cgroups, capture_cgroup_count, &hbk_text_shape),
    HBK_SHAPE_ARRAY(struct hbk_pod, capture_ports, capture_port_count, &port_shape),
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
