/* SPDX-License-Identifier: Apache-2.0 */
/* container start, stop, restart, rm, prune: of containers of no stack. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/container.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WAIT_MS = 120000, /* beyond the time it has to end */
    UNKNOWN_GRACE_MS = 600000,
};

#define OWN_NAMES                                                                                  \
    "Containers of no stack only, by name or id ('web', 'c-web'); those of tasks are the "         \
    "cluster's."

struct life_options {
    const char *node;
    struct arg_number time_s;
    bool force, dry_run;
};

static int stop_all(struct cli *cli, const struct life_options *o, bool restart, int n,
                    char **words, struct err *err)
{
    for (int i = 0; i < n; i++) {
        struct container_stop_request request = {.node = TEXT(o->node),
                                                 .container = words[i],
                                                 .has_grace = o->time_s.given,
                                                 .grace_ms = o->time_s.value * 1000,
                                                 .restart = restart};
        struct empty reply;
        int64_t grace = o->time_s.given ? request.grace_ms : UNKNOWN_GRACE_MS;
        if (cli_call_within(cli, "container.stop", &request, &reply, grace + WAIT_MS, err) < 0)
            return err->code;
        printf("%s\n", words[i]);
    }
    return 0;
}

static int run_start(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct life_options *o = options;
    for (int i = 0; i < words_n; i++) {
        struct container_request request = {.node = TEXT(o->node), .container = words[i]};
        struct empty reply;
        if (cli_call_within(cli, "container.start", &request, &reply, WAIT_MS, err) < 0)
            return err->code;
        printf("%s\n", words[i]);
    }
    return 0;
}

static int run_stop(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    return stop_all(cli, options, false, words_n, words, err);
}

static int run_restart(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    return stop_all(cli, options, true, words_n, words, err);
}

static int remove_one(struct cli *cli, const char *node, char *container, bool force,
                      struct err *err)
{
    struct container_remove_request request = {
        .node = TEXT(node), .container = container, .force = force};
    struct empty reply;
    return cli_call_within(cli, "container.remove", &request, &reply, WAIT_MS, err);
}

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct life_options *o = options;
    for (int i = 0; i < words_n; i++) {
        if (remove_one(cli, o->node, words[i], o->force, err) < 0)
            return err->code;
        printf("%s\n", words[i]);
    }
    return 0;
}

/* One that was started meanwhile, or is gone, is left out. */
static int run_prune(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct life_options *o = options;
    struct container_request request = {.node = TEXT(o->node)};
    struct container_idle_reply reply;
    int rv = 0;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "container.idle", &request, &reply, err) < 0)
        return err->code;
    for (size_t i = 0; i < reply.ids_n && rv == 0; i++) {
        rv = o->dry_run ? 0 : remove_one(cli, o->node, reply.ids[i], false, err);
        if (rv == 0)
            printf("%s\n", reply.ids[i]);
        else if (rv == ERR_CONFLICT || rv == ERR_NOTFOUND)
            rv = 0;
    }
    record_release(&container_idle_reply_type, &reply);
    return rv;
}

static const struct arg_option node_options[] = {
    CONTAINER_NODE(struct life_options),
    ARG_END,
};

static const struct arg_option stop_options[] = {
    ARG_OPTION(struct life_options, ARG_NUMBER, time_s, 't', "time", "SECONDS",
               "then it is killed (its --stop-timeout, 10)"),
    CONTAINER_NODE(struct life_options),
    ARG_END,
};

const struct command command_container_start = {
    .name = "start",
    .usage = "[--node NAME] CONTAINER...",
    .summary = "start containers that do not run",
    .details = OWN_NAMES,
    .examples = "  wherry container start job\n",
    .options = node_options,
    .options_size = sizeof(struct life_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_start,
};

const struct command command_container_stop = {
    .name = "stop",
    .usage = "[-t SECONDS] [--node NAME] CONTAINER...",
    .summary = "ask containers to end, and kill those that do not",
    .details = "Send its stop signal, and SIGKILL when its time is over. A container that was\n"
               "stopped is not started again by its restart policy, not after a restart of the\n"
               "machine either, before 'wherry container start'.\n\n" OWN_NAMES,
    .examples = "  wherry container stop -t 30 cache\n",
    .options = stop_options,
    .options_size = sizeof(struct life_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_stop,
};

const struct command command_container_restart = {
    .name = "restart",
    .usage = "[-t SECONDS] [--node NAME] CONTAINER...",
    .summary = "stop containers and start them again",
    .details = "Stop as 'wherry container stop' does, then start; what does not run is "
               "started.\n\n" OWN_NAMES,
    .examples = "  wherry container restart cache\n",
    .options = stop_options,
    .options_size = sizeof(struct life_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_restart,
};

const struct command command_container_rm = {
    .name = "rm",
    .usage = "[-f] [--node NAME] CONTAINER...",
    .summary = "remove containers with their files and logs",
    .details = "Remove containers that do not run, with what they wrote, their logs and their\n"
               "anonymous volumes; named volumes stay.\n\n" OWN_NAMES,
    .examples = "  wherry container rm job\n"
                "  wherry container rm -f cache\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct life_options, ARG_FLAG, force, 'f', "force", NULL,
                       "also those that run: they are killed"),
            CONTAINER_NODE(struct life_options),
            ARG_END,
        },
    .options_size = sizeof(struct life_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

const struct command command_container_prune = {
    .name = "prune",
    .usage = "[--dry-run] [--node NAME]",
    .summary = "remove all containers of no stack that do not run",
    .details = "Remove them as 'wherry container rm' does, and print their ids. Those that run, "
               "or wait\nfor their next start, stay.",
    .examples = "  wherry container prune --dry-run\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct life_options, ARG_FLAG, dry_run, 0, "dry-run", NULL,
                       "only print which"),
            CONTAINER_NODE(struct life_options),
            ARG_END,
        },
    .options_size = sizeof(struct life_options),
    .run = run_prune,
};
