/* SPDX-License-Identifier: Apache-2.0 */
/* init, join, status: the cluster as a whole. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/secret_input.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOUND_MS = 60000, /* init and join write to disk and wait for a leader */
    JOIN_MS = 150000,
    LEADERLESS_MS = 10000, /* no mere election */
    FRESH_MS = 2500,       /* members hear from the leader twice a second */
};

/* --- init --------------------------------------------------------------------------------------
 */

struct init_options {
    const char *pool;
};

static int run_init(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct init_options *o = options;
    struct init_request request = {.pool = (char *)(uintptr_t)o->pool};
    struct init_reply reply;
    (void)words_n;
    (void)words;
    if (cli_call_within(cli, "cluster.init", &request, &reply, FOUND_MS, err) < 0)
        return err->code;
    printf("Cluster %s has its first member, at %s.\n\n", reply.cluster, reply.address);
    printf("To add a machine, start 'wherry node' there and run on it within a day:\n\n");
    printf("  wherry join %s --token %s\n\n", reply.address, reply.join_token);
    printf("'wherry token' makes another token.\n");
    record_release(&init_reply_type, &reply);
    return 0;
}

const struct command command_init = {
    .name = "init",
    .usage = "[--pool PREFIX]",
    .summary = "make this machine the first member of a new cluster",
    .details =
        "Make the machine of the called daemon the first member of a new cluster, and print\n"
        "how others join it.",
    .examples = "  wherry init\n"
                "  wherry init --pool 10.64.0.0/12\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct init_options, ARG_TEXT, pool, 0, "pool", "PREFIX",
                       "range for the addresses of all containers (default 10.192.0.0/10)"),
            ARG_END,
        },
    .options_size = sizeof(struct init_options),
    .run = run_init,
};

/* --- join --------------------------------------------------------------------------------------
 */

struct join_options {
    const char *token;
    bool replace;
};

/* Members have a port for command lines, too: that is not the one. */
static int explain_join(const char *address, struct err *err)
{
    struct err was = *err;
    const char *port = strrchr(address, ':');
    if (port && strcmp(port, ":7401") == 0)
        err_set(err, was.code, "%.200s (port 7401 is for command lines: machines join at 7400)",
                was.msg);
    return err->code;
}

/* Ids are given out anew, names are not: n4 may be the id of this machine and another's name. */
static void print_joined(struct cli *cli, const struct join_reply *reply)
{
    char id[32];
    struct status_reply s = {0};
    struct err ignored;
    snprintf(id, sizeof(id), "n%" PRId64, reply->node_id);
    bool named = cli_call(cli, "cluster.status", &(struct empty){0}, &s, &ignored) == 0 &&
                 *str_or_empty(s.node) && strcmp(s.node, id) != 0;
    if (named)
        printf("This machine is member %s, with id %s, of cluster %s.\n", s.node, id,
               reply->cluster);
    else
        printf("This machine is member %s of cluster %s.\n", id, reply->cluster);
    record_release(&status_reply_type, &s);
}

static int run_join(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct join_options *o = options;
    cleanup_free char *line = NULL;
    struct join_reply reply;
    (void)words_n;
    if (!o->token || !*o->token)
        return err_set(
            err, ERR_INVALID,
            "a token is needed: 'wherry token' on any member makes one; then wherry join "
            "%.60s --token TOKEN",
            words[0]);
    if (str_equal(o->token, "-") && token_read(&line, err) < 0)
        return err->code;
    struct join_request request = {.address = words[0],
                                   .token = line ? line : (char *)(uintptr_t)o->token,
                                   .replace = o->replace};
    if (cli_call_within(cli, "cluster.join", &request, &reply, JOIN_MS, err) < 0)
        return explain_join(words[0], err);
    print_joined(cli, &reply);
    record_release(&join_reply_type, &reply);
    return 0;
}

const struct command command_join = {
    .name = "join",
    .usage = "ADDRESS --token TOKEN [--replace]",
    .summary = "make this machine a member of a cluster",
    .details =
        "Make the machine of the called daemon a member of the cluster that ADDRESS (any\n"
        "member, ADDRESS[:PORT]) belongs to. 'wherry token' on a member prints the command.\n"
        "With --token - the token is read from standard input.",
    .examples = "  wherry join 10.0.0.1:7400 --token wherry1-j-…\n"
                "  wherry join --replace 10.0.0.1 --token - < token\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct join_options, ARG_TEXT, token, 0, "token", "TOKEN",
                       "what 'wherry token' on a member printed"),
            ARG_OPTION(struct join_options, ARG_FLAG, replace, 0, "replace", NULL,
                       "take the place of a member of the same name that is down"),
            ARG_END,
        },
    .options_size = sizeof(struct join_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_join,
};

/* --- status ------------------------------------------------------------------------------------
 */

static void print_cluster(const struct status_reply *s, struct table *table)
{
    bool led = *str_or_empty(s->leader);
    table_add(table, "cluster");
    table_add(table, s->cluster);
    if (!led && s->nodes == 0)
        return; /* it has no state yet */
    table_add(table, "leader");
    table_add(table, led ? s->leader : "none now: no changes are possible");
    table_add(table, "voters");
    if (led)
        table_addf(table,
                   "%" PRId64 " of %" PRId64 " up, %" PRId64 " needed, %" PRId64 " more may fail",
                   s->voters_up, s->voters, s->quorum, s->losable);
    else
        table_addf(table, "%" PRId64 ", %" PRId64 " needed; only a leader knows who is up",
                   s->voters, s->quorum);
    table_add(table, "nodes");
    table_addf(table, "%" PRId64 " of %" PRId64 " %s", s->nodes_up, s->nodes,
               led ? "up" : "were up when there was a leader");
    table_add(table, "services");
    table_addf(table, "%" PRId64, s->services);
    table_add(table, "tasks");
    table_addf(table, "%" PRId64 " running, %" PRId64 " waiting", s->tasks_running,
               s->tasks_waiting);
}

/* How far what this member has may be from the truth. */
static void print_copy(const struct status_reply *s, struct table *table)
{
    char ago[UNITS_TEXT];
    if (!*str_or_empty(s->leader) && s->nodes == 0)
        table_add(table, "none yet: it waits for the state");
    else if (s->contact_ms == 0)
        table_add(table, "the leader's own");
    else if (s->contact_ms < FRESH_MS && s->behind == 0)
        table_add(table, "has what the leader had a moment ago");
    else if (s->contact_ms < FRESH_MS)
        table_addf(table, "%" PRId64 " entries behind the leader", s->behind);
    else
        table_addf(table, "no word from a leader for %s: it may lack all since then",
                   units_duration(s->contact_ms, ago));
}

static void print_member(const struct status_reply *s, struct table *table)
{
    table_add(table, "answered by");
    if (s->node_id)
        table_addf(table, "%s (n%" PRId64 "), at term %" PRId64 ", index %" PRId64, s->node,
                   s->node_id, s->term, s->index);
    else
        table_add(table, s->node);
    if (*str_or_empty(s->cluster)) {
        table_add(table, "its copy");
        print_copy(s, table);
    }
    if (s->cut_off) {
        table_add(table, "cut off");
        table_add(table, "the cluster was recovered without this member: it must join anew");
    }
    if (str_equal(s->lock, "locked")) {
        table_add(table, "lock");
        table_add(table, "locked since it started: 'wherry unlock' opens it");
    } else if (str_equal(s->lock, "on")) {
        table_add(table, "lock");
        table_add(table, "on");
    }
    table_add(table, "version");
    table_add(table, s->version);
    table_add(table, "runtime");
    if (*str_or_empty(s->oci_runtime))
        table_addf(table, "%s, cgroups %s", s->oci_runtime, str_or_empty(s->cgroups));
    else
        table_add(table, "none: a witness runs nothing");
}

static int run_status(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    struct status_reply reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "cluster.status", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    if (cli->json) {
        cli_print_json_one(&status_reply_type, &reply);
    } else {
        cleanup_buf struct buf out = BUF_INIT;
        struct table table;
        bool member = *str_or_empty(reply.cluster);
        table_init(&table, (const char *[]){"", "", NULL});
        if (member)
            print_cluster(&reply, &table);
        print_member(&reply, &table);
        table_print(&table, &out);
        table_release(&table);
        fputs(out.data, stdout);
        for (size_t i = 0; i < reply.warnings_n; i++) {
            cleanup_buf struct buf clean = BUF_INIT;
            text_clean(reply.warnings[i], &clean);
            printf("\n%s\n", clean.data);
        }
        if (member && !*str_or_empty(reply.leader) && reply.nodes > 0 &&
            reply.contact_ms >= LEADERLESS_MS)
            printf("\nWhat runs goes on. Changes are possible again once enough voters are up and "
                   "can be reached; for addresses that changed see 'wherry help connect', for "
                   "voters that are lost for good 'wherry help recover'.\n");
        if (!member)
            printf("\nThis machine is in no cluster: 'wherry init' makes one, 'wherry join' goes "
                   "into one.\n");
    }
    record_release(&status_reply_type, &reply);
    return 0;
}

const struct command command_status = {
    .name = "status",
    .usage = "[--json]",
    .summary = "show how the cluster is",
    .examples = "  wherry status\n"
                "  wherry status -H 10.0.0.2 --json\n",
    .json = true,
    .run = run_status,
};
