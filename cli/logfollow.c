/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logfollow.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/logprint.h"
#include "cli/logsource.h"
#include "cluster/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WAIT_MS = 5000,  /* for more of a log, and for a change of the tasks */
    PAUSE_MS = 300,  /* between two looks for new tasks */
    RETRY_MS = 1000, /* after a failure */
    AWAY_MS = 60000, /* so long may the called member be away */
    STACK_BYTES = 256 << 10,
    TASKS_MAX = 512, /* followed at the same time */
};

struct follower;

/* What all threads share. */
struct follow {
    const struct cli *cli;
    struct log_printer *printer;
    atomic_bool stop;
    atomic_bool failed;         /* some log was not read to its end */
    struct follower *followers; /* main thread only, as all else here */
    size_t followers_n;
    int64_t *known; /* tasks that have or had a follower */
    size_t known_n;
    int64_t index;
};

struct follower {
    struct follower *next;
    struct follow *follow;
    struct log_source source;
    struct client *client;
    pthread_t thread;
    atomic_bool over; /* the thread does nothing more */
};

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* --- a task's thread ---------------------------------------------------------------------------
 */

static void print_lines(struct follower *f)
{
    while (log_source_next(&f->source))
        log_printer_line(f->follow->printer, f->source.task, f->source.join.time,
                         f->source.join.text.data, f->source.join.text.len);
    fflush(stdout);
}

static int fill(struct follower *f, struct err *err)
{
    if (!f->client && cli_connect(f->follow->cli, &f->client, err) < 0)
        return err->code;
    int rv = log_source_fill(&f->source, f->client, WAIT_MS, err);
    if (rv < 0) {
        client_close(f->client);
        f->client = NULL;
    }
    return rv;
}

static void *run_follower(void *arg)
{
    struct follower *f = arg;
    bool complained = false;
    print_lines(f);
    while (!f->source.ended && !atomic_load(&f->follow->stop)) {
        struct err err;
        if (fill(f, &err) == 0) {
            /* A task that went while it could not be read has taken lines with it. */
            complained = complained && f->source.ended;
            print_lines(f);
            continue;
        }
        if (!complained)
            cli_warn("logs of %s on %s: %s; trying again", f->source.task, f->source.node, err.msg);
        complained = true;
        pause_ms(RETRY_MS);
    }
    if (complained)
        atomic_store(&f->follow->failed, true);
    client_close(f->client);
    atomic_store(&f->over, true);
    return NULL;
}

static void free_follower(struct follower *f)
{
    log_source_release(&f->source);
    free(f);
}

/* Takes @source over. */
static int start(struct follow *follow, struct log_source *source, struct err *err)
{
    pthread_attr_t attr;
    struct follower *f = mem_alloc(1, sizeof(*f));
    *f = (struct follower){.follow = follow, .source = *source};
    check(pthread_attr_init(&attr) == 0);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int rv = pthread_create(&f->thread, &attr, run_follower, f);
    pthread_attr_destroy(&attr);
    if (rv != 0) {
        err_errno(err, rv, "follow the logs of %s", f->source.task);
        free_follower(f);
        return err->code;
    }
    follow->known = mem_resize(follow->known, follow->known_n + 1, sizeof(int64_t));
    follow->known[follow->known_n++] = f->source.task_id;
    f->next = follow->followers;
    follow->followers = f;
    follow->followers_n++;
    return 0;
}

/* Join the threads that are over; with @all, wait for the others too. */
static void reap(struct follow *follow, bool all)
{
    for (struct follower **link = &follow->followers; *link;) {
        struct follower *f = *link;
        if (!all && !atomic_load(&f->over)) {
            link = &f->next;
            continue;
        }
        check(pthread_join(f->thread, NULL) == 0);
        *link = f->next;
        follow->followers_n--;
        free_follower(f);
    }
}

/* --- looking for new tasks ---------------------------------------------------------------------
 */

static bool is_known(const struct follow *follow, int64_t id)
{
    for (size_t i = 0; i < follow->known_n; i++)
        if (follow->known[i] == id)
            return true;
    return false;
}

static int start_new(struct follow *follow, const struct task_list_reply *tasks, struct err *err)
{
    for (size_t i = 0; i < tasks->tasks_n; i++) {
        struct log_source source;
        if (is_known(follow, tasks->tasks[i].id) || follow->followers_n >= TASKS_MAX)
            continue;
        log_source_init(&source, &tasks->tasks[i], false, 0);
        log_printer_expect(follow->printer, source.task);
        if (start(follow, &source, err) < 0)
            return err->code;
    }
    return 0;
}

static int look(struct cli *cli, char *const *names, size_t names_n, struct follow *follow,
                struct err *err)
{
    struct wait_request request = {.after = follow->index, .wait_ms = WAIT_MS};
    struct wait_reply reply;
    struct task_list_reply tasks;
    reap(follow, false);
    if (cli_call(cli, "cluster.wait", &request, &reply, err) < 0 ||
        log_tasks_list(cli, names, names_n, false, &tasks, err) < 0)
        return err->code;
    follow->index = reply.index;
    int rv = start_new(follow, &tasks, err);
    record_release(&task_list_reply_type, &tasks);
    return rv;
}

/* Until nothing of @names is left, or the called member has been away for too long. */
static int look_on(struct cli *cli, char *const *names, size_t names_n, struct follow *follow,
                   struct err *err)
{
    int64_t away_since = 0;
    for (;;) {
        int rv = look(cli, names, names_n, follow, err);
        int64_t now = clock_boot_ms();
        if (rv == ERR_NOTFOUND)
            return 0;
        if (rv < 0 && (!cli_may_retry(rv) || (away_since && now - away_since > AWAY_MS)))
            return rv;
        if (rv == 0)
            away_since = 0;
        else if (!away_since)
            away_since = now;
        pause_ms(rv == 0 ? PAUSE_MS : RETRY_MS);
    }
}

int log_follow(struct cli *cli, char *const *names, size_t names_n, struct log_source *sources,
               size_t sources_n, struct log_printer *printer, struct err *err)
{
    struct follow follow = {.cli = cli, .printer = printer};
    int rv = 0;
    fflush(stdout);
    for (size_t i = 0; i < sources_n; i++) {
        if (rv == 0)
            rv = start(&follow, &sources[i], err);
        else
            log_source_release(&sources[i]);
    }
    free(sources);
    if (rv == 0)
        rv = look_on(cli, names, names_n, &follow, err);
    /* Logs of tasks that are gone end by themselves; others are given up. */
    if (rv < 0)
        atomic_store(&follow.stop, true);
    reap(&follow, true);
    if (atomic_load(&follow.failed))
        cli->exit_status = 1;
    free(follow.known);
    return rv;
}
