/* SPDX-License-Identifier: Apache-2.0 */
#include "node/standalone.h"

#include "base/clock.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/standalone_item.h"

#include <string.h>

/* The one of that id; NULL: @c was answered. */
static struct standalone_item *find_for(struct standalone *all, struct api_call *c, const char *id)
{
    struct standalone_item *it = standalone_find(all, id);
    if (!standalone_is_id(id))
        api_fail_with(c, ERR_INVALID,
                      "%s is a task's container: 'wherry scale' and 'wherry rm' end tasks, and "
                      "'wherry container kill' signals them",
                      id);
    else if (!all->loaded)
        api_fail_with(c, ERR_BUSY,
                      "the containers of this machine are being looked for: try again");
    else if (!it)
        api_fail_with(c, ERR_NOTFOUND, "container %s is damaged: see the log of this member", id);
    else if (it->creating)
        api_fail_with(c, ERR_BUSY, "container %s is being made: try again", id);
    else
        return it;
    return NULL;
}

static void fail_busy(struct api_call *c, const struct standalone_item *it)
{
    api_fail_with(c, ERR_BUSY, "container %s is being %s: try again", it->record.id,
                  it->machine.phase == STANDALONE_STOP ? "stopped" : "removed");
}

void standalone_begin(struct standalone *all, struct api_call *c, const char *id)
{
    struct standalone_item *it = find_for(all, c, id);
    if (!it)
        return;
    if (!standalone_start_it(&it->machine)) {
        fail_busy(c, it);
        return;
    }
    standalone_wait(it, c, WAITS_START);
    if (it->machine.phase == STANDALONE_RUN)
        standalone_answer(it, WAITS_START, NULL);
    standalone_step(it);
}

void standalone_end(struct standalone *all, struct api_call *c, const char *id,
                    const struct container_stop_request *r)
{
    struct standalone_item *it = find_for(all, c, id);
    if (!it)
        return;
    if (r->has_grace && (r->grace_ms < 0 || r->grace_ms > STANDALONE_GRACE_MAX_MS)) {
        api_fail_with(c, ERR_INVALID, "the time to end in is not within a day");
        return;
    }
    int64_t grace_ms = r->has_grace ? r->grace_ms : -1;
    if (!standalone_stop_it(&it->machine, grace_ms, r->restart, clock_boot_ms())) {
        fail_busy(c, it);
        return;
    }
    standalone_wait(it, c, r->restart ? WAITS_START : WAITS_STOP);
    standalone_answer_phase(it);
    standalone_step(it);
}

void standalone_remove(struct standalone *all, struct api_call *c, const char *id, bool force)
{
    struct standalone_item *it = find_for(all, c, id);
    if (!it)
        return;
    if (!standalone_remove_it(&it->machine, force)) {
        api_fail_with(c, ERR_CONFLICT,
                      "container %s runs: 'wherry container stop %s' first, or rm --force", id,
                      id + strlen("c-"));
        return;
    }
    standalone_wait(it, c, WAITS_REMOVE);
    standalone_answer_phase(it);
    standalone_step(it);
}

void standalone_idle(struct standalone *all, struct api_call *c)
{
    struct container_idle_reply reply = {0};
    if (!all->loaded) {
        api_fail_with(c, ERR_BUSY,
                      "the containers of this machine are being looked for: try again");
        return;
    }
    for (const struct standalone_item *it = all->items; it; it = it->next) {
        if (it->machine.phase != STANDALONE_IDLE || it->creating)
            continue;
        reply.ids = mem_resize(reply.ids, reply.ids_n + 1, sizeof(*reply.ids));
        reply.ids[reply.ids_n++] = str_copy(it->record.id);
    }
    api_reply(c, &reply);
    record_release(&container_idle_reply_type, &reply);
}
