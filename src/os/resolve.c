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
static hbk_status look_up(struct hbk_slice host, struct addrinfo **out_found,
                          struct hbk_error *error)
{
    HBK_CLEANUP(free_text) char *name = hbk_slice_to_string(host);
    if (name == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int failure = getaddrinfo(name, NULL, &hints, out_found);
    if (failure != 0) {
        bool is_unknown = failure == EAI_NONAME || failure == EAI_NODATA;
        return hbk_error_set(error, is_unknown ? HBK_NOT_FOUND : HBK_IO, "host \"%s\": %s", name,
                             gai_strerror(failure));
    }
    return HBK_OK;
}

hbk_status hbk_resolve(struct hbk_slice host, uint16_t port, struct hbk_address *out_address,
                       struct hbk_error *error)
{
    struct hbk_ip ip;
    HBK_CLEANUP(free_addresses) struct addrinfo *found = NULL;
    bool is_known = hbk_ip_parse(host, &ip);
    if (!is_known) {
        HBK_TRY(look_up(host, &found, error));
    }
    for (const struct addrinfo *info = found; info != NULL && !is_known; info = info->ai_next) {
        is_known = ip_of(info, &ip);
    }
    if (!is_known) {
        return hbk_error_set(error, HBK_NOT_FOUND, "host \"%.*s\" has no IP address",
                             HBK_SLICE_ARGS(host));
    }
    *out_address = (struct hbk_address){.ip = ip, .port = port};
    return HBK_OK;
}
