/* SPDX-License-Identifier: Apache-2.0 */
/* restore: a new cluster from a backup. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/backup_file.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/image_transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESTORE_MS = 180000, /* to read and check it, write it to disk and lead */
};

struct restore_options {
    bool dry_run;
    bool forget_homes;
};

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_homes(const struct restore_reply *r)
{
    if (r->homes_here)
        printf("  %" PRId64 " volume%s whose home was a machine of this name\n", r->homes_here,
               plural(r->homes_here));
    if (r->homes_away)
        printf("  %" PRId64
               " volume%s waiting until the machine with the content joins under its old "
               "name;\n    'wherry backup inspect' shows which, --forget-homes starts them empty "
               "instead\n",
               r->homes_away, plural(r->homes_away));
    if (r->homes_forgot)
        printf("  %" PRId64 " volume%s starting empty\n", r->homes_forgot, plural(r->homes_forgot));
}

static void print_result(const struct restore_reply *r, bool dry_run)
{
    char when[64];
    clock_format(r->from_ms, when, sizeof(when));
    printf("%s %s, index %" PRId64 ", of %s:\n",
           dry_run ? "This would restore the backup of cluster" : "Restored the backup of cluster",
           r->from, r->from_index, when);
    printf("  %" PRId64 " stack%s with %" PRId64 " service%s\n", r->stacks, plural(r->stacks),
           r->services, plural(r->services));
    print_homes(r);
    for (size_t i = 0; i < r->logins_n; i++)
        printf("  the login to registry %s is lost with the old cluster's key: 'wherry registry "
               "login %s'\n",
               r->logins[i], r->logins[i]);
    printf("  not carried over: %" PRId64 " member%s, %" PRId64 " task%s (placed anew), %" PRId64
           " token%s\n",
           r->members, plural(r->members), r->tasks, plural(r->tasks), r->tokens,
           plural(r->tokens));
    if (r->secrets)
        printf("  %" PRId64
               " secret%s to be set again, by a deploy or 'wherry secret update': what needs "
               "them waits\n",
               r->secrets, plural(r->secrets));
    if (dry_run)
        return;
    printf("\nCluster %s has its first member, at %s.\n\n", r->cluster, r->address);
    printf("To add a machine, start 'wherry node' there and run on it within a day:\n\n");
    printf("  wherry join %s --token %s\n", r->address, r->join_token);
}

static int run_restore(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    const struct restore_options *o = options;
    cleanup_free char *upload = NULL;
    struct backup_header header;
    struct restore_reply reply;
    (void)words_n;
    /* What is no backup is said before anything of it is sent. */
    if (strcmp(words[0], "-") != 0) {
        if (backup_file_check(words[0], &header, err) < 0)
            return err->code;
        record_release(&backup_header_type, &header);
    }
    if (image_upload(cli, words[0], &upload, err) < 0)
        return err->code;
    struct restore_request request = {
        .upload = upload, .forget_homes = o->forget_homes, .dry_run = o->dry_run};
    if (cli_call_within(cli, "cluster.restore", &request, &reply, RESTORE_MS, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json_one(&restore_reply_type, &reply);
    else
        print_result(&reply, o->dry_run);
    record_release(&restore_reply_type, &reply);
    return 0;
}

const struct command command_restore = {
    .name = "restore",
    .usage = "[--dry-run] [--forget-homes] FILE|-",
    .summary = "make this machine the first member of a new cluster made from a backup",
    .details =
        "Make the machine of the called daemon, which must be in no cluster, the first member of "
        "a\n"
        "new cluster with the stacks, services, networks, volumes and settings of a backup. The "
        "new\n"
        "cluster has a CA and keys of its own; members join it anew, tokens are made anew. A "
        "volume\n"
        "whose home had this machine's name is here again; others wait for a machine of their\n"
        "home's name to join.",
    .examples = "  wherry restore --dry-run cluster.backup\n"
                "  wherry restore cluster.backup\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct restore_options, ARG_FLAG, dry_run, 0, "dry-run", NULL,
                       "check the backup and say what would be, do nothing"),
            ARG_OPTION(struct restore_options, ARG_FLAG, forget_homes, 0, "forget-homes", NULL,
                       "volumes start empty wherever they are first needed"),
            ARG_END,
        },
    .options_size = sizeof(struct restore_options),
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .run = run_restore,
};
