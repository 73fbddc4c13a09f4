/* What a stranger may send to the admin servers: a request, and the query of one that changes log
 * levels. The first byte says how much of the input arrives first. */
#include "fuzz_target.h"

#include "admin/logging.h"
#include "admin/query.h"
#include "admin/request.h"
#include "base/assert.h"

static void change_levels(struct hbk_slice query)
{
    struct hbk_error error = {.status = HBK_OK};
    hbk_status status = hbk_logging_change(query, HBK_LOG_INFO, &error);
    HBK_ASSERT(error.status == status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct hbk_slice input = hbk_slice_of(data + 1, size - 1);
    struct hbk_http1_reader reader = {.seen_bytes = 0};
    struct hbk_admin_parsed early, parsed;
    enum hbk_admin_parse first =
        hbk_admin_parse(&reader, hbk_slice_part(input, 0, data[0]), &early);
    if (first == HBK_ADMIN_PARSE_MORE) {
        first = hbk_admin_parse(&reader, input, &parsed);
    } else {
        parsed = early;
    }
    if (first == HBK_ADMIN_PARSE_REFUSED) {
        HBK_ASSERT(parsed.status >= 400 && parsed.status < 600);
    }
    if (first == HBK_ADMIN_PARSE_DONE) {
        HBK_ASSERT(parsed.size_bytes > 0 && parsed.size_bytes <= input.size);
        change_levels(parsed.request.query);
    }
    change_levels(input);
    return 0;
}
