/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - callers that write or read as fast as they are answered, each over a connection of its
 * own.
 *
 *   load wherry SERVICE CALLERS SECONDS SOCKET...    "scale SERVICE", through the members in turn
 *   load read SERVICE CALLERS SECONDS SOCKET...      "inspect SERVICE", the same; load stale:
 * --stale load etcd CALLERS SECONDS PORT ADDRESS...        "put" through etcd's JSON gateway, the
 * same
 *
 * Prints "RATE P50 P99": calls a second, milliseconds. SERVICE should be one that can be placed
 * nowhere; a caller scales it to numbers of its own, so every write changes something.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/api.h"
#include "cluster/client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CALLERS_MAX = 256,
    SAMPLES_MAX = 1 << 20, /* of one caller */
    CALL_MS = 30000,
    WARM_UP_MS = 500,
    REPLICAS_MAX = 5000,
};

struct caller {
    pthread_t thread;
    int number;
    const char *target; /* socket path or address */
    int64_t from_ns, until_ns;
    int64_t *ns; /* of each write that began after from_ns */
    size_t n;
};

static const char *service;
static int port;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(1);
}

/* --- a member --------------------------------------------------------------------------------- */

static void *open_member(const struct caller *c)
{
    struct err err;
    struct client *client;
    cleanup_free char *target = str_printf("unix://%s", c->target);
    if (client_open(target, NULL, &client, &err) < 0)
        die(target, err.msg);
    return client;
}

static void write_member(void *connection, const struct caller *c, int64_t i)
{
    struct err err;
    struct empty reply;
    struct scale_request request = {.name = (char *)(uintptr_t)service,
                                    .replicas = 1 + (c->number + i * CALLERS_MAX) % REPLICAS_MAX};
    if (client_call(connection, "service.scale", &scale_request_type, &request, &empty_type, &reply,
                    CALL_MS, &err) < 0)
        die("scale", err.msg);
}

static void *open_stale(const struct caller *c)
{
    struct client *client = open_member(c);
    client_set_stale(client, true);
    return client;
}

static void read_member(void *connection, const struct caller *c, int64_t i)
{
    struct err err;
    struct service_info reply;
    struct name_request request = {.name = (char *)(uintptr_t)service};
    (void)c;
    (void)i;
    if (client_call(connection, "service.inspect", &name_request_type, &request, &service_info_type,
                    &reply, CALL_MS, &err) < 0)
        die("inspect", err.msg);
    record_release(&service_info_type, &reply);
}

static void close_member(void *connection)
{
    client_close(connection);
}

/* --- etcd ------------------------------------------------------------------------------------- */

static void *open_etcd(const struct caller *c)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    int *fd = mem_alloc(1, sizeof(*fd));
    if (inet_pton(AF_INET, c->target, &sa.sin_addr) != 1)
        die(c->target, "not an address");
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(*fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        die(c->target, "does not answer");
    return fd;
}

/* Read one answer: its head, then as much as the head says. */
static void read_answer(int fd)
{
    char in[4096];
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(fd, in + len, sizeof(in) - 1 - len, 0);
        if (n <= 0)
            die("etcd", "hung up");
        len += (size_t)n;
        in[len] = '\0';
        const char *body = strstr(in, "\r\n\r\n");
        const char *length = strcasestr(in, "content-length:");
        if (body && strncmp(in, "HTTP/1.1 200", 12) != 0)
            die("etcd", in);
        if (body && length && len >= (size_t)(body + 4 - in) + strtoul(length + 15, NULL, 10))
            return;
    }
}

static void write_etcd(void *connection, const struct caller *c, int64_t i)
{
    char body[512];
    char out[1024];
    /* Key "0123" and 192 bytes of value, in base 64. */
    int n = snprintf(body, sizeof(body), "{\"key\":\"MDEyMw%02x\",\"value\":\"%0256lld\"}",
                     (unsigned)c->number & 0xff, (long long)i);
    int len =
        snprintf(out, sizeof(out),
                 "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Length: %d\r\n\r\n%s", n, body);
    int fd = *(int *)connection;
    if (send(fd, out, (size_t)len, MSG_NOSIGNAL) != len)
        die("etcd", "hung up");
    read_answer(fd);
}

static void close_etcd(void *connection)
{
    close(*(int *)connection);
    free(connection);
}

/* --- the load --------------------------------------------------------------------------------- */

struct kind {
    void *(*open)(const struct caller *c);
    void (*call)(void *connection, const struct caller *c, int64_t i);
    void (*close)(void *connection);
};

static const struct kind member = {open_member, write_member, close_member};
static const struct kind reader = {open_member, read_member, close_member};
static const struct kind stale_reader = {open_stale, read_member, close_member};
static const struct kind etcd = {open_etcd, write_etcd, close_etcd};
static const struct kind *kind;

static void *run(void *arg)
{
    struct caller *c = arg;
    void *connection = kind->open(c);
    for (int64_t i = 0;; i++) {
        int64_t start = clock_mono_ns();
        if (start >= c->until_ns)
            break;
        kind->call(connection, c, i);
        if (start >= c->from_ns && c->n < SAMPLES_MAX)
            c->ns[c->n++] = clock_mono_ns() - start;
    }
    kind->close(connection);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void load(int callers, double seconds, char **targets, int targets_n)
{
    static struct caller all[CALLERS_MAX];
    if (callers < 1 || callers > CALLERS_MAX || targets_n < 1)
        die("callers", "1 to 256, and somebody to call");
    int64_t from = clock_mono_ns() + (int64_t)WARM_UP_MS * 1000000;
    int64_t until = from + (int64_t)(seconds * 1e9);
    for (int i = 0; i < callers; i++) {
        all[i] = (struct caller){.number = i,
                                 .target = targets[i % targets_n],
                                 .from_ns = from,
                                 .until_ns = until,
                                 .ns = mem_alloc(SAMPLES_MAX, sizeof(int64_t))};
        check(pthread_create(&all[i].thread, NULL, run, &all[i]) == 0);
    }
    size_t n = 0;
    for (int i = 0; i < callers; i++) {
        pthread_join(all[i].thread, NULL);
        n += all[i].n;
    }
    int64_t *ns = mem_alloc(n + 1, sizeof(*ns));
    size_t at = 0;
    for (int i = 0; i < callers; i++) {
        memcpy(ns + at, all[i].ns, all[i].n * sizeof(*ns));
        at += all[i].n;
        free(all[i].ns);
    }
    qsort(ns, n, sizeof(*ns), compare);
    printf("%.0f %.3f %.3f\n", (double)n / seconds, (double)ns[n / 2] / 1e6,
           (double)ns[n * 99 / 100] / 1e6);
    free(ns);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc > 5 && (strcmp(argv[1], "wherry") == 0 || strcmp(argv[1], "read") == 0 ||
                     strcmp(argv[1], "stale") == 0)) {
        kind = argv[1][0] == 'w' ? &member : argv[1][0] == 'r' ? &reader : &stale_reader;
        service = argv[2];
        load(atoi(argv[3]), atof(argv[4]), argv + 5, argc - 5);
    } else if (argc > 5 && strcmp(argv[1], "etcd") == 0) {
        kind = &etcd;
        port = atoi(argv[4]);
        load(atoi(argv[2]), atof(argv[3]), argv + 5, argc - 5);
    } else {
        return fprintf(stderr, "load: how it is used stands at the top of load.c\n"), 2;
    }
    return 0;
}
