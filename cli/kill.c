/* SPDX-License-Identifier: Apache-2.0 */
/* kill: a signal to tasks, wherever they are. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>

struct kill_options {
    const char *signal;
};

/* To each task of @tasks that runs; *@ret_n: how many there were. */
static int signal_all(struct cli *cli, const struct task_list_reply *tasks, const char *signal,
                      size_t *ret_n, struct err *err)
{
    for (size_t i = 0; i < tasks->tasks_n; i++) {
        const struct task_info *t = &tasks->tasks[i];
        cleanup_free char *id = str_printf("t%lld", (long long)t->id);
        struct empty reply;
        struct container_signal_request request = {
            .node = t->node, .container = id, .signal = (char *)(uintptr_t)signal};
        if (t->id == 0 || !str_equal(t->state, "running"))
            continue;
        if (cli_call(cli, "container.signal", &request, &reply, err) < 0)
            return err_wrap(err, "%s on %s", t->name, t->node);
        ++*ret_n;
    }
    return 0;
}

static int run_kill(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct kill_options *o = options;
    for (int i = 0; i < words_n; i++) {
        struct task_list_reply tasks;
        cleanup_free char *name = NULL;
        size_t n = 0;
        if (cli_resolve(cli, words[i], true, &name, err) < 0 ||
            cli_call(cli, "task.list", &(struct filter_request){.name = name}, &tasks, err) < 0)
            return err->code;
        int rv = signal_all(cli, &tasks, o->signal ? o->signal : "", &n, err);
        record_release(&task_list_reply_type, &tasks);
        if (rv == 0 && n == 0)
            rv = err_set(err, ERR_CONFLICT, "no task of %s runs", name);
        if (rv < 0)
            return rv;
    }
    return 0;
}

const struct command command_kill = {
    .name = "kill",
    .usage = "[-s SIGNAL] SERVICE | TASK | STACK...",
    .summary = "send a signal to running tasks",
    .details = "Send SIGKILL, or the signal that is named, to the first process of each task that\n"
               "runs, wherever it is. What ends is run again as its restart policy says.",
    .examples = "  wherry kill -s HUP shop.web\n"
                "  wherry kill shop.web.2\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct kill_options, ARG_TEXT, signal, 's', "signal", "SIGNAL",
                       "by name or number: HUP, SIGUSR1, 9 (KILL)"),
            ARG_END,
        },
    .options_size = sizeof(struct kill_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_kill,
};
