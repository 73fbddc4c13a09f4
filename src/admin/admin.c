#include "admin/admin.h"

#include <unistd.h>

#include "admin/logging.h"
#include "base/clock.h"
#include "os/limits.h"
#include "os/process.h"

static const char text_type[] = "text/plain; charset=utf-8";

/* What a waiting scrape wants lies in the note of its exchange: a format. */

static void put_gauge(struct hbk_exposition *exposition, const char *name, const char *help,
                      uint64_t value)
{
    hbk_exposition_family(exposition, name, HBK_METRIC_GAUGE, help);
    hbk_exposition_sample(exposition, name, HBK_METRIC_GAUGE);
    hbk_exposition_value(exposition, value);
}

/* What Prometheus' own libraries show of a process, under their names. */
static void put_process(struct hbk_exposition *exposition)
{
    uint64_t files, files_max;
    if (hbk_limits_open_files(&files, &files_max) == HBK_OK) {
        put_gauge(exposition, "process_open_fds", "Open file descriptors", files);
        put_gauge(exposition, "process_max_fds", "File descriptors that may be open", files_max);
    }
    struct hbk_process_usage usage;
    if (hbk_process_usage(getpid(), &usage) == HBK_OK) {
        put_gauge(exposition, "process_resident_memory_bytes", "Resident memory",
                  usage.resident_bytes);
        put_gauge(exposition, "hauberk_private_dirty_memory_bytes",
                  "Memory that only this process holds and has changed", usage.private_dirty_bytes);
        hbk_exposition_family(exposition, "process_cpu_seconds", HBK_METRIC_COUNTER,
                              "CPU time used");
        hbk_exposition_sample(exposition, "process_cpu_seconds", HBK_METRIC_COUNTER);
        hbk_exposition_value_double(exposition, (double)usage.cpu_ns / (double)HBK_NS_PER_S);
    }
}

static void put_more(struct hbk_exposition *exposition, void *context)
{
    const struct hbk_admin *admin = context;
    put_process(exposition);
    if (admin->hooks.more != NULL) {
        admin->hooks.more(exposition, admin->hooks.context);
    }
}

static void reply_metrics(struct hbk_admin *admin, struct hbk_admin_exchange *exchange)
{
    enum hbk_exposition_format format = (enum hbk_exposition_format)exchange->note;
    if (!hbk_admin_exchange_is_wanted(exchange)) {
        hbk_admin_reply(exchange, 200, text_type, HBK_SLICE(""));
        return;
    }
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer body;
    hbk_buffer_init(&body, HBK_TELEMETRY_BYTES_MAX);
    hbk_status status = hbk_telemetry_render(admin->totals, &body, format, put_more, admin);
    if (status != HBK_OK) {
        hbk_admin_reply_print(exchange, 500, "metrics: %s\n", hbk_status_text(status));
        return;
    }
    hbk_admin_reply_take(exchange, 200, hbk_exposition_content_type(format), &body);
}

static void start_collecting(struct hbk_admin *admin)
{
    if (!admin->is_collecting) {
        admin->is_collecting = true;
        admin->hooks.collect(admin->hooks.context);
    }
}

static void on_copy_due(struct hbk_timer *timer)
{
    start_collecting(HBK_CONTAINER(timer, struct hbk_admin, copy_timer));
}

void hbk_admin_collected(struct hbk_admin *admin)
{
    admin->is_collecting = false;
    hbk_loop_timer_cancel(admin->loop, &admin->collect_timer);
    hbk_loop_timer(admin->loop, &admin->copy_timer, HBK_TELEMETRY_COPY_NS);
    for (struct hbk_link *link; (link = hbk_list_pop(&admin->scrapes)) != NULL;) {
        reply_metrics(admin, HBK_CONTAINER(link, struct hbk_admin_exchange, link));
    }
}

/* A worker does not answer in time. Its copy is added when it comes; is_collecting stays, so that
 * no second round is started before the first has ended. */
static void on_collect_timeout(struct hbk_timer *timer)
{
    struct hbk_admin *admin = HBK_CONTAINER(timer, struct hbk_admin, collect_timer);
    hbk_log(HBK_LOG_WARN, "admin", "metrics are shown without those of a worker that is late");
    for (struct hbk_link *link; (link = hbk_list_pop(&admin->scrapes)) != NULL;) {
        reply_metrics(admin, HBK_CONTAINER(link, struct hbk_admin_exchange, link));
    }
}

static void scrape(struct hbk_admin *admin, struct hbk_admin_exchange *exchange,
                   enum hbk_exposition_format format)
{
    exchange->note = (unsigned)format;
    if (admin->hooks.collect == NULL) {
        reply_metrics(admin, exchange);
        return;
    }
    hbk_list_append(&admin->scrapes, &exchange->link);
    if (!hbk_timer_is_set(&admin->collect_timer)) {
        hbk_loop_timer(admin->loop, &admin->collect_timer, HBK_ADMIN_COLLECT_NS);
    }
    start_collecting(admin);
}

static void handle_metrics(struct hbk_admin_exchange *exchange,
                           const struct hbk_admin_request *request, void *context)
{
    scrape(context, exchange, hbk_exposition_format_accepted(request->accept));
}

static void handle_stats(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context)
{
    (void)request;
    scrape(context, exchange, HBK_EXPOSITION_PLAIN);
}

static void handle_ready(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context)
{
    (void)request;
    const struct hbk_admin *admin = context;
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, 4096);
    bool is_ready = hbk_readiness_is_ready(admin->readiness);
    if (hbk_readiness_text(admin->readiness, &text) != HBK_OK ||
        hbk_buffer_append(&text, HBK_SLICE("\n")) != HBK_OK) {
        hbk_buffer_clear(&text);
    }
    hbk_admin_reply_take(exchange, is_ready ? 200 : 503, text_type, &text);
}

static void handle_logging(struct hbk_admin_exchange *exchange,
                           const struct hbk_admin_request *request, void *context)
{
    const struct hbk_admin *admin = context;
    struct hbk_error error = {.status = HBK_OK};
    if (hbk_logging_change(request->query, admin->default_level, &error) != HBK_OK) {
        hbk_admin_reply_print(exchange, 400, "%s\n", error.text);
        return;
    }
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, 4096);
    if (hbk_buffer_append(&text, HBK_SLICE("current log level is ")) != HBK_OK ||
        hbk_logging_text(&text) != HBK_OK || hbk_buffer_append(&text, HBK_SLICE("\n")) != HBK_OK) {
        hbk_admin_reply_print(exchange, 500, "out of memory\n");
        return;
    }
    hbk_admin_reply_take(exchange, 200, text_type, &text);
}

static void handle_dump(struct hbk_admin_exchange *exchange,
                        const struct hbk_admin_request *request, void *context)
{
    (void)request;
    struct hbk_admin *admin = context;
    if (admin->hooks.dump == NULL) {
        hbk_admin_reply_print(exchange, 404, "Not Found\n");
        return;
    }
    admin->hooks.dump(exchange, admin->hooks.context);
}

static void handle_quit(struct hbk_admin_exchange *exchange,
                        const struct hbk_admin_request *request, void *context)
{
    (void)request;
    struct hbk_admin *admin = context;
    hbk_admin_reply_print(exchange, 200, "shutdown now\n");
    if (admin->hooks.quit != NULL) {
        admin->hooks.quit(admin->hooks.context);
    }
}

static void handle_index(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context);

static const struct hbk_admin_route admin_routes[] = {
    {"/", HBK_ADMIN_GET, handle_index, "GET: this page"},
    {"/config_dump", HBK_ADMIN_GET, handle_dump,
     "GET: workloads, services, policies, certificates and connections as JSON"},
    {"/stats", HBK_ADMIN_GET, handle_stats, "GET: all counters that are not zero"},
    {"/metrics", HBK_ADMIN_GET, handle_metrics, "GET: metrics for Prometheus"},
    {"/stats/prometheus", HBK_ADMIN_GET, handle_metrics, "GET: metrics for Prometheus"},
    {"/logging", HBK_ADMIN_POST, handle_logging,
     "POST: shows log levels; ?level=info,tls=debug changes them, ?reset starts from the default"},
    {"/healthz/ready", HBK_ADMIN_GET, handle_ready, "GET: 200 when ready, else 503 and why"},
    {"/quitquitquit", HBK_ADMIN_POST, handle_quit, "POST: drains connections and ends"},
};

static const struct hbk_admin_route metrics_routes[] = {
    {"/metrics", HBK_ADMIN_GET, handle_metrics, "GET: metrics for Prometheus"},
    {"/stats/prometheus", HBK_ADMIN_GET, handle_metrics, "GET: metrics for Prometheus"},
};

static const struct hbk_admin_route readiness_routes[] = {
    {"/healthz/ready", HBK_ADMIN_GET, handle_ready, "GET: 200 when ready, else 503 and why"},
};

static hbk_status write_index(struct hbk_buffer *body)
{
    HBK_TRY(hbk_buffer_print(body, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                                   "charset=\"utf-8\"><title>Hauberk</title></head><body>\n"
                                   "<h1>Hauberk " HBK_VERSION "</h1>\n<table>\n"));
    for (size_t i = 0; i < HBK_COUNT(admin_routes); i++) {
        const struct hbk_admin_route *route = &admin_routes[i];
        bool is_link = (route->methods & HBK_ADMIN_GET) != 0;
        HBK_TRY(hbk_buffer_print(body, "<tr><td>%s%s%s%s%s</td><td>%s</td></tr>\n",
                                 is_link ? "<a href=\"" : "", is_link ? route->path : "",
                                 is_link ? "\">" : "", route->path, is_link ? "</a>" : "",
                                 route->about));
    }
    return hbk_buffer_append(body, HBK_SLICE("</table>\n</body></html>\n"));
}

static void handle_index(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context)
{
    (void)request;
    (void)context;
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer body;
    hbk_buffer_init(&body, 16 << 10);
    if (write_index(&body) != HBK_OK) {
        hbk_admin_reply_print(exchange, 500, "out of memory\n");
        return;
    }
    hbk_admin_reply_take(exchange, 200, "text/html; charset=utf-8", &body);
}

void hbk_admin_init(struct hbk_admin *admin, struct hbk_loop *loop,
                    const struct hbk_telemetry *totals, const struct hbk_readiness *readiness,
                    const struct hbk_admin_hooks *hooks)
{
    *admin = (struct hbk_admin){
        .loop = loop,
        .totals = totals,
        .readiness = readiness,
        .hooks = *hooks,
        .default_level = hbk_log_level_now(),
    };
    hbk_list_init(&admin->scrapes);
    hbk_timer_init(&admin->collect_timer, on_collect_timeout);
    hbk_timer_init(&admin->copy_timer, on_copy_due);
    if (hooks->collect != NULL) {
        hbk_loop_timer(loop, &admin->copy_timer, HBK_TELEMETRY_COPY_NS);
    }
    hbk_admin_server_init(&admin->admin_server, loop, admin_routes, HBK_COUNT(admin_routes), admin);
    hbk_admin_server_init(&admin->metrics_server, loop, metrics_routes, HBK_COUNT(metrics_routes),
                          admin);
    hbk_admin_server_init(&admin->readiness_server, loop, readiness_routes,
                          HBK_COUNT(readiness_routes), admin);
}

static hbk_status listen_on(struct hbk_admin_server *server, const struct hbk_ip *ip, uint16_t port,
                            struct hbk_error *error)
{
    struct hbk_address address = {.ip = *ip, .port = port};
    hbk_status status = hbk_admin_server_listen(server, &address);
    if (status != HBK_OK) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        hbk_error_set(error, status, "cannot listen on %s: %s", hbk_address_text(&address, text),
                      hbk_status_text(status));
    }
    return status;
}

static hbk_status listen_localhost(struct hbk_admin_server *server, uint16_t port,
                                   struct hbk_error *error)
{
    static const struct hbk_ip v4 = {.size = 4, .bytes = {127, 0, 0, 1}};
    static const struct hbk_ip v6 = {.size = 16, .bytes = {[15] = 1}};
    HBK_TRY(listen_on(server, &v4, port, error));
    hbk_status status = listen_on(server, &v6, port, NULL);
    if (status != HBK_OK) {
        hbk_log(HBK_LOG_DEBUG, "admin", "not on [::1]:%u: %s", port, hbk_status_text(status));
    }
    return HBK_OK;
}

static hbk_status listen_all(struct hbk_admin *admin, const struct hbk_admin_ports *ports,
                             struct hbk_error *error)
{
    static const struct hbk_ip everywhere = {.size = 16};
    if (ports->admin != 0 && ports->admin_ip.size == 0) {
        HBK_TRY(listen_localhost(&admin->admin_server, ports->admin, error));
    } else if (ports->admin != 0) {
        HBK_TRY(listen_on(&admin->admin_server, &ports->admin_ip, ports->admin, error));
    }
    if (ports->metrics != 0) {
        HBK_TRY(listen_on(&admin->metrics_server, &everywhere, ports->metrics, error));
    }
    if (ports->readiness != 0) {
        HBK_TRY(listen_on(&admin->readiness_server, &everywhere, ports->readiness, error));
    }
    return HBK_OK;
}

static void close_servers(struct hbk_admin *admin)
{
    hbk_admin_server_fini(&admin->admin_server);
    hbk_admin_server_fini(&admin->metrics_server);
    hbk_admin_server_fini(&admin->readiness_server);
}

hbk_status hbk_admin_listen(struct hbk_admin *admin, const struct hbk_admin_ports *ports,
                            struct hbk_error *error)
{
    hbk_status status = listen_all(admin, ports, error);
    if (status != HBK_OK) {
        close_servers(admin);
    }
    return status;
}

void hbk_admin_fini(struct hbk_admin *admin)
{
    close_servers(admin);
    hbk_admin_collected(admin); /* frees the exchanges of scrapes, whose clients are gone */
    hbk_loop_timer_cancel(admin->loop, &admin->copy_timer);
}
