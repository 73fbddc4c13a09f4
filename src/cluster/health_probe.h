/*
 * One check after the other of one host: a connection, what is asked, and whether the answer is
 * good. The owner says when, and for how long it waits. A connection stays open between checks
 * where the configuration and the host allow it.
 *
 * What a host can do to a check: it may answer with HBK_GW_HEALTH_ANSWER_BYTES_MAX bytes, of which
 * only a head that is not whole, or a pattern that is not, is kept; more, or anything that is not
 * its protocol, is no answer. Time is bounded by the owner. Control thread.
 */
#pragma once

#include "cluster/health_match.h"
#include "cluster/health_state.h"
#include "net/pipe.h"
#include "wire/http1.h"
#include "wire/http2.h"

enum {
    HBK_GW_HEALTH_ANSWER_BYTES_MAX = 1 << 20, /* of one check, interim answers included */
    HBK_GW_HEALTH_REQUEST_BYTES_MAX = 64 * 1024,
};

/* What is checked, and how; borrowed as long as the probe. */
struct hbk_gw_health_target {
    const struct hbk_gw_cluster *cluster;
    const struct hbk_gw_health_check *check;
    const struct hbk_gw_endpoint_health_check *endpoint; /* NULL: nothing of its own */
    struct hbk_address address;
    struct hbk_slice server_name;            /* for TLS */
    struct hbk_tls_context *const *security; /* the present one; *security NULL: plain text */
};

struct hbk_gw_health_probe {
    struct hbk_pipe pipe;
    struct hbk_net *net; /* borrowed */
    struct hbk_gw_health_target target;
    /* A check has ended; `text` is static, or lasts as long as the call. */
    void (*on_result)(struct hbk_gw_health_probe *probe, enum hbk_gw_check_result result,
                      const char *text);
    void (*on_gone)(struct hbk_gw_health_probe *probe); /* after hbk_gw_health_probe_close() */
    bool is_open;                                       /* the pipe is in use, or on its way out */
    bool is_asking;                                     /* a check is under way */
    bool is_reused;                                     /* on a connection that served another */
    bool is_again;   /* ask anew once the old connection has gone */
    bool is_leaving; /* close called */
    uint64_t answer_bytes;
    struct hbk_buffer in; /* a head that is not whole yet */
    struct hbk_http1_reader reader;
    struct hbk_http1_body body;
    bool is_in_body, is_keep_alive, has_session;
    uint32_t status;
    struct hbk_gw_health_match match;
    struct hbk_h2_session session;
    struct hbk_h2_stream stream;
};

void hbk_gw_health_probe_init(struct hbk_gw_health_probe *probe, struct hbk_net *net,
                              const struct hbk_gw_health_target *target);

/* Begins a check; on_result follows, not from within this call, unless hbk_gw_health_probe_cancel()
 * comes first. None may be under way. Fails as hbk_pipe_connect(): then there is no result. */
HBK_MUST_USE hbk_status hbk_gw_health_probe_ask(struct hbk_gw_health_probe *probe);

/* Ends a check that is under way without a result, and its connection. */
void hbk_gw_health_probe_cancel(struct hbk_gw_health_probe *probe);

/* Ends all; on_gone is the last call, at the end of a turn or at once. */
void hbk_gw_health_probe_close(struct hbk_gw_health_probe *probe);

/* health_request.c: writes the request of HTTP/1, or opens that of HTTP/2. Fails: HBK_LIMIT,
 * HBK_NO_MEMORY, HBK_CLOSED. */
HBK_MUST_USE hbk_status hbk_gw_health_request(struct hbk_gw_health_probe *probe);

/* What a status of HTTP says. */
enum hbk_gw_check_result hbk_gw_health_judge(const struct hbk_gw_http_health_check *http,
                                             uint32_t status);
