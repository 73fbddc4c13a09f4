#include "os/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

static void free_addresses(struct addrinfo **addresses)
{
    if (*addresses != NULL) {
        freeaddrinfo(*addresses);
    }
}

static void free_text(char **text)
{
    free(*text);
}

static bool ip_of(const struct addrinfo *info, struct hbk_ip *out_ip)
{
    const void *name = info->ai_addr;
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *v4 = name;
        return hbk_ip_from_bytes(hbk_slice_of(&v4->sin_addr, 4), out_ip);
    }
    if (info->ai_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = name;
        return hbk_ip_from_bytes(hbk_slice_of(&v6->sin6_addr, 16), out_ip);
    }
    return false;
}

/* The system's answer, to be freed by the caller. */
static hbk_status look_up(struct hbk_slice host, int family, struct addrinfo **out_found,
                          struct hbk_error *error)
{
    HBK_CLEANUP(free_text) char *name = hbk_slice_to_string(host);
    if (name == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    const struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int failure = getaddrinfo(name, NULL, &hints, out_found);
    if (failure != 0) {
        bool is_unknown = failure == EAI_NONAME || failure == EAI_NODATA;
        return hbk_error_set(error, is_unknown ? HBK_NOT_FOUND : HBK_IO, "host \"%s\": %s", name,
                             gai_strerror(failure));
    }
    return HBK_OK;
}

hbk_status hbk_resolve_all(struct hbk_slice host, enum hbk_resolve_family family,
                           struct hbk_ip *out_ips, size_t max, size_t *out_count,
                           struct hbk_error *error)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    size_t count = 0;
    if (max > 0 && hbk_ip_parse(host, &out_ips[0])) {
        *out_count = 1;
        return HBK_OK;
    }
    HBK_CLEANUP(free_addresses) struct addrinfo *found = NULL;
    HBK_TRY(look_up(host, families[family], &found, error));
    for (const struct addrinfo *info = found; info != NULL && count < max; info = info->ai_next) {
        bool is_known = !ip_of(info, &out_ips[count]);
        for (size_t i = 0; i < count && !is_known; i++) {
            is_known = hbk_ip_equal(&out_ips[i], &out_ips[count]);
        }
        count += is_known ? 0 : 1;
    }
    *out_count = count;
    return count > 0 ? HBK_OK
                     : hbk_error_set(error, HBK_NOT_FOUND, "host \"%.*s\" has no IP address",
                                     HBK_SLICE_ARGS(host));
}

hbk_status hbk_resolve(struct hbk_slice host, uint16_t port, struct hbk_address *out_address,
                       struct hbk_error *error)
{
    struct hbk_ip ip;
    size_t count = 0;
    HBK_TRY(hbk_resolve_all(host, HBK_RESOLVE_ANY, &ip, 1, &count, error));
    *out_address = (struct hbk_address){.ip = ip, .port = port};
    return HBK_OK;
}
