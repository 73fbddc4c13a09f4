#include "credential/inventory.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/bootstrap_dump.h"
#include "tls/certificate.h"

enum { SECRET_JSON_BYTES_MAX = 8 << 20 };

struct hbk_gw_inventory *hbk_gw_inventory_new(const void *owner)
{
    struct hbk_gw_inventory *inventory = calloc(1, sizeof *inventory);
    if (inventory != NULL) {
        inventory->owner = owner;
        inventory->taken_ns = hbk_clock_realtime_ns();
    }
    return inventory;
}

void hbk_gw_inventory_free(struct hbk_gw_inventory *inventory)
{
    if (inventory == NULL) {
        return;
    }
    for (size_t i = 0; i < inventory->certificate_count; i++) {
        X509_free(inventory->certificates[i].authority);
        hbk_tls_certificate_unref(inventory->certificates[i].presented);
        free(inventory->certificates[i].path);
    }
    for (size_t i = 0; i < inventory->secret_count; i++) {
        free(inventory->secrets[i].name);
        free(inventory->secrets[i].json);
    }
    free(inventory->certificates);
    free(inventory->secrets);
    free(inventory);
}

/* Ten thousand certificates come one by one. */
static hbk_status make_room(struct hbk_gw_inventory *inventory, size_t more)
{
    size_t needed = inventory->certificate_count + more;
    if (needed <= inventory->certificate_capacity) {
        return HBK_OK;
    }
    size_t capacity = inventory->certificate_capacity + inventory->certificate_capacity / 2;
    capacity = capacity < needed ? needed : capacity;
    struct hbk_gw_held_certificate *list =
        reallocarray(inventory->certificates, capacity, sizeof *list);
    if (list == NULL) {
        return HBK_NO_MEMORY;
    }
    inventory->certificates = list;
    inventory->certificate_capacity = capacity;
    return HBK_OK;
}

hbk_status hbk_gw_inventory_add_authorities(struct hbk_gw_inventory *inventory,
                                            struct x509_st *const *authorities, size_t count,
                                            const char *path)
{
    if (count == 0) {
        return HBK_OK;
    }
    HBK_TRY(make_room(inventory, count));
    char *copy = strdup(path);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        X509_up_ref(authorities[i]);
        inventory->certificates[inventory->certificate_count++] = (struct hbk_gw_held_certificate){
            .authority = authorities[i], .path = i == 0 ? copy : NULL};
    }
    return HBK_OK;
}

hbk_status hbk_gw_inventory_add_presented(struct hbk_gw_inventory *inventory,
                                          const struct hbk_tls_certificate *presented,
                                          const char *path)
{
    HBK_TRY(make_room(inventory, 1));
    char *copy = strdup(path);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    inventory->certificates[inventory->certificate_count++] = (struct hbk_gw_held_certificate){
        .presented = hbk_tls_certificate_ref(presented), .path = copy};
    return HBK_OK;
}

hbk_status hbk_gw_inventory_add_secret(struct hbk_gw_inventory *inventory,
                                       const struct hbk_gw_secret *secret)
{
    struct hbk_gw_held_secret *list =
        reallocarray(inventory->secrets, inventory->secret_count + 1, sizeof *list);
    if (list == NULL) {
        return HBK_NO_MEMORY;
    }
    inventory->secrets = list;
    struct hbk_buffer text;
    static const struct hbk_field_mask everything;
    hbk_buffer_init(&text, SECRET_JSON_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&text, false);
    hbk_bootstrap_dump(&json, NULL, HBK_BOOTSTRAP_PART_SECRET, secret, &everything);
    struct hbk_gw_held_secret *held = &list[inventory->secret_count];
    *held = (struct hbk_gw_held_secret){.name = hbk_slice_to_string(secret->name),
                                        .json = hbk_slice_to_string(hbk_buffer_slice(&text))};
    inventory->secret_count++; /* half of one is freed with the inventory */
    hbk_buffer_fini(&text);
    HBK_TRY(json.status);
    return held->name == NULL || held->json == NULL ? HBK_NO_MEMORY : HBK_OK;
}
