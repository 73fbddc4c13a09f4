/*
 * Names to addresses, over c-ares: /etc/hosts and DNS, in the control thread's loop, without
 * waiting. What a server can do: answers that fit no question are passed over, and what does not
 * come in time is asked again, of the next server, as often as the configuration says; then the
 * look-up fails. Control thread.
 */
#pragma once

#include "base/address.h"
#include "model/gateway.h"
#include "runtime/loop.h"

enum {
    HBK_GW_NAME_ADDRESSES_MAX = 64, /* of one name */
    HBK_GW_DNS_SOCKETS_MAX = 64,    /* open at once, of one resolver */
};

enum hbk_gw_lookup_result {
    HBK_GW_LOOKUP_DONE, /* there is such a name: its addresses; or there is none: no addresses */
    HBK_GW_LOOKUP_FAILED,
};

struct hbk_gw_resolver;

/* A look-up, in the caller's storage until on_done or the resolver's end. */
struct hbk_gw_lookup {
    /* With the addresses below. `text` is static. Perhaps called before hbk_gw_lookup_start()
     * returns. */
    void (*on_done)(struct hbk_gw_lookup *lookup, enum hbk_gw_lookup_result result,
                    const char *text);
    struct hbk_ip ips[HBK_GW_NAME_ADDRESSES_MAX]; /* each once */
    uint32_t count;
    uint32_t ttl_s; /* the least of them */
    /* Private. */
    struct hbk_gw_resolver *resolver;
    const char *name; /* borrowed */
    int family;       /* enum hbk_gw_dns_family */
    bool is_second;   /* of two families */
};

/* `config` may be NULL: the system's servers. Fails: HBK_NO_MEMORY, HBK_IO (c-ares says no). */
HBK_MUST_USE hbk_status hbk_gw_resolver_new(struct hbk_loop *loop,
                                            const struct hbk_gw_cares_config *config,
                                            struct hbk_gw_resolver **out_resolver);

/* Look-ups under way end without on_done. NULL is allowed. */
void hbk_gw_resolver_free(struct hbk_gw_resolver *resolver);

void hbk_gw_lookup_start(struct hbk_gw_lookup *lookup, struct hbk_gw_resolver *resolver,
                         const char *name, int family);
