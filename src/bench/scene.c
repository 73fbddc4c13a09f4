#include "bench/scene.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "os/redirect.h"

static const uint64_t start_timeout_ns = 20 * HBK_NS_PER_S;
static const uint64_t ask_timeout_ns = 2 * HBK_NS_PER_S;

static const enum hbk_place hosts[] = {HBK_PLACE_ALPHA, HBK_PLACE_BETA};

static hbk_status write_workload(struct hbk_buffer *text, const struct hbk_topology *topology,
                                 enum hbk_place place, const char *service)
{
    char ipv4[HBK_ADDRESS_TEXT_BYTES_MAX], ipv6[HBK_ADDRESS_TEXT_BYTES_MAX], services[80] = "{}";
    const struct hbk_topology_place *pod = &topology->places[place];
    if (service != NULL) {
        (void)snprintf(services, sizeof services, "{\"shop/%s.shop.svc.cluster.local\": {80: %d}}",
                       service, HBK_SCENE_PORT);
    }
    return hbk_buffer_print(text,
                            "- uid: demo//Pod/shop/%s\n"
                            "  name: %s\n"
                            "  namespace: shop\n"
                            "  serviceAccount: %s\n"
                            "  trustDomain: cluster.local\n"
                            "  workloadIps: [\"%s\", \"%s\"]\n"
                            "  protocol: HBONE\n"
                            "  node: %s\n"
                            "  services: %s\n",
                            pod->name, pod->name, pod->name, hbk_ip_text(&pod->ipv4, ipv4),
                            hbk_ip_text(&pod->ipv6, ipv6), topology->places[pod->host].name,
                            services);
}

static hbk_status write_workloads(struct hbk_buffer *text, const struct hbk_topology *topology,
                                  unsigned pairs)
{
    for (enum hbk_place place = HBK_PLACE_FRONT; place < HBK_PLACES_OF_MESH; place++) {
        bool is_service = place == HBK_PLACE_CART || place == HBK_PLACE_NEIGHBOUR;
        HBK_TRY(write_workload(text, topology, place,
                               is_service ? topology->places[place].name : NULL));
    }
    for (unsigned pair = 0; pair < pairs; pair++) {
        enum hbk_place server = hbk_place_server(pair);
        HBK_TRY(write_workload(text, topology, hbk_place_client(pair), NULL));
        HBK_TRY(write_workload(text, topology, server, topology->places[server].name));
    }
    return HBK_OK;
}

const char *hbk_scene_vip_of_pair(unsigned pair, char out_text[static HBK_SCENE_VIP_BYTES_MAX])
{
    (void)snprintf(out_text, HBK_SCENE_VIP_BYTES_MAX, "10.96.5.%u", pair + 1);
    return out_text;
}

static hbk_status write_service(struct hbk_buffer *text, const char *name, const char *vip)
{
    return hbk_buffer_print(text,
                            "- name: %s\n"
                            "  namespace: shop\n"
                            "  hostname: %s.shop.svc.cluster.local\n"
                            "  vips: [/%s]\n"
                            "  ports: {80: %d}\n",
                            name, name, vip, HBK_SCENE_PORT);
}

static hbk_status write_services(struct hbk_buffer *text, const struct hbk_topology *topology,
                                 unsigned pairs)
{
    HBK_TRY(hbk_buffer_print(text, "\nservices:\n"));
    HBK_TRY(write_service(text, "cart", HBK_SCENE_VIP));
    HBK_TRY(write_service(text, "neighbour", HBK_SCENE_VIP_NEIGHBOUR));
    for (unsigned pair = 0; pair < pairs; pair++) {
        char vip[HBK_SCENE_VIP_BYTES_MAX];
        HBK_TRY(write_service(text, topology->places[hbk_place_server(pair)].name,
                              hbk_scene_vip_of_pair(pair, vip)));
    }
    return HBK_OK;
}

static const char policies[] = "\n"
                               "# Whoever is not listed here is refused.\n"
                               "policies:\n"
                               "- name: " HBK_SCENE_POLICY "\n"
                               "  namespace: shop\n"
                               "  scope: Namespace\n"
                               "  action: Deny\n"
                               "  dryRun: false\n"
                               "  rules:\n"
                               "  - - - notPrincipals:\n"
                               "        - {Exact: cluster.local/ns/shop/sa/front}\n"
                               "        - {Exact: cluster.local/ns/shop/sa/neighbour}\n";

static hbk_status write_policies(struct hbk_buffer *text, unsigned pairs)
{
    HBK_TRY(hbk_buffer_append(text, hbk_slice_text(policies)));
    return pairs == 0
               ? HBK_OK
               : hbk_buffer_print(text, "        - {Prefix: cluster.local/ns/shop/sa/client-}\n");
}

static hbk_status write_mode(struct hbk_buffer *text, bool is_plain)
{
    return hbk_buffer_print(text,
                            "\n"
                            "# %s\n"
                            "peerAuthentications:\n"
                            "- name: default\n"
                            "  namespace: shop\n"
                            "  mode: %s\n",
                            is_plain ? "Nobody is dialled over HBONE." : "No plain text gets in.",
                            is_plain ? "DISABLE" : "STRICT");
}

static hbk_status write_pod(struct hbk_buffer *text, const struct hbk_topology_place *pod)
{
    return hbk_buffer_print(text, "  demo//Pod/shop/%s: {netns: %s}\n", pod->name, pod->path);
}

hbk_status hbk_scene_render_mesh(const struct hbk_topology *topology,
                                 const struct hbk_scene_mesh *mesh, struct hbk_buffer *out_text)
{
    const char *engine = mesh->engine;
    HBK_TRY(hbk_buffer_print(out_text,
                             "# One file for all hosts; `hauberk node` watches it.\n%s%s%s"
                             "workloads:\n",
                             engine == NULL ? "" : "tlsEngine: ", engine == NULL ? "" : engine,
                             engine == NULL ? "" : "\n"));
    HBK_TRY(write_workloads(out_text, topology, mesh->pairs));
    HBK_TRY(write_services(out_text, topology, mesh->pairs));
    if (!mesh->is_plain) {
        HBK_TRY(write_policies(out_text, mesh->pairs));
    }
    HBK_TRY(write_mode(out_text, mesh->is_plain));
    HBK_TRY(hbk_buffer_print(out_text, "\npods:\n"));
    for (enum hbk_place place = HBK_PLACE_FRONT; place < HBK_PLACES_OF_MESH; place++) {
        HBK_TRY(write_pod(out_text, &topology->places[place]));
    }
    for (unsigned pair = 0; pair < mesh->pairs; pair++) {
        HBK_TRY(write_pod(out_text, &topology->places[hbk_place_client(pair)]));
        HBK_TRY(write_pod(out_text, &topology->places[hbk_place_server(pair)]));
    }
    return HBK_OK;
}

static hbk_status write_mesh(struct hbk_scene *scene, const struct hbk_scene_mesh *mesh,
                             struct hbk_error *error)
{
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_SCENE_MESH_BYTES_MAX);
    hbk_status status = hbk_scene_render_mesh(&scene->topology, mesh, &text);
    if (status == HBK_OK) {
        status = hbk_file_write(scene->mesh_path, hbk_buffer_slice(&text), 0644);
    }
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot write %s: %s", scene->mesh_path,
                             hbk_status_text(status));
    }
    scene->mesh = *mesh;
    return HBK_OK;
}

hbk_status hbk_scene_set_engine(struct hbk_scene *scene, const char *engine,
                                struct hbk_error *error)
{
    struct hbk_scene_mesh mesh = scene->mesh;
    mesh.engine = engine;
    return write_mesh(scene, &mesh, error);
}

hbk_status hbk_scene_set_plain(struct hbk_scene *scene, bool is_plain, struct hbk_error *error)
{
    struct hbk_scene_mesh mesh = scene->mesh;
    mesh.is_plain = is_plain;
    return is_plain == scene->mesh.is_plain ? HBK_OK : write_mesh(scene, &mesh, error);
}

hbk_status hbk_scene_set_pairs(struct hbk_scene *scene, unsigned pairs, struct hbk_error *error)
{
    struct hbk_scene_mesh mesh = scene->mesh;
    mesh.pairs = pairs;
    HBK_TRY(hbk_topology_add_pairs(&scene->topology, pairs, error));
    return write_mesh(scene, &mesh, error);
}

hbk_status hbk_scene_run(struct hbk_scene *scene, const char *name, const char *const *arguments,
                         struct hbk_error *error)
{
    struct hbk_program program = hbk_program_none();
    struct hbk_program_spec spec = {
        .name = name,
        .place = HBK_PLACE_ALPHA,
        .cpu = -1,
        .arguments = arguments,
    };
    HBK_TRY(hbk_program_start(&scene->topology, &spec, &program, error));
    hbk_status status = hbk_program_finish(&program, start_timeout_ns, error);
    hbk_program_stop(&program);
    return status;
}

hbk_status hbk_scene_init(struct hbk_scene *scene, unsigned places, struct hbk_error *error)
{
    *scene = (struct hbk_scene){.agents = {hbk_program_none(), hbk_program_none()}};
    HBK_TRY(hbk_topology_build(&scene->topology, places, error));
    (void)snprintf(scene->mesh_path, sizeof scene->mesh_path, "%s/mesh.yaml",
                   scene->topology.directory);
    (void)snprintf(scene->ca_path, sizeof scene->ca_path, "%s/ca", scene->topology.directory);
    return hbk_scene_set_engine(scene, NULL, error);
}

hbk_status hbk_scene_make_authority(struct hbk_scene *scene, struct hbk_error *error)
{
    const char *const arguments[] = {"ca", "init", scene->ca_path, NULL};
    if (!scene->has_authority) {
        HBK_TRY(hbk_scene_run(scene, "ca", arguments, error));
        scene->has_authority = true;
    }
    return HBK_OK;
}

void hbk_scene_fini(struct hbk_scene *scene)
{
    for (size_t i = 0; i < HBK_COUNT(scene->agents); i++) {
        hbk_program_stop(&scene->agents[i]);
    }
    hbk_topology_fini(&scene->topology);
}

static hbk_status start_agent(struct hbk_scene *scene, enum hbk_place host,
                              const struct hbk_scene_agents *options, struct hbk_error *error)
{
    char workers[16];
    (void)snprintf(workers, sizeof workers, "%u", options->workers);
    const char *const fixed[] = {
        "node",      "--mesh", scene->mesh_path, "--node",      scene->topology.places[host].name,
        "--workers", workers,  "--ca",           scene->ca_path};
    const char *const optional[][2] = {{"--cert-ttl", options->certificate_ttl},
                                       {"--gather", options->gather}};
    const char *arguments[1 + HBK_COUNT(fixed) + 2 * HBK_COUNT(optional) + 1] = {options->binary};
    size_t count = options->binary == NULL ? 0 : 1;
    for (size_t i = 0; i < HBK_COUNT(fixed); i++) {
        arguments[count++] = fixed[i];
    }
    for (size_t i = 0; i < HBK_COUNT(optional); i++) {
        if (optional[i][1] != NULL) {
            arguments[count++] = optional[i][0];
            arguments[count++] = optional[i][1];
        }
    }
    arguments[count] = NULL;
    char name[32];
    (void)snprintf(name, sizeof name, "agent-%s", scene->topology.places[host].name);
    struct hbk_program_spec spec = {
        .name = name,
        .place = host,
        .cpu = options->cpu,
        .arguments = arguments,
        .is_foreign = options->binary != NULL,
    };
    return hbk_program_start(&scene->topology, &spec, &scene->agents[host], error);
}

static bool is_ready(const struct hbk_scene *scene, enum hbk_place host)
{
    struct hbk_arena arena;
    struct hbk_reply reply = {0};
    struct hbk_request request = {
        .netns_fd = scene->topology.places[host].netns_fd,
        .to = {.ip = {.size = 4, .bytes = {127, 0, 0, 1}}, .port = HBK_SCENE_READY_PORT},
        .path = "/healthz/ready",
        .timeout_ns = ask_timeout_ns,
    };
    hbk_arena_init(&arena);
    bool is = hbk_request_send(&request, &arena, &reply) == HBK_OK && reply.status == 200;
    hbk_arena_fini(&arena);
    return is;
}

static hbk_status wait_ready(const struct hbk_scene *scene, enum hbk_place host,
                             struct hbk_error *error)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + start_timeout_ns;
    while (!is_ready(scene, host)) {
        if (hbk_clock_monotonic_ns() > end_ns ||
            !hbk_process_is_running(&scene->agents[host].process)) {
            return hbk_program_fail(&scene->agents[host], HBK_TIMEOUT, "an agent did not get ready",
                                    error);
        }
        hbk_program_pause(20 * HBK_NS_PER_MS);
    }
    return HBK_OK;
}

hbk_status hbk_scene_start_agents(struct hbk_scene *scene, const struct hbk_scene_agents *options,
                                  struct hbk_error *error)
{
    HBK_TRY(hbk_scene_make_authority(scene, error));
    for (size_t i = 0; i < HBK_COUNT(hosts); i++) {
        HBK_TRY(start_agent(scene, hosts[i], options, error));
    }
    for (size_t i = 0; i < HBK_COUNT(hosts); i++) {
        HBK_TRY(wait_ready(scene, hosts[i], error));
    }
    return HBK_OK;
}

hbk_status hbk_scene_stop_agents(struct hbk_scene *scene, struct hbk_error *error)
{
    for (size_t i = 0; i < HBK_COUNT(hosts); i++) {
        hbk_program_stop(&scene->agents[hosts[i]]);
    }
    for (enum hbk_place place = HBK_PLACE_FRONT; place < HBK_PLACES_OF_MESH; place++) {
        HBK_TRY(hbk_redirect_remove(scene->topology.places[place].netns_fd, error));
    }
    for (unsigned i = HBK_PLACES; i < HBK_PLACES + 2 * scene->mesh.pairs; i++) {
        HBK_TRY(hbk_redirect_remove(scene->topology.places[i].netns_fd, error));
    }
    return HBK_OK;
}
