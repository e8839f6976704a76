/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/session.h"

#include <string.h>

/* How well a name fits. */
enum fit {
    FIT_NONE,
    FIT_SHORT_SERVICE, /* "web" */
    FIT_SERVICE,       /* "shop.web" */
    FIT_SHORT_TASK,    /* "web.2" */
    FIT_TASK,          /* "shop.web.2" */
};

static const char *without_stack(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot ? dot + 1 : name;
}

static enum fit fit_of(const struct task_info *t, const char *name)
{
    if (t->id == 0)
        return FIT_NONE;
    return strcmp(t->name, name) == 0                     ? FIT_TASK
           : strcmp(without_stack(t->name), name) == 0    ? FIT_SHORT_TASK
           : strcmp(t->service, name) == 0                ? FIT_SERVICE
           : strcmp(without_stack(t->service), name) == 0 ? FIT_SHORT_SERVICE
                                                          : FIT_NONE;
}

static bool runs(const struct task_info *t)
{
    return strcmp(t->state, "running") == 0;
}

/* Is @a better than @b, both of which fit equally? One that runs, then the lower slot. */
static bool is_better(const struct task_info *a, const struct task_info *b)
{
    if (runs(a) != runs(b))
        return runs(a);
    return a->slot != b->slot ? a->slot < b->slot : a->id > b->id;
}

static int choose(const struct task_list_reply *list, const char *name, int64_t *ret_task_id,
                  char **ret_container, struct err *err)
{
    const struct task_info *best = NULL, *rival = NULL;
    enum fit best_fit = FIT_NONE;
    for (size_t i = 0; i < list->tasks_n; i++) {
        const struct task_info *t = &list->tasks[i];
        enum fit fit = fit_of(t, name);
        if (fit == FIT_NONE || fit < best_fit)
            continue;
        if (fit > best_fit)
            best = rival = NULL;
        best_fit = fit;
        if (best && strcmp(best->service, t->service) != 0)
            rival = t;
        if (!best || is_better(t, best))
            best = t;
    }
    if (!best && strchr(name, '.'))
        return err_set(err, ERR_NOTFOUND, "there is no task '%.100s' ('wherry ps' lists them)",
                       name);
    if (!best) {
        *ret_container = str_copy(name);
        return 0;
    }
    if (rival)
        return err_set(err, ERR_INVALID, "'%.60s' may be %.80s or %.80s: write it as STACK.SERVICE",
                       name, best->service, rival->service);
    if (!runs(best))
        return err_set(err, ERR_NOTFOUND, "task %.100s does not run: it is %s%s%.60s", best->name,
                       best->state, *best->message ? ": " : "", best->message);
    *ret_task_id = best->id;
    return 0;
}

int session_find_task(struct cli *cli, const char *name, const char *node, int64_t *ret_task_id,
                      char **ret_container, struct err *err)
{
    struct task_list_reply list;
    *ret_task_id = 0;
    *ret_container = NULL;
    if (!*name)
        return err_set(err, ERR_INVALID, "a name is empty");
    if (node) {
        *ret_container = str_copy(name);
        return 0;
    }
    cli->stale = true; /* also when there is no leader */
    if (cli_call(cli, "task.list", &(struct filter_request){0}, &list, err) < 0) {
        if (err->code != ERR_UNAVAILABLE || strchr(name, '.'))
            return err->code;
        *ret_container = str_copy(name); /* the machine may be no member of a cluster */
        return 0;
    }
    int rv = choose(&list, name, ret_task_id, ret_container, err);
    record_release(&task_list_reply_type, &list);
    return rv;
}
