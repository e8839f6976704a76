/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/rollout.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TURN_MS = 1000, /* judged again after this even when nothing changed */
    STEADY_TURN_MS = 150,
    PAUSE_MS = 100,  /* at least, between two looks at a busy cluster */
    AWAY_MS = 20000, /* so long may the member be away */
};

struct waiting {
    struct cli *cli;
    const struct rollout_request *request;
    struct progress progress;
    struct rollout *rollouts; /* by request->names */
    int64_t start_ms;
    int64_t index;
    int64_t away_since_ms; /* 0: the member answers */
    bool steadying;        /* something runs and may soon count as done */
    int width;             /* of the longest name so far */
};

static void sleep_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* --- one look ----------------------------------------------------------------------------------
 */

struct look {
    struct service_list_reply services;
    struct task_list_reply tasks;
};

static void look_release(struct look *look)
{
    record_release(&service_list_reply_type, &look->services);
    record_release(&task_list_reply_type, &look->tasks);
}

static int look_take(struct cli *cli, const char *filter, struct look *look, struct err *err)
{
    struct filter_request request = {.name = (char *)(uintptr_t)filter};
    *look = (struct look){0};
    int rv = cli_call(cli, "service.list", &request, &look->services, err);
    if (rv == 0)
        rv = cli_call(cli, "task.list", &request, &look->tasks, err);
    if (rv < 0)
        look_release(look);
    return rv;
}

static const struct service_info *find_service(const struct look *look, const char *name)
{
    for (size_t i = 0; i < look->services.services_n; i++)
        if (str_equal(look->services.services[i].name, name))
            return &look->services.services[i];
    return NULL;
}

static bool is_waited_for(const struct rollout_request *request, const char *name)
{
    for (size_t i = 0; i < request->names_n; i++)
        if (strcmp(request->names[i], name) == 0)
            return true;
    return false;
}

/* --- what is shown -----------------------------------------------------------------------------
 */

struct lines {
    char **items;
    size_t n;
};

static void add_line(struct lines *lines, char *owned)
{
    lines->items = mem_resize(lines->items, lines->n + 1, sizeof(char *));
    lines->items[lines->n++] = owned;
}

static void lines_release(struct lines *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        free(lines->items[i]);
    free(lines->items);
}

static bool is_leaving(const struct waiting *w, const struct service_info *s)
{
    return s->removed && !is_waited_for(w->request, s->name);
}

static void widen(struct waiting *w, const char *name)
{
    if ((int)strlen(name) > w->width)
        w->width = (int)strlen(name);
}

static void fit_width(struct waiting *w, const struct look *look)
{
    for (size_t i = 0; i < w->request->names_n; i++)
        widen(w, w->request->names[i]);
    for (size_t i = 0; i < look->services.services_n; i++)
        if (is_leaving(w, &look->services.services[i]))
            widen(w, look->services.services[i].name);
}

/* Services that go away: those that a deploy prunes, or all. */
static size_t add_removed(const struct waiting *w, const struct look *look, struct lines *lines)
{
    size_t n = 0;
    for (size_t i = 0; i < look->services.services_n; i++) {
        const struct service_info *s = &look->services.services[i];
        int64_t tasks = 0;
        if (!is_leaving(w, s))
            continue;
        for (size_t k = 0; k < look->tasks.tasks_n; k++)
            tasks += str_equal(look->tasks.tasks[k].service, s->name);
        add_line(lines, str_printf("%-*s  removing, %" PRId64 " task%s left", w->width, s->name,
                                   tasks, tasks == 1 ? "" : "s"));
        n++;
    }
    return n;
}

/* --- the wait ----------------------------------------------------------------------------------
 */

struct tally {
    size_t going;
    size_t failed;
};

static struct tally judge(struct waiting *w, const struct look *look)
{
    struct tally tally = {0};
    struct lines lines = {0};
    int64_t now = clock_boot_ms();
    fit_width(w, look);
    w->steadying = false;
    for (size_t i = 0; i < w->request->names_n; i++) {
        struct rollout *r = &w->rollouts[i];
        rollout_judge(r, find_service(look, r->name), look->tasks.tasks, look->tasks.tasks_n, now);
        add_line(&lines, str_printf("%-*s  %s", w->width, r->name, r->line));
        tally.failed += r->verdict == VERDICT_FAILED;
        tally.going += r->verdict == VERDICT_GOING;
        w->steadying |= r->verdict == VERDICT_GOING && r->good_since_ms != 0;
    }
    if (w->request->removed || w->request->gone)
        tally.going += add_removed(w, look, &lines);
    if (w->request->gone && look->services.services_n > 0 && tally.going == 0)
        tally.going = 1; /* somebody deployed it anew meanwhile */
    progress_show(&w->progress, lines.items, lines.n);
    lines_release(&lines);
    return tally;
}

static int say_failed(struct waiting *w, const struct tally *tally, struct err *err)
{
    size_t back = 0;
    for (size_t i = 0; i < w->request->names_n; i++) {
        const struct rollout *r = &w->rollouts[i];
        if (r->verdict == VERDICT_FAILED)
            cli_warn("%s", r->reason);
        back += r->verdict == VERDICT_FAILED && r->back;
    }
    if (back == tally->failed)
        return err_set(err, ERR_FAILED,
                       "%zu of %zu services cannot run as asked, and go on as they were "
                       "('wherry history', 'wherry why')",
                       back, w->request->names_n);
    return err_set(err, ERR_FAILED,
                   "%zu of %zu services cannot run as asked. %s stays in effect and goes on where "
                   "it can ('wherry ps', 'wherry logs')",
                   tally->failed, w->request->names_n, w->request->what);
}

static int say_timeout(struct waiting *w, struct err *err)
{
    char after[UNITS_TEXT];
    for (size_t i = 0; i < w->request->names_n; i++) {
        const struct rollout *r = &w->rollouts[i];
        if (r->verdict == VERDICT_GOING && r->reason[0])
            cli_warn("%s", r->reason);
    }
    return err_set(err, ERR_TIMEOUT,
                   "not done after %s. %s goes on in the background: 'wherry ps' shows how",
                   units_duration(w->request->timeout_ms, after), w->request->what);
}

/* The member may be away for a moment: it restarts, or a leader is being elected. */
static int on_call_failed(struct waiting *w, struct err *err)
{
    int64_t now = clock_boot_ms();
    if (!cli_may_retry(err->code))
        return err->code;
    if (w->away_since_ms == 0)
        w->away_since_ms = now;
    if (now - w->away_since_ms > AWAY_MS)
        return err->code;
    sleep_ms(TURN_MS / 2);
    return 0;
}

static int64_t left_ms(const struct waiting *w)
{
    return w->start_ms + w->request->timeout_ms - clock_boot_ms();
}

/* Returns once something may have changed. */
static int pause_turn(struct waiting *w, struct err *err)
{
    int64_t left = left_ms(w);
    int64_t turn = w->steadying ? STEADY_TURN_MS : TURN_MS;
    struct wait_request request = {.after = w->index, .wait_ms = left < turn ? left : turn};
    struct wait_reply reply;
    sleep_ms(left < PAUSE_MS ? left : PAUSE_MS);
    if (cli_call(w->cli, "cluster.wait", &request, &reply, err) < 0)
        return on_call_failed(w, err);
    w->index = reply.index;
    return 0;
}

static int wait_turn(struct waiting *w, bool *ret_done, struct err *err)
{
    struct look look;
    int rv = look_take(w->cli, w->request->filter, &look, err);
    if (rv == ERR_NOTFOUND && w->request->gone) {
        *ret_done = true;
        return 0;
    }
    if (rv < 0)
        return on_call_failed(w, err);
    w->away_since_ms = 0;
    struct tally tally = judge(w, &look);
    look_release(&look);
    *ret_done = tally.going + tally.failed == 0;
    if (tally.failed > 0)
        return say_failed(w, &tally, err);
    return 0;
}

int rollout_wait(struct cli *cli, const struct rollout_request *request, struct err *err)
{
    struct waiting w = {.cli = cli,
                        .request = request,
                        .rollouts = mem_alloc(request->names_n, sizeof(struct rollout)),
                        .start_ms = clock_boot_ms(),
                        .index = request->index};
    bool done = false;
    int rv = 0;
    for (size_t i = 0; i < request->names_n; i++)
        w.rollouts[i].name = (char *)(uintptr_t)request->names[i];
    progress_init(&w.progress, stdout);
    while (rv == 0 && !done) {
        rv = wait_turn(&w, &done, err);
        if (rv == 0 && !done && left_ms(&w) <= 0)
            rv = say_timeout(&w, err);
        else if (rv == 0 && !done)
            rv = pause_turn(&w, err);
    }
    progress_end(&w.progress);
    free(w.rollouts);
    return rv;
}
