/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/drain.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/confirm.h"
#include "cli/progress.h"
#include "cli/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TURN_MS = 1000, /* looked at again after this even when nothing changed */
    PAUSE_MS = 100, /* at least, between two looks at a busy cluster */
    AWAY_MS = 20000 /* so long may the called member be away */
};

/* A task that was on the node at the beginning. */
struct mover {
    char *name;
    bool here;  /* still */
    char *line; /* how it is with it */
};

struct draining {
    struct cli *cli;
    const char *node; /* its name */
    struct mover *movers;
    size_t n;
    size_t left;
    struct progress progress;
    int64_t index;
    int64_t away_since_ms; /* 0: the member answers */
};

static bool is_over(const struct task_info *t)
{
    return str_equal(t->state, "complete") || str_equal(t->state, "failed") ||
           str_equal(t->state, "ended");
}

static bool is_here(const struct draining *d, const struct task_info *t)
{
    return t->id != 0 && str_equal(t->node, d->node) && !is_over(t);
}

static struct mover *mover_of(struct draining *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (str_equal(d->movers[i].name, name))
            return &d->movers[i];
    return NULL;
}

/* What is to be said of @t, a task of the slot elsewhere, or the slot that waits for a node. */
static char *describe(const struct task_info *t)
{
    const char *message = str_or_empty(t->message);
    if (t->id == 0)
        return str_printf("%s waits: %s", t->name, message);
    return str_printf("%s is %s on %s%s%s", t->name, t->state, t->node, *message ? ": " : "",
                      message);
}

static void look(struct draining *d, const struct task_list_reply *tasks)
{
    for (size_t i = 0; i < d->n; i++)
        d->movers[i].here = false;
    for (size_t i = 0; i < tasks->tasks_n; i++) {
        const struct task_info *t = &tasks->tasks[i];
        struct mover *m = mover_of(d, t->name);
        if (is_here(d, t) && !m) {
            d->movers = mem_resize(d->movers, d->n + 1, sizeof(*d->movers));
            m = &d->movers[d->n++];
            *m = (struct mover){.name = str_copy(t->name)};
        }
        if (!m)
            continue;
        if (is_here(d, t)) {
            m->here = true;
        } else if (!is_over(t) && str_equal(t->desired, "run")) {
            free(m->line);
            m->line = describe(t);
        }
    }
    d->left = 0;
    for (size_t i = 0; i < d->n; i++)
        d->left += d->movers[i].here;
}

static void show(struct draining *d)
{
    char *line = d->left ? str_printf("%s: %zu of %zu task%s left", d->node, d->left, d->n,
                                      d->n == 1 ? "" : "s")
                         : str_printf("%s: empty", d->node);
    progress_show(&d->progress, &line, 1);
    free(line);
}

static void sleep_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int on_call_failed(struct draining *d, struct err *err)
{
    int64_t now = clock_boot_ms();
    if (!cli_may_retry(err->code))
        return err->code;
    if (d->away_since_ms == 0)
        d->away_since_ms = now;
    if (now - d->away_since_ms > AWAY_MS)
        return err->code;
    sleep_ms(TURN_MS / 2);
    return 0;
}

static int turn(struct draining *d, bool *ret_looked, struct err *err)
{
    struct task_list_reply tasks;
    struct wait_request wait = {.after = d->index, .wait_ms = TURN_MS};
    struct wait_reply reply;
    *ret_looked = false;
    if (d->index) {
        sleep_ms(PAUSE_MS);
        if (cli_call(d->cli, "cluster.wait", &wait, &reply, err) < 0)
            return on_call_failed(d, err);
        d->index = reply.index;
    } else {
        d->index = 1;
    }
    if (cli_call(d->cli, "task.list", &(struct filter_request){0}, &tasks, err) < 0)
        return on_call_failed(d, err);
    d->away_since_ms = 0;
    look(d, &tasks);
    record_release(&task_list_reply_type, &tasks);
    show(d);
    *ret_looked = true;
    return 0;
}

/* Tasks that are not there any more and do not run elsewhere either, or still are there. */
static void say_rest(const struct draining *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct mover *m = &d->movers[i];
        if (m->here)
            cli_warn("%s is still on %s%s%s", m->name, d->node, m->line ? "; " : "",
                     str_or_empty(m->line));
        else if (m->line && strstr(m->line, " waits: "))
            cli_warn("%s", m->line);
    }
}

static int wait_until_empty(struct draining *d, int64_t timeout_ms, struct err *err)
{
    int64_t end = clock_boot_ms() + timeout_ms;
    char after[UNITS_TEXT];
    int rv = 0;
    bool looked = false;
    progress_init(&d->progress, stdout);
    while (rv == 0 && !(looked && d->left == 0)) {
        rv = turn(d, &looked, err);
        if (rv == 0 && !(looked && d->left == 0) && clock_boot_ms() >= end)
            rv = err_set(err, ERR_TIMEOUT,
                         "%s is not empty after %s. It goes on draining: 'wherry ps' shows how",
                         d->node, units_duration(timeout_ms, after));
    }
    progress_end(&d->progress);
    if (rv == 0 || rv == ERR_TIMEOUT)
        say_rest(d);
    return rv;
}

int drain_begin(struct cli *cli, const char *name, bool yes, struct err *err)
{
    struct node_set_request request = {
        .name = (char *)(uintptr_t)name, .availability = (char[]){"drain"}, .yes = yes};
    struct node_change_reply reply;
    if (cli_call(cli, "node.set", &request, &reply, err) < 0)
        return err->code;
    int rv = 0;
    if (!reply.done) {
        cleanup_free char *what = str_printf("drain %s", name);
        rv = confirm(str_or_empty(reply.warning), what, err);
        if (rv == 0)
            rv = drain_begin(cli, name, true, err);
    }
    record_release(&node_change_reply_type, &reply);
    return rv;
}

int drain_node(struct cli *cli, const char *name, bool yes, int64_t timeout_ms, struct err *err)
{
    struct node_info node;
    int rv = drain_begin(cli, name, yes, err);
    if (rv == 0)
        rv = cli_call(cli, "node.inspect", &(struct name_request){.name = (char *)(uintptr_t)name},
                      &node, err);
    if (rv < 0)
        return rv;
    struct draining d = {.cli = cli, .node = node.name};
    rv = wait_until_empty(&d, timeout_ms ? timeout_ms : DRAIN_TIMEOUT_MS, err);
    for (size_t i = 0; i < d.n; i++) {
        free(d.movers[i].name);
        free(d.movers[i].line);
    }
    free(d.movers);
    record_release(&node_info_type, &node);
    return rv;
}
