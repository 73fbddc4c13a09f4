/* Texts of protobuf's JSON form: numbers, durations, bytes, words, and how a node is quoted. */
#pragma once

#include "config/document.h"

enum { HBK_PROTO_FOUND_BYTES_MAX = 112 };

/* What a node is, for messages: its text in quotes, "a list". Writes to `text`, returns it. */
const char *hbk_proto_found(const struct hbk_node *node,
                            char text[static HBK_PROTO_FOUND_BYTES_MAX]);
const char *hbk_proto_quoted(struct hbk_slice word, char text[static HBK_PROTO_FOUND_BYTES_MAX]);

/* A whole number with a sign; also one with a fraction or exponent that is whole ("1e3"). */
HBK_MUST_USE bool hbk_proto_integer_parse(struct hbk_slice text, int64_t *out_number);
HBK_MUST_USE bool hbk_proto_double_parse(struct hbk_slice text, double *out_number);

/* Either alphabet, with or without padding. `room` holds text.size bytes and borders the result. */
HBK_MUST_USE bool hbk_proto_base64_parse(struct hbk_slice text, struct hbk_span room,
                                         struct hbk_slice *out_bytes);

/* With padding, in the usual alphabet, into HBK_PROTO_BASE64_BYTES(size); borrowed from there. */
#define HBK_PROTO_BASE64_BYTES(size) (((size) + 2) / 3 * 4)
struct hbk_slice hbk_proto_base64_print(struct hbk_slice bytes, struct hbk_span room);

/* A word of an enum in any case, with '-' for '_', as protobuf takes it. */
bool hbk_proto_word_matches(const char *word, struct hbk_slice text);

/* The type whose last part is most like that of `name`; NULL when none is. */
const char *hbk_proto_nearest_type(struct hbk_slice name, const char *const *types);
