/* Numbers that only the codec of messages needs (RFC 8446, 4.2 and appendix B.3). */
#pragma once

#include <stdint.h>

enum hbk_extension {
    HBK_EXTENSION_SERVER_NAME = 0,
    HBK_EXTENSION_STATUS_REQUEST = 5,
    HBK_EXTENSION_SUPPORTED_GROUPS = 10,
    HBK_EXTENSION_SIGNATURE_ALGORITHMS = 13,
    HBK_EXTENSION_ALPN = 16,
    HBK_EXTENSION_RECORD_SIZE_LIMIT = 28,
    HBK_EXTENSION_PRE_SHARED_KEY = 41,
    HBK_EXTENSION_EARLY_DATA = 42,
    HBK_EXTENSION_SUPPORTED_VERSIONS = 43,
    HBK_EXTENSION_COOKIE = 44,
    HBK_EXTENSION_PSK_MODES = 45,
    HBK_EXTENSION_AUTHORITIES = 47,
    HBK_EXTENSION_SIGNATURE_ALGORITHMS_CERT = 50,
    HBK_EXTENSION_KEY_SHARE = 51,
};

enum { HBK_STATUS_TYPE_OCSP = 1, HBK_PSK_MODE_DHE = 1 };

/* The random of a HelloRetryRequest (4.1.3): the SHA-256 of "HelloRetryRequest". */
extern const uint8_t hbk_retry_random[32];
