#include "identity/facts.h"

#include "identity/certificate.h"

hbk_status hbk_certificate_facts(const struct x509_st *certificate,
                                 struct hbk_certificate_facts *out_facts, struct hbk_buffer *pem)
{
    struct hbk_certificate_facts facts;
    if (!hbk_certificate_validity(certificate, &facts.not_before_ns, &facts.not_after_ns)) {
        return HBK_INVALID;
    }
    HBK_TRY(hbk_certificate_write(certificate, pem));
    hbk_certificate_serial(certificate, facts.serial_text);
    *out_facts = facts;
    return HBK_OK;
}
