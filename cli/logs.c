/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs: what tasks wrote. First all that is there, merged by time; each source is read piece by
 * piece, so that memory does not depend on the logs' size. Then, with --follow, logfollow.c.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/logfollow.h"
#include "cli/logprint.h"
#include "cli/logsource.h"
#include "cli/moment.h"
#include "cluster/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct logs_options {
    bool follow;
    struct arg_number tail;
    bool times;
    const char *since, *until;
};

/* --- whose logs --------------------------------------------------------------------------------
 */

static bool is_listed(const struct task_list_reply *tasks, int64_t id)
{
    for (size_t i = 0; i < tasks->tasks_n; i++)
        if (tasks->tasks[i].id == id)
            return true;
    return false;
}

/* Moves the tasks of @some that are not in @all there. */
static void merge_tasks(struct task_list_reply *all, struct task_list_reply *some)
{
    all->tasks = mem_resize(all->tasks, all->tasks_n + some->tasks_n + 1, sizeof(*all->tasks));
    for (size_t i = 0; i < some->tasks_n; i++) {
        struct task_info *t = &some->tasks[i];
        if (t->id == 0 || is_listed(all, t->id)) /* a slot without a task has written nothing */
            continue;
        all->tasks[all->tasks_n++] = *t;
        *t = (struct task_info){0};
    }
}

int log_tasks_list(struct cli *cli, char *const *names, size_t names_n, bool all,
                   struct task_list_reply *ret, struct err *err)
{
    struct task_list_reply found = {0};
    bool any = false;
    for (size_t i = 0; i < names_n; i++) {
        struct filter_request request = {.name = names[i]};
        struct task_list_reply some;
        int rv = cli_call(cli, "task.list", &request, &some, err);
        if (rv == ERR_NOTFOUND && !all && (any || i + 1 < names_n))
            continue;
        if (rv < 0) {
            record_release(&task_list_reply_type, &found);
            return rv;
        }
        any = true;
        merge_tasks(&found, &some);
        record_release(&task_list_reply_type, &some);
    }
    *ret = found;
    return 0;
}

/* --- what is there -----------------------------------------------------------------------------
 */

/* A source with the line it would print next. */
struct head {
    struct log_source *source;
    bool ready; /* source->join holds a line */
    bool over;  /* for now */
    bool failed;
};

static void say_failed(struct cli *cli, const struct log_source *source, const struct err *err)
{
    cli_warn("logs of %s on %s: %s", source->task, source->node, err->msg);
    cli->exit_status = 1;
}

static void advance(struct cli *cli, struct client *client, struct head *h)
{
    struct err err = {0};
    h->ready = log_source_next(h->source);
    while (!h->ready && !h->over) {
        if (!h->source->more)
            h->over = true;
        else if (log_source_fill(h->source, client, 0, &err) < 0) {
            h->over = true;
            h->failed = true;
            say_failed(cli, h->source, &err);
        } else {
            h->ready = log_source_next(h->source);
        }
    }
}

static void print_merged(struct cli *cli, struct client *client, struct log_printer *printer,
                         struct head *heads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        advance(cli, client, &heads[i]);
    for (;;) {
        struct head *first = NULL;
        for (size_t i = 0; i < n; i++)
            if (heads[i].ready &&
                (!first || strcmp(heads[i].source->join.time, first->source->join.time) < 0))
                first = &heads[i];
        if (!first)
            return;
        log_printer_line(printer, first->source->task, first->source->join.time,
                         first->source->join.text.data, first->source->join.text.len);
        advance(cli, client, first);
    }
}

/* The rest of a line whose end never came. */
static void print_rest(struct log_printer *printer, struct log_source *source)
{
    while (logjoin_last(&source->join))
        log_printer_line(printer, source->task, source->join.time, source->join.text.data,
                         source->join.text.len);
}

static int print_all(struct cli *cli, const struct logs_options *o, char *const *names,
                     size_t names_n, struct log_printer *printer, struct err *err)
{
    struct task_list_reply tasks;
    struct client *client;
    if (log_tasks_list(cli, names, names_n, true, &tasks, err) < 0)
        return err->code;
    size_t n = tasks.tasks_n;
    struct log_source *sources = mem_alloc(n, sizeof(*sources));
    cleanup_free struct head *heads = mem_alloc(n, sizeof(*heads));
    for (size_t i = 0; i < n; i++) {
        log_source_init(&sources[i], &tasks.tasks[i], o->tail.given, o->tail.value);
        log_printer_expect(printer, tasks.tasks[i].name);
        heads[i].source = &sources[i];
    }
    record_release(&task_list_reply_type, &tasks);
    int rv = cli_connect(cli, &client, err);
    if (rv == 0) {
        print_merged(cli, client, printer, heads, n);
        client_close(client);
    }
    if (rv == 0 && o->follow)
        return log_follow(cli, names, names_n, sources, n, printer, err);
    for (size_t i = 0; i < n; i++) {
        if (rv == 0)
            print_rest(printer, &sources[i]);
        log_source_release(&sources[i]);
    }
    free(sources);
    return rv;
}

/* --- the command -------------------------------------------------------------------------------
 */

static bool is_task(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot && strchr(dot + 1, '.');
}

static bool same_stack(const char *a, const char *b)
{
    size_t n = strcspn(a, ".");
    return n == strcspn(b, ".") && memcmp(a, b, n) == 0;
}

static int run_logs(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct logs_options *o = options;
    size_t n = (size_t)words_n;
    struct log_printer printer;
    bool several = false;
    int64_t since_ms = 0, until_ms = 0, now = clock_wall_ms();
    int rv = 0;
    if (o->follow && o->until)
        return err_set(err, ERR_INVALID, "--until is of the past, and --follow of what is to come");
    if ((o->since && moment_parse("--since", o->since, now, &since_ms, err) < 0) ||
        (o->until && moment_parse("--until", o->until, now, &until_ms, err) < 0))
        return err->code;
    cleanup_free char **names = mem_alloc(n, sizeof(char *));
    cli->stale = true; /* logs are to be read also when there is no leader */
    for (size_t i = 0; i < n && rv == 0; i++) {
        rv = cli_resolve(cli, words[i], true, &names[i], err);
        several = several || (rv == 0 && !same_stack(names[0], names[i]));
    }
    if (rv == 0) {
        log_printer_init(&printer, o->times, n > 1 || !is_task(names[0]), several);
        log_printer_limit(&printer, since_ms, until_ms);
        rv = print_all(cli, o, names, n, &printer, err);
        log_printer_release(&printer);
    }
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    return rv;
}

const struct command command_logs = {
    .name = "logs",
    .usage = "[-f] [--tail N] [--since TIME] [--until TIME] [-t] SERVICE | TASK | STACK...",
    .summary = "show what services have written",
    .details = "Show what the tasks of services have written, wherever they are, in the order of\n"
               "time. A member that does not answer is named on stderr, and the exit status is 1.\n"
               "A time is 10m (ago), 2026-11-27T10:00 or seconds since 1970.",
    .examples = "  wherry logs shop.web\n"
                "  wherry logs -f --tail 10 shop.web shop.worker\n"
                "  wherry logs --since 10m shop.web.2\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct logs_options, ARG_FLAG, follow, 'f', "follow", NULL,
                       "go on with what they write from now on, also of new tasks"),
            ARG_OPTION(struct logs_options, ARG_NUMBER, tail, 'n', "tail", "N",
                       "only the last N lines of each task"),
            ARG_OPTION(struct logs_options, ARG_TEXT, since, 0, "since", "TIME",
                       "only what was written from then on"),
            ARG_OPTION(struct logs_options, ARG_TEXT, until, 0, "until", "TIME",
                       "only what was written until then"),
            ARG_OPTION(struct logs_options, ARG_FLAG, times, 't', "timestamps", NULL,
                       "with the time of each line"),
            ARG_END,
        },
    .options_size = sizeof(struct logs_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_logs,
};
