/* The result of a load run in Fortio's JSON schema, which `fortio report` reads, with what Fortio
 * does not measure under the key "hauberk". */
#pragma once

#include "base/compiler.h"
#include "load/plan.h"
#include "load/result.h"

/* An exported histogram has at most this many buckets; neighbours are joined until it fits. */
enum { HBK_FORTIO_BUCKETS_MAX = 2000 };

enum { HBK_FORTIO_ID_BYTES_MAX = 97 };

/* The name under which Fortio would keep the result: date and time, run id, labels. */
void hbk_fortio_id(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                   char out_id[static HBK_FORTIO_ID_BYTES_MAX]);

/* The JSON text, two spaces deep, without a line end; owned by the caller (free). NULL when out of
 * memory. */
HBK_MUST_USE char *hbk_fortio_text(const struct hbk_load_plan *plan,
                                   const struct hbk_load_result *result);
