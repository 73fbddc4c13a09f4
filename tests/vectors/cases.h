/* What main.c runs and cases.c knows. One thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "crypto/rsa_padding.h"

/* What the case says must happen. */
enum expectation { MUST_PASS, MUST_FAIL, MAY_PASS };

/* What came of it. A case whose input has a form or size that TLS does not have reaches none of our
 * code: it says nothing about it. */
enum outcome { CASE_PASSED, CASE_FAILED, CASE_NOT_RUN };

/* Runs one case of a group on every path, lane and fill: whether it came out as expected. */
typedef enum outcome test_function(const json_t *group, const json_t *test,
                                   enum expectation expectation);

test_function test_ecdh, test_xdh, test_ecdsa; /* lanes */
test_function test_rsa_verify, test_rsa_generate, test_rsa_decrypt;
test_function test_ecdh_p384, test_ecdsa_p384, test_ed25519; /* no lanes */
test_function test_aead, test_hkdf, test_hmac;

/* A member of an object as text, "" when it has none; whether it is this text. */
const char *wycheproof_get_text(const json_t *object, const char *name);
bool wycheproof_is_text(const json_t *object, const char *name, const char *expected);

/* The hash of this name, if TLS uses it. */
bool wycheproof_hash_of(const char *name, enum hbk_hash *out_hash);

/* Around all cases; and between two files, whose groups may lie at the same address. */
void wycheproof_init(void);
void wycheproof_forget_key(void);
void wycheproof_fini(void);
