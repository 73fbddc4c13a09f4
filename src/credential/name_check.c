#include "credential/name_check.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/arena.h"
#include "config/proto_text.h"
#include "identity/certificate.h"
#include "policy/http_route.h"

enum { SHA256_BYTES = 32 };

struct fingerprint {
    uint8_t bytes[SHA256_BYTES];
};

struct name_check {
    struct hbk_arena arena; /* of all that follows */
    struct hbk_gw_san_matcher *names;
    struct fingerprint *hashes, *spkis;
    uint32_t name_count, hash_count, spki_count;
};

/* ---- names ---- */

/* RFC 6125: a wildcard as the whole left-most label, for exact matchers of DNS names. */
static bool matches_dns(const struct hbk_gw_string_matcher *matcher, struct hbk_slice name)
{
    if (matcher->match_pattern != HBK_GW_STRING_EXACT) {
        return hbk_http_route_match_string(matcher, name);
    }
    struct hbk_slice wanted = matcher->exact;
    if (hbk_slice_equal_nocase(wanted, name)) {
        return true;
    }
    size_t dot = 0;
    return hbk_slice_starts_with(name, HBK_SLICE("*.")) && hbk_slice_find(wanted, '.', &dot) &&
           dot > 0 &&
           hbk_slice_equal_nocase(hbk_slice_part(wanted, dot, wanted.size),
                                  hbk_slice_part(name, 1, name.size));
}

static bool matches(const struct hbk_gw_san_matcher *wanted, enum hbk_gw_san_type type,
                    struct hbk_slice name)
{
    if (wanted->san_type != HBK_GW_SAN_UNSPECIFIED && wanted->san_type != (int)type) {
        return false;
    }
    return type == HBK_GW_SAN_DNS ? matches_dns(wanted->matcher, name)
                                  : hbk_http_route_match_string(wanted->matcher, name);
}

/* The text of a name; an address is written into `room`. NULL bytes for other kinds. */
static struct hbk_slice text_of(const GENERAL_NAME *name, enum hbk_gw_san_type *out_type,
                                char room[static HBK_ADDRESS_TEXT_BYTES_MAX])
{
    const ASN1_STRING *string = NULL;
    struct hbk_ip ip;
    switch (name->type) {
    case GEN_EMAIL:
        *out_type = HBK_GW_SAN_EMAIL;
        string = name->d.rfc822Name;
        break;
    case GEN_DNS:
        *out_type = HBK_GW_SAN_DNS;
        string = name->d.dNSName;
        break;
    case GEN_URI:
        *out_type = HBK_GW_SAN_URI;
        string = name->d.uniformResourceIdentifier;
        break;
    case GEN_IPADD:
        *out_type = HBK_GW_SAN_IP;
        string = name->d.iPAddress;
        if (!hbk_ip_from_bytes(
                hbk_slice_of(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)),
                &ip)) {
            return hbk_slice_of(NULL, 0);
        }
        return hbk_slice_text(hbk_ip_text(&ip, room));
    default:
        return hbk_slice_of(NULL, 0);
    }
    struct hbk_slice text =
        hbk_slice_of(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
    /* A zero inside would end the name for readers in C, and mean another one. */
    return text.size > 0 && memchr(text.bytes, 0, text.size) != NULL ? hbk_slice_of(NULL, 0) : text;
}

static bool has_wanted_name(const struct name_check *check, X509 *leaf)
{
    bool is_found = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names) && !is_found; i++) {
        char room[HBK_ADDRESS_TEXT_BYTES_MAX];
        enum hbk_gw_san_type type = HBK_GW_SAN_UNSPECIFIED;
        struct hbk_slice text = text_of(sk_GENERAL_NAME_value(names, i), &type, room);
        for (uint32_t k = 0; text.bytes != NULL && k < check->name_count && !is_found; k++) {
            is_found = matches(&check->names[k], type, text);
        }
    }
    GENERAL_NAMES_free(names);
    hbk_certificate_clear_errors();
    return is_found;
}

/* ---- fingerprints ---- */

static bool is_listed(const struct fingerprint *list, uint32_t count, const uint8_t *digest)
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(list[i].bytes, digest, SHA256_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_wanted_print(const struct name_check *check, X509 *leaf)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (check->hash_count > 0 && X509_digest(leaf, EVP_sha256(), digest, &size) == 1 &&
        is_listed(check->hashes, check->hash_count, digest)) {
        return true;
    }
    uint8_t *der = NULL;
    int der_bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
    bool is_found = check->spki_count > 0 && der_bytes > 0 &&
                    EVP_Digest(der, (size_t)der_bytes, digest, &size, EVP_sha256(), NULL) == 1 &&
                    is_listed(check->spkis, check->spki_count, digest);
    OPENSSL_free(der);
    return is_found;
}

static hbk_status check_leaf(void *owner, struct x509_st *leaf, enum hbk_peer_role role,
                             struct hbk_error *error)
{
    const struct name_check *check = owner;
    (void)role;
    if (check->hash_count + check->spki_count > 0 && !has_wanted_print(check, leaf)) {
        return hbk_error_set(error, HBK_UNTRUSTED,
                             "CERTIFICATE_VERIFY_FAILED: its fingerprint is "
                             "none of those that are listed");
    }
    if (check->name_count > 0 && !has_wanted_name(check, leaf)) {
        return hbk_error_set(error, HBK_UNTRUSTED,
                             "CERTIFICATE_VERIFY_FAILED: none of its names is one of those that "
                             "are listed");
    }
    return HBK_OK;
}

/* ---- building ---- */

static void free_check(void *owner)
{
    struct name_check *check = owner;
    hbk_arena_fini(&check->arena);
    free(check);
}

static int digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9'                     ? byte - '0'
           : (byte | 0x20) >= 'a' && (byte | 0x20) <= 'f' ? (byte | 0x20) - 'a' + 10
                                                          : -1;
}

/* 64 hexadecimal digits, with or without colons between pairs. */
static bool read_hex(struct hbk_slice text, struct fingerprint *out_print)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] == ':') {
            continue;
        }
        int value = digit(text.bytes[i]);
        if (value < 0 || used == 2 * SHA256_BYTES) {
            return false;
        }
        uint8_t *byte = &out_print->bytes[used / 2];
        *byte = (uint8_t)(used % 2 == 0 ? value << 4 : *byte | value);
        used++;
    }
    return used == 2 * SHA256_BYTES;
}

static bool read_base64(struct hbk_slice text, struct fingerprint *out_print)
{
    uint8_t room[64];
    struct hbk_slice bytes;
    if (text.size + 4 > sizeof room ||
        !hbk_proto_base64_parse(text, hbk_span_of(room, sizeof room), &bytes) ||
        bytes.size != SHA256_BYTES) {
        return false;
    }
    memcpy(out_print->bytes, bytes.bytes, SHA256_BYTES);
    return true;
}

static hbk_status read_prints(struct name_check *check, const struct hbk_slice *texts,
                              uint32_t count, bool (*read)(struct hbk_slice, struct fingerprint *),
                              struct fingerprint **out_prints, struct hbk_error *error)
{
    struct fingerprint *prints = hbk_arena_array(&check->arena, count, sizeof *prints);
    if (prints == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!read(texts[i], &prints[i])) {
            return hbk_error_set(error, HBK_INVALID, "\"%s\" is no SHA-256 of a certificate or key",
                                 (const char *)texts[i].bytes);
        }
    }
    *out_prints = prints;
    return HBK_OK;
}

static hbk_status copy_matcher(struct name_check *check, const struct hbk_gw_string_matcher *from,
                               struct hbk_gw_san_matcher *to, int san_type)
{
    struct hbk_gw_string_matcher *matcher = hbk_arena_take(&check->arena, sizeof *matcher);
    if (matcher == NULL) {
        return HBK_NO_MEMORY;
    }
    *matcher = *from;
    struct hbk_slice *texts[] = {&matcher->exact, &matcher->prefix, &matcher->suffix,
                                 &matcher->contains};
    for (size_t i = 0; i < HBK_COUNT(texts); i++) {
        const char *copy = hbk_arena_string(&check->arena, *texts[i]);
        if (copy == NULL) {
            return HBK_NO_MEMORY;
        }
        *texts[i] = hbk_slice_of(copy, texts[i]->size);
    }
    *to = (struct hbk_gw_san_matcher){.san_type = san_type, .matcher = matcher};
    return HBK_OK;
}

static hbk_status fill(struct name_check *check, const struct hbk_gw_validation_context *context,
                       struct hbk_error *error)
{
    uint32_t typed = context->match_typed_subject_alt_names_count;
    uint32_t count = typed + context->match_subject_alt_names_count;
    check->names = hbk_arena_array(&check->arena, count, sizeof *check->names);
    if (check->names == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct hbk_gw_san_matcher *from =
            i < typed ? &context->match_typed_subject_alt_names[i] : NULL;
        HBK_TRY(copy_matcher(
            check, from != NULL ? from->matcher : &context->match_subject_alt_names[i - typed],
            &check->names[i], from != NULL ? from->san_type : HBK_GW_SAN_UNSPECIFIED));
    }
    check->name_count = count;
    check->hash_count = context->verify_certificate_hash_count;
    check->spki_count = context->verify_certificate_spki_count;
    HBK_TRY(read_prints(check, context->verify_certificate_hash, check->hash_count, read_hex,
                        &check->hashes, error));
    return read_prints(check, context->verify_certificate_spki, check->spki_count, read_base64,
                       &check->spkis, error);
}

hbk_status hbk_gw_name_check_new(const struct hbk_gw_validation_context *context,
                                 struct hbk_trust_options *options, struct hbk_error *error)
{
    if (context->match_typed_subject_alt_names_count + context->match_subject_alt_names_count +
            context->verify_certificate_hash_count + context->verify_certificate_spki_count ==
        0) {
        return HBK_OK;
    }
    struct name_check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    hbk_arena_init(&check->arena);
    hbk_status status = fill(check, context, error);
    if (status != HBK_OK) {
        free_check(check);
        return status;
    }
    options->check = check_leaf;
    options->owner = check;
    options->free_owner = free_check;
    return HBK_OK;
}
