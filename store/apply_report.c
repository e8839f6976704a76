/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node says of its tasks. Reports may come late, twice or out of order, so each carries
 * (run, sequence) and what does not come after the known one is skipped. Within a run the state
 * only moves forward,
 *
 *     new → fetching → creating → starting → running → waiting (for the next run)
 *                                                    → complete, failed or ended: over
 *
 * so that a task that waits goes on saying why while its node tries again; only its sequence and
 * health are taken then. A new run starts anew, unless the task is over.
 */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MESSAGE_BYTES_MAX = 512,
};

/* @message, cut before a character of UTF-8 that would not fit. */
static char *cut_message(const char *message)
{
    char *copy = str_copy(str_or_empty(message));
    size_t len = strlen(copy);
    if (len > MESSAGE_BYTES_MAX) {
        len = MESSAGE_BYTES_MAX;
        while (len > 0 && ((unsigned char)copy[len] & 0xc0) == 0x80)
            len--;
        copy[len] = '\0';
    }
    return copy;
}

static void report_event(struct apply *apply, const struct node *node, const struct task *before,
                         const struct task *task)
{
    cleanup_free char *title = task_title(task);
    const char *message = str_or_empty(task->message);
    const char *colon = *message ? ": " : "";
    if (task->state != before->state || task->run != before->run) {
        if (task->state == TASK_RUNNING)
            apply_event(apply, "task", title, "running on %s%s", node->name,
                        task->run > 1 ? ", restarted" : "");
        else if (task->state == TASK_COMPLETE)
            apply_event(apply, "task", title, "complete");
        else if (task->state == TASK_FAILED)
            apply_event(apply, "task", title, "failed with status %" PRId64 "%s%.150s",
                        task->exit_code, colon, message);
        else if (task->state == TASK_ENDED)
            apply_event(apply, "task", title, "ended");
    }
    if (task->health == before->health)
        return;
    if (task->health == HEALTH_HEALTHY)
        apply_event(apply, "task", title, "is healthy");
    else if (task->health == HEALTH_UNHEALTHY)
        apply_event(apply, "task", title, "is unhealthy%s%.150s", colon, message);
}

/* A node's clock may be off; nothing happened before the epoch or after the state's time. */
static int64_t clamp_time(int64_t time_ms, int64_t now_ms)
{
    if (time_ms < 0)
        return 0;
    return time_ms < now_ms ? time_ms : now_ms;
}

static int place_in_run(enum task_state state)
{
    return state == TASK_WAITING ? 2 * TASK_RUNNING + 1 : 2 * (int)state;
}

static void take_observation(struct task *task, const struct task_observation *seen, int64_t now_ms)
{
    bool back = seen->run == task->run && place_in_run(seen->state) < place_in_run(task->state);
    task->sequence = seen->sequence;
    task->health = seen->health;
    task->attempts = seen->attempts;
    task->ready = seen->ready;
    if (back)
        return;
    task->run = seen->run;
    task->state = seen->state;
    task->exit_code = seen->exit_code;
    free(task->message);
    task->message = cut_message(seen->message);
    task->state_ms = clamp_time(seen->state_ms, now_ms);
}

static bool is_news(const struct task *task, const struct node *node,
                    const struct task_observation *seen)
{
    if (task->node_id != node->id || task_is_terminal(task->state))
        return false;
    return seen->run > task->run || (seen->run == task->run && seen->sequence > task->sequence);
}

static void observe(struct apply *apply, const struct node *node,
                    const struct task_observation *seen)
{
    struct task task;
    if (store_get(apply->store, TABLE_TASK, seen->task_id, &task) < 0)
        return;
    if (is_news(&task, node, seen)) {
        const struct task before = task; /* only its numbers are used */
        take_observation(&task, seen, apply->now_ms);
        apply_put(apply, TABLE_TASK, &task);
        report_event(apply, node, &before, &task);
    }
    record_release(&task_type, &task);
}

int apply_task_report(struct apply *apply, const struct change_task_report *change, struct err *err)
{
    struct node node;
    if (store_get(apply->store, TABLE_NODE, change->node_id, &node) < 0)
        return err_set(err, ERR_NOTFOUND, "member %" PRId64 " does not exist", change->node_id);
    for (size_t i = 0; i < change->observations_n; i++)
        observe(apply, &node, &change->observations[i]);
    record_release(&node_type, &node);
    return 0;
}
