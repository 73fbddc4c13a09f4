#include "identity/peer.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/buffer.h"
#include "identity/certificate.h"

struct peer {
    struct hbk_peer public;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    uint8_t *names;              /* owned: subject, DNS names and URIs; NULL: none of them */
    bool has_question;
    uint8_t question[HBK_SHA256_BYTES]; /* the cache's key, if has_question */
    uint8_t certificate_bytes[];        /* all certificates, one behind the other */
};

const struct hbk_peer *hbk_peer_ref(const struct hbk_peer *peer)
{
    struct peer *shared = HBK_CONTAINER((uintptr_t)peer, struct peer, public);
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return peer;
}

void hbk_peer_unref(const struct hbk_peer *peer)
{
    if (peer == NULL) {
        return;
    }
    struct peer *shared = HBK_CONTAINER((uintptr_t)peer, struct peer, public);
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1) {
        hbk_spiffe_unref(peer->id);
        hbk_public_key_fini(&shared->public.key);
        free(shared->names);
        free(shared);
    }
}

struct hbk_peer *hbk_peer_new(const struct hbk_chain *chain)
{
    size_t total = 0;
    for (size_t i = 0; i < chain->count; i++) {
        total += chain->certificates[i].size; /* below HBK_CHAIN_BYTES_MAX, was checked */
    }
    struct peer *peer = calloc(1, sizeof *peer + total);
    if (peer == NULL) {
        return NULL;
    }
    atomic_init(&peer->references, 1);
    uint8_t *end = peer->certificate_bytes;
    for (size_t i = 0; i < chain->count; i++) {
        struct hbk_slice certificate = chain->certificates[i];
        memcpy(end, certificate.bytes, certificate.size);
        peer->public.certificates[i] = hbk_slice_of(end, certificate.size);
        end += certificate.size;
    }
    peer->public.certificate_count = chain->count;
    SHA256(chain->certificates[0].bytes, chain->certificates[0].size, peer->public.leaf_sha256);
    return &peer->public;
}

void hbk_peer_set_question(const struct hbk_peer *peer,
                           const uint8_t question[static HBK_SHA256_BYTES])
{
    struct peer *own = HBK_CONTAINER((uintptr_t)peer, struct peer, public);
    memcpy(own->question, question, sizeof own->question);
    own->has_question = true;
}

const uint8_t *hbk_peer_question(const struct hbk_peer *peer)
{
    const struct peer *own = HBK_CONTAINER((uintptr_t)peer, struct peer, public);
    return own->has_question ? own->question : NULL;
}

/* ---- subject and names ---- */

static bool is_printable(struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] <= 0x20 || text.bytes[i] >= 0x7f) {
            return false;
        }
    }
    return text.size > 0;
}

static bool add_subject(X509 *leaf, struct hbk_buffer *text)
{
    X509_NAME *subject = X509_get_subject_name(leaf);
    if (X509_NAME_entry_count(subject) == 0) {
        return true;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253) < 0) {
        BIO_free(bio);
        return false;
    }
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    hbk_status status = hbk_buffer_append(text, hbk_slice_of(bytes, (size_t)size));
    BIO_free(bio);
    return status != HBK_NO_MEMORY;
}

/* Names with strange bytes, or beyond the limit, are left out: they are for reports alone. */
static bool add_names(const GENERAL_NAMES *names, int type, struct hbk_buffer *text)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != type) {
            continue;
        }
        const ASN1_IA5STRING *bytes = name->d.ia5;
        struct hbk_slice slice =
            hbk_slice_of(ASN1_STRING_get0_data(bytes), (size_t)ASN1_STRING_length(bytes));
        struct hbk_span room;
        hbk_status status = HBK_LIMIT;
        if (is_printable(slice) && slice.size < HBK_PEER_NAMES_BYTES_MAX) {
            status = hbk_buffer_reserve(text, slice.size + 1, &room);
        }
        if (status == HBK_NO_MEMORY) {
            return false;
        }
        if (status == HBK_OK) {
            memcpy(room.bytes, slice.bytes, slice.size);
            room.bytes[slice.size] = '\0';
            hbk_buffer_commit(text, slice.size + 1);
        }
    }
    return true;
}

static hbk_status read_names(struct peer *peer, X509 *leaf)
{
    struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_PEER_NAMES_BYTES_MAX);
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool is_good = add_subject(leaf, &text);
    size_t subject_end = hbk_buffer_size(&text);
    is_good = is_good && add_names(names, GEN_DNS, &text);
    size_t dns_end = hbk_buffer_size(&text);
    is_good = is_good && add_names(names, GEN_URI, &text);
    GENERAL_NAMES_free(names);
    struct hbk_slice all = hbk_buffer_slice(&text);
    if (is_good && all.size > 0) {
        peer->names = malloc(all.size);
        is_good = peer->names != NULL;
    }
    if (peer->names != NULL) {
        memcpy(peer->names, all.bytes, all.size);
        peer->public.subject = hbk_slice_of(peer->names, subject_end);
        peer->public.dns_names = hbk_slice_of(peer->names + subject_end, dns_end - subject_end);
        peer->public.uris = hbk_slice_of(peer->names + dns_end, all.size - dns_end);
    }
    hbk_buffer_fini(&text);
    return is_good ? HBK_OK : HBK_NO_MEMORY;
}

hbk_status hbk_peer_read_leaf(struct hbk_peer *public, X509 *leaf)
{
    struct peer *peer = HBK_CONTAINER(public, struct peer, public);
    hbk_certificate_serial(leaf, public->serial_text);
    HBK_TRY(hbk_public_key_init(&public->key, X509_get0_pubkey(leaf)));
    hbk_status status = read_names(peer, leaf);
    ERR_clear_error();
    return status;
}
