#include "identity/staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/clock.h"

enum { FEATURE_STATUS_REQUEST = 5 }; /* RFC 6066, 8 */

/* The time of nextUpdate. False: it cannot be read. */
static bool read_end(const ASN1_GENERALIZEDTIME *next, int64_t *out_ns)
{
    struct tm parts;
    const int64_t seconds_max = INT64_MAX / (int64_t)HBK_NS_PER_S - 1;
    if (next == NULL) {
        *out_ns = INT64_MAX;
        return true;
    }
    if (ASN1_TIME_to_tm(next, &parts) != 1) {
        return false;
    }
    int64_t seconds = timegm(&parts);
    *out_ns = seconds > seconds_max || seconds < 0 ? 0 : seconds * (int64_t)HBK_NS_PER_S;
    return seconds >= 0 && seconds <= seconds_max;
}

static const char *read_single(OCSP_BASICRESP *basic, const X509 *leaf, int64_t *out_until_ns)
{
    if (OCSP_resp_count(basic) != 1) {
        return "it is not about one certificate alone";
    }
    OCSP_SINGLERESP *single = OCSP_resp_get0(basic, 0);
    ASN1_INTEGER *serial = NULL;
    ASN1_GENERALIZEDTIME *next = NULL;
    if (OCSP_id_get0_info(NULL, NULL, NULL, &serial,
                          (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single)) != 1 ||
        ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) != 0) {
        return "it is about another certificate";
    }
    (void)OCSP_single_get0_status(single, NULL, NULL, NULL, &next);
    return read_end(next, out_until_ns) ? NULL : "its end cannot be read";
}

static const char *read_response(OCSP_RESPONSE *response, const X509 *leaf, int64_t *out_until_ns)
{
    if (response == NULL) {
        return "it cannot be read";
    }
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        return OCSP_response_status_str(OCSP_response_status(response));
    }
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    const char *why = basic == NULL ? "it is of an unknown kind" : NULL;
    why = why == NULL ? read_single(basic, leaf, out_until_ns) : why;
    OCSP_BASICRESP_free(basic);
    return why;
}

hbk_status hbk_staple_read(struct hbk_slice der, const struct x509_st *leaf, int64_t *out_until_ns,
                           struct hbk_error *error)
{
    const unsigned char *at = der.bytes;
    int64_t until_ns = 0;
    OCSP_RESPONSE *response =
        der.size > INT32_MAX ? NULL : d2i_OCSP_RESPONSE(NULL, &at, (long)der.size);
    const char *why = response != NULL && at != der.bytes + der.size
                          ? "bytes follow it"
                          : read_response(response, leaf, &until_ns);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    if (why != NULL) {
        return hbk_error_set(error, HBK_INVALID, "the OCSP response: %s", why);
    }
    *out_until_ns = until_ns;
    return HBK_OK;
}

bool hbk_staple_is_required(const struct x509_st *leaf)
{
    TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
    bool is_required = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++) {
        is_required |=
            ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == FEATURE_STATUS_REQUEST;
    }
    TLS_FEATURE_free(features);
    ERR_clear_error();
    return is_required;
}
