/* SPDX-License-Identifier: Apache-2.0 */
#include "node/probe.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_MAX = 4096, /* of an HTTP answer: more than its first line is not needed */
};

void probe_release(struct probe *probe)
{
    free(probe->netns);
    free(probe->address);
    free(probe->path);
    free(probe->host);
    free(probe->service);
    *probe = (struct probe){0};
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* A socket belongs to the namespace in which it was made. This thread comes back to its own. */
static int make_socket(const char *netns, struct err *err)
{
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    if (!netns) {
        int fd = socket(AF_INET, type, 0);
        return fd < 0 ? err_set(err, ERR_IO, "socket: %s", strerror(errno)) : fd;
    }
    cleanup_close int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int other = open(netns, O_RDONLY | O_CLOEXEC);
    if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) < 0)
        return err_set(err, ERR_UNAVAILABLE, "its network namespace: %s", strerror(errno));
    int fd = socket(AF_INET, type, 0);
    int failed = errno;
    check(setns(own, CLONE_NEWNET) == 0); /* nothing else may run in there */
    return fd < 0 ? err_set(err, ERR_IO, "socket: %s", strerror(failed)) : fd;
}

/* Wait until @fd is ready for @events. */
static int await(int fd, short events, int64_t until_ms, struct err *err)
{
    for (;;) {
        int64_t left = until_ms - clock_boot_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = left > 0 ? poll(&p, 1, left < 60000 ? (int)left : 60000) : 0;
        if (n > 0)
            return 0;
        if (n == 0 && clock_boot_ms() >= until_ms)
            return err_set(err, ERR_TIMEOUT, "no answer in time");
        if (n < 0 && errno != EINTR)
            return err_set(err, ERR_IO, "poll: %s", strerror(errno));
    }
}

static int dial(const struct probe *p, int64_t until_ms, struct err *err)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port)};
    if (inet_pton(AF_INET, p->address, &to.sin_addr) != 1)
        return err_set(err, ERR_INVALID, "'%.60s' is no address", p->address);
    int fd = make_socket(p->netns, err);
    if (fd < 0)
        return err->code;
    int failed = 0;
    socklen_t len = sizeof(failed);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        failed = errno;
    if (failed == EINPROGRESS) {
        if (await(fd, POLLOUT, until_ms, err) < 0) {
            close(fd);
            return err->code;
        }
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len);
    }
    if (failed == 0)
        return fd;
    close(fd);
    return err_set(err, ERR_FAILED, "port %d: %s", (int)p->port, strerror(failed));
}

static int write_all(int fd, const char *data, size_t len, int64_t until_ms, struct err *err)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (await(fd, POLLOUT, until_ms, err) < 0)
                return err->code;
        } else {
            return err_set(err, ERR_FAILED, "it hung up: %s", strerror(errno));
        }
    }
    return 0;
}

/* Bytes read, 0 at the end. */
static ssize_t read_some(int fd, void *data, size_t size, int64_t until_ms, struct err *err)
{
    for (;;) {
        ssize_t n = recv(fd, data, size, 0);
        if (n >= 0)
            return n;
        if (errno != EAGAIN && errno != EINTR)
            return err_set(err, ERR_FAILED, "it hung up: %s", strerror(errno));
        if (await(fd, POLLIN, until_ms, err) < 0)
            return err->code;
    }
}

/* --- HTTP ------------------------------------------------------------------------------------- */

int probe_http_status(const char *head, size_t len)
{
    static const char protocol[] = "HTTP/1.";
    size_t known = len < sizeof(protocol) - 1 ? len : sizeof(protocol) - 1;
    const char *end = memchr(head, '\n', len);
    if (memcmp(head, protocol, known) != 0)
        return -1;
    if (!end)
        return len >= HEAD_MAX ? -1 : 0;
    /* "HTTP/1.1 200" */
    if (end - head < 12 || head[8] != ' ')
        return -1;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9')
            return -1;
        status = 10 * status + (head[i] - '0');
    }
    return status < 100 ? -1 : status;
}

static int probe_http(const struct probe *p, int fd, int64_t until_ms, struct err *err)
{
    cleanup_buf struct buf request = BUF_INIT;
    char head[HEAD_MAX];
    size_t len = 0;
    const char *path = *str_or_empty(p->path) ? p->path : "/";
    buf_printf(&request, "GET %s HTTP/1.1\r\nHost: ", path);
    if (*str_or_empty(p->host))
        buf_puts(&request, p->host);
    else
        buf_printf(&request, "%s:%d", p->address, (int)p->port);
    buf_puts(&request, "\r\nUser-Agent: wherry-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    if (write_all(fd, request.data, request.len, until_ms, err) < 0)
        return err->code;
    for (;;) {
        ssize_t n = read_some(fd, head + len, sizeof(head) - len, until_ms, err);
        if (n < 0)
            return err->code;
        len += (size_t)n;
        int status = probe_http_status(head, len);
        if (status >= 200 && status < 400)
            return 0;
        if (status > 0)
            return err_set(err, ERR_FAILED, "GET %.80s: answered %d", path, status);
        if (status < 0 || n == 0)
            return err_set(err, ERR_FAILED, "GET %.80s: answered what is not HTTP", path);
    }
}

/* --- gRPC ------------------------------------------------------------------------------------- */

static int acknowledge(int fd, struct grpc_answer *a, int64_t until_ms, struct err *err)
{
    static const char settings[] = "\0\0\0\4\1\0\0\0\0";
    char ping[17] = "\0\0\10\6\1\0\0\0\0";
    int rv = 0;
    if (a->ack_settings)
        rv = write_all(fd, settings, 9, until_ms, err);
    if (rv == 0 && a->ack_ping) {
        memcpy(ping + 9, a->ping, sizeof(a->ping));
        rv = write_all(fd, ping, sizeof(ping), until_ms, err);
    }
    a->ack_settings = a->ack_ping = false;
    return rv;
}

static int probe_grpc(const struct probe *p, int fd, int64_t until_ms, struct err *err)
{
    cleanup_buf struct buf request = BUF_INIT;
    cleanup_free struct grpc_answer *answer = mem_alloc(1, sizeof(*answer));
    char data[4096];
    cleanup_free char *host = str_printf("%s:%d", p->address, (int)p->port);
    grpc_request(host, str_or_empty(p->service), &request);
    int rv = write_all(fd, request.data, request.len, until_ms, err);
    while (rv == 0) {
        ssize_t n = read_some(fd, data, sizeof(data), until_ms, err);
        if (n < 0)
            return err->code;
        if (n == 0)
            return err_set(err, ERR_FAILED, "gRPC: it hung up without an answer");
        rv = grpc_take(answer, data, (size_t)n, err);
        if (rv == 0)
            rv = acknowledge(fd, answer, until_ms, err);
    }
    return rv < 0 ? rv : 0;
}

int probe_run(const struct probe *p, int64_t timeout_ms, struct err *err)
{
    int64_t until_ms = clock_boot_ms() + timeout_ms;
    cleanup_close int fd = dial(p, until_ms, err);
    if (fd < 0)
        return err->code;
    switch (p->kind) {
    case PROBE_HTTP:
        return probe_http(p, fd, until_ms, err);
    case PROBE_GRPC:
        return probe_grpc(p, fd, until_ms, err);
    case PROBE_TCP:
    case PROBE_COMMAND:
        break;
    }
    return 0;
}
