/*
 * A certificate authority of one trust domain: makes roots and issues leaves. Text in, text out;
 * who calls decides where the text is kept. Control thread only, since making keys takes time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "identity/spiffe.h"

enum hbk_key_type {
    HBK_KEY_ECDSA_P256,
    HBK_KEY_RSA_2048,
};

/* For messages: what hbk_key_type_parse() takes. */
#define HBK_KEY_TYPE_SYNTAX "ecdsa-p256 or rsa-2048"

HBK_MUST_USE bool hbk_key_type_parse(struct hbk_slice text, enum hbk_key_type *out_type);

/* Peers' clocks may lag: a leaf is valid from this long before it was issued. */
#define HBK_ISSUE_BACKDATE_NS (INT64_C(10) * 1000 * 1000 * 1000)

#define HBK_ROOT_LIFE_NS (INT64_C(3650) * 86400 * 1000 * 1000 * 1000) /* ten years */
#define HBK_LEAF_LIFE_NS_MIN (UINT64_C(1000) * 1000 * 1000)           /* a second */

/* A certificate chain and its key as PEM. The key is secret: _fini wipes it. */
struct hbk_issued {
    struct hbk_buffer chain_pem;
    struct hbk_buffer key_pem; /* PKCS#8 */
};

void hbk_issued_init(struct hbk_issued *issued);
void hbk_issued_fini(struct hbk_issued *issued); /* empty and usable afterwards */

struct hbk_authority; /* owned by whoever made it; holds the root's key */

/*
 * Makes a root (ECDSA P-256, ten years) for a trust domain. `out_root` was initialised by the
 * caller and is replaced. Fails: HBK_INVALID (trust domain), HBK_NO_MEMORY, HBK_IO (libcrypto).
 */
HBK_MUST_USE hbk_status hbk_authority_make_root(struct hbk_slice trust_domain, int64_t now_ns,
                                                struct hbk_issued *out_root,
                                                struct hbk_error *error);

/*
 * Reads what hbk_authority_make_root() made, or another CA that names the trust domain by its
 * SPIFFE id. Fails: HBK_INVALID with the reason, HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_authority_new(struct hbk_slice root_pem, struct hbk_slice key_pem,
                                          struct hbk_authority **out_authority,
                                          struct hbk_error *error);
void hbk_authority_free(struct hbk_authority *authority); /* NULL is allowed; wipes the key */

/* The trust domain and the root as PEM, borrowed from the authority. */
struct hbk_slice hbk_authority_trust_domain(const struct hbk_authority *authority);
struct hbk_slice hbk_authority_root_pem(const struct hbk_authority *authority);

/*
 * Issues a leaf with a fresh key, valid until `now_ns` + `life_ns`, never longer than the root.
 * `out_issued` was initialised by the caller and is replaced.
 * Fails: HBK_INVALID (id of another trust domain or without a path, life too short, root expired),
 * HBK_NO_MEMORY, HBK_IO (libcrypto).
 */
HBK_MUST_USE hbk_status hbk_authority_issue(const struct hbk_authority *authority,
                                            const struct hbk_spiffe_id *id,
                                            enum hbk_key_type key_type, uint64_t life_ns,
                                            int64_t now_ns, struct hbk_issued *out_issued,
                                            struct hbk_error *error);
