#include "admin/dump.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

static void put_time(struct hbk_json *json, const char *key, int64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / (int64_t)HBK_NS_PER_S);
    struct tm utc;
    char text[40];
    if (gmtime_r(&seconds, &utc) != NULL &&
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0) {
        hbk_json_text(json, key, text);
    }
}

/* istioctl expects the PEM text in base64 once more. */
static void put_base64(struct hbk_json *json, const char *key, struct hbk_slice bytes)
{
    if (bytes.size == 0 || bytes.size > INT_MAX / 2) {
        hbk_json_text(json, key, "");
        return;
    }
    char *text = malloc((bytes.size + 2) / 3 * 4 + 1);
    if (text == NULL) {
        json->status = HBK_NO_MEMORY;
        return;
    }
    int size = EVP_EncodeBlock((unsigned char *)text, bytes.bytes, (int)bytes.size);
    hbk_json_string(json, key, hbk_slice_of(text, (size_t)size));
    free(text);
}

static void put_certificates(struct hbk_json *json, const char *key,
                             const struct hbk_dump_certificate *certificates, size_t count)
{
    hbk_json_begin_array(json, key);
    for (size_t i = 0; i < count; i++) {
        hbk_json_begin_object(json, NULL);
        put_base64(json, "pem", certificates[i].pem);
        hbk_json_string(json, "serialNumber", certificates[i].serial_number);
        put_time(json, "validFrom", certificates[i].valid_from_ns);
        put_time(json, "expirationTime", certificates[i].expiration_ns);
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void put_identities(struct hbk_json *json, const struct hbk_dump *dump)
{
    hbk_json_begin_array(json, "certificates");
    for (size_t i = 0; i < dump->identity_count; i++) {
        const struct hbk_dump_identity *identity = &dump->identities[i];
        hbk_json_begin_object(json, NULL);
        hbk_json_string(json, "identity", identity->identity);
        hbk_json_string(json, "state", identity->state);
        if (identity->tls_engine != NULL) {
            hbk_json_text(json, "tlsEngine", identity->tls_engine);
        }
        put_certificates(json, "certChain", identity->chain, identity->chain_count);
        put_certificates(json, "rootCerts", identity->roots, identity->root_count);
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void put_address(struct hbk_json *json, const char *key, const struct hbk_address *address)
{
    if (address->ip.size > 0) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        hbk_json_text(json, key, hbk_address_text(address, text));
    }
}

/* The connections of one pod in one direction. */
static void put_connections(struct hbk_json *json, struct hbk_slice entries, struct hbk_slice uid,
                            bool is_inbound)
{
    hbk_json_begin_array(json, is_inbound ? "inbound" : "outbound");
    struct hbk_connection_entry entry;
    while (hbk_connection_entry_next(&entries, &entry)) {
        if (entry.is_inbound != is_inbound || !hbk_slice_equal(entry.workload_uid, uid)) {
            continue;
        }
        hbk_json_begin_object(json, NULL);
        put_address(json, "src", &entry.source);
        put_address(json, "originalDst", &entry.original_destination);
        put_address(json, "actualDst", &entry.actual_destination);
        hbk_json_text(json, "protocol", entry.protocol == HBK_CONNECTION_HBONE ? "HBONE" : "TCP");
        if (entry.tls_engine != NULL) {
            hbk_json_text(json, "tlsEngine", entry.tls_engine);
        }
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void put_pods(struct hbk_json *json, const struct hbk_dump *dump)
{
    hbk_json_begin_object(json, "workloadState");
    for (size_t i = 0; i < dump->pod_count; i++) {
        const struct hbk_dump_pod *pod = &dump->pods[i];
        hbk_json_key(json, pod->uid);
        hbk_json_begin_object(json, NULL);
        hbk_json_text(json, "state", pod->is_up ? "Up" : "Pending");
        hbk_json_begin_object(json, "connections");
        put_connections(json, dump->connections, pod->uid, true);
        put_connections(json, dump->connections, pod->uid, false);
        hbk_json_end_object(json);
        hbk_json_begin_object(json, "info");
        hbk_json_string(json, "name", pod->name);
        hbk_json_string(json, "namespace", pod->namespace);
        hbk_json_string(json, "serviceAccount", pod->service_account);
        hbk_json_end_object(json);
        hbk_json_end_object(json);
    }
    hbk_json_end_object(json);
}

static void put_version(struct hbk_json *json, const struct hbk_dump *dump)
{
    hbk_json_begin_object(json, "version");
    hbk_json_text(json, "version", HBK_VERSION);
    hbk_json_text(json, "compiler", __VERSION__);
    hbk_json_string(json, "cryptoProvider", dump->crypto_provider);
    hbk_json_end_object(json);
}

static void put_configuration(struct hbk_json *json, const struct hbk_dump *dump)
{
    hbk_json_begin_object(json, "staticConfig");
    if (dump->static_file.size > 0) {
        hbk_json_string(json, "file", dump->static_file);
    }
    hbk_json_end_object(json);
    put_version(json, dump);
    hbk_json_begin_object(json, "config");
    for (size_t i = 0; i < dump->setting_count; i++) {
        hbk_json_string(json, dump->settings[i].name, dump->settings[i].value);
    }
    hbk_json_end_object(json);
}

hbk_status hbk_dump_write(const struct hbk_dump *dump, struct hbk_buffer *out)
{
    struct hbk_json json = hbk_json_to(out, true);
    hbk_json_begin_object(&json, NULL);
    if (dump->mesh != NULL) {
        hbk_dump_workloads(&json, dump->mesh);
        hbk_dump_services(&json, dump->mesh);
        hbk_dump_policies(&json, dump->mesh);
        hbk_dump_staged_services(&json, dump->mesh);
    }
    put_configuration(&json, dump);
    put_identities(&json, dump);
    put_pods(&json, dump);
    hbk_json_end_object(&json);
    return json.status != HBK_OK ? json.status : hbk_buffer_append(out, HBK_SLICE("\n"));
}
