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

/* Adds what fits behind the first `*size` bytes, and a terminating zero. */
static void append(char text[static HBK_ERROR_TEXT_BYTES_MAX], size_t *size, const char *more)
{
    size_t room = HBK_ERROR_TEXT_BYTES_MAX - 1 - *size;
    size_t more_bytes = strnlen(more, room);
    memcpy(text + *size, more, more_bytes);
    *size += more_bytes;
    text[*size] = '\0';
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
    if (written < 0) {
        return;
    }
    size_t size = (size_t)written < sizeof error->text ? (size_t)written : sizeof error->text - 1;
    append(error->text, &size, ": ");
    append(error->text, &size, old);
}
