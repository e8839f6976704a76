/* SPDX-License-Identifier: Apache-2.0 */
/* image: the images of one member. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/image_commands.h"
#include "cli/image_transfer.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
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
    int rv = image_follow_job(cli, job.job, NULL, upload, err);
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
    const char *node;
    const char *platform;
};

static int run_pull(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct pull_options *o = options;
    struct image_pull_request request = {.name = words[0],
                                         .plain_http = (char **)(uintptr_t)o->plain_http.items,
                                         .plain_http_n = o->plain_http.n,
                                         .platform = (char *)(uintptr_t)o->platform,
                                         .node = (char *)(uintptr_t)o->node};
    struct job_reply job;
    (void)words_n;
    if (cli_call(cli, "image.pull", &request, &job, err) < 0)
        return err->code;
    int rv = image_follow_job(cli, job.job, o->node, NULL, err);
    record_release(&job_reply_type, &job);
    return rv;
}

static const struct command image_pull = {
    .name = "pull",
    .usage = "[--platform OS/ARCH[/VARIANT]] [--node NODE] [--plain-http HOST[:PORT]]... IMAGE",
    .summary = "fetch an image from its registry into a member",
    .examples = "  wherry image pull nginx:1.27\n"
                "  wherry image pull --platform linux/arm64 registry.example/team/app:1\n"
                "  wherry image pull --plain-http 10.0.0.9:5000 10.0.0.9:5000/app:1\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct pull_options, ARG_TEXT, platform, 0, "platform", "OS/ARCH[/VARIANT]",
                       "of the image, instead of the member's own"),
            ARG_OPTION(struct pull_options, ARG_TEXTS, plain_http, 0, "plain-http", "HOST[:PORT]",
                       "a registry that speaks HTTP without TLS"),
            IMAGE_NODE_OPTION(struct pull_options),
            ARG_END,
        },
    .options_size = sizeof(struct pull_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_pull,
};

/* --- push --------------------------------------------------------------------------------------
 */

struct push_options {
    struct arg_texts plain_http;
    const char *node;
};

static int run_push(struct cli *cli, const void *options, int words_n, char **words,
                    struct err *err)
{
    const struct push_options *o = options;
    struct image_push_request request = {.name = words[0],
                                         .plain_http = (char **)(uintptr_t)o->plain_http.items,
                                         .plain_http_n = o->plain_http.n,
                                         .node = (char *)(uintptr_t)o->node};
    struct job_reply job;
    (void)words_n;
    if (cli_call(cli, "image.push", &request, &job, err) < 0)
        return err->code;
    int rv = image_follow_job(cli, job.job, o->node, NULL, err);
    record_release(&job_reply_type, &job);
    return rv;
}

static const struct command image_push = {
    .name = "push",
    .usage = "[--node NODE] [--plain-http HOST[:PORT]]... IMAGE",
    .summary = "put an image of a member into its registry",
    .details = "Put an image into the registry and repository of its name, the very bytes the "
               "member has.\n"
               "What the registry has already is not sent. Whoever pulls it gets the same digest.",
    .examples = "  wherry image push registry.example/team/app:1\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct push_options, ARG_TEXTS, plain_http, 0, "plain-http", "HOST[:PORT]",
                       "a registry that speaks HTTP without TLS"),
            IMAGE_NODE_OPTION(struct push_options),
            ARG_END,
        },
    .options_size = sizeof(struct push_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_push,
};

/* --- ls ----------------------------------------------------------------------------------------
 */

struct node_options {
    const char *node;
};

/* "2 containers", "by a service", "no". */
static char *use_of(const struct image_info *image)
{
    const char *damaged = image->damaged ? ", damaged" : "";
    if (image->containers > 0)
        return str_printf("%" PRId64 " container%s%s", image->containers,
                          image->containers == 1 ? "" : "s", damaged);
    return str_printf("%s%s", image->kept ? "by a service" : "no", damaged);
}

static void add_image(struct table *table, const struct image_info *image)
{
    enum {
        DIGEST_SHOWN = 12
    };
    char size[UNITS_TEXT];
    char created[UNITS_TEXT];
    char name[UNITS_IMAGE];
    const char *digest = str_or_empty(image->digest);
    const char *colon = strchr(digest, ':');
    cleanup_free char *use = use_of(image);
    table_add(table, *str_or_empty(image->name) ? units_image(image->name, name) : "(no name)");
    table_addf(table, "%.*s", DIGEST_SHOWN, colon ? colon + 1 : digest);
    table_add(table, units_size(image->size_bytes, size));
    table_add(table, units_ago(image->created_ms, clock_wall_ms(), created));
    table_add(table, use);
}

static void print_images(const struct cli *cli, const struct image_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    for (size_t i = 0; cli->quiet && i < reply->images_n; i++) {
        const struct image_info *image = &reply->images[i];
        puts(*str_or_empty(image->name) ? image->name : str_or_empty(image->digest));
    }
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"NAME", "DIGEST", "SIZE", "CREATED", "IN USE", NULL});
    for (size_t i = 0; i < reply->images_n; i++)
        add_image(&table, &reply->images[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct node_options *o = options;
    struct image_list_request request = {.node = (char *)(uintptr_t)o->node};
    struct image_list_reply reply;
    (void)words_n;
    (void)words;
    if (cli_call(cli, "image.list", &request, &reply, err) < 0)
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
    .usage = "[--node NODE] [--json] [-q]",
    .summary = "list the images of a member",
    .details =
        "IN USE says how many containers are made from an image, or that a service of the cluster\n"
        "or an earlier revision of one needs it. What is in use stays when the disk gets short.",
    .examples = "  wherry image ls\n"
                "  wherry image ls --node n2\n",
    .options =
        (const struct arg_option[]){
            IMAGE_NODE_OPTION(struct node_options),
            ARG_END,
        },
    .options_size = sizeof(struct node_options),
    .json = true,
    .quiet = true,
    .run = run_ls,
};

/* --- tag and rm --------------------------------------------------------------------------------
 */

static int run_tag(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct node_options *o = options;
    struct image_tag_request request = {
        .image = words[0], .name = words[1], .node = (char *)(uintptr_t)o->node};
    struct image_names_reply reply;
    (void)words_n;
    if (cli_call(cli, "image.tag", &request, &reply, err) < 0)
        return err->code;
    for (size_t i = 0; i < reply.names_n; i++)
        puts(reply.names[i]);
    record_release(&image_names_reply_type, &reply);
    return 0;
}

static const struct command image_tag = {
    .name = "tag",
    .usage = "[--node NODE] IMAGE NAME",
    .summary = "give an image of a member a further name",
    .details =
        "IMAGE is a name, a digest or the first digits of one. A name that stands for another\n"
        "image moves.",
    .examples = "  wherry image tag app:1 registry.example:5000/team/app:1\n",
    .options =
        (const struct arg_option[]){
            IMAGE_NODE_OPTION(struct node_options),
            ARG_END,
        },
    .options_size = sizeof(struct node_options),
    .words_min = 2,
    .words_max = 2,
    .run = run_tag,
};

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct node_options *o = options;
    for (int i = 0; i < words_n; i++) {
        struct image_request request = {.name = words[i], .node = (char *)(uintptr_t)o->node};
        struct image_names_reply reply;
        if (cli_call(cli, "image.remove", &request, &reply, err) < 0)
            return err->code;
        for (size_t j = 0; j < reply.names_n; j++)
            puts(reply.names[j]);
        record_release(&image_names_reply_type, &reply);
    }
    return 0;
}

static const struct command image_rm = {
    .name = "rm",
    .usage = "[--node NODE] IMAGE...",
    .summary = "remove images from a member",
    .details =
        "Take names off images. What no name and no container uses goes from the disk. With a\n"
        "digest or its first digits all names of that image are taken off.",
    .examples = "  wherry image rm app:1\n"
                "  wherry image rm 3f5c2a\n",
    .options =
        (const struct arg_option[]){
            IMAGE_NODE_OPTION(struct node_options),
            ARG_END,
        },
    .options_size = sizeof(struct node_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

const struct command command_image = {
    .name = "image",
    .usage = "",
    .summary = "load, pull, push, list, save, check and remove images of a member",
    .details =
        "Images of one member: the one that is called, or the one that --node names. Members\n"
        "copy images from each other: what a service needs must be on one of them, or in a\n"
        "registry they can reach.",
    .examples = "  wherry image load app.tar\n",
    .subcommands =
        (const struct command *const[]){&image_load, &image_pull, &image_push, &image_ls,
                                        &command_image_inspect, &command_image_history, &image_tag,
                                        &image_rm, &command_image_save, &command_image_prune,
                                        &command_image_check, NULL},
};
