/*
 * The handshake messages of TLS 1.3 (RFC 8446, section 4 and appendix B.3), read and written.
 * Reading lends slices of the message and judges everything that does not depend on the state of
 * the handshake: lengths, duplicates, lists that may not be empty, which extension may stand in
 * which message. No state, no memory of its own; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "tls/alert.h"
#include "tls/parameter.h"
#include "tls/writer.h"

enum {
    HBK_MESSAGE_HEADER_BYTES = 4,
    HBK_MESSAGE_RANDOM_BYTES = 32,
    HBK_MESSAGE_SESSION_ID_BYTES_MAX = 32,
    HBK_MESSAGE_COOKIE_BYTES_MAX = 1024,
    HBK_MESSAGE_SHARES_MAX = 16,      /* of one ClientHello; more are a mistake or an attack */
    HBK_MESSAGE_IDENTITIES_MAX = 8,   /* PSKs of one ClientHello that are looked at */
    HBK_MESSAGE_EXTENSIONS_MAX = 128, /* in one message, or of one certificate in it */
    HBK_MESSAGE_CERTIFICATES_MAX = 8, /* of one chain that are looked at */

    /* RFC 8449, 4: bytes of a record's plaintext with its type. */
    HBK_MESSAGE_RECORD_SIZE_LIMIT_MAX = (1 << 14) + 1,
};

/* RFC 8446, B.3. */
enum hbk_message_type {
    HBK_MESSAGE_CLIENT_HELLO = 1,
    HBK_MESSAGE_SERVER_HELLO = 2,
    HBK_MESSAGE_NEW_SESSION_TICKET = 4,
    HBK_MESSAGE_END_OF_EARLY_DATA = 5,
    HBK_MESSAGE_ENCRYPTED_EXTENSIONS = 8,
    HBK_MESSAGE_CERTIFICATE = 11,
    HBK_MESSAGE_CERTIFICATE_REQUEST = 13,
    HBK_MESSAGE_CERTIFICATE_VERIFY = 15,
    HBK_MESSAGE_FINISHED = 20,
    HBK_MESSAGE_KEY_UPDATE = 24,
    HBK_MESSAGE_HASH = 254, /* stands for a ClientHello in the transcript (4.4.1) */
};

/* What is wrong with a message; alert HBK_ALERT_NONE: nothing. The text is constant. */
struct hbk_complaint {
    int alert;
    const char *text;
};

#define HBK_NO_COMPLAINT ((struct hbk_complaint){.alert = HBK_ALERT_NONE})

/* The random of a ServerHello that is a HelloRetryRequest (4.1.3). */
extern const uint8_t hbk_message_retry_random[HBK_MESSAGE_RANDOM_BYTES];

/*
 * ---- reading; bodies are without the header of four bytes ----
 *
 * What a reader hands out borrows from the body. Outputs are written only if there is no complaint.
 *
 * Left to the caller, since it depends on what was said before or on which version is spoken: which
 * extensions must be there (9.2; psk_key_exchange_modes beside pre_shared_key), legacy_version,
 * compression, a certificate context that must be empty, and whether a value is one that was
 * offered.
 */

struct hbk_key_share {
    uint16_t group; /* maybe one that we do not speak */
    struct hbk_slice key;
};

/* One offered PSK (4.2.11). */
struct hbk_psk_identity {
    struct hbk_slice identity;
    uint32_t obfuscated_age;
    struct hbk_slice binder;
};

/* The extensions that were there, as bits; unknown ones leave no trace. */
enum {
    HBK_HAS_SERVER_NAME = 1 << 0,
    HBK_HAS_STATUS_REQUEST = 1 << 1,
    HBK_HAS_GROUPS = 1 << 2,
    HBK_HAS_SCHEMES = 1 << 3,
    HBK_HAS_CERTIFICATE_SCHEMES = 1 << 4,
    HBK_HAS_PROTOCOLS = 1 << 5,
    HBK_HAS_RECORD_SIZE_LIMIT = 1 << 6,
    HBK_HAS_PSK = 1 << 7,
    HBK_HAS_EARLY_DATA = 1 << 8,
    HBK_HAS_VERSIONS = 1 << 9,
    HBK_HAS_COOKIE = 1 << 10,
    HBK_HAS_PSK_MODES = 1 << 11,
    HBK_HAS_AUTHORITIES = 1 << 12,
    HBK_HAS_SHARES = 1 << 13,
};

/* Lists are as on the wire without their outer length, and well formed: whole numbers, not empty.
 */
struct hbk_client_hello {
    uint16_t legacy_version;
    struct hbk_slice random;
    struct hbk_slice session_id;
    struct hbk_slice suites;      /* numbers of two bytes */
    struct hbk_slice compression; /* must be one zero in TLS 1.3; the reader does not judge it */
    uint32_t has;                 /* HBK_HAS_... */
    struct hbk_slice server_name; /* a host_name; empty if another type was sent */
    struct hbk_slice groups;
    struct hbk_slice schemes;
    struct hbk_slice certificate_schemes;
    struct hbk_slice protocols; /* as RFC 7301 writes them */
    struct hbk_slice versions;
    struct hbk_slice cookie;
    struct hbk_slice authorities;
    uint16_t record_size_limit;
    bool has_psk_dhe; /* psk_dhe_ke is among the modes */
    bool wants_ocsp;  /* status_request of type ocsp */
    size_t share_count;
    struct hbk_key_share shares[HBK_MESSAGE_SHARES_MAX];
    size_t identity_count; /* of all that were offered; up to _IDENTITIES_MAX are in the array */
    struct hbk_psk_identity identities[HBK_MESSAGE_IDENTITIES_MAX];
    size_t binders_bytes; /* at the end of the message: the list of binders with its length */
};

/*
 * Complaints: decode_error (lengths, empty lists, bytes behind the end, an extension twice),
 * illegal_parameter (a share twice for one group, pre_shared_key not last, binders that are not as
 * many as identities, a record_size_limit below 64, more extensions or shares than the limits
 * above). A hello of an older TLS is read, too: `has` then lacks HBK_HAS_VERSIONS. A binder may
 * have any length but zero; one that is not as long as the hash is a wrong one (decrypt_error).
 */
HBK_MUST_USE struct hbk_complaint hbk_client_hello_read(struct hbk_slice body,
                                                        struct hbk_client_hello *out_hello);

/* ServerHello and HelloRetryRequest (4.1.3, 4.1.4). */
struct hbk_server_hello {
    bool is_retry; /* the special random */
    uint16_t legacy_version;
    struct hbk_slice random;
    struct hbk_slice session_id;
    uint16_t suite;
    uint8_t compression;
    uint32_t has;         /* VERSIONS, SHARES, PSK, COOKIE; of an older TLS: others, unjudged */
    uint16_t version;     /* selected_version; 0 without the extension */
    uint16_t share_group; /* of the share, or the group that a retry asks for */
    struct hbk_slice share_key;
    struct hbk_slice cookie;
    uint16_t psk_index;
};

/* Complaints: decode_error; illegal_parameter (an extension twice, a cookie above
 * HBK_MESSAGE_COOKIE_BYTES_MAX); unsupported_extension (one that may not stand here). What is in
 * the extensions besides supported_versions is judged only if the message says that it is TLS 1.3.
 */
HBK_MUST_USE struct hbk_complaint hbk_server_hello_read(struct hbk_slice body,
                                                        struct hbk_server_hello *out_hello);

struct hbk_encrypted_extensions {
    uint32_t has; /* SERVER_NAME, GROUPS, PROTOCOLS, RECORD_SIZE_LIMIT, EARLY_DATA */
    struct hbk_slice protocol;
    uint16_t record_size_limit;
};

/* Complaints: decode_error (also an extension twice); unsupported_extension for one that was not in
 * `offered` (HBK_HAS_...) or is unknown; illegal_parameter for one that was, but may not stand here
 * (4.2's table), and for a record_size_limit below 64 or above 16,385. */
HBK_MUST_USE struct hbk_complaint
hbk_encrypted_extensions_read(struct hbk_slice body, uint32_t offered,
                              struct hbk_encrypted_extensions *out_extensions);

struct hbk_certificate_request {
    struct hbk_slice context;
    uint32_t has;
    struct hbk_slice schemes; /* never empty: missing_extension is the complaint */
    struct hbk_slice certificate_schemes;
    struct hbk_slice authorities;
    bool wants_ocsp;
};

/* Complaints: decode_error; illegal_parameter (an extension twice, one that may not stand here);
 * missing_extension. Unknown extensions are ignored. */
HBK_MUST_USE struct hbk_complaint
hbk_certificate_request_read(struct hbk_slice body, struct hbk_certificate_request *out_request);

/* A Certificate message (4.4.2). */
struct hbk_certificate_message {
    struct hbk_slice context;
    size_t count; /* all that there are; up to _CERTIFICATES_MAX are in the array */
    struct hbk_slice certificates[HBK_MESSAGE_CERTIFICATES_MAX];
    struct hbk_slice staple; /* of the leaf; empty: none */
};

/* `offered`: HBK_HAS_STATUS_REQUEST if we asked for a staple. Complaints: decode_error (also an
 * empty certificate or staple), illegal_parameter (an extension twice), unsupported_extension (one
 * that was not asked for, which is all but status_request). */
HBK_MUST_USE struct hbk_complaint
hbk_certificate_message_read(struct hbk_slice body, uint32_t offered,
                             struct hbk_certificate_message *out_message);

struct hbk_certificate_verify {
    uint16_t scheme;
    struct hbk_slice signature;
};

/* Complaints: decode_error. */
HBK_MUST_USE struct hbk_complaint
hbk_certificate_verify_read(struct hbk_slice body, struct hbk_certificate_verify *out_verify);

struct hbk_new_session_ticket {
    uint32_t lifetime_s;
    uint32_t age_add;
    struct hbk_slice nonce;
    struct hbk_slice ticket;
};

/* Complaints: decode_error; illegal_parameter (an extension twice, one that may not stand here).
 * Unknown extensions are ignored. A lifetime may be above what 4.6.1 allows. */
HBK_MUST_USE struct hbk_complaint
hbk_new_session_ticket_read(struct hbk_slice body, struct hbk_new_session_ticket *out_ticket);

/* ---- writing; a message with its header; what does not fit marks the writer failed ---- */

/* The header of a message of that type; closed by hbk_writer_close(writer, mark, 3). */
size_t hbk_writer_message(struct hbk_writer *writer, enum hbk_message_type type);

/* What goes into a ClientHello; empty slices, zero and false leave the extension out. With groups
 * and no share, key_share is written with an empty list, which asks for a HelloRetryRequest. */
struct hbk_client_hello_content {
    const uint8_t *random; /* HBK_MESSAGE_RANDOM_BYTES */
    struct hbk_slice session_id;
    const uint16_t *suites;
    size_t suite_count;
    const uint16_t *groups;
    size_t group_count;
    const uint16_t *schemes;
    size_t scheme_count;
    const uint16_t *certificate_schemes; /* signature_algorithms_cert */
    size_t certificate_scheme_count;
    const struct hbk_key_share *shares;
    size_t share_count;
    struct hbk_slice server_name;
    struct hbk_slice protocols;
    struct hbk_slice cookie;
    uint16_t record_size_limit; /* 0: not sent */
    bool offers_tls12;          /* TLS 1.2 stands in supported_versions, too */
    bool asks_staple;
    bool offers_psk_dhe; /* psk_key_exchange_modes */
    /* One PSK, the last extension; its binder is written as zeros, `binder_bytes` long, for the
     * caller to fill in at the end of the message. */
    struct hbk_slice psk_identity;
    uint32_t psk_obfuscated_age;
    size_t binder_bytes;
};

void hbk_client_hello_write(struct hbk_writer *writer,
                            const struct hbk_client_hello_content *content);

struct hbk_server_hello_content {
    const uint8_t *random; /* NULL: a HelloRetryRequest */
    struct hbk_slice session_id;
    uint16_t suite;
    uint16_t group;             /* 0: no key_share extension */
    struct hbk_slice share_key; /* empty in a retry */
    struct hbk_slice cookie;    /* of a retry */
    bool has_psk;               /* pre_shared_key with index psk_index */
    uint16_t psk_index;
};

void hbk_server_hello_write(struct hbk_writer *writer,
                            const struct hbk_server_hello_content *content);

struct hbk_encrypted_extensions_content {
    struct hbk_slice protocol;  /* empty: none */
    uint16_t record_size_limit; /* 0: not sent */
    bool has_server_name;       /* acknowledges it */
};

void hbk_encrypted_extensions_write(struct hbk_writer *writer,
                                    const struct hbk_encrypted_extensions_content *content);

struct hbk_certificate_request_content {
    const uint16_t *schemes;
    size_t scheme_count;
    const uint16_t *certificate_schemes; /* signature_algorithms_cert; none: not sent */
    size_t certificate_scheme_count;
    struct hbk_slice authorities; /* empty: not sent */
};

void hbk_certificate_request_write(struct hbk_writer *writer,
                                   const struct hbk_certificate_request_content *content);

/* `context` as the request had it; no certificates: an empty list (4.4.2.4). */
void hbk_certificate_message_write(struct hbk_writer *writer, struct hbk_slice context,
                                   const struct hbk_slice *certificates, size_t count,
                                   struct hbk_slice staple);

void hbk_certificate_verify_write(struct hbk_writer *writer, uint16_t scheme,
                                  struct hbk_slice signature);
void hbk_finished_write(struct hbk_writer *writer, struct hbk_slice verify_data);
void hbk_new_session_ticket_write(struct hbk_writer *writer,
                                  const struct hbk_new_session_ticket *ticket);
