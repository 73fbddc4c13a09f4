/* UTF-8 (RFC 3629), for texts of strangers that go where only UTF-8 may. */
#pragma once

#include "base/slice.h"

/* U+FFFD, which stands for a byte that is none. */
#define HBK_UTF8_REPLACEMENT "\xEF\xBF\xBD"

/* Bytes of the well-formed character at the start of `text`: 1 to 4; 0 if there is none. */
size_t hbk_utf8_size(struct hbk_slice text);
