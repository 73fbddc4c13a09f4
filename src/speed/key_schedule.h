/*
 * What is neither asymmetric nor parsing in a mutual handshake of TLS 1.3, at the server: the hash
 * of the transcript, the key schedule (RFC 8446, 7.1), both Finished, the keys of both epochs, and
 * the protection of both flights. Not a handshake: the messages are zeros of the usual sizes.
 */
#pragma once

#include <stdbool.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"

struct hbk_key_schedule;

/* SHA-256 goes with AES-128-GCM and SHA-384 with AES-256-GCM. NULL when libcrypto has no memory. */
HBK_MUST_USE struct hbk_key_schedule *hbk_key_schedule_new(enum hbk_hash hash);
void hbk_key_schedule_free(struct hbk_key_schedule *schedule);

/* Once through, by the crypto room or by libcrypto's general interface with everything fetched
 * before. False when they came to different secrets or a record was not authentic. */
HBK_MUST_USE bool hbk_key_schedule_run(struct hbk_key_schedule *schedule, bool by_libcrypto);
