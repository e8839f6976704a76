/* SPDX-License-Identifier: Apache-2.0 */
#include "node/leave.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/again.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/log_state.h"
#include "node/propose.h"
#include "node/reconcile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    POLL_MS = 100,
    LEAVE_MS = 10000, /* until another one leads, or we stay */
};

enum leave_state {
    LEAVE_LEAD,  /* we lead, or do not know who does */
    LEAVE_ASK,   /* our removal is proposed */
    LEAVE_EMPTY, /* we are no member; our containers end */
};

struct leave {
    struct daemon *daemon;
    uv_timer_t timer;
    enum leave_state state;
    int64_t deadline_ms;
    leave_cb cb; /* NULL once it was called */
    void *arg;
};

static char *left_path(const char *data_dir)
{
    return str_printf("%s/identity/left", data_dir);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void answer(struct leave *l, const struct err *err)
{
    leave_cb cb = l->cb;
    l->cb = NULL;
    if (cb)
        cb(l->arg, err);
}

static void end(struct leave *l)
{
    l->daemon->leave = NULL;
    uv_close((uv_handle_t *)&l->timer, on_closed);
}

static void give_up(struct leave *l, const struct err *err)
{
    log_warn("members", "this machine stays in the cluster: %s", err->msg);
    answer(l, err);
    end(l);
}

/* From here on there is no way back. */
static void note_left(struct leave *l)
{
    struct err err = {0};
    cleanup_free char *path = left_path(l->daemon->data_dir);
    log_info("members", "this machine left the cluster; its containers end");
    if (file_write(path, "", 0, 0600, &err) < 0)
        log_warn("members", "%s", err.msg);
    l->state = LEAVE_EMPTY;
    err.code = 0;
    answer(l, &err);
}

static void on_removed(void *arg, const struct change_result *result)
{
    struct daemon *d = arg;
    struct leave *l = d->leave;
    if (!l || l->state != LEAVE_ASK)
        return; /* it was noticed by itself, or the daemon stops */
    if (result->err.code == 0 || result->err.code == ERR_NOTFOUND || d->removed)
        note_left(l);
    else
        give_up(l, &result->err);
}

static void on_timer(uv_timer_t *timer)
{
    struct leave *l = timer->data;
    struct daemon *d = l->daemon;
    struct err err;
    if (d->stopping) {
        err_set(&err, ERR_CANCELED, "the daemon is stopping");
        answer(l, &err);
        end(l);
        return;
    }
    if (d->removed && l->state != LEAVE_EMPTY)
        note_left(l); /* the others were quicker than the answer */
    /* What was proposed has its own time: given up earlier it could still be done. */
    if (l->state == LEAVE_LEAD && clock_boot_ms() >= l->deadline_ms) {
        err_set(&err, ERR_TIMEOUT, "no other member took the leadership");
        give_up(l, &err);
        return;
    }
    int64_t leader = consensus_leader(d->consensus);
    switch (l->state) {
    case LEAVE_LEAD:
        if (leader == 0 || leader == d->id || !heartbeat_is_synced(d->heartbeat))
            break;
        l->state = LEAVE_ASK;
        struct change_node_remove change = {.node_id = d->id, .force = true};
        propose_change(d->propose, CHANGE_NODE_REMOVE, &change, NULL, PROPOSE_TIMEOUT_MS,
                       on_removed, d);
        break;
    case LEAVE_ASK:
        break;
    case LEAVE_EMPTY:
        if (leader == d->id || (d->reconcile && reconcile_agents(d->reconcile)))
            break;
        d->start_anew = true;
        end(l);
        daemon_stop(d, 0, NULL);
        break;
    }
}

int leave_check(const struct daemon *d, struct err *err)
{
    if (d->leave)
        return err_set(err, ERR_BUSY, "this machine is leaving already");
    if (store_count(d->store, TABLE_NODE) < 2)
        return err_set(err, ERR_INVALID,
                       "this is the last member: with it the cluster ends. To give it up, remove "
                       "its stacks, stop the daemon and delete %s",
                       d->data_dir);
    return 0;
}

void leave_begin(struct daemon *d, leave_cb cb, void *arg)
{
    struct err err;
    if (leave_check(d, &err) < 0) {
        cb(arg, &err);
        return;
    }
    struct leave *l = mem_alloc(1, sizeof(*l));
    *l = (struct leave){.daemon = d,
                        .state = LEAVE_LEAD,
                        .deadline_ms = clock_boot_ms() + LEAVE_MS,
                        .cb = cb,
                        .arg = arg};
    d->leave = l;
    uv_timer_init(&d->loop, &l->timer);
    l->timer.data = l;
    uv_timer_start(&l->timer, on_timer, 0, POLL_MS);
}

bool leave_is_going(const struct daemon *d)
{
    return d->leave;
}

/* --- afterwards --------------------------------------------------------------------------------
 */

/* The log first: an identity without one is what a next start can make up for. */
static int forget(const char *data_dir, struct err *err)
{
    cleanup_free char *raft = str_printf("%s/raft", data_dir);
    cleanup_free char *identity = str_printf("%s/identity", data_dir);
    cleanup_free char *going = str_printf("%s/identity.left", data_dir);
    int rv = file_remove_tree(raft, err);
    if (rv == 0)
        rv = log_state_forget(data_dir, err);
    if (rv == 0)
        rv = file_remove_tree(going, err);
    if (rv == 0 && rename(identity, going) < 0 && errno != ENOENT)
        rv = err_errno(err, errno, "rename %s", identity);
    if (rv == 0)
        rv = file_sync_dir(data_dir, err);
    return rv < 0 ? rv : file_remove_tree(going, err);
}

int leave_resume(const char *data_dir, struct err *err)
{
    cleanup_free char *path = left_path(data_dir);
    cleanup_free char *going = str_printf("%s/identity.left", data_dir);
    if (!file_exists(path))
        return file_remove_tree(going, err);
    log_info("members", "this machine left its cluster: what is left of that is removed");
    return forget(data_dir, err);
}

int leave_start_anew(const char *data_dir, struct err *err)
{
    /* Also where the mark could not be written, on a full disk. */
    int rv = forget(data_dir, err);
    return rv < 0 ? rv : again_run(err);
}
