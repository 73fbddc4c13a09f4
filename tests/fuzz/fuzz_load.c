/* What a server answers, and what an operator writes as a target. However an answer is cut into
 * pieces, it means the same. */
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
static struct reading read_in_pieces(struct hbk_slice bytes, size_t piece)
{
    struct hbk_answer answer;
    struct reading reading = {.step = HBK_ANSWER_MORE};
    hbk_answer_init(&answer);
    for (size_t at = 0; at < bytes.size && reading.step == HBK_ANSWER_MORE; at += piece) {
        reading.step = hbk_answer_read(&answer, hbk_slice_part(bytes, at, piece));
    }
    reading.body_bytes = answer.body_bytes;
    reading.status = answer.status;
    reading.is_ended_by_close = hbk_answer_is_ended_by_close(&answer);
    hbk_answer_reset(&answer);
    return reading;
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
    struct reading whole = read_in_pieces(text, text.size);
    struct reading cut = read_in_pieces(text, (size_t)data[0] + 1);
    /* Bytes behind the end are seen only by who reads them together with the end. */
    if (whole.step != HBK_ANSWER_MALFORMED &&
        (cut.step != whole.step || cut.body_bytes != whole.body_bytes ||
         cut.status != whole.status || cut.is_ended_by_close != whole.is_ended_by_close)) {
        abort();
    }
    return 0;
}
