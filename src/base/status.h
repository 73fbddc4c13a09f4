/*
 * Failures. A status says what kind of thing went wrong in the world; it is passed up unchanged,
 * and outputs are written on success only. Answers that belong to a function's meaning (need more
 * bytes, no match) are enums of that function, not statuses.
 */
#pragma once

#include "base/compiler.h"

typedef enum hbk_status {
    HBK_OK = 0,
    HBK_NOT_FOUND,    /* the named thing does not exist */
    HBK_EXISTS,       /* the named thing exists already */
    HBK_IN_USE,       /* the address is taken */
    HBK_NO_ADDRESS,   /* the address is none of this host, or no port of it is free */
    HBK_DIRECTORY,    /* a directory in the place of a file */
    HBK_NO_DIRECTORY, /* a file in the place of a directory */
    HBK_DENIED,       /* the kernel or a policy refused */
    HBK_LIMIT,        /* a named limit was reached */
    HBK_NO_MEMORY,    /* an allocation failed */
    HBK_INVALID,      /* input that does not follow its format */
    HBK_UNSUPPORTED,  /* well formed, but not spoken here */
    HBK_UNTRUSTED,    /* a certificate, signature or identity was refused */
    HBK_NO_ROUTE,     /* refused, no route, or host down */
    HBK_TIMEOUT,      /* a deadline passed */
    HBK_CLOSED,       /* the other side ended or reset */
    HBK_IO,           /* any other failure of the operating system */
} hbk_status;

/* A short English phrase for people; never NULL. Any thread. */
const char *hbk_status_text(hbk_status status);

/* Maps an errno value to the nearest status; never HBK_OK. Any thread. */
hbk_status hbk_status_from_errno(int error_number);

/* Returns from the caller with the status of `expression` unless it is HBK_OK. */
#define HBK_TRY(expression)                            \
    do {                                               \
        hbk_status hbk_try_status_ = (expression);     \
        if (HBK_UNLIKELY(hbk_try_status_ != HBK_OK)) { \
            return hbk_try_status_;                    \
        }                                              \
    } while (0)
