/*
 * An authority with a good certificate for every kind of key, and contexts made of them. Servers
 * are judged by the name "cart.test", clients by their path alone.
 */
#pragma once

#include "forge.h"
#include "tls/context.h"

enum authority_kind {
    AUTHORITY_P256,
    AUTHORITY_P384,
    AUTHORITY_ED25519,
    AUTHORITY_RSA2048,
    AUTHORITY_RSA3072,
    AUTHORITY_RSA4096,
    AUTHORITY_KINDS,
};

static const char *const authority_texts[AUTHORITY_KINDS] = {"P-256",    "P-384",    "Ed25519",
                                                             "RSA-2048", "RSA-3072", "RSA-4096"};

struct authority {
    struct forged root;
    const struct hbk_trust *trust;
    struct forged server[AUTHORITY_KINDS]; /* made when first asked for: RSA takes its time */
    struct forged client[AUTHORITY_KINDS];
};

HBK_UNUSED static const struct hbk_trust *authority_trust(X509 *root)
{
    char *pem = forged_pem((X509 *[]){root, NULL});
    struct hbk_bundle *roots = NULL;
    const struct hbk_trust *trust = NULL;
    assert_int_equal(hbk_bundle_new_roots(hbk_slice_text(pem), hbk_slice_of(NULL, 0), &roots, NULL),
                     HBK_OK);
    const struct hbk_trust_options options = {.rule = HBK_TRUST_NAME, .roots = roots};
    assert_int_equal(hbk_trust_new(&options, &trust), HBK_OK);
    hbk_bundle_unref(roots);
    free(pem);
    return trust;
}

HBK_UNUSED static void authority_init(struct authority *authority, const char *name)
{
    *authority = (struct authority){.root = forge((struct forge)FORGE_ROOT(name))};
    authority->trust = authority_trust(authority->root.certificate);
}

HBK_UNUSED static void authority_fini(struct authority *authority)
{
    for (unsigned i = 0; i < AUTHORITY_KINDS; i++) {
        forged_free(&authority->server[i]);
        forged_free(&authority->client[i]);
    }
    hbk_trust_unref(authority->trust);
    forged_free(&authority->root);
}

HBK_UNUSED static EVP_PKEY *authority_key(enum authority_kind kind)
{
    switch (kind) {
    case AUTHORITY_P256:
        return EVP_EC_gen("P-256");
    case AUTHORITY_P384:
        return EVP_EC_gen("P-384");
    case AUTHORITY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case AUTHORITY_RSA2048:
        return EVP_RSA_gen(2048);
    case AUTHORITY_RSA3072:
        return EVP_RSA_gen(3072);
    case AUTHORITY_RSA4096:
        return EVP_RSA_gen(4096);
    case AUTHORITY_KINDS:
        break;
    }
    fail_msg("no such kind of key");
    return NULL;
}

/* A leaf of that kind with subjectAltName as in openssl.cnf. The caller frees it. */
HBK_UNUSED static struct forged authority_leaf(struct authority *authority,
                                               enum authority_kind kind, const char *names)
{
    EVP_PKEY *key = authority_key(kind);
    struct forged leaf =
        forge((struct forge){.names = names, .signer = &authority->root, .key = key});
    EVP_PKEY_free(key);
    return leaf;
}

HBK_UNUSED static const struct forged *authority_server(struct authority *authority,
                                                        enum authority_kind kind)
{
    struct forged *leaf = &authority->server[kind];
    if (leaf->certificate == NULL) {
        *leaf = authority_leaf(authority, kind, "critical,DNS:cart.test");
    }
    return leaf;
}

HBK_UNUSED static const struct forged *authority_client(struct authority *authority,
                                                        enum authority_kind kind)
{
    struct forged *leaf = &authority->client[kind];
    if (leaf->certificate == NULL) {
        *leaf = authority_leaf(authority, kind, "critical,DNS:web.test");
    }
    return leaf;
}

/* Fills in trust and certificate, and makes the context. */
HBK_UNUSED static struct hbk_tls_context *authority_context(struct authority *authority,
                                                            struct hbk_tls_context_options options,
                                                            const struct forged *leaf)
{
    struct hbk_tls_context *context = NULL;
    struct hbk_error error = {0};
    X509 *chain[2] = {NULL, authority->root.certificate};
    struct hbk_tls_certificate_options certificate = {.chain = chain, .chain_count = 2};
    if (options.trust == NULL) {
        options.trust = authority->trust;
    }
    if (leaf != NULL) {
        chain[0] = leaf->certificate;
        certificate.private_key = leaf->key;
        options.certificates = &certificate;
        options.certificate_count = 1;
    }
    if (hbk_tls_context_new(&options, &context, &error) != HBK_OK) {
        fail_msg("no context: %s", error.text);
    }
    return context;
}
