/* SPDX-License-Identifier: Apache-2.0 */
/* container logs: what one container wrote. 'wherry logs' is the same for whole services. */
#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/container.h"
#include "cli/logline.h"
#include "cli/logprint.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WAIT_MS = 20000,
    ANSWER_MS = 20000, /* above the wait */
};

struct logs_options {
    const char *node;
    bool follow;
    struct arg_number tail;
    bool times;
};

static void print_lines(struct log_printer *printer, struct logjoin *join, const char *name,
                        bool last)
{
    while (last ? logjoin_last(join) : logjoin_next(join))
        log_printer_line(printer, name, join->time, join->text.data, join->text.len);
    fflush(stdout);
}

static int run_logs(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct logs_options *o = options;
    struct container_logs_request request = {.node = TEXT(o->node),
                                             .container = words[0],
                                             .has_tail = o->tail.given,
                                             .tail = o->tail.value};
    struct log_printer printer;
    struct logjoin join = {0};
    bool over = false;
    int rv = 0;
    (void)words_n;
    log_printer_init(&printer, o->times, false, false);
    while (!over && rv == 0) {
        struct logs_reply reply;
        rv = cli_call_within(cli, "container.logs", &request, &reply, WAIT_MS + ANSWER_MS, err);
        if (rv < 0)
            break;
        logjoin_add(&join, reply.lines.data, reply.lines.len);
        request.run = reply.run;
        request.file = reply.file;
        request.offset = reply.offset;
        request.has_tail = request.has_tail && reply.run == 0;
        over = !reply.more && (reply.ended || !o->follow);
        request.wait_ms = reply.more || !o->follow ? 0 : WAIT_MS;
        record_release(&logs_reply_type, &reply);
        print_lines(&printer, &join, words[0], over);
    }
    logjoin_release(&join);
    log_printer_release(&printer);
    return rv;
}

const struct command command_container_logs = {
    .name = "logs",
    .usage = "[-f] [--tail N] [-t] [--node NAME] CONTAINER",
    .summary = "show what a container has written",
    .details = "Show what one container has written, of the runs that are kept. With -f until its\n"
               "run ends; 'wherry logs -f' follows a service over restarts and "
               "machines.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container logs --tail 20 t42\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct logs_options, ARG_FLAG, follow, 'f', "follow", NULL,
                       "go on with what it writes from now on"),
            ARG_OPTION(struct logs_options, ARG_NUMBER, tail, 'n', "tail", "N",
                       "only the last N lines"),
            ARG_OPTION(struct logs_options, ARG_FLAG, times, 't', "timestamps", NULL,
                       "with the time of each line"),
            CONTAINER_NODE(struct logs_options),
            ARG_END,
        },
    .options_size = sizeof(struct logs_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_logs,
};
