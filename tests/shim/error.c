/*
 * The engine says why it refuses in one sentence per reason, and its sentences are stable: this
 * table maps them. What is not in it is named after the alert. tests/shim/test_shim.py checks that
 * every sentence here is one of the engine's.
 */
#include "error.h"

#include <stdio.h>
#include <string.h>

#include "observer.h"
#include "tls/alert.h"

struct name {
    const char *text;
    const char *names;
};

static const struct name by_text[] = {
    /* messages */
    {"the ClientHello is malformed", ":CLIENTHELLO_PARSE_FAILED: :DECODE_ERROR:"},
    {"the ClientHello does not end with its extensions",
     ":CLIENTHELLO_PARSE_FAILED: :DECODE_ERROR:"},
    {"two key shares for one group", ":DUPLICATE_KEY_SHARE:"},
    {"pre_shared_key has not as many binders as identities",
     ":PSK_IDENTITY_BINDER_COUNT_MISMATCH:"},
    {"pre_shared_key is not the last extension", ":PRE_SHARED_KEY_MUST_BE_LAST:"},
    {"the CertificateRequest has no signature_algorithms", ":DECODE_ERROR:"},
    {"the extension application_layer_protocol_negotiation is malformed",
     ":PARSE_TLSEXT: :ERROR_PARSING_EXTENSION:"},
    {"a key update with an unknown request", ":DECODE_ERROR:"},

    /* records */
    {"an alert of a wrong size", ":BAD_ALERT:"},
    {"an empty alert", ":BAD_ALERT:"},
    {"an alert of an unknown level", ":UNKNOWN_ALERT_TYPE:"},
    {"too many warnings in a row", ":TOO_MANY_WARNING_ALERTS:"},
    {"a change_cipher_spec that may not come", ":UNEXPECTED_RECORD:"},
    {"too many change_cipher_specs in a row", ":TOO_MANY_EMPTY_FRAGMENTS:"},
    {"too many records without application data",
     ":TOO_MANY_EMPTY_FRAGMENTS: :TOO_MANY_KEY_UPDATES:"},
    {"the peer speaks HTTP in the clear", ":HTTP_REQUEST:"},
    {"the peer asks for an HTTP proxy", ":HTTPS_PROXY_REQUEST:"},
    {"bytes that are no TLS record", ":WRONG_VERSION_NUMBER: :UNEXPECTED_RECORD:"},
    {"a record of no known type", ":UNEXPECTED_RECORD: :WRONG_VERSION_NUMBER:"},
    {"a record of unknown type", ":UNEXPECTED_RECORD:"},
    {"a record that is too long", ":ENCRYPTED_LENGTH_TOO_LONG: :DATA_LENGTH_TOO_LONG:"},
    {"a record too long", ":ENCRYPTED_LENGTH_TOO_LONG: :DATA_LENGTH_TOO_LONG:"},
    {"too much early data", ":TOO_MUCH_SKIPPED_EARLY_DATA:"},
    {"a record that may not come during the handshake", ":UNEXPECTED_RECORD:"},
    {"another record within a handshake message", ":UNEXPECTED_RECORD: :UNEXPECTED_MESSAGE:"},
    {"a record in the clear, or one without content",
     ":DECRYPTION_FAILED_OR_BAD_RECORD_MAC: :INVALID_OUTER_RECORD_TYPE: :UNEXPECTED_RECORD:"},
    {"a record that is not encrypted, or is empty",
     ":DECRYPTION_FAILED_OR_BAD_RECORD_MAC: :INVALID_OUTER_RECORD_TYPE: :UNEXPECTED_RECORD:"},
    {"a message behind Finished in one record", ":EXCESS_HANDSHAKE_DATA:"},
    {"a message behind the server's hello in one record", ":EXCESS_HANDSHAKE_DATA:"},
    {"a message behind the client's hello in one record", ":EXCESS_HANDSHAKE_DATA:"},
    {"a message behind a key update in one record", ":EXCESS_HANDSHAKE_DATA:"},

    /* versions, suites, groups */
    {"the server chose a version that was not offered", ":UNSUPPORTED_PROTOCOL:"},
    {"the server speaks TLS 1.3 and was made to choose an older one", ":TLS13_DOWNGRADE:"},
    {"the server does not speak TLS 1.3", ":UNSUPPORTED_PROTOCOL:"},
    {"another version than in the HelloRetryRequest", ":SECOND_SERVERHELLO_VERSION_MISMATCH:"},
    {"the client does not speak TLS 1.3", ":UNSUPPORTED_PROTOCOL:"},
    {"a hello that offers compression", ":INVALID_COMPRESSION_LIST:"},
    {"a hello without groups or shares", ":MISSING_KEY_SHARE: :NO_SHARED_GROUP:"},
    {"no cipher suite in common", ":NO_SHARED_CIPHER:"},
    {"no group in common", ":NO_SHARED_GROUP:"},
    {"the server chose a cipher suite that was not offered", ":WRONG_CIPHER_RETURNED:"},
    {"the server answers another session id", ":SERVER_ECHOED_INVALID_SESSION_ID:"},
    {"a second HelloRetryRequest", ":UNEXPECTED_MESSAGE:"},
    {"a HelloRetryRequest that changes nothing", ":EMPTY_HELLO_RETRY_REQUEST:"},
    {"a HelloRetryRequest for a group that was not offered, or has its share", ":WRONG_CURVE:"},
    {"a ServerHello without a key share", ":MISSING_KEY_SHARE:"},
    {"the server's key share is of a group without a share of ours", ":WRONG_CURVE:"},
    {"a second hello without the share that was asked for", ":WRONG_CURVE:"},
    {"a key share of a wrong size", ":BAD_ECPOINT:"},
    {"a key share that is no point of its group, or of small order", ":BAD_ECPOINT:"},

    /* resumption */
    {"a hello with a session to resume, but without a mode for it", ":MISSING_EXTENSION:"},
    {"a session to resume whose binder is wrong", ":DIGEST_CHECK_FAILED:"},
    {"the server resumes a session that was not offered", ":UNEXPECTED_EXTENSION:"},
    {"the server resumes another session than the one that was offered",
     ":PSK_IDENTITY_NOT_FOUND: :OLD_SESSION_PRF_HASH_MISMATCH:"},

    /* certificates, signatures, the end */
    {"the peer presented no certificate", ":PEER_DID_NOT_RETURN_A_CERTIFICATE:"},
    {"the server presented no certificate", ":PEER_DID_NOT_RETURN_A_CERTIFICATE: :DECODE_ERROR:"},
    {"a chain of too many certificates", ":EXCESSIVE_MESSAGE_SIZE:"},
    {"a handshake message that is too long", ":EXCESSIVE_MESSAGE_SIZE:"},
    {"a signature of a scheme that was not offered or is not the key's", ":WRONG_SIGNATURE_TYPE:"},
    {"the peer does not have the key of its certificate", ":BAD_SIGNATURE:"},
    {"a hello without signature algorithms", ":NO_COMMON_SIGNATURE_ALGORITHMS:"},
    {"no certificate of ours signs by an algorithm that the client accepts",
     ":NO_COMMON_SIGNATURE_ALGORITHMS:"},
    {"a Finished that is wrong: the handshake was changed on the way", ":DIGEST_CHECK_FAILED:"},
    {"the server chose an application protocol that was not offered", ":INVALID_ALPN_PROTOCOL:"},
};

/* How sentences end that have the name of an extension in the middle. */
static const struct name by_ending[] = {
    {" stands there twice", ":DUPLICATE_EXTENSION:"},
    {" was not asked for", ":UNEXPECTED_EXTENSION: :ERROR_PARSING_EXTENSION:"},
    {" may not stand in this message", ":UNEXPECTED_EXTENSION: :ERROR_PARSING_EXTENSION:"},
};

/* Of our own alerts, for sentences that have no line above. */
static const char *name_of_alert(int alert)
{
    switch (alert) {
    case HBK_ALERT_UNEXPECTED_MESSAGE:
        return ":UNEXPECTED_MESSAGE:";
    case HBK_ALERT_BAD_RECORD_MAC:
        return ":DECRYPTION_FAILED_OR_BAD_RECORD_MAC:";
    case HBK_ALERT_DECODE_ERROR:
        return ":DECODE_ERROR: :ERROR_PARSING_EXTENSION:";
    case HBK_ALERT_NO_APPLICATION_PROTOCOL:
        return ":NO_APPLICATION_PROTOCOL:";
    case HBK_ALERT_UNSUPPORTED_CERTIFICATE:
        return ":KEY_USAGE_BIT_INCORRECT:";
    default:
        return "";
    }
}

static const char *name_of_received(int alert)
{
    switch (alert) {
    case HBK_ALERT_RECORD_OVERFLOW:
        return ":TLSV1_ALERT_RECORD_OVERFLOW:";
    case HBK_ALERT_HANDSHAKE_FAILURE:
        return shim_observed.has_hello
                   ? ":SSLV3_ALERT_HANDSHAKE_FAILURE:"
                   : ":SSLV3_ALERT_HANDSHAKE_FAILURE: :HANDSHAKE_FAILURE_ON_CLIENT_HELLO:";
    case 30:
        return ":SSLV3_ALERT_DECOMPRESSION_FAILURE:";
    default:
        return "";
    }
}

static const char *name_of(const struct hbk_tls_failure *failure)
{
    if (shim_observed.refusal != NULL) {
        return shim_observed.refusal;
    }
    if (failure->alert_is_received) {
        return name_of_received(failure->alert);
    }
    for (size_t i = 0; i < HBK_COUNT(by_text); i++) {
        if (strcmp(by_text[i].text, failure->text) == 0) {
            return by_text[i].names;
        }
    }
    for (size_t i = 0; i < HBK_COUNT(by_ending); i++) {
        if (hbk_slice_ends_with(hbk_slice_text(failure->text), hbk_slice_text(by_ending[i].text))) {
            return by_ending[i].names;
        }
    }
    return name_of_alert(failure->alert);
}

void shim_report_failure(const struct hbk_tls_failure *failure)
{
    const char *more = shim_observed.is_key_foreign ? " :UNSUPPORTED_ALGORITHM:" : "";
    (void)fprintf(stderr, "%s%s %s (%s, alert %s)\n", name_of(failure), more, failure->text,
                  hbk_status_text(failure->status), hbk_tls_alert_text(failure->alert));
}

bool shim_is_older_version(const struct shim_settings *settings,
                           const struct hbk_tls_failure *failure)
{
    uint16_t version = shim_observed.version_seen;
    if (settings->min_version == 772 || settings->no_tls12) {
        return false;
    }
    if (failure->alert_is_received) {
        return failure->alert == HBK_ALERT_PROTOCOL_VERSION && !shim_observed.has_hello;
    }
    return shim_observed.has_hello && version >= 0x0301 && version <= 0x0303 &&
           failure->alert == HBK_ALERT_PROTOCOL_VERSION;
}
