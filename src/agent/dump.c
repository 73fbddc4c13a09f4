#include "agent/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/dump.h"
#include "agent/pods.h"
#include "base/arena.h"
#include "base/clock.h"
#include "identity/facts.h"

enum {
    CONNECTION_BYTES_MAX = 64 << 20, /* of all listed connections */
    SETTINGS_MAX = 16,
};

struct dump_request {
    const struct hbk_dump_view *view;
    struct hbk_admin_exchange *exchange;
};

/* What is put together for one answer; all of it lies in the arena. */
struct gathering {
    const struct hbk_dump_view *view;
    struct hbk_arena arena;
    struct hbk_buffer connections;
    struct hbk_dump_setting settings[SETTINGS_MAX];
    struct hbk_dump dump;
};

/* Settings ---------------------------------------------------------------------------------- */

static void add_setting(struct gathering *gathering, const char *name, const char *value)
{
    if (value != NULL && gathering->dump.setting_count < SETTINGS_MAX) {
        gathering->settings[gathering->dump.setting_count++] =
            (struct hbk_dump_setting){.name = name, .value = hbk_slice_text(value)};
    }
}

static void add_milliseconds(struct gathering *gathering, const char *name, uint64_t value_ns)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llums", (unsigned long long)(value_ns / HBK_NS_PER_MS));
    add_setting(gathering, name, hbk_arena_string(&gathering->arena, hbk_slice_text(text)));
}

/* That new connections speak with. */
static const char *engine_text(const struct gathering *gathering)
{
    return hbk_tls_engine_text(hbk_ca_engine(gathering->view->ca));
}

static void gather_settings(struct gathering *gathering)
{
    const struct hbk_agent_options *options = gathering->view->options;
    char workers[16];
    (void)snprintf(workers, sizeof workers, "%u", options->workers);
    add_setting(gathering, "node", options->node);
    add_setting(gathering, "meshFile", options->mesh_path);
    add_setting(gathering, "ca", options->ca_path);
    add_setting(gathering, "identities", options->identities_path);
    add_setting(gathering, "tlsEngine", engine_text(gathering));
    add_setting(gathering, "workers", hbk_arena_string(&gathering->arena, hbk_slice_text(workers)));
    add_milliseconds(gathering, "certificateLife", options->certificate_life_ns);
    add_milliseconds(gathering, "drainTime", options->drain_ns);
    add_milliseconds(gathering, "connectTimeout", options->net.connect_timeout_ns);
    add_milliseconds(gathering, "handshakeTimeout", options->net.handshake_timeout_ns);
    add_milliseconds(gathering, "requestTimeout", options->net.request_timeout_ns);
    add_milliseconds(gathering, "idleTimeout", options->net.idle_timeout_ns);
    gathering->dump.settings = gathering->settings;
    gathering->dump.static_file = hbk_slice_text(options->mesh_path);
}

/* Certificates ------------------------------------------------------------------------------ */

static hbk_status gather_certificate(struct hbk_arena *arena, const struct x509_st *certificate,
                                     struct hbk_dump_certificate *out_certificate)
{
    struct hbk_certificate_facts facts;
    struct hbk_buffer pem;
    hbk_buffer_init(&pem, HBK_CHAIN_BYTES_MAX);
    hbk_status status = hbk_certificate_facts(certificate, &facts, &pem);
    struct hbk_slice text = hbk_buffer_slice(&pem);
    const char *pem_copy = hbk_arena_string(arena, text);
    const char *serial_copy =
        status == HBK_OK ? hbk_arena_string(arena, hbk_slice_text(facts.serial_text)) : NULL;
    if (status == HBK_OK && pem_copy != NULL && serial_copy != NULL) {
        *out_certificate = (struct hbk_dump_certificate){
            .pem = hbk_slice_of(pem_copy, text.size),
            .serial_number = hbk_slice_text(serial_copy),
            .valid_from_ns = facts.not_before_ns,
            .expiration_ns = facts.not_after_ns,
        };
    }
    hbk_buffer_fini(&pem);
    return status != HBK_OK                          ? status
           : pem_copy == NULL || serial_copy == NULL ? HBK_NO_MEMORY
                                                     : HBK_OK;
}

static hbk_status gather_certificates(struct hbk_arena *arena, struct x509_st *const *certificates,
                                      size_t count, const struct hbk_dump_certificate **out_list)
{
    struct hbk_dump_certificate *list = hbk_arena_array(arena, count, sizeof *list);
    if (list == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        HBK_TRY(gather_certificate(arena, certificates[i], &list[i]));
    }
    *out_list = list;
    return HBK_OK;
}

static hbk_status gather_credential(struct hbk_arena *arena, const struct hbk_ca_view *view,
                                    struct hbk_dump_identity *identity)
{
    const struct hbk_svid *svid = hbk_tls_credential_svid(view->credential);
    identity->state = HBK_SLICE("Available");
    identity->tls_engine =
        hbk_tls_engine_text(hbk_tls_context_engine(hbk_tls_credential_context(view->credential)));
    HBK_TRY(
        gather_certificates(arena, svid->certificates, svid->certificate_count, &identity->chain));
    identity->chain_count = svid->certificate_count;
    const struct hbk_bundle *bundle = hbk_bundle_set_find(
        hbk_tls_credential_bundles(view->credential), view->id->parts.trust_domain);
    if (bundle != NULL) {
        HBK_TRY(gather_certificates(arena, bundle->roots, bundle->root_count, &identity->roots));
        identity->root_count = bundle->root_count;
    }
    return HBK_OK;
}

static hbk_status gather_identity(struct hbk_arena *arena, const struct hbk_ca_view *view,
                                  struct hbk_dump_identity *identity)
{
    identity->identity = view->id->text;
    if (view->credential != NULL) {
        return gather_credential(arena, view, identity);
    }
    char text[HBK_CA_ERROR_BYTES_MAX + 32];
    (void)snprintf(text, sizeof text, "Unavailable: %s", view->error);
    const char *state = hbk_arena_string(arena, hbk_slice_text(text));
    identity->state =
        view->error[0] == '\0' || state == NULL ? HBK_SLICE("Initializing") : hbk_slice_text(state);
    return HBK_OK;
}

static hbk_status gather_identities(struct gathering *gathering)
{
    struct hbk_ca_view view;
    size_t count = 0;
    const void *cursor = NULL;
    while (hbk_ca_next(gathering->view->ca, &cursor, &view)) {
        count++;
    }
    struct hbk_dump_identity *identities =
        hbk_arena_array(&gathering->arena, count, sizeof *identities);
    if (identities == NULL) {
        return HBK_NO_MEMORY;
    }
    cursor = NULL;
    for (size_t i = 0; i < count && hbk_ca_next(gathering->view->ca, &cursor, &view); i++) {
        HBK_TRY(gather_identity(&gathering->arena, &view, &identities[i]));
    }
    gathering->dump.identities = identities;
    gathering->dump.identity_count = count;
    return HBK_OK;
}

/* Pods and their connections ---------------------------------------------------------------- */

static bool is_listed(const struct hbk_connection_list *list, struct hbk_slice uid)
{
    for (size_t i = 0; i < list->pod_count; i++) {
        if (hbk_slice_equal(hbk_slice_text(list->pods[i]), uid)) {
            return true;
        }
    }
    return false;
}

static hbk_status gather_pods(struct gathering *gathering, const struct hbk_connection_list *list)
{
    const struct hbk_mesh *mesh = gathering->view->mesh;
    size_t count_max = hbk_mesh_count(mesh, HBK_MESH_PODS);
    struct hbk_dump_pod *pods = hbk_arena_array(&gathering->arena, count_max, sizeof *pods);
    if (pods == NULL) {
        return HBK_NO_MEMORY;
    }
    size_t count = 0;
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_PODS);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        const struct hbk_pod *pod = (const struct hbk_pod *)(const void *)record;
        const struct hbk_workload *workload = NULL;
        if (count < count_max &&
            hbk_pods_is_here(mesh, pod, gathering->view->options->node, &workload)) {
            pods[count++] = (struct hbk_dump_pod){
                .uid = hbk_pod_uid(pod),
                .is_up = is_listed(list, hbk_pod_uid(pod)),
                .name = workload->name,
                .namespace = workload->namespace,
                .service_account = workload->service_account,
            };
        }
    }
    gathering->dump.pods = pods;
    gathering->dump.pod_count = count;
    return HBK_OK;
}

static hbk_status gather_connections(struct gathering *gathering,
                                     const struct hbk_connection_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct hbk_connection_view *view = &list->items[i];
        struct hbk_connection_entry entry = {
            .workload_uid = hbk_slice_text(view->pod),
            .is_inbound =
                view->kind == HBK_CONNECTION_INBOUND || view->kind == HBK_CONNECTION_PLAIN_INBOUND,
            .protocol =
                view->kind == HBK_CONNECTION_INBOUND || view->kind == HBK_CONNECTION_OUTBOUND
                    ? HBK_CONNECTION_HBONE
                    : HBK_CONNECTION_TCP,
            .tls_engine = view->tls_engine,
            .source = view->source,
            .original_destination = view->destination,
            .actual_destination = view->target,
        };
        HBK_TRY(hbk_connection_entry_append(&gathering->connections, &entry));
    }
    gathering->dump.connections = hbk_buffer_slice(&gathering->connections);
    return HBK_OK;
}

/* The answer -------------------------------------------------------------------------------- */

static hbk_status write_dump(struct gathering *gathering, const struct hbk_connection_list *list,
                             struct hbk_buffer *out)
{
    gather_settings(gathering);
    HBK_TRY(gather_identities(gathering));
    if (gathering->view->mesh != NULL) {
        HBK_TRY(gather_pods(gathering, list));
    }
    HBK_TRY(gather_connections(gathering, list));
    gathering->dump.mesh = gathering->view->mesh;
    gathering->dump.crypto_provider = hbk_slice_text(engine_text(gathering));
    return hbk_dump_write(&gathering->dump, out);
}

static void on_listed(void *context, const struct hbk_connection_list *list)
{
    struct dump_request *request = context;
    struct gathering gathering = {.view = request->view};
    struct hbk_buffer out;
    hbk_arena_init(&gathering.arena);
    hbk_buffer_init(&gathering.connections, CONNECTION_BYTES_MAX);
    hbk_buffer_init(&out, HBK_ADMIN_REPLY_BYTES_MAX);
    hbk_status status = hbk_admin_exchange_is_wanted(request->exchange)
                            ? write_dump(&gathering, list, &out)
                            : HBK_CLOSED;
    if (status == HBK_OK) {
        hbk_admin_reply_take(request->exchange, 200, "application/json", &out);
    } else {
        hbk_admin_reply_print(request->exchange, 500, "no dump: %s\n", hbk_status_text(status));
    }
    hbk_buffer_fini(&out);
    hbk_buffer_fini(&gathering.connections);
    hbk_arena_fini(&gathering.arena);
    free(request);
}

void hbk_agent_dump(struct hbk_admin_exchange *exchange, void *context)
{
    const struct hbk_dump_view *view = context;
    struct dump_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        hbk_admin_reply_print(exchange, 500, "no dump: out of memory\n");
        return;
    }
    request->view = view;
    request->exchange = exchange;
    hbk_proxy_list(view->proxy, on_listed, request);
}
