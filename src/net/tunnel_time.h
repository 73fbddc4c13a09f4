/*
 * A tunnel's deadlines: connect, handshake, silence, idleness, and its peer's certificate. For
 * net/tunnel.c.
 */
#pragma once

#include "net/tunnel.h"

/* What the tunnel's timer means depends on its state. */
void hbk_tunnel_on_timer(struct hbk_timer *timer);

/* An open tunnel looks after itself once every ping interval, sooner when its idle time is up. */
void hbk_tunnel_look_again_later(struct hbk_tunnel *tunnel);
