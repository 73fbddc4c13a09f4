/*
 * HKDF (RFC 5869): a pseudorandom key out of secret material, and keys out of that. TLS 1.3 expands
 * several keys out of one secret; a keyed state pays for that secret once. Any thread.
 */
#pragma once

#include "crypto/hmac.h"

/* RFC 5869, 2.3: the counter is one byte. */
enum { HBK_HKDF_BLOCKS_MAX = 255 };

/* An empty salt stands for zeros. Writes hbk_hash_bytes(hash) of the key, which is secret. */
void hbk_hkdf_extract(enum hbk_hash hash, struct hbk_slice salt, struct hbk_slice secret,
                      uint8_t *out_key);

/* The same where the salt is a keyed state already: a salt that many handshakes share. */
void hbk_hkdf_extract_keyed(const struct hbk_hmac *salt, struct hbk_slice secret, uint8_t *out_key);

/*
 * Expands a pseudorandom key. The output may not overlap with `info`. False, and nothing written,
 * for more than HBK_HKDF_BLOCKS_MAX times the size of the hash.
 */
HBK_MUST_USE bool hbk_hkdf_expand(enum hbk_hash hash, struct hbk_slice key, struct hbk_slice info,
                                  struct hbk_span out_bytes);
HBK_MUST_USE bool hbk_hkdf_expand_keyed(const struct hbk_hmac *key, struct hbk_slice info,
                                        struct hbk_span out_bytes);
