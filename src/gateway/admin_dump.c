/*
 * /config_dump and /certs in Envoy's shapes: the configuration in the parts that Envoy's dumps have
 * (envoy.admin.v3), and the certificates of the TLS contexts in force.
 */
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "config/bootstrap_dump.h"
#include "gateway/admin_part.h"
#include "gateway/pattern.h"
#include "identity/certificate.h"
#include "tls/certificate.h"

enum { TIME_BYTES_MAX = 48, SECONDS_PER_DAY = 86400 };

/* ---- the parts of a dump ---- */

/* What is asked for, and where it is written. */
struct dump {
    const struct hbk_gw_control *control;
    struct hbk_json *json;
    bool is_resource;  /* the elements of one list are wanted, each with its type */
    const char *field; /* of the list, which its first element opens; NULL: it is open */
    bool *is_open;
    struct hbk_field_mask mask;
    struct hbk_slice name_regex; /* empty: every name */
    char loaded[TIME_BYTES_MAX];
};

typedef void list_fn(const struct dump *dump);

/* A list of a part: what Envoy calls it, and one of its elements. */
struct list {
    const char *part, *field, *element;
    list_fn *write; /* NULL: nothing is ever in it, since all is static here */
};

static void time_text(char text[static TIME_BYTES_MAX], int64_t time_ns, bool has_millis)
{
    struct tm parts;
    const time_t seconds = (time_t)(time_ns / (int64_t)HBK_NS_PER_S);
    char date[TIME_BYTES_MAX / 2];
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    if (has_millis) {
        (void)snprintf(text, TIME_BYTES_MAX, "%s.%03dZ", date,
                       (int)(time_ns % (int64_t)HBK_NS_PER_S / (int64_t)HBK_NS_PER_MS));
    } else {
        (void)snprintf(text, TIME_BYTES_MAX, "%sZ", date);
    }
}

static bool is_named(const struct dump *dump, struct hbk_slice name)
{
    return dump->name_regex.size == 0 || hbk_gw_pattern_matches(dump->name_regex, true, name);
}

static void begin_element(const struct dump *dump, const char *type)
{
    char url[128];
    if (!*dump->is_open) {
        hbk_json_begin_array(dump->json, dump->field);
        *dump->is_open = true;
    }
    hbk_json_begin_object(dump->json, NULL);
    if (dump->is_resource) {
        (void)snprintf(url, sizeof url, "type.googleapis.com/envoy.admin.v3.%s", type);
        hbk_json_text(dump->json, "@type", url);
    }
}

/* `{KEY: the message, "last_updated": ...}` as far as the mask wants it. */
static void write_element(const struct dump *dump, const char *type, const char *key,
                          enum hbk_bootstrap_part part, const void *message)
{
    struct hbk_field_mask below;
    begin_element(dump, type);
    if (hbk_field_mask_enter(&dump->mask, hbk_slice_text(key), &below)) {
        hbk_bootstrap_dump(dump->json, key, part, message, &below);
    }
    if (hbk_field_mask_enter(&dump->mask, HBK_SLICE("last_updated"), &below)) {
        hbk_json_text(dump->json, "last_updated", dump->loaded);
    }
    hbk_json_end_object(dump->json);
}

static const struct hbk_gw_static_resources *resources_of(const struct dump *dump)
{
    return dump->control->plan->config->bootstrap->static_resources;
}

static void write_clusters(const struct dump *dump)
{
    const struct hbk_gw_static_resources *all = resources_of(dump);
    for (uint32_t i = 0; i < all->clusters_count; i++) {
        if (is_named(dump, all->clusters[i].name)) {
            write_element(dump, "ClustersConfigDump.StaticCluster", "cluster",
                          HBK_BOOTSTRAP_PART_CLUSTER, &all->clusters[i]);
        }
    }
}

static void write_listeners(const struct dump *dump)
{
    const struct hbk_gw_static_resources *all = resources_of(dump);
    for (uint32_t i = 0; i < all->listeners_count; i++) {
        if (is_named(dump, all->listeners[i].name)) {
            write_element(dump, "ListenersConfigDump.StaticListener", "listener",
                          HBK_BOOTSTRAP_PART_LISTENER, &all->listeners[i]);
        }
    }
}

static void write_routes(const struct dump *dump)
{
    for (uint32_t i = 0; i < dump->control->plan->handler_count; i++) {
        const struct hbk_gw_handler *handler = &dump->control->plan->handlers[i];
        if (handler->http != NULL && is_named(dump, handler->http->route_config->name)) {
            write_element(dump, "RoutesConfigDump.StaticRouteConfig", "route_config",
                          HBK_BOOTSTRAP_PART_ROUTES, handler->http->route_config);
        }
    }
}

static void write_secrets(const struct dump *dump)
{
    const struct hbk_gw_static_resources *all = resources_of(dump);
    struct hbk_field_mask below;
    for (uint32_t i = 0; i < all->secrets_count; i++) {
        const struct hbk_gw_secret *secret = &all->secrets[i];
        if (!is_named(dump, secret->name)) {
            continue;
        }
        begin_element(dump, "SecretsConfigDump.StaticSecret");
        if (hbk_field_mask_enter(&dump->mask, HBK_SLICE("name"), &below)) {
            hbk_json_string(dump->json, "name", secret->name);
        }
        if (hbk_field_mask_enter(&dump->mask, HBK_SLICE("secret"), &below)) {
            hbk_bootstrap_dump(dump->json, "secret", HBK_BOOTSTRAP_PART_SECRET, secret, &below);
        }
        hbk_json_end_object(dump->json);
    }
}

/* Several contexts may have fetched one secret. */
static bool was_written(const struct hbk_gw_vault *vault, size_t inventory, size_t secret)
{
    const char *name = vault->inventories[inventory]->secrets[secret].name;
    for (size_t i = 0; i <= inventory; i++) {
        const struct hbk_gw_inventory *before = vault->inventories[i];
        const size_t count = i == inventory ? secret : before->secret_count;
        for (size_t k = 0; k < count; k++) {
            if (strcmp(before->secrets[k].name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void write_file_secret(const struct dump *dump, const struct hbk_gw_inventory *inventory,
                              const struct hbk_gw_held_secret *secret)
{
    char taken[TIME_BYTES_MAX];
    struct hbk_field_mask below;
    time_text(taken, inventory->taken_ns, true);
    begin_element(dump, "SecretsConfigDump.DynamicSecret");
    if (hbk_field_mask_enter(&dump->mask, HBK_SLICE("name"), &below)) {
        hbk_json_text(dump->json, "name", secret->name);
    }
    if (hbk_field_mask_enter(&dump->mask, HBK_SLICE("last_updated"), &below)) {
        hbk_json_text(dump->json, "last_updated", taken);
    }
    if (hbk_field_mask_enter(&dump->mask, HBK_SLICE("secret"), &below)) {
        hbk_json_raw(dump->json, "secret", hbk_slice_text(secret->json));
    }
    hbk_json_end_object(dump->json);
}

static void write_file_secrets(const struct dump *dump)
{
    const struct hbk_gw_vault *vault = &dump->control->plan->vault;
    for (size_t i = 0; i < vault->inventory_count; i++) {
        const struct hbk_gw_inventory *inventory = vault->inventories[i];
        for (size_t k = 0; k < inventory->secret_count; k++) {
            const struct hbk_gw_held_secret *secret = &inventory->secrets[k];
            if (is_named(dump, hbk_slice_text(secret->name)) && !was_written(vault, i, k)) {
                write_file_secret(dump, inventory, secret);
            }
        }
    }
}

/* In Envoy's order; lists of one part stand together. */
static const struct list lists[] = {
    {"ClustersConfigDump", "static_clusters", "cluster", write_clusters},
    {"ClustersConfigDump", "dynamic_active_clusters", "cluster", NULL},
    {"ClustersConfigDump", "dynamic_warming_clusters", "cluster", NULL},
    {"ListenersConfigDump", "static_listeners", "listener", write_listeners},
    {"ListenersConfigDump", "dynamic_listeners", "name", NULL},
    {"ScopedRoutesConfigDump", "inline_scoped_route_configs", "name", NULL},
    {"ScopedRoutesConfigDump", "dynamic_scoped_route_configs", "name", NULL},
    {"RoutesConfigDump", "static_route_configs", "route_config", write_routes},
    {"RoutesConfigDump", "dynamic_route_configs", "route_config", NULL},
    {"SecretsConfigDump", "static_secrets", "secret", write_secrets},
    {"SecretsConfigDump", "dynamic_active_secrets", "secret", write_file_secrets},
    {"SecretsConfigDump", "dynamic_warming_secrets", "secret", NULL},
};

static void begin_part(const struct dump *dump, const char *part)
{
    char url[128];
    (void)snprintf(url, sizeof url, "type.googleapis.com/envoy.admin.v3.%s", part);
    hbk_json_begin_object(dump->json, NULL);
    hbk_json_text(dump->json, "@type", url);
}

static void write_bootstrap(const struct dump *dump)
{
    struct hbk_field_mask below, unused;
    if (!hbk_field_mask_enter(&dump->mask, HBK_SLICE("bootstrap"), &below)) {
        return;
    }
    begin_part(dump, "BootstrapConfigDump");
    hbk_bootstrap_dump(dump->json, "bootstrap", HBK_BOOTSTRAP_PART_BOOTSTRAP,
                       dump->control->plan->config->bootstrap, &below);
    if (hbk_field_mask_enter(&dump->mask, HBK_SLICE("last_updated"), &unused)) {
        hbk_json_text(dump->json, "last_updated", dump->loaded);
    }
    hbk_json_end_object(dump->json);
}

/* Whether the mask wants anything of a part. */
static bool wants_part(const struct dump *dump, const char *part)
{
    struct hbk_field_mask below;
    bool is_wanted = !dump->mask.is_set;
    for (size_t i = 0; i < HBK_COUNT(lists); i++) {
        is_wanted |= strcmp(lists[i].part, part) == 0 &&
                     hbk_field_mask_enter(&dump->mask, hbk_slice_text(lists[i].field), &below);
    }
    return is_wanted;
}

/* Nothing, if the list is empty. */
static void write_list(const struct dump *dump, const struct list *list)
{
    struct dump inner = *dump;
    bool is_open = false;
    if (list->write == NULL ||
        !hbk_field_mask_enter(&dump->mask, hbk_slice_text(list->field), &inner.mask)) {
        return;
    }
    inner.field = list->field;
    inner.is_open = &is_open;
    list->write(&inner);
    if (is_open) {
        hbk_json_end_array(dump->json);
    }
}

static void write_parts(const struct dump *dump)
{
    const char *open = NULL;
    write_bootstrap(dump);
    for (size_t i = 0; i < HBK_COUNT(lists); i++) {
        const struct list *list = &lists[i];
        if (!wants_part(dump, list->part)) {
            continue;
        }
        if (open == NULL || strcmp(open, list->part) != 0) {
            if (open != NULL) {
                hbk_json_end_object(dump->json);
            }
            open = list->part;
            begin_part(dump, open);
        }
        write_list(dump, list);
    }
    if (open != NULL) {
        hbk_json_end_object(dump->json);
    }
}

/* ---- /config_dump ---- */

static const struct list *find_list(struct hbk_slice field)
{
    for (size_t i = 0; i < HBK_COUNT(lists); i++) {
        if (hbk_slice_equal(field, hbk_slice_text(lists[i].field))) {
            return &lists[i];
        }
    }
    return NULL;
}

/* The first names of a mask must be of some part, or of the elements of the resource. */
static bool is_applicable(const struct hbk_field_mask *mask, const struct list *resource)
{
    static const struct list none = {.element = ""};
    const char *element = (resource == NULL ? &none : resource)->element;
    for (uint8_t i = 0; i < mask->count; i++) {
        size_t end = mask->paths[i].size;
        (void)hbk_slice_find(mask->paths[i], '.', &end);
        struct hbk_slice first = hbk_slice_part(mask->paths[i], 0, end);
        bool is_known = resource != NULL ? hbk_slice_equal(first, hbk_slice_text(element)) ||
                                               hbk_slice_equal(first, HBK_SLICE("name"))
                                         : hbk_slice_equal(first, HBK_SLICE("bootstrap")) ||
                                               find_list(first) != NULL;
        if (!is_known && !hbk_slice_equal(first, HBK_SLICE("last_updated"))) {
            return false;
        }
    }
    return true;
}

/* False, and a reply, for a question that has no answer. */
static bool read_mask(struct hbk_admin_exchange *exchange, struct hbk_slice query,
                      struct hbk_span room, const struct list *resource,
                      struct hbk_field_mask *mask)
{
    struct hbk_slice text;
    if (!hbk_gw_admin_find(query, "mask", room, &text)) {
        return true;
    }
    hbk_status status = hbk_field_mask_parse(text, mask);
    if (status != HBK_OK) {
        hbk_admin_reply_print(exchange, 400,
                              "mask \"%.*s\": allowed are up to %d paths of names with dots, "
                              "joined by commas\n",
                              HBK_SLICE_ARGS(text), HBK_FIELD_MASK_PATHS_MAX);
        return false;
    }
    struct hbk_field_mask below;
    const bool is_file_secret = resource != NULL && resource->write == write_file_secrets;
    if (is_file_secret && hbk_field_mask_enter(mask, HBK_SLICE("secret"), &below) && below.is_set) {
        hbk_admin_reply_print(exchange, 400,
                              "a mask inside of dynamic_active_secrets is not supported yet\n");
        return false;
    }
    if (!is_applicable(mask, resource)) {
        hbk_admin_reply_print(exchange, 400,
                              "FieldMask %.*s could not be successfully applied to any configs.\n",
                              HBK_SLICE_ARGS(text));
        return false;
    }
    return true;
}

static bool read_resource(struct hbk_admin_exchange *exchange, struct hbk_slice query,
                          struct hbk_span room, const struct list **out_list)
{
    struct hbk_slice name;
    *out_list = NULL;
    if (!hbk_gw_admin_find(query, "resource", room, &name)) {
        return true;
    }
    *out_list = find_list(name);
    if (*out_list != NULL) {
        return true;
    }
    if (hbk_slice_equal(name, HBK_SLICE("bootstrap"))) {
        hbk_admin_reply_print(exchange, 400,
                              "bootstrap is not a repeated field. Use ?mask=bootstrap to get only "
                              "this field\n");
    } else {
        hbk_admin_reply_print(exchange, 404, "%.*s not found in config dump\n",
                              HBK_SLICE_ARGS(name));
    }
    return false;
}

void hbk_gw_admin_on_config_dump(struct hbk_admin_exchange *exchange,
                                 const struct hbk_admin_request *request, void *context)
{
    uint8_t names[HBK_GW_ADMIN_VALUE_BYTES_MAX], paths[HBK_GW_ADMIN_VALUE_BYTES_MAX];
    uint8_t resources[HBK_GW_ADMIN_VALUE_BYTES_MAX];
    bool is_open = true;
    struct dump dump = {.control = context, .is_open = &is_open};
    const struct list *list = NULL;
    struct hbk_buffer body;
    if (!read_resource(exchange, request->query, hbk_span_of(resources, sizeof resources), &list) ||
        !read_mask(exchange, request->query, hbk_span_of(paths, sizeof paths), list, &dump.mask) ||
        !hbk_gw_admin_find_pattern(exchange, request->query, "name_regex",
                                   hbk_span_of(names, sizeof names), &dump.name_regex)) {
        return;
    }
    time_text(dump.loaded, dump.control->start_time_ns, true);
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&body, true);
    dump.json = &json;
    dump.is_resource = list != NULL;
    hbk_json_begin_object(&json, NULL);
    hbk_json_begin_array(&json, "configs");
    if (list == NULL) {
        write_parts(&dump);
    } else if (list->write != NULL) {
        list->write(&dump);
    }
    hbk_json_end_array(&json);
    hbk_json_end_object(&json);
    hbk_gw_admin_reply(exchange, hbk_gw_admin_json, json.status, &body);
}

/* ---- /certs ---- */

static void write_ip(struct hbk_json *json, const ASN1_OCTET_STRING *octets)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_ip ip;
    const int size = ASN1_STRING_length(octets);
    if (hbk_ip_from_bytes(hbk_slice_of(ASN1_STRING_get0_data(octets), (size_t)size), &ip)) {
        hbk_json_text(json, "ip_address", hbk_ip_text(&ip, text));
    }
}

/* As Envoy lists them: names of hosts, then URIs, then addresses. */
static void write_names(struct hbk_json *json, const X509 *certificate)
{
    static const int types[] = {GEN_DNS, GEN_URI, GEN_IPADD};
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    hbk_json_begin_array(json, "subject_alt_names");
    for (size_t k = 0; k < HBK_COUNT(types); k++) {
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
            if (name->type != types[k]) {
                continue;
            }
            hbk_json_begin_object(json, NULL);
            if (name->type == GEN_IPADD) {
                write_ip(json, name->d.iPAddress);
            } else {
                const ASN1_IA5STRING *text = name->d.ia5;
                hbk_json_string(
                    json, name->type == GEN_DNS ? "dns" : "uri",
                    hbk_slice_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)));
            }
            hbk_json_end_object(json);
        }
    }
    hbk_json_end_array(json);
    GENERAL_NAMES_free(names);
}

static void write_certificate(struct hbk_json *json, const X509 *certificate, const char *path)
{
    char serial[HBK_SERIAL_TEXT_BYTES_MAX], text[TIME_BYTES_MAX];
    int64_t from_ns = 0, until_ns = 0;
    hbk_certificate_serial(certificate, serial);
    hbk_json_begin_object(json, NULL);
    hbk_json_text(json, "path", path);
    hbk_json_text(json, "serial_number", serial);
    write_names(json, certificate);
    if (hbk_certificate_validity(certificate, &from_ns, &until_ns)) {
        const int64_t second_ns = (int64_t)HBK_NS_PER_S;
        const int64_t left_s = until_ns / second_ns - hbk_clock_realtime_ns() / second_ns;
        (void)snprintf(text, sizeof text, "%lld",
                       (long long)(left_s < 0 ? 0 : left_s / SECONDS_PER_DAY));
        hbk_json_text(json, "days_until_expiration", text);
        time_text(text, from_ns, false);
        hbk_json_text(json, "valid_from", text);
        time_text(text, until_ns, false);
        hbk_json_text(json, "expiration_time", text);
    }
    hbk_json_end_object(json);
}

/* Chains are held as DER, and read when somebody looks. */
static void write_chain(struct hbk_json *json, const struct hbk_tls_certificate *presented,
                        const char *path)
{
    size_t count = 0;
    const struct hbk_slice *chain = hbk_tls_certificate_chain(presented, &count);
    for (size_t i = 0; i < count; i++) {
        const unsigned char *at = chain[i].bytes;
        X509 *certificate = d2i_X509(NULL, &at, (long)chain[i].size);
        if (certificate != NULL) {
            write_certificate(json, certificate, path);
        }
        X509_free(certificate);
    }
}

static void write_inventory(struct hbk_json *json, const struct hbk_gw_inventory *inventory)
{
    hbk_json_begin_object(json, NULL);
    for (int pass = 0; pass < 2; pass++) {
        const char *path = "";
        hbk_json_begin_array(json, pass == 0 ? "ca_cert" : "cert_chain");
        for (size_t i = 0; i < inventory->certificate_count; i++) {
            const struct hbk_gw_held_certificate *held = &inventory->certificates[i];
            path = held->path != NULL ? held->path : path;
            if (held->authority != NULL && pass == 0) {
                write_certificate(json, held->authority, path);
            } else if (held->presented != NULL && pass == 1) {
                write_chain(json, held->presented, path);
            }
        }
        hbk_json_end_array(json);
    }
    hbk_json_end_object(json);
}

void hbk_gw_admin_on_certs(struct hbk_admin_exchange *exchange,
                           const struct hbk_admin_request *request, void *context)
{
    const struct hbk_gw_control *control = context;
    const struct hbk_gw_vault *vault = &control->plan->vault;
    struct hbk_buffer body;
    (void)request;
    hbk_buffer_init(&body, HBK_GW_ADMIN_BODY_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&body, true);
    hbk_json_begin_object(&json, NULL);
    hbk_json_begin_array(&json, "certificates");
    for (size_t i = 0; i < vault->inventory_count; i++) {
        write_inventory(&json, vault->inventories[i]);
    }
    hbk_json_end_array(&json);
    hbk_json_end_object(&json);
    hbk_certificate_clear_errors();
    hbk_gw_admin_reply(exchange, hbk_gw_admin_json, json.status, &body);
}
