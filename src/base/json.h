/*
 * Writes JSON (RFC 8259) into a buffer as it is told, without a tree in between, so that a dump of
 * fifty thousand workloads costs no more than its text. Strings are escaped, and bytes that are not
 * UTF-8 become U+FFFD. The first failure stays in `status`; later calls do nothing.
 *
 *     hbk_json_begin_object(&json, NULL);
 *     hbk_json_string(&json, "name", HBK_SLICE("cart"));
 *     hbk_json_begin_array(&json, "ports");
 *     hbk_json_number(&json, NULL, 80);
 *     hbk_json_end_array(&json);
 *     hbk_json_end_object(&json);
 *
 * Each value takes its key; NULL inside arrays and for the outermost value.
 */
#pragma once

#include "base/buffer.h"

enum { HBK_JSON_DEPTH_MAX = 32 };

struct hbk_json {
    struct hbk_buffer *out; /* borrowed */
    bool is_pretty;         /* lines, indented by two blanks */
    bool has_member;        /* of the innermost object or array: the next needs a comma */
    bool is_after_key;      /* hbk_json_key() was called; its value comes next */
    unsigned depth;
    hbk_status status; /* HBK_OK, HBK_LIMIT or HBK_NO_MEMORY */
};

static inline struct hbk_json hbk_json_to(struct hbk_buffer *out, bool is_pretty)
{
    return (struct hbk_json){.out = out, .is_pretty = is_pretty};
}

void hbk_json_begin_object(struct hbk_json *json, const char *key);
void hbk_json_end_object(struct hbk_json *json);
void hbk_json_begin_array(struct hbk_json *json, const char *key);
void hbk_json_end_array(struct hbk_json *json);

void hbk_json_string(struct hbk_json *json, const char *key, struct hbk_slice text);
void hbk_json_text(struct hbk_json *json, const char *key, const char *text);
void hbk_json_number(struct hbk_json *json, const char *key, uint64_t number);
void hbk_json_real(struct hbk_json *json, const char *key, double number); /* finite */
void hbk_json_bool(struct hbk_json *json, const char *key, bool value);
/* A value that is JSON already, and is trusted to be. */
void hbk_json_raw(struct hbk_json *json, const char *key, struct hbk_slice text);
void hbk_json_null(struct hbk_json *json, const char *key);

/* The same for keys that come from outside; the value follows with key NULL. */
void hbk_json_key(struct hbk_json *json, struct hbk_slice key);
