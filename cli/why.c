/* SPDX-License-Identifier: Apache-2.0 */
/* why: what of services is not as it should be, and for what cause. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

static void print_items(const struct why_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    table_init(&table, (const char *[]){"WHAT", "NODE", "STATE", "CAUSE", NULL});
    for (size_t i = 0; i < reply->items_n; i++) {
        const struct why_item *item = &reply->items[i];
        table_add(&table, item->object);
        table_add(&table, item->node);
        table_add(&table, item->state);
        table_add(&table, item->cause);
    }
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
    for (size_t i = 0; i < reply->items_n; i++) {
        const char *advice = str_or_empty(reply->items[i].advice);
        bool said = false;
        for (size_t k = 0; k < i; k++)
            said |= str_equal(reply->items[k].advice, advice);
        if (*advice && !said)
            printf("%s\n", advice);
    }
    if (reply->cut)
        printf("There is more: ask for one service.\n");
}

static int run_why(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct why_reply reply;
    cleanup_free char *name = NULL;
    (void)options;
    if (words_n > 0 && cli_resolve(cli, words[0], true, &name, err) < 0)
        return err->code;
    struct filter_request request = {.name = name ? name : (char *)(uintptr_t) ""};
    if (cli_call(cli, "service.why", &request, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&why_item_type, reply.items, reply.items_n);
    else if (reply.items_n == 0)
        printf("All is as it should be.\n");
    else
        print_items(&reply);
    record_release(&why_reply_type, &reply);
    return 0;
}

const struct command command_why = {
    .name = "why",
    .usage = "[--json] [--stale] [STACK | SERVICE | TASK]",
    .summary = "say why something waits, fails or is stopped",
    .details = "A line for each service that is stopped, paused or went back, each slot that "
               "waits, node\nby node, and each task that does not run or is not healthy, with its "
               "cause.",
    .examples = "  wherry why\n"
                "  wherry why shop.web\n",
    .words_max = 1,
    .json = true,
    .stale = true,
    .run = run_why,
};
