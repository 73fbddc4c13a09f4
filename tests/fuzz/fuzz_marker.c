/* Captured frames: no bytes on a wire may harm the search, and a whole marker is always found. */
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#include "os/marker.h"

static const char text[] = "marker";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hbk_marker *marker = NULL;
    if (hbk_marker_new(hbk_slice_text(text), &marker) != HBK_OK) {
        abort();
    }
    /* Two frames, so that ends are kept and joined. */
    size_t half = size / 2;
    uint64_t found = hbk_marker_search(marker, hbk_slice_of(data, half));
    found += hbk_marker_search(marker, hbk_slice_of(data + half, size - half));
    bool is_in_one_frame = memmem(data, half, text, sizeof text - 1) != NULL ||
                           memmem(data + half, size - half, text, sizeof text - 1) != NULL;
    if (is_in_one_frame && found == 0) {
        abort();
    }
    hbk_marker_free(&marker);
    return 0;
}
