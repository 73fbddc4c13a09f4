#include "tls/alert.h"

static const struct {
    int number;
    const char *name;
    const char *received; /* the sentence for one that the peer sent */
} names[] = {
#define NAME(number, name)                            \
    {                                                 \
        number, name, "the peer sent the alert " name \
    }
    NAME(HBK_ALERT_CLOSE_NOTIFY, "close_notify"),
    NAME(HBK_ALERT_UNEXPECTED_MESSAGE, "unexpected_message"),
    NAME(HBK_ALERT_BAD_RECORD_MAC, "bad_record_mac"),
    NAME(HBK_ALERT_RECORD_OVERFLOW, "record_overflow"),
    NAME(HBK_ALERT_HANDSHAKE_FAILURE, "handshake_failure"),
    NAME(HBK_ALERT_BAD_CERTIFICATE, "bad_certificate"),
    NAME(HBK_ALERT_UNSUPPORTED_CERTIFICATE, "unsupported_certificate"),
    NAME(HBK_ALERT_CERTIFICATE_REVOKED, "certificate_revoked"),
    NAME(HBK_ALERT_CERTIFICATE_EXPIRED, "certificate_expired"),
    NAME(HBK_ALERT_CERTIFICATE_UNKNOWN, "certificate_unknown"),
    NAME(HBK_ALERT_ILLEGAL_PARAMETER, "illegal_parameter"),
    NAME(HBK_ALERT_UNKNOWN_CA, "unknown_ca"),
    NAME(HBK_ALERT_ACCESS_DENIED, "access_denied"),
    NAME(HBK_ALERT_DECODE_ERROR, "decode_error"),
    NAME(HBK_ALERT_DECRYPT_ERROR, "decrypt_error"),
    NAME(HBK_ALERT_PROTOCOL_VERSION, "protocol_version"),
    NAME(HBK_ALERT_INSUFFICIENT_SECURITY, "insufficient_security"),
    NAME(HBK_ALERT_INTERNAL_ERROR, "internal_error"),
    NAME(HBK_ALERT_INAPPROPRIATE_FALLBACK, "inappropriate_fallback"),
    NAME(HBK_ALERT_USER_CANCELED, "user_canceled"),
    NAME(HBK_ALERT_MISSING_EXTENSION, "missing_extension"),
    NAME(HBK_ALERT_UNSUPPORTED_EXTENSION, "unsupported_extension"),
    NAME(HBK_ALERT_UNRECOGNIZED_NAME, "unrecognized_name"),
    NAME(HBK_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE, "bad_certificate_status_response"),
    NAME(HBK_ALERT_UNKNOWN_PSK_IDENTITY, "unknown_psk_identity"),
    NAME(HBK_ALERT_CERTIFICATE_REQUIRED, "certificate_required"),
    NAME(HBK_ALERT_NO_APPLICATION_PROTOCOL, "no_application_protocol"),
#undef NAME
};

const char *hbk_tls_alert_text(int alert)
{
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if (names[i].number == alert) {
            return names[i].name;
        }
    }
    return "unknown";
}

const char *hbk_tls_alert_received_text(int alert)
{
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if (names[i].number == alert) {
            return names[i].received;
        }
    }
    return "the peer sent an unknown alert";
}
