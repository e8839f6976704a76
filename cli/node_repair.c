/* SPDX-License-Identifier: Apache-2.0 */
/* node repair: a new log for this machine's member. */
#include "cli/cli.h"
#include "cli/node_set.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>

static int run_repair(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    struct empty reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "node.repair", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    puts("The others are asked for a new log; 'wherry status' says how far it is.");
    return 0;
}

const struct command node_repair = {
    .name = "repair",
    .usage = "",
    .summary = "replace this machine's copy of the log by one from the other members",
    .details =
        "Replace the log of this machine's member by one from the others. Its name, containers\n"
        "and volumes stay as they are; the old log is set aside as raft.damaged-N below --data,\n"
        "where the last two are kept. A member that finds its log damaged does this by itself;\n"
        "the command is for one that waits for the others ('wherry status' says so), or whose\n"
        "disk is not trusted any more. On the machine's own socket only.",
    .examples = "  wherry node repair\n",
    .run = run_repair,
};
