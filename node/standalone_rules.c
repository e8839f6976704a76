/* SPDX-License-Identifier: Apache-2.0 */
#include "node/standalone_rules.h"

#include "base/cleanup.h"

#include <stddef.h>

enum {
    DELAY_FIRST_MS = 100, /* doubled from one restart to the next */
    DELAY_MAX_MS = 60000,
    WINDOW_MS = 10000, /* a run of that length resets the delay */
    LOOK_MS = 3000,    /* an end is noticed at once, but for that of a killed shim */
    AGAIN_MS = 2000,   /* after a job that failed */
    HELD_MS = 60000,
};

const char *const standalone_policy_names[] = {"no", "on-failure", "always", "unless-stopped",
                                               NULL};

static void set_wanted(struct standalone_machine *m, bool wanted)
{
    if (m->wanted != wanted) {
        m->unsaved = true;
        m->save_ms = 0;
    }
    m->wanted = wanted;
}

static void become(struct standalone_machine *m, enum standalone_phase phase)
{
    m->phase = phase;
    m->due_ms = 0;
    m->poll_ms = 0;
}

static int64_t delay(int64_t attempts)
{
    int64_t ms = DELAY_FIRST_MS;
    for (int64_t i = 0; i < attempts && ms < DELAY_MAX_MS; i++)
        ms *= 2;
    return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

/* It does not run and is not to. */
static void rest(struct standalone_machine *m, bool ran, int64_t now)
{
    become(m, STANDALONE_IDLE);
    set_wanted(m, false);
    if (m->auto_remove && ran)
        m->due_ms = now + (m->held ? HELD_MS : 0);
}

static bool may_restart(const struct standalone_machine *m, bool failed)
{
    switch (m->policy) {
    case STANDALONE_NO:
        return false;
    case STANDALONE_ON_FAILURE:
        return failed && (m->retries_max == 0 || m->attempts < m->retries_max);
    case STANDALONE_ALWAYS:
    case STANDALONE_UNLESS_STOPPED:
        return true;
    }
    return false;
}

static void ended(struct standalone_machine *m, bool failed, int64_t now)
{
    if (m->started_ms && now - m->started_ms >= WINDOW_MS)
        m->attempts = 0;
    if (!may_restart(m, failed)) {
        rest(m, true, now);
        return;
    }
    become(m, STANDALONE_DELAY);
    m->due_ms = now + delay(m->attempts++);
}

static void begin_run(struct standalone_machine *m, int64_t now)
{
    become(m, STANDALONE_RUN);
    m->started_ms = now;
    m->poll_ms = now;
}

static void begin_stop(struct standalone_machine *m, int64_t grace_ms, int64_t now)
{
    become(m, STANDALONE_STOP);
    m->signalled = m->killed = false;
    m->due_ms = now + (grace_ms < 0 ? m->stop_grace_ms : grace_ms);
    m->poll_ms = now;
}

void standalone_adopt(struct standalone_machine *m, const struct container_state *state,
                      int64_t now)
{
    check(m->phase == STANDALONE_IDLE);
    switch (state->status) {
    case CONTAINER_RUNNING:
        begin_run(m, now);
        if (!m->wanted)
            begin_stop(m, -1, now); /* it was asked for, and not done */
        return;
    case CONTAINER_EXITED:
        if (m->wanted)
            ended(m, state->exit_code != 0, now);
        else
            rest(m, state->run > 0, now);
        return;
    case CONTAINER_CREATED:
    case CONTAINER_SHIM_LOST:
        /* The machine went down under it, or we did before it was started. */
        if (m->wanted && m->policy != STANDALONE_NO)
            become(m, STANDALONE_START);
        else
            rest(m, state->run > 0 || m->wanted, now);
        return;
    }
}

enum standalone_work standalone_next(struct standalone_machine *m, int64_t now)
{
    bool due = m->due_ms && now >= m->due_ms;
    if (m->phase == STANDALONE_GONE)
        return STANDALONE_WORK_NONE;
    if (m->phase == STANDALONE_REMOVE)
        return m->due_ms == 0 || due ? STANDALONE_WORK_REMOVE : STANDALONE_WORK_NONE;
    if (m->unsaved && now >= m->save_ms)
        return STANDALONE_WORK_SAVE;
    if (m->unsaved && m->phase == STANDALONE_START)
        return STANDALONE_WORK_NONE;
    if (due && m->phase == STANDALONE_IDLE) {
        become(m, STANDALONE_REMOVE);
        return STANDALONE_WORK_REMOVE;
    }
    if (due && m->phase == STANDALONE_DELAY)
        become(m, STANDALONE_START);
    switch (m->phase) {
    case STANDALONE_START:
        return STANDALONE_WORK_START;
    case STANDALONE_STOP:
        if (due && !m->killed)
            return STANDALONE_WORK_KILL;
        if (!m->signalled)
            return STANDALONE_WORK_SIGNAL;
        return now >= m->poll_ms ? STANDALONE_WORK_LOOK : STANDALONE_WORK_NONE;
    case STANDALONE_RUN:
        return now >= m->poll_ms ? STANDALONE_WORK_LOOK : STANDALONE_WORK_NONE;
    case STANDALONE_IDLE:
    case STANDALONE_DELAY:
    case STANDALONE_REMOVE:
    case STANDALONE_GONE:
        break;
    }
    return STANDALONE_WORK_NONE;
}

int64_t standalone_due_ms(const struct standalone_machine *m)
{
    int64_t due = m->due_ms;
    bool looks = m->phase == STANDALONE_RUN || m->phase == STANDALONE_STOP;
    if (m->phase == STANDALONE_STOP && m->killed)
        due = 0;
    if (m->phase == STANDALONE_START || (m->phase == STANDALONE_REMOVE && due == 0))
        due = 1; /* at once */
    if (looks && (due == 0 || m->poll_ms < due))
        due = m->poll_ms;
    if (m->unsaved && (m->phase == STANDALONE_START || due == 0 || m->save_ms < due))
        due = m->save_ms;
    return due;
}

void standalone_saved(struct standalone_machine *m, bool ok, int64_t now)
{
    m->unsaved = !ok;
    m->save_ms = ok ? 0 : now + AGAIN_MS;
    if (!ok && m->phase == STANDALONE_START && m->by_hand) {
        m->by_hand = m->unsaved = m->wanted = false; /* as it was saved before */
        become(m, m->remove_next ? STANDALONE_REMOVE : STANDALONE_IDLE);
    }
}

void standalone_started(struct standalone_machine *m, bool ok, int64_t now)
{
    bool by_hand = m->by_hand;
    check(m->phase == STANDALONE_START);
    m->by_hand = false;
    if (ok)
        begin_run(m, now);
    else if (by_hand || !m->wanted)
        rest(m, false, now);
    else {
        m->started_ms = 0;
        ended(m, true, now);
    }
    if (m->remove_next)
        become(m, STANDALONE_REMOVE);
    else if (ok && !m->wanted)
        begin_stop(m, -1, now); /* stopped meanwhile */
}

void standalone_looked(struct standalone_machine *m, const struct container_state *state,
                       int64_t now)
{
    if (m->phase != STANDALONE_RUN && m->phase != STANDALONE_STOP)
        return;
    if (state->status == CONTAINER_RUNNING) {
        m->poll_ms = now + LOOK_MS;
        return;
    }
    if (m->phase == STANDALONE_RUN) {
        ended(m, state->status != CONTAINER_EXITED || state->exit_code != 0, now);
        return;
    }
    bool again = m->start_again;
    m->start_again = false;
    rest(m, !again, now);
    if (again) {
        set_wanted(m, true);
        m->by_hand = true;
        become(m, STANDALONE_START);
    }
}

void standalone_signalled(struct standalone_machine *m, int64_t now)
{
    m->signalled = true;
    m->poll_ms = now;
}

void standalone_killed(struct standalone_machine *m, bool ok, int64_t now)
{
    m->signalled = true;
    m->killed = ok;
    if (!ok)
        m->due_ms = now + AGAIN_MS;
    m->poll_ms = now;
}

void standalone_removed(struct standalone_machine *m, bool ok, int64_t now)
{
    check(m->phase == STANDALONE_REMOVE);
    if (ok)
        become(m, STANDALONE_GONE);
    else
        m->due_ms = now + AGAIN_MS;
}

bool standalone_start_it(struct standalone_machine *m)
{
    switch (m->phase) {
    case STANDALONE_IDLE:
    case STANDALONE_DELAY:
        become(m, STANDALONE_START);
        m->attempts = 0;
        m->by_hand = true;
        break;
    case STANDALONE_START:
    case STANDALONE_RUN:
        break;
    case STANDALONE_STOP:
    case STANDALONE_REMOVE:
    case STANDALONE_GONE:
        return false;
    }
    set_wanted(m, true);
    return true;
}

bool standalone_stop_it(struct standalone_machine *m, int64_t grace_ms, bool start_again,
                        int64_t now)
{
    switch (m->phase) {
    case STANDALONE_IDLE:
    case STANDALONE_DELAY:
        if (start_again)
            return standalone_start_it(m);
        if (m->phase == STANDALONE_DELAY)
            rest(m, true, now);
        return true;
    case STANDALONE_START: /* its end is seen to by standalone_started() */
        set_wanted(m, start_again);
        return true;
    case STANDALONE_RUN:
        set_wanted(m, start_again);
        begin_stop(m, grace_ms, now);
        m->attempts = 0;
        m->start_again = start_again;
        return true;
    case STANDALONE_STOP: {
        int64_t due = now + (grace_ms < 0 ? m->stop_grace_ms : grace_ms);
        if (!m->killed && due < m->due_ms)
            m->due_ms = due;
        m->start_again = m->start_again && start_again;
        set_wanted(m, m->start_again);
        return true;
    }
    case STANDALONE_REMOVE:
    case STANDALONE_GONE:
        return false;
    }
    return false;
}

bool standalone_remove_it(struct standalone_machine *m, bool force)
{
    switch (m->phase) {
    case STANDALONE_IDLE:
        become(m, STANDALONE_REMOVE);
        return true;
    case STANDALONE_START: /* a job may be under way */
        m->remove_next = m->remove_next || force;
        return force;
    case STANDALONE_RUN:
    case STANDALONE_DELAY:
    case STANDALONE_STOP:
        if (force)
            become(m, STANDALONE_REMOVE);
        return force;
    case STANDALONE_REMOVE:
    case STANDALONE_GONE:
        return true;
    }
    return false;
}
