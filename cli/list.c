/* SPDX-License-Identifier: Apache-2.0 */
/* ls, ps and inspect: what there is. */
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
#include <stdlib.h>
#include <string.h>

/* --- ls ----------------------------------------------------------------------------------------
 */

static void add_service(struct table *table, const struct service_info *s)
{
    cleanup_buf struct buf ports = BUF_INIT;
    char updated[UNITS_TEXT];
    bool job = str_ends(s->mode, "-job");
    for (size_t i = 0; i < s->ports_n; i++)
        buf_printf(&ports, "%s%s", i ? ", " : "", s->ports[i]);
    table_add(table, s->name);
    table_add(table, s->mode);
    table_addf(table, "%" PRId64 "/%" PRId64, job ? s->complete : s->healthy, s->replicas);
    table_add(table, s->state);
    table_add(table, s->image);
    table_add(table, ports.data);
    table_add(table, units_ago(s->updated_ms, clock_wall_ms(), updated));
    table_add(table, s->message);
}

static void print_services(const struct cli *cli, const struct service_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    for (size_t i = 0; cli->quiet && i < reply->services_n; i++)
        puts(reply->services[i].name);
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"SERVICE", "MODE", "REPLICAS", "STATE", "IMAGE", "PORTS",
                                        "CHANGED", "", NULL});
    for (size_t i = 0; i < reply->services_n; i++)
        add_service(&table, &reply->services[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct filter_request request = {.name = words_n ? words[0] : NULL};
    struct service_list_reply reply;
    (void)options;
    if (cli_call(cli, "service.list", &request, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&service_info_type, reply.services, reply.services_n);
    else
        print_services(cli, &reply);
    record_release(&service_list_reply_type, &reply);
    return 0;
}

const struct command command_ls = {
    .name = "ls",
    .usage = "[--json] [-q] [--stale] [STACK]",
    .summary = "list services",
    .examples = "  wherry ls\n"
                "  wherry ls shop --json\n",
    .words_max = 1,
    .json = true,
    .stale = true,
    .quiet = true,
    .run = run_ls,
};

/* --- ps ----------------------------------------------------------------------------------------
 */

struct ps_options {
    bool all;
};

/* What has ended and was to end: history. */
static bool is_past(const struct task_info *t)
{
    bool terminal = str_equal(t->state, "ended") || str_equal(t->state, "complete") ||
                    str_equal(t->state, "failed");
    return terminal && str_equal(t->desired, "end");
}

static void add_task(struct table *table, const struct task_info *t)
{
    char age[UNITS_TEXT];
    bool stopping = str_equal(t->desired, "end") && !is_past(t);
    bool healthy = !*str_or_empty(t->health) || str_equal(t->health, "none");
    table_add(table, t->name);
    table_add(table, t->node);
    if (stopping)
        table_add(table, "stopping");
    else if (str_equal(t->state, "running") && !healthy)
        table_addf(table, "running (%s)", t->health);
    else
        table_add(table, t->state);
    table_add(table, units_ago(t->state_ms ? t->state_ms : t->created_ms, clock_wall_ms(), age));
    table_addf(table, "%" PRId64, t->restarts);
    table_add(table, t->image);
    if (*str_or_empty(t->network_of))
        table_addf(table, "of %s", t->network_of);
    else
        table_add(table, t->addresses_n ? t->addresses[0] : "");
    table_add(table, t->message);
}

static void print_tasks(const struct cli *cli, const struct task_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    for (size_t i = 0; cli->quiet && i < reply->tasks_n; i++)
        puts(reply->tasks[i].name);
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"TASK", "NODE", "STATE", "SINCE", "RESTARTS", "IMAGE",
                                        "ADDRESS", "", NULL});
    for (size_t i = 0; i < reply->tasks_n; i++)
        add_task(&table, &reply->tasks[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static void drop_past(struct task_list_reply *reply)
{
    size_t kept = 0;
    for (size_t i = 0; i < reply->tasks_n; i++) {
        if (is_past(&reply->tasks[i]))
            record_release(&task_info_type, &reply->tasks[i]);
        else
            reply->tasks[kept++] = reply->tasks[i];
    }
    reply->tasks_n = kept;
}

static int run_ps(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct ps_options *o = options;
    cleanup_free char *name = NULL;
    struct task_list_reply reply;
    if (words_n && cli_resolve(cli, words[0], true, &name, err) < 0)
        return err->code;
    if (cli_call(cli, "task.list", &(struct filter_request){.name = name}, &reply, err) < 0)
        return err->code;
    if (!o->all)
        drop_past(&reply);
    if (cli->json)
        cli_print_json(&task_info_type, reply.tasks, reply.tasks_n);
    else
        print_tasks(cli, &reply);
    record_release(&task_list_reply_type, &reply);
    return 0;
}

const struct command command_ps = {
    .name = "ps",
    .usage = "[-a] [--json] [-q] [--stale] [STACK | SERVICE]",
    .summary = "list tasks: where each replica runs, or why it waits",
    .examples = "  wherry ps\n"
                "  wherry ps shop.web -a\n"
                "  wherry ps --json | jq -r '.[] | select(.state != \"running\") | .name'\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct ps_options, ARG_FLAG, all, 'a', "all", NULL,
                       "also those that were replaced and have ended"),
            ARG_END,
        },
    .options_size = sizeof(struct ps_options),
    .words_max = 1,
    .json = true,
    .stale = true,
    .quiet = true,
    .run = run_ps,
};

/* --- inspect -----------------------------------------------------------------------------------
 */

static int inspect_tasks(struct cli *cli, const char *name, struct err *err)
{
    struct task_list_reply reply;
    struct filter_request request = {.name = (char *)(uintptr_t)name};
    if (cli_call(cli, "task.list", &request, &reply, err) < 0)
        return err->code;
    if (reply.tasks_n == 0)
        err_set(err, ERR_NOTFOUND, "there is no task '%.130s' ('wherry ps' lists them)", name);
    else
        cli_print_json(&task_info_type, reply.tasks, reply.tasks_n);
    int rv = reply.tasks_n == 0 ? ERR_NOTFOUND : 0;
    record_release(&task_list_reply_type, &reply);
    return rv;
}

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    cleanup_free char *name = NULL;
    struct service_list_reply reply;
    (void)options;
    (void)words_n;
    if (cli_resolve(cli, words[0], true, &name, err) < 0)
        return err->code;
    const char *dot = strchr(name, '.');
    if (dot && strchr(dot + 1, '.'))
        return inspect_tasks(cli, name, err);
    if (cli_call(cli, "service.list", &(struct filter_request){.name = name}, &reply, err) < 0)
        return err->code;
    cli_print_json(&service_info_type, reply.services, reply.services_n);
    record_release(&service_list_reply_type, &reply);
    return 0;
}

const struct command command_inspect = {
    .name = "inspect",
    .usage = "[--stale] STACK | SERVICE | TASK",
    .summary = "show all that is known of a stack's services, a service or a task, as JSON",
    .examples = "  wherry inspect app\n"
                "  wherry inspect app.web\n"
                "  wherry inspect app.web.2\n",
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .stale = true,
    .run = run_inspect,
};
