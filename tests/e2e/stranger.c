/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stranger - what somebody without credentials may try at a member's ports.
 *
 *     stranger flood ADDRESS PORT SECONDS    hundreds of connections: silent ones, garbage, halves
 *                                            of handshakes, a byte now and then, resets
 *     stranger udp ADDRESS PORT N            datagrams of garbage
 *     stranger member ADDRESS PORT CLUSTER ID TO DIR
 *                                            a member of that id, with a key that nobody pinned
 *     stranger speak ADDRESS PORT TEXT       a connection that says TEXT in TLS
 *
 * "flood" prints how many connections it made. "member" and "speak" print "refused" when the
 * connection was closed without a byte of an answer, else what came.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/bus_internal.h"
#include "cluster/identity.h"
#include "cluster/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FLOOD_CONNECTIONS = 300,
    DRIP_MS = 300,
    RESET_MS = 50,
    ANSWER_MS = 30000,
};

/* The beginning of a ClientHello of 2,991 bytes. */
static const unsigned char hello[] = {0x16, 0x03, 0x01, 0x0b, 0xb3, 0x01, 0x00, 0x0b, 0xaf, 0x03,
                                      0x03, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99};

static struct sockaddr_in address_of(const char *host, const char *port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &sa.sin_addr) != 1) {
        fprintf(stderr, "%s is not an address\n", host);
        exit(2);
    }
    return sa;
}

/* --- a flood -----------------------------------------------------------------------------------
 */

enum way {
    SILENT,
    GARBAGE,
    HALF,
    DRIP,
    RESET,
    WAYS
};

struct connection {
    int fd; /* -1: to be made */
    enum way way;
    size_t sent;
    int64_t next_ms;
};

static void begin(struct connection *c, const struct sockaddr_in *sa, int64_t now)
{
    unsigned char junk[2000];
    unsigned char way;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    random_bytes(&way, sizeof(way));
    c->way = (enum way)(way % WAYS);
    c->sent = 0;
    c->next_ms = now + (c->way == RESET ? RESET_MS : DRIP_MS);
    if (c->fd < 0 ||
        (connect(c->fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 && errno != EINPROGRESS)) {
        if (c->fd >= 0)
            close(c->fd);
        c->fd = -1;
        return;
    }
    random_bytes(junk, sizeof(junk));
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};
    if ((c->way == GARBAGE || c->way == HALF) && poll(&p, 1, 20) == 1)
        (void)!send(c->fd, c->way == HALF ? hello : junk,
                    c->way == HALF ? sizeof(hello) : sizeof(junk), MSG_NOSIGNAL);
}

static void step(struct connection *c, int64_t now)
{
    char in[4096];
    ssize_t n = recv(c->fd, in, sizeof(in), 0);
    bool over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN);
    if (!over && now >= c->next_ms && c->way == DRIP) {
        over = send(c->fd, hello + c->sent % sizeof(hello), 1, MSG_NOSIGNAL) < 0 &&
               errno != EAGAIN && errno != ENOTCONN;
        c->sent++;
        c->next_ms = now + DRIP_MS;
    } else if (!over && now >= c->next_ms && c->way == RESET) {
        struct linger reset = {.l_onoff = 1};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        over = true;
    }
    if (!over)
        return;
    close(c->fd);
    c->fd = -1;
}

static int flood(const struct sockaddr_in *sa, int seconds)
{
    static struct connection all[FLOOD_CONNECTIONS];
    int64_t end = clock_boot_ms() + seconds * INT64_C(1000);
    long made = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        all[i].fd = -1;
    while (clock_boot_ms() < end) {
        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
            int64_t now = clock_boot_ms();
            if (all[i].fd < 0) {
                begin(&all[i], sa, now);
                made++;
            } else {
                step(&all[i], now);
            }
        }
        poll(NULL, 0, 20);
    }
    printf("%ld\n", made);
    return 0;
}

static int datagrams(const struct sockaddr_in *sa, int n)
{
    unsigned char junk[1400];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < n; i++) {
        random_bytes(junk, sizeof(junk));
        size_t len = (size_t)junk[0] * 5 + 1;
        (void)!sendto(fd, junk + 1, len < sizeof(junk) ? len : sizeof(junk) - 1, 0,
                      (const struct sockaddr *)sa, sizeof(*sa));
    }
    close(fd);
    return 0;
}

/* --- in TLS ------------------------------------------------------------------------------------
 */

static int send_all(int fd, struct buf *out)
{
    for (size_t at = 0; at < out->len;) {
        ssize_t n = send(fd, out->data + at, out->len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    buf_reset(out);
    return 0;
}

/* Feed what comes next. False: it was closed, or nothing came in time. */
static bool receive(int fd, struct tls *tls, char in[16384])
{
    ssize_t n = recv(fd, in, 16384, 0);
    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            printf("still open\n");
        return false;
    }
    tls_feed(tls, in, (size_t)n);
    return true;
}

/* Say @text once the handshake is done, and report what comes. */
static int speak(const struct sockaddr_in *sa, struct tls_context *context, const void *text,
                 size_t len)
{
    char in[16384];
    char answer[TLS_RECORD_MAX];
    struct err err;
    struct timeval limit = {.tv_sec = ANSWER_MS / 1000};
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0) {
        printf("no connection: %s\n", strerror(errno));
        return 1;
    }
    struct tls *tls = tls_new(context, false);
    int rv;
    bool open = true;
    while (open && (rv = tls_handshake(tls, &err)) == 0)
        open = send_all(fd, tls_out(tls)) == 0 && receive(fd, tls, in);
    if (open && rv == 1 && tls_write(tls, text, len) == 0)
        open = send_all(fd, tls_out(tls)) == 0;
    size_t came = 0;
    while (open) {
        int n = tls_read(tls, answer, sizeof(answer));
        if (n > 0)
            came += (size_t)n;
        else if (n < 0)
            break;
        else
            open = receive(fd, tls, in);
    }
    if (came > 0)
        printf("%zu bytes of an answer\n", came);
    else
        printf("refused\n");
    tls_free(tls);
    return 0;
}

/* As bus_peer.c says it. */
struct hello_record {
    int64_t version;
    char *cluster;
    int64_t from;
    int64_t to;
    int64_t channel;
    int64_t incarnation;
};
static const struct field hello_fields[] = {
    FIELD_INT(struct hello_record, version), FIELD_STRING(struct hello_record, cluster),
    FIELD_INT(struct hello_record, from),    FIELD_INT(struct hello_record, to),
    FIELD_INT(struct hello_record, channel), FIELD_INT(struct hello_record, incarnation),
};
static const struct record_type hello_type =
    RECORD_TYPE("hello", struct hello_record, hello_fields);

static int as_member(const struct sockaddr_in *sa, char *cluster, int64_t id, int64_t to,
                     const char *dir)
{
    struct identity *identity;
    struct tls_context *context;
    struct err err;
    if (identity_open(dir, &identity, &err) < 0 || tls_context_new(identity, &context, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    struct hello_record claim = {
        .version = 1, .cluster = cluster, .from = id, .to = to, .incarnation = 4711};
    cleanup_buf struct buf record = BUF_INIT;
    cleanup_buf struct buf frame = BUF_INIT;
    record_encode(&hello_type, &claim, &record);
    buf_put_u32(&frame, (uint32_t)record.len);
    buf_putc(&frame, (char)FRAME_HELLO);
    buf_putc(&frame, 0);
    buf_append(&frame, record.data, record.len);
    int rv = speak(sa, context, frame.data, frame.len);
    tls_context_free(context);
    identity_free(identity);
    return rv;
}

static int as_anybody(const struct sockaddr_in *sa, const char *text)
{
    struct tls_context *context;
    struct err err;
    if (tls_context_new(NULL, &context, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    int rv = speak(sa, context, text, strlen(text));
    tls_context_free(context);
    return rv;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc >= 5) {
        struct sockaddr_in sa = address_of(argv[2], argv[3]);
        if (strcmp(argv[1], "flood") == 0)
            return flood(&sa, atoi(argv[4]));
        if (strcmp(argv[1], "udp") == 0)
            return datagrams(&sa, atoi(argv[4]));
        if (strcmp(argv[1], "speak") == 0)
            return as_anybody(&sa, argv[4]);
        if (strcmp(argv[1], "member") == 0 && argc == 8)
            return as_member(&sa, argv[4], atoll(argv[5]), atoll(argv[6]), argv[7]);
    }
    fprintf(stderr, "usage: stranger flood|udp|speak|member ADDRESS PORT ...\n");
    return 2;
}
