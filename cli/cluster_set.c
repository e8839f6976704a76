/* SPDX-License-Identifier: Apache-2.0 */
/* cluster inspect and set: what holds for the cluster as a whole. */
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct cluster_info info;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "cluster.inspect", &(struct empty){0}, &info, err) < 0)
        return err->code;
    cli_print_json_one(&cluster_info_type, &info);
    record_release(&cluster_info_type, &info);
    return 0;
}

static const struct command cluster_inspect = {
    .name = "inspect",
    .usage = "[--stale]",
    .summary = "show the settings of the cluster, as JSON",
    .examples = "  wherry cluster inspect\n",
    .json = true,
    .stale = true,
    .run = run_inspect,
};

static bool is_setting(const char *word, size_t len, const char *name)
{
    return len == strlen(name) && strncmp(word, name, len) == 0;
}

/* Read "spread=zone" or "rebalance=off" into @request. */
static int parse(const char *word, struct cluster_set_request *request, struct err *err)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : 0;
    if (!equals)
        return err_set(err, ERR_INVALID, "'%.60s' is not SETTING=VALUE, such as spread=zone", word);
    if (is_setting(word, len, "spread")) {
        request->set_spread = true;
        request->spread = (char *)(uintptr_t)(equals + 1);
        return 0;
    }
    if (!is_setting(word, len, "rebalance"))
        return err_set(err, ERR_INVALID, "there is no setting '%.*s': spread and rebalance are",
                       (int)len, word);
    request->set_rebalance = true;
    request->rebalance = strcmp(equals + 1, "on") == 0;
    if (!request->rebalance && strcmp(equals + 1, "off") != 0)
        return err_set(err, ERR_INVALID, "rebalance is on or off, not '%.40s'", equals + 1);
    return 0;
}

static int run_set(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct cluster_set_request request = {0};
    struct empty reply;
    (void)options;
    for (int i = 0; i < words_n; i++)
        if (parse(words[i], &request, err) < 0)
            return err->code;
    if (cli_call(cli, "cluster.set", &request, &reply, err) < 0)
        return err->code;
    if (request.set_spread && *request.spread)
        printf("Voters are spread over the values of label %s.\n", request.spread);
    else if (request.set_spread)
        printf("Voters are not spread over any label.\n");
    if (request.set_rebalance)
        printf(request.rebalance ? "Tasks move to where there is more room.\n"
                                 : "Tasks stay where they are.\n");
    return 0;
}

static const struct command cluster_set = {
    .name = "set",
    .usage = "SETTING=VALUE...",
    .summary = "change a setting of the cluster",
    .details =
        "Change settings of the cluster:\n\n"
        "  spread=LABEL  spread the members that vote over the values of this node label, so that\n"
        "                the loss of a zone or rack costs as few votes as can be; 'spread=' ends "
        "it\n"
        "  rebalance=on|off  whether tasks move to members that joined or came back (on)",
    .examples = "  wherry cluster set spread=zone\n"
                "  wherry cluster set rebalance=off\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_set,
};

const struct command command_cluster = {
    .name = "cluster",
    .usage = "",
    .summary = "show or change the settings of the cluster",
    .subcommands = (const struct command *const[]){&cluster_inspect, &cluster_set, NULL},
};
