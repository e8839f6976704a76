/* SPDX-License-Identifier: Apache-2.0 */
/* image: the images of one member. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/image_transfer.h"
#include "cli/table.h"
#include "cli/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- load --------------------------------------------------------------------------------------
 */

struct load_options {
    const char *name;
};

static int run_load(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct load_options *o = options;
    cleanup_free char *upload = NULL;
    struct job_reply job;
    (void)words_n;
    if (image_upload(cli, words[0], &upload, err) < 0)
        return err->code;
    struct image_load_request request = {.upload = upload, .name = (char *)(uintptr_t)o->name};
    if (cli_call(cli, "image.load", &request, &job, err) < 0)
        return err_wrap(err, "load %.100s", words[0]);
    int rv = image_follow_job(cli, job.job, upload, err);
    record_release(&job_reply_type, &job);
    return rv < 0 ? err_wrap(err, "load %.100s", words[0]) : 0;
}

static const struct command image_load = {
    .name = "load",
    .usage = "[--name NAME] FILE",
    .summary = "load an archive (OCI or docker save) into the called member",
    .details =
        "Load the images of an archive, as 'docker save' or an OCI tool writes it, plain or\n"
        "compressed, into the called member. '-' reads from standard input.",
    .examples = "  wherry image load app.tar\n"
                "  docker save app:1 | wherry image load -\n"
                "  wherry image load --name app:1 oci.tar\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct load_options, ARG_TEXT, name, 0, "name", "NAME",
                       "name of the image, for an archive that gives none"),
            ARG_END,
        },
    .options_size = sizeof(struct load_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_load,
};

/* --- pull --------------------------------------------------------------------------------------
 */

struct pull_options {
    struct arg_texts plain_http;
};

static int run_pull(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct pull_options *o = options;
    struct image_pull_request request = {.name = words[0],
                                         .plain_http = (char **)(uintptr_t)o->plain_http.items,
                                         .plain_http_n = o->plain_http.n};
    struct job_reply job;
    (void)words_n;
    if (cli_call(cli, "image.pull", &request, &job, err) < 0)
        return err->code;
    int rv = image_follow_job(cli, job.job, NULL, err);
    record_release(&job_reply_type, &job);
    return rv;
}

static const struct command image_pull = {
    .name = "pull",
    .usage = "[--plain-http HOST[:PORT]]... IMAGE",
    .summary = "fetch an image from its registry into the called member",
    .examples = "  wherry image pull --plain-http 10.0.0.9:5000 10.0.0.9:5000/app:1\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct pull_options, ARG_TEXTS, plain_http, 0, "plain-http", "HOST[:PORT]",
                       "a registry that speaks HTTP without TLS"),
            ARG_END,
        },
    .options_size = sizeof(struct pull_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_pull,
};

/* --- ls ----------------------------------------------------------------------------------------
 */

static void add_image(struct table *table, const struct image_info *image)
{
    enum {
        DIGEST_SHOWN = 12
    };
    char size[UNITS_TEXT];
    char created[UNITS_TEXT];
    const char *digest = str_or_empty(image->digest);
    const char *colon = strchr(digest, ':');
    table_add(table, image->name);
    table_addf(table, "%.*s", DIGEST_SHOWN, colon ? colon + 1 : digest);
    table_add(table, units_size(image->size_bytes, size));
    table_add(table, units_ago(image->created_ms, clock_wall_ms(), created));
}

static void print_images(const struct cli *cli, const struct image_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    for (size_t i = 0; cli->quiet && i < reply->images_n; i++)
        puts(reply->images[i].name);
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"IMAGE", "DIGEST", "SIZE", "CREATED", NULL});
    for (size_t i = 0; i < reply->images_n; i++)
        add_image(&table, &reply->images[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    struct image_list_reply reply;
    (void)options;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "image.list", &(struct empty){0}, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&image_info_type, reply.images, reply.images_n);
    else
        print_images(cli, &reply);
    record_release(&image_list_reply_type, &reply);
    return 0;
}

static const struct command image_ls = {
    .name = "ls",
    .usage = "[--json] [-q]",
    .summary = "list the images of the called member",
    .examples = "  wherry image ls\n"
                "  wherry image ls -H 10.0.0.2\n",
    .json = true,
    .quiet = true,
    .run = run_ls,
};

/* --- rm ----------------------------------------------------------------------------------------
 */

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    (void)options;
    for (int i = 0; i < words_n; i++) {
        struct empty reply;
        if (cli_call(cli, "image.remove", &(struct name_request){.name = words[i]}, &reply, err) <
            0)
            return err->code;
        printf("%s\n", words[i]);
    }
    return 0;
}

static const struct command image_rm = {
    .name = "rm",
    .usage = "IMAGE...",
    .summary = "remove images from the called member",
    .details =
        "Take names off images of the called member. What no name and no container uses goes\n"
        "from the disk.",
    .examples = "  wherry image rm app:1\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

const struct command command_image = {
    .name = "image",
    .usage = "",
    .summary = "load, pull, list and remove images of a member",
    .details =
        "Images of one member: the one that is called. A service's image must be on every member\n"
        "that may run it: load it, or pull it from a registry, into each.",
    .examples = "  wherry image load app.tar\n",
    .subcommands =
        (const struct command *const[]){&image_load, &image_pull, &image_ls, &image_rm, NULL},
};
