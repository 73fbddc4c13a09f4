#include "http/tls_facts.h"

#include <stdlib.h>
#include <string.h>

#include "http/format.h"
#include "tls/certificate.h"

void hbk_gw_tls_facts_init(struct hbk_gw_tls_facts *facts, const struct hbk_tls_session *session,
                           unsigned asks)
{
    struct hbk_tls_agreement agreed = hbk_tls_agreement(session);
    const struct hbk_peer *peer = hbk_tls_peer(session);
    *facts = (struct hbk_gw_tls_facts){
        .version = agreed.version == HBK_TLS_1_2 ? "TLSv1.2" : "TLSv1.3",
        .cipher = agreed.cipher_text,
        .peer = peer == NULL ? NULL : hbk_peer_ref(peer),
    };
    if (agreed.server_name.size > 0) {
        facts->server_name = hbk_slice_to_string(agreed.server_name);
    }
    const struct hbk_tls_certificate *own =
        (asks & HBK_GW_ASKS_OWN_NAMES) != 0 ? hbk_tls_own_certificate(session) : NULL;
    const struct hbk_certificate_names *names = own == NULL ? NULL : hbk_tls_certificate_names(own);
    if (names != NULL) { /* without memory for them they are not known */
        facts->own_certificate = hbk_tls_certificate_ref(own);
        facts->own = *names;
    }
}

void hbk_gw_tls_facts_failed(struct hbk_gw_tls_facts *facts, const char *failure)
{
    if (failure != NULL && facts->failure == NULL) {
        facts->failure = strdup(failure);
    }
}

void hbk_gw_tls_facts_fini(struct hbk_gw_tls_facts *facts)
{
    hbk_peer_unref(facts->peer);
    hbk_tls_certificate_unref(facts->own_certificate);
    free(facts->server_name);
    free(facts->failure);
    *facts = (struct hbk_gw_tls_facts){0};
}

struct hbk_slice hbk_gw_tls_names(struct hbk_slice names, struct hbk_span room)
{
    size_t used = 0, mark = 0;
    if (!hbk_slice_find(names, '\0', &mark) || mark + 1 == names.size) {
        return hbk_slice_part(names, 0, mark);
    }
    while (hbk_slice_find(names, '\0', &mark)) {
        size_t comma = used > 0;
        if (room.size - used < mark + comma) {
            break;
        }
        room.bytes[used] = ',';
        memcpy(room.bytes + used + comma, names.bytes, mark);
        used += mark + comma;
        names = hbk_slice_part(names, mark + 1, names.size);
    }
    return hbk_slice_of(room.bytes, used);
}
