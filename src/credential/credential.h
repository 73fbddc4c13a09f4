/*
 * TLS contexts of the gateway: certificates, keys with their providers, and trust, read from where
 * the configuration says. Built on the control thread; workers hold references.
 */
#pragma once

#include "base/error.h"
#include "credential/inventory.h"
#include "crypto/hash.h"
#include "model/gateway.h"
#include "tls/context.h"

struct hbk_key_provider;
struct hbk_provider_set;

enum {
    HBK_GW_CHAIN_BYTES_MAX = 256 << 10, /* of a certificate chain, PEM */
    HBK_GW_SECRET_BYTES_MAX = 4 << 20,  /* of a file of secrets, or of roots */
};

enum {
    HBK_GW_WATCHED_MAX = 64,  /* directories whose changes may mean new secrets */
    HBK_GW_BUNDLES_MAX = 256, /* of different content that are kept once for all contexts */
};

/* Roots and lists by what they were read from: a large list is kept once, however many contexts
 * use it. */
struct hbk_gw_known_bundle {
    uint8_t sha256[HBK_SHA256_BYTES];
    struct hbk_bundle *bundle; /* owned */
};

enum { HBK_GW_PROVIDERS_MAX = 65536 }; /* further ones serve, and are not counted */

/* A provider of private keys, kept for what it counts: certificates come and go, and those of one
 * transport socket that ask for the same share it. */
struct hbk_gw_provider {
    const void *owner; /* the socket's part of the configuration, of either direction */
    struct hbk_key_provider *provider; /* a reference */
};

/* Where secrets come from that have names. */
struct hbk_gw_vault {
    char *watched[HBK_GW_WATCHED_MAX]; /* owned: directories of files that secrets came from */
    size_t watched_count;
    struct hbk_tls_ticket_keys *tickets; /* owned: of our own making, rotated; NULL until used */
    struct hbk_gw_known_bundle bundles[HBK_GW_BUNDLES_MAX];
    size_t bundle_count;
    const struct hbk_gw_static_resources *resources; /* borrowed */
    struct hbk_provider_set *provider_set;           /* owned; NULL until a key names a provider */
    struct hbk_gw_provider *providers;               /* owned array */
    size_t provider_count;
    struct hbk_gw_inventory **inventories; /* owned, of the contexts in force */
    size_t inventory_count;
};

void hbk_gw_vault_fini(struct hbk_gw_vault *vault);

/* Every HBK_TLS_TICKET_ROTATION_S. That it failed is logged; the old keys go on. Control thread. */
void hbk_gw_vault_rotate_tickets(struct hbk_gw_vault *vault);

/* Whether a context is made of secrets from files, which may change. */
bool hbk_gw_uses_files(const struct hbk_gw_common_tls *common);
bool hbk_gw_downstream_uses_files(const struct hbk_gw_downstream_tls *config);

/*
 * Fails: HBK_INVALID (a certificate, a key, roots: what is wrong with them), HBK_UNSUPPORTED
 * (something that is not served yet, or a provider that is not available), the file system's
 * failures, HBK_NO_MEMORY; `error` says it. Control thread.
 */
HBK_MUST_USE hbk_status hbk_gw_downstream_context(struct hbk_gw_vault *vault,
                                                  const struct hbk_gw_downstream_tls *config,
                                                  struct hbk_tls_context **out_context,
                                                  struct hbk_error *error);

/* `protocol` is offered by ALPN where the configuration names none ("h2", "http/1.1"). */
HBK_MUST_USE hbk_status hbk_gw_upstream_context(struct hbk_gw_vault *vault,
                                                const struct hbk_gw_upstream_tls *config,
                                                const char *protocol,
                                                struct hbk_tls_context **out_context,
                                                struct hbk_error *error);
