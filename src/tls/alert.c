#include "tls/alert.h"

static const struct {
    int number;
    const char *name;
} names[] = {
    {HBK_ALERT_CLOSE_NOTIFY, "close_notify"},
    {HBK_ALERT_UNEXPECTED_MESSAGE, "unexpected_message"},
    {HBK_ALERT_BAD_RECORD_MAC, "bad_record_mac"},
    {HBK_ALERT_RECORD_OVERFLOW, "record_overflow"},
    {HBK_ALERT_HANDSHAKE_FAILURE, "handshake_failure"},
    {HBK_ALERT_BAD_CERTIFICATE, "bad_certificate"},
    {HBK_ALERT_UNSUPPORTED_CERTIFICATE, "unsupported_certificate"},
    {HBK_ALERT_CERTIFICATE_REVOKED, "certificate_revoked"},
    {HBK_ALERT_CERTIFICATE_EXPIRED, "certificate_expired"},
    {HBK_ALERT_CERTIFICATE_UNKNOWN, "certificate_unknown"},
    {HBK_ALERT_ILLEGAL_PARAMETER, "illegal_parameter"},
    {HBK_ALERT_UNKNOWN_CA, "unknown_ca"},
    {HBK_ALERT_ACCESS_DENIED, "access_denied"},
    {HBK_ALERT_DECODE_ERROR, "decode_error"},
    {HBK_ALERT_DECRYPT_ERROR, "decrypt_error"},
    {HBK_ALERT_PROTOCOL_VERSION, "protocol_version"},
    {HBK_ALERT_INSUFFICIENT_SECURITY, "insufficient_security"},
    {HBK_ALERT_INTERNAL_ERROR, "internal_error"},
    {HBK_ALERT_INAPPROPRIATE_FALLBACK, "inappropriate_fallback"},
    {HBK_ALERT_USER_CANCELED, "user_canceled"},
    {HBK_ALERT_MISSING_EXTENSION, "missing_extension"},
    {HBK_ALERT_UNSUPPORTED_EXTENSION, "unsupported_extension"},
    {HBK_ALERT_UNRECOGNIZED_NAME, "unrecognized_name"},
    {HBK_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE, "bad_certificate_status_response"},
    {HBK_ALERT_UNKNOWN_PSK_IDENTITY, "unknown_psk_identity"},
    {HBK_ALERT_CERTIFICATE_REQUIRED, "certificate_required"},
    {HBK_ALERT_NO_APPLICATION_PROTOCOL, "no_application_protocol"},
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
