#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

hbk_status hbk_error_set(struct hbk_error *error, hbk_status status, const char *format, ...)
{
    if (error == NULL || error->status != HBK_OK) {
        return status;
    }
    error->status = status;
    va_list values;
    va_start(values, format);
    (void)vsnprintf(error->text, sizeof error->text, format, values);
    va_end(values);
    return status;
}

void hbk_error_prefix(struct hbk_error *error, const char *format, ...)
{
    if (error == NULL || error->status == HBK_OK) {
        return;
    }
    char old[HBK_ERROR_TEXT_BYTES_MAX];
    memcpy(old, error->text, sizeof old);
    va_list values;
    va_start(values, format);
    int written = vsnprintf(error->text, sizeof error->text, format, values);
    va_end(values);
    if (written >= 0 && (size_t)written < sizeof error->text) {
        (void)snprintf(error->text + written, sizeof error->text - (size_t)written, ": %s", old);
    }
}
