/* SPDX-License-Identifier: Apache-2.0 */
/* login, logout, context: clusters that this user calls from here. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/secret_input.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cluster/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From --token, WHERRY_TOKEN or standard input. */
static int take_token(const struct cli *cli, char **ret, struct err *err)
{
    const char *token = cli->token && *cli->token ? cli->token : getenv("WHERRY_TOKEN");
    if (!token || !*token || strcmp(token, "-") == 0)
        return token_read(ret, err);
    *ret = str_copy(token);
    return 0;
}

/* --- login -------------------------------------------------------------------------------------
 */

struct login_options {
    const char *name;
};

struct login {
    struct context context;
    bool named; /* by --name */
};

static int edit_login(struct contexts *contexts, void *arg, struct err *err)
{
    const struct login *l = arg;
    const struct context *old = contexts_find(contexts, l->context.name);
    if (old && !str_equal(old->cluster, l->context.cluster))
        return err_set(err, ERR_EXISTS,
                       "context '%.63s' is of another cluster: choose another name with --name, or "
                       "'wherry logout %.63s' first",
                       old->name, old->name);
    if (contexts_put(contexts, &l->context, err) < 0)
        return err->code;
    free(contexts->current);
    contexts->current = str_copy(l->context.name);
    return 0;
}

/* What a context is called when no name is given: the address without its port. */
static char *name_of(const char *address)
{
    size_t len = strcspn(address, ":");
    char *name = str_printf("%.*s", (int)(len < 63 ? len : 63), address);
    if (node_name_is_valid(name) && strcmp(name, CONTEXT_LOCAL) != 0)
        return name;
    free(name);
    return str_copy("default");
}

/* Where the members are as the cluster says; where we got in comes first. A name, or a way around
 * an address translation, only we know. */
static void take_addresses(struct context *c, const char *address, const struct session_reply *s)
{
    cleanup_free char *full =
        strchr(address, ':') ? str_copy(address) : str_printf("%s:7401", address);
    c->addresses = mem_alloc(s->addresses_n + 1, sizeof(char *));
    c->addresses[c->addresses_n++] = str_copy(full);
    for (size_t i = 0; i < s->addresses_n && c->addresses_n < CONTEXT_ADDRESSES_MAX; i++)
        if (!str_equal(s->addresses[i], full))
            c->addresses[c->addresses_n++] = str_copy(s->addresses[i]);
}

static void print_login(const struct login *l, const struct session_reply *s, const char *path)
{
    char text[UNITS_TEXT];
    printf("Logged in to cluster %.8s as %s%s%s%s", s->cluster, s->role,
           *str_or_empty(s->name) ? ", token " : "", str_or_empty(s->name),
           s->stacks_n > 0 ? ", for" : "");
    for (size_t i = 0; i < s->stacks_n; i++)
        printf("%s %s", i ? "," : s->stacks_n > 1 ? " the stacks" : " the stack", s->stacks[i]);
    if (s->expires_ms)
        printf(", for %s", units_duration(s->expires_ms - clock_wall_ms() + 500, text));
    printf(".\nContext %s is the current one; it is kept, with the token, in %s.\n",
           l->context.name, path);
}

static int keep(struct login *l, const char *address, const struct session_reply *s,
                struct err *err)
{
    cleanup_free char *path = NULL;
    l->context.cluster = s->cluster;
    take_addresses(&l->context, address, s);
    int rv = contexts_path(&path, err);
    if (rv == 0)
        rv = contexts_change(edit_login, l, err);
    if (rv == 0)
        print_login(l, s, path);
    for (size_t i = 0; i < l->context.addresses_n; i++)
        free(l->context.addresses[i]);
    free(l->context.addresses);
    return rv;
}

static int run_login(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct login_options *o = options;
    const char *address = words[0];
    struct session_reply session;
    struct client *client;
    char *token = NULL;
    (void)words_n;
    if (strchr(address, '/'))
        return err_set(err, ERR_INVALID,
                       "'%.80s' is no member's address: ADDRESS[:PORT]; this "
                       "machine's own socket needs no login",
                       address);
    int rv = take_token(cli, &token, err);
    if (rv < 0)
        return rv;
    cleanup_free char *name = o->name ? str_copy(o->name) : name_of(address);
    struct login l = {.context = {.name = name, .token = token}, .named = o->name};
    rv = client_open(address, token, &client, err);
    if (rv == 0) {
        rv = cli_call_client(client, "cluster.session", &(struct empty){0}, &session, CALL_MS, err);
        client_close(client);
        if (rv == 0) {
            rv = keep(&l, address, &session, err);
            record_release(&session_reply_type, &session);
        }
    }
    explicit_bzero(token, strlen(token));
    free(token);
    return rv;
}

const struct command command_login = {
    .name = "login",
    .usage = "ADDRESS [--token TOKEN] [--name CONTEXT]",
    .summary = "keep a cluster's addresses and a token, and call it from now on",
    .details =
        "Check the token with the member at ADDRESS (any member, ADDRESS[:PORT], port 7401), and\n"
        "keep it with the addresses of all members as a context, the current one from now on. The\n"
        "member is believed only if it belongs to the cluster that the token is of. Without\n"
        "--token, or with '-', the token is read from standard input.",
    .examples = "  wherry login 10.0.0.1 --token wherry1-c-…\n"
                "  wherry login 10.0.0.1 --name home < token\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct login_options, ARG_TEXT, name, 0, "name", "CONTEXT",
                       "what to call the context (default: the address)"),
            ARG_END,
        },
    .options_size = sizeof(struct login_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_login,
};

/* --- leaving -----------------------------------------------------------------------------------
 */

struct leaving {
    const char *name; /* NULL: the current one */
    char *left;
};

static int edit_leave(struct contexts *contexts, void *arg, struct err *err)
{
    struct leaving *l = arg;
    const char *name = l->name ? l->name : contexts->current;
    if (!name)
        return err_set(err, ERR_NOTFOUND,
                       "there is no current context: name one ('wherry context ls' lists them)");
    l->left = str_copy(name);
    return contexts_remove(contexts, l->left, err);
}

static int run_logout(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    struct leaving l = {.name = words_n > 0 ? words[0] : NULL};
    (void)cli;
    (void)options;
    int rv = contexts_change(edit_leave, &l, err);
    if (rv == 0)
        printf("Context %s is forgotten. Its token is as good as before; an admin takes it back "
               "with 'wherry token rm'.\n",
               l.left);
    free(l.left);
    return rv;
}

const struct command command_logout = {
    .name = "logout",
    .usage = "[CONTEXT]",
    .summary = "forget a context and its token",
    .examples = "  wherry logout\n"
                "  wherry logout home\n",
    .words_max = 1,
    .local = true,
    .run = run_logout,
};

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    int rv = 0;
    (void)cli;
    (void)options;
    for (int i = 0; i < words_n && rv == 0; i++) {
        struct leaving l = {.name = words[i]};
        rv = contexts_change(edit_leave, &l, err);
        free(l.left);
    }
    return rv;
}

static const struct command context_rm = {
    .name = "rm",
    .usage = "CONTEXT...",
    .summary = "forget contexts and their tokens",
    .examples = "  wherry context rm home\n",
    .words_min = 1,
    .words_max = -1,
    .local = true,
    .run = run_rm,
};

/* --- list, use, show ---------------------------------------------------------------------------
 */

/* A context without its secret. */
struct context_info {
    char *name;
    bool current;
    char *cluster;
    char **addresses;
    size_t addresses_n;
};

static const struct field context_info_fields[] = {
    FIELD_STRING(struct context_info, name),
    FIELD_BOOL(struct context_info, current),
    FIELD_STRING(struct context_info, cluster),
    FIELD_STRINGS(struct context_info, addresses),
};
static const struct record_type context_info_type =
    RECORD_TYPE("context", struct context_info, context_info_fields);

/* Borrows from @contexts. */
static struct context_info info_of(const struct contexts *contexts, const struct context *c)
{
    return (struct context_info){.name = c->name,
                                 .current = str_equal(contexts->current, c->name),
                                 .cluster = c->cluster,
                                 .addresses = c->addresses,
                                 .addresses_n = c->addresses_n};
}

static void print_list(const struct contexts *contexts)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    table_init(&table, (const char *[]){"", "NAME", "CLUSTER", "MEMBERS", "FIRST", NULL});
    for (size_t i = 0; i < contexts->n; i++) {
        const struct context *c = &contexts->items[i];
        table_add(&table, str_equal(contexts->current, c->name) ? "*" : "");
        table_add(&table, c->name);
        table_addf(&table, "%.8s", c->cluster);
        table_addf(&table, "%zu", c->addresses_n);
        table_add(&table, c->addresses[0]);
    }
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct contexts contexts;
    (void)options;
    (void)words_n;
    (void)words;
    if (contexts_load(&contexts, err) < 0)
        return err->code;
    if (cli->json) {
        cleanup_free struct context_info *infos = mem_alloc(contexts.n + 1, sizeof(*infos));
        for (size_t i = 0; i < contexts.n; i++)
            infos[i] = info_of(&contexts, &contexts.items[i]);
        cli_print_json(&context_info_type, infos, contexts.n);
    } else if (cli->quiet) {
        for (size_t i = 0; i < contexts.n; i++)
            puts(contexts.items[i].name);
    } else {
        print_list(&contexts);
    }
    contexts_release(&contexts);
    return 0;
}

static const struct command context_ls = {
    .name = "ls",
    .usage = "[--json] [-q]",
    .summary = "list the clusters that were logged in to",
    .examples = "  wherry context ls\n",
    .json = true,
    .quiet = true,
    .local = true,
    .run = run_ls,
};

static int edit_use(struct contexts *contexts, void *arg, struct err *err)
{
    const char *name = arg;
    bool local = strcmp(name, CONTEXT_LOCAL) == 0;
    if (!local && !contexts_find(contexts, name))
        return err_set(err, ERR_NOTFOUND,
                       "there is no context '%.80s' ('wherry context ls' lists them)", name);
    free(contexts->current);
    contexts->current = local ? NULL : str_copy(name);
    return 0;
}

static int run_use(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    (void)cli;
    (void)options;
    (void)words_n;
    return contexts_change(edit_use, words[0], err);
}

static const struct command context_use = {
    .name = "use",
    .usage = "CONTEXT",
    .summary = "call that cluster from now on; 'local' is this machine's own socket",
    .examples = "  wherry context use home\n"
                "  wherry context use local\n",
    .words_min = 1,
    .words_max = 1,
    .local = true,
    .run = run_use,
};

static int run_show(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    struct contexts contexts;
    (void)options;
    if (contexts_load(&contexts, err) < 0)
        return err->code;
    const char *name = words_n > 0 ? words[0] : contexts.current;
    const struct context *c = name ? contexts_find(&contexts, name) : NULL;
    int rv = 0;
    if (!c && name)
        rv = err_set(err, ERR_NOTFOUND,
                     "there is no context '%.80s' ('wherry context ls' lists them)", name);
    else if (!c)
        rv = err_set(err, ERR_NOTFOUND,
                     "there is no current context: commands call this machine's "
                     "own socket");
    if (c && cli->json) {
        struct context_info info = info_of(&contexts, c);
        cli_print_json_one(&context_info_type, &info);
    } else if (c) {
        printf("context  %s%s\ncluster  %s\n", c->name,
               str_equal(contexts.current, c->name) ? " (current)" : "", c->cluster);
        for (size_t i = 0; i < c->addresses_n; i++)
            printf("member   %s\n", c->addresses[i]);
    }
    contexts_release(&contexts);
    return rv;
}

static const struct command context_show = {
    .name = "show",
    .usage = "[CONTEXT] [--json]",
    .summary = "show a context, the current one unless named; never its token",
    .examples = "  wherry context show\n",
    .words_max = 1,
    .json = true,
    .local = true,
    .run = run_show,
};

const struct command command_context = {
    .name = "context",
    .usage = "",
    .summary = "list and choose the clusters that were logged in to",
    .subcommands = (const struct command *const[]){&context_ls, &context_use, &context_rm,
                                                   &context_show, NULL},
};
