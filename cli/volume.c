/* SPDX-License-Identifier: Apache-2.0 */
/* volume: the volumes of a machine. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/compose_reader.h"
#include "cli/container.h"
#include "cli/labels.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/volume_copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WAIT_MS = 120000, /* for a large volume to be deleted */
};

struct volume_options {
    const char *node;
    bool force, all, dry_run;
    struct arg_texts opts, labels;
};

#define VOLUME_NODE                                                                                \
    ARG_OPTION(struct volume_options, ARG_TEXT, node, 0, "node", "NAME",                           \
               "the member whose volumes they are (the called one)")

static const struct arg_option node_options[] = {VOLUME_NODE, ARG_END};

/* --- ls ----------------------------------------------------------------------------------------
 */

/* "c-web, t4", or the services whose home it is. */
static void add_use(struct table *table, const struct volume_info *v)
{
    cleanup_buf struct buf text = BUF_INIT;
    for (size_t i = 0; i < v->users_n; i++)
        buf_printf(&text, "%s%s", text.len ? ", " : "", v->users[i]);
    for (size_t i = 0; i < v->services_n && v->users_n == 0; i++)
        buf_printf(&text, "%s%s%s", text.len ? ", " : "", v->services[i],
                   v->home ? "" : " (elsewhere)");
    table_add(table, text.len ? text.data : "-");
}

static void add_volume(struct table *table, const struct volume_info *v)
{
    char size[UNITS_TEXT], limit[UNITS_TEXT];
    units_size(v->size_bytes, size);
    table_add(table, v->name);
    table_addf(table, "%s%s%s%s", v->size_cut ? "over " : "", size, v->limit_bytes ? " of " : "",
               v->limit_bytes ? units_size(v->limit_bytes, limit) : "");
    table_add(table, v->anonymous ? "anonymous" : *str_or_empty(v->stack) ? v->stack : "-");
    add_use(table, v);
}

static void print_volumes(const struct cli *cli, const struct volume_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    if (cli->json) {
        cli_print_json(&volume_info_type, reply->volumes, reply->volumes_n);
        return;
    }
    for (size_t i = 0; cli->quiet && i < reply->volumes_n; i++)
        puts(reply->volumes[i].name);
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"NAME", "SIZE", "STACK", "USED BY", NULL});
    for (size_t i = 0; i < reply->volumes_n; i++)
        add_volume(&table, &reply->volumes[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct volume_options *o = options;
    struct volume_request request = {.node = TEXT(o->node)};
    struct volume_list_reply reply;
    (void)words_n;
    (void)words;
    if (cli_call_within(cli, "volume.list", &request, &reply, WAIT_MS, err) < 0)
        return err->code;
    print_volumes(cli, &reply);
    record_release(&volume_list_reply_type, &reply);
    return 0;
}

static const struct command volume_ls = {
    .name = "ls",
    .usage = "[--node NAME] [--json] [-q]",
    .summary = "list the volumes of a machine",
    .details = "List the volumes that are on a machine: their size on disk, the stack whose they "
               "are, the\ncontainers that mount them, running or not, else the services that do. "
               "Sizes are counted\nup to 200,000 files.",
    .examples = "  wherry volume ls --node n2\n",
    .options = node_options,
    .options_size = sizeof(struct volume_options),
    .json = true,
    .quiet = true,
    .run = run_ls,
};

/* --- inspect -----------------------------------------------------------------------------------
 */

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    const struct volume_options *o = options;
    struct volume_list_reply all = {0};
    int rv = 0;
    for (int i = 0; i < words_n && rv == 0; i++) {
        struct volume_request request = {.node = TEXT(o->node), .volume = words[i]};
        struct volume_list_reply one;
        rv = cli_call_within(cli, "volume.inspect", &request, &one, WAIT_MS, err);
        if (rv < 0)
            break;
        all.volumes =
            mem_resize(all.volumes, all.volumes_n + one.volumes_n + 1, sizeof(*all.volumes));
        for (size_t k = 0; k < one.volumes_n; k++)
            all.volumes[all.volumes_n++] = one.volumes[k];
        free(one.volumes); /* what they hold was handed on */
    }
    if (rv == 0)
        cli_print_json(&volume_info_type, all.volumes, all.volumes_n);
    record_release(&volume_list_reply_type, &all);
    return rv;
}

static const struct command volume_inspect = {
    .name = "inspect",
    .usage = "[--node NAME] VOLUME...",
    .summary = "show all that is known of volumes, as JSON",
    .details = "Print a JSON array: path, size on disk, the containers of the machine that mount "
               "it, the\nservices of the cluster that do, and whether its home is here.",
    .examples = "  wherry volume inspect shop_data | jq -r '.[0].path'\n",
    .options = node_options,
    .options_size = sizeof(struct volume_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_inspect,
};

/* --- create, rm --------------------------------------------------------------------------------
 */

/* "10g" among the options is 10737418240. */
static int read_size(struct volume_request *request, struct err *err)
{
    for (size_t i = 0; i < request->options_n; i++) {
        struct pair *option = &request->options[i];
        int64_t bytes;
        if (!str_equal(option->key, "size"))
            continue;
        if (!compose_size(str_or_empty(option->value), &bytes))
            return err_set(err, ERR_INVALID, "size=%.40s: not a size, such as 500m or 10g",
                           str_or_empty(option->value));
        free(option->value);
        option->value = str_printf("%" PRId64, bytes);
    }
    return 0;
}

static int run_create(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct volume_options *o = options;
    for (int i = 0; i < words_n; i++) {
        struct volume_request request = {.node = TEXT(o->node), .volume = words[i]};
        struct empty reply;
        int rv = labels_read(&o->opts, &request.options, &request.options_n, err);
        if (rv == 0)
            rv = read_size(&request, err);
        if (rv == 0)
            rv = labels_read(&o->labels, &request.labels, &request.labels_n, err);
        if (rv == 0)
            rv = cli_call(cli, "volume.create", &request, &reply, err);
        record_free_list(&pair_type, request.options, request.options_n);
        record_free_list(&pair_type, request.labels, request.labels_n);
        if (rv < 0)
            return rv;
        printf("%s\n", words[i]);
    }
    return 0;
}

static const struct command volume_create = {
    .name = "create",
    .usage = "[--node NAME] [-o KEY=VALUE] [-l KEY=VALUE] VOLUME...",
    .summary = "make empty volumes",
    .details = "Make volumes on a machine; those that are there already stay as they are. What a\n"
               "container or a service mounts is made by itself; a Compose file has one that was\n"
               "made here with 'external: true'. Options are those of Docker's driver 'local':\n"
               "type, device, o, of what is mounted there; or size, the most it may take on a\n"
               "file system with project quotas.",
    .examples = "  wherry volume create data\n"
                "  wherry volume create -o size=10g data\n"
                "  wherry volume create -o type=nfs -o device=:/srv -o o=addr=10.0.0.9,ro media\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct volume_options, ARG_TEXTS, opts, 'o', "opt", "KEY=VALUE",
                       "an option; may be given several times"),
            ARG_OPTION(struct volume_options, ARG_TEXTS, labels, 'l', "label", "KEY=VALUE",
                       "a label; may be given several times"),
            VOLUME_NODE,
            ARG_END,
        },
    .options_size = sizeof(struct volume_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_create,
};

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct volume_options *o = options;
    for (int i = 0; i < words_n; i++) {
        struct volume_remove_request request = {
            .node = TEXT(o->node), .volume = words[i], .force = o->force};
        struct empty reply;
        if (cli_call_within(cli, "volume.remove", &request, &reply, WAIT_MS, err) < 0)
            return err->code;
        printf("%s\n", words[i]);
    }
    return 0;
}

static const struct command volume_rm = {
    .name = "rm",
    .usage = "[--force] [--node NAME] VOLUME...",
    .summary = "delete volumes with their content",
    .details =
        "Delete volumes of a machine. One that a container mounts, running or not, stays. So does\n"
        "one that services of the cluster have their data in on this machine, unless --force: its\n"
        "home stays here, and the next task finds it empty.",
    .examples = "  wherry volume rm data\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct volume_options, ARG_FLAG, force, 'f', "force", NULL,
                       "also the data of services that do not run now"),
            VOLUME_NODE,
            ARG_END,
        },
    .options_size = sizeof(struct volume_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

/* --- prune -------------------------------------------------------------------------------------
 */

static int run_prune(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct volume_options *o = options;
    struct volume_prune_request request = {
        .node = TEXT(o->node), .all = o->all, .dry_run = o->dry_run};
    struct volume_list_reply reply;
    char size[UNITS_TEXT];
    int64_t bytes = 0;
    (void)words_n;
    (void)words;
    if (cli_call_within(cli, "volume.prune", &request, &reply, WAIT_MS, err) < 0)
        return err->code;
    for (size_t i = 0; i < reply.volumes_n; i++)
        bytes += reply.volumes[i].size_bytes;
    if (cli->json)
        cli_print_json(&volume_info_type, reply.volumes, reply.volumes_n);
    for (size_t i = 0; i < reply.volumes_n && !cli->json; i++)
        puts(reply.volumes[i].name);
    if (!cli->json && !cli->quiet)
        fprintf(stderr, "%zu volume%s %s, %s\n", reply.volumes_n, reply.volumes_n == 1 ? "" : "s",
                o->dry_run ? "would be deleted" : "deleted", units_size(bytes, size));
    record_release(&volume_list_reply_type, &reply);
    return 0;
}

static const struct command volume_prune = {
    .name = "prune",
    .usage = "[--all] [--dry-run] [--node NAME] [--json] [-q]",
    .summary = "delete volumes that nothing uses",
    .details = "Delete anonymous volumes whose container is gone; with --all also named ones that "
               "no\ncontainer of the machine and no service of the cluster mounts, those of stacks "
               "that were\nremoved among them. --dry-run shows what it would be.",
    .examples = "  wherry volume prune --all --dry-run\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct volume_options, ARG_FLAG, all, 'a', "all", NULL, "named ones too"),
            ARG_OPTION(struct volume_options, ARG_FLAG, dry_run, 0, "dry-run", NULL,
                       "only print which"),
            VOLUME_NODE,
            ARG_END,
        },
    .options_size = sizeof(struct volume_options),
    .json = true,
    .quiet = true,
    .run = run_prune,
};

const struct command command_volume = {
    .name = "volume",
    .usage = "",
    .summary = "list, make, back up, move and delete the volumes of a machine",
    .details = "Volumes are folders of one machine. That of a service has its home on the member "
               "where its\nfirst task was placed. Only admins may.",
    .examples = "  wherry volume ls\n",
    .subcommands =
        (const struct command *const[]){&volume_ls, &volume_inspect, &volume_create, &volume_rm,
                                        &volume_prune, &command_volume_backup,
                                        &command_volume_restore, &command_volume_move,
                                        &command_volume_snapshot, NULL},
};
