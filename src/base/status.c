#include "base/status.h"

#include <errno.h>

const char *hbk_status_text(hbk_status status)
{
    switch (status) {
    case HBK_OK:
        return "no error";
    case HBK_NOT_FOUND:
        return "not found";
    case HBK_EXISTS:
        return "exists already";
    case HBK_IN_USE:
        return "in use already";
    case HBK_NO_ADDRESS:
        return "no such address here, or no free port";
    case HBK_DIRECTORY:
        return "is a directory";
    case HBK_NO_DIRECTORY:
        return "is not a directory";
    case HBK_DENIED:
        return "permission denied";
    case HBK_LIMIT:
        return "limit reached";
    case HBK_NO_MEMORY:
        return "out of memory";
    case HBK_INVALID:
        return "invalid input";
    case HBK_UNSUPPORTED:
        return "not supported";
    case HBK_UNTRUSTED:
        return "not trusted";
    case HBK_NO_ROUTE:
        return "connection refused or no route";
    case HBK_TIMEOUT:
        return "timed out";
    case HBK_CLOSED:
        return "closed by the other side";
    case HBK_IO:
        return "input or output error";
    }
    return "unknown status";
}

hbk_status hbk_status_from_errno(int error_number)
{
    switch (error_number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ESRCH:
        return HBK_NOT_FOUND;
    case EEXIST:
        return HBK_EXISTS;
    case EADDRINUSE:
        return HBK_IN_USE;
    case EADDRNOTAVAIL:
        return HBK_NO_ADDRESS;
    case EISDIR:
        return HBK_DIRECTORY;
    case ENOTDIR:
        return HBK_NO_DIRECTORY;
    case EACCES:
    case EPERM:
    case EROFS:
        return HBK_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case EFBIG:
    case ENOSPC:
        return HBK_LIMIT;
    case ENOMEM:
        return HBK_NO_MEMORY;
    case EINVAL:
    case EBADMSG:
    case ENAMETOOLONG:
        return HBK_INVALID;
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
    case ENOSYS:
        return HBK_UNSUPPORTED;
    case ECONNREFUSED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
        return HBK_NO_ROUTE;
    case ETIMEDOUT:
        return HBK_TIMEOUT;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ESHUTDOWN:
        return HBK_CLOSED;
    default:
        return HBK_IO;
    }
}
