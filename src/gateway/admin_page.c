#include "gateway/admin_page.h"

#include "base/assert.h"

static void reply_file(struct hbk_admin_exchange *exchange, const char *name, const char *type)
{
    unsigned i = 0;
    while (strcmp(hbk_gw_page_files[i].name, name) != 0) {
        i++;
        HBK_ASSERT(i < hbk_gw_page_files_count);
    }
    hbk_admin_reply(exchange, 200, type, hbk_slice_text(hbk_gw_page_files[i].text));
}

void hbk_gw_admin_on_page(struct hbk_admin_exchange *exchange,
                          const struct hbk_admin_request *request, void *context)
{
    (void)request;
    (void)context;
    reply_file(exchange, "page", "text/html; charset=utf-8");
}

void hbk_gw_admin_on_script(struct hbk_admin_exchange *exchange,
                            const struct hbk_admin_request *request, void *context)
{
    (void)request;
    (void)context;
    reply_file(exchange, "live", "text/javascript; charset=utf-8");
}

void hbk_gw_admin_on_style(struct hbk_admin_exchange *exchange,
                           const struct hbk_admin_request *request, void *context)
{
    (void)request;
    (void)context;
    reply_file(exchange, "style", "text/css; charset=utf-8");
}
