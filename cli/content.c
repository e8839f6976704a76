/* SPDX-License-Identifier: Apache-2.0 */
/* config and secret: files that services have from the cluster. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/labels.h"
#include "cli/table.h"
#include "cli/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct content_options {
    struct arg_texts labels;
};

/* --- create and update -------------------------------------------------------------------------
 */

static int read_stdin(struct buf *out, struct err *err)
{
    char chunk[4096];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read standard input");
        if (n == 0)
            return 0;
        buf_append(out, chunk, (size_t)n);
        if (out->len > CONTENT_BYTES_MAX)
            return err_set(err, ERR_TOOBIG, "standard input has more than %d bytes",
                           CONTENT_BYTES_MAX);
    }
}

static void print_set(const struct cli *cli, const char *name,
                      const struct content_set_reply *reply)
{
    if (cli->quiet)
        return;
    if (reply->same)
        printf("%s has that content already.\n", name);
    else
        printf("%s, version %" PRId64 "\n", name, reply->version);
    for (size_t i = 0; i < reply->services_n; i++)
        printf("  %s gets it\n", reply->services[i]);
}

static int set(struct cli *cli, const struct content_options *o, enum content_kind kind,
               bool update, char **words, struct err *err)
{
    cleanup_buf struct buf data = BUF_INIT;
    struct content_set_request request = {.kind = kind, .name = words[0], .update = update};
    struct content_set_reply reply;
    int rv = strcmp(words[1], "-") == 0 ? read_stdin(&data, err)
                                        : file_read(words[1], CONTENT_BYTES_MAX, &data, err);
    if (rv == 0)
        rv = labels_read(&o->labels, &request.labels, &request.labels_n, err);
    if (rv == 0) {
        request.data = (struct bytes){(unsigned char *)data.data, data.len};
        rv = cli_call(cli, "content.set", &request, &reply, err);
    }
    record_free_list(&pair_type, request.labels, request.labels_n);
    if (data.data)
        explicit_bzero(data.data, data.len);
    if (rv < 0)
        return rv;
    print_set(cli, words[0], &reply);
    record_release(&content_set_reply_type, &reply);
    return 0;
}

/* --- ls, inspect, rm ---------------------------------------------------------------------------
 */

static void add_row(struct table *table, const struct content_info *info)
{
    char text[UNITS_TEXT];
    cleanup_buf struct buf services = BUF_INIT;
    for (size_t i = 0; i < info->services_n; i++)
        buf_printf(&services, "%s%s", i ? ", " : "", info->services[i]);
    table_add(table, info->name);
    table_addf(table, "%" PRId64, info->version);
    table_add(table,
              str_equal(info->state, "due") ? "lost in a restore" : units_size(info->size, text));
    table_add(table, *str_or_empty(info->stack) ? info->stack : "-");
    table_add(table, services.len ? services.data : "-");
    table_add(table, units_ago(info->created_ms, clock_wall_ms(), text));
}

static int list(struct cli *cli, enum content_kind kind, struct err *err)
{
    struct content_list_reply reply;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    if (cli_call(cli, "content.list", &(struct content_request){.kind = kind}, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&content_info_type, reply.contents, reply.contents_n);
    for (size_t i = 0; cli->quiet && !cli->json && i < reply.contents_n; i++)
        puts(reply.contents[i].name);
    if (!cli->json && !cli->quiet) {
        table_init(&table, (const char *[]){"NAME", "VERSION", "SIZE", "STACK", "SERVICES",
                                            "CHANGED", NULL});
        for (size_t i = 0; i < reply.contents_n; i++)
            add_row(&table, &reply.contents[i]);
        table_print(&table, &out);
        table_release(&table);
        fputs(out.data, stdout);
    }
    record_release(&content_list_reply_type, &reply);
    return 0;
}

static int inspect(struct cli *cli, enum content_kind kind, int words_n, char **words,
                   struct err *err)
{
    struct content_info *all = mem_alloc((size_t)words_n, sizeof(*all));
    size_t n = 0;
    int rv = 0;
    for (int i = 0; i < words_n && rv == 0; i++) {
        struct content_list_reply reply;
        rv = cli_call(cli, "content.list",
                      &(struct content_request){.kind = kind, .name = words[i]}, &reply, err);
        if (rv < 0)
            break;
        all[n++] = reply.contents[0];
        reply.contents[0] = (struct content_info){0};
        record_release(&content_list_reply_type, &reply);
    }
    if (rv == 0)
        cli_print_json(&content_info_type, all, n);
    record_free_list(&content_info_type, all, n);
    return rv;
}

static int remove_all(struct cli *cli, enum content_kind kind, int words_n, char **words,
                      struct err *err)
{
    struct empty reply;
    for (int i = 0; i < words_n; i++) {
        struct content_request request = {.kind = kind, .name = words[i]};
        if (cli_call(cli, "content.remove", &request, &reply, err) < 0)
            return err->code;
        puts(words[i]);
    }
    return 0;
}

/* --- the two nouns -----------------------------------------------------------------------------
 */

/* The commands of a noun differ in words only. */
#define NOUN(noun, kind)                                                                           \
    static int run_##noun##_create(struct cli *cli, const void *o, int n, char **words,            \
                                   struct err *err)                                                \
    {                                                                                              \
        (void)n;                                                                                   \
        return set(cli, o, kind, false, words, err);                                               \
    }                                                                                              \
    static int run_##noun##_update(struct cli *cli, const void *o, int n, char **words,            \
                                   struct err *err)                                                \
    {                                                                                              \
        (void)n;                                                                                   \
        return set(cli, o, kind, true, words, err);                                                \
    }                                                                                              \
    static int run_##noun##_ls(struct cli *cli, const void *o, int n, char **words,                \
                               struct err *err)                                                    \
    {                                                                                              \
        (void)o, (void)n, (void)words;                                                             \
        return list(cli, kind, err);                                                               \
    }                                                                                              \
    static int run_##noun##_inspect(struct cli *cli, const void *o, int n, char **words,           \
                                    struct err *err)                                               \
    {                                                                                              \
        (void)o;                                                                                   \
        return inspect(cli, kind, n, words, err);                                                  \
    }                                                                                              \
    static int run_##noun##_rm(struct cli *cli, const void *o, int n, char **words,                \
                               struct err *err)                                                    \
    {                                                                                              \
        (void)o;                                                                                   \
        return remove_all(cli, kind, n, words, err);                                               \
    }

NOUN(config, CONTENT_CONFIG)
NOUN(secret, CONTENT_SECRET)

static const struct arg_option set_options[] = {
    ARG_OPTION(struct content_options, ARG_TEXTS, labels, 'l', "label", "KEY=VALUE",
               "a label; may be given several times"),
    ARG_END,
};

#define CREATE(noun, text)                                                                         \
    {                                                                                              \
        .name = "create", .usage = "[-l KEY=VALUE] NAME FILE",                                     \
        .summary = "keep a file as a " noun " that any stack may have",                            \
        .details = "Keep FILE ('-': standard input), of at most 500 KiB, as the " noun             \
                   " NAME. A Compose file has it\nwith 'external: true'." text,                    \
        .examples = "  wherry " noun " create site ./site.conf\n"                                  \
                    "  printf %s \"$VALUE\" | wherry " noun " create site -\n",                    \
        .options = set_options, .options_size = sizeof(struct content_options), .words_min = 2,    \
        .words_max = 2, .quiet = true
#define UPDATE(noun)                                                                               \
    {                                                                                              \
        .name = "update", .usage = "[-l KEY=VALUE] NAME FILE",                                     \
        .summary = "give a " noun " another content; its services get it",                         \
        .details = "Make FILE ('-': standard input) the content of the " noun                      \
                   " NAME, as another version. Services that\nhave it get the new version, as a "  \
                   "rollout by their update_config, or in place where they say\n"                  \
                   "'x-wherry: {on-change: signal HUP}'. 'wherry rollback' goes back to the old "  \
                   "one.",                                                                         \
        .examples = "  wherry " noun " update site ./site.conf\n", .options = set_options,         \
        .options_size = sizeof(struct content_options), .words_min = 2, .words_max = 2,            \
        .quiet = true
#define LS(noun)                                                                                   \
    {                                                                                              \
        .name = "ls", .usage = "[--json] [-q]", .summary = "list the " noun "s there are",         \
        .examples = "  wherry " noun " ls\n", .json = true, .quiet = true
#define INSPECT(noun, text)                                                                        \
    {                                                                                              \
        .name = "inspect", .usage = "NAME...",                                                     \
        .summary = "show all that is known of " noun "s, as JSON", .details = text,                \
        .examples = "  wherry " noun " inspect site\n", .words_min = 1, .words_max = -1
#define RM(noun)                                                                                   \
    {                                                                                              \
        .name = "rm", .usage = "NAME...", .summary = "remove " noun "s that no service has",       \
        .details = "Remove " noun "s that were made by hand, with all their versions. One that a " \
                   "service has stays.\nThose of a stack's file go with the stack.",               \
        .examples = "  wherry " noun " rm site\n", .words_min = 1, .words_max = -1

static const struct command config_create = CREATE("config", ""), .run = run_config_create
}
;
static const struct command config_update = UPDATE("config"), .run = run_config_update
}
;
static const struct command config_ls = LS("config"), .run = run_config_ls
}
;
static const struct command config_inspect = INSPECT(
                                "config",
                                "Print a JSON array, with the content of those that are text."),
                            .run = run_config_inspect
}
;
static const struct command config_rm = RM("config"), .run = run_config_rm
}
;

static const struct command
    secret_create =
        CREATE("secret", " It is sealed by the cluster key, on disk as on the wire, and is in\n"
                         "memory only where a task has it. Nothing shows it again."),
    .run = run_secret_create
}
;
static const struct command secret_update = UPDATE("secret"), .run = run_secret_update
}
;
static const struct command secret_ls = LS("secret"), .run = run_secret_ls
}
;
static const struct command secret_inspect = INSPECT(
                                "secret", "Print a JSON array. What is in a secret is not told."),
                            .run = run_secret_inspect
}
;
static const struct command secret_rm = RM("secret"), .run = run_secret_rm
}
;

const struct command command_config = {
    .name = "config",
    .usage = "",
    .summary = "list, make and change the files that services have from the cluster",
    .details = "A config is a file of at most 500 KiB that any member can give to a container. "
               "Those of a\nCompose file's 'configs:' come and go with the stack; those made here "
               "are for all.",
    .examples = "  wherry config create site ./site.conf\n"
                "  wherry config ls\n",
    .subcommands = (const struct command *const[]){&config_create, &config_update, &config_ls,
                                                   &config_inspect, &config_rm, NULL},
};

const struct command command_secret = {
    .name = "secret",
    .usage = "",
    .summary = "list, make and change secrets: configs that are sealed",
    .details = "A secret is a config that is sealed by the cluster key wherever it is kept, and "
               "that containers\nhave in memory, below /run/secrets. Those of a Compose file's "
               "'secrets:' come and go with the\nstack; those made here are for all.",
    .examples = "  wherry secret create db_password - <password.txt\n"
                "  wherry secret ls\n",
    .subcommands = (const struct command *const[]){&secret_create, &secret_update, &secret_ls,
                                                   &secret_inspect, &secret_rm, NULL},
};
