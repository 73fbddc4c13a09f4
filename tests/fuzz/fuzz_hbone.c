/* HBONE's header values from any bytes; what is understood can be written and read again. */
#include "fuzz_target.h"

#include <stdlib.h>

#include "wire/hbone.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_baggage(struct hbk_slice text)
{
    struct hbk_hbone_baggage baggage, again;
    uint8_t room[4 * HBK_HBONE_BAGGAGE_READ_BYTES_MAX];
    size_t size = 0;
    if (!hbk_hbone_parse_baggage(text, &baggage)) {
        return;
    }
    require(hbk_hbone_write_baggage(&baggage, hbk_span_of(room, sizeof(room)), &size) == HBK_OK);
    require(hbk_hbone_parse_baggage(hbk_slice_of(room, size), &again));
    require((baggage.namespace.size == 0) == (again.namespace.size == 0));
    require(hbk_slice_equal(baggage.workload_kind, again.workload_kind) ||
            baggage.workload_name.size == 0);
}

static void check_forwarded(struct hbk_slice text)
{
    struct hbk_address source, source_again;
    struct hbk_slice host, host_again;
    uint8_t room[HBK_HBONE_FORWARDED_BYTES_MAX];
    size_t size = 0;
    if (!hbk_hbone_parse_forwarded(text, &source, &host)) {
        return;
    }
    require(hbk_hbone_write_forwarded(&source, host, hbk_span_of(room, sizeof(room)), &size) ==
            HBK_OK);
    require(hbk_hbone_parse_forwarded(hbk_slice_of(room, size), &source_again, &host_again));
    require(hbk_address_equal(&source, &source_again) && hbk_slice_equal(host, host_again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_slice text = hbk_slice_of(data, size);
    struct hbk_hbone_authority authority;
    if (hbk_hbone_parse_authority(text, &authority)) {
        require(authority.port > 0);
        require(authority.is_address ? authority.address.ip.size > 0
                                     : authority.host.size <= HBK_HBONE_HOST_BYTES_MAX);
    }
    check_baggage(text);
    check_forwarded(text);
    struct hbk_hbone_trace trace;
    if (hbk_hbone_parse_traceparent(text, &trace)) {
        uint8_t again[HBK_HBONE_TRACEPARENT_BYTES];
        hbk_hbone_write_traceparent(&trace, again);
        require(memcmp(again + 3, data + 3, sizeof(again) - 3) == 0);
    }
    return 0;
}
