/* SPDX-License-Identifier: Apache-2.0 */
/* registry: how the members reach the registries that images come from. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/registry_name.h"
#include "cli/secret_input.h"
#include "cli/table.h"
#include "cli/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct registry_options {
    const char *user;
    bool password_stdin;
    bool no_check;
    struct arg_texts mirrors;
    bool no_mirrors;
    bool plain_http;
    bool tls;
    const char *ca;
    bool no_ca;
};

static int send(struct cli *cli, const struct registry_set_request *request, struct err *err)
{
    struct empty reply;
    return cli_call(cli, "registry.set", request, &reply, err);
}

/* --- login -------------------------------------------------------------------------------------
 */

static int ask_login(const struct registry_options *o, char **ret_user, char **ret_password,
                     struct err *err)
{
    char *user = o->user ? str_copy(o->user) : NULL;
    int rv = 0;
    if (!user && o->password_stdin)
        rv = err_set(err, ERR_INVALID, "--password-stdin needs the user's name: give -u USER");
    else if (!user)
        rv = line_ask("Username", REGISTRY_USER_MAX, &user, err);
    if (rv == 0 && !*str_or_empty(user))
        rv = err_set(err, ERR_INVALID, "no user's name was given: give -u USER");
    if (rv == 0)
        rv = secret_read("Password", REGISTRY_PASSWORD_MAX, ret_password, err);
    if (rv < 0)
        free(user);
    else
        *ret_user = user;
    return rv;
}

static int run_login(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct registry_options *o = options;
    cleanup_free char *name = NULL;
    cleanup_free char *user = NULL;
    char *password = NULL;
    if (registry_name_read(words_n ? words[0] : NULL, &name, err) < 0 ||
        ask_login(o, &user, &password, err) < 0)
        return err->code;
    struct registry_set_request request = {.name = name,
                                           .set_login = true,
                                           .username = user,
                                           .password = password,
                                           .check = !o->no_check};
    int rv = send(cli, &request, err);
    secret_free(password);
    if (rv == 0)
        printf("All members are logged in to %s as %s.\n", name, user);
    return rv;
}

static const struct command registry_login = {
    .name = "login",
    .usage = "[-u USER] [--password-stdin] [--no-check] [HOST]",
    .summary = "have all members pull from, and push to, a registry as a user",
    .details =
        "Keep a user's name and password, or access token, for the registry HOST (default:\n"
        "docker.io) in the state of the cluster, the password sealed by the cluster key. The\n"
        "called member asks the registry first whether it takes them. All members use them from\n"
        "then on.",
    .examples = "  wherry registry login registry.example:5000\n"
                "  wherry registry login -u ci --password-stdin ghcr.io <token.txt\n"
                "  wherry registry login -u ann\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct registry_options, ARG_TEXT, user, 'u', "username", "USER",
                       "the user's name; it is asked for without"),
            ARG_OPTION(struct registry_options, ARG_FLAG, password_stdin, 0, "password-stdin", NULL,
                       "read the password from standard input"),
            ARG_OPTION(struct registry_options, ARG_FLAG, no_check, 0, "no-check", NULL,
                       "do not ask the registry"),
            ARG_END,
        },
    .options_size = sizeof(struct registry_options),
    .words_max = 1,
    .run = run_login,
};

static int run_logout(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    cleanup_free char *name = NULL;
    (void)options;
    if (registry_name_read(words_n ? words[0] : NULL, &name, err) < 0)
        return err->code;
    int rv = send(cli, &(struct registry_set_request){.name = name, .set_login = true}, err);
    if (rv == 0)
        printf("No member is logged in to %s any more.\n", name);
    return rv;
}

static const struct command registry_logout = {
    .name = "logout",
    .usage = "[HOST]",
    .summary = "forget a login; its mirrors, CA and the like stay",
    .details =
        "Forget the login to the registry HOST (default: docker.io), on all members. Images that\n"
        "are here stay. The password may still be in backups and in the log for a while: take it\n"
        "back at the registry too if it matters.",
    .examples = "  wherry registry logout registry.example:5000\n",
    .words_max = 1,
    .run = run_logout,
};

/* --- set ---------------------------------------------------------------------------------------
 */

static int check_set(const struct registry_options *o, struct err *err)
{
    if (o->mirrors.n > 0 && o->no_mirrors)
        return err_set(err, ERR_INVALID, "--mirror and --no-mirrors contradict each other");
    if (o->plain_http && o->tls)
        return err_set(err, ERR_INVALID, "--plain-http and --tls contradict each other");
    if (o->ca && o->no_ca)
        return err_set(err, ERR_INVALID, "--ca and --no-ca contradict each other");
    if (o->mirrors.n == 0 && !o->no_mirrors && !o->plain_http && !o->tls && !o->ca && !o->no_ca)
        return err_set(err, ERR_INVALID,
                       "nothing is to be set: give --mirror, --plain-http, --ca or one that takes "
                       "them back ('wherry help registry set')");
    return 0;
}

static int run_set(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct registry_options *o = options;
    cleanup_free char *name = NULL;
    cleanup_buf struct buf ca = BUF_INIT;
    (void)words_n;
    if (check_set(o, err) < 0 || registry_name_read(words[0], &name, err) < 0 ||
        (o->ca && file_read(o->ca, REGISTRY_CA_MAX, &ca, err) < 0))
        return err->code;
    if (o->ca &&
        (!ca.data || !strstr(ca.data, "-----BEGIN CERTIFICATE-----") || strlen(ca.data) != ca.len))
        return err_set(err, ERR_INVALID, "%.150s has no certificate in PEM in it", o->ca);
    struct registry_set_request request = {
        .name = name,
        .set_mirrors = o->mirrors.n > 0 || o->no_mirrors,
        .mirrors = (char **)(uintptr_t)o->mirrors.items,
        .mirrors_n = o->mirrors.n,
        .set_plain_http = o->plain_http || o->tls,
        .plain_http = o->plain_http,
        .set_ca = o->ca || o->no_ca,
        .ca = ca.data,
    };
    return send(cli, &request, err);
}

static const struct command registry_set = {
    .name = "set",
    .usage = "[--mirror URL]... [--plain-http] [--ca FILE] HOST",
    .summary = "set how members reach a registry: mirrors, its CA, without TLS",
    .details = "Set how all members reach the registry HOST. Only what is given changes.",
    .examples = "  wherry registry set --mirror https://mirror.example docker.io\n"
                "  wherry registry set --ca ca.pem registry.example:5000\n"
                "  wherry registry set --plain-http 192.168.1.5:5000\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct registry_options, ARG_TEXTS, mirrors, 0, "mirror", "URL",
                       "ask this one first; may be given several times, in order"),
            ARG_OPTION(struct registry_options, ARG_FLAG, no_mirrors, 0, "no-mirrors", NULL,
                       "without mirrors again"),
            ARG_OPTION(struct registry_options, ARG_FLAG, plain_http, 0, "plain-http", NULL,
                       "without TLS: passwords and images can be read and changed on the way"),
            ARG_OPTION(struct registry_options, ARG_FLAG, tls, 0, "tls", NULL, "with TLS again"),
            ARG_OPTION(struct registry_options, ARG_TEXT, ca, 0, "ca", "FILE",
                       "trust the certificates in this file (PEM) besides the system's"),
            ARG_OPTION(struct registry_options, ARG_FLAG, no_ca, 0, "no-ca", NULL,
                       "trust the system's only again"),
            ARG_END,
        },
    .options_size = sizeof(struct registry_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_set,
};

/* --- ls, inspect, rm ---------------------------------------------------------------------------
 */

static void add_registry(struct table *table, const struct registry_info *r)
{
    char text[UNITS_TEXT];
    cleanup_buf struct buf mirrors = BUF_INIT;
    for (size_t i = 0; i < r->mirrors_n; i++)
        buf_printf(&mirrors, "%s%s", i ? ", " : "", r->mirrors[i]);
    table_add(table, r->name);
    table_add(table, *str_or_empty(r->username) ? r->username : "-");
    table_add(table, str_equal(r->login, "due") ? "due: log in again" : r->login);
    table_add(table, r->plain_http ? "none" : *str_or_empty(r->ca) ? "own CA" : "yes");
    table_add(table, r->mirrors_n ? mirrors.data : "-");
    table_add(table, units_ago(r->modified_ms, clock_wall_ms(), text));
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct registry_list_reply reply;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "registry.list", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    if (cli->json) {
        cli_print_json(&registry_info_type, reply.registries, reply.registries_n);
    } else if (cli->quiet) {
        for (size_t i = 0; i < reply.registries_n; i++)
            puts(reply.registries[i].name);
    } else {
        table_init(&table, (const char *[]){"REGISTRY", "USER", "PASSWORD", "TLS", "MIRRORS",
                                            "CHANGED", NULL});
        for (size_t i = 0; i < reply.registries_n; i++)
            add_registry(&table, &reply.registries[i]);
        table_print(&table, &out);
        table_release(&table);
        fputs(out.data, stdout);
    }
    record_release(&registry_list_reply_type, &reply);
    return 0;
}

static const struct command registry_ls = {
    .name = "ls",
    .usage = "[--json] [-q] [--stale]",
    .summary = "list what is set for registries, without the passwords",
    .examples = "  wherry registry ls\n",
    .json = true,
    .quiet = true,
    .stale = true,
    .run = run_ls,
};

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct registry_list_reply reply;
    cleanup_free char *name = NULL;
    const struct registry_info *found = NULL;
    (void)options;
    (void)words_n;
    if (registry_name_read(words[0], &name, err) < 0 ||
        cli_call(cli, "registry.list", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    for (size_t i = 0; i < reply.registries_n; i++)
        if (str_equal(reply.registries[i].name, name))
            found = &reply.registries[i];
    if (found)
        cli_print_json_one(&registry_info_type, found);
    else
        err_set(err, ERR_NOTFOUND,
                "nothing is set for registry '%.80s' ('wherry registry ls' lists them)", name);
    record_release(&registry_list_reply_type, &reply);
    return found ? 0 : err->code;
}

static const struct command registry_inspect = {
    .name = "inspect",
    .usage = "[--stale] HOST",
    .summary = "show all that is set for a registry but its password, as JSON",
    .examples = "  wherry registry inspect docker.io\n",
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .stale = true,
    .run = run_inspect,
};

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct empty reply;
    (void)options;
    for (int i = 0; i < words_n; i++) {
        cleanup_free char *name = NULL;
        if (registry_name_read(words[i], &name, err) < 0 ||
            cli_call(cli, "registry.remove", &(struct name_request){.name = name}, &reply, err) < 0)
            return err->code;
    }
    return 0;
}

static const struct command registry_rm = {
    .name = "rm",
    .usage = "HOST...",
    .summary = "forget all that is set for registries, logins too",
    .examples = "  wherry registry rm registry.example:5000\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

const struct command command_registry = {
    .name = "registry",
    .usage = "COMMAND",
    .summary = "log all members in to registries; set mirrors and CAs",
    .examples = "  wherry registry login -u ann registry.example:5000\n"
                "  wherry registry set --mirror https://mirror.example docker.io\n"
                "  wherry registry ls\n",
    .subcommands =
        (const struct command *const[]){&registry_login, &registry_logout, &registry_set,
                                        &registry_ls, &registry_inspect, &registry_rm, NULL},
};
