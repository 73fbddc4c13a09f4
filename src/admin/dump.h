/*
 * The text of GET /config_dump (ambient.md 5.3): everything that this agent believes, as JSON with
 * the keys that istioctl reads. The owner collects the parts, some of them from its workers, and
 * writes them at once; nothing here waits. Private keys are in none of the parts.
 */
#pragma once

#include "base/json.h"
#include "model/mesh.h"
#include "telemetry/connection.h"

/* A value of the effective configuration. */
struct hbk_dump_setting {
    const char *name; /* camelCase */
    struct hbk_slice value;
};

struct hbk_dump_certificate {
    struct hbk_slice pem;
    struct hbk_slice serial_number;
    int64_t valid_from_ns; /* since 1970 */
    int64_t expiration_ns;
};

/* The certificates of one identity. */
struct hbk_dump_identity {
    struct hbk_slice identity; /* spiffe://... */
    struct hbk_slice state;    /* "Available", "Initializing", "Unavailable: why" */
    const char *tls_engine;    /* that its new connections speak with; NULL: there are none yet */
    const struct hbk_dump_certificate *chain;
    size_t chain_count;
    const struct hbk_dump_certificate *roots;
    size_t root_count;
};

/* A pod that this agent serves. */
struct hbk_dump_pod {
    struct hbk_slice uid;
    bool is_up; /* else pending */
    struct hbk_slice name;
    struct hbk_slice namespace;
    struct hbk_slice service_account;
};

/* All of it, borrowed during the call. */
struct hbk_dump {
    const struct hbk_mesh *mesh;  /* NULL: none yet */
    struct hbk_slice static_file; /* the path of the mesh file; empty: there is none */
    const struct hbk_dump_setting *settings;
    size_t setting_count;
    const struct hbk_dump_identity *identities;
    size_t identity_count;
    const struct hbk_dump_pod *pods;
    size_t pod_count;
    struct hbk_slice connections; /* of all workers: telemetry/connection.h */
    struct hbk_slice crypto_provider;
};

/* Appends the whole dump. Control thread only. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_dump_write(const struct hbk_dump *dump, struct hbk_buffer *out);

/* The parts that come from the model: members of the object that is open. */
void hbk_dump_workloads(struct hbk_json *json, const struct hbk_mesh *mesh);
void hbk_dump_services(struct hbk_json *json, const struct hbk_mesh *mesh);
void hbk_dump_policies(struct hbk_json *json, const struct hbk_mesh *mesh);
void hbk_dump_staged_services(struct hbk_json *json, const struct hbk_mesh *mesh);
