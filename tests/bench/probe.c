/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - what the benchmarks ask a member, without starting a program for each question.
 *
 *   probe running SOCKET SERVICE N SINCE-NS [NODE]  milliseconds since then until N tasks of
 * SERVICE run its newest revision, NODE's not counted probe gone SOCKET STACK SINCE-NS ... until
 * nothing of STACK is left probe writes SOCKET SERVICE N                   milliseconds of each of
 * N writes, one after the other probe failover SOCKET SERVICE PID               kill PID while
 * writing; milliseconds until a write that began after the kill is accepted probe sync FILE N
 * milliseconds of each of N appends of 4 KiB, synced probe resident KiB of a program that does
 * nothing, linked with what the daemon is linked with
 *
 * A write is "scale SERVICE to 1" or "to 2": choose one that can be placed nowhere. SINCE-NS is
 * what "date +%s%N" prints.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/api.h"
#include "cluster/client.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    POLL_US = 20000,
    WAIT_MAX_MS = 300000,
    CALL_MS = 30000,
    BEFORE_KILL_MS = 300,
    BLOCK = 4096,
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void print_ms(int64_t ns)
{
    printf("%.3f\n", (double)ns / 1e6);
}

static void die(const struct err *err)
{
    fprintf(stderr, "probe: %s\n", err->msg);
    exit(1);
}

static struct client *open_client(const char *socket_path)
{
    struct err err;
    struct client *client;
    cleanup_free char *target = str_printf("unix://%s", socket_path);
    if (client_open(target, NULL, &client, &err) < 0)
        die(&err);
    return client;
}

/* --- waiting ---------------------------------------------------------------------------------- */

struct question {
    const char *name; /* of a service or a stack */
    size_t wanted;
    const char *not_node;
    int64_t revision;
};

/* How many tasks run the newest revision that is seen; -1 when it cannot be told. */
static int64_t count(struct client *client, const struct question *q)
{
    struct err err;
    struct task_list_reply reply;
    struct filter_request request = {.name = (char *)(uintptr_t)q->name};
    if (client_call(client, "task.list", &filter_request_type, &request, &task_list_reply_type,
                    &reply, CALL_MS, &err) < 0)
        return err.code == ERR_NOTFOUND ? 0 : -1;
    int64_t newest = q->revision;
    for (size_t i = 0; i < reply.tasks_n; i++)
        if (reply.tasks[i].revision > newest)
            newest = reply.tasks[i].revision;
    int64_t n = 0;
    for (size_t i = 0; i < reply.tasks_n; i++) {
        const struct task_info *t = &reply.tasks[i];
        n += t->revision == newest && str_equal(t->state, "running") &&
             str_equal(t->desired, "run") && !str_equal(t->node, q->not_node);
    }
    record_release(&task_list_reply_type, &reply);
    return n;
}

static bool is_gone(struct client *client, const struct question *q)
{
    struct err err;
    struct service_list_reply reply;
    struct filter_request request = {.name = (char *)(uintptr_t)q->name};
    if (client_call(client, "service.list", &filter_request_type, &request,
                    &service_list_reply_type, &reply, CALL_MS, &err) < 0)
        return err.code == ERR_NOTFOUND;
    bool gone = reply.services_n == 0;
    record_release(&service_list_reply_type, &reply);
    return gone;
}

static bool holds(struct client *client, const struct question *q)
{
    return q->wanted > 0 ? count(client, q) >= (int64_t)q->wanted : is_gone(client, q);
}

static void wait_until(const char *socket_path, const struct question *q, int64_t since_ns)
{
    int64_t end = now_ns() + (int64_t)WAIT_MAX_MS * 1000000;
    struct client *client = open_client(socket_path);
    while (!holds(client, q)) {
        if (now_ns() > end) {
            fprintf(stderr, "probe: waited too long for %s\n", q->name);
            exit(1);
        }
        usleep(POLL_US);
    }
    print_ms(now_ns() - since_ns);
    client_close(client);
}

/* --- writes ----------------------------------------------------------------------------------- */

static int write_once(struct client *client, const char *service, int64_t i, struct err *err)
{
    struct empty reply;
    struct scale_request request = {.name = (char *)(uintptr_t)service, .replicas = 1 + i % 2};
    return client_call(client, "service.scale", &scale_request_type, &request, &empty_type, &reply,
                       CALL_MS, err);
}

static void writes(const char *socket_path, const char *service, int64_t n)
{
    struct err err;
    struct client *client = open_client(socket_path);
    for (int64_t i = 0; i < n; i++) {
        int64_t start = now_ns();
        if (write_once(client, service, i, &err) < 0)
            die(&err);
        print_ms(now_ns() - start);
    }
    client_close(client);
}

/* A connection is good for the next call also when a member said no, but not after a time-out. */
static struct client *again(struct client *client, const char *socket_path, const struct err *err)
{
    if (err->code != ERR_TIMEOUT && err->code != ERR_IO)
        return client;
    client_close(client);
    return open_client(socket_path);
}

static void failover(const char *socket_path, const char *service, pid_t pid)
{
    struct err err;
    struct client *client = open_client(socket_path);
    int64_t i = 0;
    int64_t start = now_ns();
    check(pid > 1);
    while (now_ns() - start < (int64_t)BEFORE_KILL_MS * 1000000)
        if (write_once(client, service, i++, &err) < 0)
            die(&err);
    if (kill(pid, SIGKILL) < 0) {
        perror("probe: kill");
        exit(1);
    }
    start = now_ns();
    while (write_once(client, service, i++, &err) < 0) {
        if (now_ns() - start > (int64_t)WAIT_MAX_MS * 1000000)
            die(&err);
        client = again(client, socket_path, &err);
        usleep(1000);
    }
    print_ms(now_ns() - start);
    client_close(client);
}

/* --- floors ----------------------------------------------------------------------------------- */

static void sync_times(const char *path, int64_t n)
{
    static const char block[BLOCK] = {1};
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t start = now_ns();
        if (write(fd, block, BLOCK) != BLOCK || fdatasync(fd) < 0) {
            perror(path);
            exit(1);
        }
        print_ms(now_ns() - start);
    }
    close(fd);
    unlink(path);
}

static void resident(void)
{
    long size;
    long pages;
    FILE *f = fopen("/proc/self/statm", "re");
    check(f && fscanf(f, "%ld %ld", &size, &pages) == 2);
    fclose(f);
    printf("%ld\n", pages * (sysconf(_SC_PAGESIZE) / 1024));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(what, "running") == 0 && argc >= 6)
        wait_until(argv[2],
                   &(struct question){.name = argv[3],
                                      .wanted = (size_t)atoll(argv[4]),
                                      .not_node = argc > 6 ? argv[6] : NULL,
                                      .revision = argc > 7 ? atoll(argv[7]) : 0},
                   atoll(argv[5]));
    else if (strcmp(what, "gone") == 0 && argc == 5)
        wait_until(argv[2], &(struct question){.name = argv[3]}, atoll(argv[4]));
    else if (strcmp(what, "writes") == 0 && argc == 5)
        writes(argv[2], argv[3], atoll(argv[4]));
    else if (strcmp(what, "failover") == 0 && argc == 5)
        failover(argv[2], argv[3], (pid_t)atoi(argv[4]));
    else if (strcmp(what, "sync") == 0 && argc == 4)
        sync_times(argv[2], atoll(argv[3]));
    else if (strcmp(what, "resident") == 0)
        resident();
    else
        return fprintf(stderr, "probe: how it is used stands at the top of probe.c\n"), 2;
    return 0;
}
