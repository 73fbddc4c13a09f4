/* libssl reads and writes the caller's spans: what does not fit is asked for again. */
#include <pthread.h>
#include <string.h>

#include "tls/openssl.h"

static int span_read(BIO *bio, char *to, int size)
{
    struct hbk_openssl_handshake *handshake = BIO_get_data(bio);
    size_t left = handshake->input.size - handshake->consumed;
    BIO_clear_retry_flags(bio);
    if (left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t taken = (size_t)size < left ? (size_t)size : left;
    memcpy(to, handshake->input.bytes + handshake->consumed, taken);
    handshake->consumed += taken;
    return (int)taken;
}

/* What libssl says while nobody asks it to write: an alert, or the answer to a key update. */
static int keep_pending(struct hbk_openssl_handshake *handshake, BIO *bio, const char *from,
                        size_t size)
{
    if (size > sizeof handshake->pending - handshake->pending_bytes) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(handshake->pending + handshake->pending_bytes, from, size);
    handshake->pending_bytes += size;
    return (int)size;
}

static int span_write(BIO *bio, const char *from, int size)
{
    struct hbk_openssl_handshake *handshake = BIO_get_data(bio);
    size_t room = handshake->output.size - handshake->written;
    BIO_clear_retry_flags(bio);
    if (handshake->keeps && handshake->output.bytes == NULL) {
        return keep_pending(handshake, bio, from, (size_t)size);
    }
    if (room == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    size_t taken = (size_t)size < room ? (size_t)size : room;
    memcpy(handshake->output.bytes + handshake->written, from, taken);
    handshake->written += taken;
    return (int)taken;
}

static long span_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *hbk_openssl_bio_method(const char *name, int (*read)(BIO *bio, char *to, int size),
                                   int (*write)(BIO *bio, const char *from, int size))
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, name);
    if (method != NULL && BIO_meth_set_read(method, read) == 1 &&
        BIO_meth_set_write(method, write) == 1 && BIO_meth_set_ctrl(method, span_control) == 1) {
        return method;
    }
    BIO_meth_free(method);
    return NULL;
}

BIO *hbk_openssl_bio_of(const BIO_METHOD *method, void *data)
{
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio != NULL) {
        BIO_set_data(bio, data);
        BIO_set_init(bio, 1);
    }
    return bio;
}

static BIO_METHOD *span_method; /* made once */
static pthread_once_t span_once = PTHREAD_ONCE_INIT;

static void make_span_method(void)
{
    span_method = hbk_openssl_bio_method("hauberk span", span_read, span_write);
}

BIO *hbk_openssl_bio_new(struct hbk_openssl_handshake *handshake)
{
    pthread_once(&span_once, make_span_method);
    return hbk_openssl_bio_of(span_method, handshake);
}
