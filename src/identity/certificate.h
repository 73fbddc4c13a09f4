/*
 * Single certificates: reading them with libcrypto and looking at them by the rules of SPIFFE. For
 * the files of this room; the types are OpenSSL's.
 */
#pragma once

#include <openssl/x509.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"
#include "identity/spiffe.h"
#include "identity/svid.h"

/* "2026-11-23 14:05:00 UTC" and its end. */
enum { HBK_CERTIFICATE_TIME_BYTES_MAX = 32 };

/* Certificates that must be found together; freed by _fini. */
struct hbk_certificates {
    size_t count;
    X509 **items; /* owned */
};

/*
 * Reads all certificates of a PEM text; text between them is skipped, broken ones are failures.
 * Fails: HBK_INVALID (none, or one is broken), HBK_LIMIT (more than `count_max`), HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_certificates_read(struct hbk_slice pem, size_t count_max,
                                              struct hbk_certificates *out_certificates,
                                              struct hbk_error *error);

/* The same; a certificate that is in `known`, too, byte for byte, is shared with it and not read
 * again, which takes libcrypto 130 us and 4 KiB for each. `known` may be NULL. */
HBK_MUST_USE hbk_status hbk_certificates_read_beside(struct hbk_slice pem, size_t count_max,
                                                     const struct hbk_certificates *known,
                                                     struct hbk_certificates *out_certificates,
                                                     struct hbk_error *error);
void hbk_certificates_fini(struct hbk_certificates *certificates);

/* Appends it as PEM. Fails: HBK_NO_MEMORY, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_certificate_write(const X509 *certificate, struct hbk_buffer *pem);

/* The private key of a PEM text, owned by the caller; NULL: there is none, or it is encrypted. */
EVP_PKEY *hbk_private_key_read(struct hbk_slice pem);

/* Rule 1 of verdict.h: the one SPIFFE id of a leaf; the caller owns a reference.
 * Fails: HBK_UNTRUSTED with the reason, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_certificate_id(X509 *leaf, const struct hbk_spiffe_id **out_id,
                                           struct hbk_error *error);

/* Rule 2 without extendedKeyUsage. Fails: HBK_UNTRUSTED with the reason. */
HBK_MUST_USE hbk_status hbk_certificate_check_leaf(X509 *leaf, struct hbk_error *error);

/* A CA by basicConstraints whose keyUsage, if present (a root) or always (`is_intermediate`),
 * allows it to sign certificates. Fails: HBK_UNTRUSTED with the reason. */
HBK_MUST_USE hbk_status hbk_certificate_check_signer(X509 *signer, bool is_intermediate,
                                                     struct hbk_error *error);

/* Realtime nanoseconds of the validity; the end itself is no longer in it, as libcrypto judges.
 * False for times that do not fit. */
HBK_MUST_USE bool hbk_certificate_validity(const X509 *certificate, int64_t *out_not_before_ns,
                                           int64_t *out_not_after_ns);

/* The serial number as lower-case hexadecimal digits; one that is too long is cut. */
void hbk_certificate_serial(const X509 *certificate, char text[static HBK_SERIAL_TEXT_BYTES_MAX]);

/* The subject as one line, or "no subject" when it is empty. Returns `text`. */
const char *hbk_certificate_subject(const X509 *certificate, char *text, size_t text_bytes);

/* Time for people, to the second. Returns `text`. */
const char *hbk_certificate_time(int64_t time_ns, char text[static HBK_CERTIFICATE_TIME_BYTES_MAX]);

/* Drops what libcrypto noted about failures on this thread. */
void hbk_certificate_clear_errors(void);
