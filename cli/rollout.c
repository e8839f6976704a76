/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rollout.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What its tasks say of a service. */
struct evidence {
    const struct task_info *failed;  /* ended for good */
    const struct task_info *looping; /* ended too often */
    const struct task_info *waiting; /* said why it does not run */
    const struct task_info *unready; /* cannot be prepared */
    const struct task_info *tried;   /* the one that could not, trying again */
    const struct task_info *unfit;   /* has no node */
    const struct task_info *depends; /* waits for another service */
    int64_t old;                     /* of an older revision, still wanted */
    int64_t ending;                  /* tasks that are to end and have not */
};

static bool is_state(const struct task_info *task, const char *state)
{
    return str_equal(task->state, state);
}

static bool has_message(const struct task_info *task)
{
    return *str_or_empty(task->message);
}

/* The first of its kind is the one that is shown. */
static void note(const struct task_info **slot, const struct task_info *task)
{
    if (!*slot)
        *slot = task;
}

static void weigh(const struct rollout *r, const struct task_info *t, int64_t revision,
                  struct evidence *e)
{
    bool depends = str_starts(str_or_empty(t->message), "waits for ");
    if (t->id == 0) {
        note(depends ? &e->depends : &e->unfit, t);
        return;
    }
    bool held = str_equal(t->desired, "ready");
    bool ready = str_starts(str_or_empty(t->message), "ready");
    if (held && t->revision == revision && is_state(t, "waiting") && has_message(t) && !ready)
        note(&e->unready, t);
    else if (held && t->id == r->stuck_task)
        note(&e->tried, t);
    bool over = is_state(t, "ended") || is_state(t, "complete") || is_state(t, "failed");
    e->ending += str_equal(t->desired, "end") && !over;
    if (!str_equal(t->desired, "run"))
        return;
    if (t->revision != revision)
        e->old++;
    else if (is_state(t, "failed"))
        note(&e->failed, t);
    else if (is_state(t, "running") && has_message(t))
        note(&e->waiting, t);
    else if (is_state(t, "running"))
        return;
    else if (t->restarts >= r->restarts + ROLLOUT_RESTARTS_MAX)
        note(&e->looping, t);
    else if (t->run == 0 && is_state(t, "waiting") && has_message(t))
        note(&e->unready, t);
    else if (t->run == 0 && t->id == r->stuck_task)
        note(&e->tried, t);
    else if (has_message(t))
        note(&e->waiting, t);
}

static void give_reason(struct rollout *r, const struct task_info *t)
{
    snprintf(r->reason, sizeof(r->reason), "%s%s%s: %s", t->name,
             *str_or_empty(t->node) ? " on " : "", str_or_empty(t->node),
             has_message(t) ? t->message : t->state);
}

/* Stuck is what stays so for a while; the same reason goes on counting. */
static void judge_stuck(struct rollout *r, const struct evidence *e, int64_t now_ms)
{
    const struct task_info *t = e->unready ? e->unready : e->unfit;
    if (!t && e->tried)
        return; /* as it was: it is being tried again */
    if (!t) {
        r->stuck_since_ms = 0;
        r->stuck_task = 0;
        return;
    }
    if (r->stuck_since_ms == 0)
        r->stuck_since_ms = now_ms;
    r->stuck_task = t->id;
    give_reason(r, t);
    if (t->id != 0 && *str_or_empty(t->image) && !strstr(t->message, t->image))
        snprintf(r->reason, sizeof(r->reason), "%s on %s (image %s): %s", t->name, t->node,
                 t->image, t->message);
    if (now_ms - r->stuck_since_ms >= ROLLOUT_STUCK_MS)
        r->verdict = VERDICT_FAILED;
}

/* The leader has given up on the rollout, for now or for good. */
static void judge_state(struct rollout *r, const struct service_info *s)
{
    bool paused = str_equal(s->state, "paused");
    bool back = s->revision > r->revision && str_starts(str_or_empty(s->rollout), "roll");
    if (!paused && !back)
        return;
    r->verdict = VERDICT_FAILED;
    r->back = back;
    snprintf(r->reason, sizeof(r->reason), "%s%s%s",
             paused ? "paused" : "went back to the revision before",
             *str_or_empty(s->rollout_message) ? ": " : "", str_or_empty(s->rollout_message));
}

static void judge_tasks(struct rollout *r, const struct evidence *e, int64_t now_ms)
{
    if (e->waiting || e->depends)
        give_reason(r, e->waiting ? e->waiting : e->depends);
    judge_stuck(r, e, now_ms);
    if (e->failed) {
        r->verdict = VERDICT_FAILED;
        give_reason(r, e->failed);
    } else if (e->looping) {
        r->verdict = VERDICT_FAILED;
        snprintf(r->reason, sizeof(r->reason),
                 "%s on %s: ends again and again, the last time with %" PRId64
                 " (restarted %" PRId64 " times); 'wherry logs %s' shows what it wrote",
                 e->looping->name, e->looping->node, e->looping->exit_code, e->looping->restarts,
                 e->looping->name);
    }
}

static bool is_good(const struct rollout *r, const struct service_info *s, const struct evidence *e,
                    int64_t now_ms)
{
    bool global = str_equal(s->mode, "global");
    bool job = str_ends(s->mode, "-job");
    if (str_equal(s->state, "stopped"))
        return s->running == 0 && e->ending == 0;
    if (s->removed || e->old > 0 || e->unfit || e->depends)
        return false;
    if (str_equal(s->state, "complete") || (job && *str_or_empty(s->spec.job.schedule)))
        return true; /* nobody waits for what is due later */
    if (!str_equal(s->state, "running") || job)
        return false;
    if (global && s->replicas == 0)
        return now_ms - r->since_ms >= ROLLOUT_SETTLE_MS;
    return s->running <= s->replicas;
}

static bool is_done(struct rollout *r, const struct service_info *s, bool good, int64_t now_ms)
{
    bool sure = health_is_checked(&s->spec.health) || str_equal(s->state, "stopped") ||
                s->replicas == 0 || str_ends(s->mode, "-job");
    if (!good) {
        r->good_since_ms = 0;
        r->moved = true;
        return false;
    }
    if (r->good_since_ms == 0)
        r->good_since_ms = now_ms;
    return sure || !r->moved || now_ms - r->good_since_ms >= ROLLOUT_STEADY_MS;
}

static void describe(struct rollout *r, const struct service_info *s)
{
    bool job = str_ends(s->mode, "-job");
    const char *word = job ? "complete" : "running";
    if (str_equal(s->state, "stopped")) {
        snprintf(r->line, sizeof(r->line), "%s",
                 r->verdict == VERDICT_DONE ? "stopped" : "stopping");
        return;
    }
    if (job && *str_or_empty(s->spec.job.schedule)) {
        snprintf(r->line, sizeof(r->line), "scheduled (%.60s)", s->spec.job.schedule);
        return;
    }
    size_t len = (size_t)snprintf(r->line, sizeof(r->line), "%" PRId64 "/%" PRId64 " %s",
                                  job ? s->complete : s->updated, s->replicas, word);
    if (r->verdict == VERDICT_DONE)
        return;
    const char *state = s->state;
    if (r->verdict == VERDICT_FAILED)
        state = "failed";
    else if (str_equal(state, "running") && !job)
        state = s->running > s->replicas ? "stopping" : "settling";
    len += (size_t)snprintf(r->line + len, sizeof(r->line) - len, " (%s)", state);
    if (r->reason[0])
        snprintf(r->line + len, sizeof(r->line) - len, "  %s", r->reason);
}

static void begin(struct rollout *r, const struct task_info *tasks, size_t n, int64_t now_ms)
{
    r->since_ms = now_ms;
    for (size_t i = 0; i < n; i++)
        if (str_equal(tasks[i].service, r->name) && tasks[i].restarts > r->restarts)
            r->restarts = tasks[i].restarts;
}

void rollout_judge(struct rollout *r, const struct service_info *s, const struct task_info *tasks,
                   size_t tasks_n, int64_t now_ms)
{
    struct evidence e = {0};
    r->verdict = VERDICT_GOING;
    r->reason[0] = '\0';
    if (r->since_ms == 0) {
        begin(r, tasks, tasks_n, now_ms);
        r->revision = s ? s->revision : 0;
    }
    if (!s) {
        r->verdict = VERDICT_FAILED;
        snprintf(r->reason, sizeof(r->reason), "%s is gone: somebody removed it", r->name);
        snprintf(r->line, sizeof(r->line), "gone");
        return;
    }
    for (size_t i = 0; i < tasks_n; i++)
        if (str_equal(tasks[i].service, s->name))
            weigh(r, &tasks[i], s->revision, &e);
    judge_tasks(r, &e, now_ms);
    judge_state(r, s);
    bool good = r->verdict == VERDICT_GOING && is_good(r, s, &e, now_ms);
    if (is_done(r, s, good, now_ms))
        r->verdict = VERDICT_DONE;
    describe(r, s);
}
