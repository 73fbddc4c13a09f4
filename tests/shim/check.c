#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "credential.h"
#include "exit.h"
#include "observer.h"
#include "tls/engine.h"

static bool is_text(struct hbk_slice slice, const char *text)
{
    return hbk_slice_equal(slice, hbk_slice_text(text));
}

static void check_names(const struct shim_connection *connection,
                        const struct hbk_tls_agreement *agreed)
{
    const struct shim_settings *settings = connection->settings;
    const char *protocol = settings->expect_alpn != NULL ? settings->expect_alpn
                           : settings->select_alpn != NULL && !settings->declines_alpn
                               ? settings->select_alpn
                               : "";
    shim_expect(is_text(agreed->protocol, protocol), "application protocol \"%.*s\", not \"%s\"",
                HBK_SLICE_ARGS(agreed->protocol), protocol);
    if (settings->expect_server_name != NULL) {
        shim_expect(is_text(agreed->server_name, settings->expect_server_name),
                    "server name \"%.*s\", not \"%s\"", HBK_SLICE_ARGS(agreed->server_name),
                    settings->expect_server_name);
    }
    if (settings->expect_advertised_alpn != NULL) {
        struct hbk_slice seen =
            hbk_slice_of(shim_observed.protocols.bytes, shim_observed.protocols.size);
        shim_expect(is_text(seen, settings->expect_advertised_alpn), "another list of protocols");
    }
}

static void check_agreement(const struct shim_connection *connection,
                            const struct hbk_tls_agreement *agreed, int number)
{
    const struct shim_settings *settings = connection->settings;
    bool must_resume = number > 0 && !settings->expect_miss;
    bool has_aes = __builtin_cpu_supports("aes") != 0;
    int suite = has_aes ? settings->expect_cipher_aes : settings->expect_cipher_no_aes;
    shim_expect(agreed->was_resumed == must_resume, "connection %d was %sresumed", number,
                agreed->was_resumed ? "" : "not ");
    shim_expect(settings->expect_curve == 0 || agreed->group == settings->expect_curve,
                "group %d, not %d", agreed->group, settings->expect_curve);
    shim_expect(!settings->expect_retry || shim_observed.was_retried, "no HelloRetryRequest");
    shim_expect(!settings->expect_no_retry || !shim_observed.was_retried, "a HelloRetryRequest");
    shim_expect(suite == 0 || strcmp(agreed->cipher_text,
                                     hbk_cipher_suite_text((enum hbk_cipher_suite)suite)) == 0,
                "suite %s, not %s", agreed->cipher_text,
                hbk_cipher_suite_text((enum hbk_cipher_suite)suite));
}

static void check_schemes(const struct shim_settings *settings)
{
    const struct shim_list *wanted = &settings->expect_peer_verify_prefs;
    const struct shim_list *seen = &shim_observed.peer_schemes;
    if (wanted->count > 0) {
        shim_expect(seen->count == wanted->count &&
                        memcmp(seen->items, wanted->items, seen->count * sizeof seen->items[0]) ==
                            0,
                    "another list of signature algorithms, of %zu", seen->count);
    }
}

static void check_staple(const struct shim_connection *connection)
{
    const char *expected = connection->settings->expect_staple;
    if (expected != NULL) {
        struct hbk_span staple = shim_base64_read(expected);
        shim_expect(hbk_slice_equal(hbk_tls_staple(connection->session),
                                    hbk_slice_of(staple.bytes, staple.size)),
                    "another OCSP response, of %zu bytes",
                    hbk_tls_staple(connection->session).size);
        free(staple.bytes);
    }
}

static void check_authorities(const struct shim_settings *settings)
{
    if (settings->expect_client_authorities != NULL) {
        struct hbk_span wanted = shim_authorities_read(settings->expect_client_authorities);
        struct hbk_slice seen =
            hbk_slice_of(shim_observed.authorities.bytes, shim_observed.authorities.size);
        shim_expect(hbk_slice_equal(seen, hbk_slice_of(wanted.bytes, wanted.size)),
                    "another list of authorities, of %zu bytes", seen.size);
        free(wanted.bytes);
    }
}

static void check_credential(const struct shim_connection *connection,
                             const struct hbk_tls_agreement *agreed)
{
    const struct shim_settings *settings = connection->settings;
    if (!settings->has_expect_credential || agreed->was_resumed) {
        return;
    }
    const struct hbk_tls_context *context = hbk_tls_session_context(connection->session);
    size_t at = 0;
    while (at < context->certificate_count && context->certificates[at] != shim_observed.chosen) {
        at++;
    }
    int chosen =
        shim_observed.chosen == NULL ? -1 : shim_credential_number(connection->flags, context, at);
    shim_expect(chosen == settings->expect_credential, "credential %d, not %d", chosen,
                settings->expect_credential);
}

static void check_peer(const struct shim_connection *connection,
                       const struct hbk_tls_agreement *agreed)
{
    const struct shim_settings *settings = connection->settings;
    const struct hbk_peer *peer = hbk_tls_peer(connection->session);
    if (settings->expect_peer_cert_file != NULL) {
        shim_expect(peer != NULL && shim_is_chain_of(settings->expect_peer_cert_file,
                                                     peer->certificates, peer->certificate_count),
                    "another chain");
    }
    if (settings->expect_peer_signature != 0 && !agreed->was_resumed) {
        shim_expect(agreed->peer_scheme == settings->expect_peer_signature,
                    "a signature of scheme %d, not %d", agreed->peer_scheme,
                    settings->expect_peer_signature);
    }
    if (settings->expect_verify_result) {
        bool is_stored = agreed->was_resumed && !settings->verifies_on_resume;
        bool wants_bad = (is_stored ? &connection->flags->initial : settings)->verify_fails;
        shim_expect(shim_observed.verdict_was_bad == wants_bad, "the verdict is %s",
                    wants_bad ? "good" : "bad");
    }
}

void shim_check(const struct shim_connection *connection, int number)
{
    struct hbk_tls_agreement agreed = hbk_tls_agreement(connection->session);
    shim_expect(agreed.version == HBK_TLS_1_3 && agreed.engine == HBK_TLS_ENGINE_NATIVE,
                "another engine, or version %s", hbk_tls_version_text(agreed.version));
    check_names(connection, &agreed);
    check_agreement(connection, &agreed, number);
    check_schemes(connection->settings);
    check_authorities(connection->settings);
    check_staple(connection);
    check_credential(connection, &agreed);
    check_peer(connection, &agreed);
}
