#include "net/tunnel_time.h"

#include <errno.h>

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void hbk_tunnel_look_again_later(struct hbk_tunnel *tunnel)
{
    const struct hbk_net_config *config = &tunnel->net->config;
    uint64_t now_ns = tunnel->net->loop->now_ns;
    uint64_t delay_ns = config->ping_interval_ns;
    if (hbk_list_is_empty(&tunnel->relays)) {
        uint64_t idle_ns = now_ns - tunnel->idle_since_ns;
        delay_ns =
            least(delay_ns, config->idle_timeout_ns - least(config->idle_timeout_ns, idle_ns));
    }
    if (tunnel->is_pinging) {
        delay_ns = least(delay_ns, config->ping_timeout_ns);
    }
    hbk_loop_timer(tunnel->net->loop, &tunnel->timer, delay_ns);
}

/* Without streams nothing but their absence counts: a peer that pings does not keep us. */
static bool check_idleness(struct hbk_tunnel *tunnel)
{
    struct hbk_net *net = tunnel->net;
    bool is_over = hbk_list_is_empty(&tunnel->relays) &&
                   net->loop->now_ns - tunnel->idle_since_ns >= net->config.idle_timeout_ns;
    if (is_over) {
        hbk_tunnel_mark(tunnel, HBK_TUNNEL_END_IDLE);
        hbk_tunnel_close(tunnel);
    }
    return is_over;
}

/* With streams, silence makes us ask. */
static bool check_silence(struct hbk_tunnel *tunnel)
{
    struct hbk_net *net = tunnel->net;
    uint64_t now_ns = net->loop->now_ns;
    if (tunnel->has_heard || hbk_list_is_empty(&tunnel->relays)) {
        tunnel->has_heard = false;
        tunnel->is_pinging = false;
    } else if (!tunnel->is_pinging) {
        tunnel->is_pinging = true;
        tunnel->silent_since_ns = now_ns;
        hbk_h2_ping(&tunnel->h2, now_ns);
    } else if (now_ns - tunnel->silent_since_ns >= net->config.ping_timeout_ns) {
        hbk_tunnel_fail(tunnel, HBK_FAILURE_TIMEOUT, HBK_TIMEOUT, 0,
                        "connection lost: the peer did not answer a ping");
        return true;
    }
    return false;
}

/* A tunnel that outlives its peer's certificate takes no new streams; those that are open have the
 * grace time to end. True when the tunnel is closed. */
static bool check_expiry(struct hbk_tunnel *tunnel)
{
    const struct hbk_peer *peer = hbk_tls_peer(tunnel->tls);
    int64_t now_ns = hbk_clock_realtime_ns();
    if (peer == NULL || now_ns <= peer->not_after_ns) {
        return false;
    }
    hbk_tunnel_mark(tunnel, HBK_TUNNEL_END_EXPIRED);
    if (!tunnel->is_draining) {
        hbk_tunnel_drain(tunnel);
    } else if (now_ns - peer->not_after_ns > (int64_t)tunnel->net->config.expired_grace_ns) {
        hbk_tunnel_fail(tunnel, HBK_FAILURE_REVOKED, HBK_UNTRUSTED, 0,
                        "connection closed: the peer's certificate has expired");
    }
    return tunnel->state == HBK_TUNNEL_CLOSED;
}

void hbk_tunnel_on_timer(struct hbk_timer *timer)
{
    struct hbk_tunnel *tunnel = HBK_CONTAINER(timer, struct hbk_tunnel, timer);
    switch (tunnel->state) {
    case HBK_TUNNEL_CONNECTING:
        hbk_tunnel_fail(tunnel, HBK_FAILURE_CONNECT, HBK_TIMEOUT, ETIMEDOUT,
                        "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008");
        return;
    case HBK_TUNNEL_HANDSHAKING:
        hbk_tunnel_fail(tunnel, HBK_FAILURE_TLS, HBK_TIMEOUT, 0,
                        "tls error: the handshake timed out");
        return;
    case HBK_TUNNEL_OPEN:
        if (!check_expiry(tunnel) && !check_idleness(tunnel) && !check_silence(tunnel)) {
            hbk_tunnel_look_again_later(tunnel);
        }
        return;
    case HBK_TUNNEL_CLOSED:
        return;
    }
}
