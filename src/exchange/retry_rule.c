/* What is asked of an upstream once more: by the policy of the route, or of its virtual host. */
#include "exchange/stream.h"

const struct hbk_gw_retry_policy *hbk_gw_retry_policy_of(const struct hbk_gw_stream *stream)
{
    const struct hbk_gw_route_action *action = stream->route->route;
    return action->retry_policy != NULL ? action->retry_policy : stream->host->retry_policy;
}

bool hbk_gw_is_retriable_failure(const struct hbk_gw_stream *stream,
                                 enum hbk_gw_upstream_failure failure)
{
    const struct hbk_gw_retry_policy *policy = hbk_gw_retry_policy_of(stream);
    unsigned on = policy == NULL ? 0 : policy->on;
    if (failure == HBK_GW_FAILED_OVERFLOW || on == 0) {
        return false;
    }
    bool is_connect = failure == HBK_GW_FAILED_CONNECT || failure == HBK_GW_FAILED_TIMEOUT;
    return (on & (HBK_GW_RETRY_5XX | HBK_GW_RETRY_RESET)) != 0 ||
           (is_connect && (on & HBK_GW_RETRY_CONNECT_FAILURE) != 0) ||
           (failure == HBK_GW_FAILED_REFUSED && (on & HBK_GW_RETRY_REFUSED_STREAM) != 0);
}

bool hbk_gw_is_retriable_status(const struct hbk_gw_stream *stream, uint32_t status)
{
    const struct hbk_gw_retry_policy *policy = hbk_gw_retry_policy_of(stream);
    unsigned on = policy == NULL ? 0 : policy->on;
    if (((on & HBK_GW_RETRY_5XX) != 0 && status / 100 == 5) ||
        ((on & HBK_GW_RETRY_GATEWAY_ERROR) != 0 && status >= 502 && status <= 504) ||
        ((on & HBK_GW_RETRY_4XX) != 0 && status == 409)) {
        return true;
    }
    for (uint32_t i = 0;
         (on & HBK_GW_RETRY_STATUS_CODES) != 0 && i < policy->retriable_status_codes_count; i++) {
        if (policy->retriable_status_codes[i] == status) {
            return true;
        }
    }
    return false;
}
