/* SPDX-License-Identifier: Apache-2.0 */
/* volume snapshot: what was in volumes at one moment. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/container.h"
#include "cli/table.h"
#include "cli/units.h"
#include "cli/volume_copy.h"

#include <stdio.h>

enum {
    WAIT_MS = 120000,
};

struct snapshot_options {
    const char *node;
    bool running;
};

#define SNAPSHOT_NODE                                                                              \
    ARG_OPTION(struct snapshot_options, ARG_TEXT, node, 0, "node", "NAME",                         \
               "the member whose volume it is (the called one)")

static int run_create(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct snapshot_options *o = options;
    struct snapshot_request request = {.node = TEXT(o->node),
                                       .volume = words[0],
                                       .name = words_n > 1 ? words[1] : NULL,
                                       .running = o->running};
    struct snapshot_list_reply reply;
    char text[UNITS_TEXT];
    int rv = cli_call_within(cli, "snapshot.create", &request, &reply, WAIT_MS, err);
    if (rv < 0)
        return rv;
    for (size_t i = 0; i < reply.snapshots_n; i++) {
        const struct snapshot_info *s = &reply.snapshots[i];
        printf("%s\n", s->name);
        if (s->frozen_ms > 0 && !cli->quiet)
            cli_warn("what mounts volume %s stood still for %s", s->volume,
                     units_duration(s->frozen_ms, text));
    }
    record_release(&snapshot_list_reply_type, &reply);
    return 0;
}

static const struct command snapshot_create = {
    .name = "create",
    .usage = "[--node NAME] [--running] [-q] VOLUME [NAME]",
    .summary = "keep what is in a volume now",
    .details =
        "Make a snapshot, at once and without room for what stays the same, and print its name: "
        "by\n"
        "default the time, in UTC. Containers that mount the volume stand still meanwhile, so "
        "that\n"
        "all of it is of one moment, unless --running. It takes a file system with reflinks (XFS,\n"
        "btrfs) where the volumes are.",
    .examples = "  wherry volume snapshot create shop_data\n"
                "  wherry volume snapshot create --node n2 shop_data before-upgrade\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct snapshot_options, ARG_FLAG, running, 0, "running", NULL,
                       "let containers write meanwhile"),
            SNAPSHOT_NODE,
            ARG_END,
        },
    .options_size = sizeof(struct snapshot_options),
    .words_min = 1,
    .words_max = 2,
    .quiet = true,
    .run = run_create,
};

static void print_snapshots(const struct cli *cli, const struct snapshot_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    char age[UNITS_TEXT];
    for (size_t i = 0; cli->quiet && i < reply->snapshots_n; i++)
        printf("%s %s\n", reply->snapshots[i].volume, reply->snapshots[i].name);
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"VOLUME", "SNAPSHOT", "NODE", "CREATED", NULL});
    for (size_t i = 0; i < reply->snapshots_n; i++) {
        const struct snapshot_info *s = &reply->snapshots[i];
        table_add(&table, s->volume);
        table_add(&table, s->name);
        table_add(&table, s->node);
        table_add(&table, units_ago(s->created_ms, clock_wall_ms(), age));
    }
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct snapshot_options *o = options;
    struct snapshot_request request = {.node = TEXT(o->node),
                                       .volume = words_n > 0 ? words[0] : NULL};
    struct snapshot_list_reply reply;
    int rv = cli_call_within(cli, "snapshot.list", &request, &reply, WAIT_MS, err);
    if (rv < 0)
        return rv;
    if (cli->json)
        cli_print_json(&snapshot_info_type, reply.snapshots, reply.snapshots_n);
    else
        print_snapshots(cli, &reply);
    record_release(&snapshot_list_reply_type, &reply);
    return 0;
}

static const struct command snapshot_ls = {
    .name = "ls",
    .usage = "[--node NAME] [--json] [-q] [VOLUME]",
    .summary = "list the snapshots of a machine's volumes",
    .examples = "  wherry volume snapshot ls --node n2 shop_data\n",
    .options = (const struct arg_option[]){SNAPSHOT_NODE, ARG_END},
    .options_size = sizeof(struct snapshot_options),
    .words_max = 1,
    .json = true,
    .quiet = true,
    .run = run_ls,
};

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct snapshot_options *o = options;
    for (int i = 1; i < words_n; i++) {
        struct snapshot_request request = {
            .node = TEXT(o->node), .volume = words[0], .name = words[i]};
        struct empty reply;
        if (cli_call_within(cli, "snapshot.remove", &request, &reply, WAIT_MS, err) < 0)
            return err->code;
        puts(words[i]);
    }
    return 0;
}

static const struct command snapshot_rm = {
    .name = "rm",
    .usage = "[--node NAME] VOLUME NAME...",
    .summary = "delete snapshots",
    .examples = "  wherry volume snapshot rm shop_data before-upgrade\n",
    .options = (const struct arg_option[]){SNAPSHOT_NODE, ARG_END},
    .options_size = sizeof(struct snapshot_options),
    .words_min = 2,
    .words_max = -1,
    .run = run_rm,
};

static int run_restore(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    const struct snapshot_options *o = options;
    struct snapshot_request request = {.node = TEXT(o->node), .volume = words[0], .name = words[1]};
    struct empty reply;
    (void)words_n;
    int rv = cli_call_within(cli, "snapshot.restore", &request, &reply, WAIT_MS, err);
    if (rv == 0)
        printf("Volume %s is as it was in %s. The snapshot stays.\n", words[0], words[1]);
    return rv;
}

static const struct command snapshot_restore = {
    .name = "restore",
    .usage = "[--node NAME] VOLUME NAME",
    .summary = "put what a snapshot has in the place of a volume's content",
    .details = "The volume's content goes, that of the snapshot comes, in one step; the snapshot\n"
               "stays. Nothing may mount the volume: 'wherry stop' its services first.",
    .examples = "  wherry stop shop\n"
                "  wherry volume snapshot restore shop_data before-upgrade\n"
                "  wherry start shop\n",
    .options = (const struct arg_option[]){SNAPSHOT_NODE, ARG_END},
    .options_size = sizeof(struct snapshot_options),
    .words_min = 2,
    .words_max = 2,
    .run = run_restore,
};

const struct command command_volume_snapshot = {
    .name = "snapshot",
    .summary = "keep what is in volumes at one moment",
    .details =
        "A snapshot shares its blocks with the volume: it is made at once. It is on the same "
        "disk; for\nwhat the disk's end may not take, 'wherry volume backup --snapshot'.",
    .examples = "  wherry volume snapshot create shop_data\n",
    .subcommands = (const struct command *const[]){&snapshot_create, &snapshot_ls, &snapshot_rm,
                                                   &snapshot_restore, NULL},
};
