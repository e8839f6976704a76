/* SPDX-License-Identifier: Apache-2.0 */
/* ca: the cluster's certificate authority. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    WAIT_MS = 60000, /* for the members that are up to have new certificates */
    POLL_MS = 200,
    DATE_TEXT = 40,
};

/* --- inspect ------------------------------------------------------------------------------------
 */

static const char *date(int64_t ms, char out[DATE_TEXT])
{
    if (ms == 0)
        return "not known";
    clock_format(ms, out, DATE_TEXT);
    out[strcspn(out, "T")] = '\0';
    return out;
}

static void print_members(const struct ca_info *info)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    char until[DATE_TEXT];
    table_init(&table, (const char *[]){"MEMBER", "STATUS", "CERTIFICATE OF", "UNTIL", NULL});
    for (size_t i = 0; i < info->members_n; i++) {
        const struct ca_member *m = &info->members[i];
        table_add(&table, m->name);
        table_add(&table, m->status);
        table_add(&table, m->current ? "this CA" : "another");
        table_add(&table, date(m->until_ms, until));
    }
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct ca_info info;
    char until[DATE_TEXT];
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "ca.inspect", &(struct empty){0}, &info, err) < 0)
        return err->code;
    if (cli->json) {
        cli_print_json_one(&ca_info_type, &info);
    } else {
        printf("CA %s, until %s\n", info.ca, date(info.until_ms, until));
        if (*str_or_empty(info.before))
            printf("It takes over from %s, which %" PRId64 " tokens name;\n"
                   "'wherry ca rotate --finish' ends that.\n",
                   info.before, info.tokens_before);
        printf("\n");
        print_members(&info);
    }
    record_release(&ca_info_type, &info);
    return 0;
}

static const struct command ca_inspect = {
    .name = "inspect",
    .usage = "[--json]",
    .summary = "show the cluster's CA, and how long the members' certificates last",
    .examples = "  wherry ca inspect\n",
    .json = true,
    .run = run_inspect,
};

/* --- rotate -------------------------------------------------------------------------------------
 */

struct rotate_options {
    bool finish;
    bool yes;
};

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)POLL_MS * 1000000}, NULL);
}

static bool all_current(const struct ca_info *info)
{
    for (size_t i = 0; i < info->members_n; i++)
        if (!info->members[i].current && str_equal(info->members[i].status, "up"))
            return false;
    return true;
}

/* Wait until all that are up have certificates of the new CA. */
static int wait_for_members(struct cli *cli, struct err *err)
{
    int64_t deadline = clock_boot_ms() + WAIT_MS;
    for (;;) {
        struct ca_info info;
        if (cli_call(cli, "ca.inspect", &(struct empty){0}, &info, err) < 0)
            return err->code;
        bool done = all_current(&info);
        record_release(&ca_info_type, &info);
        if (done)
            return 0;
        if (clock_boot_ms() >= deadline)
            return err_set(err, ERR_TIMEOUT,
                           "the new CA is there, but not all members that are up have certificates "
                           "of it yet: 'wherry ca inspect' shows which");
        rest();
    }
}

static int begin(struct cli *cli, struct err *err)
{
    struct empty reply;
    if (cli_call(cli, "ca.rotate", &(struct empty){0}, &reply, err) < 0 ||
        wait_for_members(cli, err) < 0)
        return err->code;
    printf("There is a new CA, and the members that are up have certificates of it. Tokens made\n"
           "before go on working, and those made from now on name the new CA.\n\n"
           "When all that are in use have been replaced, forget the one before:\n\n"
           "  wherry ca rotate --finish\n");
    return 0;
}

static int ask_finish(struct cli *cli, struct err *err)
{
    struct ca_info info;
    if (cli_call(cli, "ca.inspect", &(struct empty){0}, &info, err) < 0)
        return err->code;
    cleanup_buf struct buf text = BUF_INIT;
    if (info.tokens_before > 0)
        buf_printf(&text,
                   "%" PRId64 " tokens name the CA before and are good for nothing afterwards "
                   "('wherry token ls').\n",
                   info.tokens_before);
    if (info.members_before > 0)
        buf_printf(&text,
                   "%" PRId64 " members have no certificate of the new CA yet; they get one by "
                   "themselves when they are back.\n",
                   info.members_before);
    bool changing = *str_or_empty(info.before) != '\0';
    record_release(&ca_info_type, &info);
    return changing && text.len > 0 ? confirm(text.data, "forget the CA before", err) : 0;
}

static int finish(struct cli *cli, bool yes, struct err *err)
{
    struct empty reply;
    if (!yes && ask_finish(cli, err) < 0)
        return err->code;
    if (cli_call(cli, "ca.finish", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    printf("The CA before is forgotten.\n");
    return 0;
}

static int run_rotate(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct rotate_options *o = options;
    (void)words_n;
    (void)words;
    return o->finish ? finish(cli, o->yes, err) : begin(cli, err);
}

static const struct command ca_rotate = {
    .name = "rotate",
    .usage = "[--finish [--yes]]",
    .summary = "replace the cluster's CA, without a pause",
    .details =
        "Make a new CA. Members get certificates of it at once, and show beside them one by which\n"
        "the CA before vouches for the new one: tokens and contexts that name either work. With\n"
        "--finish the CA before is forgotten, and tokens that name it with it.",
    .examples = "  wherry ca rotate\n"
                "  wherry ca inspect\n"
                "  wherry ca rotate --finish\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct rotate_options, ARG_FLAG, finish, 0, "finish", NULL,
                       "forget the CA before"),
            ARG_OPTION(struct rotate_options, ARG_FLAG, yes, 'y', "yes", NULL,
                       "do not ask, however many tokens go with it"),
            ARG_END,
        },
    .options_size = sizeof(struct rotate_options),
    .run = run_rotate,
};

const struct command command_ca = {
    .name = "ca",
    .usage = "COMMAND",
    .summary = "show or replace the cluster's CA",
    .examples = "  wherry ca inspect\n"
                "  wherry ca rotate\n",
    .subcommands = (const struct command *const[]){&ca_inspect, &ca_rotate, NULL},
};
