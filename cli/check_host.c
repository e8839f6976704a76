/* SPDX-License-Identifier: Apache-2.0 */
/* check-host: has this machine what a member needs? */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"

#include <stdio.h>

struct check_options {
    const char *data_dir;
};

static int run_check_host(struct cli *cli, const void *options, int words_n, char **words,
                          struct err *err)
{
    const struct check_options *o = options;
    cleanup_buf struct buf out = BUF_INIT;
    struct host_checks checks;
    struct table table;
    size_t failed = 0, warnings = 0;
    (void)words_n;
    (void)words;
    cli->program->check_host(o->data_dir, &checks);
    table_init(&table, (const char *[]){"RESULT", "WHAT", "", NULL});
    for (size_t i = 0; i < checks.checks_n; i++) {
        const struct host_check *c = &checks.checks[i];
        failed += str_equal(c->result, "failed");
        warnings += str_equal(c->result, "warning");
        table_add(&table, c->result);
        table_add(&table, c->what);
        table_add(&table, c->text);
    }
    if (cli->json)
        cli_print_json(&host_check_type, checks.checks, checks.checks_n);
    else
        table_print(&table, &out);
    if (out.len > 0)
        fputs(out.data, stdout);
    table_release(&table);
    record_release(&host_checks_type, &checks);
    if (failed > 0)
        return err_set(err, ERR_FAILED, "this machine cannot be a member: %zu of what it takes %s",
                       failed, failed == 1 ? "is missing" : "are missing");
    if (!cli->json)
        printf("This machine can be a member%s.\n",
               warnings > 0 ? "; the warnings say what to look at" : "");
    return 0;
}

const struct command command_check_host = {
    .name = "check-host",
    .usage = "[--data DIR] [--json]",
    .summary = "see whether this machine has what a member needs",
    .details = "Look at the kernel, control groups, network, OCI runtimes, disk, clock, name, "
               "address,\nports and firewall, each with what to do where something is missing. "
               "Nothing is changed.\nThe exit status is 1 when something is needed.",
    .examples = "  sudo wherry check-host\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct check_options, ARG_TEXT, data_dir, 0, "data", "DIR",
                       "where the daemon's data is to be (default /var/lib/wherry)"),
            ARG_END,
        },
    .options_size = sizeof(struct check_options),
    .json = true,
    .local = true,
    .run = run_check_host,
};
