#include "tls/openssl_form.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "tls/certificate.h"
#include "tls/engine.h"

static X509 *read_link(struct hbk_slice der)
{
    const unsigned char *at = der.bytes;
    return d2i_X509(NULL, &at, (long)der.size);
}

bool hbk_openssl_form_init(struct hbk_openssl_form *form,
                           const struct hbk_tls_certificate *certificate)
{
    *form = (struct hbk_openssl_form){
        .leaf = read_link(certificate->chain[0]),
        .signers = sk_X509_new_null(),
        .key = hbk_openssl_key_new(certificate->key),
    };
    bool is_good = form->leaf != NULL && form->signers != NULL && form->key != NULL;
    for (size_t i = 1; i < certificate->chain_count && is_good; i++) {
        X509 *signer = read_link(certificate->chain[i]);
        is_good = signer != NULL && sk_X509_push(form->signers, signer) > 0;
        if (!is_good) {
            X509_free(signer);
        }
    }
    if (!is_good) {
        hbk_openssl_form_fini(form);
        ERR_clear_error();
    }
    return is_good;
}

void hbk_openssl_form_fini(struct hbk_openssl_form *form)
{
    X509_free(form->leaf);
    sk_X509_pop_free(form->signers, X509_free);
    EVP_PKEY_free(form->key);
    *form = (struct hbk_openssl_form){.leaf = NULL};
}

/* References are the one thing that changes in a certificate. */
static _Atomic uint32_t *shelved_of(const struct hbk_tls_certificate *certificate)
{
    return &((struct hbk_tls_certificate *)(uintptr_t)certificate)->shelved;
}

/* The last place takes its place. */
static void drop(struct hbk_openssl_shelf *shelf, size_t at)
{
    const struct hbk_tls_certificate *certificate = shelf->places[at].certificate;
    hbk_openssl_form_fini(&shelf->places[at].form);
    atomic_fetch_sub_explicit(shelved_of(certificate), 1, memory_order_relaxed);
    hbk_tls_certificate_unref(certificate);
    shelf->places[at] = shelf->places[--shelf->count];
}

/* Whether only shelves hold it. The two numbers need not fit together: whoever is wrong drops a
 * form that must be made again, or keeps one until the next call. */
static bool is_abandoned(const struct hbk_tls_certificate *certificate)
{
    return atomic_load_explicit(&certificate->references, memory_order_relaxed) ==
           atomic_load_explicit(shelved_of(certificate), memory_order_relaxed);
}

void hbk_openssl_shelf_tidy(struct hbk_openssl_shelf *shelf)
{
    for (size_t i = shelf->count; i > 0; i--) {
        if (is_abandoned(shelf->places[i - 1].certificate)) {
            drop(shelf, i - 1);
        }
    }
}

static void drop_oldest(struct hbk_openssl_shelf *shelf)
{
    size_t oldest = 0;
    for (size_t i = 1; i < shelf->count; i++) {
        oldest = shelf->places[i].used < shelf->places[oldest].used ? i : oldest;
    }
    drop(shelf, oldest);
}

const struct hbk_openssl_form *hbk_openssl_shelf_get(struct hbk_openssl_shelf *shelf,
                                                     const struct hbk_tls_certificate *certificate)
{
    hbk_openssl_shelf_tidy(shelf);
    for (size_t i = 0; i < shelf->count; i++) {
        if (shelf->places[i].certificate == certificate) {
            shelf->places[i].used = ++shelf->clock;
            return &shelf->places[i].form;
        }
    }
    struct hbk_openssl_form form;
    if (!hbk_openssl_form_init(&form, certificate)) {
        return NULL;
    }
    if (shelf->count == HBK_OPENSSL_FORMS_MAX) {
        drop_oldest(shelf);
    }
    size_t at = shelf->count++;
    shelf->places[at].certificate = hbk_tls_certificate_ref(certificate);
    atomic_fetch_add_explicit(shelved_of(certificate), 1, memory_order_relaxed);
    shelf->places[at].form = form;
    shelf->places[at].used = ++shelf->clock;
    shelf->made++;
    return &shelf->places[at].form;
}

void hbk_openssl_shelf_fini(struct hbk_openssl_shelf *shelf)
{
    while (shelf->count > 0) {
        drop(shelf, shelf->count - 1);
    }
}
