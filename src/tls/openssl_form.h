/*
 * Certificates in the form in which libssl takes them: parsed, and with a key that asks the
 * provider of ours. It is ten times as large as what our own engine needs (5.8 KiB for each of a
 * chain on P-256), so it is made when a handshake of libssl needs it, and a worker keeps those that
 * were used last.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hbk_tls_certificate;
struct stack_st_X509;

/* Certificates whose forms a worker keeps. A gateway may have thousands, and few clients of TLS 1.2
 * are left. */
enum { HBK_OPENSSL_FORMS_MAX = 64 };

struct hbk_openssl_form {
    X509 *leaf; /* each owned */
    struct stack_st_X509 *signers;
    EVP_PKEY *key;
};

/* False: out of memory; nothing is made. Any thread. */
bool hbk_openssl_form_init(struct hbk_openssl_form *form,
                           const struct hbk_tls_certificate *certificate);
void hbk_openssl_form_fini(struct hbk_openssl_form *form); /* idempotent */

/* Zero before use. Worker's thread. */
struct hbk_openssl_shelf {
    struct {
        const struct hbk_tls_certificate *certificate; /* held */
        struct hbk_openssl_form form;
        uint64_t used; /* by `clock` */
    } places[HBK_OPENSSL_FORMS_MAX];
    size_t count;
    uint64_t clock;
    uint64_t made; /* forms, since the start */
};

/* The form of a certificate, borrowed until the next call; NULL when out of memory. */
const struct hbk_openssl_form *hbk_openssl_shelf_get(struct hbk_openssl_shelf *shelf,
                                                     const struct hbk_tls_certificate *certificate);

/* Lets go of certificates that nobody else holds any more, after a rotation, and of their keys. */
void hbk_openssl_shelf_tidy(struct hbk_openssl_shelf *shelf);
void hbk_openssl_shelf_fini(struct hbk_openssl_shelf *shelf);
