#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"

static void put(struct hbk_json *json, struct hbk_slice text)
{
    if (json->status == HBK_OK) {
        json->status = hbk_buffer_append(json->out, text);
    }
}

static void put_escaped(struct hbk_json *json, struct hbk_slice text)
{
    /* A byte becomes at most six; pieces keep the reserve small, and are cut between characters:
     * the last three bytes of a piece may begin a character and wait for the next one. */
    enum { PIECE_BYTES = 512 };
    put(json, HBK_SLICE("\""));
    while (text.size > 0 && json->status == HBK_OK) {
        size_t size = text.size;
        if (size > PIECE_BYTES) {
            size = PIECE_BYTES;
            while (size > PIECE_BYTES - 3 && (text.bytes[size] & 0xC0) == 0x80) {
                size--;
            }
        }
        struct hbk_span room;
        json->status = hbk_buffer_reserve(json->out, size * 6, &room);
        if (json->status == HBK_OK) {
            size_t used = hbk_log_escape_json(hbk_slice_part(text, 0, size), room);
            hbk_buffer_commit(json->out, used);
        }
        text = hbk_slice_part(text, size, text.size);
    }
    put(json, HBK_SLICE("\""));
}

static void put_line_start(struct hbk_json *json)
{
    static const char blanks[] = "                                                                ";
    if (json->is_pretty) {
        put(json, HBK_SLICE("\n"));
        put(json, hbk_slice_of(blanks, (size_t)json->depth * 2));
    }
}

static void next_member(struct hbk_json *json)
{
    if (json->depth > 0) {
        put(json, json->has_member ? HBK_SLICE(",") : HBK_SLICE(""));
        put_line_start(json);
    }
    json->has_member = true;
}

void hbk_json_key(struct hbk_json *json, struct hbk_slice key)
{
    next_member(json);
    put_escaped(json, key);
    put(json, json->is_pretty ? HBK_SLICE(": ") : HBK_SLICE(":"));
    json->is_after_key = true;
}

static void begin_value(struct hbk_json *json, const char *key)
{
    if (key != NULL) {
        hbk_json_key(json, hbk_slice_text(key));
    } else if (!json->is_after_key) {
        next_member(json);
    }
    json->is_after_key = false;
}

static void begin(struct hbk_json *json, const char *key, struct hbk_slice bracket)
{
    HBK_ASSERT(json->depth < HBK_JSON_DEPTH_MAX);
    begin_value(json, key);
    put(json, bracket);
    json->depth++;
    json->has_member = false;
}

static void end(struct hbk_json *json, struct hbk_slice bracket)
{
    HBK_ASSERT(json->depth > 0);
    json->depth--;
    if (json->has_member) {
        put_line_start(json);
    }
    put(json, bracket);
    json->has_member = true;
}

void hbk_json_begin_object(struct hbk_json *json, const char *key)
{
    begin(json, key, HBK_SLICE("{"));
}

void hbk_json_end_object(struct hbk_json *json)
{
    end(json, HBK_SLICE("}"));
}

void hbk_json_begin_array(struct hbk_json *json, const char *key)
{
    begin(json, key, HBK_SLICE("["));
}

void hbk_json_end_array(struct hbk_json *json)
{
    end(json, HBK_SLICE("]"));
}

void hbk_json_string(struct hbk_json *json, const char *key, struct hbk_slice text)
{
    begin_value(json, key);
    put_escaped(json, text);
}

void hbk_json_text(struct hbk_json *json, const char *key, const char *text)
{
    hbk_json_string(json, key, hbk_slice_text(text));
}

void hbk_json_number(struct hbk_json *json, const char *key, uint64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRIu64, number);
    begin_value(json, key);
    put(json, hbk_slice_of(text, (size_t)size));
}

void hbk_json_real(struct hbk_json *json, const char *key, double number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%.10g", number);
    begin_value(json, key);
    put(json, hbk_slice_of(text, (size_t)size));
}

void hbk_json_bool(struct hbk_json *json, const char *key, bool value)
{
    begin_value(json, key);
    put(json, value ? HBK_SLICE("true") : HBK_SLICE("false"));
}

void hbk_json_raw(struct hbk_json *json, const char *key, struct hbk_slice text)
{
    begin_value(json, key);
    put(json, text);
}

void hbk_json_null(struct hbk_json *json, const char *key)
{
    begin_value(json, key);
    put(json, HBK_SLICE("null"));
}
