/*
 * The command line of the shim: what an outside conformance runner asks of one test. Every flag of
 * docs/tls-shim.md's scope is read into settings; one that we do not speak ends the program
 * with "unimplemented", so that the runner counts the test as skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHIM_EXIT_OK = 0,
    SHIM_EXIT_FAILED = 1,         /* the engine refused; standard error names the reason */
    SHIM_EXIT_UNIMPLEMENTED = 89, /* counted as skipped, whatever happened on the wire */
    SHIM_EXIT_CHECK = 90,         /* an expectation was not met: never what a test wanted */

    SHIM_LIST_MAX = 32,
    SHIM_CREDENTIALS_MAX = 16,
};

struct shim_list {
    uint16_t items[SHIM_LIST_MAX];
    size_t count;
};

/* One credential as the flags describe it; text is argv's. */
struct shim_credential_flags {
    const char *cert_file, *key_file;
    const char *ocsp_response; /* base64 */
    struct shim_list signing_prefs;
    bool must_match_issuer;
};

/* What holds for one connection: the first, or all later ones. Text is argv's; NULL: not given. */
struct shim_settings {
    /* the transport and the order of things */
    bool is_async, is_implicit, writes_first, shuts_down, checks_close, sends_alert;
    bool reads_with_unfinished_write, peeks, repeats_handshake;
    int read_bytes;

    /* versions, groups, suites */
    int min_version, max_version;
    bool no_tls12;
    struct shim_list curves, key_shares;
    bool no_key_shares;
    int expect_curve, expect_cipher_aes, expect_cipher_no_aes;
    bool expect_retry, expect_no_retry;

    /* certificates */
    bool verify_peer, requires_certificate, verify_fails, has_custom_verify, verifies_on_resume;
    bool expect_verify_result, fails_certificate_hook;
    struct shim_list verify_prefs, expect_peer_verify_prefs;
    int expect_peer_signature;
    int expect_credential;
    bool has_expect_credential;
    const char *expect_peer_cert_file, *client_authorities, *expect_client_authorities;
    int max_cert_list;

    /* OCSP */
    bool asks_staple, declines_staple, fails_staple_hook;
    const char *expect_staple; /* base64 */

    /* server name, application protocols */
    const char *host_name, *expect_server_name;
    bool no_server_name_ack;
    const char *advertise_alpn, *expect_alpn, *select_alpn, *expect_advertised_alpn;
    bool declines_alpn, rejects_alpn;

    /* resumption */
    bool expect_miss, no_ticket, skips_ticket, expect_no_session;
    int resumption_delay_s;

    /* data */
    int export_bytes;
    const char *export_label, *export_context;
    bool has_export_context, exports_secrets, updates_keys;
    int max_send_fragment;
    bool fails_hello_hook, fails_second_hello_hook;
};

struct shim_flags {
    int port;
    uint64_t shim_id;
    bool is_ipv6, is_server, asks_handshaker, waits_for_debugger;
    int resume_count;
    struct shim_settings initial, resumed;
    struct shim_credential_flags credentials[SHIM_CREDENTIALS_MAX]; /* [0]: the default one */
    size_t credential_count;
};

/* Reads argv, which ends with NULL. Ends the program with status 89 at a flag or a value that we do
 * not speak, and with status 1, and a sentence, at a malformed one. */
void shim_flags_read(struct shim_flags *flags, char *const *arguments);

static inline const struct shim_settings *shim_settings_of(const struct shim_flags *flags,
                                                           int connection)
{
    return connection == 0 ? &flags->initial : &flags->resumed;
}
