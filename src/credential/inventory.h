/*
 * What the TLS contexts in force were made of, for /certs and /config_dump: one inventory per
 * context, taken while it is built and put in place when the context is good. So a half-written
 * pair that a directory holds is not shown as what is served. Control thread.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"
#include "model/gateway_tls.h"

struct x509_st;
struct hbk_tls_certificate;

/* One that is believed, or a chain that is presented. */
struct hbk_gw_held_certificate {
    struct x509_st *authority;                   /* a reference; NULL: */
    const struct hbk_tls_certificate *presented; /* a reference */
    char *path;                                  /* owned; NULL: that of the one before */
};

/* A secret that came from a file. */
struct hbk_gw_held_secret {
    char *name; /* owned */
    char *json; /* owned: the secret with its "@type", redacted */
};

struct hbk_gw_inventory {
    const void *owner; /* the transport socket's part of the configuration */
    int64_t taken_ns;  /* since 1970 */
    struct hbk_gw_held_certificate *certificates;
    struct hbk_gw_held_secret *secrets;
    size_t certificate_count, certificate_capacity, secret_count;
};

/* An empty one; NULL when out of memory. */
HBK_MUST_USE struct hbk_gw_inventory *hbk_gw_inventory_new(const void *owner);
void hbk_gw_inventory_free(struct hbk_gw_inventory *inventory); /* NULL is allowed */

/* Authorities of one source; a chain. Fail: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_inventory_add_authorities(struct hbk_gw_inventory *inventory,
                                                         struct x509_st *const *authorities,
                                                         size_t count, const char *path);
HBK_MUST_USE hbk_status hbk_gw_inventory_add_presented(struct hbk_gw_inventory *inventory,
                                                       const struct hbk_tls_certificate *presented,
                                                       const char *path);
HBK_MUST_USE hbk_status hbk_gw_inventory_add_secret(struct hbk_gw_inventory *inventory,
                                                    const struct hbk_gw_secret *secret);
