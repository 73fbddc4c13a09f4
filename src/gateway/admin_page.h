/*
 * The page at / of the admin port: an HTML file, its style and its script, which asks the same port
 * for statistics once a second. Nothing comes from elsewhere, and the server's
 * Content-Security-Policy holds the browser to that. Control thread.
 */
#pragma once

#include "admin/server.h"

struct hbk_gw_page_file {
    const char *name, *text;
};

/* Made of page/ by tools/embed.py. */
extern const struct hbk_gw_page_file hbk_gw_page_files[];
extern const unsigned hbk_gw_page_files_count;

hbk_admin_handler_fn hbk_gw_admin_on_page, hbk_gw_admin_on_script, hbk_gw_admin_on_style;
