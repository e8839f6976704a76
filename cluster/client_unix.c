/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/client_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct client_unix {
    char *path;
    int fd; /* -1: broken, connected anew by the next exchange */
};

enum {
    RETRY_MS = 10, /* while the daemon's backlog is full */
    READ_BYTES = 64 << 10,
};

static int explain(int errnum, const char *path, struct err *err)
{
    if (errnum == ENOENT || errnum == ECONNREFUSED)
        return err_set(
            err, ERR_UNAVAILABLE,
            "no daemon listens on %s; start one with 'wherry node', or name another with "
            "-H",
            path);
    if (errnum == EACCES || errnum == EPERM)
        return err_set(err, ERR_DENIED, "%s: permission denied; be root or in the group wherry",
                       path);
    return err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", path, strerror(errnum));
}

static int connect_to(struct client_unix *u, struct err *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (!str_fill(sa.sun_path, sizeof(sa.sun_path), u->path))
        return err_set(err, ERR_INVALID, "the socket's path %s is too long: at most %zu bytes",
                       u->path, sizeof(sa.sun_path) - 1);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "make a socket");
    int64_t deadline_ms = clock_boot_ms() + CONNECT_MS;
    while (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN || clock_boot_ms() >= deadline_ms)
            return explain(errno, u->path, err);
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
    }
    u->fd = steal_fd(&fd);
    return 0;
}

int client_unix_open(const char *path, struct client_unix **ret, struct err *err)
{
    struct client_unix *u = mem_alloc(1, sizeof(*u));
    u->path = str_copy(path);
    u->fd = -1;
    int rv = connect_to(u, err);
    if (rv < 0) {
        client_unix_close(u);
        return rv;
    }
    *ret = u;
    return 0;
}

void client_unix_close(struct client_unix *u)
{
    if (u->fd >= 0)
        close(u->fd);
    free(u->path);
    free(u);
}

/* Send all of @frame. @ret_sent: how much went out, also on failure. 0, -errno or ERR_TIMEOUT. */
static int send_all(int fd, const struct buf *frame, int64_t deadline_ms, size_t *ret_sent)
{
    *ret_sent = 0;
    while (*ret_sent < frame->len) {
        ssize_t n = send(fd, frame->data + *ret_sent, frame->len - *ret_sent, MSG_NOSIGNAL);
        if (n >= 0) {
            *ret_sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (client_wait(fd, POLLOUT, deadline_ms) < 0)
                return -ETIMEDOUT;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* Read one frame into @ret without its header. 0, or -errno; -EPIPE when the daemon hung up. */
static int receive_frame(int fd, int64_t deadline_ms, struct buf *ret)
{
    cleanup_buf struct buf in = BUF_INIT;
    for (;;) {
        if (in.len >= WIRE_HEADER) {
            size_t len = wire_frame_len(in.data);
            if (len > WIRE_MESSAGE_MAX)
                return -EMSGSIZE;
            if (in.len >= WIRE_HEADER + len) {
                buf_append(ret, in.data + WIRE_HEADER, len);
                return 0;
            }
        }
        char *to = buf_reserve(&in, READ_BYTES);
        ssize_t n = recv(fd, to, READ_BYTES, 0);
        if (n > 0) {
            in.len += (size_t)n;
        } else if (n == 0) {
            return -EPIPE;
        } else if (errno == EAGAIN) {
            if (client_wait(fd, POLLIN, deadline_ms) < 0)
                return -ETIMEDOUT;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/* Forget a connection the daemon closed while nothing was asked: it was idle for long, or the
 * daemon was restarted. */
static void drop_if_closed(struct client_unix *u)
{
    char c;
    if (u->fd < 0)
        return;
    ssize_t n = recv(u->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EAGAIN))
        return;
    close(u->fd);
    u->fd = -1;
}

int client_unix_exchange(struct client_unix *u, const struct call *call, int64_t deadline_ms,
                         struct buf *ret_reply, struct err *err)
{
    drop_if_closed(u);
    if (u->fd < 0) {
        int rv = connect_to(u, err);
        if (rv < 0)
            return rv;
    }
    cleanup_buf struct buf frame = BUF_INIT;
    if (wire_put_frame(&call_type, call, &frame) > WIRE_MESSAGE_MAX)
        return err_set(err, ERR_TOOBIG, "the request has more than 4 MiB");
    size_t sent;
    int rv = send_all(u->fd, &frame, deadline_ms, &sent);
    bool all_sent = rv == 0;
    /* When sending broke off, the daemon may have said why before it hung up. */
    if (rv == 0 || rv == -EPIPE || rv == -ECONNRESET) {
        int got = receive_frame(u->fd, deadline_ms, ret_reply);
        rv = got < 0 && rv < 0 ? rv : got;
    }
    if (rv == 0)
        return 0;
    close(u->fd);
    u->fd = -1;
    buf_reset(ret_reply);
    /* A call that was cut short is not carried out. */
    if (!all_sent)
        return err_set(err, ERR_UNAVAILABLE, "the daemon on %s did not take the call: %s", u->path,
                       strerror(-rv));
    if (rv == -ETIMEDOUT)
        return err_set(err, ERR_UNKNOWN,
                       "no answer from %s in time; what was asked may be done yet", u->path);
    return err_set(err, ERR_UNKNOWN,
                   "the daemon on %s went away before it answered; what was asked may be done or "
                   "not",
                   u->path);
}
