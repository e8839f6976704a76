/* SPDX-License-Identifier: Apache-2.0 */
/* node drain, pause, activate, rm: what members are for, and that they are no more. */
#include "cli/node_set.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/confirm.h"
#include "cli/drain.h"
#include "cli/plan.h"

#include <stdio.h>
#include <stdlib.h>

struct drain_options {
    bool yes;
    bool detach;
    bool dry_run;
    int64_t timeout_ms;
};

static int set(struct cli *cli, const char *name, const char *availability, bool yes,
               struct node_change_reply *ret, struct err *err)
{
    struct node_set_request request = {.name = (char *)(uintptr_t)name,
                                       .availability = (char *)(uintptr_t)availability,
                                       .yes = yes};
    return cli_call(cli, "node.set", &request, ret, err);
}

static int run_drain(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct drain_options *o = options;
    (void)words_n;
    if (o->dry_run)
        return plan_foresee(
            cli, &(struct dry_run_request){.action = (char *)(uintptr_t) "drain", .name = words[0]},
            err);
    if (o->detach)
        return drain_begin(cli, words[0], o->yes, err);
    return drain_node(cli, words[0], o->yes, o->timeout_ms, err);
}

const struct command node_drain = {
    .name = "drain",
    .usage = "[--yes] [--detach | --dry-run [--json]] [--timeout DURATION] NODE",
    .summary = "have a member's tasks moved elsewhere, and wait until it is empty",
    .details =
        "Have the tasks of a member moved to others, and wait until nothing is left on it. Of a\n"
        "service, no more tasks move at once than an update may replace; where nothing speaks\n"
        "against it, the new one runs before the old one is stopped. The member takes no new\n"
        "tasks until 'wherry node activate'. If tasks have nowhere to go, it says why and asks.",
    .examples = "  wherry node drain n2\n"
                "  wherry node drain --yes --timeout 10m n2\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct drain_options, ARG_FLAG, yes, 'y', "yes", NULL,
                       "do not ask: tasks that have nowhere to go stop"),
            ARG_OPTION(struct drain_options, ARG_FLAG, detach, 'd', "detach", NULL, "do not wait"),
            ARG_OPTION(struct drain_options, ARG_FLAG, dry_run, 0, "dry-run", NULL,
                       "only show what would become of its tasks"),
            ARG_OPTION(struct drain_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
                       "how long to wait (default 5m)"),
            ARG_END,
        },
    .options_size = sizeof(struct drain_options),
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .run = run_drain,
};

static int run_pause(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    struct node_change_reply reply;
    (void)options;
    (void)words_n;
    if (set(cli, words[0], "pause", true, &reply, err) < 0)
        return err->code;
    printf("%s keeps its tasks and takes no new ones.\n", words[0]);
    record_release(&node_change_reply_type, &reply);
    return 0;
}

const struct command node_pause = {
    .name = "pause",
    .usage = "NODE",
    .summary = "give a member no new tasks; it keeps those it has",
    .examples = "  wherry node pause n2\n",
    .words_min = 1,
    .words_max = 1,
    .run = run_pause,
};

static int run_activate(struct cli *cli, const void *options, int words_n, char **words,
                        struct err *err)
{
    struct node_change_reply reply;
    (void)options;
    (void)words_n;
    if (set(cli, words[0], "active", true, &reply, err) < 0)
        return err->code;
    printf("%s takes tasks.\n", words[0]);
    record_release(&node_change_reply_type, &reply);
    return 0;
}

const struct command node_activate = {
    .name = "activate",
    .usage = "NODE",
    .summary = "let a member take tasks again, after drain or pause",
    .details = "Let a member take tasks again, after drain or pause. What was moved does not come\n"
               "back by itself.",
    .examples = "  wherry node activate n2\n",
    .words_min = 1,
    .words_max = 1,
    .run = run_activate,
};

/* --- rm ----------------------------------------------------------------------------------------
 */

struct rm_options {
    bool force;
    bool yes;
};

static int remove_node(struct cli *cli, const char *name, bool force, bool yes, struct err *err)
{
    struct node_remove_request request = {
        .name = (char *)(uintptr_t)name, .force = force, .yes = yes};
    struct node_change_reply reply;
    if (cli_call(cli, "node.remove", &request, &reply, err) < 0)
        return err->code;
    int rv = 0;
    if (!reply.done) {
        cleanup_free char *what = str_printf("remove %s", name);
        rv = confirm(str_or_empty(reply.warning), what, err);
        if (rv == 0)
            rv = remove_node(cli, name, force, true, err);
    }
    record_release(&node_change_reply_type, &reply);
    return rv;
}

/* Whether it has held the cluster's keys: all do but witnesses. */
static bool holds_keys(struct cli *cli, const char *name)
{
    struct node_info node;
    struct err err;
    if (cli_call(cli, "node.inspect", &(struct name_request){.name = (char *)(uintptr_t)name},
                 &node, &err) < 0)
        return false;
    bool holds = !str_equal(node.role, "witness");
    record_release(&node_info_type, &node);
    return holds;
}

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct rm_options *o = options;
    bool held = holds_keys(cli, words[0]);
    (void)words_n;
    if (remove_node(cli, words[0], o->force, o->yes, err) < 0)
        return err->code;
    printf("%s is no member any more.\n", words[0]);
    if (held)
        printf(
            "It knew the cluster key and the CA's key. Unless its disk is safe or wiped, replace\n"
            "both:\n\n  wherry key rotate\n  wherry ca rotate\n");
    return 0;
}

const struct command node_rm = {
    .name = "rm",
    .usage = "[--force] [--yes] NODE",
    .summary = "remove a member for good; its tasks go elsewhere",
    .details =
        "Remove a member for good. Its tasks are started elsewhere. The machine comes back only\n"
        "as a new member: by 'wherry join', once the --data folder of its daemon was deleted.\n"
        "'wherry leave' on the member itself is the gentle way. If the members that remain could\n"
        "not lose one more, it says so and asks.",
    .examples = "  wherry node rm n3\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct rm_options, ARG_FLAG, force, 'f', "force", NULL,
                       "also when it is up"),
            ARG_OPTION(struct rm_options, ARG_FLAG, yes, 'y', "yes", NULL,
                       "do not ask, whatever it costs"),
            ARG_END,
        },
    .options_size = sizeof(struct rm_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_rm,
};
