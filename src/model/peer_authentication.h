/*
 * Whether workloads accept plain text (PERMISSIVE), refuse it (STRICT), or take part in no mutual
 * TLS at all (DISABLE); and whether a namespace's workloads may send plain text themselves.
 */
#pragma once

#include "model/workload.h"

enum hbk_peer_mode {
    HBK_PEER_UNSET, /* says nothing: the next wider setting decides */
    HBK_PEER_PERMISSIVE,
    HBK_PEER_STRICT,
    HBK_PEER_DISABLE,
};

struct hbk_peer_port_mode {
    uint16_t port; /* of the workload, not of a service */
    enum hbk_peer_mode mode;
};

/*
 * Chooses workloads of the settings' own namespace: each list that is not empty must hold the
 * workload. All lists empty: every workload of the namespace.
 */
struct hbk_workload_selector {
    const struct hbk_text *uids;
    const struct hbk_text *names;
    const struct hbk_text *service_accounts;
    uint32_t uid_count;
    uint32_t name_count;
    uint32_t service_account_count;
};

struct hbk_peer_authentication {
    struct hbk_record record; /* key: "namespace/name" */
    struct hbk_slice name;
    struct hbk_slice namespace; /* empty or istio-system: the whole mesh, unless it selects */
    struct hbk_workload_selector selector;
    const struct hbk_peer_port_mode *port_modes;
    uint32_t port_mode_count;
    enum hbk_peer_mode mode;
};

/* outboundPlainText of one namespace. */
struct hbk_plain_text {
    struct hbk_record record; /* key: the namespace; empty or istio-system: the whole mesh */
    bool is_allowed;
};

extern const struct hbk_record_kind hbk_peer_authentication_kind;
extern const struct hbk_record_kind hbk_plain_text_kind;

/* True when the settings choose workloads instead of a whole namespace. */
bool hbk_peer_authentication_has_selector(const struct hbk_peer_authentication *settings);

/* True when the selector holds the workload; the namespace is not looked at. */
bool hbk_workload_selector_matches(const struct hbk_workload_selector *selector,
                                   const struct hbk_workload *workload);

/* Empty and istio-system both mean the whole mesh. */
bool hbk_namespace_is_mesh_wide(struct hbk_slice namespace);

/* "PERMISSIVE", "STRICT", "DISABLE", "UNSET". */
const char *hbk_peer_mode_text(enum hbk_peer_mode mode);
