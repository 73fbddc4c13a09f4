/*
 * The numbers that TLS 1.3 negotiates: cipher suites, groups, signature schemes, versions, with
 * what each of them is made of. Tables without state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/private_key.h"

enum hbk_tls_version {
    HBK_TLS_1_2 = 0x0303,
    HBK_TLS_1_3 = 0x0304,
};

/* RFC 8446, B.4. */
enum hbk_cipher_suite {
    HBK_SUITE_AES_128_GCM_SHA256 = 0x1301,
    HBK_SUITE_AES_256_GCM_SHA384 = 0x1302,
    HBK_SUITE_CHACHA20_POLY1305_SHA256 = 0x1303,
};

/* RFC 8446, 4.2.7. */
enum hbk_tls_group {
    HBK_GROUP_P256 = 0x0017,
    HBK_GROUP_P384 = 0x0018,
    HBK_GROUP_X25519 = 0x001d,
    /* 0x11ec, X25519MLKEM768, has its place here when there is a kernel for it: its share of the
     * client is 1,216 bytes, and its server encapsulates instead of agreeing. */
};

enum {
    HBK_GROUP_SHARE_BYTES_MAX = 97,     /* a point of P-384; the hybrid group will need 1,216 */
    HBK_GROUP_SECRET_BYTES_MAX = 48,    /* of the agreement */
    HBK_TLS_RECORD_SIZE_LIMIT_MIN = 64, /* RFC 8449, 4 */
    HBK_TLS_LIST_MAX = 16,              /* entries of a list of suites, groups or schemes of ours */
};

/* "TLS_AES_128_GCM_SHA256", "X25519", "TLSv1.3"; "unknown" for others. Signature schemes have their
 * numbers and names in crypto/private_key.h. */
const char *hbk_cipher_suite_text(enum hbk_cipher_suite suite);
const char *hbk_tls_group_text(uint16_t group);
const char *hbk_tls_version_text(enum hbk_tls_version version);

/* Suites of TLS 1.2 by OpenSSL's names, which configurations use: those with forward secrecy and
 * authenticated encryption (RFC 5289, RFC 7905). NULL and 0 for others. */
const char *hbk_tls12_suite_text(uint16_t suite);
uint16_t hbk_tls12_suite_of(struct hbk_slice name);
bool hbk_tls12_suite_is_rsa(uint16_t suite); /* for keys of RSA; else of ECDSA */
bool hbk_tls12_suite_is_known(uint16_t suite);
extern const char hbk_tls12_suites_allowed[]; /* their names, for messages */

/* Whether the number is one that we speak. */
bool hbk_cipher_suite_is_known(uint16_t suite);
bool hbk_tls_group_is_known(uint16_t group);
bool hbk_signature_scheme_is_known(uint16_t scheme);

/* RSASSA-PKCS1-v1_5, which no CertificateVerify of TLS 1.3 may use (RFC 8446, 4.2.3). */
bool hbk_signature_scheme_is_pkcs1(uint16_t scheme);

/* What follows takes numbers that are known. */
enum hbk_aead hbk_cipher_suite_aead(enum hbk_cipher_suite suite);

enum hbk_hash hbk_cipher_suite_hash(enum hbk_cipher_suite suite);

/* Bytes of the suite's hash: 32 or 48. */
size_t hbk_cipher_suite_hash_bytes(enum hbk_cipher_suite suite);

/* Bytes of a key share on the wire. */
size_t hbk_tls_group_share_bytes(enum hbk_tls_group group);
