/*
 * The order of a start: nothing is served before everything is checked, and the redirection, which
 * cuts a workload off until its agent listens, comes last.
 *
 *     signals, limits -> loop -> workers -> CA -> mesh file -> certificates -> pods -> admin
 */
#include "agent/agent.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/readiness.h"
#include "agent/dump.h"
#include "agent/pods.h"
#include "base/clock.h"
#include "base/log.h"
#include "ca/source.h"
#include "config/mesh_file.h"
#include "crypto/cpu.h"
#include "discovery/mesh_source.h"
#include "os/fd.h"
#include "os/limits.h"
#include "os/signal.h"
#include "proxy/proxy.h"

enum ready_task {
    READY_CERTIFICATES,
    READY_PODS,
};

struct agent {
    const struct hbk_agent_options *options; /* borrowed */
    struct hbk_loop loop;
    struct hbk_mailbox mailbox;
    struct hbk_team team;
    struct hbk_proxy proxy;
    struct hbk_pods pods;
    struct hbk_ca_source *ca; /* owned */
    struct hbk_timer ca_timer;
    struct hbk_mesh_source mesh_source;
    struct hbk_mesh *mesh; /* borrowed from its source: the newest */
    struct hbk_telemetry totals;
    struct hbk_readiness readiness;
    size_t ready[2]; /* readiness tasks, by enum ready_task */
    struct hbk_admin admin;
    struct hbk_dump_view view;
    struct hbk_source signals;
    bool is_draining;
};

unsigned hbk_agent_workers_default(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1                               ? 1
           : cores > HBK_AGENT_WORKERS_DEFAULT_MAX ? HBK_AGENT_WORKERS_DEFAULT_MAX
                                                   : (unsigned)cores;
}

/* The mesh ---------------------------------------------------------------------------------- */

static void log_report(const struct hbk_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        hbk_log(HBK_LOG_ERROR, "config", "%s", report->lines[i]);
    }
    if (report->dropped > 0) {
        hbk_log(HBK_LOG_ERROR, "config", "... and %zu more", report->dropped);
    }
}

/* Ready is an agent that has a certificate for each of its pods. */
static void check_certificates(struct agent *agent)
{
    const void *cursor = NULL;
    struct hbk_ca_view view;
    bool has_all = true;
    while (has_all && hbk_ca_next(agent->ca, &cursor, &view)) {
        has_all = view.credential != NULL;
    }
    hbk_readiness_set(&agent->readiness, agent->ready[READY_CERTIFICATES], has_all);
}

static void set_ca_timer(struct agent *agent)
{
    uint64_t due_ns = hbk_ca_next_due_ns(agent->ca);
    uint64_t now_ns = agent->loop.now_ns;
    hbk_loop_timer(&agent->loop, &agent->ca_timer, due_ns > now_ns ? due_ns - now_ns : 0);
}

static void on_ca_timer(struct hbk_timer *timer)
{
    struct agent *agent = HBK_CONTAINER(timer, struct agent, ca_timer);
    hbk_ca_run_due(agent->ca, agent->loop.now_ns, hbk_clock_realtime_ns());
    set_ca_timer(agent);
    check_certificates(agent);
}

static void want_identity(struct agent *agent, const struct hbk_spiffe_id *id)
{
    if (hbk_ca_want(agent->ca, id, agent->loop.now_ns, hbk_clock_realtime_ns()) != HBK_OK) {
        hbk_log(HBK_LOG_ERROR, "agent", "no memory for another identity");
    }
}

static void want_identities(struct agent *agent)
{
    hbk_ca_mark(agent->ca);
    struct hbk_trie_walk walk = hbk_mesh_walk(agent->mesh, HBK_MESH_PODS);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        const struct hbk_pod *pod = (const struct hbk_pod *)(const void *)record;
        const struct hbk_workload *workload = NULL;
        if (hbk_pods_is_here(agent->mesh, pod, agent->options->node, &workload)) {
            want_identity(agent, workload->identity);
        }
    }
    hbk_ca_sweep(agent->ca);
    set_ca_timer(agent);
    check_certificates(agent);
}

/* Before identities are wanted: a credential is made for the engine of its time. */
static void use_engine(struct agent *agent)
{
    enum hbk_tls_engine_kind engine = agent->mesh->tls_engine == HBK_MESH_TLS_OPENSSL
                                          ? HBK_TLS_ENGINE_OPENSSL
                                          : HBK_TLS_ENGINE_NATIVE;
    bool is_change = engine != hbk_ca_engine(agent->ca);
    hbk_ca_use_engine(agent->ca, engine, agent->loop.now_ns, hbk_clock_realtime_ns());
    if (is_change) {
        hbk_log(HBK_LOG_INFO, "agent", "new connections speak TLS with engine %s",
                hbk_tls_engine_text(engine));
    }
}

static void take_mesh(struct hbk_mesh *mesh, void *context)
{
    struct agent *agent = context;
    agent->mesh = mesh;
    agent->view.mesh = mesh;
    hbk_counter_set(&agent->totals, HBK_COUNTER_SNAPSHOT_GENERATION, mesh->generation);
    hbk_proxy_publish(&agent->proxy, mesh);
    use_engine(agent);
    want_identities(agent);
    hbk_pods_update(&agent->pods, mesh);
}

static hbk_status open_mesh(struct agent *agent, struct hbk_error *error)
{
    const char *path = agent->options->mesh_path;
    hbk_status status =
        hbk_mesh_source_open(&agent->mesh_source, &agent->loop, path, take_mesh, agent);
    if (status != HBK_OK) {
        const struct hbk_report *report = &agent->mesh_source.report;
        log_report(report);
        return hbk_error_set(error, status, "%s is not used: %s", path,
                             report->count > 0 ? "see above" : hbk_status_text(status));
    }
    take_mesh(agent->mesh_source.mesh, agent);
    return HBK_OK;
}

static void on_credential(void *context, const struct hbk_spiffe_id *id,
                          struct hbk_tls_credential *credential)
{
    struct agent *agent = context;
    hbk_proxy_renew(&agent->proxy, id, credential);
}

static struct hbk_tls_credential *credential_of(void *context, const struct hbk_spiffe_id *id)
{
    struct agent *agent = context;
    return hbk_ca_find(agent->ca, id);
}

static void on_pods_change(void *context)
{
    struct agent *agent = context;
    hbk_counter_set(&agent->totals, HBK_COUNTER_PODS_ACTIVE, agent->pods.up_count);
    hbk_counter_set(&agent->totals, HBK_COUNTER_PODS_PENDING, agent->pods.pending_count);
    hbk_counter_set(&agent->totals, HBK_COUNTER_PODS_STARTED, agent->pods.started);
    hbk_counter_set(&agent->totals, HBK_COUNTER_PODS_STOPPED, agent->pods.stopped);
    hbk_readiness_set(&agent->readiness, agent->ready[READY_PODS], agent->pods.pending_count == 0);
}

/* The end ----------------------------------------------------------------------------------- */

static void on_drained(void *context)
{
    struct agent *agent = context;
    hbk_loop_stop(&agent->loop);
}

static void drain(struct agent *agent)
{
    if (agent->is_draining) {
        return;
    }
    agent->is_draining = true;
    agent->readiness.is_draining = true;
    hbk_log(HBK_LOG_INFO, "agent", "draining");
    hbk_proxy_drain(&agent->proxy, agent->options->drain_ns, on_drained, agent);
}

static void on_quit(void *context)
{
    drain(context);
}

static void on_signal(struct hbk_source *source)
{
    struct agent *agent = HBK_CONTAINER(source, struct agent, signals);
    int number = 0;
    source->ready = 0;
    while (hbk_signal_read(source->fd, &number) == HBK_OK) {
        if (number == SIGINT && agent->is_draining) {
            hbk_loop_stop(&agent->loop);
        }
        drain(agent);
    }
}

/* What is shown ----------------------------------------------------------------------------- */

static void on_collected(void *context)
{
    struct agent *agent = context;
    struct hbk_ca_counts certificates = hbk_ca_counts(agent->ca);
    hbk_counter_set(&agent->totals, HBK_COUNTER_CERTIFICATES_ISSUED, certificates.issued);
    hbk_counter_set(&agent->totals, HBK_COUNTER_RELOADS_OK, agent->mesh_source.loads);
    hbk_counter_set(&agent->totals, HBK_COUNTER_RELOADS_FAILED, agent->mesh_source.failed_loads);
    hbk_counter_set(&agent->totals, HBK_COUNTER_CERTIFICATES_FAILED, certificates.failed);
    hbk_admin_collected(&agent->admin);
}

static void collect(void *context)
{
    struct agent *agent = context;
    hbk_proxy_collect(&agent->proxy, &agent->totals, on_collected, agent);
}

/* When each identity's certificate ends. */
static void show_certificates(struct hbk_exposition *exposition, void *context)
{
    static const char name[] = "hauberk_certificate_expiry_timestamp_seconds";
    const struct agent *agent = context;
    hbk_exposition_family(exposition, name, HBK_METRIC_GAUGE,
                          "End of the certificate in use, in seconds since 1970, by identity");
    const void *cursor = NULL;
    for (struct hbk_ca_view view; hbk_ca_next(agent->ca, &cursor, &view);) {
        if (view.credential != NULL) {
            hbk_exposition_sample(exposition, name, HBK_METRIC_GAUGE);
            hbk_exposition_label(exposition, "identity", view.id->text);
            hbk_exposition_value(exposition,
                                 (uint64_t)hbk_tls_credential_not_after_ns(view.credential) /
                                     HBK_NS_PER_S);
        }
    }
}

static void dump(struct hbk_admin_exchange *exchange, void *context)
{
    struct agent *agent = context;
    hbk_agent_dump(exchange, &agent->view);
}

static hbk_status listen_admin(struct agent *agent, struct hbk_error *error)
{
    struct hbk_admin_hooks hooks = {
        .context = agent,
        .collect = collect,
        .more = show_certificates,
        .dump = dump,
        .quit = on_quit,
    };
    agent->view.options = agent->options;
    agent->view.ca = agent->ca;
    agent->view.proxy = &agent->proxy;
    hbk_admin_init(&agent->admin, &agent->loop, &agent->totals, &agent->readiness, &hooks);
    struct hbk_admin_ports ports = {
        .admin = HBK_AGENT_PORT_ADMIN,
        .metrics = HBK_AGENT_PORT_METRICS,
        .readiness = HBK_AGENT_PORT_READINESS,
    };
    return hbk_admin_listen(&agent->admin, &ports, error);
}

/* The beginning ----------------------------------------------------------------------------- */

static hbk_status watch_signals(struct agent *agent, struct hbk_error *error)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    int fd = -1;
    hbk_status status = hbk_signal_open(numbers, HBK_COUNT(numbers), &fd);
    if (status == HBK_OK) {
        status = hbk_loop_add(&agent->loop, &agent->signals, fd, on_signal);
    }
    if (status != HBK_OK) {
        hbk_fd_close(&fd);
        agent->signals.fd = -1;
        return hbk_error_set(error, status, "cannot watch signals: %s", hbk_status_text(status));
    }
    return HBK_OK;
}

/* A node that no workload names is most likely a name misspelt: here, or in the mesh file. */
static void warn_about_node(const struct hbk_mesh *mesh, const char *node)
{
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_WORKLOADS);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        const struct hbk_workload *workload = (const struct hbk_workload *)(const void *)record;
        if (hbk_slice_equal(workload->node, hbk_slice_text(node))) {
            return;
        }
    }
    hbk_log(HBK_LOG_WARN, "agent", "no workload of the mesh file is on node %s", node);
}

static hbk_status serve(struct agent *agent, struct hbk_error *error)
{
    hbk_pods_init(&agent->pods, &agent->proxy, &agent->loop, agent->options->node);
    agent->pods.credential_of = credential_of;
    agent->pods.on_change = on_pods_change;
    agent->pods.context = agent;
    hbk_status status = listen_admin(agent, error);
    if (status == HBK_OK) {
        status = open_mesh(agent, error);
    }
    if (status == HBK_OK) {
        warn_about_node(agent->mesh, agent->options->node);
        hbk_log(HBK_LOG_INFO, "agent", "node %s is ready: %zu pods, %u workers",
                agent->options->node, agent->pods.up_count, agent->team.count);
        hbk_loop_run(&agent->loop);
        agent->view.mesh = NULL;
        hbk_mesh_source_close(&agent->mesh_source);
    }
    hbk_admin_fini(&agent->admin);
    hbk_pods_fini(&agent->pods);
    return status;
}

static hbk_status with_workers(struct agent *agent, struct hbk_error *error)
{
    hbk_status status =
        hbk_team_start(&agent->team, agent->options->workers, &agent->loop, &agent->mailbox);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot start %u workers: %s", agent->options->workers,
                             hbk_status_text(status));
    }
    status = hbk_proxy_init(&agent->proxy, &agent->team, &agent->options->net);
    if (status != HBK_OK) {
        hbk_team_stop(&agent->team);
        return hbk_error_set(error, status, "out of memory");
    }
    status = serve(agent, error);
    agent->is_draining = true; /* too late for another signal to begin it */
    agent->loop.is_stopping = false;
    hbk_proxy_fini(&agent->proxy);
    return status;
}

static hbk_status open_ca(struct agent *agent, struct hbk_error *error)
{
    const struct hbk_agent_options *options = agent->options;
    const struct hbk_ca_settings settings = {
        .life_ns = options->certificate_life_ns,
        .key_type = HBK_KEY_ECDSA_P256,
        .on_credential = on_credential,
        .context = agent,
    };
    hbk_timer_init(&agent->ca_timer, on_ca_timer);
    return options->identities_path != NULL
               ? hbk_ca_open_folder(options->identities_path, &settings, &agent->ca, error)
               : hbk_ca_open_store(options->ca_path, &settings, &agent->ca, error);
}

static hbk_status with_loop(struct agent *agent, struct hbk_error *error)
{
    HBK_TRY(watch_signals(agent, error));
    hbk_status status = hbk_mailbox_init(&agent->mailbox, &agent->loop);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "%s", hbk_status_text(status));
    }
    hbk_readiness_init(&agent->readiness);
    agent->ready[READY_CERTIFICATES] = hbk_readiness_add(&agent->readiness, "certificates");
    agent->ready[READY_PODS] = hbk_readiness_add(&agent->readiness, "pods");
    status = open_ca(agent, error);
    if (status == HBK_OK) {
        status = with_workers(agent, error);
        hbk_loop_timer_cancel(&agent->loop, &agent->ca_timer);
    }
    hbk_ca_close(agent->ca);
    hbk_mailbox_close(&agent->mailbox);
    hbk_mailbox_fini(&agent->mailbox);
    return status;
}

hbk_status hbk_agent_run(const struct hbk_agent_options *options, struct hbk_error *error)
{
    HBK_TRY(hbk_cpu_check(error));
    /* One heap for all threads: workers take from pools, and arenas per thread would stay full. */
    (void)mallopt(M_ARENA_MAX, 1);
    struct agent *agent = calloc(1, sizeof *agent);
    if (agent == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    agent->options = options;
    agent->signals.fd = -1;
    uint64_t files_max = 0;
    hbk_status status = hbk_limits_raise_open_files(&files_max);
    if (status != HBK_OK) {
        hbk_log(HBK_LOG_WARN, "agent", "cannot raise the limit of open files: %s",
                hbk_status_text(status));
    }
    status = hbk_telemetry_init(&agent->totals);
    if (status == HBK_OK) {
        status = hbk_loop_init(&agent->loop);
        if (status == HBK_OK) {
            status = with_loop(agent, error);
            hbk_fd_close(&agent->signals.fd);
            hbk_loop_fini(&agent->loop);
        }
        hbk_telemetry_fini(&agent->totals);
    }
    free(agent);
    return status == HBK_OK ? HBK_OK : hbk_error_set(error, status, "%s", hbk_status_text(status));
}

hbk_status hbk_agent_clean_up(const struct hbk_agent_options *options, struct hbk_error *error)
{
    struct hbk_report report;
    struct hbk_mesh *mesh = NULL;
    hbk_status status = hbk_mesh_file_load(options->mesh_path, NULL, &mesh, &report);
    if (status != HBK_OK) {
        log_report(&report);
        return hbk_error_set(error, status, "%s cannot be read", options->mesh_path);
    }
    warn_about_node(mesh, options->node);
    status = hbk_pods_clean_up(mesh, options->node, error);
    hbk_mesh_unref(mesh);
    return status;
}
