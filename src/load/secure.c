#include "load/secure.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/assert.h"
#include "base/clock.h"
#include "identity/bundle.h"
#include "identity/certificate.h"
#include "identity/trust.h"
#include "os/file.h"

/* Where Debian has the roots that are believed by default. */
static const char system_roots[] = "/etc/ssl/certs/ca-certificates.crt";

/* Room for a flight; one that is larger comes in parts. */
enum { FLIGHT_BYTES = 16 << 10 };

/* ---- contexts ---- */

static hbk_status read_file(const char *path, struct hbk_arena *arena, size_t bytes_max,
                            struct hbk_slice *out_text, struct hbk_error *error)
{
    hbk_status status = hbk_file_read(arena, path, bytes_max, out_text);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", path, hbk_status_text(status));
}

static hbk_status read_key(const char *path, struct hbk_arena *arena, EVP_PKEY **out_key,
                           struct hbk_error *error)
{
    struct hbk_slice text;
    HBK_TRY(read_file(path, arena, HBK_SECURE_PEM_BYTES_MAX, &text, error));
    BIO *bio = BIO_new_mem_buf(text.bytes, (int)text.size);
    *out_key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return *out_key != NULL ? HBK_OK
                            : hbk_error_set(error, HBK_INVALID,
                                            "%s: a private key as PEM without a password is "
                                            "allowed",
                                            path);
}

static hbk_status read_chain(const char *path, struct hbk_arena *arena,
                             struct hbk_certificates *out_chain, struct hbk_error *error)
{
    struct hbk_slice text;
    HBK_TRY(read_file(path, arena, HBK_SECURE_PEM_BYTES_MAX, &text, error));
    hbk_status status = hbk_certificates_read(text, HBK_CHAIN_CERTIFICATES_MAX, out_chain, error);
    if (status != HBK_OK) {
        (void)hbk_error_set(error, status, "%s", hbk_status_text(status));
        hbk_error_prefix(error, "%s", path);
    }
    return status;
}

/* A certificate of a mesh carries a SPIFFE id and no host name: a path to the roots is what counts
 * for it, and for all others the name, too. */
static hbk_status make_trust(const struct hbk_secure_options *options, struct hbk_arena *arena,
                             const struct hbk_trust **out_trust, struct hbk_error *error)
{
    struct hbk_slice text;
    if (options->is_insecure) { /* whatever its name */
        const struct hbk_trust_options anybody = {.rule = HBK_TRUST_ANYBODY};
        return hbk_trust_new(&anybody, out_trust);
    }
    struct hbk_trust_options trust = {
        .rule = HBK_TRUST_NAME, .ignores_host = options->is_server || options->takes_any_name};
    const char *path = options->ca_path == NULL ? system_roots : options->ca_path;
    HBK_TRY(read_file(path, arena, HBK_FILE_BYTES_MAX, &text, error));
    hbk_status status = hbk_bundle_new_roots(text, hbk_slice_of(NULL, 0), &trust.roots, error);
    if (status != HBK_OK) {
        (void)hbk_error_set(error, status, "%s", hbk_status_text(status));
        hbk_error_prefix(error, "%s", path);
        return status;
    }
    status = hbk_trust_new(&trust, out_trust);
    hbk_bundle_unref(trust.roots);
    return status;
}

/* What is read and built on the way, and freed at its end. */
struct making {
    struct hbk_arena arena;
    struct hbk_certificates chain;
    EVP_PKEY *key;
    const struct hbk_trust *trust;
};

static hbk_status make(const struct hbk_secure_options *options, struct making *making,
                       struct hbk_tls_context **out_context, struct hbk_error *error)
{
    bool has_trust = !options->is_server || options->asks_client;
    if (options->cert_path != NULL) {
        const char *key_path = options->key_path == NULL ? options->cert_path : options->key_path;
        HBK_TRY(read_chain(options->cert_path, &making->arena, &making->chain, error));
        HBK_TRY(read_key(key_path, &making->arena, &making->key, error));
    }
    if (has_trust) {
        HBK_TRY(make_trust(options, &making->arena, &making->trust, error));
    }
    const struct hbk_tls_certificate_options certificate = {
        .chain = making->chain.items,
        .chain_count = making->chain.count,
        .private_key = making->key,
    };
    const struct hbk_tls_context_options context = {
        .engine = options->is_native ? HBK_TLS_ENGINE_NATIVE : HBK_TLS_ENGINE_OPENSSL,
        .certificates = making->chain.count > 0 ? &certificate : NULL,
        .certificate_count = making->chain.count > 0 ? 1 : 0,
        .trust = making->trust,
        .client_certificate = options->asks_client ? HBK_TLS_CLIENT_CERTIFICATE_REQUIRED
                                                   : HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .protocols = options->is_http2 ? HBK_SLICE("\x02h2") : HBK_SLICE("\x08http/1.1"),
        .requires_protocol = options->is_http2,
        .resumes = options->resumes,
        .allows_tls12 = options->is_tls12,
        .only_tls12 = options->is_tls12,
    };
    return hbk_tls_context_new(&context, out_context, error);
}

hbk_status hbk_secure_context_new(const struct hbk_secure_options *options,
                                  struct hbk_tls_context **out_context, struct hbk_error *error)
{
    struct making making = {0};
    hbk_arena_init(&making.arena);
    hbk_status status = make(options, &making, out_context, error);
    (void)hbk_error_set(error, status, "TLS: %s", hbk_status_text(status));
    hbk_trust_unref(making.trust);
    hbk_certificates_fini(&making.chain);
    EVP_PKEY_free(making.key);
    hbk_arena_fini(&making.arena);
    return status;
}

/* ---- connections ---- */

hbk_status hbk_secure_begin(struct hbk_secure *secure, struct hbk_tls_context *context,
                            struct hbk_batch *batch, struct hbk_slice server_name,
                            struct hbk_tls_ticket *ticket, void (*on_progress)(void *owner),
                            void *owner)
{
    bool is_client = server_name.size > 0;
    const struct hbk_tls_options options = {
        .role = is_client ? HBK_TLS_CLIENT : HBK_TLS_SERVER,
        .worker = batch->tls,
        .server_name = server_name,
        .ticket = ticket,
        .on_progress = on_progress,
        .owner = owner,
    };
    *secure = (struct hbk_secure){.batch = batch};
    hbk_buffer_init(&secure->in, HBK_SECURE_IN_BYTES_MAX);
    return hbk_tls_session_new(context, &options, hbk_clock_realtime_ns(), &secure->session);
}

void hbk_secure_end(struct hbk_secure *secure)
{
    hbk_tls_session_free(secure->session);
    hbk_buffer_fini(&secure->in);
    secure->session = NULL;
    secure->lent = 0;
    secure->is_done = false;
}

hbk_status hbk_secure_put(struct hbk_secure *secure, struct hbk_slice bytes)
{
    return hbk_buffer_append(&secure->in, bytes);
}

static struct hbk_span input_of(struct hbk_secure *secure)
{
    return hbk_span_of(secure->in.bytes == NULL ? NULL : secure->in.bytes + secure->in.start,
                       hbk_buffer_size(&secure->in));
}

static enum hbk_secure_answer shake_hands(struct hbk_secure *secure, struct hbk_buffer *out)
{
    for (;;) {
        struct hbk_span room;
        size_t consumed, written;
        if (hbk_buffer_reserve(out, FLIGHT_BYTES, &room) != HBK_OK) {
            return HBK_SECURE_FAILED;
        }
        enum hbk_tls_answer answer =
            hbk_tls_handshake(secure->session, input_of(secure), &consumed, room, &written);
        hbk_buffer_commit(out, written);
        hbk_buffer_consume(&secure->in, consumed);
        switch (answer) {
        case HBK_TLS_DONE:
            secure->is_done = true;
            return HBK_SECURE_READY;
        case HBK_TLS_WANT_ROOM:
            break;
        case HBK_TLS_WAITING:
            hbk_batch_wake(secure->batch);
            return HBK_SECURE_MORE;
        case HBK_TLS_WANT_INPUT:
            return HBK_SECURE_MORE;
        case HBK_TLS_CLOSED:
            return HBK_SECURE_CLOSED;
        case HBK_TLS_FAILED:
            return HBK_SECURE_FAILED;
        }
    }
}

/* What TLS itself has to say: a key update, an alert. */
static void flush(struct hbk_secure *secure, struct hbk_buffer *out)
{
    struct hbk_span room;
    size_t written = 0;
    if (hbk_tls_has_output(secure->session) &&
        hbk_buffer_reserve(out, HBK_TLS_CONTROL_BYTES_MAX, &room) == HBK_OK &&
        hbk_tls_flush(secure->session, room, &written) == HBK_TLS_DONE) {
        hbk_buffer_commit(out, written);
    }
}

enum hbk_secure_answer hbk_secure_next(struct hbk_secure *secure, struct hbk_buffer *out,
                                       struct hbk_slice *out_plain)
{
    hbk_buffer_consume(&secure->in, secure->lent);
    secure->lent = 0;
    if (!secure->is_done) {
        return shake_hands(secure, out);
    }
    for (;;) {
        struct hbk_slice plain = {0};
        size_t consumed = 0;
        enum hbk_tls_answer answer =
            hbk_tls_open(secure->session, input_of(secure), &consumed, &plain);
        flush(secure, out);
        switch (answer) {
        case HBK_TLS_DONE:
            if (plain.size > 0) {
                secure->lent = consumed;
                *out_plain = plain;
                return HBK_SECURE_PLAIN;
            }
            hbk_buffer_consume(&secure->in, consumed);
            break;
        case HBK_TLS_WANT_INPUT:
            return HBK_SECURE_MORE;
        case HBK_TLS_CLOSED:
            return HBK_SECURE_CLOSED;
        case HBK_TLS_WANT_ROOM:
        case HBK_TLS_WAITING:
        case HBK_TLS_FAILED:
            return HBK_SECURE_FAILED;
        }
    }
}

hbk_status hbk_secure_seal(struct hbk_secure *secure, struct hbk_slice plain,
                           struct hbk_buffer *out)
{
    HBK_ASSERT(secure->is_done);
    while (plain.size > 0) {
        struct hbk_slice part = hbk_slice_part(plain, 0, HBK_SECURE_PLAIN_BYTES_MAX);
        struct hbk_span room;
        size_t sealed, written;
        HBK_TRY(
            hbk_buffer_reserve(out, hbk_tls_sealed_bytes_max(secure->session, part.size), &room));
        if (hbk_tls_seal(secure->session, &part, 1, room, &sealed, &written) != HBK_TLS_DONE) {
            return HBK_CLOSED;
        }
        hbk_buffer_commit(out, written);
        plain = hbk_slice_part(plain, part.size, plain.size);
    }
    return HBK_OK;
}

const char *hbk_secure_failure_text(const struct hbk_secure *secure)
{
    return secure->session == NULL ? "no session" : hbk_tls_failure(secure->session).text;
}
