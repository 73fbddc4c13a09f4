#include "model/peer_authentication.h"

#include "base/assert.h"

static const struct hbk_shape_field port_mode_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_peer_port_mode, port),
    HBK_SHAPE_VALUE(struct hbk_peer_port_mode, mode),
};
static const struct hbk_shape port_mode_shape =
    HBK_SHAPE_OF(struct hbk_peer_port_mode, port_mode_fields);

static const struct hbk_shape_field peer_authentication_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_peer_authentication, record.key),
    HBK_SHAPE_TEXT(struct hbk_peer_authentication, name),
    HBK_SHAPE_TEXT(struct hbk_peer_authentication, namespace),
    HBK_SHAPE_ARRAY(struct hbk_peer_authentication, selector.uids, selector.uid_count,
                    &hbk_text_shape),
    HBK_SHAPE_ARRAY(struct hbk_peer_authentication, selector.names, selector.name_count,
                    &hbk_text_shape),
    HBK_SHAPE_ARRAY(struct hbk_peer_authentication, selector.service_accounts,
                    selector.service_account_count, &hbk_text_shape),
    HBK_SHAPE_ARRAY(struct hbk_peer_authentication, port_modes, port_mode_count, &port_mode_shape),
    HBK_SHAPE_VALUE(struct hbk_peer_authentication, mode),
};

const struct hbk_record_kind hbk_peer_authentication_kind = {
    .name = "peer authentication",
    .shape = HBK_SHAPE_OF(struct hbk_peer_authentication, peer_authentication_fields),
};

static const struct hbk_shape_field plain_text_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_plain_text, record.key),
    HBK_SHAPE_VALUE(struct hbk_plain_text, is_allowed),
};

const struct hbk_record_kind hbk_plain_text_kind = {
    .name = "outbound plain text",
    .shape = HBK_SHAPE_OF(struct hbk_plain_text, plain_text_fields),
};

bool hbk_peer_authentication_has_selector(const struct hbk_peer_authentication *settings)
{
    const struct hbk_workload_selector *selector = &settings->selector;
    return selector->uid_count > 0 || selector->name_count > 0 ||
           selector->service_account_count > 0;
}

/* A list that is empty holds everybody. */
static bool list_holds(const struct hbk_text *texts, uint32_t count, struct hbk_slice text)
{
    bool is_held = count == 0;
    for (uint32_t i = 0; i < count && !is_held; i++) {
        is_held = hbk_slice_equal(texts[i].text, text);
    }
    return is_held;
}

bool hbk_workload_selector_matches(const struct hbk_workload_selector *selector,
                                   const struct hbk_workload *workload)
{
    return list_holds(selector->uids, selector->uid_count, hbk_workload_uid(workload)) &&
           list_holds(selector->service_accounts, selector->service_account_count,
                      workload->service_account) &&
           (list_holds(selector->names, selector->name_count, workload->name) ||
            list_holds(selector->names, selector->name_count, workload->workload_name));
}

bool hbk_namespace_is_mesh_wide(struct hbk_slice namespace)
{
    return namespace.size == 0 || hbk_slice_equal(namespace, HBK_SLICE("istio-system"));
}

const char *hbk_peer_mode_text(enum hbk_peer_mode mode)
{
    switch (mode) {
    case HBK_PEER_UNSET:
        return "UNSET";
    case HBK_PEER_PERMISSIVE:
        return "PERMISSIVE";
    case HBK_PEER_STRICT:
        return "STRICT";
    case HBK_PEER_DISABLE:
        return "DISABLE";
    }
    HBK_UNREACHABLE();
}
