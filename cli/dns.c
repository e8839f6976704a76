/* SPDX-License-Identifier: Apache-2.0 */
/* dns: records of the user's own, which members answer for. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct dns_options {
    int64_t ttl_ms;
};

static int run_add(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct dns_options *o = options;
    cleanup_buf struct buf value = BUF_INIT;
    struct empty reply;
    for (int i = 2; i < words_n; i++)
        buf_printf(&value, "%s%s", i > 2 ? " " : "", words[i]);
    struct dns_request request = {
        .name = words[0], .type = words[1], .value = value.data, .ttl = o->ttl_ms / 1000};
    return cli_call(cli, "dns.set", &request, &reply, err);
}

static const struct command dns_add = {
    .name = "add",
    .usage = "[--ttl DURATION] NAME TYPE VALUE",
    .summary = "have members answer for a name",
    .details =
        "Add a record: all members answer for NAME then, to containers, in the place of the\n"
        "resolvers outside. TYPE is A, AAAA, CNAME, TXT, SRV or MX, VALUE as in a zone file.\n"
        "Several of one name and type are all answered. A name may begin with '*.', for all below\n"
        "it. A name that a service has is the service's.",
    .examples = "  wherry dns add printer.lan A 192.168.1.20\n"
                "  wherry dns add db.example CNAME db.shop\n"
                "  wherry dns add example.org MX 10 mail.example.org\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct dns_options, ARG_DURATION, ttl_ms, 0, "ttl", "DURATION",
                       "how long others may remember the answer (default 1m)"),
            ARG_END,
        },
    .options_size = sizeof(struct dns_options),
    .words_min = 3,
    .words_max = -1,
    .run = run_add,
};

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    cleanup_buf struct buf value = BUF_INIT;
    struct empty reply;
    (void)options;
    for (int i = 2; i < words_n; i++)
        buf_printf(&value, "%s%s", i > 2 ? " " : "", words[i]);
    struct dns_request request = {
        .name = words[0], .type = words_n > 1 ? words[1] : "", .value = value.data};
    return cli_call(cli, "dns.remove", &request, &reply, err);
}

static const struct command dns_rm = {
    .name = "rm",
    .usage = "NAME [TYPE [VALUE]]",
    .summary = "remove records",
    .details = "Remove the records of a name: all, those of a type, or the one of that value.",
    .examples = "  wherry dns rm printer.lan\n"
                "  wherry dns rm example.org MX 10 mail.example.org\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct dns_list_reply reply;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "dns.list", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    if (cli->json) {
        cli_print_json(&dns_info_type, reply.records, reply.records_n);
    } else {
        table_init(&table, (const char *[]){"NAME", "TYPE", "TTL", "VALUE", NULL});
        for (size_t i = 0; i < reply.records_n; i++) {
            table_add(&table, reply.records[i].name);
            table_add(&table, reply.records[i].type);
            table_addf(&table, "%" PRId64, reply.records[i].ttl);
            table_add(&table, reply.records[i].value);
        }
        table_print(&table, &out);
        table_release(&table);
        fputs(out.data, stdout);
    }
    record_release(&dns_list_reply_type, &reply);
    return 0;
}

static const struct command dns_ls = {
    .name = "ls",
    .usage = "[--json]",
    .summary = "list the records that were added",
    .examples = "  wherry dns ls\n",
    .json = true,
    .run = run_ls,
};

const struct command command_dns = {
    .name = "dns",
    .usage = "",
    .summary = "add names of your own to those that members answer for",
    .details = "Members answer containers for the names of services, tasks and members, and for "
               "these.",
    .examples = "  wherry dns add printer.lan A 192.168.1.20\n"
                "  wherry dns ls\n",
    .subcommands = (const struct command *const[]){&dns_add, &dns_ls, &dns_rm, NULL},
};
