/* SPDX-License-Identifier: Apache-2.0 */
/* network: the networks of the cluster. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/container.h"
#include "cli/labels.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct network_options {
    const char *subnet;
    const char *ip_range;
    bool ipv6;
    const char *subnet6;
    bool internal;
    bool macvlan;
    const char *parent, *gateway;
    struct arg_texts labels;
};

enum {
    FULL_PERCENT = 80, /* from here on it is said that a network fills up */
};

/* --- create and rm -----------------------------------------------------------------------------
 */

static int run_create(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct network_options *o = options;
    struct network_create_request request = {
        .name = words[0],
        .subnet = TEXT(o->subnet),
        .ip_range = TEXT(o->ip_range),
        .ipv6 = o->ipv6 || o->subnet6,
        .subnet6 = TEXT(o->subnet6),
        .internal = o->internal,
        .lan = {.on = o->macvlan, .parent = TEXT(o->parent), .gateway = TEXT(o->gateway)}};
    struct empty reply;
    (void)words_n;
    if ((o->parent || o->gateway) && !o->macvlan)
        return err_set(err, ERR_INVALID, "%s is of a --macvlan",
                       o->parent ? "--parent" : "--gateway");
    int rv = labels_read(&o->labels, &request.labels, &request.labels_n, err);
    if (rv == 0)
        rv = cli_call(cli, "network.create", &request, &reply, err);
    record_free_list(&pair_type, request.labels, request.labels_n);
    if (rv == 0)
        puts(words[0]);
    return rv;
}

static const struct command network_create = {
    .name = "create",
    .usage = "[--subnet RANGE] [--ip-range RANGE] [--ipv6] [--subnet6 RANGE] [--internal] "
             "[--macvlan] [--parent LINK] [--gateway ADDRESS] [-l KEY=VALUE] NAME",
    .summary = "make a network that services of any stack may be in",
    .details =
        "Make a network of no stack. Services are in it that name it in their Compose file, where\n"
        "it is declared with 'external: true'. It stays until 'wherry network rm'.\n"
        "With --macvlan it is the link that the machines are on, with its subnet: tasks are there "
        "as\n"
        "machines of their own, with addresses of --ip-range, which nobody else may have.",
    .examples = "  wherry network create proxy\n"
                "  wherry network create --internal --subnet 172.28.0.0/16 backend\n"
                "  wherry network create --macvlan --subnet 192.168.1.0/24 --gateway 192.168.1.1 "
                "--ip-range 192.168.1.192/27 lan\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct network_options, ARG_TEXT, subnet, 0, "subnet", "RANGE",
                       "a range of its own, outside of the cluster's (default: a /20 of that)"),
            ARG_OPTION(struct network_options, ARG_TEXT, ip_range, 0, "ip-range", "RANGE",
                       "the part of the subnet that addresses are given out of"),
            ARG_OPTION(struct network_options, ARG_FLAG, ipv6, 0, "ipv6", NULL, "IPv6 beside IPv4"),
            ARG_OPTION(struct network_options, ARG_TEXT, subnet6, 0, "subnet6", "RANGE",
                       "a range of IPv6 of its own (with --ipv6 alone: one of the cluster's)"),
            ARG_OPTION(struct network_options, ARG_FLAG, internal, 0, "internal", NULL,
                       "no way to anything outside"),
            ARG_OPTION(struct network_options, ARG_FLAG, macvlan, 0, "macvlan", NULL,
                       "the machines' own link"),
            ARG_OPTION(struct network_options, ARG_TEXT, parent, 0, "parent", "LINK",
                       "its name on the machines, eth0.20 (default: the one with their address)"),
            ARG_OPTION(struct network_options, ARG_TEXT, gateway, 0, "gateway", "ADDRESS",
                       "the link's way to all else (default: as of tasks that are not on it)"),
            ARG_OPTION(struct network_options, ARG_TEXTS, labels, 'l', "label", "KEY=VALUE",
                       "a label; may be given several times"),
            ARG_END,
        },
    .options_size = sizeof(struct network_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_create,
};

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct empty reply;
    (void)options;
    for (int i = 0; i < words_n; i++) {
        if (cli_call(cli, "network.remove", &(struct name_request){.name = words[i]}, &reply, err) <
            0)
            return err->code;
        puts(words[i]);
    }
    return 0;
}

static const struct command network_rm = {
    .name = "rm",
    .usage = "NAME...",
    .summary = "remove networks that no service is in",
    .details = "Remove networks that were made by hand. Those of a stack go with the stack.",
    .examples = "  wherry network rm proxy\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

/* --- ls and inspect ----------------------------------------------------------------------------
 */

static void add_row(struct table *table, const struct network_info *n)
{
    table_add(table, n->name);
    table_add(table, *str_or_empty(n->stack) ? n->stack : "-");
    table_add(table, n->subnet);
    table_add(table, *str_or_empty(n->subnet6) ? n->subnet6 : "-");
    table_addf(table, "%" PRId64 " of %" PRId64, n->used, n->addresses);
    table_add(table, n->lan.on       ? "macvlan"
                     : n->internal   ? "internal"
                     : n->attachable ? "attachable"
                                     : "-");
}

static void warn_full(const struct network_list_reply *reply)
{
    for (size_t i = 0; i < reply->networks_n; i++) {
        const struct network_info *n = &reply->networks[i];
        if (n->used * 100 >= n->addresses * FULL_PERCENT)
            cli_warn("network %s fills up: %" PRId64 " of its %" PRId64 " addresses are in use",
                     n->name, n->used, n->addresses);
    }
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct network_list_reply reply;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "network.list", &(struct name_request){0}, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&network_info_type, reply.networks, reply.networks_n);
    for (size_t i = 0; cli->quiet && !cli->json && i < reply.networks_n; i++)
        puts(reply.networks[i].name);
    if (!cli->json && !cli->quiet) {
        table_init(&table,
                   (const char *[]){"NAME", "STACK", "SUBNET", "IPV6", "IN USE", "KIND", NULL});
        for (size_t i = 0; i < reply.networks_n; i++)
            add_row(&table, &reply.networks[i]);
        table_print(&table, &out);
        table_release(&table);
        fputs(out.data, stdout);
        warn_full(&reply);
    }
    record_release(&network_list_reply_type, &reply);
    return 0;
}

static const struct command network_ls = {
    .name = "ls",
    .usage = "[--json] [-q]",
    .summary = "list the networks of the cluster",
    .details = "List networks: their stack, range, and how many of the addresses are in use, by "
               "tasks and by\nservices. One that is in use to 80 % is warned of.",
    .examples = "  wherry network ls\n",
    .json = true,
    .quiet = true,
    .run = run_ls,
};

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct network_info *all = mem_alloc((size_t)words_n, sizeof(*all));
    size_t n = 0;
    int rv = 0;
    (void)options;
    for (int i = 0; i < words_n && rv == 0; i++) {
        struct network_list_reply reply;
        rv = cli_call(cli, "network.list", &(struct name_request){.name = words[i]}, &reply, err);
        if (rv < 0)
            break;
        all[n++] = reply.networks[0];
        reply.networks[0] = (struct network_info){0};
        record_release(&network_list_reply_type, &reply);
    }
    if (rv == 0)
        cli_print_json(&network_info_type, all, n);
    record_free_list(&network_info_type, all, n);
    return rv;
}

static const struct command network_inspect = {
    .name = "inspect",
    .usage = "NAME...",
    .summary = "show all that is known of networks, as JSON",
    .details = "Print a JSON array: range, labels, and who has which address in it: services, "
               "whose address\nstands for their healthy tasks, and tasks with their member.",
    .examples = "  wherry network inspect shop_default | jq -r '.[0].members[].address'\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_inspect,
};

/* --- status ------------------------------------------------------------------------------------
 */

struct status_options {
    const char *node;
};

/* "0.41 ms", "0.41 ms, 3 % lost", "-". */
static void add_answers(struct table *table, bool up, int64_t lost, int64_t rtt_us)
{
    if (!up)
        table_add(table, lost == 100 || rtt_us == 0 ? "-" : "lost");
    else if (lost)
        table_addf(table, "%.2f ms, %" PRId64 " %% lost", (double)rtt_us / 1000, lost);
    else
        table_addf(table, "%.2f ms", (double)rtt_us / 1000);
}

static void add_way(struct table *table, const struct network_way *way)
{
    char since[UNITS_TEXT];
    table_add(table, way->from);
    table_add(table, way->to);
    table_add(table, way->plain ? "plain" : way->up ? "tunnel" : "broken");
    add_answers(table, way->up, way->lost_percent, way->rtt_us);
    add_answers(table, way->plain, way->plain_lost_percent, way->plain_rtt_us);
    table_addf(table, "%" PRId64, way->mtu);
    table_add(table, way->since_ms ? units_ago(way->since_ms, clock_wall_ms(), since) : "-");
}

/* The answer of one member is added to that of all. */
static void take_status(struct network_status_reply *all, struct network_status_reply *one,
                        const char *node)
{
    if (*str_or_empty(one->problem))
        cli_warn("%s: %s", node, one->problem);
    all->ways = mem_resize(all->ways, all->ways_n + one->ways_n + 1, sizeof(*all->ways));
    for (size_t i = 0; i < one->ways_n; i++) {
        all->ways[all->ways_n++] = one->ways[i];
        one->ways[i] = (struct network_way){0};
    }
    record_release(&network_status_reply_type, one);
}

/* False when no member was meant. */
static bool ask_members(struct cli *cli, const struct node_list_reply *nodes, const char *only,
                        struct network_status_reply *all)
{
    bool any = false;
    for (size_t i = 0; i < nodes->nodes_n; i++) {
        const struct node_info *node = &nodes->nodes[i];
        struct network_status_request request = {.node = node->name};
        struct network_status_reply one;
        struct err err;
        if (str_equal(node->role, "witness") || (only && !str_equal(only, node->name)))
            continue;
        any = true;
        if (!str_equal(node->status, "up"))
            cli_warn("%s is %s: it is not asked", node->name, node->status);
        else if (cli_call(cli, "network.status", &request, &one, &err) < 0)
            cli_warn("%s: %s", node->name, err.msg);
        else
            take_status(all, &one, node->name);
    }
    return any || !only;
}

static void print_status(const struct network_status_reply *all)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    table_init(&table,
               (const char *[]){"FROM", "TO", "WAY", "TUNNEL", "PLAIN", "MTU", "SINCE", NULL});
    for (size_t i = 0; i < all->ways_n; i++)
        add_way(&table, &all->ways[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_status(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct status_options *o = options;
    struct node_list_reply nodes;
    struct network_status_reply all = {0};
    (void)words_n;
    (void)words;
    if (cli_call(cli, "node.list", &(struct empty){0}, &nodes, err) < 0)
        return err->code;
    int rv = 0;
    if (!ask_members(cli, &nodes, o->node, &all))
        rv = err_set(err, ERR_NOTFOUND,
                     "there is no member '%.63s' that has a network ('wherry node ls' lists them)",
                     o->node);
    else if (cli->json)
        cli_print_json(&network_way_type, all.ways, all.ways_n);
    else
        print_status(&all);
    record_release(&network_status_reply_type, &all);
    record_release(&node_list_reply_type, &nodes);
    return rv;
}

static const struct command network_status = {
    .name = "status",
    .usage = "[--node NAME] [--json]",
    .summary = "show how members reach each other",
    .details =
        "A row for each way from a member to another, as the first finds it by pinging the other "
        "every\nsecond: whether containers' packets take plain routes, or the tunnel; the last "
        "answer and the\nshare of the last 32 that was lost, of each; the largest packet that "
        "gets through the tunnel.\nWhat clients send to published ports takes the tunnel always.",
    .examples = "  wherry network status\n"
                "  wherry network status --json | jq '.[] | select(.up | not)'\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct status_options, ARG_TEXT, node, 0, "node", "NAME",
                       "of the ways from this member alone"),
            ARG_END,
        },
    .options_size = sizeof(struct status_options),
    .json = true,
    .run = run_status,
};

const struct command command_network = {
    .name = "network",
    .usage = "",
    .summary = "list, make and remove networks; how members reach each other",
    .details =
        "Each stack has a network 'STACK_default', and those that its file declares. Containers\n"
        "reach those they share a network with, and nothing else of the cluster.",
    .examples = "  wherry network ls\n"
                "  wherry network create proxy\n"
                "  wherry network status\n",
    .subcommands = (const struct command *const[]){&network_ls, &network_inspect, &network_create,
                                                   &network_rm, &network_status, NULL},
};
