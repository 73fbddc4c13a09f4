/*
 * A function __wrap_X is called by the engine in place of X, and calls it as __real_X. Most only
 * note what passes. Four decide: the verdict on certificates (the runner's are judged by its flags
 * and not by any root), whether tickets are given, and whether a server name is acknowledged.
 */
#include "observer.h"

#include <stdlib.h>

#include "base/assert.h"
#include "tls/alert.h"
#include "tls/judge.h"
#include "tls/message.h"
#include "tls/protocol.h"
#include "tls/schedule.h"
#include "tls/ticket_parts.h"

struct shim_observation shim_observed;

static bool is_judging_ticket;

void shim_observe(const struct shim_flags *flags, int connection)
{
    free(shim_observed.authorities.bytes);
    free(shim_observed.protocols.bytes);
    shim_observed = (struct shim_observation){
        .settings = shim_settings_of(flags, connection),
        .is_server = flags->is_server,
        .is_resumption = connection > 0,
        .verdict_was_bad = shim_observed.verdict_was_bad,
    };
}

static void keep(struct hbk_span *copy, struct hbk_slice bytes)
{
    free(copy->bytes);
    *copy = hbk_span_of(malloc(bytes.size + 1), bytes.size);
    HBK_ASSERT(copy->bytes != NULL);
    if (bytes.size > 0) {
        memcpy(copy->bytes, bytes.bytes, bytes.size);
    }
}

/* ---- the verdict ---- */

hbk_status __real_hbk_tls_judge(const struct hbk_tls_setup *setup, const struct hbk_chain *chain,
                                const struct hbk_peer **out_peer,
                                struct hbk_verdict_failure *failure);
hbk_status __wrap_hbk_tls_judge(const struct hbk_tls_setup *setup, const struct hbk_chain *chain,
                                const struct hbk_peer **out_peer,
                                struct hbk_verdict_failure *failure);
int __real_hbk_tls_judge_alert(const struct hbk_verdict_failure *failure);
int __wrap_hbk_tls_judge_alert(const struct hbk_verdict_failure *failure);

static bool refuse(const char *name, int alert)
{
    shim_observed.refusal = name;
    shim_observed.refusal_alert = alert;
    return false;
}

/* The flags' verdict on a chain that can be read. */
static bool is_accepted(const struct shim_settings *settings)
{
    bool is_fatal = settings->verify_peer || settings->requires_certificate;
    if (is_judging_ticket && !settings->verifies_on_resume) {
        return true; /* the session brings its own verdict along */
    }
    shim_observed.verdict_was_bad = settings->verify_fails;
    if (settings->verify_fails && is_fatal) {
        return refuse(":CERTIFICATE_VERIFY_FAILED:", settings->has_custom_verify
                                                         ? HBK_ALERT_CERTIFICATE_UNKNOWN
                                                         : HBK_ALERT_HANDSHAKE_FAILURE);
    }
    if (settings->fails_staple_hook && !shim_observed.is_server) {
        return refuse(":OCSP_CB_ERROR:", HBK_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE);
    }
    return true;
}

hbk_status __wrap_hbk_tls_judge(const struct hbk_tls_setup *setup, const struct hbk_chain *chain,
                                const struct hbk_peer **out_peer,
                                struct hbk_verdict_failure *failure)
{
    const struct hbk_peer *peer = NULL;
    hbk_status status = __real_hbk_tls_judge(setup, chain, &peer, failure);
    if (status != HBK_OK) {
        if (failure->reason == HBK_VERDICT_MALFORMED) {
            (void)refuse(":CANNOT_PARSE_LEAF_CERT:", __real_hbk_tls_judge_alert(failure));
        }
        return status;
    }
    shim_observed.is_key_foreign = peer->key.kind == HBK_PUBLIC_KEY_OTHER;
    if (!is_accepted(shim_observed.settings)) {
        hbk_peer_unref(peer);
        failure->reason = HBK_VERDICT_UNEXPECTED;
        return hbk_error_set(&failure->error, HBK_UNTRUSTED, "the verdict is no");
    }
    *out_peer = peer;
    return HBK_OK;
}

int __wrap_hbk_tls_judge_alert(const struct hbk_verdict_failure *failure)
{
    return shim_observed.refusal != NULL ? shim_observed.refusal_alert
                                         : __real_hbk_tls_judge_alert(failure);
}

/* ---- tickets ---- */

hbk_status __real_hbk_tls_ticket_issue(const struct hbk_tls_setup *setup,
                                       const struct hbk_tls_certificate *certificate,
                                       const struct hbk_tls_result *result, int64_t begun_ns,
                                       unsigned number, struct hbk_buffer *messages);
hbk_status __wrap_hbk_tls_ticket_issue(const struct hbk_tls_setup *setup,
                                       const struct hbk_tls_certificate *certificate,
                                       const struct hbk_tls_result *result, int64_t begun_ns,
                                       unsigned number, struct hbk_buffer *messages);

hbk_status __wrap_hbk_tls_ticket_issue(const struct hbk_tls_setup *setup,
                                       const struct hbk_tls_certificate *certificate,
                                       const struct hbk_tls_result *result, int64_t begun_ns,
                                       unsigned number, struct hbk_buffer *messages)
{
    return shim_observed.settings->skips_ticket
               ? HBK_OK
               : __real_hbk_tls_ticket_issue(setup, certificate, result, begun_ns, number,
                                             messages);
}

bool __real_hbk_tls_ticket_open(const struct hbk_tls_setup *setup,
                                const struct hbk_tls_certificate *certificate,
                                struct hbk_slice identity, enum hbk_cipher_suite suite,
                                struct hbk_slice server_name,
                                struct hbk_tls_ticket_content *out_content);
bool __wrap_hbk_tls_ticket_open(const struct hbk_tls_setup *setup,
                                const struct hbk_tls_certificate *certificate,
                                struct hbk_slice identity, enum hbk_cipher_suite suite,
                                struct hbk_slice server_name,
                                struct hbk_tls_ticket_content *out_content);

bool __wrap_hbk_tls_ticket_open(const struct hbk_tls_setup *setup,
                                const struct hbk_tls_certificate *certificate,
                                struct hbk_slice identity, enum hbk_cipher_suite suite,
                                struct hbk_slice server_name,
                                struct hbk_tls_ticket_content *out_content)
{
    is_judging_ticket = true;
    bool is_good =
        __real_hbk_tls_ticket_open(setup, certificate, identity, suite, server_name, out_content);
    is_judging_ticket = false;
    return is_good;
}

bool __real_hbk_tls_ticket_is_usable(const struct hbk_tls_ticket *ticket,
                                     const struct hbk_tls_setup *setup);
bool __wrap_hbk_tls_ticket_is_usable(const struct hbk_tls_ticket *ticket,
                                     const struct hbk_tls_setup *setup);

bool __wrap_hbk_tls_ticket_is_usable(const struct hbk_tls_ticket *ticket,
                                     const struct hbk_tls_setup *setup)
{
    is_judging_ticket = true;
    bool is_good = __real_hbk_tls_ticket_is_usable(ticket, setup);
    is_judging_ticket = false;
    return is_good;
}

/* ---- what the peer says ---- */

void __real_hbk_tls_transcript_retry(struct hbk_tls_transcript *transcript);
void __wrap_hbk_tls_transcript_retry(struct hbk_tls_transcript *transcript);

void __wrap_hbk_tls_transcript_retry(struct hbk_tls_transcript *transcript)
{
    shim_observed.was_retried = true;
    __real_hbk_tls_transcript_retry(transcript);
}

/* Whether a client that does not speak our version settles for one that exists. */
static uint16_t settled_version(const struct hbk_client_hello *hello)
{
    if ((hello->has & HBK_HAS_VERSIONS) == 0) {
        return hello->legacy_version > 0x0303 ? 0x0303 : hello->legacy_version;
    }
    uint16_t best = 0;
    for (size_t i = 0; i + 1 < hello->versions.size; i += 2) {
        uint16_t version = (uint16_t)(hello->versions.bytes[i] << 8 | hello->versions.bytes[i + 1]);
        if (version >= 0x0301 && version <= 0x0304 && version > best) {
            best = version;
        }
    }
    return best;
}

struct hbk_complaint __real_hbk_client_hello_read(struct hbk_slice body,
                                                  struct hbk_client_hello *out_hello);
struct hbk_complaint __wrap_hbk_client_hello_read(struct hbk_slice body,
                                                  struct hbk_client_hello *out_hello);

struct hbk_complaint __wrap_hbk_client_hello_read(struct hbk_slice body,
                                                  struct hbk_client_hello *out_hello)
{
    struct hbk_complaint complaint = __real_hbk_client_hello_read(body, out_hello);
    if (complaint.alert == HBK_ALERT_NONE) {
        shim_observed.has_hello = true;
        shim_observed.version_seen = settled_version(out_hello);
        keep(&shim_observed.protocols, out_hello->protocols);
    }
    return complaint;
}

struct hbk_complaint __real_hbk_server_hello_read(struct hbk_slice body,
                                                  struct hbk_server_hello *out_hello);
struct hbk_complaint __wrap_hbk_server_hello_read(struct hbk_slice body,
                                                  struct hbk_server_hello *out_hello);

struct hbk_complaint __wrap_hbk_server_hello_read(struct hbk_slice body,
                                                  struct hbk_server_hello *out_hello)
{
    struct hbk_complaint complaint = __real_hbk_server_hello_read(body, out_hello);
    if (complaint.alert == HBK_ALERT_NONE) {
        shim_observed.has_hello = true;
        shim_observed.version_seen =
            out_hello->version != 0 ? out_hello->version : out_hello->legacy_version;
    }
    return complaint;
}

const struct hbk_tls_certificate *__real_hbk_tls_choose(const struct hbk_tls_context *context,
                                                        const struct hbk_tls_wish *wish);
const struct hbk_tls_certificate *__wrap_hbk_tls_choose(const struct hbk_tls_context *context,
                                                        const struct hbk_tls_wish *wish);

const struct hbk_tls_certificate *__wrap_hbk_tls_choose(const struct hbk_tls_context *context,
                                                        const struct hbk_tls_wish *wish)
{
    shim_observed.chosen = __real_hbk_tls_choose(context, wish);
    return shim_observed.chosen;
}

/* ---- hooks ---- */

static void note_wish(const struct hbk_tls_wish *wish)
{
    struct shim_list *list = &shim_observed.peer_schemes;
    list->count = 0;
    for (size_t i = 0; i + 1 < wish->schemes.size && i / 2 < SHIM_LIST_MAX; i += 2) {
        list->items[list->count++] =
            (uint16_t)(wish->schemes.bytes[i] << 8 | wish->schemes.bytes[i + 1]);
    }
    keep(&shim_observed.authorities, wish->authorities);
}

/* Why none of our credentials fits: what they can sign with is looked at first. */
static const char *name_of_misfit(const struct hbk_tls_context *context,
                                  const struct hbk_tls_wish *wish)
{
    for (size_t i = 0; i < context->certificate_count; i++) {
        if (hbk_tls_certificate_scheme(context->certificates[i], wish->schemes) != 0) {
            return ":NO_MATCHING_ISSUER:";
        }
    }
    return ":NO_COMMON_SIGNATURE_ALGORITHMS:";
}

static int veto(const char *name, int alert)
{
    (void)refuse(name, alert);
    return alert;
}

int shim_veto(void *owner, enum hbk_tls_moment moment, const struct hbk_tls_wish *wish)
{
    const struct shim_settings *settings = shim_observed.settings;
    const struct hbk_tls_context *context = shim_observed.context;
    (void)owner;
    note_wish(wish);
    if (moment == HBK_TLS_MOMENT_HELLO) {
        return settings->fails_hello_hook
                   ? veto(":CONNECTION_REJECTED:", HBK_ALERT_HANDSHAKE_FAILURE)
               : settings->fails_second_hello_hook
                   ? veto(":CONNECTION_REJECTED:", HBK_ALERT_INTERNAL_ERROR)
                   : HBK_ALERT_NONE;
    }
    if (settings->fails_certificate_hook) {
        return veto(":CERT_CB_ERROR:", HBK_ALERT_INTERNAL_ERROR);
    }
    if (shim_observed.is_server && settings->fails_staple_hook && wish->wants_staple) {
        return veto(":OCSP_CB_ERROR:", HBK_ALERT_INTERNAL_ERROR);
    }
    if (context->certificate_count > 0 && __real_hbk_tls_choose(context, wish) == NULL) {
        return veto(name_of_misfit(context, wish), HBK_ALERT_HANDSHAKE_FAILURE);
    }
    return HBK_ALERT_NONE;
}

/* ---- what we say ---- */

void __real_hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                           const struct hbk_encrypted_extensions_content *content);
void __wrap_hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                           const struct hbk_encrypted_extensions_content *content);

void __wrap_hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                           const struct hbk_encrypted_extensions_content *content)
{
    struct hbk_encrypted_extensions_content changed = *content;
    changed.has_server_name &= !shim_observed.settings->no_server_name_ack;
    __real_hbk_encrypted_extensions_write(writer, &changed);
}
