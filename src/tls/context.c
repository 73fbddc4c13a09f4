#include "tls/context.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/buffer.h"
#include "base/cursor.h"
#include "tls/certificate.h"
#include "tls/engine.h"
#include "tls/ticket.h"

enum { RECORD_LIMIT_MAX = HBK_TLS_PLAIN_BYTES_MAX + 1 }; /* RFC 8449, 4 */

static const uint16_t default_suites[] = {
    HBK_SUITE_AES_128_GCM_SHA256,
    HBK_SUITE_AES_256_GCM_SHA384,
    HBK_SUITE_CHACHA20_POLY1305_SHA256,
};
static const uint16_t default_groups[] = {HBK_GROUP_X25519, HBK_GROUP_P256, HBK_GROUP_P384};
static const uint16_t default_verify_schemes[] = {
    HBK_SIGN_ECDSA_P256_SHA256,   HBK_SIGN_ED25519,
    HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_SIGN_ECDSA_P384_SHA384,
    HBK_SIGN_RSA_PSS_RSAE_SHA384, HBK_SIGN_RSA_PSS_RSAE_SHA512,
};

const char *hbk_tls_engine_text(enum hbk_tls_engine_kind engine)
{
    switch (engine) {
    case HBK_TLS_ENGINE_OPENSSL:
        return "openssl";
    case HBK_TLS_ENGINE_NATIVE:
        return "native";
    case HBK_TLS_ENGINE_COUNT:
        break;
    }
    HBK_UNREACHABLE();
}

const struct hbk_tls_engine *hbk_tls_engine_of(enum hbk_tls_engine_kind kind)
{
    static const struct hbk_tls_engine *const engines[HBK_TLS_ENGINE_COUNT] = {
        [HBK_TLS_ENGINE_OPENSSL] = &hbk_tls_openssl,
        [HBK_TLS_ENGINE_NATIVE] = &hbk_tls_native,
    };
    HBK_ASSERT(kind < HBK_TLS_ENGINE_COUNT);
    return engines[kind];
}

/* ---- lists of numbers ---- */

struct list_rule {
    const char *what; /* "cipher suite" */
    bool (*is_known)(uint16_t number);
    const char *allowed;
    const uint16_t *defaults;
    size_t default_count;
};

static hbk_status take_list(const struct list_rule *rule, const uint16_t *items, size_t count,
                            struct hbk_tls_list *out_list, struct hbk_error *error)
{
    if (count > HBK_TLS_LIST_MAX) {
        return hbk_error_set(error, HBK_INVALID, "%zu of the kind %s, at most %d are allowed",
                             count, rule->what, HBK_TLS_LIST_MAX);
    }
    items = count == 0 ? rule->defaults : items;
    count = count == 0 ? rule->default_count : count;
    for (size_t i = 0; i < count; i++) {
        if (!rule->is_known(items[i])) {
            return hbk_error_set(error, HBK_UNSUPPORTED, "%s 0x%04x is not spoken, only %s",
                                 rule->what, items[i], rule->allowed);
        }
        if (hbk_tls_list_has(out_list, items[i])) {
            return hbk_error_set(error, HBK_INVALID, "%s 0x%04x stands in the list twice",
                                 rule->what, items[i]);
        }
        out_list->items[out_list->count++] = items[i];
    }
    return HBK_OK;
}

static bool is_verify_scheme(uint16_t scheme)
{
    return hbk_signature_scheme_is_known(scheme) && !hbk_signature_scheme_is_pkcs1(scheme);
}

/* Without a list of its own, TLS 1.2 speaks with the same ciphers, in the same order. */
static hbk_status take_tls12_suites(struct hbk_tls_context *context,
                                    const struct hbk_tls_context_options *options,
                                    struct hbk_error *error)
{
    static const struct {
        uint16_t suite, of_ecdsa, of_rsa;
    } rows[] = {
        {HBK_SUITE_AES_128_GCM_SHA256, 0xc02b, 0xc02f},
        {HBK_SUITE_AES_256_GCM_SHA384, 0xc02c, 0xc030},
        {HBK_SUITE_CHACHA20_POLY1305_SHA256, 0xcca9, 0xcca8},
    };
    uint16_t same[2 * HBK_COUNT(rows)];
    size_t count = 0;
    for (size_t i = 0; i < context->suites.count; i++) {
        for (size_t k = 0; k < HBK_COUNT(rows); k++) {
            if (rows[k].suite == context->suites.items[i]) {
                same[count++] = rows[k].of_ecdsa;
                same[count++] = rows[k].of_rsa;
            }
        }
    }
    const struct list_rule rule = {"cipher suite of TLS 1.2", hbk_tls12_suite_is_known,
                                   hbk_tls12_suites_allowed, same, count};
    HBK_TRY(take_list(&rule, options->tls12_suites, options->tls12_suite_count,
                      &context->tls12_suites, error));
    context->has_tls12_ranks = options->tls12_ranks != NULL && options->tls12_suite_count > 0;
    if (context->has_tls12_ranks) {
        memcpy(context->tls12_ranks, options->tls12_ranks, options->tls12_suite_count);
    }
    return HBK_OK;
}

static hbk_status take_lists(struct hbk_tls_context *context,
                             const struct hbk_tls_context_options *options, struct hbk_error *error)
{
    static const struct list_rule suites = {
        "cipher suite", hbk_cipher_suite_is_known,
        "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and TLS_CHACHA20_POLY1305_SHA256",
        default_suites, HBK_COUNT(default_suites)};
    static const struct list_rule groups = {"group", hbk_tls_group_is_known,
                                            "X25519, P-256 and P-384", default_groups,
                                            HBK_COUNT(default_groups)};
    static const struct list_rule schemes = {"signature scheme", is_verify_scheme,
                                             "ECDSA on P-256 and P-384, Ed25519 and RSA-PSS (rsae)",
                                             default_verify_schemes,
                                             HBK_COUNT(default_verify_schemes)};
    HBK_TRY(take_list(&suites, options->suites, options->suite_count, &context->suites, error));
    HBK_TRY(take_tls12_suites(context, options, error));
    HBK_TRY(take_list(&groups, options->groups, options->group_count, &context->groups, error));
    HBK_TRY(take_list(&schemes, options->verify_schemes, options->verify_scheme_count,
                      &context->verify_schemes, error));
    if (options->share_count > context->groups.count || options->share_count > HBK_TLS_SHARES_MAX) {
        return hbk_error_set(error, HBK_INVALID,
                             "key shares for %zu of %zu groups, at most %d are sent",
                             options->share_count, context->groups.count, HBK_TLS_SHARES_MAX);
    }
    context->shares = context->groups;
    context->shares.count = options->share_count == 0 ? 1 : options->share_count;
    return HBK_OK;
}

/* ---- application protocols ---- */

static hbk_status check_protocols(struct hbk_slice protocols, struct hbk_error *error)
{
    struct hbk_cursor cursor = hbk_cursor_of(protocols);
    if (protocols.size > HBK_TLS_PROTOCOLS_BYTES_MAX) {
        return hbk_error_set(error, HBK_INVALID,
                             "application protocols of %zu bytes, at most %d are allowed",
                             protocols.size, HBK_TLS_PROTOCOLS_BYTES_MAX);
    }
    while (cursor.left.size > 0) {
        struct hbk_slice name = hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 1));
        if (cursor.has_failed || name.size == 0) {
            return hbk_error_set(error, HBK_INVALID,
                                 "the list of application protocols is malformed: each is a byte "
                                 "with its length, 1 to 255, and its name");
        }
    }
    return HBK_OK;
}

/* "the peer does not speak the application protocol h2", or one of several. */
static char *tell_protocols(struct hbk_slice protocols)
{
    char names[HBK_TLS_PROTOCOLS_BYTES_MAX * 2 + 1] = "";
    size_t used = 0;
    size_t count = 0;
    struct hbk_cursor cursor = hbk_cursor_of(protocols);
    for (; cursor.left.size > 0; count++) {
        struct hbk_slice name = hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 1));
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%.*s", used > 0 ? ", " : "",
                                 HBK_SLICE_ARGS(name));
    }
    char *text = NULL;
    int size = asprintf(&text,
                        count == 1 ? "the peer does not speak the application protocol %s"
                                   : "the peer speaks none of the application protocols %s",
                        names);
    return size < 0 ? NULL : text;
}

static hbk_status take_protocols(struct hbk_tls_context *context,
                                 const struct hbk_tls_context_options *options,
                                 struct hbk_error *error)
{
    HBK_TRY(check_protocols(options->protocols, error));
    context->requires_protocol = options->requires_protocol;
    if (options->protocols.size == 0) {
        return options->requires_protocol
                   ? hbk_error_set(error, HBK_INVALID,
                                   "an application protocol is required, and none is listed")
                   : HBK_OK;
    }
    uint8_t *copy = malloc(options->protocols.size);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy(copy, options->protocols.bytes, options->protocols.size);
    context->protocols = hbk_slice_of(copy, options->protocols.size);
    context->protocol_failure = tell_protocols(context->protocols);
    return context->protocol_failure == NULL ? HBK_NO_MEMORY : HBK_OK;
}

/* ---- certificates and trust ---- */

static hbk_status take_certificates(struct hbk_tls_context *context,
                                    const struct hbk_tls_context_options *options,
                                    struct hbk_error *error)
{
    size_t count = options->certificate_count;
    size_t made = options->made_count;
    if (count > HBK_TLS_CERTIFICATES_MAX || made > HBK_TLS_CERTIFICATES_MAX - count) {
        return hbk_error_set(error, HBK_INVALID, "%zu certificates, at most %d are allowed",
                             count > made ? count : made, HBK_TLS_CERTIFICATES_MAX);
    }
    context->certificates = calloc(count + made + 1, sizeof context->certificates[0]);
    if (context->certificates == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        hbk_status status =
            hbk_tls_certificate_new(&options->certificates[i], &context->certificates[i], error);
        if (status != HBK_OK) {
            hbk_error_prefix(error, "certificate %zu", i + 1);
            return status;
        }
        context->certificate_count = i + 1;
    }
    for (size_t i = 0; i < made; i++) {
        context->certificates[context->certificate_count++] =
            hbk_tls_certificate_ref(options->made[i]);
    }
    for (size_t i = 0; i < context->certificate_count; i++) {
        HBK_TRY(hbk_server_names_add(&context->names, context->certificates[i]->host_names,
                                     (uint32_t)i));
    }
    return HBK_OK;
}

static hbk_status add_authorities(const struct hbk_bundle *bundle, struct hbk_buffer *list,
                                  struct hbk_error *error)
{
    for (size_t i = 0; i < bundle->root_count; i++) {
        unsigned char *bytes = NULL;
        int size = i2d_X509_NAME(X509_get_subject_name(bundle->roots[i]), &bytes);
        if (size < 0) {
            return HBK_NO_MEMORY;
        }
        const uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
        hbk_status status = size > HBK_TLS_AUTHORITIES_BYTES_MAX
                                ? HBK_LIMIT
                                : hbk_buffer_append(list, hbk_slice_of(length, sizeof length));
        if (status == HBK_OK) {
            status = hbk_buffer_append(list, hbk_slice_of(bytes, (size_t)size));
        }
        OPENSSL_free(bytes);
        if (status == HBK_LIMIT) {
            return hbk_error_set(error, HBK_INVALID,
                                 "the names of the trusted roots take more than %d bytes, too much "
                                 "to send to clients",
                                 HBK_TLS_AUTHORITIES_BYTES_MAX);
        }
        HBK_TRY(status);
    }
    return HBK_OK;
}

/* The bytes of a list that was built, with the buffer's memory. */
static struct hbk_slice take_buffer(struct hbk_buffer *buffer)
{
    struct hbk_slice bytes = hbk_buffer_slice(buffer);
    HBK_ASSERT(buffer->start == 0);
    buffer->bytes = NULL;
    hbk_buffer_fini(buffer);
    return bytes;
}

static hbk_status take_authorities(struct hbk_tls_context *context, struct hbk_error *error)
{
    const struct hbk_trust_options *trust = &context->trust->options;
    struct hbk_buffer list;
    hbk_buffer_init(&list, HBK_TLS_AUTHORITIES_BYTES_MAX);
    hbk_status status = HBK_OK;
    for (size_t i = 0; trust->bundles != NULL && i < trust->bundles->count && status == HBK_OK;
         i++) {
        status = add_authorities(trust->bundles->bundles[i], &list, error);
    }
    if (trust->roots != NULL) {
        status = add_authorities(trust->roots, &list, error);
    }
    if (status == HBK_OK) {
        context->authorities = take_buffer(&list);
    }
    hbk_buffer_fini(&list);
    return status;
}

static hbk_status take_trust(struct hbk_tls_context *context,
                             const struct hbk_tls_context_options *options, struct hbk_error *error)
{
    context->client_certificate = options->client_certificate;
    if (options->trust == NULL) {
        return options->client_certificate == HBK_TLS_CLIENT_CERTIFICATE_NONE &&
                       !options->sends_authorities
                   ? HBK_OK
                   : hbk_error_set(error, HBK_INVALID,
                                   "certificates of clients are asked for, and nothing is said of "
                                   "whom to trust");
    }
    context->trust = hbk_trust_ref(options->trust);
    return options->sends_authorities ? take_authorities(context, error) : HBK_OK;
}

/* ---- the rest ---- */

/* What bounds records and messages. */
static hbk_status take_limits(struct hbk_tls_context *context,
                              const struct hbk_tls_context_options *options,
                              struct hbk_error *error)
{
    uint16_t limit = options->record_size_limit;
    uint16_t sent = options->sent_record_bytes_max;
    uint32_t certificate = options->certificate_bytes_max;
    if (limit != 0 && (limit < HBK_TLS_RECORD_SIZE_LIMIT_MIN || limit > RECORD_LIMIT_MAX)) {
        return hbk_error_set(error, HBK_INVALID,
                             "a record size limit of %u bytes, %d to %d are allowed", limit,
                             HBK_TLS_RECORD_SIZE_LIMIT_MIN, RECORD_LIMIT_MAX);
    }
    if (sent != 0 && (sent < HBK_TLS_RECORD_SIZE_LIMIT_MIN || sent > HBK_TLS_PLAIN_BYTES_MAX)) {
        return hbk_error_set(error, HBK_INVALID,
                             "records of at most %u bytes are to be sent, %d to %d are allowed",
                             sent, HBK_TLS_RECORD_SIZE_LIMIT_MIN, HBK_TLS_PLAIN_BYTES_MAX);
    }
    if (certificate > HBK_TLS_MESSAGE_BYTES_MAX) {
        return hbk_error_set(
            error, HBK_INVALID,
            "a limit of %u bytes for a Certificate message, at most %d are allowed", certificate,
            HBK_TLS_MESSAGE_BYTES_MAX);
    }
    context->record_size_limit = limit;
    context->sent_record_bytes_max = sent == 0 ? HBK_TLS_PLAIN_BYTES_MAX : sent;
    context->certificate_bytes_max = certificate == 0 ? HBK_TLS_MESSAGE_BYTES_MAX : certificate;
    return HBK_OK;
}

static void take_scalars(struct hbk_tls_context *context,
                         const struct hbk_tls_context_options *options)
{
    context->allows_tls12 = options->allows_tls12;
    context->only_tls12 = options->only_tls12;
    context->veto = options->veto;
    context->veto_owner = options->veto_owner;
    context->asks_staple = options->asks_staple;
    context->prefers_client_suites = options->prefers_client_suites;
    context->ticket_count =
        options->ticket_count == 0 ? HBK_TLS_TICKETS_DEFAULT : options->ticket_count;
    context->ticket_lifetime_s = options->ticket_lifetime_s == 0 ? HBK_TLS_TICKET_LIFETIME_S
                                 : options->ticket_lifetime_s > HBK_TLS_TICKET_LIFETIME_S_MAX
                                     ? HBK_TLS_TICKET_LIFETIME_S_MAX
                                     : options->ticket_lifetime_s;
    context->ticket_keys =
        options->ticket_keys == NULL ? NULL : hbk_tls_ticket_keys_ref(options->ticket_keys);
    context->resumes = options->resumes;
}

/* The engine that was chosen, and libssl beside it for what the other does not speak. */
static hbk_status make_engines(struct hbk_tls_context *context, struct hbk_error *error)
{
    for (unsigned i = 0; i < HBK_TLS_ENGINE_COUNT; i++) {
        bool is_needed =
            i == context->engine || (i == HBK_TLS_ENGINE_OPENSSL && context->allows_tls12);
        if (is_needed) {
            HBK_TRY(hbk_tls_engine_of(i)->context_new(context, &context->engine_context[i], error));
        }
    }
    return HBK_OK;
}

static hbk_status fill(struct hbk_tls_context *context,
                       const struct hbk_tls_context_options *options, struct hbk_error *error)
{
    if (hbk_tls_engine_of(options->engine) == NULL) {
        return hbk_error_set(error, HBK_UNSUPPORTED, "the TLS engine %s is not built in",
                             hbk_tls_engine_text(options->engine));
    }
    context->engine = options->engine;
    HBK_TRY(take_limits(context, options, error));
    take_scalars(context, options);
    HBK_TRY(take_lists(context, options, error));
    HBK_TRY(take_protocols(context, options, error));
    HBK_TRY(take_certificates(context, options, error));
    HBK_TRY(take_trust(context, options, error));
    return make_engines(context, error);
}

static void context_free(struct hbk_tls_context *context)
{
    for (unsigned i = 0; i < HBK_TLS_ENGINE_COUNT; i++) {
        if (context->engine_context[i] != NULL) {
            hbk_tls_engine_of(i)->context_free(context->engine_context[i]);
        }
    }
    hbk_server_names_fini(&context->names); /* borrows from the certificates */
    for (size_t i = 0; i < context->certificate_count; i++) {
        hbk_tls_certificate_unref(context->certificates[i]);
    }
    free(context->certificates);
    hbk_trust_unref(context->trust);
    free((void *)(uintptr_t)context->authorities.bytes);
    free((void *)(uintptr_t)context->protocols.bytes);
    free(context->protocol_failure);
    hbk_tls_ticket_keys_unref(context->ticket_keys);
    free(context);
}

hbk_status hbk_tls_context_new(const struct hbk_tls_context_options *options,
                               struct hbk_tls_context **out_context, struct hbk_error *error)
{
    struct hbk_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return HBK_NO_MEMORY;
    }
    atomic_init(&context->references, 1);
    hbk_server_names_init(&context->names);
    hbk_status status = fill(context, options, error);
    if (status != HBK_OK) {
        context_free(context);
        return status;
    }
    *out_context = context;
    return HBK_OK;
}

struct hbk_tls_context *hbk_tls_context_ref(struct hbk_tls_context *context)
{
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void hbk_tls_context_unref(struct hbk_tls_context *context)
{
    if (context != NULL &&
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1) {
        context_free(context);
    }
}

enum hbk_tls_engine_kind hbk_tls_context_engine(const struct hbk_tls_context *context)
{
    return context->engine;
}
