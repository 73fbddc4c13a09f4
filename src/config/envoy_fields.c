/* The tables as documentation: each message that can be reached, and what is taken of it. */
#include "base/assert.h"
#include "config/bootstrap.h"
#include "config/envoy_root.h"

enum { MESSAGES_MAX = 256 };

struct listing {
    const struct hbk_proto_message *messages[MESSAGES_MAX];
    size_t count;
};

static void add(struct listing *listing, const struct hbk_proto_message *message)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->messages[i] == message) {
            return;
        }
    }
    HBK_ASSERT(listing->count < MESSAGES_MAX);
    listing->messages[listing->count++] = message;
}

/* The messages that a message's fields lead to; a map's entries are looked through. */
static void add_inner(struct listing *listing, const struct hbk_proto_message *message)
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct hbk_proto_field *field = &message->fields[i];
        if (field->kind == HBK_PROTO_MESSAGE) {
            const struct hbk_proto_message *inner = field->type;
            if (inner->name == NULL) {
                add_inner(listing, inner);
            } else {
                add(listing, inner);
            }
        }
        const struct hbk_proto_any_types *types = field->type;
        for (size_t k = 0; field->kind == HBK_PROTO_ANY && types->known[k] != NULL; k++) {
            add(listing, types->known[k]);
        }
    }
}

static const char *support_of(const struct hbk_proto_field *field)
{
    return field->kind == HBK_PROTO_REFUSED   ? "not yet"
           : field->kind == HBK_PROTO_IGNORED ? "no effect"
           : field->is_required               ? "yes, required"
                                              : "yes";
}

static hbk_status print_refused_words(const struct hbk_proto_enum *type, struct hbk_buffer *out)
{
    bool is_first = true;
    for (const struct hbk_proto_word *word = type->words; word->text != NULL; word++) {
        if (word->is_refused) {
            HBK_TRY(hbk_buffer_print(out, "%s%s", is_first ? "not yet: " : ", ", word->text));
            is_first = false;
        }
    }
    return HBK_OK;
}

static hbk_status print_note(const struct hbk_proto_field *field, struct hbk_buffer *out)
{
    if (field->kind == HBK_PROTO_ENUM) {
        HBK_TRY(print_refused_words(field->type, out));
    }
    const struct hbk_proto_any_types *types = field->type;
    if (field->kind == HBK_PROTO_ANY && types->refused != NULL) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("not yet:")));
        for (size_t i = 0; types->refused[i] != NULL; i++) {
            HBK_TRY(hbk_buffer_print(out, "%s `%s`", i == 0 ? "" : ",", types->refused[i]));
        }
    }
    return field->note == NULL ? HBK_OK : hbk_buffer_print(out, "%s", field->note);
}

static hbk_status print_message(const struct hbk_proto_message *message, struct hbk_buffer *out)
{
    HBK_TRY(hbk_buffer_print(out, "\n### %s\n\n", message->name));
    if (message->field_count == 0) {
        return hbk_buffer_print(out, "Has no fields.\n");
    }
    HBK_TRY(hbk_buffer_print(out, "| field | taken | note |\n| --- | --- | --- |\n"));
    for (size_t i = 0; i < message->field_count; i++) {
        const struct hbk_proto_field *field = &message->fields[i];
        HBK_TRY(hbk_buffer_print(out, "| `%s` | %s | ", field->name, support_of(field)));
        HBK_TRY(print_note(field, out));
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE(" |\n")));
    }
    return HBK_OK;
}

hbk_status hbk_bootstrap_print_fields(struct hbk_buffer *out)
{
    static struct listing listing;
    listing.count = 0;
    add(&listing, &hbk_envoy_bootstrap);
    for (size_t i = 0; i < listing.count; i++) {
        HBK_TRY(print_message(listing.messages[i], out));
        add_inner(&listing, listing.messages[i]);
    }
    return HBK_OK;
}
