/* hauberk ca: a root for a mesh, certificates from it, and what a certificate says. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/duration.h"
#include "ca/store.h"
#include "cli/command.h"
#include "identity/description.h"
#include "os/file.h"

static const char usage[] =
    "usage: hauberk ca init DIR [--trust-domain TD]\n"
    "       hauberk ca issue --ca DIR --spiffe-id ID --out DIR [--ttl 24h] [--key-type TYPE]\n"
    "       hauberk ca show FILE\n"
    "\n"
    "init makes a root (ECDSA P-256, ten years): DIR/root.pem, and DIR/root-key.pem, which only\n"
    "its owner can read. issue writes NAME.pem, NAME-key.pem and bundle.pem, for\n"
    "\"hauberk node --identities\". show prints every certificate of a PEM file.\n"
    "\n"
    "  --trust-domain TD  whose identities the root names (cluster.local)\n"
    "  --ca DIR           the directory that init made\n"
    "  --spiffe-id ID     such as spiffe://cluster.local/ns/shop/sa/cart\n"
    "  --out DIR          where the files go; made when it is missing\n"
    "  --ttl DURATION     life of the certificate (24h)\n"
    "  --key-type TYPE    ecdsa-p256 (default) or rsa-2048\n";

enum {
    LIFE_HOURS_DEFAULT = 24,
    SHOWN_FILE_BYTES_MAX = 4 << 20,
    SHOWN_TEXT_BYTES_MAX = 4 << 20,
};

enum option_code {
    OPTION_TRUST_DOMAIN = 256,
    OPTION_CA,
    OPTION_SPIFFE_ID,
    OPTION_OUT,
    OPTION_TTL,
    OPTION_KEY_TYPE,
    OPTION_HELP,
};

static const struct option options[] = {
    {"trust-domain", required_argument, NULL, OPTION_TRUST_DOMAIN},
    {"ca", required_argument, NULL, OPTION_CA},
    {"spiffe-id", required_argument, NULL, OPTION_SPIFFE_ID},
    {"out", required_argument, NULL, OPTION_OUT},
    {"ttl", required_argument, NULL, OPTION_TTL},
    {"key-type", required_argument, NULL, OPTION_KEY_TYPE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* The command line, read. */
struct settings {
    const char *verb; /* "init" ... */
    const char *path; /* its argument without an option, or NULL */
    const char *trust_domain;
    const char *ca;
    const char *spiffe_id;
    const char *out;
    uint64_t life_ns;
    enum hbk_key_type key_type;
    bool has_life, has_key_type; /* said, and not by default */
    bool is_help;
};

static hbk_status read_option(int code, const char *value, struct settings *settings,
                              struct hbk_error *error)
{
    switch (code) {
    case OPTION_TRUST_DOMAIN:
        settings->trust_domain = value;
        return HBK_OK;
    case OPTION_CA:
        settings->ca = value;
        return HBK_OK;
    case OPTION_SPIFFE_ID:
        settings->spiffe_id = value;
        return HBK_OK;
    case OPTION_OUT:
        settings->out = value;
        return HBK_OK;
    case OPTION_TTL:
        settings->has_life = true;
        return hbk_duration_parse(hbk_slice_text(value), &settings->life_ns)
                   ? HBK_OK
                   : hbk_error_set(error, HBK_INVALID,
                                   "--ttl \"%s\": " HBK_DURATION_SYNTAX " is allowed", value);
    case OPTION_KEY_TYPE:
        settings->has_key_type = true;
        return hbk_key_type_parse(hbk_slice_text(value), &settings->key_type)
                   ? HBK_OK
                   : hbk_error_set(error, HBK_INVALID,
                                   "--key-type \"%s\": " HBK_KEY_TYPE_SYNTAX " is allowed", value);
    case OPTION_HELP:
        settings->is_help = true;
        return HBK_OK;
    default:
        return HBK_INVALID; /* getopt has said why */
    }
}

/* What each verb needs, and that it is given nothing else. */
static hbk_status check(const struct settings *settings, struct hbk_error *error)
{
    const char *verb = settings->verb;
    bool is_init = strcmp(verb, "init") == 0;
    bool is_issue = strcmp(verb, "issue") == 0;
    if (!is_init && !is_issue && strcmp(verb, "show") != 0) {
        return hbk_error_set(error, HBK_INVALID, "\"%s\": init, issue or show is allowed", verb);
    }
    if (is_issue &&
        (settings->ca == NULL || settings->spiffe_id == NULL || settings->out == NULL)) {
        return hbk_error_set(error, HBK_INVALID, "issue needs --ca, --spiffe-id and --out");
    }
    if (is_issue == (settings->path != NULL)) {
        return is_issue ? hbk_error_set(error, HBK_INVALID, "\"%s\": issue takes only options",
                                        settings->path)
                        : hbk_error_set(error, HBK_INVALID, "%s needs a %s", verb,
                                        is_init ? "directory" : "file");
    }
    if (!is_issue &&
        (settings->ca != NULL || settings->spiffe_id != NULL || settings->out != NULL)) {
        return hbk_error_set(error, HBK_INVALID, "--ca, --spiffe-id and --out are for issue");
    }
    if (!is_issue && (settings->has_life || settings->has_key_type)) {
        return hbk_error_set(error, HBK_INVALID, "%s is for issue",
                             settings->has_life ? "--ttl" : "--key-type");
    }
    if (!is_init && settings->trust_domain != NULL) {
        return hbk_error_set(error, HBK_INVALID, "--trust-domain is for init");
    }
    return HBK_OK;
}

static hbk_status read_arguments(int argc, char **argv, struct settings *settings,
                                 struct hbk_error *error)
{
    *settings = (struct settings){
        .life_ns = LIFE_HOURS_DEFAULT * 3600 * HBK_NS_PER_S,
        .key_type = HBK_KEY_ECDSA_P256,
    };
    for (int code; (code = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        HBK_TRY(read_option(code, optarg, settings, error));
    }
    if (settings->is_help) {
        return HBK_OK;
    }
    if (optind == argc || argc - optind > 2) {
        return hbk_error_set(error, HBK_INVALID, "init, issue or show is needed, once");
    }
    settings->verb = argv[optind];
    settings->path = optind + 1 < argc ? argv[optind + 1] : NULL;
    return check(settings, error);
}

static hbk_status init(const struct settings *settings, struct hbk_error *error)
{
    const char *trust_domain =
        settings->trust_domain == NULL ? "cluster.local" : settings->trust_domain;
    HBK_TRY(hbk_ca_store_init(settings->path, hbk_slice_text(trust_domain), hbk_clock_realtime_ns(),
                              error));
    printf("%s/" HBK_CA_ROOT_FILE " is the root of spiffe://%s; keep %s/" HBK_CA_ROOT_KEY_FILE
           " secret\n",
           settings->path, trust_domain, settings->path);
    return HBK_OK;
}

static hbk_status issue_from(const struct hbk_authority *authority, const struct settings *settings,
                             struct hbk_error *error)
{
    const struct hbk_spiffe_id *id = NULL;
    hbk_status status = hbk_spiffe_intern(hbk_slice_text(settings->spiffe_id), &id);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "--spiffe-id \"%s\": " HBK_SPIFFE_SYNTAX " is allowed",
                             settings->spiffe_id);
    }
    struct hbk_issued issued;
    hbk_issued_init(&issued);
    status = hbk_authority_issue(authority, id, settings->key_type, settings->life_ns,
                                 hbk_clock_realtime_ns(), &issued, error);
    if (status == HBK_OK) {
        status = hbk_ca_store_write(settings->out, id, &issued, hbk_authority_root_pem(authority),
                                    error);
    }
    if (status == HBK_OK) {
        char name[HBK_CA_FILE_NAME_BYTES_MAX];
        printf("%s/%s" HBK_CA_CERTIFICATE_SUFFIX "\n", settings->out, hbk_ca_file_name(id, name));
    }
    hbk_issued_fini(&issued);
    hbk_spiffe_unref(id);
    return status;
}

static hbk_status issue(const struct settings *settings, struct hbk_error *error)
{
    struct hbk_authority *authority = NULL;
    HBK_TRY(hbk_ca_store_open(settings->ca, &authority, error));
    hbk_status status = issue_from(authority, settings, error);
    hbk_authority_free(authority);
    return status;
}

static hbk_status show(const struct settings *settings, struct hbk_error *error)
{
    struct hbk_arena arena;
    struct hbk_slice pem;
    struct hbk_buffer text;
    hbk_arena_init(&arena);
    hbk_buffer_init(&text, SHOWN_TEXT_BYTES_MAX);
    hbk_status status = hbk_file_read(&arena, settings->path, SHOWN_FILE_BYTES_MAX, &pem);
    if (status == HBK_OK) {
        status = hbk_certificates_describe(pem, hbk_clock_realtime_ns(), &text, error);
    }
    if (status == HBK_OK) {
        struct hbk_slice shown = hbk_buffer_slice(&text);
        (void)fwrite(shown.bytes, 1, shown.size, stdout);
    } else if (error->status == HBK_OK) {
        hbk_error_set(error, status, "%s", hbk_status_text(status));
    }
    hbk_error_prefix(error, "%s", settings->path);
    hbk_buffer_fini(&text);
    hbk_arena_fini(&arena);
    return status;
}

int hbk_command_ca(int argc, char **argv)
{
    struct settings settings;
    struct hbk_error error = {0};
    if (read_arguments(argc, argv, &settings, &error) != HBK_OK) {
        if (error.status != HBK_OK) {
            fprintf(stderr, "hauberk ca: %s\n", error.text);
        }
        fputs("try: hauberk ca --help\n", stderr);
        return HBK_EXIT_USAGE;
    }
    if (settings.is_help) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    hbk_status status = strcmp(settings.verb, "init") == 0    ? init(&settings, &error)
                        : strcmp(settings.verb, "issue") == 0 ? issue(&settings, &error)
                                                              : show(&settings, &error);
    if (status != HBK_OK) {
        fprintf(stderr, "hauberk ca: %s\n",
                error.status == HBK_OK ? hbk_status_text(status) : error.text);
        return HBK_EXIT_FAILED;
    }
    return HBK_EXIT_OK;
}
