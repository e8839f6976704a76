/* SPDX-License-Identifier: Apache-2.0 */
/* token: what lets machines join, and command lines elsewhere call. */
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

enum {
    CALL_PORT_STEP = 1, /* calls come in one port above the bus */
};

struct token_options {
    int64_t ttl_ms;
    bool join;
    bool witness;
    const char *role;
    struct arg_texts stacks;
};

/* --- printing ----------------------------------------------------------------------------------
 */

static const char *valid_for(const struct token_reply *reply, char out[UNITS_TEXT])
{
    /* Half a second of the way here is not worth a "23h59m". */
    return units_duration(reply->expires_ms - clock_wall_ms() + 500, out);
}

static void print_join(const struct token_reply *reply)
{
    char left[UNITS_TEXT];
    printf("To add a machine, start 'wherry node' there and run on it within %s:\n\n",
           valid_for(reply, left));
    printf("  wherry join %s --token %s\n", reply->address, reply->token);
}

/* Where a member takes calls, from where its bus is. */
static char *call_address(const char *bus)
{
    const char *colon = strrchr(bus, ':');
    if (!colon)
        return str_copy(bus);
    return str_printf("%.*s:%ld", (int)(colon - bus), bus,
                      strtol(colon + 1, NULL, 10) + CALL_PORT_STEP);
}

static const char *what_it_allows(enum token_role role)
{
    switch (role) {
    case TOKEN_ADMIN:
        return "is an administrator of the cluster";
    case TOKEN_DEPLOYER:
        return "may deploy, scale and remove stacks";
    case TOKEN_VIEWER:
        return "may look at everything but secrets";
    }
    return "may call";
}

static void print_call(const struct token_reply *reply)
{
    char left[UNITS_TEXT];
    cleanup_free char *address = call_address(str_or_empty(reply->address));
    printf("Whoever has this token %s%s%s", what_it_allows(reply->role),
           reply->expires_ms ? " for " : "", reply->expires_ms ? valid_for(reply, left) : "");
    for (size_t i = 0; i < reply->stacks_n; i++)
        printf("%s%s",
               i                     ? ", "
               : reply->stacks_n > 1 ? ", of the stacks "
                                     : ", of the stack ",
               reply->stacks[i]);
    printf(".\nTo use it on another machine:\n\n  wherry login %s --token %s\n", address,
           reply->token);
    if (*str_or_empty(reply->name))
        printf("\nIt is not shown again. 'wherry token rm %s' takes it back.\n", reply->name);
    else
        printf("\nIt is not shown again. 'wherry token rm %" PRId64 "' takes it back.\n",
               reply->id);
}

static void print_token(const struct cli *cli, const struct token_reply *reply)
{
    if (cli->json)
        cli_print_json_one(&token_reply_type, reply);
    else if (cli->quiet)
        puts(reply->token);
    else if (reply->kind == TOKEN_JOIN)
        print_join(reply);
    else
        print_call(reply);
}

/* --- make --------------------------------------------------------------------------------------
 */

static int make_token(struct cli *cli, const struct token_request *request, struct err *err)
{
    struct token_reply reply;
    if (cli_call(cli, "token.create", request, &reply, err) < 0)
        return err->code;
    print_token(cli, &reply);
    record_release(&token_reply_type, &reply);
    return 0;
}

static int run_token(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct token_options *o = options;
    struct token_request request = {.kind = TOKEN_JOIN, .ttl_ms = o->ttl_ms};
    (void)words_n;
    (void)words;
    return make_token(cli, &request, err);
}

static int read_role(const char *text, enum token_role *ret, struct err *err)
{
    for (int i = 0; token_role_names[i]; i++)
        if (strcmp(token_role_names[i], text) == 0) {
            *ret = (enum token_role)i;
            return 0;
        }
    return err_set(err, ERR_INVALID, "'%.40s' is no role: admin, deployer or viewer", text);
}

static int run_create(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct token_options *o = options;
    struct token_request request = {.kind = o->join ? TOKEN_JOIN : TOKEN_CALL,
                                    .ttl_ms = o->ttl_ms,
                                    .name = words_n > 0 ? words[0] : NULL,
                                    .stacks = (char **)(uintptr_t)o->stacks.items,
                                    .stacks_n = o->stacks.n,
                                    .witness = o->witness};
    if (o->join && (o->role || o->stacks.n > 0))
        return err_set(err, ERR_INVALID,
                       "--role and --stack are for tokens to call with, not to "
                       "join with");
    if (o->witness && !o->join)
        return err_set(err, ERR_INVALID, "--witness is for tokens to join with: give --join too");
    if (o->role && read_role(o->role, &request.role, err) < 0)
        return err->code;
    if (o->stacks.n > 0 && request.role == TOKEN_ADMIN)
        return err_set(err, ERR_INVALID,
                       "an admin may do everything: with --stack give --role deployer or --role "
                       "viewer");
    return make_token(cli, &request, err);
}

static const struct command token_create = {
    .name = "create",
    .usage = "[--role ROLE] [--stack STACK]... [--ttl DURATION] [NAME] | --join [--witness] [NAME]",
    .summary = "make a token to call with from another machine, or to join with",
    .details =
        "Make a token with which the wherry of another machine may call this cluster, and print\n"
        "it, once: the cluster keeps its hash only. A viewer reads; a deployer also deploys,\n"
        "scales and removes stacks, and loads images, but no bind mounts; an admin may do all.\n"
        "With --join: a token with which a machine becomes a member.",
    .examples = "  wherry token create laptop\n"
                "  wherry token create --role deployer --stack shop --ttl 30d ci\n"
                "  wherry token create --role viewer dashboard\n"
                "  wherry token create --join --ttl 1h\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct token_options, ARG_TEXT, role, 0, "role", "ROLE",
                       "admin (default), deployer or viewer"),
            ARG_OPTION(struct token_options, ARG_TEXTS, stacks, 0, "stack", "STACK",
                       "it sees and changes this stack only; may be given several times"),
            ARG_OPTION(struct token_options, ARG_DURATION, ttl_ms, 0, "ttl", "DURATION",
                       "how long it is good for (default: for ever; --join: 24h)"),
            ARG_OPTION(struct token_options, ARG_FLAG, join, 0, "join", NULL,
                       "for joining, not for calls"),
            ARG_OPTION(struct token_options, ARG_FLAG, witness, 0, "witness", NULL,
                       "with --join: for a witness"),
            ARG_END,
        },
    .options_size = sizeof(struct token_options),
    .words_max = 1,
    .json = true,
    .quiet = true,
    .run = run_create,
};

/* --- list --------------------------------------------------------------------------------------
 */

static void add_token(struct table *table, const struct token_info *t)
{
    char text[UNITS_TEXT];
    int64_t now = clock_wall_ms();
    cleanup_buf struct buf stacks = BUF_INIT;
    for (size_t i = 0; i < t->stacks_n; i++)
        buf_printf(&stacks, "%s%s", i ? ", " : "", t->stacks[i]);
    table_addf(table, "%" PRId64, t->id);
    table_add(table, *str_or_empty(t->name) ? t->name : "-");
    table_add(table, t->kind);
    table_add(table, t->role);
    table_add(table, t->stacks_n > 0 ? stacks.data : str_equal(t->kind, "call") ? "all" : "-");
    if (t->expires_ms == 0)
        table_add(table, "never");
    else if (t->expires_ms <= now)
        table_add(table, "expired");
    else
        table_addf(table, "in %s", units_duration(t->expires_ms - now, text));
    table_add(table, units_ago(t->created_ms, now, text));
    table_add(table, *str_or_empty(t->created_by) ? t->created_by : "-");
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct token_list_reply reply;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "token.list", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    if (cli->json) {
        cli_print_json(&token_info_type, reply.tokens, reply.tokens_n);
    } else if (cli->quiet) {
        for (size_t i = 0; i < reply.tokens_n; i++)
            printf("%" PRId64 "\n", reply.tokens[i].id);
    } else {
        table_init(&table, (const char *[]){"ID", "NAME", "KIND", "ROLE", "STACKS", "EXPIRES",
                                            "MADE", "BY", NULL});
        for (size_t i = 0; i < reply.tokens_n; i++)
            add_token(&table, &reply.tokens[i]);
        table_print(&table, &out);
        table_release(&table);
        fputs(out.data, stdout);
    }
    record_release(&token_list_reply_type, &reply);
    return 0;
}

static const struct command token_ls = {
    .name = "ls",
    .usage = "[--json] [-q]",
    .summary = "list the tokens there are, without their secrets",
    .examples = "  wherry token ls\n",
    .json = true,
    .quiet = true,
    .run = run_ls,
};

/* --- rm and rotate -----------------------------------------------------------------------------
 */

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct empty reply;
    (void)options;
    for (int i = 0; i < words_n; i++)
        if (cli_call(cli, "token.remove", &(struct name_request){.name = words[i]}, &reply, err) <
            0)
            return err->code;
    return 0;
}

static const struct command token_rm = {
    .name = "rm",
    .usage = "TOKEN...",
    .summary = "take tokens back, at once",
    .details =
        "Take tokens back, named by id or name. Calls and connections with them end at once.",
    .examples = "  wherry token rm ci\n"
                "  wherry token rm 12\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

static int run_rotate(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    struct token_reply reply;
    (void)options;
    (void)words_n;
    if (cli_call(cli, "token.rotate", &(struct name_request){.name = words[0]}, &reply, err) < 0)
        return err->code;
    print_token(cli, &reply);
    record_release(&token_reply_type, &reply);
    return 0;
}

static const struct command token_rotate = {
    .name = "rotate",
    .usage = "TOKEN",
    .summary = "give a token another secret; the old one is no good from then on",
    .details =
        "Give a token, named by id or name, another secret and print it. Its rights and its end\n"
        "stay as they are; the old secret is no good from then on.",
    .examples = "  wherry token rotate ci\n",
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .quiet = true,
    .run = run_rotate,
};

const struct command command_token = {
    .name = "token",
    .usage = "[--ttl DURATION]",
    .summary = "make, list and take back tokens; alone: print how a machine joins",
    .examples = "  wherry token\n"
                "  wherry token --ttl 10m\n"
                "  wherry token create --role deployer ci\n"
                "  wherry token rm ci\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct token_options, ARG_DURATION, ttl_ms, 0, "ttl", "DURATION",
                       "how long it is good for (default 24h)"),
            ARG_END,
        },
    .options_size = sizeof(struct token_options),
    .json = true,
    .quiet = true,
    .run = run_token,
    .subcommands =
        (const struct command *const[]){&token_create, &token_ls, &token_rm, &token_rotate, NULL},
};
