/* SPDX-License-Identifier: Apache-2.0 */
/* container diff, commit, checkpoint: what a container made of its own. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/compose_reader.h"
#include "cli/container.h"
#include "cli/container_job.h"
#include "cli/progress.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MS = 1000,
    ANSWER_MS = 40000,
};

/* --- jobs --------------------------------------------------------------------------------------
 */

int container_job_run(struct cli *cli, const char *verb, const void *request,
                      struct container_job_reply *ret, struct err *err)
{
    const struct container_request *about = request; /* each begins so */
    struct job_reply job;
    struct container_job_reply reply;
    struct progress progress;
    if (cli_call(cli, verb, request, &job, err) < 0)
        return err->code;
    struct container_job_request look = {
        .node = about->node, .container = about->container, .job = job.job, .wait_ms = WAIT_MS};
    progress_init(&progress, stderr);
    int rv;
    while ((rv = cli_call_within(cli, "container.job", &look, &reply, ANSWER_MS, err)) == 0 &&
           !reply.done) {
        if (progress.terminal && *str_or_empty(reply.text))
            progress_show(&progress, &reply.text, 1);
        record_release(&container_job_reply_type, &reply);
    }
    progress_clear(&progress);
    progress_end(&progress);
    record_release(&job_reply_type, &job);
    if (rv == 0 && reply.code != 0) {
        rv = err_set(err, err_from_wire((long)reply.code), "%s", str_or_empty(reply.message));
        record_release(&container_job_reply_type, &reply);
    }
    if (rv == 0)
        *ret = reply;
    return rv;
}

/* --- diff --------------------------------------------------------------------------------------
 */

struct node_options {
    const char *node;
};

static int run_diff(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct node_options *o = options;
    struct container_request request = {.node = TEXT(o->node), .container = words[0]};
    struct container_diff_reply reply;
    (void)words_n;
    if (cli_call(cli, "container.diff", &request, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&container_change_info_type, reply.changes, reply.changes_n);
    for (size_t i = 0; !cli->json && i < reply.changes_n; i++) {
        cleanup_buf struct buf line = BUF_INIT;
        text_clean(reply.changes[i].path, &line);
        printf("%s %s\n", reply.changes[i].kind, line.data);
    }
    if (reply.cut)
        cli_warn("there are more changes than are shown");
    record_release(&container_diff_reply_type, &reply);
    return 0;
}

const struct command command_container_diff = {
    .name = "diff",
    .usage = "[--node NAME] [--json] CONTAINER",
    .summary = "list what a container changed of its image's files",
    .details = "List the files that a container added (A), changed (C) or deleted (D), by its\n"
               "writable layer; what is in its volumes is no part of it.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container diff shop.web.2\n",
    .options =
        (const struct arg_option[]){
            CONTAINER_NODE(struct node_options),
            ARG_END,
        },
    .options_size = sizeof(struct node_options),
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .run = run_diff,
};

/* --- commit ------------------------------------------------------------------------------------
 */

struct commit_options {
    const char *node;
    const char *author;
    const char *message;
    bool no_pause;
    const char *entrypoint;
    const char *command;
    struct arg_texts env;
    struct arg_texts labels;
    const char *working_dir;
    const char *user;
};

/* A JSON array would need a parser here: words, as a shell splits them. */
static int take_words(const char *name, const char *text, bool *set, char ***list, size_t *n,
                      struct err *err)
{
    if (!text)
        return 0;
    *set = true;
    int rv = compose_split(text, list, n, err);
    return rv < 0 ? err_wrap(err, "--%s", name) : 0;
}

static int run_commit(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct commit_options *o = options;
    struct container_commit_request request = {
        .node = str_copy(o->node),
        .container = str_copy(words[0]),
        .name = str_copy(words[1]),
        .author = str_copy(o->author),
        .message = str_copy(o->message),
        .no_pause = o->no_pause,
        .working_dir = str_copy(o->working_dir),
        .user = str_copy(o->user),
    };
    struct container_job_reply reply;
    (void)words_n;
    for (size_t i = 0; i < o->env.n; i++)
        compose_strings_add(&request.env, &request.env_n, str_copy(o->env.items[i]));
    for (size_t i = 0; i < o->labels.n; i++)
        compose_strings_add(&request.labels, &request.labels_n, str_copy(o->labels.items[i]));
    int rv = take_words("entrypoint", o->entrypoint, &request.entrypoint_set, &request.entrypoint,
                        &request.entrypoint_n, err);
    if (rv == 0)
        rv = take_words("cmd", o->command, &request.command_set, &request.command,
                        &request.command_n, err);
    for (size_t i = 0; rv == 0 && i < request.env_n; i++)
        if (!strchr(request.env[i], '='))
            rv = err_set(err, ERR_INVALID, "--env %.60s: not NAME=VALUE", request.env[i]);
    if (rv == 0)
        rv = container_job_run(cli, "container.commit", &request, &reply, err);
    if (rv == 0) {
        printf("%s\n", cli->quiet ? reply.digest : reply.name);
        record_release(&container_job_reply_type, &reply);
    }
    record_release(&container_commit_request_type, &request);
    return rv;
}

const struct command command_container_commit = {
    .name = "commit",
    .usage = "[OPTIONS] CONTAINER IMAGE",
    .summary = "make an image of a container",
    .details =
        "Make an image on the container's member: its image, and on top what it changed. It is\n"
        "paused meanwhile. What is in its volumes is no part of it. With -q the digest is\n"
        "printed instead of the name.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container commit shop.web.2 web:fixed\n"
                "  wherry container commit --env DEBUG=1 --cmd 'sh -x /run.sh' t42 web:debug\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct commit_options, ARG_TEXT, entrypoint, 0, "entrypoint", "WORDS",
                       "its entrypoint, split as a shell does (without --cmd there is no command)"),
            ARG_OPTION(struct commit_options, ARG_TEXT, command, 0, "cmd", "WORDS",
                       "its command, likewise"),
            ARG_OPTION(struct commit_options, ARG_TEXTS, env, 'e', "env", "NAME=VALUE",
                       "an environment variable"),
            ARG_OPTION(struct commit_options, ARG_TEXTS, labels, 'l', "label", "NAME=VALUE",
                       "a label"),
            ARG_OPTION(struct commit_options, ARG_TEXT, working_dir, 'w', "workdir", "PATH",
                       "where it begins"),
            ARG_OPTION(struct commit_options, ARG_TEXT, user, 'u', "user", "USER",
                       "whom it runs as"),
            ARG_OPTION(struct commit_options, ARG_TEXT, author, 'a', "author", "TEXT",
                       "who made it"),
            ARG_OPTION(struct commit_options, ARG_TEXT, message, 'm', "message", "TEXT",
                       "what it is, in the image's history"),
            ARG_OPTION(struct commit_options, ARG_FLAG, no_pause, 0, "no-pause", NULL,
                       "do not pause it: files that change meanwhile may be torn"),
            CONTAINER_NODE(struct commit_options),
            ARG_END,
        },
    .options_size = sizeof(struct commit_options),
    .words_min = 2,
    .words_max = 2,
    .quiet = true,
    .run = run_commit,
};

/* --- checkpoint --------------------------------------------------------------------------------
 */

struct checkpoint_options {
    const char *node;
    bool leave_running;
};

static int run_checkpoint(struct cli *cli, const void *options, int words_n, char **words,
                          struct err *err)
{
    const struct checkpoint_options *o = options;
    struct container_checkpoint_request request = {.node = TEXT(o->node),
                                                   .container = words[0],
                                                   .name = words[1],
                                                   .leave_running = o->leave_running};
    struct container_job_reply reply;
    (void)words_n;
    int rv = container_job_run(cli, "container.checkpoint", &request, &reply, err);
    if (rv < 0)
        return rv;
    printf("%s\n", words[1]);
    record_release(&container_job_reply_type, &reply);
    return 0;
}

const struct command command_container_checkpoint = {
    .name = "checkpoint",
    .usage = "[--leave-running] [--node NAME] CONTAINER NAME",
    .summary = "write the processes of a container to disk, where CRIU can",
    .details =
        "Have the OCI runtime write a checkpoint of a running container. It takes CRIU, an OCI\n"
        "runtime that is built for it and a kernel that lets it; where that is not so the reason\n"
        "is said and the container runs on. A checkpoint is not started again by wherry "
        "yet.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container checkpoint --leave-running shop.web.2 before\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct checkpoint_options, ARG_FLAG, leave_running, 0, "leave-running", NULL,
                       "do not end it"),
            CONTAINER_NODE(struct checkpoint_options),
            ARG_END,
        },
    .options_size = sizeof(struct checkpoint_options),
    .words_min = 2,
    .words_max = 2,
    .run = run_checkpoint,
};
