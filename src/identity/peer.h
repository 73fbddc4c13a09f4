/* Making the peers that verdict.h hands out. For the files of this room; the types are OpenSSL's.
 */
#pragma once

#include <openssl/x509.h>

#include "identity/verdict.h"

/* A peer with its own copy of the chain, whose sizes were checked, and one reference; everything
 * else is missing. NULL when out of memory. */
struct hbk_peer *hbk_peer_new(const struct hbk_chain *chain);

/* The cache's key of the question that a peer is the answer to; set once, before anybody else holds
 * the peer. NULL: no cache was asked. */
void hbk_peer_set_question(const struct hbk_peer *peer,
                           const uint8_t question[static HBK_SHA256_BYTES]);
const uint8_t *hbk_peer_question(const struct hbk_peer *peer);

/* Fills in what the leaf alone tells: key, serial number, subject, names. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_peer_read_leaf(struct hbk_peer *peer, X509 *leaf);
