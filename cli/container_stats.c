/* SPDX-License-Identifier: Apache-2.0 */
/* container stats: what containers use, once or again and again. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/container.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    INTERVAL_MS = 1000,
    FIRST_MS = 300, /* between the two readings of a single look */
};

struct stats_options {
    const char *node;
    bool no_stream;
};

/* --- readings ----------------------------------------------------------------------------------
 */

static void append(struct container_stats_reply *all, struct container_stats_reply *some)
{
    all->containers = mem_resize(all->containers, all->containers_n + some->containers_n + 1,
                                 sizeof(*all->containers));
    for (size_t i = 0; i < some->containers_n; i++)
        all->containers[all->containers_n++] = some->containers[i];
    free(some->containers); /* what they hold was handed on */
}

/* Those named, or all of a machine. */
static int read_all(struct cli *cli, const char *node, int n, char **words,
                    struct container_stats_reply *ret, struct err *err)
{
    struct container_stats_reply all = {0};
    int rv = 0;
    for (int i = 0; i < (n ? n : 1) && rv == 0; i++) {
        struct container_request request = {.node = TEXT(node), .container = n ? words[i] : NULL};
        struct container_stats_reply some;
        rv = cli_call(cli, "container.stats", &request, &some, err);
        if (rv == 0)
            append(&all, &some);
    }
    if (rv < 0)
        record_release(&container_stats_reply_type, &all);
    else
        *ret = all;
    return rv;
}

/* Fill cpu_centi: hundredths of a percent of one core since @before. */
static void compare(const struct container_stats_reply *before, struct container_stats_reply *now)
{
    for (size_t i = 0; i < now->containers_n; i++) {
        struct container_usage *u = &now->containers[i];
        for (size_t k = 0; k < before->containers_n; k++) {
            const struct container_usage *b = &before->containers[k];
            if (str_equal(b->id, u->id) && str_equal(b->node, u->node) && b->run == u->run &&
                u->time_ns > b->time_ns && u->cpu_ns >= b->cpu_ns)
                u->cpu_centi = (int64_t)((double)(u->cpu_ns - b->cpu_ns) * 10000.0 /
                                         (double)(u->time_ns - b->time_ns));
        }
    }
}

/* --- the table ---------------------------------------------------------------------------------
 */

static void add_pair(struct table *table, int64_t a, int64_t b)
{
    char first[UNITS_TEXT], second[UNITS_TEXT];
    table_addf(table, "%s / %s", units_size(a, first), units_size(b, second));
}

static void add_usage(struct table *table, const struct container_usage *u, bool pressure)
{
    char used[UNITS_TEXT], limit[UNITS_TEXT];
    int64_t limit_bytes = u->memory_limit_bytes ? u->memory_limit_bytes : u->machine_memory_bytes;
    table_add(table, *str_or_empty(u->name) ? u->name : u->id);
    table_addf(table, "%.1f%%", (double)u->cpu_centi / 100);
    table_addf(table, "%s / %s", units_memory(u->memory_working_bytes, used),
               units_memory(limit_bytes, limit));
    table_addf(table, "%.1f%%",
               limit_bytes ? 100.0 * (double)u->memory_working_bytes / (double)limit_bytes : 0.0);
    if (u->network_known)
        add_pair(table, u->rx_bytes, u->tx_bytes);
    else
        table_add(table, "host");
    add_pair(table, u->read_bytes, u->write_bytes);
    if (u->pids_limit)
        table_addf(table, "%lld/%lld", (long long)u->pids, (long long)u->pids_limit);
    else
        table_addf(table, "%lld", (long long)u->pids);
    if (u->periods)
        table_addf(table, "%.0f%%", 100.0 * (double)u->throttled_periods / (double)u->periods);
    else
        table_add(table, "-");
    table_addf(table, "%lld", (long long)u->oom_kills);
    if (pressure)
        table_addf(table, "%.1f %.1f %.1f", (double)u->cpu_some_centi / 100,
                   (double)u->memory_some_centi / 100, (double)u->io_some_centi / 100);
}

static void format_table(const struct container_stats_reply *reply, struct buf *out)
{
    struct table table;
    bool pressure = false;
    for (size_t i = 0; i < reply->containers_n; i++)
        pressure |= reply->containers[i].pressure_known;
    table_init(&table, (const char *[]){"CONTAINER", "CPU", "MEMORY / LIMIT", "", "NET IN / OUT",
                                        "DISK READ / WRITE", "PIDS", "THROTTLED", "OOM",
                                        pressure ? "PRESSURE cpu mem io" : NULL, NULL});
    for (size_t i = 0; i < reply->containers_n; i++)
        add_usage(&table, &reply->containers[i], pressure);
    table_print(&table, out);
    table_release(&table);
}

static void show(struct progress *progress, const struct container_stats_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    char *lines[256];
    size_t n = 0;
    format_table(reply, &out);
    char *rest = out.data;
    for (char *line; n < ARRAY_SIZE(lines) && (line = strsep(&rest, "\n"));)
        if (*line)
            lines[n++] = line;
    progress_show(progress, lines, n);
}

/* --- the command -------------------------------------------------------------------------------
 */

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static void print_once(struct cli *cli, const struct container_stats_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    if (cli->json) {
        cli_print_json(&container_usage_type, reply->containers, reply->containers_n);
    } else {
        format_table(reply, &out);
        fputs(out.data, stdout);
    }
    fflush(stdout);
}

static int run_stats(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct stats_options *o = options;
    bool terminal = !cli->json && progress_is_terminal(stdout);
    struct container_stats_reply before, now;
    struct progress progress;
    int rv = read_all(cli, o->node, words_n, words, &before, err);
    if (rv < 0)
        return rv;
    progress_init(&progress, stdout);
    sleep_ms(FIRST_MS);
    for (;;) {
        rv = read_all(cli, o->node, words_n, words, &now, err);
        if (rv < 0)
            break;
        compare(&before, &now);
        if (terminal && !o->no_stream)
            show(&progress, &now);
        else
            print_once(cli, &now);
        record_release(&container_stats_reply_type, &before);
        before = now;
        if (o->no_stream || ferror(stdout))
            break;
        sleep_ms(INTERVAL_MS);
    }
    progress_end(&progress);
    record_release(&container_stats_reply_type, &before);
    return rv;
}

const struct command command_container_stats = {
    .name = "stats",
    .usage = "[--no-stream] [--node NAME] [--json] [CONTAINER...]",
    .summary = "show what containers use of processors, memory, disks and network",
    .details =
        "Show what running containers use, every second, by the kernel's own count: those that\n"
        "are named, or all of the machine. CPU is in percent of one core; MEMORY is without\n"
        "cached files that were not used for long; THROTTLED is how often its limit of\n"
        "processors held it up; OOM counts processes killed for want of memory; PRESSURE is how\n"
        "much of the last ten seconds work stood still (cgroup version 2 only). --json has more.\n"
        "\n" CONTAINER_NAMES,
    .examples = "  wherry container stats\n"
                "  wherry container stats --no-stream --json shop.web.2\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct stats_options, ARG_FLAG, no_stream, 0, "no-stream", NULL,
                       "once, not again and again"),
            CONTAINER_NODE(struct stats_options),
            ARG_END,
        },
    .options_size = sizeof(struct stats_options),
    .words_max = -1,
    .json = true,
    .run = run_stats,
};
