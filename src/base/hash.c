#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>

#include "base/assert.h"

static struct hbk_hash_key process_key;
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return (word << bits) | (word >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

uint64_t hbk_hash_with_key(const struct hbk_hash_key *key, struct hbk_slice slice)
{
    uint64_t v[4] = {
        key->words[0] ^ UINT64_C(0x736f6d6570736575),
        key->words[1] ^ UINT64_C(0x646f72616e646f6d),
        key->words[0] ^ UINT64_C(0x6c7967656e657261),
        key->words[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = slice.size - slice.size % 8;
    for (size_t i = 0; i < whole; i += 8) {
        absorb(v, load_le64(slice.bytes + i));
    }
    uint64_t last = (uint64_t)slice.size << 56;
    for (size_t i = whole; i < slice.size; i++) {
        last |= (uint64_t)slice.bytes[i] << (8 * (i - whole));
    }
    absorb(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void draw_process_key(void)
{
    ssize_t drawn = getrandom(&process_key, sizeof process_key, 0);
    HBK_ASSERT(drawn == (ssize_t)sizeof process_key);
}

uint64_t hbk_hash(struct hbk_slice slice)
{
    HBK_ASSERT(pthread_once(&process_key_once, draw_process_key) == 0);
    return hbk_hash_with_key(&process_key, slice);
}
