/*
 * Revocation lists, read once in a process however many bundles use them: a list of a large
 * authority takes tens of megabytes, and a gateway may name its file in every filter chain. What
 * has the same bytes is the same object while somebody holds it. Immutable. Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

struct X509_crl_st;
struct hbk_revocation;

/* Reads lists, several as PEM or one as DER, or finds those that were read from the same bytes and
 * are still held. The caller owns a reference.
 * Fails: HBK_INVALID with the reason, HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_revocation_read(struct hbk_slice text,
                                            struct hbk_revocation **out_revocation,
                                            struct hbk_error *error);
void hbk_revocation_unref(struct hbk_revocation *revocation); /* NULL is allowed */

/* Borrowed while a reference is held. */
size_t hbk_revocation_count(const struct hbk_revocation *revocation);
struct X509_crl_st *hbk_revocation_list(const struct hbk_revocation *revocation, size_t index);
