/*
 * The Envoy bootstrap. Whatever the text is, reading it gives a model or a report that is not
 * empty; mending it gives YAML that is read again, and what is mended is canonical: mending it once
 * more changes nothing. A model is written back as JSON, but for what is nested too deeply.
 */
#include "fuzz_target.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "config/bootstrap.h"
#include "config/bootstrap_dump.h"

enum { OUT_BYTES_MAX = 4 << 20 };

/* libfyaml 0.7 forgets a few KiB when it meets a syntax error; see fuzz_mesh_file.c. */
const char *__lsan_default_suppressions(void);

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static void dump(const struct hbk_gw_config *config)
{
    static const struct hbk_field_mask everything;
    struct hbk_buffer out;
    hbk_buffer_init(&out, OUT_BYTES_MAX);
    struct hbk_json json = hbk_json_to(&out, true);
    hbk_bootstrap_dump(&json, NULL, HBK_BOOTSTRAP_PART_BOOTSTRAP, config->bootstrap, &everything);
    HBK_ASSERT(json.status == HBK_OK || json.status == HBK_LIMIT);
    HBK_ASSERT(json.status != HBK_OK || json.depth == 0);
    hbk_buffer_fini(&out);
}

static void read_strictly(struct hbk_slice text, bool allows_unknown)
{
    static struct hbk_report report, warnings;
    struct hbk_bootstrap_options options = {.is_offline = true, .allows_unknown = allows_unknown};
    struct hbk_gw_config *config = NULL;
    hbk_status status = hbk_bootstrap_parse("fuzz", text, &options, &config, &report, &warnings);
    HBK_ASSERT((status == HBK_OK) == (config != NULL));
    HBK_ASSERT((status == HBK_INVALID) == (report.count > 0));
    if (config != NULL) {
        dump(config);
    }
    hbk_gw_config_unref(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hbk_report report, repairs;
    struct hbk_slice text = hbk_slice_of(data, size);
    struct hbk_buffer out, again;
    hbk_buffer_init(&out, OUT_BYTES_MAX);
    hbk_buffer_init(&again, OUT_BYTES_MAX);
    read_strictly(text, false);
    read_strictly(text, true);
    if (hbk_bootstrap_fix("fuzz", text, &out, &repairs, &report) == HBK_OK && report.count == 0) {
        read_strictly(hbk_buffer_slice(&out), false);
        hbk_status status =
            hbk_bootstrap_fix("fuzz", hbk_buffer_slice(&out), &again, &repairs, &report);
        HBK_ASSERT(status == HBK_OK && report.count == 0);
        HBK_ASSERT(hbk_slice_equal(hbk_buffer_slice(&out), hbk_buffer_slice(&again)));
    }
    hbk_buffer_fini(&out);
    hbk_buffer_fini(&again);
    return 0;
}
