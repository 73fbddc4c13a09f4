/*
 * The handshake messages behind the hellos, read. They exist in TLS 1.3 alone, or look different
 * there, so that everything in them may be judged.
 */
#include "base/cursor.h"
#include "identity/svid.h"
#include "tls/extension.h"

_Static_assert((int)HBK_MESSAGE_CERTIFICATES_MAX == (int)HBK_CHAIN_CERTIFICATES_MAX,
               "a chain that may be judged fits into its message");

/* The whole rest of a message is a list of extensions: takes it and splits it. */
static struct hbk_complaint take_extensions(struct hbk_cursor *cursor, int alert_if_twice,
                                            const char *text_if_malformed,
                                            struct hbk_extensions *out_extensions)
{
    struct hbk_slice list = hbk_cursor_prefixed(cursor, 2);
    if (!hbk_cursor_is_done(cursor)) {
        return hbk_complain(HBK_ALERT_DECODE_ERROR, text_if_malformed);
    }
    return hbk_extensions_split(list, alert_if_twice, out_extensions);
}

/* ---- EncryptedExtensions (RFC 8446, 4.3.1) ---- */

/* RFC 7301, 3.1: a list as in the ClientHello, but of one name. */
static bool read_protocol(struct hbk_slice body, struct hbk_slice *out_protocol)
{
    struct hbk_slice list;
    if (!hbk_extension_parts(body, 1, &list)) {
        return false;
    }
    struct hbk_cursor cursor = hbk_cursor_of(list);
    *out_protocol = hbk_cursor_prefixed(&cursor, 1);
    return hbk_cursor_is_done(&cursor);
}

/* RFC 8449, 4: a client may refuse what no server of TLS 1.3 can mean. */
static struct hbk_complaint read_server_limit(struct hbk_slice body, uint16_t *out_limit)
{
    struct hbk_complaint complaint = hbk_extension_record_size_limit(body, out_limit);
    if (complaint.alert == HBK_ALERT_NONE && *out_limit > HBK_MESSAGE_RECORD_SIZE_LIMIT_MAX) {
        return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER, "record_size_limit is above 16,385 bytes");
    }
    return complaint;
}

static struct hbk_complaint read_encrypted_extension(uint32_t kind, struct hbk_slice body,
                                                     struct hbk_encrypted_extensions *message)
{
    struct hbk_slice groups; /* for later connections (RFC 8446, 4.2.7), which begin anew here */
    switch (kind) {
    case HBK_HAS_SERVER_NAME: /* RFC 6066, 3 */
    case HBK_HAS_EARLY_DATA:
        return hbk_extension_judge(kind, body.size == 0);
    case HBK_HAS_GROUPS:
        return hbk_extension_judge(kind, hbk_extension_numbers(body, 2, &groups));
    case HBK_HAS_PROTOCOLS:
        return hbk_extension_judge(kind, read_protocol(body, &message->protocol));
    case HBK_HAS_RECORD_SIZE_LIMIT:
        return read_server_limit(body, &message->record_size_limit);
    default:
        return HBK_NO_COMPLAINT;
    }
}

struct hbk_complaint hbk_encrypted_extensions_read(struct hbk_slice body, uint32_t offered,
                                                   struct hbk_encrypted_extensions *out_extensions)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    struct hbk_extensions extensions;
    struct hbk_complaint complaint =
        take_extensions(&cursor, HBK_ALERT_DECODE_ERROR,
                        "EncryptedExtensions is not one list of extensions", &extensions);
    if (complaint.alert == HBK_ALERT_NONE) {
        complaint = hbk_extensions_answer(&extensions, offered);
    }
    if (complaint.alert == HBK_ALERT_NONE) {
        complaint = hbk_extensions_allow(&extensions,
                                         HBK_HAS_SERVER_NAME | HBK_HAS_GROUPS | HBK_HAS_PROTOCOLS |
                                             HBK_HAS_RECORD_SIZE_LIMIT | HBK_HAS_EARLY_DATA,
                                         HBK_ALERT_ILLEGAL_PARAMETER);
    }
    if (complaint.alert != HBK_ALERT_NONE) {
        return complaint;
    }
    struct hbk_encrypted_extensions message = {.has = extensions.has};
    for (uint32_t left = message.has; left != 0; left &= left - 1) {
        uint32_t kind = left & -left;
        complaint = read_encrypted_extension(kind, hbk_extension_body(&extensions, kind), &message);
        if (complaint.alert != HBK_ALERT_NONE) {
            return complaint;
        }
    }
    *out_extensions = message;
    return HBK_NO_COMPLAINT;
}

/* ---- CertificateRequest (RFC 8446, 4.3.2) ---- */

/* RFC 8446, 4.4.2.1, has it empty; a request as in a ClientHello says the same. */
static bool read_staple_request(struct hbk_slice body, bool *out_wants_ocsp)
{
    if (body.size == 0) {
        *out_wants_ocsp = true;
        return true;
    }
    return hbk_extension_status_request(body, out_wants_ocsp);
}

static struct hbk_complaint read_request_extension(uint32_t kind, struct hbk_slice body,
                                                   struct hbk_certificate_request *request)
{
    switch (kind) {
    case HBK_HAS_STATUS_REQUEST:
        return hbk_extension_judge(kind, read_staple_request(body, &request->wants_ocsp));
    case HBK_HAS_SCHEMES:
        return hbk_extension_judge(kind, hbk_extension_numbers(body, 2, &request->schemes));
    case HBK_HAS_CERTIFICATE_SCHEMES:
        return hbk_extension_judge(kind,
                                   hbk_extension_numbers(body, 2, &request->certificate_schemes));
    case HBK_HAS_AUTHORITIES:
        return hbk_extension_judge(kind, hbk_extension_parts(body, 2, &request->authorities));
    default:
        return HBK_NO_COMPLAINT;
    }
}

struct hbk_complaint hbk_certificate_request_read(struct hbk_slice body,
                                                  struct hbk_certificate_request *out_request)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    struct hbk_certificate_request request = {.context = hbk_cursor_prefixed(&cursor, 1)};
    struct hbk_extensions extensions;
    struct hbk_complaint complaint = take_extensions(
        &cursor, HBK_ALERT_ILLEGAL_PARAMETER, "the CertificateRequest is malformed", &extensions);
    if (complaint.alert == HBK_ALERT_NONE) {
        complaint = hbk_extensions_allow(&extensions,
                                         HBK_HAS_STATUS_REQUEST | HBK_HAS_SCHEMES |
                                             HBK_HAS_CERTIFICATE_SCHEMES | HBK_HAS_AUTHORITIES,
                                         HBK_ALERT_ILLEGAL_PARAMETER);
    }
    if (complaint.alert != HBK_ALERT_NONE) {
        return complaint;
    }
    request.has = extensions.has;
    for (uint32_t left = request.has; left != 0; left &= left - 1) {
        uint32_t kind = left & -left;
        complaint = read_request_extension(kind, hbk_extension_body(&extensions, kind), &request);
        if (complaint.alert != HBK_ALERT_NONE) {
            return complaint;
        }
    }
    if ((request.has & HBK_HAS_SCHEMES) == 0) {
        return hbk_complain(HBK_ALERT_MISSING_EXTENSION,
                            "the CertificateRequest has no signature_algorithms");
    }
    *out_request = request;
    return HBK_NO_COMPLAINT;
}

/* ---- Certificate (RFC 8446, 4.4.2) ---- */

/* RFC 6066, 8: a CertificateStatus of type ocsp. */
static bool read_staple(struct hbk_slice body, struct hbk_slice *out_staple)
{
    enum { TYPE_OCSP = 1 };
    struct hbk_cursor cursor = hbk_cursor_of(body);
    uint64_t type = hbk_cursor_number(&cursor, 1);
    struct hbk_slice staple = hbk_cursor_prefixed(&cursor, 3);
    if (!hbk_cursor_is_done(&cursor) || type != TYPE_OCSP || staple.size == 0) {
        return false;
    }
    *out_staple = staple;
    return true;
}

/* The extensions of one certificate; a staple for an issuer is read and ignored. */
static struct hbk_complaint read_certificate_extensions(struct hbk_slice list, uint32_t offered,
                                                        struct hbk_slice *out_staple)
{
    struct hbk_extensions extensions;
    struct hbk_complaint complaint =
        hbk_extensions_split(list, HBK_ALERT_ILLEGAL_PARAMETER, &extensions);
    if (complaint.alert == HBK_ALERT_NONE) {
        complaint = hbk_extensions_answer(&extensions, offered & HBK_HAS_STATUS_REQUEST);
    }
    if (complaint.alert == HBK_ALERT_NONE && extensions.has != 0) {
        struct hbk_slice body = hbk_extension_body(&extensions, HBK_HAS_STATUS_REQUEST);
        complaint = hbk_extension_judge(HBK_HAS_STATUS_REQUEST, read_staple(body, out_staple));
    }
    return complaint;
}

struct hbk_complaint hbk_certificate_message_read(struct hbk_slice body, uint32_t offered,
                                                  struct hbk_certificate_message *out_message)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    struct hbk_certificate_message message = {.context = hbk_cursor_prefixed(&cursor, 1)};
    struct hbk_cursor entries = hbk_cursor_of(hbk_cursor_prefixed(&cursor, 3));
    if (!hbk_cursor_is_done(&cursor)) {
        return hbk_complain(HBK_ALERT_DECODE_ERROR, "the Certificate message is malformed");
    }
    for (; entries.left.size > 0; message.count++) {
        struct hbk_slice certificate = hbk_cursor_prefixed(&entries, 3);
        struct hbk_slice list = hbk_cursor_prefixed(&entries, 2);
        if (entries.has_failed || certificate.size == 0) {
            return hbk_complain(HBK_ALERT_DECODE_ERROR,
                                "the Certificate message has a malformed entry");
        }
        struct hbk_slice staple = {0};
        struct hbk_complaint complaint = read_certificate_extensions(list, offered, &staple);
        if (complaint.alert != HBK_ALERT_NONE) {
            return complaint;
        }
        if (message.count == 0) {
            message.staple = staple;
        }
        if (message.count < HBK_MESSAGE_CERTIFICATES_MAX) {
            message.certificates[message.count] = certificate;
        }
    }
    *out_message = message;
    return HBK_NO_COMPLAINT;
}

/* ---- CertificateVerify (RFC 8446, 4.4.3), NewSessionTicket (4.6.1) ---- */

struct hbk_complaint hbk_certificate_verify_read(struct hbk_slice body,
                                                 struct hbk_certificate_verify *out_verify)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    uint16_t scheme = (uint16_t)hbk_cursor_number(&cursor, 2);
    struct hbk_slice signature = hbk_cursor_prefixed(&cursor, 2);
    if (!hbk_cursor_is_done(&cursor)) {
        return hbk_complain(HBK_ALERT_DECODE_ERROR, "the CertificateVerify is malformed");
    }
    *out_verify = (struct hbk_certificate_verify){.scheme = scheme, .signature = signature};
    return HBK_NO_COMPLAINT;
}

struct hbk_complaint hbk_new_session_ticket_read(struct hbk_slice body,
                                                 struct hbk_new_session_ticket *out_ticket)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    struct hbk_new_session_ticket ticket = {0};
    ticket.lifetime_s = (uint32_t)hbk_cursor_number(&cursor, 4);
    ticket.age_add = (uint32_t)hbk_cursor_number(&cursor, 4);
    ticket.nonce = hbk_cursor_prefixed(&cursor, 1);
    ticket.ticket = hbk_cursor_prefixed(&cursor, 2);
    if (ticket.ticket.size == 0) {
        cursor.has_failed = true;
    }
    struct hbk_extensions extensions;
    struct hbk_complaint complaint = take_extensions(
        &cursor, HBK_ALERT_ILLEGAL_PARAMETER, "the NewSessionTicket is malformed", &extensions);
    if (complaint.alert == HBK_ALERT_NONE) {
        complaint =
            hbk_extensions_allow(&extensions, HBK_HAS_EARLY_DATA, HBK_ALERT_ILLEGAL_PARAMETER);
    }
    if (complaint.alert == HBK_ALERT_NONE && extensions.has != 0) {
        /* max_early_data_size: a number that we have no use for. */
        struct hbk_slice size = hbk_extension_body(&extensions, HBK_HAS_EARLY_DATA);
        complaint = hbk_extension_judge(HBK_HAS_EARLY_DATA, size.size == 4);
    }
    if (complaint.alert == HBK_ALERT_NONE) {
        *out_ticket = ticket;
    }
    return complaint;
}
