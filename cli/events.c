/* SPDX-License-Identifier: Apache-2.0 */
/* events: what happened in the cluster. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/logprint.h"
#include "cli/moment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    WAIT_MS = 20000,
    FOLLOW_TAIL = 10,
    AWAY_MS = 60000, /* so long the members may be away from somebody who follows */
    RETRY_MS = 1000,
};

struct events_options {
    bool follow;
    const char *since, *until;
    struct arg_number tail;
    struct arg_texts filters;
};

/* --- what is asked for ----------------------------------------------------------------------- */

/* "kind=task" and its like. */
static int read_filters(const struct events_options *o, struct event_request *request,
                        struct err *err)
{
    static const char *const kinds[] = {"cluster", "config",   "dns",    "job",     "network",
                                        "node",    "registry", "secret", "service", "stack",
                                        "task",    "token",    "volume"};
    request->kinds = mem_alloc(o->filters.n, sizeof(char *));
    for (size_t i = 0; i < o->filters.n; i++) {
        const char *text = o->filters.items[i];
        const char *kind = str_starts(text, "kind=") ? text + strlen("kind=") : NULL;
        const char *name = str_starts(text, "name=") ? text + strlen("name=") : NULL;
        bool known = false;
        for (size_t k = 0; kind && k < ARRAY_SIZE(kinds); k++)
            known |= strcmp(kind, kinds[k]) == 0;
        if (known)
            request->kinds[request->kinds_n++] = str_copy(kind);
        else if (name && !request->name)
            request->name = str_copy(name);
        else
            return err_set(err, ERR_INVALID,
                           "--filter: '%.60s' is not name=NAME, or kind= one of cluster, config, "
                           "dns, job, network, node, registry, secret, service, stack, task, token "
                           "and volume",
                           text);
    }
    return 0;
}

/* --- printing -------------------------------------------------------------------------------- */

static void print_event(const struct cli *cli, const struct event_info *e)
{
    cleanup_buf struct buf line = BUF_INIT;
    char when[40];
    if (cli->json) {
        record_json(&event_info_type, e, -1, &line);
    } else {
        time_t at = (time_t)(e->at_ms / 1000);
        struct tm tm;
        if (strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&at, &tm)) == 0)
            when[0] = '\0';
        buf_printf(&line, "%s.%03d  %-8s %-24s  ", when, (int)(e->at_ms % 1000), e->kind,
                   e->object);
        log_clean(e->text, strlen(e->text), &line);
    }
    puts(line.data);
}

/* The last ones of what is there: as many as asked for. */
struct ring {
    struct event_info *list;
    size_t n, max, at;
};

static void ring_take(struct ring *ring, struct event_info *event)
{
    struct event_info *slot = &ring->list[ring->at];
    if (ring->max == 0)
        return;
    if (ring->n == ring->max)
        record_release(&event_info_type, slot);
    else
        ring->n++;
    *slot = *event;
    *event = (struct event_info){0};
    ring->at = (ring->at + 1) % ring->max;
}

static void ring_print(const struct cli *cli, struct ring *ring)
{
    for (size_t i = 0; i < ring->n; i++) {
        struct event_info *e = &ring->list[(ring->at + ring->max - ring->n + i) % ring->max];
        print_event(cli, e);
        record_release(&event_info_type, e);
    }
    free(ring->list);
}

/* --- the command ----------------------------------------------------------------------------- */

/* All pages that are there, to @ring or, without one, to the output. */
static int read_all(struct cli *cli, struct event_request *request, int64_t until_ms,
                    struct ring *ring, struct err *err)
{
    bool more = true;
    while (more) {
        struct event_reply reply;
        int rv = cli_call(cli, "event.list", request, &reply, err);
        if (rv < 0)
            return rv;
        for (size_t i = 0; i < reply.events_n; i++) {
            if (reply.events[i].at_ms > until_ms)
                continue;
            if (ring)
                ring_take(ring, &reply.events[i]);
            else
                print_event(cli, &reply.events[i]);
        }
        request->after = reply.last;
        more = reply.more;
        record_release(&event_reply_type, &reply);
    }
    return 0;
}

/* Until it is interrupted. Another member goes on where one leaves off. */
static int follow(struct cli *cli, struct event_request *request, struct err *err)
{
    int64_t away_since = 0;
    request->wait_ms = WAIT_MS;
    for (;;) {
        struct event_reply reply;
        int rv = cli_call(cli, "event.list", request, &reply, err);
        int64_t now = clock_boot_ms();
        if (rv < 0 && (!cli_may_retry(rv) || (away_since && now - away_since > AWAY_MS)))
            return rv;
        if (rv < 0) {
            away_since = away_since ? away_since : now;
            nanosleep(&(struct timespec){.tv_sec = RETRY_MS / 1000}, NULL);
            continue;
        }
        away_since = 0;
        if (reply.lost)
            cli_warn("some events were not read in time, and are not kept any more");
        for (size_t i = 0; i < reply.events_n; i++)
            print_event(cli, &reply.events[i]);
        fflush(stdout);
        request->after = reply.last;
        record_release(&event_reply_type, &reply);
    }
}

static int read_options(const struct events_options *o, int words_n, char **words,
                        struct event_request *request, int64_t *ret_until_ms, struct err *err)
{
    int64_t now = clock_wall_ms();
    *ret_until_ms = INT64_MAX;
    if (o->follow && o->until)
        return err_set(err, ERR_INVALID, "--until is of the past, and --follow of what is to come");
    if (o->since && moment_parse("--since", o->since, now, &request->since_ms, err) < 0)
        return err->code;
    if (o->until && moment_parse("--until", o->until, now, ret_until_ms, err) < 0)
        return err->code;
    if (read_filters(o, request, err) < 0)
        return err->code;
    if (words_n > 0 && request->name)
        return err_set(err, ERR_INVALID, "two names are given: '%.60s' and '%.60s'", words[0],
                       request->name);
    if (words_n > 0)
        request->name = str_copy(words[0]);
    return 0;
}

static int run_events(struct cli *cli, const void *options, int words_n, char **words,
                      struct err *err)
{
    const struct events_options *o = options;
    struct event_request request = {0};
    int64_t until_ms;
    bool some = o->tail.given || (o->follow && !o->since);
    struct ring ring = {.max = o->tail.given ? (size_t)o->tail.value : FOLLOW_TAIL};
    int rv = read_options(o, words_n, words, &request, &until_ms, err);
    if (ring.max > EVENTS_KEPT)
        ring.max = EVENTS_KEPT;
    if (rv == 0 && some) {
        ring.list = mem_alloc(ring.max + 1, sizeof(*ring.list));
        rv = read_all(cli, &request, until_ms, &ring, err);
        ring_print(cli, &ring);
    } else if (rv == 0) {
        rv = read_all(cli, &request, until_ms, NULL, err);
    }
    fflush(stdout);
    if (rv == 0 && o->follow)
        rv = follow(cli, &request, err);
    record_release(&event_request_type, &request);
    return rv;
}

const struct command command_events = {
    .name = "events",
    .usage = "[-f] [--since TIME] [--until TIME] [-n N] [--filter KEY=VALUE] [--json] [NAME]",
    .summary = "show what happened in the cluster",
    .details =
        "Show events, the oldest first: what became of stacks, services, tasks, jobs and members, "
        "and\n"
        "what people did. NAME is a stack, service, task or member: it and what is below it. The "
        "last\n"
        "4096 events are kept, with the state, on every member.\n\n"
        "With -f go on with what happens, from any member, each event once. A time is 10m (ago),\n"
        "2026-11-27T10:00 or seconds since 1970. With --json an object a line.",
    .examples = "  wherry events shop\n"
                "  wherry events -f --filter kind=task --filter kind=node\n"
                "  wherry events --since 1h --json | jq -r .text\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct events_options, ARG_FLAG, follow, 'f', "follow", NULL,
                       "go on with what happens from now on"),
            ARG_OPTION(struct events_options, ARG_TEXT, since, 0, "since", "TIME",
                       "only those from then on"),
            ARG_OPTION(struct events_options, ARG_TEXT, until, 0, "until", "TIME",
                       "only those until then"),
            ARG_OPTION(struct events_options, ARG_NUMBER, tail, 'n', "tail", "N",
                       "only the last N (with -f: 10)"),
            ARG_OPTION(struct events_options, ARG_TEXTS, filters, 0, "filter", "KEY=VALUE",
                       "kind=KIND, which may be given several times, or name=NAME"),
            ARG_END,
        },
    .options_size = sizeof(struct events_options),
    .words_max = 1,
    .json = true,
    .run = run_events,
};
