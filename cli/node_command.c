/* SPDX-License-Identifier: Apache-2.0 */
/* node: the daemon, and commands about members. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/node_set.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- ls ----------------------------------------------------------------------------------------
 */

static void add_node(struct table *table, const struct node_info *n)
{
    char reserved[UNITS_TEXT];
    char capacity[UNITS_TEXT];
    char since[UNITS_TEXT];
    table_addf(table, "n%" PRId64, n->id);
    table_add(table, n->name);
    table_addf(table, "%s%s%s%s", n->status, n->clock_offset_ms ? ", wrong clock" : "",
               n->disk_full ? ", disk full" : "",
               str_equal(n->availability, "active")  ? ""
               : str_equal(n->availability, "pause") ? ", paused"
                                                     : ", draining");
    bool silent = str_equal(n->role, "witness") && !n->votes;
    table_add(table, n->leader ? "leader" : silent ? "witness, no vote" : n->role);
    table_add(table, n->address);
    table_addf(table, "%" PRId64, n->tasks);
    table_addf(table, "%s/%s", units_cpu(n->cpu_reserved_milli, reserved),
               units_cpu(n->cpu_milli, capacity));
    table_addf(table, "%s/%s", units_memory(n->memory_reserved_bytes, reserved),
               units_memory(n->memory_bytes, capacity));
    table_add(table, n->version);
    table_add(table, units_ago(n->status_ms ? n->status_ms : n->joined_ms, clock_wall_ms(), since));
}

static void print_nodes(const struct cli *cli, const struct node_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    if (cli->json) {
        cli_print_json(&node_info_type, reply->nodes, reply->nodes_n);
        return;
    }
    for (size_t i = 0; cli->quiet && i < reply->nodes_n; i++)
        puts(reply->nodes[i].name);
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"ID", "NAME", "STATUS", "ROLE", "ADDRESS", "TASKS", "CPU",
                                        "MEMORY", "VERSION", "SINCE", NULL});
    for (size_t i = 0; i < reply->nodes_n; i++)
        add_node(&table, &reply->nodes[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct node_list_reply reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "node.list", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    print_nodes(cli, &reply);
    record_release(&node_list_reply_type, &reply);
    return 0;
}

static const struct command node_ls = {
    .name = "ls",
    .usage = "[--json] [-q] [--stale]",
    .summary = "list the members",
    .details =
        "List the members. CPU and MEMORY are what services have reserved, and what there is.",
    .examples = "  wherry node ls\n",
    .json = true,
    .stale = true,
    .quiet = true,
    .run = run_ls,
};

/* --- inspect ----------------------------------------------------------------------------
 */

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct node_info node;
    (void)options;
    (void)words_n;
    if (cli_call(cli, "node.inspect", &(struct name_request){.name = words[0]}, &node, err) < 0)
        return err->code;
    cli_print_json_one(&node_info_type, &node);
    record_release(&node_info_type, &node);
    return 0;
}

static const struct command node_inspect = {
    .name = "inspect",
    .usage = "[--stale] NODE",
    .summary = "show all that is known of a member, as JSON",
    .examples = "  wherry node inspect n2\n",
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .stale = true,
    .run = run_inspect,
};

/* --- the daemon --------------------------------------------------------------------------------
 */

static int run_node(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct daemon_options *o = options;
    (void)words_n;
    (void)words;
    for (size_t i = 0; i < o->labels.n; i++)
        if (!strchr(o->labels.items[i], '=') || o->labels.items[i][0] == '=')
            return err_set(err, ERR_INVALID, "label '%.60s' is not KEY=VALUE", o->labels.items[i]);
    if (o->name && !node_name_is_valid(o->name))
        return err_set(err, ERR_INVALID,
                       "'%.60s' is no name for a node: letters, digits, '-', '_' and '.', at most "
                       "63",
                       o->name);
    if (o->pretend_level.given && (o->pretend_level.value < 1 || o->pretend_level.value > 100))
        return err_set(err, ERR_INVALID, "--pretend-level: from 1 to 100");
    return cli->program->run_daemon(o, err);
}

const struct command command_node = {
    .name = "node",
    .usage = "[--name NAME] [--data DIR] [--run DIR] [--address IP[:PORT]] [--label K=V]...",
    .summary = "run the daemon of this machine; list, drain or remove members",
    .details =
        "Without a command: run the daemon of this machine in the foreground, as root, logging to\n"
        "stderr. SIGTERM stops it and leaves the containers running.",
    .examples = "  wherry node\n"
                "  wherry node --name n1 --address 10.0.0.1 --label zone=a\n"
                "  wherry node --witness\n"
                "  wherry node ls\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct daemon_options, ARG_TEXT, name, 0, "name", "NAME",
                       "name of the member (default: the host's name)"),
            ARG_OPTION(struct daemon_options, ARG_TEXT, data_dir, 0, "data", "DIR",
                       "what has to last (default /var/lib/wherry)"),
            ARG_OPTION(struct daemon_options, ARG_TEXT, run_dir, 0, "run", "DIR",
                       "what a reboot may lose, and the socket (default /run/wherry)"),
            ARG_OPTION(struct daemon_options, ARG_TEXT, address, 0, "address", "IP[:PORT]",
                       "where it listens for other members (default: the default route's, 7400)"),
            ARG_OPTION(struct daemon_options, ARG_TEXT, advertise, 0, "advertise", "IP[:PORT]",
                       "where others reach it, if that is another one: behind a NAT"),
            ARG_OPTION(struct daemon_options, ARG_TEXTS, labels, 0, "label", "KEY=VALUE",
                       "for placement constraints; may be given several times"),
            ARG_OPTION(struct daemon_options, ARG_TEXTS, resources, 0, "resource", "NAME=COUNT",
                       "so many of something that services may reserve: gpu=2; several"),
            ARG_OPTION(struct daemon_options, ARG_FLAG, witness, 0, "witness", NULL,
                       "be a member that votes and runs nothing"),
            ARG_OPTION(
                struct daemon_options, ARG_TEXTS, oci_runtimes, 0, "oci-runtime", "NAME[=PATH]",
                "with a path: one more OCI runtime; without: the default (else the first that "
                "works of crun and runc); may be given several times"),
            ARG_OPTION(struct daemon_options, ARG_TEXT, seccomp_profile, 0, "seccomp-profile",
                       "FILE", "the default for containers, in Docker's format (else built in)"),
            ARG_OPTION(struct daemon_options, ARG_TEXT, http, 0, "http", "ADDRESS:PORT",
                       "where the HTTP API and metrics are; or unix:PATH, or off (default "
                       "127.0.0.1:7480)"),
            ARG_OPTION(struct daemon_options, ARG_TEXT, cgroup_parent, 0, "cgroup-parent", "GROUP",
                       "the control group that all others are made below (default /wherry)"),
            ARG_OPTION(struct daemon_options, ARG_TEXTS, plain_http, 0, "plain-http", "HOST[:PORT]",
                       "a registry that speaks HTTP without TLS; may be given several times"),
            ARG_OPTION(struct daemon_options, ARG_DURATION, drain_ms, 0, "drain-on-stop",
                       "DURATION",
                       "at SIGTERM have the tasks go elsewhere first, within that time"),
            ARG_OPTION(struct daemon_options, ARG_DURATION, certificate_ms, 0,
                       "certificate-lifetime", "DURATION", NULL),
            ARG_OPTION(struct daemon_options, ARG_NUMBER, pretend_level, 0, "pretend-level", "N",
                       NULL),
            ARG_OPTION(struct daemon_options, ARG_NUMBER, snapshot_entries, 0, "snapshot-entries",
                       "N", NULL),
            ARG_END,
        },
    .options_size = sizeof(struct daemon_options),
    .run = run_node,
    .subcommands =
        (const struct command *const[]){&node_ls, &node_inspect, &node_drain, &node_pause,
                                        &node_activate, &node_rm, &node_repair, NULL},
};
