#include "tls/judge.h"

#include "base/assert.h"
#include "tls/alert.h"

hbk_status hbk_tls_judge(const struct hbk_tls_setup *setup, const struct hbk_chain *chain,
                         const struct hbk_peer **out_peer, struct hbk_verdict_failure *failure)
{
    struct hbk_verdict_cache *cache = setup->worker->options.verdicts;
    const struct hbk_question question = {
        .trust = setup->context->trust,
        .role = setup->role == HBK_TLS_CLIENT ? HBK_PEER_SERVER : HBK_PEER_CLIENT,
        .now_ns = setup->now_ns,
        .host = setup->server_name,
    };
    const struct hbk_peer *peer = NULL;
    HBK_ASSERT(question.trust != NULL);
    hbk_status status = cache == NULL
                            ? hbk_verdict_judge(chain, &question, &peer, failure)
                            : hbk_verdict_cache_judge(cache, chain, &question, &peer, failure);
    if (status == HBK_OK) {
        status = hbk_verdict_match(peer, &setup->expectation, failure);
    }
    if (status == HBK_OK) {
        *out_peer = peer;
        return HBK_OK;
    }
    hbk_peer_unref(peer);
    if (failure->error.status == HBK_OK) {
        hbk_error_set(&failure->error, status, "certificates cannot be judged: %s",
                      hbk_status_text(status));
    }
    return status;
}

int hbk_tls_judge_alert(const struct hbk_verdict_failure *failure)
{
    switch (failure->reason) {
    case HBK_VERDICT_NONE: /* a chain above our limits, or a fault of ours */
        return failure->error.status == HBK_LIMIT ? HBK_ALERT_BAD_CERTIFICATE
                                                  : HBK_ALERT_INTERNAL_ERROR;
    case HBK_VERDICT_MALFORMED:
    case HBK_VERDICT_BAD_PATH:
    case HBK_VERDICT_UNEXPECTED:
        return HBK_ALERT_BAD_CERTIFICATE;
    case HBK_VERDICT_EXPIRED:
        return HBK_ALERT_CERTIFICATE_EXPIRED;
    case HBK_VERDICT_REVOKED:
        return HBK_ALERT_CERTIFICATE_REVOKED;
    case HBK_VERDICT_UNKNOWN_CA:
        return HBK_ALERT_UNKNOWN_CA;
    case HBK_VERDICT_BAD_USAGE:
        return HBK_ALERT_UNSUPPORTED_CERTIFICATE;
    }
    HBK_UNREACHABLE();
}
