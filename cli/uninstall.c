/* SPDX-License-Identifier: Apache-2.0 */
/* uninstall: a machine is as it was before. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/confirm.h"

#include <stdio.h>

struct uninstall_options {
    const char *data_dir, *run_dir, *cgroup_parent;
    bool keep_volumes, yes;
};

static int run_uninstall(struct cli *cli, const void *options, int words_n, char **words,
                         struct err *err)
{
    const struct uninstall_options *o = options;
    (void)words_n;
    (void)words;
    cleanup_free char *warning = str_printf(
        "All containers of this machine, its images, %s its part of the cluster's state are "
        "deleted.\n"
        "If it is a member still, 'wherry leave' takes it out first; or the others are told "
        "afterwards: 'wherry node rm NAME' there.",
        o->keep_volumes ? "and" : "its volumes and");
    int rv = o->yes ? 0 : confirm(warning, "uninstall", err);
    if (rv == 0)
        rv = cli->program->uninstall(o->data_dir, o->run_dir, o->cgroup_parent, o->keep_volumes,
                                     err);
    if (rv == 0)
        printf(
            "Nothing of wherry is left on this machine but its programs%s%s%s. Forwarding of IPv4 "
            "packets stays turned on.\n",
            o->keep_volumes ? ", and the volumes in " : "",
            o->keep_volumes ? (o->data_dir ? o->data_dir : "/var/lib/wherry") : "",
            o->keep_volumes ? "/volumes" : "");
    return rv;
}

const struct command command_uninstall = {
    .name = "uninstall",
    .usage = "[--yes] [--keep-volumes] [--data DIR] [--run DIR] [--cgroup-parent GROUP]",
    .summary = "take all of wherry off this machine",
    .details =
        "Delete what a daemon made on this machine: containers and their control groups, mounts, "
        "links,\nroutes and firewall rules, images, volumes, its part of the cluster's state. The "
        "daemon must be\nstopped; whether it ended well or was killed does not matter. Programs "
        "stay: who installed them\nremoves them.",
    .examples = "  wherry leave && systemctl stop wherry && wherry uninstall\n"
                "  wherry uninstall --keep-volumes\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct uninstall_options, ARG_FLAG, yes, 'y', "yes", NULL, "do not ask"),
            ARG_OPTION(struct uninstall_options, ARG_FLAG, keep_volumes, 0, "keep-volumes", NULL,
                       "leave the volumes where they are"),
            ARG_OPTION(struct uninstall_options, ARG_TEXT, data_dir, 0, "data", "DIR",
                       "the daemon's data folder (/var/lib/wherry)"),
            ARG_OPTION(struct uninstall_options, ARG_TEXT, run_dir, 0, "run", "DIR",
                       "its run folder (/run/wherry)"),
            ARG_OPTION(struct uninstall_options, ARG_TEXT, cgroup_parent, 0, "cgroup-parent",
                       "GROUP", "its control group, if it was given one"),
            ARG_END,
        },
    .options_size = sizeof(struct uninstall_options),
    .local = true,
    .run = run_uninstall,
};
