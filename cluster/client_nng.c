/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/client_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/address.h"
#include "cluster/tls.h"

#include <errno.h>
#include <netdb.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char default_port[] = "7401";

enum {
    CLOSE_S = 2,
};

struct client_nng {
    char *address; /* for messages */
    nng_socket socket;
};

/* --- the cluster's CA, from the server's handshake ----------------------------------------- */

/* A connected, non-blocking socket, or -errno. */
static int connect_one(const struct addrinfo *to, int64_t deadline_ms)
{
    cleanup_close int fd =
        socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    if (fd < 0)
        return -errno;
    if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return -errno;
        if (client_wait(fd, POLLOUT, deadline_ms) < 0)
            return -ETIMEDOUT;
        int failed = 0;
        socklen_t len = sizeof(failed);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0)
            return -errno;
        if (failed)
            return -failed;
    }
    return steal_fd(&fd);
}

static int connect_to(const struct address *address, int64_t deadline_ms, int *ret_fd,
                      struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int rv = getaddrinfo(address->host, address->port, &hints, &found);
    if (rv != 0)
        return err_set(err, ERR_UNAVAILABLE, "cannot find %s: %s", address->host, gai_strerror(rv));
    int fd = -EHOSTUNREACH;
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
        fd = connect_one(a, deadline_ms);
    freeaddrinfo(found);
    if (fd < 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "no member answers at %s port %s: %s; is the daemon running, and the port "
                       "open?",
                       address->host, address->port, strerror(-fd));
    *ret_fd = fd;
    return 0;
}

static int send_out(int fd, struct buf *out, int64_t deadline_ms, struct err *err)
{
    for (size_t sent = 0; sent < out->len;) {
        ssize_t n = send(fd, out->data + sent, out->len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN && client_wait(fd, POLLOUT, deadline_ms) < 0)
            return err_set(err, ERR_TIMEOUT, "it does not answer");
        else if (errno != EAGAIN && errno != EINTR)
            return err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
    }
    buf_reset(out);
    return 0;
}

/* Shake hands over @fd until the server's certificate was checked. */
static int shake_hands(int fd, struct tls *tls, int64_t deadline_ms, struct err *err)
{
    char in[16384];
    int rv;
    while ((rv = tls_handshake(tls, err)) == 0) {
        rv = send_out(fd, tls_out(tls), deadline_ms, err);
        if (rv < 0)
            return rv;
        if (client_wait(fd, POLLIN, deadline_ms) < 0)
            return err_set(err, ERR_TIMEOUT, "it does not answer");
        ssize_t n = recv(fd, in, sizeof(in), 0);
        if (n == 0)
            return err_set(err, ERR_UNAVAILABLE, "it hung up");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_set(err, ERR_UNAVAILABLE, "%s", strerror(errno));
        if (n > 0)
            tls_feed(tls, in, (size_t)n);
    }
    return rv < 0 ? rv : 0;
}

/* The CA certificate of the member at @address, if it has @ca_hash. */
static int fetch_ca(const struct address *address, const unsigned char ca_hash[32], char **ret_pem,
                    struct err *err)
{
    int64_t deadline_ms = clock_boot_ms() + CONNECT_MS;
    cleanup_close int fd = -1;
    int rv = connect_to(address, deadline_ms, &fd, err);
    if (rv < 0)
        return rv;
    struct tls_context *context;
    rv = tls_context_new(NULL, &context, err);
    if (rv < 0)
        return rv;
    struct tls *tls = tls_new(context, false);
    tls_context_free(context);
    tls_expect_ca(tls, ca_hash);
    rv = shake_hands(fd, tls, deadline_ms, err);
    if (rv == 0)
        *ret_pem = str_copy(tls_ca_cert(tls));
    tls_free(tls);
    return rv < 0 ? err_wrap(err, "%s port %s", address->host, address->port) : 0;
}

/* --- nng ----------------------------------------------------------------------------------- */

static int dial(nng_socket socket, const char *url, const char *ca_pem)
{
    nng_tls_config *config;
    int rv = nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT);
    if (rv != 0)
        return rv;
    nng_dialer dialer;
    rv = nng_tls_config_ca_chain(config, ca_pem, NULL);
    if (rv == 0)
        rv = nng_tls_config_server_name(config, "wherry");
    if (rv == 0)
        rv = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rv == 0)
        rv = nng_dialer_create(&dialer, socket, url);
    if (rv == 0)
        rv = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config);
    if (rv == 0)
        rv = nng_dialer_start(dialer, 0);
    nng_tls_config_free(config);
    return rv;
}

static int open_socket(nng_socket *socket)
{
    int rv = nng_req0_open(socket);
    if (rv != 0)
        return rv;
    /* A call is sent once: whether to ask again is the caller's to decide. */
    rv = nng_socket_set_ms(*socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rv == 0)
        rv = nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, WIRE_MESSAGE_MAX);
    return rv;
}

/* One attempt. *@ret_distrusted: the certificate was not that of the CA that was found before. */
static int open_once(const char *address, const struct address *split,
                     const unsigned char ca_hash[32], struct client_nng **ret, bool *ret_distrusted,
                     struct err *err)
{
    cleanup_free char *ca_pem = NULL;
    *ret_distrusted = false;
    int rv = fetch_ca(split, ca_hash, &ca_pem, err);
    if (rv < 0)
        return rv;
    bool v6 = strchr(split->host, ':') != NULL;
    cleanup_free char *url =
        str_printf("tls+tcp://%s%s%s:%s", v6 ? "[" : "", split->host, v6 ? "]" : "", split->port);
    struct client_nng *n = mem_alloc(1, sizeof(*n));
    n->address = str_copy(address);
    rv = open_socket(&n->socket);
    if (rv == 0)
        rv = dial(n->socket, url, ca_pem);
    if (rv != 0) {
        *ret_distrusted = rv == NNG_EPEERAUTH || rv == NNG_ECRYPTO;
        err_set(err, ERR_UNAVAILABLE, "cannot call %s: %s%s", address, nng_strerror(rv),
                *ret_distrusted
                    ? "; is that the port for calls (7401), and is this machine's clock right?"
                    : "");
        client_nng_close(n);
        return ERR_UNAVAILABLE;
    }
    *ret = n;
    return 0;
}

int client_nng_open(const char *address, const unsigned char ca_hash[32], struct client_nng **ret,
                    struct err *err)
{
    struct address split;
    bool distrusted;
    int rv = address_split(address, default_port, &split, err);
    if (rv < 0)
        return rv;
    rv = open_once(address, &split, ca_hash, ret, &distrusted, err);
    /* The CA may have been changed between its two connections. */
    if (rv < 0 && distrusted)
        rv = open_once(address, &split, ca_hash, ret, &distrusted, err);
    return rv;
}

/* nng 1.5.2 may never come back from closing a socket whose connection broke while it was dialled
 * anew: its thread that frees connections waits for a handshake that nobody goes on with. So it is
 * closed on a thread of its own, which is left behind when it takes too long. */
struct closing {
    nng_socket socket;
    atomic_int users; /* the last one frees it */
    sem_t closed;
};

static void closing_unref(struct closing *c)
{
    if (atomic_fetch_sub(&c->users, 1) > 1)
        return;
    sem_destroy(&c->closed);
    free(c);
}

static void *close_socket(void *arg)
{
    struct closing *c = arg;
    nng_close(c->socket);
    sem_post(&c->closed);
    closing_unref(c);
    return NULL;
}

static void close_in_time(nng_socket socket)
{
    struct closing *c = mem_alloc(1, sizeof(*c));
    struct timespec until;
    pthread_t thread;
    c->socket = socket;
    atomic_init(&c->users, 2);
    check(sem_init(&c->closed, 0, 0) == 0);
    check(pthread_create(&thread, NULL, close_socket, c) == 0);
    pthread_detach(thread);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_S;
    while (sem_timedwait(&c->closed, &until) < 0 && errno == EINTR) {
    }
    closing_unref(c);
}

void client_nng_close(struct client_nng *n)
{
    close_in_time(n->socket);
    free(n->address);
    free(n);
}

static nng_duration time_left(int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_boot_ms();
    if (left < 1)
        return 1;
    return left > 1 << 30 ? 1 << 30 : (nng_duration)left;
}

static int send_call(struct client_nng *n, const struct call *call, int64_t deadline_ms)
{
    cleanup_buf struct buf out = BUF_INIT;
    record_encode(&call_type, call, &out);
    if (out.len > WIRE_MESSAGE_MAX)
        return NNG_EMSGSIZE;
    nng_msg *msg;
    int rv = nng_msg_alloc(&msg, 0);
    if (rv != 0)
        return rv;
    rv = nng_msg_append(msg, out.data, out.len);
    if (rv == 0)
        rv = nng_socket_set_ms(n->socket, NNG_OPT_SENDTIMEO, time_left(deadline_ms));
    if (rv == 0)
        rv = nng_sendmsg(n->socket, msg, 0);
    if (rv != 0)
        nng_msg_free(msg);
    return rv;
}

int client_nng_exchange(struct client_nng *n, const struct call *call, int64_t deadline_ms,
                        struct buf *ret_reply, struct err *err)
{
    int rv = send_call(n, call, deadline_ms);
    if (rv == NNG_EMSGSIZE)
        return err_set(err, ERR_TOOBIG, "the request has more than 4 MiB");
    if (rv != 0)
        return err_set(err, ERR_UNAVAILABLE, "%s did not take the call: %s", n->address,
                       nng_strerror(rv));
    nng_msg *msg;
    rv = nng_socket_set_ms(n->socket, NNG_OPT_RECVTIMEO, time_left(deadline_ms));
    if (rv == 0)
        rv = nng_recvmsg(n->socket, &msg, 0);
    if (rv == NNG_ETIMEDOUT)
        return err_set(err, ERR_UNKNOWN,
                       "no answer from %s in time; what was asked may be done yet", n->address);
    if (rv != 0)
        return err_set(err, ERR_UNKNOWN,
                       "the connection to %s broke before it answered (%s); what was asked may be "
                       "done or not",
                       n->address, nng_strerror(rv));
    buf_append(ret_reply, nng_msg_body(msg), nng_msg_len(msg));
    nng_msg_free(msg);
    return 0;
}
