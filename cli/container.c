/* SPDX-License-Identifier: Apache-2.0 */
/* container: single containers of a machine; ls, inspect and top here. */
#include "cli/container.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node_options {
    const char *node;
};

static const struct arg_option node_options[] = {
    CONTAINER_NODE(struct node_options),
    ARG_END,
};

/* --- ls ----------------------------------------------------------------------------------------
 */

static const char *state_text(const struct container_info *c, char *out, size_t size)
{
    if (c->oom_killed && str_equal(c->state, "exited"))
        snprintf(out, size, "exited (%lld, out of memory)", (long long)c->exit_code);
    else if (str_equal(c->state, "exited"))
        snprintf(out, size, "exited (%lld)", (long long)c->exit_code);
    else
        str_fill(out, size, str_or_empty(c->state));
    return out;
}

static void add_container(struct table *table, const struct container_info *c)
{
    char state[64];
    char since[UNITS_TEXT];
    char image[UNITS_IMAGE];
    bool over = c->pid == 0 && c->finished_ms;
    table_add(table, c->id);
    table_add(table, c->name);
    table_add(table, state_text(c, state, sizeof(state)));
    if (c->pid)
        table_addf(table, "%lld", (long long)c->pid);
    else
        table_add(table, "");
    table_add(table, units_image(str_or_empty(c->image), image));
    table_add(table, units_ago(over ? c->finished_ms : c->started_ms, clock_wall_ms(), since));
    table_addf(table, "%lld", (long long)c->restarts);
}

static void print_containers(const struct cli *cli, const struct container_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    for (size_t i = 0; cli->quiet && i < reply->containers_n; i++)
        puts(reply->containers[i].id);
    if (cli->quiet)
        return;
    table_init(&table,
               (const char *[]){"ID", "NAME", "STATE", "PID", "IMAGE", "SINCE", "RESTARTS", NULL});
    for (size_t i = 0; i < reply->containers_n; i++)
        add_container(&table, &reply->containers[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct node_options *o = options;
    struct container_request request = {.node = TEXT(o->node),
                                        .container = words_n ? words[0] : NULL};
    struct container_list_reply reply;
    if (cli_call(cli, "container.list", &request, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&container_info_type, reply.containers, reply.containers_n);
    else
        print_containers(cli, &reply);
    record_release(&container_list_reply_type, &reply);
    return 0;
}

const struct command command_container_ls = {
    .name = "ls",
    .usage = "[--node NAME] [--json] [-q] [CONTAINER]",
    .summary = "list the containers of a machine",
    .details = "List the containers of the called member, or of the one that --node names: those "
               "of tasks\nby the task's name, those of no stack by their own. 'wherry ps' lists "
               "the tasks of\nthe whole cluster.",
    .examples = "  wherry container ls\n"
                "  wherry container ls --node n2\n",
    .options = node_options,
    .options_size = sizeof(struct node_options),
    .words_max = 1,
    .json = true,
    .quiet = true,
    .run = run_ls,
};

/* --- inspect -----------------------------------------------------------------------------------
 */

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    const struct node_options *o = options;
    cleanup_buf struct buf out = BUF_INIT;
    for (int i = 0; i < words_n; i++) {
        struct container_request request = {.node = TEXT(o->node), .container = words[i]};
        struct container_text_reply reply;
        if (cli_call(cli, "container.inspect", &request, &reply, err) < 0)
            return err->code;
        buf_printf(&out, "%s%s", i ? ",\n" : "[", str_or_empty(reply.json));
        record_release(&container_text_reply_type, &reply);
    }
    printf("%s]\n", out.data);
    return 0;
}

const struct command command_container_inspect = {
    .name = "inspect",
    .usage = "[--node NAME] CONTAINER...",
    .summary = "show all that is known of a container, as JSON",
    .details = "Print a JSON array with an object a container: its state, its record (image, "
               "command,\nlimits, mounts...), control group, processes, what it has mounted, and "
               "where its log is.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container inspect shop.web.2 | jq '.[0].state'\n",
    .options = node_options,
    .options_size = sizeof(struct node_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_inspect,
};

/* --- top ---------------------------------------------------------------------------------------
 */

/* Hours, minutes, seconds: "1:02:03", "02:03.45". */
static void add_time(struct table *table, int64_t ms)
{
    int64_t s = ms / 1000;
    if (s >= 3600)
        table_addf(table, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60),
                   (int)(s % 60));
    else
        table_addf(table, "%d:%02d.%02d", (int)(s / 60), (int)(s % 60), (int)(ms % 1000 / 10));
}

static void print_processes(const struct container_top_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    table_init(&table, (const char *[]){"PID", "INSIDE", "PARENT", "USER", "STATE", "TIME",
                                        "MEMORY", "COMMAND", NULL});
    for (size_t i = 0; i < reply->processes_n; i++) {
        const struct container_process_info *p = &reply->processes[i];
        char memory[UNITS_TEXT];
        table_addf(&table, "%lld", (long long)p->pid);
        table_addf(&table, "%lld", (long long)p->inside_pid);
        table_addf(&table, "%lld", (long long)p->parent_pid);
        table_add(&table, p->user);
        table_add(&table, p->state);
        add_time(&table, p->cpu_ms);
        table_add(&table, units_memory(p->rss_bytes, memory));
        table_add(&table, p->command);
    }
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_top(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct node_options *o = options;
    struct container_request request = {.node = TEXT(o->node), .container = words[0]};
    struct container_top_reply reply;
    (void)words_n;
    if (cli_call(cli, "container.top", &request, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&container_process_info_type, reply.processes, reply.processes_n);
    else
        print_processes(&reply);
    record_release(&container_top_reply_type, &reply);
    return 0;
}

const struct command command_container_top = {
    .name = "top",
    .usage = "[--node NAME] [--json] CONTAINER",
    .summary = "list the processes in a container",
    .details = "List the processes of a running container: their numbers on its machine and in\n"
               "the container, user, state, processor time, memory and command. No program has to\n"
               "be in the container for that.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container top shop.web.2\n",
    .options = node_options,
    .options_size = sizeof(struct node_options),
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .run = run_top,
};

/* --- the command -------------------------------------------------------------------------------
 */

const struct command command_container = {
    .name = "container",
    .usage = "",
    .summary = "run containers of their own; look into all of a machine, limit, copy them",
    .details = "Single containers, those of tasks and those of no stack, on the called member or "
               "on another\none.\n\n" CONTAINER_NAMES,
    .examples = "  wherry container ls\n"
                "  wherry container stats shop.web.2\n",
    .subcommands =
        (const struct command *const[]){&command_container_run,        &command_container_create,
                                        &command_container_start,      &command_container_stop,
                                        &command_container_restart,    &command_container_rm,
                                        &command_container_prune,      &command_container_ls,
                                        &command_container_inspect,    &command_container_logs,
                                        &command_container_stats,      &command_container_top,
                                        &command_container_pause,      &command_container_resume,
                                        &command_container_kill,       &command_container_wait,
                                        &command_container_update,     &command_container_cp,
                                        &command_container_diff,       &command_container_commit,
                                        &command_container_checkpoint, NULL},
};
