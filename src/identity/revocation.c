#include "identity/revocation.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "identity/bundle.h"

struct hbk_revocation {
    struct hbk_revocation *next; /* of those that are held; behind `lock` */
    unsigned references;         /* likewise */
    uint8_t digest[SHA256_DIGEST_LENGTH];
    X509_CRL *lists[HBK_BUNDLE_CRLS_MAX];
    size_t count;
};

/* Few: one for each different file in use. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hbk_revocation *held;

static void release(struct hbk_revocation *revocation)
{
    for (size_t i = 0; i < revocation->count; i++) {
        X509_CRL_free(revocation->lists[i]);
    }
    free(revocation);
}

static hbk_status read_pem(struct hbk_revocation *revocation, BIO *bio, struct hbk_error *error)
{
    for (;;) {
        X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
        if (list == NULL) {
            unsigned long code = ERR_peek_last_error();
            return ERR_GET_REASON(code) == PEM_R_NO_START_LINE && revocation->count > 0
                       ? HBK_OK
                       : hbk_error_set(error, HBK_INVALID, "revocation list %zu is not valid PEM",
                                       revocation->count + 1);
        }
        if (revocation->count == HBK_BUNDLE_CRLS_MAX) {
            X509_CRL_free(list);
            return hbk_error_set(error, HBK_LIMIT, "more than %d revocation lists",
                                 HBK_BUNDLE_CRLS_MAX);
        }
        revocation->lists[revocation->count++] = list;
    }
}

static hbk_status parse(struct hbk_revocation *revocation, struct hbk_slice text,
                        struct hbk_error *error)
{
    BIO *bio = BIO_new_mem_buf(text.bytes, (int)text.size);
    if (bio == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = HBK_OK;
    ERR_clear_error();
    if (memmem(text.bytes, text.size, "-----BEGIN", 10) != NULL) {
        status = read_pem(revocation, bio, error);
    } else if ((revocation->lists[0] = d2i_X509_CRL_bio(bio, NULL)) != NULL) {
        revocation->count = 1;
    } else {
        status = hbk_error_set(error, HBK_INVALID, "revocation list is neither PEM nor DER");
    }
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

/* With `lock` held. */
static struct hbk_revocation *find(const uint8_t digest[static SHA256_DIGEST_LENGTH])
{
    for (struct hbk_revocation *at = held; at != NULL; at = at->next) {
        if (memcmp(at->digest, digest, sizeof at->digest) == 0) {
            at->references++;
            return at;
        }
    }
    return NULL;
}

hbk_status hbk_revocation_read(struct hbk_slice text, struct hbk_revocation **out_revocation,
                               struct hbk_error *error)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    (void)SHA256(text.bytes, text.size, digest);
    (void)pthread_mutex_lock(&lock);
    struct hbk_revocation *found = find(digest);
    (void)pthread_mutex_unlock(&lock);
    if (found != NULL) {
        *out_revocation = found;
        return HBK_OK;
    }
    struct hbk_revocation *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = parse(made, text, error);
    if (status != HBK_OK) {
        release(made);
        return status;
    }
    memcpy(made->digest, digest, sizeof digest);
    made->references = 1;
    (void)pthread_mutex_lock(&lock);
    found = find(digest); /* somebody else may have read it meanwhile */
    if (found == NULL) {
        made->next = held;
        held = made;
    }
    (void)pthread_mutex_unlock(&lock);
    if (found != NULL) {
        release(made);
    }
    *out_revocation = found != NULL ? found : made;
    return HBK_OK;
}

void hbk_revocation_unref(struct hbk_revocation *revocation)
{
    if (revocation == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lock);
    bool is_last = --revocation->references == 0;
    struct hbk_revocation **at = &held;
    while (is_last && *at != revocation) {
        at = &(*at)->next;
    }
    if (is_last) {
        *at = revocation->next;
    }
    (void)pthread_mutex_unlock(&lock);
    if (is_last) {
        release(revocation);
    }
}

size_t hbk_revocation_count(const struct hbk_revocation *revocation)
{
    return revocation->count;
}

X509_CRL *hbk_revocation_list(const struct hbk_revocation *revocation, size_t index)
{
    return revocation->lists[index];
}
