#include "cli/batch_option.h"

#include <string.h>

#include "base/duration.h"

void hbk_batch_choice_init(struct hbk_batch_choice *choice)
{
    *choice = (struct hbk_batch_choice){.has_delay = false};
    hbk_batcher_options_init(&choice->batcher);
}

bool hbk_batch_option_is(int code)
{
    return code >= HBK_BATCH_OPTION_POLICY && code <= HBK_BATCH_OPTION_BREAK_EVEN;
}

static hbk_status read_policy(const char *text, enum hbk_batch_policy *out_policy,
                              struct hbk_error *error)
{
    static const char *const names[] = {
        [HBK_BATCH_NOW] = "now", [HBK_BATCH_FIXED] = "fixed", [HBK_BATCH_ADAPTIVE] = "adaptive"};
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out_policy = (enum hbk_batch_policy)i;
            return HBK_OK;
        }
    }
    return hbk_error_set(error, HBK_INVALID,
                         "--batch-policy \"%s\": now, fixed or adaptive is allowed", text);
}

static hbk_status read_delay(const char *text, uint64_t *out_ns, struct hbk_error *error)
{
    if (!hbk_duration_parse(hbk_slice_text(text), out_ns) || *out_ns == 0 ||
        *out_ns > HBK_BATCH_DELAY_NS_MAX) {
        return hbk_error_set(error, HBK_INVALID,
                             "--batch-delay \"%s\": a length of time up to 1s is allowed, such as "
                             "500us or 2ms",
                             text);
    }
    return HBK_OK;
}

static hbk_status read_break_even(const char *text, struct hbk_batcher_options *options,
                                  struct hbk_error *error)
{
    const struct hbk_slice pair = hbk_slice_text(text);
    size_t at = 0;
    uint64_t lanes = 0;
    if (!hbk_slice_find(pair, '=', &at) ||
        !hbk_slice_to_u64(hbk_slice_part(pair, at + 1, pair.size), HBK_LANES + 1, &lanes)) {
        return hbk_error_set(error, HBK_INVALID,
                             "--break-even \"%s\": QUEUE=LANES is allowed, with a number from 1 to "
                             "%d, such as rsa-2048-private=5",
                             text, HBK_LANES + 1);
    }
    hbk_status status = hbk_batcher_options_set_break_even(options, hbk_slice_part(pair, 0, at),
                                                           (unsigned)lanes, error);
    if (status != HBK_OK) {
        hbk_error_prefix(error, "--break-even \"%s\"", text);
    }
    return status;
}

hbk_status hbk_batch_choice_read(struct hbk_batch_choice *choice, int code, const char *value,
                                 struct hbk_error *error)
{
    if (code == HBK_BATCH_OPTION_POLICY) {
        return read_policy(value, &choice->batcher.policy, error);
    }
    if (code == HBK_BATCH_OPTION_DELAY) {
        choice->has_delay = true;
        return read_delay(value, &choice->batcher.delay_ns, error);
    }
    return read_break_even(value, &choice->batcher, error);
}

hbk_status hbk_batch_choice_check(const struct hbk_batch_choice *choice, struct hbk_error *error)
{
    if (choice->has_delay && choice->batcher.policy == HBK_BATCH_NOW) {
        return hbk_error_set(
            error, HBK_INVALID,
            "--batch-delay without --batch-policy fixed or adaptive: now waits for "
            "nothing");
    }
    return HBK_OK;
}
