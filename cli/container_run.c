/* SPDX-License-Identifier: Apache-2.0 */
/* container create and run: a container of no stack. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/container.h"
#include "cli/container_attend.h"
#include "cli/container_options.h"
#include "cli/image_transfer.h"

#include <stdio.h>

enum {
    CREATE_MS = 120000,
};

/* --- make it ---------------------------------------------------------------------------------- */

static int pull(struct cli *cli, const struct container_create_request *r, struct err *err)
{
    struct image_pull_request request = {
        .name = r->spec.image, .node = r->node, .platform = r->spec.platform};
    struct job_reply job;
    struct job_progress done;
    if (cli_call(cli, "image.pull", &request, &job, err) < 0)
        return err->code;
    int rv = image_await_job(cli, job.job, r->node, &done, err);
    if (rv == 0)
        record_release(&job_progress_type, &done);
    record_release(&job_reply_type, &job);
    return rv;
}

/* Is its image there? Else something else that it names was not found. */
static bool has_image(struct cli *cli, const struct container_create_request *r)
{
    struct image_request request = {.name = r->spec.image, .node = r->node};
    struct image_record record;
    struct err err;
    if (cli_call(cli, "image.inspect", &request, &record, &err) < 0)
        return false;
    record_release(&image_record_type, &record);
    return true;
}

/* Make the container, and fetch its image where that is wanted. */
static int create(struct cli *cli, const struct container_create_request *r,
                  struct container_create_reply *ret, struct err *err)
{
    /* Which of its architectures an image here is of is not looked at: it is fetched for one. */
    bool first = r->spec.pull_policy == PULL_ALWAYS ||
                 (*str_or_empty(r->spec.platform) && r->spec.pull_policy != PULL_NEVER);
    int rv = first ? pull(cli, r, err) : 0;
    if (rv == 0)
        rv = cli_call_within(cli, "container.create", r, ret, CREATE_MS, err);
    if (rv != ERR_NOTFOUND || first || r->spec.pull_policy != PULL_MISSING || has_image(cli, r))
        return rv;
    rv = pull(cli, r, err);
    return rv < 0 ? rv : cli_call_within(cli, "container.create", r, ret, CREATE_MS, err);
}

/* --- one that was made --------------------------------------------------------------------- */

struct run {
    struct cli *cli;
    char *node;
    char *id;
    const struct run_options *options;
};

static int remove_it(struct run *run, struct err *err)
{
    struct container_remove_request request = {
        .node = run->node, .container = run->id, .force = true};
    struct empty reply;
    int rv = cli_call_within(run->cli, "container.remove", &request, &reply, CREATE_MS, err);
    return rv == ERR_NOTFOUND ? 0 : rv;
}

static int in_foreground(struct run *run, struct err *err)
{
    struct attended a = {.cli = run->cli,
                         .node = run->node,
                         .id = run->id,
                         .interactive = run->options->interactive,
                         .tty = run->options->tty};
    bool detached;
    int rv = container_attend(&a, &detached, err);
    if (rv < 0 || detached)
        return rv;
    return run->options->remove ? remove_it(run, err) : 0;
}

/* The container's command, which does not run. */
static int not_started(struct run *run, const struct err *err)
{
    struct err ignored;
    cli_warn("%s", err->msg);
    if (run->options->remove)
        remove_it(run, &ignored);
    run->cli->exit_status = container_not_started(err->msg);
    return 0;
}

static int start(struct run *run, struct err *err)
{
    struct container_request request = {.node = run->node, .container = run->id};
    struct empty reply;
    return cli_call_within(run->cli, "container.start", &request, &reply, CREATE_MS, err);
}

/* It was not started, for sure. */
static bool refused(int rv)
{
    return rv == ERR_NOTFOUND || rv == ERR_INVALID || rv == ERR_UNSUPPORTED;
}

/* --- the commands ----------------------------------------------------------------------------- */

static int run_run(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct run_options *o = options;
    struct container_create_request request;
    struct container_create_reply made;
    struct err ignored;
    if (container_check_terminal(!o->detach && o->interactive && o->tty, err) < 0 ||
        run_options_read(o, words_n, words, &request, err) < 0 ||
        run_options_check_alone(&request.spec, err) < 0)
        return err->code;
    int rv = create(cli, &request, &made, err);
    if (rv == 0) {
        struct run run = {.cli = cli, .node = request.node, .id = made.id, .options = o};
        rv = start(&run, err);
        if (rv == ERR_FAILED)
            rv = not_started(&run, err);
        else if (rv == 0 && !o->detach)
            rv = in_foreground(&run, err);
        else if (rv == 0)
            printf("%s\n", made.id);
        else if (o->remove && refused(rv))
            remove_it(&run, &ignored);
        record_release(&container_create_reply_type, &made);
    }
    record_release(&container_create_request_type, &request);
    return rv;
}

static int run_create(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    struct container_create_request request;
    struct container_create_reply made;
    if (run_options_read(options, words_n, words, &request, err) < 0 ||
        run_options_check_alone(&request.spec, err) < 0)
        return err->code;
    request.held = false;
    int rv = create(cli, &request, &made, err);
    if (rv == 0) {
        printf("%s\n", made.id);
        record_release(&container_create_reply_type, &made);
    }
    record_release(&container_create_request_type, &request);
    return rv;
}

#define ABOUT                                                                                      \
    "A container of its own belongs to no stack: it stays on its machine, the called one or the\n" \
    "one that --node names, which need not be a member of a cluster. Its restart policy brings\n"  \
    "it back after the daemon's restart and the machine's; one that was stopped by hand stays\n"   \
    "so. Its network is none, or with --network host the machine's: networks, published ports\n"   \
    "and names are those of stacks (wherry deploy). Only admins may."

const struct command command_container_run = {
    .name = "run",
    .usage = "[-d] [--rm] [-it] [--name NAME] [OPTION]... IMAGE [COMMAND...]",
    .summary = "run a command in a new container of its own",
    .details =
        "Make a container and start it. Without -d show what it writes, hand signals on to it and\n"
        "exit with its exit code (126, 127: its command could not be run; 125: not known); with\n"
        "-i and a terminal ctrl-p ctrl-q leaves it running. With -d print its id.\n\n" ABOUT,
    .examples =
        "  wherry container run --rm -it busybox sh\n"
        "  wherry container run -d --name cache --restart always --network host redis:7\n"
        "  wherry container run --rm -v data:/data -v /srv/in:/in:ro app:1 import /in/all.csv\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct run_options, ARG_FLAG, detach, 'd', "detach", NULL,
                       "do not wait for its end: print its id"),
            RUN_OPTIONS,
            ARG_END,
        },
    .options_size = sizeof(struct run_options),
    .words_min = 1,
    .words_max = -1,
    .own_words = 1,
    .run = run_run,
};

const struct command command_container_create = {
    .name = "create",
    .usage = "[--name NAME] [OPTION]... IMAGE [COMMAND...]",
    .summary = "make a container of its own, to be started later",
    .details =
        "Make a container as 'wherry container run' does, print its id and leave it.\n\n" ABOUT,
    .examples = "  wherry container create --name job -e MODE=full app:1\n"
                "  wherry container start job\n",
    .options = (const struct arg_option[]){RUN_OPTIONS, ARG_END},
    .options_size = sizeof(struct run_options),
    .words_min = 1,
    .words_max = -1,
    .own_words = 1,
    .run = run_create,
};
