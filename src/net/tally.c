#include "net/tally.h"

#include "tls/alert.h"

enum hbk_tunnel_end hbk_tunnel_end_of(const struct hbk_failure *failure)
{
    switch (failure->kind) {
    case HBK_FAILURE_TLS:
    case HBK_FAILURE_IDENTITY:
    case HBK_FAILURE_HTTP2:
        return failure->status == HBK_TIMEOUT ? HBK_TUNNEL_END_TIMEOUT : HBK_TUNNEL_END_PROTOCOL;
    case HBK_FAILURE_REVOKED:
        return HBK_TUNNEL_END_REVOKED;
    case HBK_FAILURE_DRAIN:
        return HBK_TUNNEL_END_DRAIN;
    default:
        return failure->status == HBK_TIMEOUT ? HBK_TUNNEL_END_TIMEOUT : HBK_TUNNEL_END_ERROR;
    }
}

/* We tell the peer by the alert what we have against its certificates. */
static enum hbk_handshake_end refusal_of(uint32_t alert)
{
    switch (alert) {
    case HBK_ALERT_CERTIFICATE_REQUIRED:
        return HBK_HANDSHAKE_NO_CERTIFICATE;
    case HBK_ALERT_CERTIFICATE_EXPIRED:
        return HBK_HANDSHAKE_EXPIRED;
    case HBK_ALERT_CERTIFICATE_REVOKED:
        return HBK_HANDSHAKE_REVOKED;
    case HBK_ALERT_HANDSHAKE_FAILURE:
    case HBK_ALERT_ACCESS_DENIED:
        return HBK_HANDSHAKE_IDENTITY;
    default:
        return HBK_HANDSHAKE_UNTRUSTED;
    }
}

enum hbk_handshake_end hbk_handshake_end_of(const struct hbk_failure *failure)
{
    switch (failure->status) {
    case HBK_UNTRUSTED:
        return refusal_of(failure->code);
    case HBK_TIMEOUT:
        return HBK_HANDSHAKE_TIMEOUT;
    case HBK_INVALID:
    case HBK_UNSUPPORTED:
        return HBK_HANDSHAKE_PROTOCOL;
    case HBK_LIMIT:
    case HBK_NO_ADDRESS:
    case HBK_NO_MEMORY:
    case HBK_IO:
        return HBK_HANDSHAKE_INTERNAL;
    default: /* the peer or the network, or nobody said why */
        return HBK_HANDSHAKE_CLOSED;
    }
}
