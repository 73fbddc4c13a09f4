/* What a server answers, and what an operator writes as a target. However an answer is cut into
 * pieces, and whether or not its head is known already, it means the same. */
#include "fuzz_target.h"

#include <stdlib.h>

#include "load/answer.h"
#include "load/target.h"

struct reading {
    enum hbk_answer_step step;
    uint64_t body_bytes;
    uint16_t status;
    bool is_ended_by_close;
};

/* Reads in pieces of `piece` bytes, until the answer is complete or wrong. */
static struct reading read_in_pieces(struct hbk_slice bytes, size_t piece,
                                     struct hbk_answer_known *known)
{
    struct hbk_answer answer;
    struct reading reading = {.step = HBK_ANSWER_MORE};
    hbk_answer_init(&answer);
    answer.known = known;
    for (size_t at = 0; at < bytes.size && reading.step == HBK_ANSWER_MORE; at += piece) {
        reading.step = hbk_answer_read(&answer, hbk_slice_part(bytes, at, piece));
    }
    reading.body_bytes = answer.body_bytes;
    reading.status = answer.status;
    reading.is_ended_by_close = hbk_answer_is_ended_by_close(&answer);
    hbk_answer_reset(&answer);
    return reading;
}

static bool is_same(const struct reading *a, const struct reading *b)
{
    return a->step == b->step && a->body_bytes == b->body_bytes && a->status == b->status &&
           a->is_ended_by_close == b->is_ended_by_close;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_load_target target;
    struct hbk_slice bytes = hbk_slice_of(data, size);
    if (hbk_load_target_parse(bytes, &target, NULL) == HBK_OK &&
        (target.port == 0 || target.host.size == 0 || target.path.size == 0)) {
        abort();
    }
    if (size < 2) {
        return 0;
    }
    struct hbk_slice text = hbk_slice_part(bytes, 1, size);
    struct hbk_answer_known known = {0};
    struct reading whole = read_in_pieces(text, text.size, &known);
    struct reading cut = read_in_pieces(text, (size_t)data[0] + 1, NULL);
    struct reading again = read_in_pieces(text, text.size, &known);
    /* Bytes behind the end are seen only by who reads them together with the end. */
    if (!is_same(&whole, &again) ||
        (whole.step != HBK_ANSWER_MALFORMED && !is_same(&whole, &cut))) {
        abort();
    }
    return 0;
}
