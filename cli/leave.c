/* SPDX-License-Identifier: Apache-2.0 */
/* leave: this machine goes out of its cluster. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/drain.h"
#include "cluster/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ANEW_MS = 60000, /* until the daemon is one of a machine in no cluster */
    POLL_MS = 200,
};

struct leave_options {
    bool yes;
    int64_t timeout_ms;
};

/* Empty this member first. A witness has nothing to move; what has nowhere to go was agreed to. */
static int drain_self(struct cli *cli, const struct leave_options *o, const char *name,
                      struct err *err)
{
    struct node_info node;
    if (cli_call(cli, "node.inspect", &(struct name_request){.name = (char *)(uintptr_t)name},
                 &node, err) < 0)
        return err->code;
    bool witness = str_equal(node.role, "witness");
    record_release(&node_info_type, &node);
    return witness ? 0 : drain_node(cli, name, o->yes, o->timeout_ms, err);
}

static int agree(struct cli *cli, const struct leave_options *o, struct err *err)
{
    struct node_change_reply reply;
    int rv = cli_call(cli, "cluster.leave", &(struct leave_request){0}, &reply, err);
    if (rv < 0)
        return rv;
    if (!o->yes && *str_or_empty(reply.warning))
        rv = confirm(reply.warning, "leave", err);
    record_release(&node_change_reply_type, &reply);
    return rv;
}

/* The daemon starts anew; until then nobody may answer. */
static int wait_until_anew(struct cli *cli, struct err *err)
{
    int64_t end = clock_boot_ms() + ANEW_MS;
    for (;;) {
        struct status_reply s;
        struct err failed;
        if (cli_call(cli, "cluster.status", &(struct empty){0}, &s, &failed) == 0) {
            bool out = !*str_or_empty(s.cluster);
            record_release(&status_reply_type, &s);
            if (out)
                return 0;
        } else {
            client_close(cli->client);
            cli->client = NULL;
        }
        if (clock_boot_ms() >= end)
            return err_set(err, ERR_TIMEOUT,
                           "this machine is no member any more, but its daemon is not done "
                           "removing its containers after %d s: its log says more",
                           ANEW_MS / 1000);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}

static int run_leave(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct leave_options *o = options;
    struct status_reply s;
    struct node_change_reply reply;
    (void)words_n;
    (void)words;
    int rv = cli_call(cli, "cluster.status", &(struct empty){0}, &s, err);
    if (rv < 0)
        return rv;
    if (!*str_or_empty(s.cluster))
        rv = err_set(err, ERR_NOTFOUND, "this machine is in no cluster");
    if (rv == 0)
        rv = agree(cli, o, err);
    if (rv == 0)
        rv = drain_self(cli, o, s.node, err);
    if (rv == 0 && (rv = cli_call(cli, "cluster.leave", &(struct leave_request){.yes = true},
                                  &reply, err)) < 0)
        cli_warn("if it is still a member it is drained: 'wherry node activate %s' lets it take "
                 "tasks again",
                 s.node);
    if (rv == 0) {
        record_release(&node_change_reply_type, &reply);
        rv = wait_until_anew(cli, err);
    }
    if (rv == 0)
        printf("This machine left cluster %s. Its named volumes and images are where they were; "
               "'wherry join' makes it a member again.\n",
               s.cluster);
    record_release(&status_reply_type, &s);
    return rv;
}

const struct command command_leave = {
    .name = "leave",
    .usage = "[--yes] [--timeout DURATION]",
    .summary = "take this machine out of its cluster",
    .details =
        "Take the machine of the called daemon out of its cluster: its tasks are moved elsewhere,\n"
        "leadership is handed on, it is removed, and forgets keys and state. Its daemon is then\n"
        "one of a machine in no cluster, which may join again. Works on the machine itself only.\n"
        "If the members that remain could not lose one more, it says so and asks.",
    .examples = "  wherry leave\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct leave_options, ARG_FLAG, yes, 'y', "yes", NULL,
                       "do not ask, whatever it costs"),
            ARG_OPTION(struct leave_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
                       "how long to wait for its tasks to move (default 5m)"),
            ARG_END,
        },
    .options_size = sizeof(struct leave_options),
    .run = run_leave,
};
