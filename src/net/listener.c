#include "net/listener.h"

#include "base/log.h"
#include "os/fd.h"
#include "os/socket.h"

static void on_ready(struct hbk_source *source);

static void rest(struct hbk_listener *listener, hbk_status status)
{
    struct hbk_net *net = listener->net;
    net->counters.accept_failures++;
    if (!listener->has_complained) {
        listener->has_complained = true;
        hbk_log(HBK_LOG_WARN, "net", "cannot accept connections: %s; trying again every %d ms",
                hbk_status_text(status), HBK_LISTENER_REST_MS);
    }
    hbk_loop_remove(net->loop, &listener->source);
    listener->is_resting = true;
    hbk_loop_timer(net->loop, &listener->rest, HBK_LISTENER_REST_MS * HBK_NS_PER_MS);
}

static void on_rested(struct hbk_timer *timer)
{
    struct hbk_listener *listener = HBK_CONTAINER(timer, struct hbk_listener, rest);
    int fd = listener->source.fd;
    hbk_status status = hbk_loop_add_listener(listener->net->loop, &listener->source, fd, on_ready);
    if (status != HBK_OK) {
        hbk_loop_timer(listener->net->loop, timer, HBK_LISTENER_REST_MS * HBK_NS_PER_MS);
        return;
    }
    listener->is_resting = false;
}

static void on_ready(struct hbk_source *source)
{
    struct hbk_listener *listener = HBK_CONTAINER(source, struct hbk_listener, source);
    for (int i = 0; i < HBK_LISTENER_TURN_ACCEPTS && source->on_ready != NULL; i++) {
        int fd = -1;
        struct hbk_address peer;
        hbk_status status = hbk_socket_accept(source->fd, &fd, &peer);
        if (status == HBK_NOT_FOUND) {
            return;
        }
        if (status != HBK_OK) {
            rest(listener, status);
            return;
        }
        listener->has_complained = false;
        listener->on_accept(listener, fd, &peer);
    }
}

hbk_status hbk_listener_open(struct hbk_listener *listener, struct hbk_net *net, int fd,
                             void (*on_accept)(struct hbk_listener *listener, int fd,
                                               const struct hbk_address *peer),
                             void *owner)
{
    *listener = (struct hbk_listener){.net = net, .on_accept = on_accept, .owner = owner};
    hbk_timer_init(&listener->rest, on_rested);
    hbk_status status = hbk_loop_add_listener(net->loop, &listener->source, fd, on_ready);
    if (status != HBK_OK) {
        hbk_fd_close(&fd);
        listener->source.fd = -1;
    }
    return status;
}

void hbk_listener_close(struct hbk_listener *listener)
{
    hbk_loop_timer_cancel(listener->net->loop, &listener->rest);
    hbk_loop_remove(listener->net->loop, &listener->source);
    hbk_fd_close(&listener->source.fd);
}
