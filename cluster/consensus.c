/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/consensus_internal.h"
#include "cluster/progress.h"
#include "cluster/raft_log.h"
#include "cluster/transport.h"
#include "store/store.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PROGRESS_DELAY_MS = 1000,
    PROGRESS_RETRY_MS = 10000,
};

int consensus_code(int raft_code)
{
    switch (raft_code) {
    case 0:
        return 0;
    case RAFT_NOTLEADER:
        return ERR_NOTLEADER;
    case RAFT_LEADERSHIPLOST:
    case RAFT_SHUTDOWN:
    case RAFT_CANCELED:
        return ERR_UNKNOWN;
    case RAFT_CANTCHANGE:
    case RAFT_BUSY:
        return ERR_BUSY;
    case RAFT_DUPLICATEID:
    case RAFT_DUPLICATEADDRESS:
        return ERR_EXISTS;
    case RAFT_BADID:
    case RAFT_NOTFOUND:
        return ERR_NOTFOUND;
    case RAFT_NOCONNECTION:
        return ERR_TIMEOUT;
    case RAFT_CORRUPT:
    case RAFT_MALFORMED:
        return ERR_CORRUPT;
    case RAFT_NOSPACE:
        return ERR_NOSPACE;
    case RAFT_IOERR:
        return ERR_IO;
    case RAFT_INVALID:
    case RAFT_BADROLE:
    case RAFT_NAMETOOLONG:
        return ERR_INVALID;
    default:
        return ERR_FAILED;
    }
}

void consensus_fail(struct consensus *c, const struct err *err)
{
    if (c->failed)
        return;
    c->failed = true;
    c->failure = *err;
    consensus_wake(c);
}

/* The progress file: written a second after the index moved, and at stop. */

static int64_t known_committed(const struct consensus *c)
{
    raft_index known = c->raft.commit_index, stored = c->raft.last_stored;
    return (int64_t)(known < stored ? known : stored);
}

static void progress_work(uv_work_t *work)
{
    struct consensus *c = work->data;
    c->progress_err.code = 0;
    if (fdatasync(c->acknowledged_fd) < 0)
        err_errno(&c->progress_err, errno, "sync %s/acknowledged", c->dir);
    else
        progress_save(c->dir, c->progress_writing, &c->progress_err);
}

static void progress_written(struct consensus *c)
{
    if (c->progress_err.code == 0) {
        c->progress_saved = c->progress_writing;
        c->progress_dirty_at = 0;
    } else {
        log_warn("raft", "%s", c->progress_err.msg);
        c->progress_dirty_at = c->io.time(&c->io) + PROGRESS_RETRY_MS;
    }
    c->progress_writing = 0;
}

static void on_progress_written(uv_work_t *work, int status)
{
    (void)status;
    struct consensus *c = work->data;
    progress_written(c);
    consensus_wake(c);
}

static void save_progress(struct consensus *c)
{
    raft_time now = c->io.time(&c->io);
    int64_t known = known_committed(c);
    if (c->progress_writing || known <= c->progress_saved)
        return;
    if (c->progress_dirty_at == 0)
        c->progress_dirty_at = now;
    if (now < c->progress_dirty_at + PROGRESS_DELAY_MS)
        return;
    c->progress_writing = known;
    c->progress_work.data = c;
    if (c->config.loop) {
        check(uv_queue_work(c->config.loop, &c->progress_work, progress_work,
                            on_progress_written) == 0);
    } else {
        progress_work(&c->progress_work);
        progress_written(c);
    }
}

/* A new leader appends a barrier at once and leads when it is applied: all that was committed
 * before is then in its store. */

static void on_barrier(struct raft_barrier *req, int status)
{
    struct consensus *c =
        (struct consensus *)(void *)((char *)req - offsetof(struct consensus, barrier));
    c->barrier_pending = false;
    if (status == 0)
        c->ready_term = c->barrier_term;
    consensus_wake(c);
}

static void begin_to_lead(struct consensus *c)
{
    struct raft *r = &c->raft;
    c->barrier_term = r->current_term;
    c->barrier_index = raft_last_index(r) + 1;
    shim_reset_peers(c);
    if (c->hazards.no_barrier) {
        c->ready_term = c->barrier_term;
        return;
    }
    check(!c->barrier_pending);
    c->barrier_pending = true;
    int rv = raft_barrier(r, &c->barrier, on_barrier);
    if (rv != 0) {
        struct err err;
        c->barrier_pending = false;
        err_set(&err, consensus_code(rv), "begin to lead in %s: %s", c->dir, raft_strerror(rv));
        consensus_fail(c, &err);
    }
}

void consensus_after_raft(struct consensus *c)
{
    struct raft *r = &c->raft;
    if (!c->started || c->failed || c->phase >= STOPPING)
        return;
    if (r->state == RAFT_UNAVAILABLE) {
        struct err err;
        err_set(&err, ERR_IO, "raft in %s gave up: %s%s%s", c->dir,
                r->errmsg[0] ? r->errmsg : "its disk failed or its log contradicts the leader's",
                c->io.errmsg[0] ? ": " : "", c->io.errmsg);
        consensus_fail(c, &err);
        return;
    }
    if (r->state == RAFT_LEADER && c->barrier_term != r->current_term)
        begin_to_lead(c);
    save_progress(c);
    bool ready = consensus_is_ready(c);
    if (!c->told_any || ready != c->told_ready || consensus_leader(c) != c->told_leader)
        consensus_wake(c);
}

static void tell_leader(struct consensus *c)
{
    int64_t leader = consensus_leader(c);
    bool ready = consensus_is_ready(c);
    if (c->told_any && leader == c->told_leader && ready == c->told_ready)
        return;
    c->told_any = true;
    c->told_leader = leader;
    c->told_ready = ready;
    if (c->config.on_leader)
        c->config.on_leader(c->config.arg, leader, ready);
}

static void tell_failure(struct consensus *c)
{
    if (!c->failed || c->failure_told)
        return;
    c->failure_told = true;
    if (c->config.on_fatal)
        c->config.on_fatal(c->config.arg, &c->failure);
}

/* The stop: raft closes, then our handles, then the last word. */

void consensus_free(struct consensus *c)
{
    check(!c->batches && !c->pending.first && !c->done.first && !c->changes && !c->changes_done);
    check(c->reads_n == 0);
    fsm_release(c);
    shim_release(c);
    if (c->acknowledged_fd >= 0)
        close(c->acknowledged_fd);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    free(c->ids);
    free(c->dir);
    free(c);
}

static void finish_stop(struct consensus *c)
{
    void (*on_stopped)(void *arg) = c->on_stopped;
    void *arg = c->stopped_arg;
    consensus_free(c);
    if (on_stopped)
        on_stopped(arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct consensus *c = handle->data;
    if (--c->handles == 0)
        finish_stop(c);
}

static void close_handles(struct consensus *c)
{
    c->phase = HANDLES_CLOSED;
    if (!c->config.loop) {
        finish_stop(c);
        return;
    }
    uv_close((uv_handle_t *)&c->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&c->check, on_handle_closed);
    uv_close((uv_handle_t *)&c->idle, on_handle_closed);
}

static void on_raft_closed(struct raft *r)
{
    struct consensus *c =
        (struct consensus *)(void *)((char *)r - offsetof(struct consensus, raft));
    if (c->own_disk)
        raft_uv_close(&c->io);
    raft_configuration_init(&r->configuration); /* libraft has freed it */
    c->phase = RAFT_CLOSED;
    consensus_wake(c);
}

static void begin_stop(struct consensus *c)
{
    c->phase = STOPPING;
    int64_t known = known_committed(c);
    struct err err;
    if (c->started && !c->failed && known > c->progress_saved &&
        progress_save(c->dir, known, &err) < 0)
        log_warn("raft", "%s", err.msg);
    propose_give_up(c, ERR_CANCELED);
    membership_give_up(c, ERR_CANCELED);
    reads_give_up(c, ERR_CANCELED);
    raft_close(&c->raft, on_raft_closed);
}

static void work(struct consensus *c)
{
    shim_complete_sends(c, 0);
    consensus_after_raft(c);
    if (c->failed) {
        propose_give_up(c, ERR_NOTLEADER);
        membership_give_up(c, ERR_NOTLEADER);
        reads_give_up(c, ERR_NOTLEADER);
        return;
    }
    fsm_advance(c);
    membership_flush(c);
    propose_flush(c);
    consensus_after_raft(c);
    shim_announce_commit(c);
    reads_flush(c);
}

/* Is there something for another turn at once? */
static bool needs_turn(const struct consensus *c)
{
    if (c->sent_first || c->done.first || c->changes || c->changes_done || c->reads_done.first ||
        c->disk_close_turns > 0)
        return true;
    return (c->phase == RUNNING && c->pending.first && c->flying_bytes == 0) ||
           (c->phase == STOP_ASKED && !c->progress_writing) || c->phase == RAFT_CLOSED;
}

void consensus_turn(struct consensus *c)
{
    if (c->turning || !c->started)
        return;
    c->turning = true;
    if (c->phase == STOP_ASKED && !c->progress_writing)
        begin_stop(c);
    if (c->phase < STOPPING)
        work(c);
    bool answered = membership_deliver(c);
    answered |= propose_deliver(c);
    answered |= reads_deliver(c);
    if (c->phase < STOPPING) {
        tell_leader(c);
        tell_failure(c);
        gate_deliver(c);
    }
    c->turning = false;
    if (c->phase == RAFT_CLOSED && !answered) {
        close_handles(c);
        return;
    }
    if (c->config.loop && !needs_turn(c))
        uv_idle_stop(&c->idle);
}

static void on_prepare(uv_prepare_t *handle)
{
    shim_pass_on_close(handle->data);
    consensus_turn(handle->data);
}

static void on_check(uv_check_t *handle)
{
    consensus_turn(handle->data);
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle; /* its being active keeps the loop from waiting */
}

void consensus_wake(struct consensus *c)
{
    if (c->config.loop && c->phase != HANDLES_CLOSED && c->handles > 0)
        uv_idle_start(&c->idle, on_idle);
}

void consensus_open_handles(struct consensus *c)
{
    uv_loop_t *loop = c->config.loop;
    if (!loop)
        return;
    check(uv_prepare_init(loop, &c->prepare) == 0 && uv_check_init(loop, &c->check) == 0 &&
          uv_idle_init(loop, &c->idle) == 0);
    c->prepare.data = c->check.data = c->idle.data = c;
    c->handles = 3;
    uv_prepare_start(&c->prepare, on_prepare);
    uv_check_start(&c->check, on_check);
}

void consensus_stop(struct consensus *c, void (*on_stopped)(void *arg), void *arg)
{
    check(c->phase == RUNNING);
    c->phase = STOP_ASKED;
    c->on_stopped = on_stopped;
    c->stopped_arg = arg;
    consensus_wake(c);
}

void consensus_receive(struct consensus *c, int64_t from, const void *data, size_t len)
{
    struct raft_message message;
    struct err err;
    char address[32];
    if (c->failed || c->phase != RUNNING)
        return;
    if (from <= 0 || from == c->node_id) {
        shim_complain(c, from, "it has an impossible id");
        return;
    }
    from = ids_raft(c, from);
    if (!gate_receive(c, from, &data, &len))
        return;
    if (reads_is_message(data, len)) {
        reads_receive(c, from, data, len);
        return;
    }
    if (transport_decode(data, len, &message, &err) < 0) {
        shim_complain(c, from, err.msg);
        return;
    }
    snprintf(address, sizeof(address), "n%" PRId64, from);
    message.server_id = (raft_id)from;
    message.server_address = address;
    shim_receive(c, &message);
}

int64_t consensus_leader(const struct consensus *c)
{
    const struct raft *r = &c->raft;
    if (c->failed || c->phase != RUNNING)
        return 0;
    if (r->state == RAFT_LEADER)
        return c->node_id;
    if (r->state != RAFT_FOLLOWER)
        return 0;
    int64_t id = ids_node(c, (int64_t)r->follower_state.current_leader.id);
    return id > 0 ? id : 0;
}

bool consensus_is_ready(const struct consensus *c)
{
    return !c->failed && c->phase == RUNNING && c->raft.state == RAFT_LEADER &&
           c->ready_term == c->raft.current_term;
}

void consensus_set_no_room(struct consensus *c, bool no_room)
{
    c->no_room = no_room;
}

int64_t consensus_snapshot_bytes(const struct consensus *c)
{
    return c->snapshot_bytes;
}

int64_t consensus_term(const struct consensus *c)
{
    return (int64_t)c->raft.current_term;
}

int64_t consensus_last_index(const struct consensus *c)
{
    return (int64_t)raft_last_index((struct raft *)(uintptr_t)&c->raft);
}

int64_t consensus_last_term(const struct consensus *c)
{
    return (int64_t)raft_log_term(&c->raft.log, (raft_index)consensus_last_index(c));
}

int64_t consensus_commit_index(const struct consensus *c)
{
    return (int64_t)c->raft.commit_index;
}
