/*
 * The extensions of handshake messages (RFC 8446, 4.2), as the readers of messages meet them: a
 * list is split into bodies, each known kind at most once; what a body means is the message's
 * matter. Private to the codec; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/slice.h"
#include "tls/message.h"

/* RFC 8446, 4.2; RFC 8449, 4 (record_size_limit). */
enum hbk_extension_type {
    HBK_EXTENSION_SERVER_NAME = 0,
    HBK_EXTENSION_STATUS_REQUEST = 5,
    HBK_EXTENSION_GROUPS = 10,
    HBK_EXTENSION_SCHEMES = 13,
    HBK_EXTENSION_PROTOCOLS = 16,
    HBK_EXTENSION_RECORD_SIZE_LIMIT = 28,
    HBK_EXTENSION_PSK = 41,
    HBK_EXTENSION_EARLY_DATA = 42,
    HBK_EXTENSION_VERSIONS = 43,
    HBK_EXTENSION_COOKIE = 44,
    HBK_EXTENSION_PSK_MODES = 45,
    HBK_EXTENSION_AUTHORITIES = 47,
    HBK_EXTENSION_CERTIFICATE_SCHEMES = 50,
    HBK_EXTENSION_SHARES = 51,
};

enum { HBK_EXTENSION_KINDS = 14 }; /* HBK_HAS_... */

static inline struct hbk_complaint hbk_complain(int alert, const char *text)
{
    return (struct hbk_complaint){.alert = alert, .text = text};
}

/* A list, split. */
struct hbk_extensions {
    uint32_t has; /* HBK_HAS_... */
    bool has_unknown;
    int last_type;                                /* -1: the list is empty */
    struct hbk_slice bodies[HBK_EXTENSION_KINDS]; /* borrowed from the list */
};

/*
 * Splits a list (without its outer length). Complaints: decode_error; `alert_if_twice` for a type
 * that stands there twice, known or not; illegal_parameter for more than
 * HBK_MESSAGE_EXTENSIONS_MAX.
 */
HBK_MUST_USE struct hbk_complaint hbk_extensions_split(struct hbk_slice list, int alert_if_twice,
                                                       struct hbk_extensions *out_extensions);

/* The body of one that is there; `kind` is one HBK_HAS_... */
struct hbk_slice hbk_extension_body(const struct hbk_extensions *extensions, uint32_t kind);

/* Complains with `alert` if there is a known one besides `allowed`: it may not stand here. */
HBK_MUST_USE struct hbk_complaint hbk_extensions_allow(const struct hbk_extensions *extensions,
                                                       uint32_t allowed, int alert);

/* Complains (unsupported_extension) of one that is unknown or not among `asked`: nobody asked. */
HBK_MUST_USE struct hbk_complaint hbk_extensions_answer(const struct hbk_extensions *extensions,
                                                        uint32_t asked);

/* decode_error, if the body `is_good` no; `kind` is one HBK_HAS_... */
HBK_MUST_USE struct hbk_complaint hbk_extension_judge(uint32_t kind, bool is_good);

/* ---- bodies that several messages have; false: malformed ---- */

/* The body is nothing but a vector behind a length of that many bytes, which is not empty. */
HBK_MUST_USE bool hbk_extension_vector(struct hbk_slice body, size_t length_bytes,
                                       struct hbk_slice *out_list);

/* The same with numbers of two bytes in it. */
HBK_MUST_USE bool hbk_extension_numbers(struct hbk_slice body, size_t length_bytes,
                                        struct hbk_slice *out_list);

/* The same with parts in it, each of at least one byte behind a length of `part_length_bytes`. */
HBK_MUST_USE bool hbk_extension_parts(struct hbk_slice body, size_t part_length_bytes,
                                      struct hbk_slice *out_list);

/* RFC 6066, 8: a CertificateStatusRequest. */
HBK_MUST_USE bool hbk_extension_status_request(struct hbk_slice body, bool *out_wants_ocsp);

/* A number of two bytes and nothing else. */
HBK_MUST_USE bool hbk_extension_number(struct hbk_slice body, uint16_t *out_number);

/* RFC 8449, 4. Complaints: decode_error; illegal_parameter for a limit below 64 bytes. */
HBK_MUST_USE struct hbk_complaint hbk_extension_record_size_limit(struct hbk_slice body,
                                                                  uint16_t *out_limit);
