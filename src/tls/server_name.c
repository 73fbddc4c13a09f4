#include "tls/server_name.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/hash.h"

enum { LABEL_BYTES_MAX = 63 };

bool hbk_server_name_is_valid(struct hbk_slice name)
{
    size_t label_bytes = 0;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.bytes[i];
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool is_other = (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
        if (byte == '.' ? label_bytes == 0 : !is_letter && !is_other) {
            return false;
        }
        label_bytes = byte == '.' ? 0 : label_bytes + 1;
        if (label_bytes > LABEL_BYTES_MAX) {
            return false;
        }
    }
    return label_bytes > 0 && name.size <= HBK_SERVER_NAME_BYTES_MAX;
}

void hbk_server_names_init(struct hbk_server_names *names)
{
    *names = (struct hbk_server_names){0};
    hbk_map_init(&names->by_text);
}

static void free_numbers(struct hbk_server_name *name)
{
    if (name->certificates != &name->only) {
        free(name->certificates);
    }
}

void hbk_server_names_fini(struct hbk_server_names *names)
{
    hbk_map_fini(&names->by_text);
    while (names->all != NULL) {
        struct hbk_server_name *name = names->all;
        names->all = name->next;
        free_numbers(name);
        free(name);
    }
}

static bool has_text(const void *object, const void *key)
{
    const struct hbk_server_name *name = object;
    return hbk_slice_equal(name->text, *(const struct hbk_slice *)key);
}

static void lower(uint8_t *to, struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        to[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 'a' - 'A') : byte;
    }
}

static struct hbk_server_name *find(const struct hbk_server_names *names, struct hbk_slice text)
{
    return hbk_map_find(&names->by_text, hbk_hash(text), has_text, &text);
}

static struct hbk_server_name *make(struct hbk_server_names *names, struct hbk_slice text)
{
    struct hbk_server_name *name = calloc(1, sizeof *name);
    if (name == NULL || hbk_map_add(&names->by_text, hbk_hash(text), name) != HBK_OK) {
        free(name);
        return NULL;
    }
    name->text = text;
    name->next = names->all;
    names->all = name;
    return name;
}

/* Most names have one certificate, and its number lies in the name. */
static hbk_status add_number(struct hbk_server_name *name, uint32_t number)
{
    if (name->count == 0) {
        name->only = number;
        name->certificates = &name->only;
        name->count = 1;
        return HBK_OK;
    }
    if (name->certificates[name->count - 1] == number) {
        return HBK_OK; /* the same name twice in one certificate */
    }
    uint32_t *longer = malloc((name->count + 1) * sizeof *longer);
    if (longer == NULL) {
        return HBK_NO_MEMORY;
    }
    memcpy(longer, name->certificates, name->count * sizeof *longer);
    free_numbers(name);
    name->certificates = longer;
    name->certificates[name->count++] = number;
    return HBK_OK;
}

hbk_status hbk_server_names_add(struct hbk_server_names *names, struct hbk_slice texts,
                                uint32_t number)
{
    struct hbk_cursor cursor = hbk_cursor_of(texts);
    while (cursor.left.size > 0) {
        struct hbk_slice text = hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 1));
        struct hbk_server_name *name = find(names, text);
        name = name == NULL ? make(names, text) : name;
        if (name == NULL) {
            return HBK_NO_MEMORY;
        }
        HBK_TRY(add_number(name, number));
    }
    return HBK_OK;
}

static hbk_status add_string(const ASN1_STRING *string, struct hbk_buffer *out)
{
    struct hbk_slice text =
        hbk_slice_of(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
    uint8_t bytes[1 + HBK_SERVER_NAME_BYTES_MAX];
    if (text.size == 0 || text.size > HBK_SERVER_NAME_BYTES_MAX) {
        return HBK_OK; /* no client can ask for it */
    }
    bytes[0] = (uint8_t)text.size;
    lower(bytes + 1, text);
    return hbk_buffer_append(out, hbk_slice_of(bytes, 1 + text.size));
}

static hbk_status add_common_name(const X509 *leaf, struct hbk_buffer *out)
{
    X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 ? HBK_OK
                  : add_string(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), out);
}

hbk_status hbk_server_names_read(const X509 *leaf, struct hbk_buffer *out)
{
    GENERAL_NAMES *alternatives = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    hbk_status status = HBK_OK;
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives) && status == HBK_OK; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(alternatives, i);
        if (name->type == GEN_DNS) {
            status = add_string(name->d.dNSName, out);
        }
    }
    if (alternatives == NULL) {
        status = add_common_name(leaf, out);
    }
    GENERAL_NAMES_free(alternatives);
    ERR_clear_error();
    return status;
}

const struct hbk_server_name *hbk_server_names_find(const struct hbk_server_names *names,
                                                    struct hbk_slice host, bool by_wildcard)
{
    uint8_t bytes[HBK_SERVER_NAME_BYTES_MAX];
    size_t dot = 0;
    if (host.size > sizeof bytes || names->by_text.count == 0) {
        return NULL;
    }
    lower(bytes, host);
    struct hbk_slice text = hbk_slice_of(bytes, host.size);
    if (!by_wildcard) {
        return find(names, text);
    }
    if (!hbk_slice_find(text, '.', &dot) || dot == 0) {
        return NULL;
    }
    bytes[dot - 1] = '*';
    return find(names, hbk_slice_part(text, dot - 1, text.size));
}
