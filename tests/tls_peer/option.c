/* The command line of tls-peer, and the context that it asks for. */
#include "peer.h"

#include <getopt.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity/trust.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static const char usage[] =
    "usage: tls-peer server|client [FLAG...]\n"
    "  --port N            to listen on (0: any, then written) or to connect to, on 127.0.0.1\n"
    "  --connections N     then it ends (server: 0, until SIGTERM; client: 1)\n"
    "  --engine NAME       native or openssl\n"
    "  --cert FILE --key FILE   PEM, chain and key; may be repeated\n"
    "  --staple FILE       an OCSP response for the certificate before it\n"
    "  --ca FILE           roots in PEM; without it anybody is trusted\n"
    "  --mutual, --ask     a server requires, or asks for, a client's certificate\n"
    "  --name HOST         whom a client asks for\n"
    "  --suites, --groups, --schemes A,B   by name, in order of preference\n"
    "  --shares N          key shares of a client\n"
    "  --alpn A,B          application protocols; one of them must be agreed on\n"
    "  --tickets N         a server gives N; a client resumes with what it was given\n"
    "  --record-limit N    bytes of a record that it accepts (RFC 8449)\n"
    "  --tls12             TLS 1.2 is allowed\n"
    "  --ask-staple        a client asks for an OCSP response\n"
    "  --update-keys       asks for fresh keys when the handshake is done\n"
    "  --send TEXT --expect TEXT   a client's line and what must come back (the same)\n";

static HBK_PRINTF(1, 2) __attribute__((noreturn)) void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tls-peer: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static long number(const char *text, long maximum)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0 || value > maximum) {
        die("\"%s\" is no number from 0 to %ld", text, maximum);
    }
    return value;
}

static BIO *open_file(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    if (bio == NULL) {
        die("%s cannot be read", path);
    }
    return bio;
}

/* Whole; the bytes are the caller's. */
static struct hbk_span read_file(const char *path)
{
    BIO *bio = open_file(path);
    uint8_t *bytes = malloc(FILE_BYTES_MAX);
    int size = bytes == NULL ? -1 : BIO_read(bio, bytes, FILE_BYTES_MAX);
    BIO_free(bio);
    if (size <= 0) {
        die("%s is empty or cannot be read", path);
    }
    return hbk_span_of(bytes, (size_t)size);
}

static void add_chain(struct peer_options *options, const char *path)
{
    if (options->context.certificate_count == PEER_CERTIFICATES_MAX) {
        die("more than %d certificates", PEER_CERTIFICATES_MAX);
    }
    X509 **chain = options->chains[options->context.certificate_count];
    struct hbk_tls_certificate_options *certificate =
        &options->certificates[options->context.certificate_count++];
    BIO *bio = open_file(path);
    while (certificate->chain_count < HBK_CHAIN_CERTIFICATES_MAX) {
        X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (next == NULL) {
            break;
        }
        chain[certificate->chain_count++] = next;
    }
    BIO_free(bio);
    certificate->chain = chain;
    if (certificate->chain_count == 0) {
        die("%s holds no certificate", path);
    }
}

static size_t last_certificate(const struct peer_options *options)
{
    if (options->context.certificate_count == 0) {
        die("--key and --staple stand behind the --cert that they belong to");
    }
    return options->context.certificate_count - 1;
}

static void set_key(struct peer_options *options, const char *path)
{
    struct hbk_tls_certificate_options *certificate =
        &options->certificates[last_certificate(options)];
    BIO *bio = open_file(path);
    certificate->private_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (certificate->private_key == NULL) {
        die("%s holds no key", path);
    }
}

static const char *suite_name(uint16_t suite)
{
    return hbk_cipher_suite_text((enum hbk_cipher_suite)suite);
}

static const char *scheme_name(uint16_t number)
{
    return hbk_sign_scheme_text(number);
}

/* Looks names up among all numbers of two bytes; returns how many there were. */
static size_t read_names(char *list, const char *(*name_of)(uint16_t number), uint16_t *numbers)
{
    size_t count = 0;
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        uint32_t found = 0;
        while (found <= UINT16_MAX && strcmp(name_of((uint16_t)found), name) != 0) {
            found++;
        }
        if (found > UINT16_MAX || count == HBK_TLS_LIST_MAX) {
            die("\"%s\" is not spoken, or one too many", name);
        }
        numbers[count++] = (uint16_t)found;
    }
    return count;
}

static void read_protocols(struct peer_options *options, char *list)
{
    size_t used = 0;
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        size_t size = strlen(name);
        if (size > UINT8_MAX || used + 1 + size > sizeof options->protocols) {
            die("application protocols are too long");
        }
        options->protocols[used] = (char)size;
        memcpy(options->protocols + used + 1, name, size);
        used += 1 + size;
    }
    options->context.protocols = hbk_slice_of(options->protocols, used);
    options->context.requires_protocol = true;
}

enum flag {
    FLAG_PORT,
    FLAG_CONNECTIONS,
    FLAG_ENGINE,
    FLAG_CERT,
    FLAG_KEY,
    FLAG_STAPLE,
    FLAG_CA,
    FLAG_MUTUAL,
    FLAG_ASK,
    FLAG_NAME,
    FLAG_SUITES,
    FLAG_GROUPS,
    FLAG_SCHEMES,
    FLAG_SHARES,
    FLAG_ALPN,
    FLAG_TICKETS,
    FLAG_RECORD_LIMIT,
    FLAG_TLS12,
    FLAG_ASK_STAPLE,
    FLAG_UPDATE_KEYS,
    FLAG_SEND,
    FLAG_EXPECT,
};

static const struct option flags[] = {
    {"port", required_argument, NULL, FLAG_PORT},
    {"connections", required_argument, NULL, FLAG_CONNECTIONS},
    {"engine", required_argument, NULL, FLAG_ENGINE},
    {"cert", required_argument, NULL, FLAG_CERT},
    {"key", required_argument, NULL, FLAG_KEY},
    {"staple", required_argument, NULL, FLAG_STAPLE},
    {"ca", required_argument, NULL, FLAG_CA},
    {"mutual", no_argument, NULL, FLAG_MUTUAL},
    {"ask", no_argument, NULL, FLAG_ASK},
    {"name", required_argument, NULL, FLAG_NAME},
    {"suites", required_argument, NULL, FLAG_SUITES},
    {"groups", required_argument, NULL, FLAG_GROUPS},
    {"schemes", required_argument, NULL, FLAG_SCHEMES},
    {"shares", required_argument, NULL, FLAG_SHARES},
    {"alpn", required_argument, NULL, FLAG_ALPN},
    {"tickets", required_argument, NULL, FLAG_TICKETS},
    {"record-limit", required_argument, NULL, FLAG_RECORD_LIMIT},
    {"tls12", no_argument, NULL, FLAG_TLS12},
    {"ask-staple", no_argument, NULL, FLAG_ASK_STAPLE},
    {"update-keys", no_argument, NULL, FLAG_UPDATE_KEYS},
    {"send", required_argument, NULL, FLAG_SEND},
    {"expect", required_argument, NULL, FLAG_EXPECT},
    {0},
};

static enum hbk_tls_engine_kind read_engine(const char *name)
{
    for (int kind = 0; kind < HBK_TLS_ENGINE_COUNT; kind++) {
        if (strcmp(name, hbk_tls_engine_text((enum hbk_tls_engine_kind)kind)) == 0) {
            return (enum hbk_tls_engine_kind)kind;
        }
    }
    die("\"%s\" is no engine: native or openssl", name);
}

static void read_lists(struct peer_options *options, enum flag flag)
{
    struct hbk_tls_context_options *context = &options->context;
    if (flag == FLAG_SUITES) {
        context->suites = options->suites;
        context->suite_count = read_names(optarg, suite_name, options->suites);
    } else if (flag == FLAG_GROUPS) {
        context->groups = options->groups;
        context->group_count = read_names(optarg, hbk_tls_group_text, options->groups);
    } else if (flag == FLAG_SCHEMES) {
        context->verify_schemes = options->schemes;
        context->verify_scheme_count = read_names(optarg, scheme_name, options->schemes);
    } else {
        read_protocols(options, optarg);
    }
}

/* A flat switch: one case for each flag. */
static void read_flag(struct peer_options *options, int flag)
{
    struct hbk_tls_context_options *context = &options->context;
    size_t last = 0;
    switch (flag) {
    case FLAG_PORT:
        options->port = (uint16_t)number(optarg, UINT16_MAX);
        break;
    case FLAG_CONNECTIONS:
        options->connection_count = (unsigned)number(optarg, 1000000);
        break;
    case FLAG_ENGINE:
        context->engine = read_engine(optarg);
        break;
    case FLAG_CERT:
        add_chain(options, optarg);
        break;
    case FLAG_KEY:
        set_key(options, optarg);
        break;
    case FLAG_STAPLE:
        last = last_certificate(options);
        options->staples[last] = read_file(optarg);
        options->certificates[last].staple =
            hbk_slice_of(options->staples[last].bytes, options->staples[last].size);
        break;
    case FLAG_CA:
        options->ca_path = optarg;
        break;
    case FLAG_MUTUAL:
        options->is_mutual = true;
        break;
    case FLAG_ASK:
        options->asks_client = true;
        break;
    case FLAG_NAME:
        options->server_name = optarg;
        break;
    case FLAG_SUITES:
    case FLAG_GROUPS:
    case FLAG_SCHEMES:
    case FLAG_ALPN:
        read_lists(options, (enum flag)flag);
        break;
    case FLAG_SHARES:
        context->share_count = (size_t)number(optarg, HBK_TLS_LIST_MAX);
        break;
    case FLAG_TICKETS:
        options->gives_tickets = true;
        context->ticket_count = (unsigned)number(optarg, 100);
        break;
    case FLAG_RECORD_LIMIT:
        context->record_size_limit = (uint16_t)number(optarg, UINT16_MAX);
        break;
    case FLAG_TLS12:
        context->allows_tls12 = true;
        break;
    case FLAG_ASK_STAPLE:
        context->asks_staple = true;
        break;
    case FLAG_UPDATE_KEYS:
        options->updates_keys = true;
        break;
    case FLAG_SEND:
        options->send = optarg;
        break;
    case FLAG_EXPECT:
        options->expect = optarg;
        break;
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

void peer_options_read(struct peer_options *options, int argc, char **argv)
{
    *options = (struct peer_options){.context = {.engine = HBK_TLS_ENGINE_NATIVE}};
    bool is_client = argc > 1 && strcmp(argv[1], "client") == 0;
    if (!is_client && (argc < 2 || strcmp(argv[1], "server") != 0)) {
        fputs(usage, stderr);
        exit(2);
    }
    options->role = is_client ? HBK_TLS_CLIENT : HBK_TLS_SERVER;
    options->connection_count = is_client ? 1 : 0;
    options->send = "hello from a stranger\n";
    argc--;
    argv++;
    for (int flag = getopt_long(argc, argv, "", flags, NULL); flag != -1;
         flag = getopt_long(argc, argv, "", flags, NULL)) {
        read_flag(options, flag);
    }
    if (optind != argc) {
        die("\"%s\" is no flag", argv[optind]);
    }
    options->expect = options->expect == NULL ? options->send : options->expect;
}

void peer_options_fini(struct peer_options *options)
{
    for (size_t i = 0; i < options->context.certificate_count; i++) {
        struct hbk_tls_certificate_options *certificate = &options->certificates[i];
        for (size_t j = 0; j < certificate->chain_count; j++) {
            X509_free(options->chains[i][j]);
        }
        free(options->staples[i].bytes);
        EVP_PKEY_free(certificate->private_key);
    }
}

static const struct hbk_trust *trust_new(const struct peer_options *options)
{
    struct hbk_trust_options wanted = {.rule = HBK_TRUST_ANYBODY};
    struct hbk_error error = {0};
    const struct hbk_trust *trust = NULL;
    if (options->ca_path != NULL) {
        struct hbk_span pem = read_file(options->ca_path);
        wanted.rule = HBK_TRUST_NAME;
        if (hbk_bundle_new_roots(hbk_slice_of(pem.bytes, pem.size), hbk_slice_of(NULL, 0),
                                 &wanted.roots, &error) != HBK_OK) {
            die("%s: %s", options->ca_path, error.text);
        }
        free(pem.bytes);
    }
    if (hbk_trust_new(&wanted, &trust) != HBK_OK) {
        die("no memory");
    }
    hbk_bundle_unref(wanted.roots);
    return trust;
}

struct hbk_tls_context *peer_context_new(struct peer_options *options)
{
    struct hbk_tls_context_options context = options->context;
    struct hbk_tls_context *made = NULL;
    struct hbk_error error = {0};
    context.certificates = options->certificates;
    context.client_certificate = options->is_mutual     ? HBK_TLS_CLIENT_CERTIFICATE_REQUIRED
                                 : options->asks_client ? HBK_TLS_CLIENT_CERTIFICATE_ASKED
                                                        : HBK_TLS_CLIENT_CERTIFICATE_NONE;
    context.trust = trust_new(options);
    context.resumes = options->gives_tickets && options->role == HBK_TLS_CLIENT;
    if (options->gives_tickets && options->role == HBK_TLS_SERVER &&
        hbk_tls_ticket_keys_new(NULL, 0, &context.ticket_keys) != HBK_OK) {
        die("no keys for tickets");
    }
    if (hbk_tls_context_new(&context, &made, &error) != HBK_OK) {
        die("%s", error.text);
    }
    hbk_trust_unref(context.trust);
    hbk_tls_ticket_keys_unref(context.ticket_keys);
    return made;
}
