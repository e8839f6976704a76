/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/session.h"

#include <unistd.h>

struct attach_options {
    bool no_stdin;
    bool close_stdin;
    bool kept;
    const char *node;
};

static int run_attach(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct attach_options *o = options;
    (void)words_n;
    struct attach_request request = {.place = o->kept ? ATTACH_FROM_KEPT : ATTACH_FROM_NOW,
                                     .node = (char *)(uintptr_t)o->node};
    struct session_started started;
    cleanup_free char *container = NULL;
    int rv = session_find_task(cli, words[0], o->node, &request.task_id, &container, err);
    request.container = container;
    if (rv < 0 || (rv = cli_call(cli, "attach.start", &request, &started, err)) < 0)
        return rv;
    bool input = started.has_input && !o->no_stdin;
    bool terminal = input && isatty(STDIN_FILENO);
    struct session_options session = {.raw = terminal && started.tty,
                                      .input = input,
                                      .close_input = o->close_stdin,
                                      .detach_keys = terminal,
                                      .attach = &request};
    enum session_end end;
    int code;
    rv = session_run(cli, &started, &session, &end, &code, err);
    record_release(&session_started_type, &started);
    if (rv < 0)
        return rv;
    if (end == SESSION_SIGNAL)
        cli->exit_status = 128 + code;
    else if (end == SESSION_OVER && code >= 0)
        cli->exit_status = code;
    return 0;
}

const struct command command_attach = {
    .name = "attach",
    .usage = "[--no-stdin] [--node NAME] TASK | SERVICE | CONTAINER",
    .summary = "see what a task writes, and type into it",
    .details =
        "Show what a task writes from now on, wherever it is. If its service has stdin_open what\n"
        "is typed goes to it; with tty also in a terminal. ctrl-p ctrl-q leaves, and the task "
        "goes\n"
        "on; so does it when this program is ended. Several may be attached at once. Exits with "
        "the\n"
        "container's exit status when that ends.",
    .examples = "  wherry attach shop.console\n"
                "  echo reload | wherry attach shop.game.1\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct attach_options, ARG_FLAG, no_stdin, 0, "no-stdin", NULL,
                       "do not type into it"),
            ARG_OPTION(struct attach_options, ARG_FLAG, close_stdin, 0, "close-stdin", NULL,
                       "the end of standard input is the end of its own"),
            ARG_OPTION(struct attach_options, ARG_FLAG, kept, 0, "recent", NULL,
                       "first what it wrote last, at most 64 KiB"),
            ARG_OPTION(struct attach_options, ARG_TEXT, node, 0, "node", "NAME",
                       "the member whose container it is"),
            ARG_END,
        },
    .options_size = sizeof(struct attach_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_attach,
};
