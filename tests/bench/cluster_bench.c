/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bus and the calls cost: resident memory of a member with three peers, a round trip and a
 * bulk transfer over the bus, calls over the local socket and over nng. Peers and servers are
 * processes of their own. Medians of RUNS.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/client.h"
#include "cluster/identity.h"
#include "cluster/server.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum {
    NODES = 4,
    RUNS = 5000,
    BULK_BYTES = 64 << 20,
};

static char dir[] = "/tmp/wherry-bench-XXXXXX";
static int ports[NODES + 1];
static struct bytes keys[NODES];
static pid_t children[NODES + 1];
static size_t children_n;

static void must(int rv, const struct err *err)
{
    if (rv < 0) {
        fprintf(stderr, "%s\n", err->msg);
        exit(1);
    }
}

static long resident_kb(void)
{
    long size;
    long pages;
    FILE *f = fopen("/proc/self/statm", "re");
    check(f && fscanf(f, "%ld %ld", &size, &pages) == 2);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int free_port(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
          getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
    close(fd);
    return ntohs(sa.sin_port);
}

static struct identity *open_node(int i)
{
    struct err err;
    struct identity *id;
    cleanup_free char *path = str_printf("%s/n%d", dir, i + 1);
    must(identity_open(path, &id, &err), &err);
    return id;
}

/* Make the identities in a process of its own, so that ours stays small. */
static void make_identities(void)
{
    pid_t pid = fork();
    check(pid >= 0);
    if (pid == 0) {
        struct err err;
        struct identity *first = open_node(0);
        must(identity_make_ca(first, &err), &err);
        must(identity_set_member(first, "bench", 1, &err), &err);
        for (int i = 1; i < NODES; i++) {
            struct identity *id = open_node(i);
            must(identity_set_ca(id, identity_ca_cert(first), identity_ca_key(first), &err), &err);
            must(identity_set_member(id, "bench", i + 1, &err), &err);
        }
        /* Public keys for those who pin them. */
        for (int i = 0; i < NODES; i++) {
            struct identity *id = open_node(i);
            cleanup_free char *path = str_printf("%s/key%d", dir, i);
            const struct bytes *key = identity_public_key(id);
            must(file_write_fast(path, key->data, key->len, 0600, &err), &err);
        }
        _exit(0);
    }
    int status;
    check(waitpid(pid, &status, 0) == pid && status == 0);
}

/* --- the bus ------------------------------------------------------------------------------- */

static uv_loop_t loop;
static struct bus *bus;
static int connected, answers;

static void on_message(void *arg, int64_t from, enum bus_kind kind, const void *data, size_t len)
{
    (void)arg;
    answers++;
    if (kind == BUS_CALL)
        check(bus_send(bus, from, BUS_REPLY, false, data, len < 100 ? len : 100) == 0);
}

static void on_peer(void *arg, int64_t id, bool up)
{
    (void)arg, (void)id;
    connected += up ? 1 : -1;
}

static void on_stranger(void *arg, struct bus_stranger *stranger, const struct bytes *key,
                        const void *data, size_t len)
{
    (void)arg, (void)key, (void)data, (void)len;
    bus_stranger_reply(stranger, "", 0);
}

static void start_bus(int self, struct identity *identity)
{
    struct err err;
    struct bus_peer peers[NODES];
    char addresses[NODES][32];
    size_t n = 0;
    check(uv_loop_init(&loop) == 0);
    for (int i = 0; i < NODES; i++)
        snprintf(addresses[i], sizeof(addresses[i]), "127.0.0.1:%d", ports[i]);
    struct bus_config config = {.loop = &loop,
                                .identity = identity,
                                .listen = addresses[self],
                                .on_message = on_message,
                                .on_peer = on_peer,
                                .on_stranger = on_stranger};
    must(bus_start(&config, &bus, &err), &err);
    for (int i = 0; i < NODES; i++)
        if (i != self)
            peers[n++] =
                (struct bus_peer){.id = i + 1, .address = addresses[i], .public_key = keys[i]};
    bus_set_peers(bus, self + 1, peers, n);
}

static pid_t begin_child(void)
{
    pid_t pid = fork();
    check(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    else
        children[children_n++] = pid;
    return pid;
}

static void run_peer(int i)
{
    start_bus(i, open_node(i));
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(0);
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, int64_t ns[RUNS])
{
    qsort(ns, RUNS, sizeof(ns[0]), compare_ns);
    printf("%-34s p50 %7.3f ms  p99 %7.3f ms  (N %d)\n", what, (double)ns[RUNS / 2] / 1e6,
           (double)ns[RUNS * 99 / 100] / 1e6, RUNS);
}

static void on_settled(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void settle(void)
{
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_settled, 1500, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void round_trips(void)
{
    static int64_t ns[RUNS];
    for (int i = 0; i < RUNS; i++) {
        int64_t start = clock_mono_ns();
        answers = 0;
        check(bus_send(bus, 2, BUS_CALL, false, "0123456789", 10) == 0);
        while (answers == 0)
            uv_run(&loop, UV_RUN_ONCE);
        ns[i] = clock_mono_ns() - start;
    }
    print_times("bus, there and back", ns);
}

static void bulk(void)
{
    cleanup_free char *data = mem_alloc(BULK_BYTES, 1);
    memset(data, 1, BULK_BYTES);
    int64_t start = clock_mono_ns();
    answers = 0;
    check(bus_send(bus, 2, BUS_CALL, true, data, BULK_BYTES) == 0);
    while (answers == 0)
        uv_run(&loop, UV_RUN_ONCE);
    double seconds = (double)(clock_mono_ns() - start) / 1e9;
    printf("%-34s %7.0f MB/s\n", "bus, 64 MiB in bulk", BULK_BYTES / 1e6 / seconds);
}

static void measure_bus(void)
{
    printf("%-34s %7ld kB\n", "resident, before", resident_kb());
    struct identity *identity = open_node(0);
    printf("%-34s %7ld kB\n", "resident, identity open", resident_kb());
    start_bus(0, identity);
    printf("%-34s %7ld kB\n", "resident, bus listens", resident_kb());
    while (connected < NODES - 1)
        uv_run(&loop, UV_RUN_ONCE);
    settle();
    printf("%-34s %7ld kB\n", "resident, three peers", resident_kb());
    round_trips();
    printf("%-34s %7ld kB\n", "resident, after those", resident_kb());
    bulk();
    settle();
    printf("%-34s %7ld kB\n", "resident, after that", resident_kb());
}

/* --- calls --------------------------------------------------------------------------------- */

struct note {
    char *text;
};

static const struct field note_fields[] = {FIELD_STRING(struct note, text)};
static const struct record_type note_type = RECORD_TYPE("note", struct note, note_fields);

static void on_call(void *arg, struct server_call *handle, const struct call *call, bool local)
{
    (void)arg, (void)local;
    struct reply reply = {.body = call->body};
    server_reply(handle, &reply);
}

static void run_server(const char *socket_path, const char *listen)
{
    struct err err;
    struct server *server;
    check(uv_loop_init(&loop) == 0);
    struct server_config config = {.loop = &loop, .socket_path = socket_path, .on_call = on_call};
    must(server_start(&config, &server, &err), &err);
    struct identity *identity = open_node(0);
    long before = resident_kb();
    must(server_listen_remote(server, listen, identity, &err), &err);
    printf("%-34s %7ld kB\n", "resident, nng more than without", resident_kb() - before);
    fflush(stdout);
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(0);
}

static void measure_calls(const char *what, const char *target, const char *token)
{
    static int64_t ns[RUNS];
    struct err err;
    struct client *client;
    int rv;
    for (int i = 0; (rv = client_open(target, token, &client, &err)) < 0 && i < 100; i++)
        usleep(20000);
    must(rv, &err);
    struct note note = {.text = str_copy("hello")};
    for (int i = 0; i < RUNS; i++) {
        struct note back;
        int64_t start = clock_mono_ns();
        must(client_call(client, "echo", &note_type, &note, &note_type, &back, 5000, &err), &err);
        ns[i] = clock_mono_ns() - start;
        record_release(&note_type, &back);
    }
    print_times(what, ns);
    record_release(&note_type, &note);
    client_close(client);
}

int main(void)
{
    struct err err;
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_set_level(LOG_LEVEL_WARN);
    check(mkdtemp(dir));
    make_identities();
    for (int i = 0; i <= NODES; i++)
        ports[i] = free_port();
    for (int i = 0; i < NODES; i++) {
        cleanup_free char *path = str_printf("%s/key%d", dir, i);
        struct buf key = {0};
        must(file_read(path, 4096, &key, &err), &err);
        bytes_set(&keys[i], key.data, key.len);
        buf_release(&key);
    }
    for (int i = 1; i < NODES; i++)
        if (begin_child() == 0)
            run_peer(i);
    cleanup_free char *path = str_printf("%s/sock", dir);
    cleanup_free char *target = str_printf("unix://%s", path);
    cleanup_free char *remote = str_printf("127.0.0.1:%d", ports[NODES]);
    measure_bus();
    if (begin_child() == 0)
        run_server(path, remote);
    measure_calls("call, local socket", target, NULL);
    char *token;
    struct identity *first = open_node(0);
    must(token_make(first, TOKEN_CALL, &token, &err), &err);
    measure_calls("call, nng over TLS", remote, token);
    for (size_t i = 0; i < children_n; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    must(file_remove_tree(dir, &err), &err);
    return 0;
}
