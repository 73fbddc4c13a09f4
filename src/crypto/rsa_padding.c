#include "crypto/rsa_padding.h"

#include "crypto/rsa.h"

/* RFC 8017, 9.2, note 1: the DER of a DigestInfo up to the digest. */
static const uint8_t prefix_sha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t prefix_sha384[] = {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30};
static const uint8_t prefix_sha512[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

enum {
    PREFIX_BYTES = sizeof(prefix_sha256),
    PKCS1_FILL_BYTES_MIN = 8, /* RFC 8017, 9.2, step 3 */
    PSS_ZEROS_BYTES = 8,
    PSS_TRAILER = 0xbc,
};

static const uint8_t *prefix_of(enum hbk_hash hash)
{
    switch (hash) {
    case HBK_HASH_SHA256:
        return prefix_sha256;
    case HBK_HASH_SHA384:
        return prefix_sha384;
    default:
        return prefix_sha512;
    }
}

bool hbk_rsa_pad_pkcs1(enum hbk_hash hash, const uint8_t *digest, unsigned modulus_bits,
                       uint8_t *out_block)
{
    const size_t size = (modulus_bits + 7) / 8;
    const size_t digest_bytes = hbk_hash_bytes(hash);
    const size_t tail_bytes = 1 + PREFIX_BYTES + digest_bytes;

    if (size < 2 + PKCS1_FILL_BYTES_MIN + tail_bytes) {
        return false;
    }
    out_block[0] = 0;
    out_block[1] = 1;
    memset(out_block + 2, 0xff, size - 2 - tail_bytes);
    uint8_t *tail = out_block + size - tail_bytes;
    tail[0] = 0;
    memcpy(tail + 1, prefix_of(hash), PREFIX_BYTES);
    memcpy(tail + 1 + PREFIX_BYTES, digest, digest_bytes);
    return true;
}

bool hbk_rsa_check_pkcs1(enum hbk_hash hash, const uint8_t *digest, unsigned modulus_bits,
                         const uint8_t *block)
{
    uint8_t expected[HBK_RSA_BYTES_MAX];

    /* There is one right block only, so making it and comparing leaves no room for parsing errors.
     */
    return modulus_bits <= HBK_RSA_BITS_MAX &&
           hbk_rsa_pad_pkcs1(hash, digest, modulus_bits, expected) &&
           memcmp(block, expected, (modulus_bits + 7) / 8) == 0;
}

/* MGF1 (RFC 8017, B.2.1): combines the mask for `seed` into `bytes` by exclusive or. */
static void mask_with(enum hbk_hash hash, const uint8_t *seed, uint8_t *bytes, size_t size)
{
    const size_t digest_bytes = hbk_hash_bytes(hash);
    uint8_t input[HBK_HASH_BYTES_MAX + 4] = {0};
    uint8_t mask[HBK_HASH_BYTES_MAX];

    memcpy(input, seed, digest_bytes);
    for (size_t i = 0; i < size; i++) {
        if (i % digest_bytes == 0) {
            input[digest_bytes + 3] = (uint8_t)(i / digest_bytes);
            hbk_hash_once(hash, hbk_slice_of(input, digest_bytes + 4), mask);
        }
        bytes[i] ^= mask[i % digest_bytes];
    }
}

/* H = hash(eight zeros || digest || salt). */
static void pss_hash(enum hbk_hash hash, const uint8_t *digest, const uint8_t *salt, uint8_t *out)
{
    const size_t digest_bytes = hbk_hash_bytes(hash);
    uint8_t message[PSS_ZEROS_BYTES + 2 * HBK_HASH_BYTES_MAX] = {0};

    memcpy(message + PSS_ZEROS_BYTES, digest, digest_bytes);
    memcpy(message + PSS_ZEROS_BYTES + digest_bytes, salt, digest_bytes);
    hbk_hash_once(hash, hbk_slice_of(message, PSS_ZEROS_BYTES + 2 * digest_bytes), out);
}

/*
 *     block = [0] || maskedDB || H || 0xbc,     DB = zeros || 1 || salt
 *
 * The encoded message has modulus_bits - 1 bits; if that is a whole number of bytes, the block has
 * one zero byte before it.
 */
struct pss_layout {
    size_t skipped_bytes; /* 0 or 1 zero bytes in front */
    size_t db_bytes;
    size_t zeros_bytes; /* at the beginning of DB */
    uint8_t first_mask; /* the bits of DB's first byte that exist */
};

static bool pss_layout(enum hbk_hash hash, unsigned modulus_bits, struct pss_layout *out)
{
    const size_t digest_bytes = hbk_hash_bytes(hash);
    const unsigned message_bits = modulus_bits - 1;
    const size_t message_bytes = (message_bits + 7) / 8;

    if (modulus_bits == 0 || message_bytes < 2 * digest_bytes + 2) {
        return false;
    }
    out->skipped_bytes = (modulus_bits + 7) / 8 - message_bytes;
    out->db_bytes = message_bytes - digest_bytes - 1;
    out->zeros_bytes = out->db_bytes - 1 - digest_bytes;
    out->first_mask = (uint8_t)(0xff >> (8 * message_bytes - message_bits));
    return true;
}

bool hbk_rsa_pad_pss(enum hbk_hash hash, const uint8_t *digest, const uint8_t *salt,
                     unsigned modulus_bits, uint8_t *out_block)
{
    const size_t digest_bytes = hbk_hash_bytes(hash);
    struct pss_layout layout;

    if (!pss_layout(hash, modulus_bits, &layout)) {
        return false;
    }
    uint8_t *db = out_block + layout.skipped_bytes;
    uint8_t *h = db + layout.db_bytes;
    out_block[0] = 0;
    pss_hash(hash, digest, salt, h);
    memset(db, 0, layout.zeros_bytes);
    db[layout.zeros_bytes] = 1;
    memcpy(db + layout.zeros_bytes + 1, salt, digest_bytes);
    mask_with(hash, h, db, layout.db_bytes);
    db[0] &= layout.first_mask;
    h[digest_bytes] = PSS_TRAILER;
    return true;
}

bool hbk_rsa_check_pss(enum hbk_hash hash, const uint8_t *digest, unsigned modulus_bits,
                       const uint8_t *block)
{
    const size_t digest_bytes = hbk_hash_bytes(hash);
    struct pss_layout layout;
    uint8_t db[HBK_RSA_BYTES_MAX];
    uint8_t expected[HBK_HASH_BYTES_MAX];

    if (modulus_bits > HBK_RSA_BITS_MAX || !pss_layout(hash, modulus_bits, &layout)) {
        return false;
    }
    const uint8_t *masked = block + layout.skipped_bytes;
    const uint8_t *h = masked + layout.db_bytes;
    if ((layout.skipped_bytes == 1 && block[0] != 0) || (masked[0] & ~layout.first_mask) != 0 ||
        h[digest_bytes] != PSS_TRAILER) {
        return false;
    }
    memcpy(db, masked, layout.db_bytes);
    mask_with(hash, h, db, layout.db_bytes);
    db[0] &= layout.first_mask;
    for (size_t i = 0; i < layout.zeros_bytes; i++) {
        if (db[i] != 0) {
            return false;
        }
    }
    if (db[layout.zeros_bytes] != 1) {
        return false;
    }
    pss_hash(hash, digest, db + layout.zeros_bytes + 1, expected);
    return memcmp(expected, h, digest_bytes) == 0;
}
