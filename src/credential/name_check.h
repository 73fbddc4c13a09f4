/*
 * What a validation context asks of a leaf beyond its path: one of some names, one of some
 * fingerprints (Envoy's match_typed_subject_alt_names, verify_certificate_hash, _spki).
 */
#pragma once

#include "base/error.h"
#include "identity/trust.h"
#include "model/gateway_tls.h"

/*
 * Sets `check`, `owner` and `free_owner` of the options when the context asks anything; everything
 * is copied. Fails: HBK_INVALID (a fingerprint that is none), HBK_NO_MEMORY. Control thread.
 */
HBK_MUST_USE hbk_status hbk_gw_name_check_new(const struct hbk_gw_validation_context *context,
                                              struct hbk_trust_options *options,
                                              struct hbk_error *error);
