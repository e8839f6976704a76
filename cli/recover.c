/* SPDX-License-Identifier: Apache-2.0 */
/* recover: a cluster that lost its quorum goes on from one member. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct recover_options {
    const char *data_dir;
    bool show;
    bool yes;
};

static void add_facts(struct table *table, const struct recover_report *r)
{
    char heard[UNITS_TEXT];
    table_add(table, "cluster");
    table_add(table, r->cluster);
    table_add(table, "this member");
    table_addf(table, "%s (n%" PRId64 "), %s%s", *str_or_empty(r->node) ? r->node : "no name",
               r->node_id, r->role, r->witness ? ", a witness" : "");
    table_add(table, "log");
    table_addf(table, "ends at index %" PRId64 " of term %" PRId64 "; its term is %" PRId64,
               r->index, r->index_term, r->term);
    table_add(table, "committed");
    table_addf(table, "up to index %" PRId64 " for sure", r->committed);
    table_add(table, "last contact");
    table_add(table, r->heard_ms ? units_ago(r->heard_ms, clock_wall_ms(), heard) : "not known");
    table_add(table, "state");
    table_addf(table, "%" PRId64 " services, %" PRId64 " tasks", r->services, r->tasks);
}

static void print_report(const struct recover_report *r)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table facts;
    struct table members;
    table_init(&facts, (const char *[]){"", "", NULL});
    add_facts(&facts, r);
    table_print(&facts, &out);
    table_release(&facts);
    buf_putc(&out, '\n');
    table_init(&members, (const char *[]){"ID", "NAME", "ROLE", "ADDRESS", NULL});
    for (size_t i = 0; i < r->members_n; i++) {
        table_addf(&members, "n%" PRId64, r->members[i].id);
        table_addf(&members, "%s%s", r->members[i].name, r->members[i].self ? " (this)" : "");
        table_add(&members, r->members[i].role);
        table_add(&members, r->members[i].address);
    }
    table_print(&members, &out);
    table_release(&members);
    fputs(out.data, stdout);
}

static void print_risk(const struct recover_report *r)
{
    printf("\nOf the log, entries after %" PRId64 " may be lost, if other members have them; ",
           r->index);
    if (r->index > r->committed)
        printf("those from %" PRId64 " to %" PRId64
               " may never have been acknowledged and become true.\n",
               r->committed + 1, r->index);
    else
        printf("all it has was committed.\n");
    printf("Compare with 'wherry recover --show' on the other members that are left: recover the "
           "one whose\nlog has the highest term at its end, then the highest index.\n");
}

static int check_sense(const struct recover_report *r, struct err *err)
{
    if (r->cut_off)
        return err_set(err, ERR_CONFLICT,
                       "the cluster was recovered on another member already: this one must join it "
                       "anew");
    if (r->witness)
        return err_set(err, ERR_INVALID,
                       "this member is a witness: it holds no keys and cannot lead, so no cluster "
                       "goes on from it; recover another member, or restore a backup");
    if (r->voters == 1 && str_equal(r->role, "voter"))
        return err_set(err, ERR_INVALID,
                       "this member is the only voter: its cluster has not lost its quorum; start "
                       "the daemon");
    return 0;
}

/* The name of the member, typed: there is no way back. */
static int confirm(const struct recover_report *r, struct err *err)
{
    char line[256];
    if (!isatty(STDIN_FILENO))
        return err_set(err, ERR_INVALID, "nothing was done; --yes does it");
    printf("\nThis cannot be undone: the other members are cut off. Type the name of this member "
           "to go on: ");
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        return err_set(err, ERR_CANCELED, "nothing was done");
    line[strcspn(line, "\n")] = '\0';
    if (!*str_or_empty(r->node) || strcmp(line, r->node) != 0)
        return err_set(err, ERR_CANCELED, "that is not its name: nothing was done");
    return 0;
}

static int act(struct cli *cli, const char *data_dir, struct err *err)
{
    struct recover_report after;
    if (cli->program->recover(data_dir, true, &after, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json_one(&recover_report_type, &after);
    else
        printf("\nThis member is the only voter now, at index %" PRId64
               ". Start its daemon. Members that come back "
               "with\ntheir old logs stop taking part once they reach this one, set them aside and "
               "get new ones.\n",
               after.index);
    record_release(&recover_report_type, &after);
    return 0;
}

static int run_recover(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    const struct recover_options *o = options;
    const char *data_dir = o->data_dir ? o->data_dir : "/var/lib/wherry";
    struct recover_report report;
    (void)words_n;
    (void)words;
    if (cli->host || cli->context || cli->token)
        return err_set(err, ERR_INVALID,
                       "recover calls no member: run it on the machine itself, with its daemon "
                       "stopped; --data names the folder");
    if (geteuid() != 0)
        return err_set(err, ERR_DENIED, "only root may: try 'sudo wherry recover'");
    if (cli->program->recover(data_dir, false, &report, err) < 0)
        return err->code;
    if (cli->json && o->show)
        cli_print_json_one(&recover_report_type, &report);
    else if (!cli->json)
        print_report(&report);
    int rv = 0;
    if (!o->show) {
        rv = check_sense(&report, err);
        if (rv == 0 && !cli->json)
            print_risk(&report);
        if (rv == 0 && !o->yes)
            rv = confirm(&report, err);
        if (rv == 0)
            rv = act(cli, data_dir, err);
    }
    record_release(&recover_report_type, &report);
    return rv;
}

const struct command command_recover = {
    .name = "recover",
    .usage = "[--data DIR] [--show] [--yes]",
    .summary = "go on from this member alone after most voters were lost for good",
    .details =
        "For a cluster that lost its quorum for good. On a member that is left, whose daemon is\n"
        "stopped: show what it has and what may be lost, then make it the only voter. The other\n"
        "members stay listed as cut off; should they come back with their old logs they can "
        "neither\n"
        "disturb nor go on, and get new logs from it. Run it on one member only: on the one whose "
        "log is\n"
        "longest, which --show tells.",
    .examples = "  wherry recover --show\n"
                "  wherry recover --data /var/lib/wherry --yes\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct recover_options, ARG_TEXT, data_dir, 0, "data", "DIR",
                       "the data folder of the daemon (default /var/lib/wherry)"),
            ARG_OPTION(struct recover_options, ARG_FLAG, show, 0, "show", NULL,
                       "only show what this member has"),
            ARG_OPTION(struct recover_options, ARG_FLAG, yes, 'y', "yes", NULL, "do not ask"),
            ARG_END,
        },
    .options_size = sizeof(struct recover_options),
    .json = true,
    .local = true,
    .run = run_recover,
};
