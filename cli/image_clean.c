/* SPDX-License-Identifier: Apache-2.0 */
/* image save, image prune, image check: take images along, and keep those here well. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/image_commands.h"
#include "cli/image_transfer.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- save --------------------------------------------------------------------------------------
 */

struct save_options {
    const char *output;
    const char *node;
    bool force;
};

static int run_save(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct save_options *o = options;
    return image_download(cli, words, words_n, o->node, o->output ? o->output : "-", o->force, err);
}

const struct command command_image_save = {
    .name = "save",
    .usage = "[--node NODE] [-o FILE] IMAGE...",
    .summary = "write images of a member to an archive",
    .details =
        "An OCI image layout as a tar, with docker's manifest.json beside it. It has the very\n"
        "manifests, configs and layers that are here: all digests stay. Without -o, or with '-o "
        "-',\n"
        "it goes to standard output.",
    .examples = "  wherry image save -o app.tar app:1 db:2\n"
                "  wherry image save app:1 >app.tar\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct save_options, ARG_TEXT, output, 'o', "output", "FILE",
                       "the file to write"),
            ARG_OPTION(struct save_options, ARG_FLAG, force, 'f', "force", NULL,
                       "replace a file that is there"),
            IMAGE_NODE_OPTION(struct save_options),
            ARG_END,
        },
    .options_size = sizeof(struct save_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_save,
};

/* --- prune -------------------------------------------------------------------------------------
 */

struct prune_options {
    const char *node;
    bool all;
    bool dry_run;
};

static int await(struct cli *cli, const char *verb, const void *request, const char *node,
                 struct job_progress *ret, struct err *err)
{
    struct job_reply job;
    if (cli_call(cli, verb, request, &job, err) < 0)
        return err->code;
    int rv = image_await_job(cli, job.job, node, ret, err);
    record_release(&job_reply_type, &job);
    return rv;
}

static int run_prune(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct prune_options *o = options;
    struct image_prune_request request = {
        .all = o->all, .dry_run = o->dry_run, .node = (char *)(uintptr_t)o->node};
    struct job_progress done;
    char size[UNITS_TEXT];
    (void)words_n;
    (void)words;
    if (await(cli, "image.prune", &request, o->node, &done, err) < 0)
        return err->code;
    for (size_t i = 0; i < done.names_n && !cli->json; i++)
        puts(done.names[i]);
    if (cli->json)
        cli_print_json_one(&job_progress_type, &done);
    else
        fprintf(stderr, "%zu image%s %s, %s %s\n", done.names_n, done.names_n == 1 ? "" : "s",
                o->dry_run ? "would go" : "removed", units_size(done.bytes, size),
                o->dry_run ? "would be free" : "freed");
    record_release(&job_progress_type, &done);
    return 0;
}

const struct command command_image_prune = {
    .name = "prune",
    .usage = "[--all] [--dry-run] [--node NODE] [--json]",
    .summary = "remove images that nothing needs",
    .details =
        "Remove what no container is made from and no service of the cluster, or earlier revision\n"
        "of one, needs: images that are here under a digest only, as services pull them, and what\n"
        "pulls left that failed. With --all also images that somebody gave a name.",
    .examples = "  wherry image prune --dry-run\n"
                "  wherry image prune --all\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct prune_options, ARG_FLAG, all, 'a', "all", NULL,
                       "also images that have a name"),
            ARG_OPTION(struct prune_options, ARG_FLAG, dry_run, 0, "dry-run", NULL,
                       "only say what would go"),
            IMAGE_NODE_OPTION(struct prune_options),
            ARG_END,
        },
    .options_size = sizeof(struct prune_options),
    .json = true,
    .run = run_prune,
};

/* --- check -------------------------------------------------------------------------------------
 */

struct check_options {
    const char *node;
    bool repair;
};

static void print_finding(const struct image_finding_record *f)
{
    printf("%s: %s: %s", f->image, f->part, f->problem);
    if (f->repaired)
        printf(" (repaired)");
    else if (f->fatal)
        printf("; it cannot be run");
    if (*str_or_empty(f->containers))
        printf("; containers made from it run on as it was: %s", f->containers);
    putchar('\n');
}

/* How many things are still wrong. */
static size_t print_checked(const struct image_checked *c)
{
    char size[UNITS_TEXT];
    size_t left = 0;
    for (size_t i = 0; i < c->findings_n; i++) {
        print_finding(&c->findings[i]);
        left += !c->findings[i].repaired;
    }
    fprintf(stderr,
            "%" PRId64 " images, %" PRId64 " blobs and %" PRId64 " layers checked, %s read: %s\n",
            c->images, c->blobs, c->layers, units_size(c->bytes, size),
            left ? "not all is well" : "all is well");
    return left;
}

static int run_check(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct check_options *o = options;
    struct image_check_request request = {.repair = o->repair, .node = (char *)(uintptr_t)o->node};
    struct job_progress done;
    size_t left = 0;
    (void)words_n;
    (void)words;
    if (await(cli, "image.check", &request, o->node, &done, err) < 0)
        return err->code;
    if (cli->json) {
        cli_print_json_one(&image_checked_type, &done.checked);
        for (size_t i = 0; i < done.checked.findings_n; i++)
            left += !done.checked.findings[i].repaired;
    } else {
        left = print_checked(&done.checked);
    }
    record_release(&job_progress_type, &done);
    if (left > 0)
        cli->exit_status = err_exit_status(ERR_CORRUPT);
    return 0;
}

const struct command command_image_check = {
    .name = "check",
    .usage = "[--repair] [--node NODE] [--json]",
    .summary = "read all images of a member and compare them with their digests",
    .details =
        "Every blob and every unpacked layer is read from the disk. What is damaged is said and "
        "not\n"
        "run any more; containers that run on it run on. The next pull or load of the image heals\n"
        "it. --repair does so at once: layers are unpacked anew from their blobs, lost blobs are\n"
        "fetched by their digests. Ends with status 10 while anything is wrong.",
    .examples = "  wherry image check\n"
                "  wherry image check --repair --node n2\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct check_options, ARG_FLAG, repair, 0, "repair", NULL,
                       "heal what is damaged"),
            IMAGE_NODE_OPTION(struct check_options),
            ARG_END,
        },
    .options_size = sizeof(struct check_options),
    .json = true,
    .run = run_check,
};
