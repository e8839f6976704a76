/* SPDX-License-Identifier: Apache-2.0 */
/* deploy and plan: from a Compose file to services that run. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/plan.h"
#include "cli/project.h"
#include "cli/rollout.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TIMEOUT_DEFAULT_MS = 300000,
    CONFLICTS_MAX = 5, /* deploys of others that came between are no reason to give up */
    CONFLICT_PAUSE_NS = 200000000,
};

/* --- plan --------------------------------------------------------------------------------------
 */

struct plan_options {
    const char *file;
    struct arg_texts profiles;
    bool prune;
    bool adopt;
    bool pull;
    bool exit_code;
};

static void print_warnings(char *const *warnings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cli_warn("%s", warnings[i]);
}

static int run_plan(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct plan_options *o = options;
    struct compose_project project;
    struct deploy_request request;
    struct plan_reply plan;
    if (project_load(o->file, words_n ? words[0] : NULL, &o->profiles, &project, err) < 0)
        return err->code;
    project_request(&project, &request);
    request.prune = o->prune;
    request.adopt = o->adopt;
    request.pull = o->pull;
    int rv = cli_call(cli, "stack.plan", &request, &plan, err);
    project_request_release(&request);
    compose_project_release(&project);
    if (rv < 0)
        return rv;
    if (cli->json)
        cli_print_json(&plan_item_type, plan.items, plan.items_n);
    else
        plan_print(&plan, "No changes: the stack is as the file says.");
    print_warnings(plan.warnings, plan.warnings_n);
    cli->exit_status = o->exit_code && plan.changes ? 2 : 0;
    record_release(&plan_reply_type, &plan);
    return 0;
}

const struct command command_plan = {
    .name = "plan",
    .usage = "[-f FILE] [--prune] [--adopt] [--pull] [--exit-code] [--json] [--stale] [STACK]",
    .summary = "show what a deploy would do",
    .details =
        "Show what 'wherry deploy' would change: services by field, and what becomes of each task\n"
        "until all is at rest: place, replace, move, stop, or wait and why. Nothing is changed.",
    .examples = "  wherry plan\n"
                "  wherry plan -f shop/compose.yaml --json\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct plan_options, ARG_TEXT, file, 'f', "file", "FILE",
                       "the Compose file (default: compose.yaml and its like here)"),
            ARG_OPTION(struct plan_options, ARG_TEXTS, profiles, 0, "profile", "NAME",
                       "with the services of this profile too; several"),
            ARG_OPTION(struct plan_options, ARG_FLAG, prune, 0, "prune", NULL,
                       "as a deploy with --prune"),
            ARG_OPTION(struct plan_options, ARG_FLAG, adopt, 0, "adopt", NULL,
                       "as a deploy with --adopt"),
            ARG_OPTION(struct plan_options, ARG_FLAG, pull, 0, "pull", NULL,
                       "as a deploy with --pull"),
            ARG_OPTION(struct plan_options, ARG_FLAG, exit_code, 0, "exit-code", NULL,
                       "end with 2 when there are changes"),
            ARG_END,
        },
    .options_size = sizeof(struct plan_options),
    .words_max = 1,
    .json = true,
    .stale = true,
    .run = run_plan,
};

/* --- deploy ------------------------------------------------------------------------------------
 */

struct deploy_options {
    const char *file;
    struct arg_texts profiles;
    bool prune;
    bool adopt;
    bool pull;
    bool detach;
    bool dry_run;
    int64_t timeout_ms;
};

/* Say what is about to change. A plan that cannot be had is no reason not to deploy: what is wrong
 * with the deploy, the deploy itself says. */
static void announce(struct cli *cli, const struct deploy_request *request)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct plan_reply plan;
    struct table table;
    struct err err;
    struct deploy_request brief = *request;
    brief.brief = true;
    if (cli_call(cli, "stack.plan", &brief, &plan, &err) < 0)
        return;
    table_init(&table, (const char *[]){"", "", "", NULL});
    for (size_t i = 0; i < plan.items_n; i++) {
        const struct plan_item *item = &plan.items[i];
        if (!str_equal(item->action, "create") && !str_equal(item->action, "update") &&
            !str_equal(item->action, "scale") && !str_equal(item->action, "remove"))
            continue;
        table_add(&table, item->action);
        table_add(&table, item->object);
        table_add(&table, item->detail);
    }
    table_print(&table, &out);
    table_release(&table);
    if (!plan.changes)
        buf_printf(&out, "%s: stack %s is as the file says.\n",
                   request->adopt ? "No changes" : "Nothing to do", request->name);
    fputs(str_or_empty(out.data), stdout);
    fflush(stdout);
    record_release(&plan_reply_type, &plan);
}

static int send(struct cli *cli, const struct deploy_request *request, struct deploy_reply *ret,
                struct err *err)
{
    int rv = ERR_CONFLICT;
    for (int i = 0; i < CONFLICTS_MAX && rv == ERR_CONFLICT; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){.tv_nsec = CONFLICT_PAUSE_NS}, NULL);
        rv = cli_call(cli, "stack.deploy", request, ret, err);
    }
    return rv;
}

static void print_left(const char *stack, const struct deploy_reply *reply)
{
    for (size_t i = 0; i < reply->left_n; i++)
        printf("%s.%s is not in the file and stays; --prune removes it\n", stack, reply->left[i]);
    fflush(stdout);
}

static int wait_deployed(struct cli *cli, const struct deploy_options *o,
                         const struct deploy_request *request, int64_t index, struct err *err)
{
    cleanup_free char **names = mem_alloc(request->services_n, sizeof(char *));
    for (size_t i = 0; i < request->services_n; i++)
        names[i] = str_printf("%s.%s", request->name, request->services[i].name);
    int rv = rollout_wait(
        cli,
        &(struct rollout_request){.filter = request->name,
                                  .names = (const char *const *)names,
                                  .names_n = request->services_n,
                                  .removed = o->prune,
                                  .index = index,
                                  .timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_DEFAULT_MS,
                                  .what = "The deploy"},
        err);
    for (size_t i = 0; i < request->services_n; i++)
        free(names[i]);
    return rv;
}

static int run_deploy(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct deploy_options *o = options;
    struct compose_project project;
    struct deploy_request request;
    struct deploy_reply reply;
    if (o->dry_run)
        return run_plan(cli,
                        &(struct plan_options){.file = o->file,
                                               .profiles = o->profiles,
                                               .prune = o->prune,
                                               .adopt = o->adopt,
                                               .pull = o->pull},
                        words_n, words, err);
    if (project_load(o->file, words_n ? words[0] : NULL, &o->profiles, &project, err) < 0)
        return err->code;
    project_request(&project, &request);
    request.prune = o->prune;
    request.adopt = o->adopt;
    request.pull = o->pull;
    announce(cli, &request);
    int rv = send(cli, &request, &reply, err);
    if (rv == 0) {
        print_left(request.name, &reply);
        print_warnings(reply.warnings, reply.warnings_n);
        if (!o->detach)
            rv = wait_deployed(cli, o, &request, reply.index, err);
        record_release(&deploy_reply_type, &reply);
    }
    project_request_release(&request);
    compose_project_release(&project);
    return rv;
}

const struct command command_deploy = {
    .name = "deploy",
    .usage = "[-f FILE] [--prune] [--adopt] [--pull] [--detach | --dry-run] [--timeout DURATION] "
             "[STACK]",
    .summary = "run the services of a Compose file, and wait until they run",
    .details =
        "Make the stack STACK (default: the file's name:, or the folder's name) what the\n"
        "Compose file says, and wait until all services run. Without --prune, services that\n"
        "are no longer in the file stay. What an image's tag stands for is found out once, and\n"
        "all replicas run just that, until the file names another image or --pull asks anew.",
    .examples = "  wherry deploy\n"
                "  wherry deploy -f shop/compose.yaml --prune shop\n"
                "  wherry deploy --detach && wherry ps\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct deploy_options, ARG_TEXT, file, 'f', "file", "FILE",
                       "the Compose file (default: compose.yaml and its like here)"),
            ARG_OPTION(struct deploy_options, ARG_TEXTS, profiles, 0, "profile", "NAME",
                       "with the services of this profile too; several"),
            ARG_OPTION(struct deploy_options, ARG_FLAG, prune, 0, "prune", NULL,
                       "remove services of the stack that are not in the file"),
            ARG_OPTION(struct deploy_options, ARG_FLAG, adopt, 0, "adopt", NULL,
                       "take over a stack that was deployed from another folder"),
            ARG_OPTION(struct deploy_options, ARG_FLAG, pull, 0, "pull", NULL,
                       "ask the registries anew what the images' tags stand for"),
            ARG_OPTION(struct deploy_options, ARG_FLAG, detach, 'd', "detach", NULL, "do not wait"),
            ARG_OPTION(struct deploy_options, ARG_FLAG, dry_run, 0, "dry-run", NULL,
                       "only show what would be done, as 'wherry plan' does"),
            ARG_OPTION(struct deploy_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
                       "how long to wait (default 5m)"),
            ARG_END,
        },
    .options_size = sizeof(struct deploy_options),
    .words_max = 1,
    .run = run_deploy,
};
