/* Quantities as Go's command lines write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/slice.h"

/* As hbk_duration_parse(), and one number with a fraction: "0.5s", "1.5ms". */
HBK_MUST_USE bool hbk_load_duration_parse(struct hbk_slice text, uint64_t *out_ns);
