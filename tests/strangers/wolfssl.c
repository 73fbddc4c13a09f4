/*
 * build/tests/wolfssl-tls: wolfSSL as a stranger for tests/e2e/test_tls_strangers.py.
 *
 *     wolfssl-tls server PORT CERT KEY CA|- GROUP|- ALPN|-   a CA makes it ask for a certificate
 *     wolfssl-tls client PORT CA NAME CERT|- KEY|- COUNT ALPN|-   COUNT connections, resuming
 *
 * A server writes "listening" and echoes; a client sends a line and awaits it.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAIT_S = 10 };

static void check(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "wolfssl-tls: %s failed\n", what);
        exit(1);
    }
}

static void check_call(WOLFSSL *session, int result, const char *what)
{
    char text[WOLFSSL_MAX_ERROR_SZ];
    if (result <= 0) {
        int error = wolfSSL_get_error(session, result);
        fprintf(stderr, "wolfssl-tls: %s: %s\n", what,
                wolfSSL_ERR_error_string((unsigned long)error, text));
        exit(1);
    }
}

static bool is_given(const char *argument)
{
    return strcmp(argument, "-") != 0;
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port)),
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void limit_wait(int socket)
{
    const struct timeval wait = {.tv_sec = WAIT_S};
    check(setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0, "setsockopt");
}

static void present(WOLFSSL_CTX *context, const char *chain, const char *key)
{
    check(wolfSSL_CTX_use_certificate_chain_file(context, chain) == WOLFSSL_SUCCESS, chain);
    check(wolfSSL_CTX_use_PrivateKey_file(context, key, WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS,
          key);
}

static void echo(WOLFSSL *session)
{
    char bytes[4096];
    int result = wolfSSL_accept(session);
    if (result != WOLFSSL_SUCCESS) {
        char text[WOLFSSL_MAX_ERROR_SZ];
        int error = wolfSSL_get_error(session, result);
        printf("failed: %s\n", wolfSSL_ERR_error_string((unsigned long)error, text));
        return;
    }
    for (int size = wolfSSL_read(session, bytes, sizeof bytes); size > 0;
         size = wolfSSL_read(session, bytes, sizeof bytes)) {
        check_call(session, wolfSSL_write(session, bytes, size), "write");
    }
    (void)wolfSSL_shutdown(session);
}

static int group_number(const char *name)
{
    return strcmp(name, "X25519") == 0  ? WOLFSSL_ECC_X25519
           : strcmp(name, "P-384") == 0 ? WOLFSSL_ECC_SECP384R1
                                        : WOLFSSL_ECC_SECP256R1;
}

static void set_protocol(WOLFSSL *session, char *protocol)
{
    if (is_given(protocol)) {
        check(wolfSSL_UseALPN(session, protocol, (unsigned)strlen(protocol),
                              WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS,
              "ALPN");
    }
}

static void serve(char **arguments)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfTLSv1_3_server_method());
    struct sockaddr_in address = loopback(arguments[0]);
    int one = 1;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    check(context != NULL, "context");
    present(context, arguments[1], arguments[2]);
    if (is_given(arguments[3])) {
        check(wolfSSL_CTX_load_verify_locations(context, arguments[3], NULL) == WOLFSSL_SUCCESS,
              arguments[3]);
        wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                               NULL);
    }
    if (is_given(arguments[4])) {
        int group = group_number(arguments[4]);
        check(wolfSSL_CTX_set_groups(context, &group, 1) == WOLFSSL_SUCCESS, "groups");
    }
    check(setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(listening, (struct sockaddr *)&address, sizeof address) == 0 &&
              listen(listening, 8) == 0,
          "listen");
    puts("listening");
    for (;;) {
        (void)fflush(stdout);
        int accepted = accept(listening, NULL, NULL);
        check(accepted >= 0, "accept");
        limit_wait(accepted);
        WOLFSSL *session = wolfSSL_new(context);
        check(session != NULL && wolfSSL_set_fd(session, accepted) == WOLFSSL_SUCCESS, "session");
        set_protocol(session, arguments[5]);
        echo(session);
        wolfSSL_free(session);
        (void)close(accepted);
    }
}

static void exchange(WOLFSSL *session)
{
    static const char line[] = "hello from wolfSSL\n";
    char bytes[sizeof line];
    size_t received = 0;
    check_call(session, wolfSSL_write(session, line, sizeof line - 1), "write");
    while (received < sizeof line - 1) {
        int size = wolfSSL_read(session, bytes + received, (int)(sizeof line - 1 - received));
        check_call(session, size, "read");
        received += (size_t)size;
    }
    check(memcmp(bytes, line, sizeof line - 1) == 0, "echo");
}

/* Returns the session to resume with. */
static WOLFSSL_SESSION *shake(WOLFSSL_CTX *context, char **arguments, WOLFSSL_SESSION *known)
{
    struct sockaddr_in address = loopback(arguments[0]);
    int connected = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(connected, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    limit_wait(connected);
    WOLFSSL *session = wolfSSL_new(context);
    check(session != NULL && wolfSSL_set_fd(session, connected) == WOLFSSL_SUCCESS, "session");
    check(wolfSSL_UseSNI(session, WOLFSSL_SNI_HOST_NAME, arguments[2],
                         (unsigned short)strlen(arguments[2])) == WOLFSSL_SUCCESS &&
              wolfSSL_check_domain_name(session, arguments[2]) == WOLFSSL_SUCCESS,
          "name");
    set_protocol(session, arguments[6]);
    if (known != NULL) {
        check(wolfSSL_set_session(session, known) == WOLFSSL_SUCCESS, "session to resume");
        wolfSSL_SESSION_free(known);
    }
    check_call(session, wolfSSL_connect(session), "handshake");
    exchange(session);
    printf("resumed %s\n", wolfSSL_session_reused(session) != 0 ? "true" : "false");
    WOLFSSL_SESSION *next = wolfSSL_get1_session(session);
    (void)wolfSSL_shutdown(session);
    wolfSSL_free(session);
    (void)close(connected);
    return next;
}

static void dial(char **arguments)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    WOLFSSL_SESSION *known = NULL;
    check(context != NULL &&
              wolfSSL_CTX_load_verify_locations(context, arguments[1], NULL) == WOLFSSL_SUCCESS,
          arguments[1]);
    if (is_given(arguments[3])) {
        present(context, arguments[3], arguments[4]);
    }
    for (int i = 0; i < atoi(arguments[5]); i++) {
        known = shake(context, arguments, known);
    }
    wolfSSL_SESSION_free(known);
    wolfSSL_CTX_free(context);
}

int main(int argc, char **argv)
{
    check(wolfSSL_Init() == WOLFSSL_SUCCESS, "wolfSSL");
    if (argc == 8 && strcmp(argv[1], "server") == 0) {
        serve(argv + 2);
    } else if (argc == 9 && strcmp(argv[1], "client") == 0) {
        dial(argv + 2);
    } else {
        check(false, "the command line (see wolfssl.c)");
    }
    return 0;
}
