/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    START_MS = 90000,
    STATUS_NOT_FOUND = 127, /* as shells have it */
    STATUS_NOT_STARTED = 126,
};

struct exec_options {
    bool interactive;
    bool tty;
    bool privileged;
    const char *user;
    const char *dir;
    struct arg_texts env;
    const char *node;
};

static void draw_name(char name[SESSION_NAME_LEN + 1])
{
    unsigned char bytes[SESSION_NAME_LEN / 2];
    random_bytes(bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), name);
}

static bool names(const struct arg_texts *env, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < env->n; i++)
        if (strncmp(env->items[i], key, len) == 0 && env->items[i][len] == '=')
            return true;
    return false;
}

/* The command, which is not run: as a shell says it. */
static int not_started(struct cli *cli, const struct err *err)
{
    bool missing = strstr(err->msg, "not found") || strstr(err->msg, "No such file") ||
                   strstr(err->msg, "no such file");
    cli_warn("%s", err->msg);
    cli->exit_status = missing ? STATUS_NOT_FOUND : STATUS_NOT_STARTED;
    return 0;
}

static int start(struct cli *cli, const struct exec_options *o, int words_n, char **words,
                 struct session_started *ret, struct err *err)
{
    char name[SESSION_NAME_LEN + 1];
    cleanup_free char *container = NULL;
    cleanup_free char **env = mem_alloc(o->env.n + 1, sizeof(*env));
    cleanup_free char *term = NULL;
    struct exec_request request = {.name = name,
                                   .argv = words + 1,
                                   .argv_n = (size_t)words_n - 1,
                                   .environment = env,
                                   .user = (char *)(uintptr_t)str_or_empty(o->user),
                                   .working_dir = (char *)(uintptr_t)str_or_empty(o->dir),
                                   .node = (char *)(uintptr_t)o->node,
                                   .tty = o->tty,
                                   .stdin_open = o->interactive,
                                   .privileged = o->privileged};
    for (size_t i = 0; i < o->env.n; i++)
        env[request.environment_n++] = (char *)(uintptr_t)o->env.items[i];
    if (o->tty && getenv("TERM") && !names(&o->env, "TERM")) {
        term = str_printf("TERM=%s", getenv("TERM"));
        env[request.environment_n++] = term;
    }
    draw_name(name);
    if (o->tty)
        terminal_size(&request.rows, &request.columns);
    int rv = session_find_task(cli, words[0], o->node, &request.task_id, &container, err);
    request.container = container;
    return rv < 0 ? rv : cli_call_within(cli, "exec.start", &request, ret, START_MS, err);
}

static int run_exec(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct exec_options *o = options;
    struct session_started started;
    if (o->tty && o->interactive && !isatty(STDIN_FILENO))
        return err_set(err, ERR_INVALID,
                       "standard input is no terminal: leave out -t, or run this in one");
    int rv = start(cli, o, words_n, words, &started, err);
    if (rv == ERR_FAILED)
        return not_started(cli, err);
    if (rv < 0)
        return rv;
    struct session_options session = {
        .raw = o->tty && o->interactive, .input = o->interactive, .close_input = !o->tty};
    enum session_end end;
    int code;
    rv = session_run(cli, &started, &session, &end, &code, err);
    record_release(&session_started_type, &started);
    if (rv < 0)
        return rv;
    if (end == SESSION_OVER && code < 0)
        return err_set(err, ERR_UNKNOWN, "the command ended, and how is not known");
    cli->exit_status = end == SESSION_SIGNAL ? 128 + code : code;
    return 0;
}

const struct command command_exec = {
    .name = "exec",
    .usage = "[-it] [-u USER] [-w DIR] [-e KEY=VALUE] [--node NAME] CONTAINER COMMAND...",
    .summary = "run a command in a task's container",
    .details =
        "Run a command in the container of a task, wherever it is; of a service, in its first\n"
        "task that runs. Its exit status is this program's. It ends when this program does.\n"
        "What follows the task's name is the command's, options too. A container of no stack is\n"
        "called by its name or id, on the called machine or the one that --node names.",
    .examples = "  wherry exec shop.web cat /etc/hosts\n"
                "  wherry exec -it web.2 sh\n"
                "  wherry exec -i -u postgres shop.db psql <dump.sql\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct exec_options, ARG_FLAG, interactive, 'i', "interactive", NULL,
                       "give it this program's standard input"),
            ARG_OPTION(struct exec_options, ARG_FLAG, tty, 't', "tty", NULL, "in a terminal"),
            ARG_OPTION(struct exec_options, ARG_TEXT, user, 'u', "user", "USER",
                       "as USER or USER:GROUP, names or numbers"),
            ARG_OPTION(struct exec_options, ARG_TEXT, dir, 'w', "workdir", "DIR", "in folder DIR"),
            ARG_OPTION(struct exec_options, ARG_TEXTS, env, 'e', "env", "KEY=VALUE",
                       "with this in its environment"),
            ARG_OPTION(struct exec_options, ARG_FLAG, privileged, 0, "privileged", NULL,
                       "with all capabilities; for admins"),
            ARG_OPTION(struct exec_options, ARG_TEXT, node, 0, "node", "NAME",
                       "the member whose container it is"),
            ARG_END,
        },
    .options_size = sizeof(struct exec_options),
    .words_min = 2,
    .words_max = -1,
    .own_words = 1,
    .run = run_exec,
};
