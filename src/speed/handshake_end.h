/* What one side of measured handshakes is made of: certificates, context, worker, batcher. */
#pragma once

#include "base/error.h"
#include "crypto/key_worker.h"
#include "identity/verdict.h"
#include "tls/context.h"
#include "tls/worker.h"

/* A kind of handshake that is measured. */
struct hbk_handshake_kind {
    const char *name;
    bool is_rsa;    /* the server's certificate is RSA-2048; else ECDSA P-256 */
    bool is_mutual; /* the client presents one, too: P-256 */
    bool is_cached; /* chains are judged once; else every time */
    bool resumes;
    bool is_tls12; /* the client is libssl alone, which speaks nothing else here */
    bool is_alone; /* one at a time: nothing shares a batch with it */
};

enum { HBK_HANDSHAKE_KINDS = 7 };
extern const struct hbk_handshake_kind hbk_handshake_kinds[HBK_HANDSHAKE_KINDS];

enum hbk_handshake_engine {
    HBK_HANDSHAKE_OPENSSL,         /* libssl alone */
    HBK_HANDSHAKE_NATIVE,          /* the engine native */
    HBK_HANDSHAKE_OPENSSL_BATCHED, /* the engine openssl, whose signatures are the batcher's */
    HBK_HANDSHAKE_ENGINES,
};

struct hbk_handshake_speaker;

struct hbk_handshake_end {
    const struct hbk_handshake_speaker *speaker;
    bool is_server;
    struct ssl_ctx_st *libssl; /* of libssl alone, which has none of the others */
    struct hbk_tls_context *context;
    struct hbk_batcher *batcher;
    struct hbk_key_worker *keys;
    struct hbk_tls_worker *worker;
    struct hbk_verdict_cache verdicts;
};

/* The certificates of a run; made once. */
struct hbk_handshake_scene;

HBK_MUST_USE hbk_status hbk_handshake_scene_new(struct hbk_handshake_scene **out_scene,
                                                struct hbk_error *error);
void hbk_handshake_scene_free(struct hbk_handshake_scene *scene); /* NULL is allowed */

/* Whether that engine speaks at that end of such a handshake. */
bool hbk_handshake_kind_has(const struct hbk_handshake_kind *kind, enum hbk_handshake_engine engine,
                            bool is_server);

/* `end` is zero before. Fails as hbk_tls_context_new(). */
HBK_MUST_USE hbk_status hbk_handshake_end_init(struct hbk_handshake_end *end,
                                               const struct hbk_handshake_scene *scene,
                                               const struct hbk_handshake_kind *kind,
                                               enum hbk_handshake_engine engine, bool is_server,
                                               struct hbk_error *error);
void hbk_handshake_end_fini(struct hbk_handshake_end *end);

/* Runs every batch that is due. */
void hbk_handshake_end_flush(struct hbk_handshake_end *end);

/* Lanes per batch so far; 0: no batch. */
double hbk_handshake_end_lanes(const struct hbk_handshake_end *end);
