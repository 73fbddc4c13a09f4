/*
 * The flags are a table: a name, a kind, and where the value goes. Prefixes say for which
 * connections a flag holds; they are stripped first. Whatever is not in the table is not spoken.
 */
#include "flags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "exit.h"

enum kind {
    SWITCH,  /* a bool of the settings */
    NUMBER,  /* a signed decimal number */
    SIGNED,  /* the same, and a bool behind it says that it was given */
    TEXT,    /* argv's own */
    GROUP,   /* a number that must be a group of ours */
    GROUPS,  /* a list of these */
    SCHEMES, /* a list of signature schemes, of which some are not spoken */
    VERSION,
    REASON,  /* of early data: "disabled" is all that we can be */
    IGNORED, /* always true of us, or of no effect */
    IGNORED_VALUE,
};

struct flag {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define AT(member) offsetof(struct shim_settings, member)

static const struct flag table[] = {
    {"async", SWITCH, AT(is_async)},
    {"implicit-handshake", SWITCH, AT(is_implicit)},
    {"shim-writes-first", SWITCH, AT(writes_first)},
    {"shim-shuts-down", SWITCH, AT(shuts_down)},
    {"check-close-notify", SWITCH, AT(checks_close)},
    {"send-alert", SWITCH, AT(sends_alert)},
    {"read-with-unfinished-write", SWITCH, AT(reads_with_unfinished_write)},
    {"peek-then-read", SWITCH, AT(peeks)},
    {"no-op-extra-handshake", SWITCH, AT(repeats_handshake)},
    {"read-size", NUMBER, AT(read_bytes)},
    {"max-send-fragment", NUMBER, AT(max_send_fragment)},
    {"key-update", SWITCH, AT(updates_keys)},

    {"min-version", VERSION, AT(min_version)},
    {"max-version", VERSION, AT(max_version)},
    {"no-tls1", IGNORED, 0},
    {"no-tls11", IGNORED, 0},
    {"no-tls12", SWITCH, AT(no_tls12)},
    {"expect-version", IGNORED_VALUE, 0},
    {"curves", GROUPS, AT(curves)},
    {"key-shares", GROUPS, AT(key_shares)},
    {"no-key-shares", SWITCH, AT(no_key_shares)},
    {"expect-curve-id", GROUP, AT(expect_curve)},
    {"expect-hrr", SWITCH, AT(expect_retry)},
    {"expect-no-hrr", SWITCH, AT(expect_no_retry)},
    {"expect-cipher-aes", NUMBER, AT(expect_cipher_aes)},
    {"expect-cipher-no-aes", NUMBER, AT(expect_cipher_no_aes)},

    {"trust-cert", IGNORED_VALUE, 0},
    {"verify-peer", SWITCH, AT(verify_peer)},
    {"require-any-client-certificate", SWITCH, AT(requires_certificate)},
    {"verify-fail", SWITCH, AT(verify_fails)},
    {"use-custom-verify-callback", SWITCH, AT(has_custom_verify)},
    {"reverify-on-resume", SWITCH, AT(verifies_on_resume)},
    {"expect-verify-result", SWITCH, AT(expect_verify_result)},
    {"fail-cert-callback", SWITCH, AT(fails_certificate_hook)},
    {"use-old-client-cert-callback", IGNORED, 0},
    {"verify-prefs", SCHEMES, AT(verify_prefs)},
    {"expect-peer-verify-pref", SCHEMES, AT(expect_peer_verify_prefs)},
    {"expect-peer-signature-algorithm", NUMBER, AT(expect_peer_signature)},
    {"expect-selected-credential", SIGNED, AT(expect_credential)},
    {"expect-peer-cert-file", TEXT, AT(expect_peer_cert_file)},
    {"expect-no-peer-cert", IGNORED, 0},
    {"use-client-ca-list", TEXT, AT(client_authorities)},
    {"expect-client-ca-list", TEXT, AT(expect_client_authorities)},
    {"max-cert-list", NUMBER, AT(max_cert_list)},

    {"enable-ocsp-stapling", SWITCH, AT(asks_staple)},
    {"use-ocsp-callback", IGNORED, 0},
    {"set-ocsp-in-callback", IGNORED, 0},
    {"decline-ocsp-callback", SWITCH, AT(declines_staple)},
    {"fail-ocsp-callback", SWITCH, AT(fails_staple_hook)},
    {"expect-ocsp-response", TEXT, AT(expect_staple)},

    {"host-name", TEXT, AT(host_name)},
    {"expect-server-name", TEXT, AT(expect_server_name)},
    {"expect-no-server-name", IGNORED, 0},
    {"no-server-name-ack", SWITCH, AT(no_server_name_ack)},
    {"advertise-alpn", TEXT, AT(advertise_alpn)},
    {"expect-alpn", TEXT, AT(expect_alpn)},
    {"select-alpn", TEXT, AT(select_alpn)},
    {"expect-advertised-alpn", TEXT, AT(expect_advertised_alpn)},
    {"decline-alpn", SWITCH, AT(declines_alpn)},
    {"reject-alpn", SWITCH, AT(rejects_alpn)},

    {"expect-session-miss", SWITCH, AT(expect_miss)},
    {"expect-no-session", SWITCH, AT(expect_no_session)},
    {"expect-ticket-renewal", IGNORED, 0},
    {"no-ticket", SWITCH, AT(no_ticket)},
    {"use-ticket-callback", IGNORED, 0},
    {"use-ticket-aead-callback", IGNORED, 0},
    {"renew-ticket", IGNORED, 0},
    {"skip-ticket", SWITCH, AT(skips_ticket)},
    {"resumption-delay", NUMBER, AT(resumption_delay_s)},
    {"expect-early-data-reason", REASON, 0},

    {"export-keying-material", NUMBER, AT(export_bytes)},
    {"export-label", TEXT, AT(export_label)},
    {"export-context", TEXT, AT(export_context)},
    {"use-export-context", SWITCH, AT(has_export_context)},
    {"export-traffic-secrets", SWITCH, AT(exports_secrets)},
    {"fail-early-callback", SWITCH, AT(fails_hello_hook)},
    {"install-ddos-callback", IGNORED, 0},
    {"fail-ddos-callback", SWITCH, AT(fails_second_hello_hook)},

    {"expect-extended-master-secret", IGNORED, 0},
    {"expect-secure-renegotiation", IGNORED, 0},
    {"expect-no-session-id", IGNORED, 0},
    {"no-legacy-server-connect", IGNORED, 0},
};

/* A bool stands right behind the number of a SIGNED flag. */
_Static_assert(AT(has_expect_credential) == AT(expect_credential) + sizeof(int), "order");

static long long read_number(const char *name, const char *text)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        shim_exit(SHIM_EXIT_FAILED, "-%s: \"%s\" is no decimal number", name, text);
    }
    return number;
}

static int read_int(const char *name, const char *text)
{
    long long number = read_number(name, text);
    if (number < INT32_MIN || number > INT32_MAX) {
        shim_exit(SHIM_EXIT_FAILED, "-%s: %s is out of range", name, text);
    }
    return (int)number;
}

static uint16_t read_group(const char *name, const char *text)
{
    int group = read_int(name, text);
    if (group != 23 && group != 24 && group != 29) { /* P-256, P-384, X25519 */
        exit(SHIM_EXIT_UNIMPLEMENTED);
    }
    return (uint16_t)group;
}

/* Schemes that TLS 1.3 never allows are taken: their tests want a refusal. */
static uint16_t read_scheme(const char *name, const char *text)
{
    static const uint16_t unspoken[] = {0x0420, 0x0603, 0x0904, 0x0905, 0x0906};
    int scheme = read_int(name, text);
    for (size_t i = 0; i < HBK_COUNT(unspoken); i++) {
        if (scheme == unspoken[i]) {
            exit(SHIM_EXIT_UNIMPLEMENTED);
        }
    }
    if (scheme < 0 || scheme > UINT16_MAX) {
        shim_exit(SHIM_EXIT_FAILED, "-%s: %s is no signature scheme", name, text);
    }
    return (uint16_t)scheme;
}

static void append(struct shim_list *list, const char *name, uint16_t number)
{
    if (list->count == SHIM_LIST_MAX) {
        shim_exit(SHIM_EXIT_FAILED, "-%s: more than %d of them", name, SHIM_LIST_MAX);
    }
    list->items[list->count++] = number;
}

static bool has_value(enum kind kind)
{
    return kind != SWITCH && kind != IGNORED;
}

static void set(struct shim_settings *settings, const struct flag *flag, const char *value)
{
    void *at = (char *)settings + flag->offset;
    switch (flag->kind) {
    case SWITCH:
        *(bool *)at = true;
        break;
    case SIGNED:
        *(bool *)((char *)at + sizeof(int)) = true;
        __attribute__((fallthrough));
    case NUMBER:
        *(int *)at = read_int(flag->name, value);
        break;
    case VERSION:
        *(int *)at = read_int(flag->name, value);
        if (flag->offset == AT(max_version) && *(int *)at < 772) {
            exit(SHIM_EXIT_UNIMPLEMENTED);
        }
        break;
    case TEXT:
        *(const char **)at = value;
        break;
    case GROUP:
        *(int *)at = read_group(flag->name, value);
        break;
    case GROUPS:
        append(at, flag->name, read_group(flag->name, value));
        break;
    case SCHEMES:
        append(at, flag->name, read_scheme(flag->name, value));
        break;
    case REASON:
        if (strcmp(value, "disabled") != 0) {
            exit(SHIM_EXIT_UNIMPLEMENTED);
        }
        break;
    case IGNORED:
    case IGNORED_VALUE:
        break;
    }
}

/* ---- credentials and what holds for the whole program ---- */

static const char *next(char *const **in_out_rest, const char *name)
{
    const char *value = **in_out_rest;
    if (value == NULL) {
        shim_exit(SHIM_EXIT_FAILED, "-%s: a value is missing", name);
    }
    (*in_out_rest)++;
    return value;
}

/* True when the flag was one of a credential. */
static bool set_credential(struct shim_flags *flags, const char *name, char *const **rest)
{
    struct shim_credential_flags *newest = &flags->credentials[flags->credential_count - 1];
    if (strcmp(name, "new-x509-credential") == 0) {
        if (flags->credential_count == SHIM_CREDENTIALS_MAX) {
            shim_exit(SHIM_EXIT_FAILED, "-%s: more than %d of them", name,
                      SHIM_CREDENTIALS_MAX - 1);
        }
        flags->credential_count++;
    } else if (strcmp(name, "must-match-issuer") == 0) {
        newest->must_match_issuer = true;
    } else if (strcmp(name, "cert-file") == 0) {
        newest->cert_file = next(rest, name);
    } else if (strcmp(name, "key-file") == 0) {
        newest->key_file = next(rest, name);
    } else if (strcmp(name, "ocsp-response") == 0) {
        newest->ocsp_response = next(rest, name);
    } else if (strcmp(name, "signing-prefs") == 0) {
        append(&newest->signing_prefs, name, read_scheme(name, next(rest, name)));
    } else {
        return false;
    }
    return true;
}

/* True when the flag was one of the whole program. */
static bool set_program(struct shim_flags *flags, const char *name, char *const **rest)
{
    if (strcmp(name, "port") == 0) {
        flags->port = read_int(name, next(rest, name));
    } else if (strcmp(name, "shim-id") == 0) {
        const char *text = next(rest, name);
        char *end = NULL;
        errno = 0;
        flags->shim_id = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0') {
            shim_exit(SHIM_EXIT_FAILED, "-%s: \"%s\" is no number of 64 bits", name, text);
        }
    } else if (strcmp(name, "resume-count") == 0) {
        flags->resume_count = read_int(name, next(rest, name));
    } else if (strcmp(name, "write-settings") == 0) {
        (void)next(rest, name);
    } else if (strcmp(name, "ipv6") == 0) {
        flags->is_ipv6 = true;
    } else if (strcmp(name, "server") == 0) {
        flags->is_server = true;
    } else if (strcmp(name, "is-handshaker-supported") == 0) {
        flags->asks_handshaker = true;
    } else if (strcmp(name, "wait-for-debugger") == 0) {
        flags->waits_for_debugger = true;
    } else {
        return false;
    }
    return true;
}

/* Strips the prefixes and says which connections are left; another program's flags are not ours. */
static const char *strip(const char *name, bool *out_initial, bool *out_resumed)
{
    static const char initial[] = "on-initial-";
    static const char resumed[] = "on-resume-";
    *out_initial = true;
    *out_resumed = true;
    for (;;) {
        if (strncmp(name, initial, sizeof initial - 1) == 0) {
            *out_resumed = false;
            name += sizeof initial - 1;
        } else if (strncmp(name, resumed, sizeof resumed - 1) == 0) {
            *out_initial = false;
            name += sizeof resumed - 1;
        } else {
            return name;
        }
    }
}

static void set_settings(struct shim_flags *flags, const char *argument, char *const **rest)
{
    bool is_initial;
    bool is_resumed;
    const char *name = strip(argument, &is_initial, &is_resumed);
    for (size_t i = 0; i < HBK_COUNT(table); i++) {
        const struct flag *flag = &table[i];
        if (strcmp(flag->name, name) == 0) {
            const char *value = has_value(flag->kind) ? next(rest, argument) : NULL;
            if (is_initial) {
                set(&flags->initial, flag, value);
            }
            if (is_resumed) {
                set(&flags->resumed, flag, value);
            }
            return;
        }
    }
    exit(SHIM_EXIT_UNIMPLEMENTED);
}

void shim_flags_read(struct shim_flags *flags, char *const *arguments)
{
    *flags = (struct shim_flags){.credential_count = 1};
    char *const *rest = arguments + 1;
    while (*rest != NULL) {
        const char *argument = *rest++;
        if (argument[0] != '-') {
            shim_exit(SHIM_EXIT_FAILED, "\"%s\" is no flag", argument);
        }
        if (!set_program(flags, argument + 1, &rest) &&
            !set_credential(flags, argument + 1, &rest)) {
            set_settings(flags, argument + 1, &rest);
        }
    }
}
