#include "bench/certificate.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "os/fd.h"
#include "os/netns.h"
#include "os/socket.h"

enum { TIMEOUT_MS = 3000 };

static hbk_status connect_from(int netns_fd, const struct hbk_address *to, int *out_fd)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    struct hbk_connect_options options = {0};
    HBK_TRY(hbk_netns_enter(netns_fd, &visit));
    HBK_TRY(hbk_socket_connect(to, &options, &fd));
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, TIMEOUT_MS) != 1) {
        return HBK_TIMEOUT;
    }
    int error_number = hbk_socket_error(fd);
    if (error_number != 0) {
        return hbk_status_from_errno(error_number);
    }
    /* Blocking from here on, with a limit: the handshake is one call. */
    struct timeval limit = {.tv_sec = TIMEOUT_MS / 1000};
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    *out_fd = hbk_fd_take(&fd);
    return HBK_OK;
}

static void read_serial(const X509 *certificate, struct hbk_certificate_seen *seen)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number == NULL ? NULL : BN_bn2hex(number);
    (void)snprintf(seen->serial, sizeof seen->serial, "%s", text == NULL ? "" : text);
    OPENSSL_free(text);
    BN_free(number);
}

static void read_name(const X509 *certificate, struct hbk_certificate_seen *seen)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            (void)snprintf(seen->name, sizeof seen->name, "%.*s",
                           ASN1_STRING_length(name->d.uniformResourceIdentifier),
                           (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier));
            break;
        }
    }
    GENERAL_NAMES_free(names);
}

static void read_lifetime(const X509 *certificate, struct hbk_certificate_seen *seen)
{
    int days = 0;
    int seconds = 0;
    (void)ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate),
                         X509_get0_notAfter(certificate));
    seen->lifetime_s = (int64_t)days * 86400 + seconds;
}

static hbk_status shake_hands(SSL *ssl, int fd, struct hbk_certificate_seen *out_seen,
                              struct hbk_error *error)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
        SSL_set_alpn_protos(ssl, alpn, sizeof alpn) != 0) {
        return hbk_error_set(error, HBK_NO_MEMORY, "no memory for TLS");
    }
    (void)SSL_connect(ssl); /* the server may refuse us: its certificate has come by then */
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (certificate == NULL) {
        return hbk_error_set(error, HBK_INVALID, "no certificate was shown");
    }
    struct hbk_certificate_seen seen = {0};
    read_serial(certificate, &seen);
    read_name(certificate, &seen);
    read_lifetime(certificate, &seen);
    X509_free(certificate);
    *out_seen = seen;
    return HBK_OK;
}

hbk_status hbk_certificate_look(int netns_fd, const struct hbk_address *to,
                                struct hbk_certificate_seen *out_seen, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    hbk_status status = connect_from(netns_fd, to, &fd);
    if (status != HBK_OK) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        return hbk_error_set(error, status, "cannot reach %s: %s", hbk_address_text(to, text),
                             hbk_status_text(status));
    }
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context == NULL ? NULL : SSL_new(context);
    status = shake_hands(ssl, fd, out_seen, error);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return status;
}
