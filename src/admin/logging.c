#include "admin/logging.h"

#include "admin/query.h"

/* Levels that a query asks for, before anything is changed. */
struct change {
    bool is_reset;
    bool has_level;
    enum hbk_log_level level;
    size_t target_count;
    struct {
        struct hbk_slice name;
        enum hbk_log_level level;
    } targets[HBK_LOG_TARGETS_MAX];
};

static hbk_status read_level(struct hbk_slice text, enum hbk_log_level *out_level,
                             struct hbk_error *error)
{
    if (!hbk_log_level_from_text(text, out_level)) {
        return hbk_error_set(error, HBK_INVALID,
                             "Invalid level provided: '%.*s' is not one of error, warn, info, "
                             "debug, trace, off",
                             HBK_SLICE_ARGS(hbk_slice_part(text, 0, 64)));
    }
    return HBK_OK;
}

static bool is_target(struct hbk_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.bytes[i];
        bool is_good = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
                       byte == '_' || byte == '-';
        if (!is_good) {
            return false;
        }
    }
    return name.size > 0 && name.size < HBK_LOG_TARGET_BYTES_MAX;
}

static hbk_status add_target(struct hbk_slice name, struct hbk_slice text, struct change *change,
                             struct hbk_error *error)
{
    if (!is_target(name)) {
        return hbk_error_set(error, HBK_INVALID,
                             "Invalid level provided: '%.*s' is not the name of a target: lower "
                             "case letters, digits, '_' and '-'",
                             HBK_SLICE_ARGS(hbk_slice_part(name, 0, 64)));
    }
    if (change->target_count == HBK_COUNT(change->targets)) {
        return hbk_error_set(error, HBK_LIMIT, "Invalid level provided: more than %d targets",
                             HBK_LOG_TARGETS_MAX);
    }
    enum hbk_log_level level;
    HBK_TRY(read_level(text, &level, error));
    change->targets[change->target_count].name = name;
    change->targets[change->target_count++].level = level;
    return HBK_OK;
}

/* One of the parts between commas: "debug" or "tls=debug"; of paths "tls:debug" alone. */
static hbk_status read_part(struct hbk_slice part, uint8_t mark, struct change *change,
                            struct hbk_error *error)
{
    size_t at;
    if (hbk_slice_find(part, mark, &at)) {
        return add_target(hbk_slice_part(part, 0, at), hbk_slice_part(part, at + 1, part.size),
                          change, error);
    }
    if (mark == ':') {
        return hbk_error_set(error, HBK_INVALID, "Invalid path '%.*s': name:level is allowed",
                             HBK_SLICE_ARGS(hbk_slice_part(part, 0, 64)));
    }
    change->has_level = true;
    return read_level(part, &change->level, error);
}

static hbk_status read_levels(struct hbk_slice text, uint8_t mark, struct change *change,
                              struct hbk_error *error)
{
    for (;;) {
        size_t comma = text.size;
        bool has_more = hbk_slice_find(text, ',', &comma);
        HBK_TRY(read_part(hbk_slice_part(text, 0, comma), mark, change, error));
        if (!has_more) {
            return HBK_OK;
        }
        text = hbk_slice_part(text, comma + 1, text.size);
    }
}

static hbk_status apply(const struct change *change, enum hbk_log_level default_level,
                        struct hbk_error *error)
{
    if (change->is_reset) {
        hbk_log_clear_targets();
        hbk_log_set_level(default_level);
    }
    if (change->has_level) {
        hbk_log_set_level(change->level);
    }
    for (size_t i = 0; i < change->target_count; i++) {
        hbk_status status =
            hbk_log_set_target_level(change->targets[i].name, change->targets[i].level);
        if (status != HBK_OK) {
            return hbk_error_set(error, status,
                                 "Too many targets: %d may have a level of their own",
                                 HBK_LOG_TARGETS_MAX);
        }
    }
    return HBK_OK;
}

hbk_status hbk_logging_change(struct hbk_slice query, enum hbk_log_level default_level,
                              struct hbk_error *error)
{
    struct change change = {.is_reset = false};
    uint8_t levels[HBK_LOGGING_QUERY_BYTES_MAX], paths[HBK_LOGGING_QUERY_BYTES_MAX];
    bool has_levels = false, has_paths = false;
    struct hbk_query_reader reader = hbk_query_reader_of(query);
    struct hbk_query_pair pair;
    while (hbk_query_next(&reader, &pair)) {
        if (hbk_slice_equal(pair.name, HBK_SLICE("reset"))) {
            change.is_reset = true;
            continue;
        }
        bool is_paths = hbk_slice_equal(pair.name, HBK_SLICE("paths"));
        if (!is_paths && !hbk_slice_equal(pair.name, HBK_SLICE("level"))) {
            if (!is_target(pair.name)) {
                return hbk_error_set(error, HBK_INVALID,
                                     "Unknown parameter '%.*s'; known: level, paths, reset, and "
                                     "names of targets",
                                     HBK_SLICE_ARGS(hbk_slice_part(pair.name, 0, 64)));
            }
            HBK_TRY(add_target(pair.name, pair.value, &change, error));
            continue;
        }
        struct hbk_slice text;
        struct hbk_span room =
            is_paths ? hbk_span_of(paths, sizeof paths) : hbk_span_of(levels, sizeof levels);
        if ((is_paths ? has_paths : has_levels) || !hbk_query_decode(pair.value, room, &text)) {
            return hbk_error_set(error, HBK_INVALID,
                                 "Invalid level provided: one '%s' of at most %d bytes",
                                 is_paths ? "paths" : "level", HBK_LOGGING_QUERY_BYTES_MAX);
        }
        *(is_paths ? &has_paths : &has_levels) = true;
        HBK_TRY(read_levels(text, is_paths ? ':' : '=', &change, error));
    }
    return apply(&change, default_level, error);
}

hbk_status hbk_logging_text(struct hbk_buffer *out)
{
    HBK_TRY(hbk_buffer_print(out, "%s", hbk_log_level_text(hbk_log_level_now())));
    const char *target;
    enum hbk_log_level level;
    for (size_t n = 0; hbk_log_target_level(n, &target, &level); n++) {
        HBK_TRY(hbk_buffer_print(out, ",%s=%s", target, hbk_log_level_text(level)));
    }
    return HBK_OK;
}
