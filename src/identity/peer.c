#include "identity/peer.h"

#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "identity/certificate.h"

struct peer {
    struct hbk_peer public;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
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
        hbk_certificate_names_fini(&shared->public.names);
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
    SHA1(chain->certificates[0].bytes, chain->certificates[0].size, peer->public.leaf_sha1);
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

hbk_status hbk_peer_read_leaf(struct hbk_peer *peer, X509 *leaf)
{
    hbk_certificate_serial(leaf, peer->serial_text);
    /* Times that do not fit were refused with the path, or nobody asked for them. */
    (void)!hbk_certificate_validity(leaf, &peer->leaf_not_before_ns, &peer->leaf_not_after_ns);
    HBK_TRY(hbk_public_key_init(&peer->key, X509_get0_pubkey(leaf)));
    return hbk_certificate_names_read(leaf, &peer->names);
}
