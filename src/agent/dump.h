/*
 * GET /config_dump of an agent: gathers what admin/dump.h writes, from control and from the
 * workers. Control thread.
 */
#pragma once

#include "admin/server.h"
#include "agent/agent.h"
#include "ca/source.h"
#include "model/mesh.h"
#include "proxy/proxy.h"

/* What a dump looks at when the workers have answered. Must outlive the proxy's last turn. */
struct hbk_dump_view {
    const struct hbk_agent_options *options;
    const struct hbk_mesh *mesh; /* borrowed: the newest; NULL: none yet, or none any more */
    const struct hbk_ca_source *ca;
    struct hbk_proxy *proxy;
};

/* Asks the workers for their connections and answers the exchange when they have told. For
 * hbk_admin_hooks.dump: `context` is a struct hbk_dump_view. */
void hbk_agent_dump(struct hbk_admin_exchange *exchange, void *context);
