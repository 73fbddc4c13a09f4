/* The parts of the engine on libssl. For the files openssl*.c alone; the types are OpenSSL's. */
#pragma once

#include <openssl/ssl.h>

#include "tls/engine.h"

enum { HBK_OPENSSL_TEXT_BYTES_MAX = HBK_ERROR_TEXT_BYTES_MAX + 64 };

/* What was heard through the key log. */
enum {
    HBK_OPENSSL_CLIENT_SECRET = 1 << 0,
    HBK_OPENSSL_SERVER_SECRET = 1 << 1,
    HBK_OPENSSL_EXPORTER_SECRET = 1 << 2,
    HBK_OPENSSL_SECRETS =
        HBK_OPENSSL_CLIENT_SECRET | HBK_OPENSSL_SERVER_SECRET | HBK_OPENSSL_EXPORTER_SECRET,
};

/* The engine's part of a context. */
struct hbk_openssl_context {
    SSL_CTX *ssl;
    bool chooses;      /* one of several certificates, in each handshake; else `ssl` has the one */
    bool splits_lists; /* what peers may sign with is not what we sign with: told to each handshake
                        */
    char *verify_list; /* owned: what peers may sign with, in libssl's words */
    char *own_list;    /* owned: what we sign with */
};

struct hbk_openssl_handshake {
    const struct hbk_tls_setup *setup;         /* borrowed, outlives this */
    const struct hbk_openssl_context *context; /* borrowed from setup->context */
    SSL *ssl;
    struct hbk_openssl_fibre fibre; /* of those that may have to sign */

    /* The spans of the step under way, for the BIO. */
    struct hbk_slice input;
    struct hbk_span output;
    size_t consumed;
    size_t written;

    const struct hbk_tls_certificate *certificate; /* a server's choice; NULL: none */
    struct hbk_tls_result result;
    unsigned secrets_seen;

    /* Resumption: whom the ticket vouches for, which counts if libssl resumes with it, and when the
     * full handshake was (realtime). */
    const struct hbk_peer *ticket_peer; /* held; may be NULL */
    int64_t begun_ns;
    struct hbk_tls_ticket *newest; /* held: a client's; may be NULL */

    /* A connection that stays with libssl (openssl_data.c). */
    const struct hbk_peer *peer;                /* held, for tickets that come later; may be NULL */
    uint8_t pending[HBK_TLS_CONTROL_BYTES_MAX]; /* what libssl wants to say without being asked */
    size_t pending_bytes;
    bool keeps;
    bool is_inside; /* a record that is too long */
    bool is_closed;
    bool is_shut;
    bool has_failed;

    struct hbk_verdict_failure verdict;
    struct hbk_tls_failure failure;
    char failure_text[HBK_OPENSSL_TEXT_BYTES_MAX];
};

extern const struct hbk_tls_kept_data hbk_openssl_data;

/* Notes why it failed, as libssl says. Answers HBK_TLS_FAILED. */
enum hbk_tls_answer hbk_openssl_fail(struct hbk_openssl_handshake *handshake);

/* What reads and writes by these, and has nothing to flush; lives as long as the process. NULL when
 * out of memory. */
BIO_METHOD *hbk_openssl_bio_method(const char *name, int (*read)(BIO *bio, char *to, int size),
                                   int (*write)(BIO *bio, const char *from, int size));

/* One of that method, for what BIO_get_data() then tells; NULL when out of memory. */
BIO *hbk_openssl_bio_of(const BIO_METHOD *method, void *data);

/* A BIO on the spans of the handshake's step; NULL when out of memory. */
BIO *hbk_openssl_bio_new(struct hbk_openssl_handshake *handshake);

/* Callbacks of libssl ---------------------------------------------------------------------- */

/* Takes secrets out of lines of the SSLKEYLOGFILE format. */
void hbk_openssl_on_secret(const SSL *ssl, const char *line);

/* The verdict, in place of libssl's own. */
int hbk_openssl_on_certificates(X509_STORE_CTX *context, void *argument);

/* A server reads the hello before libssl does: application protocol, server name, certificate. */
int hbk_openssl_on_client_hello(SSL *ssl, int *out_alert, void *argument);
int hbk_openssl_on_server_name(SSL *ssl, int *out_alert, void *argument);
int hbk_openssl_on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                             const unsigned char *offer, unsigned int offer_size, void *argument);
int hbk_openssl_on_status(SSL *ssl, void *argument);

/* A client chooses a certificate when the server has asked for one. */
int hbk_openssl_on_certificate_request(SSL *ssl, void *argument);

/* Puts what was agreed on into the result. HBK_INVALID: libssl has not told what it must have. */
HBK_MUST_USE hbk_status hbk_openssl_read_result(struct hbk_openssl_handshake *handshake);

/* Tickets ----------------------------------------------------------------------------------- */

/* A context's part; false: libssl refuses, or memory. */
bool hbk_openssl_set_up_tickets(struct hbk_openssl_context *own,
                                const struct hbk_tls_context *context);

/* A client offers the ticket of its setup, if there is one that may still be used. */
bool hbk_openssl_offer_ticket(struct hbk_openssl_handshake *handshake);
struct hbk_tls_ticket *hbk_openssl_take_ticket(void *handshake);

/* A client's handshake of TLS 1.2 is done, its peer not settled yet: where it resumed and the
 * server renewed the ticket, libssl has forbidden the old one and tells us of none (RFC 5077, 3.3).
 */
void hbk_openssl_keep_renewed_ticket(struct hbk_openssl_handshake *handshake);

/* Contexts ---------------------------------------------------------------------------------- */

/* As the functions of struct hbk_tls_engine. */
hbk_status hbk_openssl_context_new(const struct hbk_tls_context *context, void **out_engine_context,
                                   struct hbk_error *error);
void hbk_openssl_context_free(void *engine_context);

/* A chain and its key for one handshake; NULL: false. */
bool hbk_openssl_use(SSL *ssl, const struct hbk_openssl_form *form);
