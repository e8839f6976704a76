/* SPDX-License-Identifier: Apache-2.0 */
/* move: a task goes to another member. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TIMEOUT_DEFAULT_MS = 300000,
    POLL_MS = 200,
    AWAY_MS = 20000, /* so long may the called member be away */
};

struct move_options {
    bool detach;
    int64_t timeout_ms;
};

struct moving {
    struct cli *cli;
    char *name;
    int64_t task_id; /* of the one that goes */
    char *from;
    struct progress progress;
};

static const struct task_info *find(const struct task_list_reply *tasks, const char *desired,
                                    int64_t other_than)
{
    for (size_t i = 0; i < tasks->tasks_n; i++)
        if (tasks->tasks[i].id != 0 && tasks->tasks[i].id != other_than &&
            str_equal(tasks->tasks[i].desired, desired))
            return &tasks->tasks[i];
    return NULL;
}

static const struct task_info *find_id(const struct task_list_reply *tasks, int64_t id)
{
    for (size_t i = 0; i < tasks->tasks_n; i++)
        if (tasks->tasks[i].id == id)
            return &tasks->tasks[i];
    return NULL;
}

/* One look: shows how far it is. *@ret_done: it serves elsewhere. */
static int look(struct moving *m, const struct task_list_reply *tasks, bool *ret_done,
                struct err *err)
{
    const struct task_info *old = find_id(tasks, m->task_id);
    const struct task_info *next = find(tasks, "run", m->task_id);
    const struct task_info *held = next ? next : find(tasks, "ready", m->task_id);
    bool stays = old && str_equal(old->desired, "run");
    char *line;
    if (stays && !held && !*str_or_empty(old->moves_to))
        return err_set(err, ERR_CONFLICT, "%s stays on %s: %s", m->name, m->from,
                       *str_or_empty(old->move_reason) ? old->move_reason : "it was told to");
    *ret_done = !stays && next && str_equal(next->state, "running") &&
                !str_equal(next->health, "starting") && !str_equal(next->health, "unhealthy");
    if (*ret_done)
        line = str_printf("%s runs on %s", m->name, next->node);
    else if (held)
        line = str_printf("%s: its successor on %s is %s%s%s", m->name, held->node, held->state,
                          *str_or_empty(held->message) ? ": " : "", str_or_empty(held->message));
    else
        line = str_printf("%s waits to leave %s", m->name, m->from);
    progress_show(&m->progress, &line, 1);
    free(line);
    return 0;
}

static int await(struct moving *m, int64_t timeout_ms, struct err *err)
{
    int64_t start_ms = clock_boot_ms(), answered_ms = start_ms;
    bool done = false;
    int rv = 0;
    progress_init(&m->progress, stdout);
    while (rv == 0 && !done) {
        struct task_list_reply tasks;
        int64_t now_ms = clock_boot_ms();
        rv = cli_call(m->cli, "task.list", &(struct filter_request){.name = m->name}, &tasks, err);
        if (rv == 0) {
            answered_ms = now_ms;
            rv = look(m, &tasks, &done, err);
            record_release(&task_list_reply_type, &tasks);
        } else if (cli_may_retry(rv) && now_ms - answered_ms < AWAY_MS) {
            rv = 0;
        }
        char after[UNITS_TEXT];
        if (rv == 0 && !done && now_ms - start_ms >= timeout_ms)
            rv = err_set(err, ERR_TIMEOUT,
                         "%s has not moved after %s; it goes on in the background: 'wherry ps' "
                         "shows how",
                         m->name, units_duration(timeout_ms, after));
        else if (rv == 0 && !done)
            nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
    progress_end(&m->progress);
    return rv;
}

/* The task that is to go, as it is now. */
static int find_old(struct cli *cli, char *name, struct moving *m, struct err *err)
{
    struct task_list_reply tasks;
    if (cli_call(cli, "task.list", &(struct filter_request){.name = name}, &tasks, err) < 0)
        return err->code;
    const struct task_info *old = find(&tasks, "run", 0);
    if (old) {
        m->task_id = old->id;
        m->from = str_copy(old->node);
    }
    record_release(&task_list_reply_type, &tasks);
    return 0;
}

static int run_move(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct move_options *o = options;
    struct empty reply;
    struct moving m = {.cli = cli, .name = words[0]};
    struct task_move_request request = {.name = words[0],
                                        .node = words_n > 1 ? words[1] : (char *)(uintptr_t) ""};
    int rv = find_old(cli, words[0], &m, err);
    if (rv == 0)
        rv = cli_call(cli, "task.move", &request, &reply, err);
    if (rv == 0 && o->detach)
        printf("%s moves%s%s; 'wherry ps' shows how far it is.\n", words[0],
               words_n > 1 ? " to " : "", words_n > 1 ? words[1] : "");
    else if (rv == 0)
        rv = await(&m, o->timeout_ms ? o->timeout_ms : TIMEOUT_DEFAULT_MS, err);
    free(m.from);
    return rv;
}

const struct command command_move = {
    .name = "move",
    .usage = "[--detach] [--timeout DURATION] STACK.SERVICE.SLOT [MEMBER]",
    .summary = "have a task run on another member",
    .details = "Its successor is there first: the task ends when that one serves. Without MEMBER\n"
               "the scheduler chooses. Where it does not fit it stays, and why is said.",
    .examples = "  wherry move app.web.2 n3\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct move_options, ARG_FLAG, detach, 'd', "detach", NULL, "do not wait"),
            ARG_OPTION(struct move_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
                       "how long to wait (default 5m)"),
            ARG_END,
        },
    .options_size = sizeof(struct move_options),
    .words_min = 1,
    .words_max = 2,
    .run = run_move,
};
