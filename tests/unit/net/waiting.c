#include "waiting.h"

#include "base/assert.h"
#include "crypto/key_worker.h"
#include "tls/engine.h"

enum { SESSIONS_MAX = 64 };

unsigned waiting_wanted, waiting_jobs, waiting_cancelled;
bool waiting_holds;

/* What is known of a session beside the session. */
struct session {
    struct hbk_tls_session *tls; /* NULL: free */
    void (*on_progress)(void *owner);
    void *owner;
    unsigned waited;
    bool is_waiting;
    struct hbk_batcher *batcher;
    struct hbk_job job;
};

static struct session sessions[SESSIONS_MAX];

enum hbk_tls_answer __real_hbk_tls_handshake(struct hbk_tls_session *tls, struct hbk_span input,
                                             size_t *out_consumed, struct hbk_span output,
                                             size_t *out_written);
enum hbk_tls_answer __wrap_hbk_tls_handshake(struct hbk_tls_session *tls, struct hbk_span input,
                                             size_t *out_consumed, struct hbk_span output,
                                             size_t *out_written);
hbk_status __real_hbk_tls_session_new(struct hbk_tls_context *context,
                                      const struct hbk_tls_options *options, int64_t now_ns,
                                      struct hbk_tls_session **out_session);
hbk_status __wrap_hbk_tls_session_new(struct hbk_tls_context *context,
                                      const struct hbk_tls_options *options, int64_t now_ns,
                                      struct hbk_tls_session **out_session);
void __real_hbk_tls_session_watch(struct hbk_tls_session *tls, void (*on_progress)(void *owner),
                                  void *owner);
void __wrap_hbk_tls_session_watch(struct hbk_tls_session *tls, void (*on_progress)(void *owner),
                                  void *owner);
void __real_hbk_tls_session_free(struct hbk_tls_session *tls);
void __wrap_hbk_tls_session_free(struct hbk_tls_session *tls);

static struct session *find(const struct hbk_tls_session *tls)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (sessions[i].tls == tls) {
            return &sessions[i];
        }
    }
    return NULL;
}

hbk_status __wrap_hbk_tls_session_new(struct hbk_tls_context *context,
                                      const struct hbk_tls_options *options, int64_t now_ns,
                                      struct hbk_tls_session **out_session)
{
    hbk_status status = __real_hbk_tls_session_new(context, options, now_ns, out_session);
    if (status == HBK_OK && waiting_wanted > 0) {
        struct session *session = find(NULL);
        HBK_ASSERT(session != NULL);
        *session = (struct session){
            .tls = *out_session,
            .batcher = hbk_key_worker_batcher(options->worker->options.keys),
        };
    }
    return status;
}

void __wrap_hbk_tls_session_watch(struct hbk_tls_session *tls, void (*on_progress)(void *owner),
                                  void *owner)
{
    struct session *session = find(tls);
    if (session != NULL) {
        session->on_progress = on_progress;
        session->owner = owner;
    }
    __real_hbk_tls_session_watch(tls, on_progress, owner);
}

static void on_complete(struct hbk_job *job)
{
    struct session *session = HBK_CONTAINER(job, struct session, job);
    session->is_waiting = false;
    session->on_progress(session->owner);
}

enum hbk_tls_answer __wrap_hbk_tls_handshake(struct hbk_tls_session *tls, struct hbk_span input,
                                             size_t *out_consumed, struct hbk_span output,
                                             size_t *out_written)
{
    struct session *session = find(tls);
    *out_consumed = 0;
    *out_written = 0;
    if (session != NULL && !session->is_waiting && session->waited < waiting_wanted) {
        session->waited++;
        session->is_waiting = true;
        session->job = (struct hbk_job){.kind = HBK_JOB_X25519_KEYGEN, .complete = on_complete};
        waiting_jobs++;
        hbk_status status =
            waiting_holds ? HBK_OK : hbk_batcher_submit(session->batcher, &session->job, 0);
        HBK_ASSERT(status == HBK_OK);
    }
    if (session != NULL && session->is_waiting) {
        return HBK_TLS_WAITING;
    }
    if (session != NULL) {
        session->waited = 0;
    }
    return __real_hbk_tls_handshake(tls, input, out_consumed, output, out_written);
}

void __wrap_hbk_tls_session_free(struct hbk_tls_session *tls)
{
    struct session *session = tls == NULL ? NULL : find(tls);
    if (session != NULL) {
        waiting_cancelled += session->is_waiting;
        hbk_batcher_cancel(session->batcher, &session->job);
        session->tls = NULL;
    }
    __real_hbk_tls_session_free(tls);
}
