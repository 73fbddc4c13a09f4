#include "net/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hbk_failure_set(struct hbk_failure *failure, enum hbk_failure_kind kind, hbk_status status,
                     uint32_t code, const char *format, ...)
{
    if (failure->kind != HBK_FAILURE_NONE) {
        return;
    }
    char text[HBK_FAILURE_TEXT_BYTES_MAX];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    *failure = (struct hbk_failure){
        .kind = kind,
        .status = status,
        .code = code,
        .text = strdup(text),
    };
}

void hbk_failure_copy(struct hbk_failure *failure, const struct hbk_failure *from)
{
    if (from->kind != HBK_FAILURE_NONE) {
        hbk_failure_set(failure, from->kind, from->status, from->code, "%s",
                        hbk_failure_text(from));
    }
}

void hbk_failure_clear(struct hbk_failure *failure)
{
    free(failure->text);
    *failure = (struct hbk_failure){.kind = HBK_FAILURE_NONE};
}

const char *hbk_failure_text(const struct hbk_failure *failure)
{
    return failure->text != NULL ? failure->text : hbk_status_text(failure->status);
}
