/* SPDX-License-Identifier: Apache-2.0 */
/* history: the revisions of a service. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/compose_reader.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void add_revision(struct table *table, const struct revision_info *r)
{
    char age[UNITS_TEXT];
    const char *changes = str_or_empty(r->changes);
    table_addf(table, "%" PRId64 "%s", r->revision, r->current ? " *" : "");
    table_add(table, r->made_ms ? units_ago(r->made_ms, clock_wall_ms(), age) : "-");
    table_add(table, *str_or_empty(r->cause) ? r->cause : "-");
    table_add(table, str_equal(r->state, "none") ? "" : str_or_empty(r->state));
    table_add(table, r->image);
    table_add(table, changes);
}

static void print_history(const struct cli *cli, const struct history_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    for (size_t i = 0; cli->quiet && i < reply->revisions_n; i++)
        printf("%" PRId64 "\n", reply->revisions[i].revision);
    if (cli->quiet)
        return;
    table_init(&table,
               (const char *[]){"REVISION", "MADE", "CAUSE", "ROLLOUT", "IMAGE", "CHANGED", NULL});
    for (size_t i = 0; i < reply->revisions_n; i++)
        add_revision(&table, &reply->revisions[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

/* One revision whole. */
static int print_one(const struct history_reply *reply, const char *word, struct err *err)
{
    int64_t number;
    if (!compose_number(word, 1, INT64_MAX, &number))
        return err_set(err, ERR_INVALID, "'%.40s' is no number of a revision", word);
    for (size_t i = 0; i < reply->revisions_n; i++)
        if (reply->revisions[i].revision == number) {
            cli_print_json(&revision_info_type, &reply->revisions[i], 1);
            return 0;
        }
    return err_set(err, ERR_NOTFOUND, "revision %" PRId64 " of %s is not kept", number,
                   reply->name);
}

static int run_history(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct history_reply reply;
    cleanup_free char *name = NULL;
    (void)options;
    if (cli_resolve(cli, words[0], false, &name, err) < 0 ||
        cli_call(cli, "service.history", &(struct name_request){.name = name}, &reply, err) < 0)
        return err->code;
    int rv = 0;
    if (words_n > 1)
        rv = print_one(&reply, words[1], err);
    else if (cli->json)
        cli_print_json(&revision_info_type, reply.revisions, reply.revisions_n);
    else
        print_history(cli, &reply);
    record_release(&history_reply_type, &reply);
    return rv;
}

const struct command command_history = {
    .name = "history",
    .usage = "[--json] [-q] SERVICE [REVISION]",
    .summary = "show the revisions of a service",
    .details = "The last ten revisions of a service, and those that tasks still run; * is the\n"
               "present one. With REVISION: all of it, as JSON.",
    .examples = "  wherry history app.web\n"
                "  wherry history app.web 3\n",
    .words_min = 1,
    .words_max = 2,
    .json = true,
    .quiet = true,
    .run = run_history,
};
