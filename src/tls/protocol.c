#include "tls/protocol.h"

#include "base/cursor.h"

/* Takes the name in front; empty at the end. */
static struct hbk_slice next_name(struct hbk_cursor *list)
{
    return hbk_cursor_take(list, (size_t)hbk_cursor_number(list, 1));
}

struct hbk_slice hbk_tls_find_protocol(struct hbk_slice list, struct hbk_slice name)
{
    struct hbk_cursor cursor = hbk_cursor_of(list);
    struct hbk_slice item;
    while ((item = next_name(&cursor)).size > 0) {
        if (hbk_slice_equal(item, name)) {
            return item;
        }
    }
    return item;
}

struct hbk_slice hbk_tls_choose_protocol(struct hbk_slice ours, struct hbk_slice theirs)
{
    struct hbk_cursor cursor = hbk_cursor_of(ours);
    struct hbk_slice item;
    while ((item = next_name(&cursor)).size > 0) {
        if (hbk_tls_find_protocol(theirs, item).size > 0) {
            return item;
        }
    }
    return item;
}
