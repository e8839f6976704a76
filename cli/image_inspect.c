/* SPDX-License-Identifier: Apache-2.0 */
/* image inspect, image history: what an image is made of. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/image_commands.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct inspect_options {
    const char *node;
};

static int get(struct cli *cli, const struct inspect_options *o, char *name,
               struct image_record *ret, struct err *err)
{
    struct image_request request = {.name = name, .node = (char *)(uintptr_t)o->node};
    return cli_call(cli, "image.inspect", &request, ret, err);
}

/* --- inspect -----------------------------------------------------------------------------------
 */

static void add_line(struct table *table, const char *what, const char *text)
{
    if (!*str_or_empty(text))
        return;
    table_add(table, what);
    table_add(table, text);
}

static void add_words(struct table *table, const char *what, char *const *words, size_t n)
{
    cleanup_buf struct buf text = BUF_INIT;
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", words[i]);
    add_line(table, what, text.data);
}

/* One a line. */
static void add_lines(struct table *table, const char *what, char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_line(table, i == 0 ? what : "", lines[i]);
}

static void add_facts(struct table *table, const struct image_record *r)
{
    char size[UNITS_TEXT];
    char unpacked[UNITS_TEXT];
    char pulled[UNITS_TEXT];
    char used[UNITS_TEXT];
    int64_t now = clock_wall_ms();
    add_lines(table, "name", r->names, r->names_n);
    add_line(table, "digest", r->digest);
    add_line(table, "config", r->config_digest);
    cleanup_free char *platform =
        str_printf("%s/%s%s%s", str_or_empty(r->os), str_or_empty(r->architecture),
                   *str_or_empty(r->variant) ? "/" : "", str_or_empty(r->variant));
    add_line(table, "platform", platform);
    cleanup_free char *sizes =
        str_printf("%s, unpacked %s", units_size(r->size_bytes, size),
                   r->unpacked_bytes ? units_size(r->unpacked_bytes, unpacked) : "not known");
    add_line(table, "size", sizes);
    add_line(table, "built", r->created);
    add_line(table, "author", r->author);
    add_line(table, "came", units_ago(r->pulled_ms, now, pulled));
    add_line(table, "used", units_ago(r->used_ms, now, used));
    add_words(table, "containers", r->containers, r->containers_n);
    add_line(table, "needed", r->kept ? "by a service" : "");
    add_line(table, "damaged", r->damaged ? "it cannot be run: wherry image check --repair" : "");
}

static void add_config(struct table *table, const struct image_record *r)
{
    add_words(table, "entrypoint", r->entrypoint, r->entrypoint_n);
    add_words(table, "command", r->cmd, r->cmd_n);
    add_lines(table, "environment", r->env, r->env_n);
    add_line(table, "user", r->user);
    add_line(table, "folder", r->working_dir);
    add_line(table, "stop signal", r->stop_signal);
    add_words(table, "volumes", r->volumes, r->volumes_n);
    add_words(table, "ports", r->exposed, r->exposed_n);
    add_lines(table, "labels", r->labels, r->labels_n);
}

static void print_layers(const struct image_record *r)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    char size[UNITS_TEXT];
    char unpacked[UNITS_TEXT];
    table_init(&table, (const char *[]){"LAYER", "DIGEST", "SIZE", "UNPACKED", "", NULL});
    for (size_t i = 0; i < r->layers_n; i++) {
        const struct image_layer_record *l = &r->layers[i];
        table_addf(&table, "%zu", i + 1);
        table_add(&table, l->digest);
        table_add(&table, units_size(l->size_bytes, size));
        table_add(&table,
                  l->unpacked_bytes ? units_size(l->unpacked_bytes, unpacked) : "not known");
        table_add(&table, l->damaged ? "damaged" : "");
    }
    table_print(&table, &out);
    table_release(&table);
    printf("\n%s", out.data);
}

static void print_record(const struct image_record *r)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    table_init(&table, (const char *[]){"", "", NULL});
    add_facts(&table, r);
    add_config(&table, r);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
    print_layers(r);
}

static int run_inspect(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    for (int i = 0; i < words_n; i++) {
        struct image_record record;
        if (get(cli, options, words[i], &record, err) < 0)
            return err->code;
        if (cli->json)
            cli_print_json_one(&image_record_type, &record);
        else
            print_record(&record);
        record_release(&image_record_type, &record);
    }
    return 0;
}

const struct command command_image_inspect = {
    .name = "inspect",
    .usage = "[--node NODE] [--json] IMAGE",
    .summary = "all about an image: names, platform, config, layers",
    .details = "IMAGE is a name, a digest or the first digits of one.",
    .examples = "  wherry image inspect app:1\n",
    .options =
        (const struct arg_option[]){
            IMAGE_NODE_OPTION(struct inspect_options),
            ARG_END,
        },
    .options_size = sizeof(struct inspect_options),
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .run = run_inspect,
};

/* --- history -----------------------------------------------------------------------------------
 */

static void print_history(const struct image_record *r)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    char size[UNITS_TEXT];
    table_init(&table, (const char *[]){"CREATED", "LAYER", "SIZE", "BY", NULL});
    for (size_t i = r->history_n; i-- > 0;) {
        const struct image_history_record *h = &r->history[i];
        cleanup_free char *by =
            str_printf("%s%s%s", str_or_empty(h->created_by),
                       *str_or_empty(h->comment) ? " # " : "", str_or_empty(h->comment));
        table_addf(&table, "%.19s", str_or_empty(h->created));
        if (h->layer)
            table_addf(&table, "%" PRId64, h->layer);
        else
            table_add(&table, "");
        table_add(&table, h->layer ? units_size(h->size_bytes, size) : "");
        table_add(&table, by);
    }
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_history(struct cli *cli, const void *options, int words_n, char **words,
                       struct err *err)
{
    struct image_record record;
    (void)words_n;
    if (get(cli, options, words[0], &record, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&image_history_record_type, record.history, record.history_n);
    else
        print_history(&record);
    record_release(&image_record_type, &record);
    return 0;
}

const struct command command_image_history = {
    .name = "history",
    .usage = "[--node NODE] [--json] IMAGE",
    .summary = "how an image was made, newest step first",
    .details =
        "The steps that the image's config tells of, with the sizes of the layers they made.",
    .examples = "  wherry image history app:1\n",
    .options =
        (const struct arg_option[]){
            IMAGE_NODE_OPTION(struct inspect_options),
            ARG_END,
        },
    .options_size = sizeof(struct inspect_options),
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .run = run_history,
};
