/*
 * Our own TLS 1.3 handshake, made for batching.
 *
 * A step takes messages while there are any, until the state wants results of jobs: then it answers
 * WAITING, and the worker runs the jobs of many handshakes at once. There is no fibre and no
 * callback into the state machine: a job's completion clears its bit, and the next step goes on.
 *
 *     server:  ClientHello -> [agree, sign] -> whole flight -> Certificate, Verify, Finished
 *                                                                     -> [verify] -> done
 *     client:  hello -> ServerHello -> [agree] -> Certificate, Verify, Finished
 *                                                     -> [verify, sign] -> flight -> done
 *
 * Jobs in one pair of brackets are posted together. The server's signature does not depend on the
 * shared secret, only on messages that are known when the ClientHello is, so both run in one batch
 * round. The client signs before it knows the server's signature to be good, but sends nothing
 * until it does.
 *
 * Invariants:
 *   1. Jobs are waited for only where keys change, and no byte may follow a message there: so no
 *      plaintext of a record ever has to be kept for longer than a step.
 *   2. The state alone decides which message may come; hbk_native_client_take() and _server_take()
 *      refuse all others with unexpected_message.
 *   3. A handshake is done only when the peer's Finished was right and, where it presented a
 *      certificate, its signature: the states CLIENT_ANSWER and SERVER_CONFIRM are the only ways.
 *   4. After a failure nothing leaves but its alert, and no job of ours remains submitted.
 *   5. A ServerHello leaves with the rest of its flight: only then is the client's share known to
 * be a point, and it saves a packet. A bad one is refused in the clear, as if nothing was said.
 *
 * Rejected: pausing inside a flight to sign (one round trip through the batcher more for each
 * side), and computing alone what could be batched (measured in docs/tls.md).
 */
#include "tls/native.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/secret.h"
#include "tls/alert.h"
#include "tls/certificate.h"
#include "tls/judge.h"

enum {
    PROOF_PAD_BYTES = 64,
    PROOF_BYTES_MAX = PROOF_PAD_BYTES + 34 + HBK_TLS_HASH_BYTES_MAX,
    SIGNATURE_MESSAGE_BYTES = HBK_MESSAGE_HEADER_BYTES + 4 + HBK_KEY_OUTPUT_BYTES_MAX,
    /* Of a Certificate message beside the certificates: lengths and extensions of each. */
    CERTIFICATE_EXTRA_BYTES = 64,
    KEY_LOG_LINE_BYTES_MAX = 40 + 2 * (HBK_MESSAGE_RANDOM_BYTES + HBK_TLS_HASH_BYTES_MAX) + 2,
};

_Static_assert(sizeof(struct hbk_native) <= HBK_NATIVE_BYTES_MAX, "a handshake has grown");

const uint16_t hbk_native_chain_schemes[HBK_NATIVE_CHAIN_SCHEMES] = {
    0x0403, 0x0503, 0x0603, /* ECDSA on any curve, by SHA-256, -384, -512 */
    0x0807, 0x0808,         /* Ed25519, Ed448 */
    0x0804, 0x0805, 0x0806, /* RSA-PSS with a key for all of RSA ... */
    0x0809, 0x080a, 0x080b, /* ... and with one for PSS alone */
    0x0401, 0x0501, 0x0601, /* RSA-PKCS#1 1.5: for certificates only */
};

static struct hbk_batcher *batcher_of(const struct hbk_native *handshake)
{
    return hbk_key_worker_batcher(handshake->setup->worker->options.keys);
}

/* ---- failures ---- */

static void cancel_jobs(struct hbk_native *handshake)
{
    struct hbk_tls_worker *worker = handshake->setup->worker;
    if ((handshake->jobs & HBK_NATIVE_JOB_AGREE) != 0) {
        hbk_batcher_cancel(batcher_of(handshake), &handshake->agree.job);
    }
    hbk_key_cancel(worker->options.keys, &handshake->sign);
    if ((handshake->jobs & HBK_NATIVE_JOB_VERIFY) != 0) {
        hbk_verification_cancel(&handshake->verify, batcher_of(handshake));
    }
    handshake->jobs = 0;
}

enum hbk_native_next hbk_native_fail(struct hbk_native *handshake, hbk_status status, int alert,
                                     const char *text)
{
    cancel_jobs(handshake);
    if (handshake->state == HBK_NATIVE_SERVER_ANSWER && !handshake->flight.is_out_protected) {
        hbk_flight_discard(&handshake->flight); /* invariant 5 */
    }
    handshake->failure_text = hbk_slice_to_string(hbk_slice_text(text));
    handshake->failure = (struct hbk_tls_failure){
        .status = status,
        .alert = alert,
        .text = handshake->failure_text != NULL ? handshake->failure_text : "the handshake failed",
    };
    handshake->state = HBK_NATIVE_FAILED;
    if (alert != HBK_ALERT_NONE) {
        hbk_flight_send_alert(&handshake->flight, alert);
    }
    return HBK_NATIVE_FAIL;
}

enum hbk_native_next hbk_native_fail_internal(struct hbk_native *handshake, hbk_status status)
{
    char text[64];
    (void)snprintf(text, sizeof text, "the handshake cannot go on: %s", hbk_status_text(status));
    return hbk_native_fail(handshake, status, HBK_ALERT_INTERNAL_ERROR, text);
}

enum hbk_native_next hbk_native_complain(struct hbk_native *handshake,
                                         struct hbk_complaint complaint)
{
    return complaint.alert == HBK_ALERT_INTERNAL_ERROR
               ? hbk_native_fail(handshake, HBK_NO_MEMORY, complaint.alert, complaint.text)
               : hbk_native_fail(handshake, HBK_INVALID, complaint.alert, complaint.text);
}

static enum hbk_native_next take_peers_alert(struct hbk_native *handshake, int alert)
{
    bool is_close = alert == HBK_ALERT_CLOSE_NOTIFY;
    (void)hbk_native_fail(handshake, HBK_CLOSED, HBK_ALERT_NONE,
                          is_close ? "the peer closed during the handshake"
                                   : hbk_tls_alert_received_text(alert));
    handshake->failure.alert = alert;
    handshake->failure.alert_is_received = true;
    return HBK_NATIVE_FAIL;
}

/* ---- jobs ---- */

static void job_done(struct hbk_native *handshake, uint8_t job)
{
    handshake->jobs &= (uint8_t)~job;
    if (handshake->jobs == 0 && handshake->setup->on_progress != NULL) {
        handshake->setup->on_progress(handshake->setup->owner);
    }
}

static void agreed(struct hbk_tls_agreement_job *agreement)
{
    job_done(HBK_CONTAINER(agreement, struct hbk_native, agree), HBK_NATIVE_JOB_AGREE);
}

static void signed_(struct hbk_key_operation *operation)
{
    job_done(HBK_CONTAINER(operation, struct hbk_native, sign), HBK_NATIVE_JOB_SIGN);
}

static void verified(struct hbk_verification *verification)
{
    job_done(HBK_CONTAINER(verification, struct hbk_native, verify), HBK_NATIVE_JOB_VERIFY);
}

/* ---- messages of ours ---- */

enum hbk_native_next hbk_native_send(struct hbk_native *handshake, size_t size_max,
                                     void (*write)(struct hbk_native *handshake,
                                                   struct hbk_writer *writer))
{
    struct hbk_span room;
    hbk_status status = hbk_flight_reserve(&handshake->flight, size_max, &room);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(room.bytes, size_max));
    write(handshake, &writer);
    HBK_ASSERT(!writer.has_failed);
    hbk_buffer_commit(&handshake->flight.plain, writer.used);
    hbk_tls_transcript_add(&handshake->transcript, hbk_slice_of(room.bytes, writer.used));
    return HBK_NATIVE_GO_ON;
}

static void write_certificate(struct hbk_native *handshake, struct hbk_writer *writer)
{
    const struct hbk_tls_certificate *certificate = handshake->certificate;
    struct hbk_slice context = hbk_slice_of(NULL, 0); /* of the request: none but an empty one */
    if (certificate == NULL) {
        hbk_certificate_message_write(writer, context, NULL, 0, hbk_slice_of(NULL, 0));
        return;
    }
    hbk_certificate_message_write(
        writer, context, certificate->chain, certificate->chain_count,
        handshake->wants_staple ? hbk_tls_certificate_staple(certificate, handshake->setup->now_ns)
                                : hbk_slice_of(NULL, 0));
}

enum hbk_native_next hbk_native_send_certificate(struct hbk_native *handshake)
{
    size_t size = CERTIFICATE_EXTRA_BYTES;
    const struct hbk_tls_certificate *certificate = handshake->certificate;
    if (certificate != NULL) {
        size += certificate->staple.size;
        for (size_t i = 0; i < certificate->chain_count; i++) {
            size += CERTIFICATE_EXTRA_BYTES + certificate->chain[i].size;
        }
    }
    return hbk_native_send(handshake, size, write_certificate);
}

/* What a CertificateVerify signs (4.4.3). Returns its size. */
static size_t write_proof(const struct hbk_native *handshake, enum hbk_tls_role signer,
                          uint8_t out[static PROOF_BYTES_MAX])
{
    static const char server_label[] = "TLS 1.3, server CertificateVerify";
    static const char client_label[] = "TLS 1.3, client CertificateVerify";
    _Static_assert(sizeof server_label == 34 && sizeof client_label == 34,
                   "labels end with a zero");
    memset(out, ' ', PROOF_PAD_BYTES);
    memcpy(out + PROOF_PAD_BYTES, signer == HBK_TLS_SERVER ? server_label : client_label,
           sizeof server_label);
    return PROOF_PAD_BYTES + sizeof server_label +
           hbk_tls_transcript_hash(&handshake->transcript,
                                   out + PROOF_PAD_BYTES + sizeof server_label);
}

enum hbk_native_next hbk_native_begin_signature(struct hbk_native *handshake)
{
    uint8_t proof[PROOF_BYTES_MAX];
    size_t size = write_proof(handshake, handshake->setup->role, proof);
    struct hbk_private_key *key = handshake->certificate->key;
    handshake->signature = malloc(hbk_private_key_output_bytes(key));
    if (handshake->signature == NULL) {
        return hbk_native_fail_internal(handshake, HBK_NO_MEMORY);
    }
    handshake->sign.key = key;
    handshake->sign.action = HBK_KEY_SIGN;
    handshake->sign.scheme = (enum hbk_sign_scheme)handshake->scheme;
    handshake->sign.input = hbk_slice_of(proof, size);
    handshake->sign.output = hbk_span_of(handshake->signature, hbk_private_key_output_bytes(key));
    handshake->sign.complete = signed_;
    hbk_status status = hbk_key_submit(handshake->setup->worker->options.keys, &handshake->sign,
                                       handshake->submitted_ns);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    handshake->jobs |= HBK_NATIVE_JOB_SIGN;
    return HBK_NATIVE_GO_ON;
}

static void write_signature(struct hbk_native *handshake, struct hbk_writer *writer)
{
    hbk_certificate_verify_write(writer, handshake->scheme,
                                 hbk_slice_of(handshake->signature, handshake->sign.output_bytes));
}

enum hbk_native_next hbk_native_send_signature(struct hbk_native *handshake)
{
    if (handshake->sign.status != HBK_OK) {
        return hbk_native_fail_internal(handshake, handshake->sign.status);
    }
    return hbk_native_send(handshake, SIGNATURE_MESSAGE_BYTES, write_signature);
}

/* The message is written in two steps, since its content depends on the transcript before it. */
enum hbk_native_next hbk_native_send_finished(struct hbk_native *handshake,
                                              const uint8_t *traffic_secret)
{
    enum hbk_cipher_suite suite = handshake->result.suite;
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    uint8_t verify_data[HBK_TLS_HASH_BYTES_MAX];
    size_t size = hbk_tls_transcript_hash(&handshake->transcript, hash);
    hbk_tls_finished(suite, traffic_secret, hash, verify_data);

    struct hbk_span room;
    hbk_status status =
        hbk_flight_reserve(&handshake->flight, HBK_MESSAGE_HEADER_BYTES + size, &room);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    struct hbk_writer writer = hbk_writer_of(room);
    hbk_finished_write(&writer, hbk_slice_of(verify_data, size));
    HBK_ASSERT(!writer.has_failed);
    hbk_buffer_commit(&handshake->flight.plain, writer.used);
    hbk_tls_transcript_add(&handshake->transcript, hbk_slice_of(room.bytes, writer.used));
    return HBK_NATIVE_GO_ON;
}

/* ---- keys ---- */

enum hbk_native_next hbk_native_begin_agreement(struct hbk_native *handshake, uint16_t group)
{
    const struct hbk_tls_share *share = NULL;
    for (size_t i = 0; i < handshake->share_count; i++) {
        share = handshake->shares[i].group == group ? &handshake->shares[i] : share;
    }
    HBK_ASSERT(share != NULL);
    handshake->agree.complete = agreed;
    hbk_status status = hbk_tls_agreement_begin(&handshake->agree, batcher_of(handshake), share,
                                                handshake->peer_share, handshake->submitted_ns);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    (void)hbk_tls_transcript_hash(&handshake->transcript, handshake->hello_hash);
    handshake->group = group;
    handshake->jobs |= HBK_NATIVE_JOB_AGREE;
    return HBK_NATIVE_GO_ON;
}

static void protect(struct hbk_native *handshake)
{
    bool is_client = handshake->setup->role == HBK_TLS_CLIENT;
    const uint8_t *client_secret = handshake->client_handshake_secret;
    const uint8_t *server_secret = handshake->server_handshake_secret;
    enum hbk_cipher_suite suite = handshake->result.suite;
    hbk_flight_protect_in(&handshake->flight, suite, is_client ? server_secret : client_secret);
    hbk_flight_protect_out(&handshake->flight, suite, is_client ? client_secret : server_secret);
}

/* One line of the SSLKEYLOGFILE format, where somebody has asked for it. */
static void log_secret(const struct hbk_native *handshake, const char *label, const uint8_t *secret)
{
    static const char digits[] = "0123456789abcdef";
    const struct hbk_tls_worker_options *options = &handshake->setup->worker->options;
    char line[KEY_LOG_LINE_BYTES_MAX];
    if (options->key_log == NULL) {
        return;
    }
    size_t used = (size_t)snprintf(line, sizeof line, "%s ", label);
    const struct hbk_slice parts[] = {
        hbk_slice_of(handshake->random, sizeof handshake->random),
        hbk_slice_of(secret, hbk_cipher_suite_hash_bytes(handshake->result.suite)),
    };
    for (size_t i = 0; i < HBK_COUNT(parts); i++) {
        for (size_t j = 0; j < parts[i].size; j++) {
            line[used++] = digits[parts[i].bytes[j] >> 4];
            line[used++] = digits[parts[i].bytes[j] & 15];
        }
        line[used++] = i == 0 ? ' ' : '\0';
    }
    options->key_log(options->key_log_owner, line);
    hbk_secret_wipe(line, sizeof line);
}

enum hbk_native_next hbk_native_derive_handshake(struct hbk_native *handshake)
{
    struct hbk_slice secret;
    hbk_status status = hbk_tls_agreement_secret(&handshake->agree, &secret);
    if (status == HBK_INVALID) {
        return hbk_native_fail(handshake, HBK_INVALID, HBK_ALERT_ILLEGAL_PARAMETER,
                               "a key share that is no point of its group, or of small order");
    }
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    const uint8_t *hash = handshake->hello_hash;
    hbk_tls_schedule_next(&handshake->schedule, secret);
    hbk_secret_wipe(&handshake->agree, sizeof handshake->agree);
    hbk_secret_wipe(handshake->shares, sizeof handshake->shares);
    handshake->share_count = 0;
    hbk_tls_schedule_derive(&handshake->schedule, "c hs traffic", hash,
                            handshake->client_handshake_secret);
    hbk_tls_schedule_derive(&handshake->schedule, "s hs traffic", hash,
                            handshake->server_handshake_secret);
    log_secret(handshake, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", handshake->client_handshake_secret);
    log_secret(handshake, "SERVER_HANDSHAKE_TRAFFIC_SECRET", handshake->server_handshake_secret);
    protect(handshake);
    return HBK_NATIVE_GO_ON;
}

void hbk_native_derive_application(struct hbk_native *handshake)
{
    struct hbk_tls_result *result = &handshake->result;
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    result->secret_bytes = hbk_tls_transcript_hash(&handshake->transcript, hash);
    hbk_tls_schedule_next(&handshake->schedule, hbk_slice_of(NULL, 0));
    hbk_tls_schedule_derive(&handshake->schedule, "c ap traffic", hash, result->client_secret);
    hbk_tls_schedule_derive(&handshake->schedule, "s ap traffic", hash, result->server_secret);
    hbk_tls_schedule_derive(&handshake->schedule, "exp master", hash, result->exporter_secret);
    log_secret(handshake, "CLIENT_TRAFFIC_SECRET_0", result->client_secret);
    log_secret(handshake, "SERVER_TRAFFIC_SECRET_0", result->server_secret);
    log_secret(handshake, "EXPORTER_SECRET", result->exporter_secret);
}

void hbk_native_derive_resumption(struct hbk_native *handshake)
{
    struct hbk_tls_result *result = &handshake->result;
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    (void)hbk_tls_transcript_hash(&handshake->transcript, hash);
    hbk_tls_schedule_derive(&handshake->schedule, "res master", hash, result->resumption_secret);
    result->has_resumption_secret = true;
}

enum hbk_native_next hbk_native_ask(struct hbk_native *handshake, enum hbk_tls_moment moment,
                                    const struct hbk_tls_wish *wish)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    int alert =
        context->veto == NULL ? HBK_ALERT_NONE : context->veto(context->veto_owner, moment, wish);
    return alert == HBK_ALERT_NONE
               ? HBK_NATIVE_GO_ON
               : hbk_native_fail(handshake, HBK_DENIED, alert, "the program refuses the peer");
}

bool hbk_native_list_has(struct hbk_slice list, uint16_t number)
{
    for (size_t i = 0; i + 1 < list.size; i += 2) {
        if ((list.bytes[i] << 8 | list.bytes[i + 1]) == number) {
            return true;
        }
    }
    return false;
}

void hbk_native_agree_on_limits(struct hbk_native *handshake)
{
    uint16_t limit = handshake->setup->context->record_size_limit;
    handshake->result.own_record_size_limit = limit;
    handshake->flight.record_size_limit = limit;
}

/* ---- the peer's certificate and signature ---- */

static enum hbk_native_next take_no_certificate(struct hbk_native *handshake)
{
    const struct hbk_tls_context *context = handshake->setup->context;
    if (handshake->setup->role == HBK_TLS_CLIENT) {
        return hbk_native_fail(handshake, HBK_UNTRUSTED, HBK_ALERT_DECODE_ERROR,
                               "the server presented no certificate");
    }
    if (context->client_certificate == HBK_TLS_CLIENT_CERTIFICATE_REQUIRED) {
        return hbk_native_fail(handshake, HBK_UNTRUSTED, HBK_ALERT_CERTIFICATE_REQUIRED,
                               "the peer presented no certificate");
    }
    return HBK_NATIVE_GO_ON;
}

/* What the server stapled is passed up as it is. One that is too long is none: it would be kept as
 * long as the session. */
hbk_status hbk_native_keep_staple(struct hbk_native *handshake, struct hbk_slice staple)
{
    if (staple.size == 0 || staple.size > HBK_TLS_STAPLE_BYTES_MAX) {
        return HBK_OK;
    }
    uint8_t *copy = malloc(staple.size);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy(copy, staple.bytes, staple.size);
    handshake->result.staple = hbk_span_of(copy, staple.size);
    return HBK_OK;
}

enum hbk_native_next hbk_native_take_certificate(struct hbk_native *handshake,
                                                 const struct hbk_flight_message *message)
{
    struct hbk_certificate_message presented;
    struct hbk_complaint complaint =
        hbk_certificate_message_read(message->body, handshake->offered, &presented);
    if (complaint.alert != HBK_ALERT_NONE) {
        return hbk_native_complain(handshake, complaint);
    }
    if (presented.context.size > 0) {
        return hbk_native_fail(handshake, HBK_INVALID, HBK_ALERT_DECODE_ERROR,
                               "a certificate in answer to a request that was not made");
    }
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    if (presented.count == 0) {
        return take_no_certificate(handshake);
    }
    if (presented.count > HBK_CHAIN_CERTIFICATES_MAX) {
        return hbk_native_fail(handshake, HBK_LIMIT, HBK_ALERT_BAD_CERTIFICATE,
                               "a chain of too many certificates");
    }
    handshake->has_certificate = true;
    const struct hbk_chain chain = {
        .certificates = presented.certificates,
        .count = presented.count,
    };
    hbk_status status = hbk_native_keep_staple(handshake, presented.staple);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    struct hbk_verdict_failure failure = {0};
    status = hbk_tls_judge(handshake->setup, &chain, &handshake->result.peer, &failure);
    return status == HBK_OK ? HBK_NATIVE_GO_ON
                            : hbk_native_fail(handshake, status, hbk_tls_judge_alert(&failure),
                                              failure.error.text);
}

enum hbk_native_next hbk_native_take_verify(struct hbk_native *handshake,
                                            const struct hbk_flight_message *message)
{
    struct hbk_certificate_verify read;
    struct hbk_complaint complaint = hbk_certificate_verify_read(message->body, &read);
    if (complaint.alert != HBK_ALERT_NONE) {
        return hbk_native_complain(handshake, complaint);
    }
    const struct hbk_public_key *key = &handshake->result.peer->key;
    if (!hbk_tls_list_has(&handshake->setup->context->verify_schemes, read.scheme) ||
        !hbk_verification_fits(key, read.scheme)) {
        return hbk_native_fail(handshake, HBK_INVALID, HBK_ALERT_ILLEGAL_PARAMETER,
                               "a signature of a scheme that was not offered or is not the key's");
    }
    uint8_t proof[PROOF_BYTES_MAX];
    enum hbk_tls_role signer =
        handshake->setup->role == HBK_TLS_CLIENT ? HBK_TLS_SERVER : HBK_TLS_CLIENT;
    size_t size = write_proof(handshake, signer, proof);
    handshake->verify.complete = verified;
    bool is_waiting = false;
    hbk_status status = hbk_verification_begin(
        &handshake->verify, batcher_of(handshake), key, read.scheme, hbk_slice_of(proof, size),
        read.signature, handshake->submitted_ns, &is_waiting);
    if (status != HBK_OK) {
        return hbk_native_fail_internal(handshake, status);
    }
    if (is_waiting) {
        handshake->jobs |= HBK_NATIVE_JOB_VERIFY;
    }
    handshake->result.peer_scheme = read.scheme;
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    return is_waiting ? HBK_NATIVE_GO_ON : hbk_native_judge_signature(handshake);
}

enum hbk_native_next hbk_native_judge_signature(struct hbk_native *handshake)
{
    switch (handshake->verify.status) {
    case HBK_LANE_OK:
        return HBK_NATIVE_GO_ON;
    case HBK_LANE_REFUSED:
        return hbk_native_fail(handshake, HBK_UNTRUSTED, HBK_ALERT_DECRYPT_ERROR,
                               "the peer does not have the key of its certificate");
    case HBK_LANE_FAILED:
        return hbk_native_fail_internal(handshake, HBK_NO_MEMORY);
    }
    HBK_UNREACHABLE();
}

enum hbk_native_next hbk_native_take_finished(struct hbk_native *handshake,
                                              const struct hbk_flight_message *message,
                                              const uint8_t *traffic_secret)
{
    uint8_t hash[HBK_TLS_HASH_BYTES_MAX];
    uint8_t expected[HBK_TLS_HASH_BYTES_MAX];
    size_t size = hbk_tls_transcript_hash(&handshake->transcript, hash);
    hbk_tls_finished(handshake->result.suite, traffic_secret, hash, expected);
    bool is_right = hbk_secret_equal(hbk_slice_of(expected, size), message->body);
    hbk_secret_wipe(expected, sizeof expected);
    if (!is_right) {
        return hbk_native_fail(handshake, HBK_INVALID, HBK_ALERT_DECRYPT_ERROR,
                               "a Finished that is wrong: the handshake was changed on the way");
    }
    if (hbk_flight_has_more(&handshake->flight)) {
        return hbk_native_fail(handshake, HBK_INVALID, HBK_ALERT_UNEXPECTED_MESSAGE,
                               "a message behind Finished in one record");
    }
    hbk_tls_transcript_add(&handshake->transcript, message->whole);
    return HBK_NATIVE_GO_ON;
}

/* ---- a step ---- */

static enum hbk_native_next continue_after_jobs(struct hbk_native *handshake)
{
    return handshake->setup->role == HBK_TLS_CLIENT ? hbk_native_client_continue(handshake)
                                                    : hbk_native_server_continue(handshake);
}

static bool is_waiting_for_jobs(enum hbk_native_state state)
{
    return state == HBK_NATIVE_CLIENT_AGREE || state == HBK_NATIVE_CLIENT_ANSWER ||
           state == HBK_NATIVE_SERVER_ANSWER || state == HBK_NATIVE_SERVER_CONFIRM;
}

/* The longest message that may come next; whoever sends more is cut off before it costs memory. */
static uint32_t message_bytes_max(const struct hbk_native *handshake)
{
    switch (handshake->state) {
    case HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE:
    case HBK_NATIVE_CLIENT_CERTIFICATE:
    case HBK_NATIVE_SERVER_CERTIFICATE:
        return handshake->setup->context->certificate_bytes_max;
    case HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY:
    case HBK_NATIVE_SERVER_CERTIFICATE_VERIFY:
        return HBK_NATIVE_VERIFY_BYTES_MAX;
    case HBK_NATIVE_CLIENT_FINISHED:
    case HBK_NATIVE_SERVER_FINISHED:
        return HBK_NATIVE_FINISHED_BYTES_MAX;
    default:
        return HBK_NATIVE_HELLO_BYTES_MAX;
    }
}

/* The messages that may come next, as bits. What is sent instead is refused by its header, however
 * long it says to be; the halves refuse it again (invariant 2). */
static uint32_t awaited_messages(enum hbk_native_state state)
{
    switch (state) {
    case HBK_NATIVE_CLIENT_SERVER_HELLO:
        return 1u << HBK_MESSAGE_SERVER_HELLO;
    case HBK_NATIVE_CLIENT_ENCRYPTED_EXTENSIONS:
        return 1u << HBK_MESSAGE_ENCRYPTED_EXTENSIONS;
    case HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE:
        return 1u << HBK_MESSAGE_CERTIFICATE_REQUEST | 1u << HBK_MESSAGE_CERTIFICATE;
    case HBK_NATIVE_CLIENT_CERTIFICATE:
    case HBK_NATIVE_SERVER_CERTIFICATE:
        return 1u << HBK_MESSAGE_CERTIFICATE;
    case HBK_NATIVE_CLIENT_CERTIFICATE_VERIFY:
    case HBK_NATIVE_SERVER_CERTIFICATE_VERIFY:
        return 1u << HBK_MESSAGE_CERTIFICATE_VERIFY;
    case HBK_NATIVE_CLIENT_FINISHED:
    case HBK_NATIVE_SERVER_FINISHED:
        return 1u << HBK_MESSAGE_FINISHED;
    case HBK_NATIVE_SERVER_CLIENT_HELLO:
    case HBK_NATIVE_SERVER_SECOND_HELLO:
        return 1u << HBK_MESSAGE_CLIENT_HELLO;
    default:
        HBK_UNREACHABLE(); /* no message is looked for */
    }
}

/* Takes one message, or answers why none can be taken. */
static enum hbk_tls_answer take_message(struct hbk_native *handshake, struct hbk_span *input)
{
    struct hbk_flight_message message;
    struct hbk_complaint complaint;
    enum hbk_native_next next = HBK_NATIVE_FAIL;
    handshake->flight.awaited_messages = awaited_messages(handshake->state);
    handshake->flight.message_bytes_max = message_bytes_max(handshake);
    switch (hbk_flight_next(&handshake->flight, input, &message, &complaint)) {
    case HBK_FLIGHT_MESSAGE:
        next = handshake->setup->role == HBK_TLS_CLIENT
                   ? hbk_native_client_take(handshake, &message)
                   : hbk_native_server_take(handshake, &message);
        break;
    case HBK_FLIGHT_WANT_INPUT:
        return HBK_TLS_WANT_INPUT;
    case HBK_FLIGHT_ALERT:
        next = take_peers_alert(handshake, complaint.alert);
        break;
    case HBK_FLIGHT_FAILED:
        next = hbk_native_complain(handshake, complaint);
        break;
    }
    return next == HBK_NATIVE_GO_ON ? HBK_TLS_DONE : HBK_TLS_FAILED;
}

/* Goes on until something is missing. DONE and FAILED are final. */
static enum hbk_tls_answer advance(struct hbk_native *handshake, struct hbk_span *input)
{
    for (;;) {
        enum hbk_tls_answer answer = HBK_TLS_DONE;
        if (handshake->state == HBK_NATIVE_FAILED) {
            return HBK_TLS_FAILED;
        }
        if (handshake->state == HBK_NATIVE_DONE) {
            return HBK_TLS_DONE;
        }
        if (is_waiting_for_jobs(handshake->state)) {
            if (handshake->jobs != 0) {
                return HBK_TLS_WAITING;
            }
            (void)continue_after_jobs(handshake);
        } else if (handshake->state == HBK_NATIVE_CLIENT_BEGIN) {
            (void)hbk_native_client_begin(handshake);
        } else {
            answer = take_message(handshake, input);
        }
        if (answer == HBK_TLS_WANT_INPUT) {
            return answer;
        }
    }
}

static enum hbk_tls_answer step(void *argument, struct hbk_span input, size_t *out_consumed,
                                struct hbk_span output, size_t *out_written)
{
    struct hbk_native *handshake = argument;
    struct hbk_span left = input;
    *out_written = 0;
    handshake->submitted_ns = hbk_clock_monotonic_ns();
    enum hbk_tls_answer answer = advance(handshake, &left);
    /* Invariant 1: what is kept here is the beginning of a message only. */
    if (answer != HBK_TLS_FAILED && hbk_flight_keep(&handshake->flight) != HBK_OK) {
        (void)hbk_native_fail_internal(handshake, HBK_NO_MEMORY);
        answer = HBK_TLS_FAILED;
    }
    *out_consumed = input.size - left.size;
    if (answer == HBK_TLS_WAITING && handshake->state == HBK_NATIVE_SERVER_ANSWER) {
        return answer; /* invariant 5 */
    }
    bool is_drained = hbk_flight_drain(&handshake->flight, output, out_written);
    return is_drained ? answer : HBK_TLS_WANT_ROOM;
}

/* ---- the engine's table ---- */

static hbk_status context_new(const struct hbk_tls_context *context, void **out_engine_context,
                              struct hbk_error *error)
{
    /* The context itself has all that this engine needs. */
    (void)context;
    (void)error;
    *out_engine_context = NULL;
    return HBK_OK;
}

static void context_free(void *engine_context)
{
    (void)engine_context;
}

static void handshake_free(void *argument)
{
    struct hbk_native *handshake = argument;
    struct hbk_tls_worker *worker = handshake->setup->worker;
    cancel_jobs(handshake);
    hbk_flight_fini(&handshake->flight);
    hbk_buffer_fini(&handshake->hello);
    hbk_buffer_fini(&handshake->cookie);
    hbk_peer_unref(handshake->result.peer);
    free(handshake->result.server_name);
    free(handshake->result.staple.bytes);
    free(handshake->signature);
    free(handshake->failure_text);
    hbk_secret_wipe(handshake, sizeof *handshake);
    hbk_pool_give(&worker->handshakes, handshake);
}

static hbk_status handshake_new(const struct hbk_tls_setup *setup, void **out_handshake)
{
    struct hbk_native *handshake = hbk_pool_take(&setup->worker->handshakes);
    if (handshake == NULL) {
        return HBK_LIMIT;
    }
    handshake->setup = setup;
    handshake->failure.alert = HBK_ALERT_NONE;
    handshake->begun_ns = setup->now_ns;
    handshake->result.version = HBK_TLS_1_3;
    handshake->state =
        setup->role == HBK_TLS_CLIENT ? HBK_NATIVE_CLIENT_BEGIN : HBK_NATIVE_SERVER_CLIENT_HELLO;
    hbk_flight_init(&handshake->flight, &setup->worker->expanded, setup->role);
    handshake->flight.record_bytes_max = setup->context->sent_record_bytes_max;
    hbk_buffer_init(&handshake->hello, HBK_NATIVE_HELLO_BYTES_MAX + HBK_TLS_TICKET_BYTES_MAX);
    hbk_buffer_init(&handshake->cookie, HBK_MESSAGE_COOKIE_BYTES_MAX);
    *out_handshake = handshake;
    return HBK_OK;
}

static void take_result(void *argument, struct hbk_tls_result *out_result)
{
    struct hbk_native *handshake = argument;
    *out_result = handshake->result;
    out_result->group = handshake->group;
    out_result->was_resumed = handshake->is_resuming;
    out_result->sent_records =
        handshake->setup->role == HBK_TLS_SERVER ? handshake->flight.out.sequence : 0;
    handshake->result.peer = NULL;
    handshake->result.server_name = NULL;
    handshake->result.staple = hbk_span_of(NULL, 0);
}

static struct hbk_tls_failure failure(const void *argument)
{
    const struct hbk_native *handshake = argument;
    return handshake->failure;
}

static bool hand_over(void *argument, struct hbk_buffer *out_hello)
{
    struct hbk_native *handshake = argument;
    if (handshake->setup->role != HBK_TLS_SERVER || hbk_buffer_is_empty(&handshake->hello)) {
        return false;
    }
    *out_hello = handshake->hello;
    hbk_buffer_init(&handshake->hello, 0);
    return true;
}

static void take_back(void *argument, hbk_status status)
{
    struct hbk_native *handshake = argument;
    free(handshake->failure_text);
    (void)hbk_native_fail_internal(handshake, status);
}

const struct hbk_tls_engine hbk_tls_native = {
    .kind = HBK_TLS_ENGINE_NATIVE,
    .context_new = context_new,
    .context_free = context_free,
    .handshake_new = handshake_new,
    .handshake_free = handshake_free,
    .step = step,
    .take_result = take_result,
    .own_certificate = hbk_native_own_certificate,
    .failure = failure,
    .hand_over = hand_over,
    .take_back = take_back,
};
