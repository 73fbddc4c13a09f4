/* Certificates, trusts and contexts for tests, and handshakes between any two of them. */
#pragma once

#include "pair.h"

static struct pair_worker worker;
static struct forged root;
static struct forged leaf;   /* spiffe://td.test/ns/shop/sa/cart */
static struct forged client; /* spiffe://td.test/ns/shop/sa/web */
static struct hbk_bundle_set *bundles;
static struct hbk_bundle *roots;
static const struct hbk_trust *mesh_trust;
static const struct hbk_trust *name_trust;
static const struct hbk_trust *anybody;

HBK_UNUSED static const struct hbk_trust *trust_new(struct hbk_trust_options options)
{
    const struct hbk_trust *trust = NULL;
    assert_int_equal(hbk_trust_new(&options, &trust), HBK_OK);
    return trust;
}

HBK_UNUSED static int set_up(void **state)
{
    (void)state;
    pair_worker_init(&worker, 8);
    root = forge((struct forge)FORGE_ROOT("context root"));
    leaf = forge((struct forge){.signer = &root});
    client = forge(
        (struct forge){.signer = &root, .names = "critical,URI:spiffe://td.test/ns/shop/sa/web"});
    bundles = forge_bundle_set("td.test", root.certificate);
    char *pem = forged_pem((X509 *[]){root.certificate, NULL});
    assert_int_equal(hbk_bundle_new_roots(hbk_slice_text(pem), hbk_slice_of(NULL, 0), &roots, NULL),
                     HBK_OK);
    free(pem);
    mesh_trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_SPIFFE, .bundles = bundles});
    name_trust = trust_new((struct hbk_trust_options){.rule = HBK_TRUST_NAME, .roots = roots});
    anybody = trust_new((struct hbk_trust_options){.rule = HBK_TRUST_ANYBODY});
    return 0;
}

HBK_UNUSED static int tear_down(void **state)
{
    (void)state;
    hbk_trust_unref(mesh_trust);
    hbk_trust_unref(name_trust);
    hbk_trust_unref(anybody);
    hbk_bundle_unref(roots);
    hbk_bundle_set_unref(bundles);
    forged_free(&root);
    forged_free(&leaf);
    forged_free(&client);
    pair_worker_fini(&worker);
    assert_int_equal(hbk_spiffe_count(), 0);
    return 0;
}

HBK_UNUSED static struct hbk_tls_certificate_options certificate_of(const struct forged *forged)
{
    return (struct hbk_tls_certificate_options){
        .chain = &forged->certificate, .chain_count = 1, .private_key = forged->key};
}

HBK_UNUSED static struct hbk_tls_context *context_of(struct hbk_tls_context_options options)
{
    options.engine = pair_engine;
    struct hbk_tls_context *context = NULL;
    struct hbk_error error = {0};
    if (hbk_tls_context_new(&options, &context, &error) != HBK_OK) {
        fail_msg("no context: %s", error.text);
    }
    return context;
}

struct ends {
    struct hbk_tls_context *client, *server;
    const char *server_name;
};

HBK_UNUSED static struct pair *shake_hands(const struct ends *ends)
{
    const struct hbk_tls_options options = {.server_name = ends->server_name == NULL
                                                               ? hbk_slice_of(NULL, 0)
                                                               : hbk_slice_text(ends->server_name)};
    struct pair *pair = pair_of(&worker, ends->client, options, ends->server, FORGE_NOW_NS);
    pair_handshake(pair, 20000);
    return pair;
}

HBK_UNUSED static void both_are_done(const struct pair *pair)
{
    if (pair->client_answer != HBK_TLS_DONE || pair->server_answer != HBK_TLS_DONE) {
        fail_msg("client %s: %s; server %s: %s", hbk_tls_answer_text(pair->client_answer),
                 pair->client_answer == HBK_TLS_FAILED ? hbk_tls_failure(pair->client).text : "",
                 hbk_tls_answer_text(pair->server_answer),
                 pair->server_answer == HBK_TLS_FAILED ? hbk_tls_failure(pair->server).text : "");
    }
}

HBK_UNUSED static struct hbk_tls_context *browser_of(const struct hbk_trust *trust)
{
    return context_of((struct hbk_tls_context_options){
        .trust = trust, .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE});
}
