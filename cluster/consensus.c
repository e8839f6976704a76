/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/consensus_internal.h"
#include "cluster/log_dir.h"
#include "cluster/progress.h"
#include "cluster/transport.h"
#include "store/store.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SEGMENT_BYTES = 1 << 20, /* of a log file; libraft keeps two spare ones */
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

/* raft_uv must have a transport; ours carries nothing, io.send is our own. */
static int transport_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    (void)t, (void)id, (void)address;
    return 0;
}

static int transport_listen(struct raft_uv_transport *t, raft_uv_accept_cb cb)
{
    (void)t, (void)cb;
    return 0;
}

static int transport_connect(struct raft_uv_transport *t, struct raft_uv_connect *req, raft_id id,
                             const char *address, raft_uv_connect_cb cb)
{
    (void)t, (void)req, (void)id, (void)address, (void)cb;
    return RAFT_NOCONNECTION;
}

static void transport_close(struct raft_uv_transport *t, raft_uv_transport_close_cb cb)
{
    cb(t);
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

static void free_consensus(struct consensus *c)
{
    check(!c->batches && !c->pending.first && !c->done.first && !c->changes && !c->changes_done);
    fsm_release(c);
    shim_release(c);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    free(c->dir);
    free(c);
}

static void finish_stop(struct consensus *c)
{
    void (*on_stopped)(void *arg) = c->on_stopped;
    void *arg = c->stopped_arg;
    free_consensus(c);
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
    raft_close(&c->raft, on_raft_closed);
}

static void work(struct consensus *c)
{
    shim_complete_sends(c, 0);
    consensus_after_raft(c);
    if (c->failed) {
        propose_give_up(c, ERR_NOTLEADER);
        membership_give_up(c, ERR_NOTLEADER);
        return;
    }
    fsm_advance(c);
    membership_flush(c);
    propose_flush(c);
    consensus_after_raft(c);
}

/* Is there something for another turn at once? */
static bool needs_turn(const struct consensus *c)
{
    if (c->sent_first || c->done.first || c->changes || c->changes_done)
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
    if (c->phase < STOPPING) {
        tell_leader(c);
        tell_failure(c);
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

static void open_handles(struct consensus *c)
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

/* The start. */

static int open_disk(struct consensus *c, const struct consensus_options *options, struct err *err)
{
    int rv = file_mkdirs(c->dir, 0700, err);
    if (rv < 0)
        return rv;
    cleanup_free char *lock = str_printf("%s/lock", c->dir);
    rv = file_lock(lock, &c->lock_fd, err);
    if (rv < 0)
        return rv;
    rv = progress_load(c->dir, &c->progress_saved, err);
    if (rv < 0)
        return rv;
    if (options->io) {
        c->io = *options->io;
        return 0;
    }
    rv = log_dir_prepare(c->dir, err);
    if (rv < 0)
        return rv;
    c->transport = (struct raft_uv_transport){
        .init = transport_init,
        .listen = transport_listen,
        .connect = transport_connect,
        .close = transport_close,
    };
    rv = raft_uv_init(&c->io, c->config.loop, c->dir, &c->transport);
    if (rv != 0)
        return err_set(err, consensus_code(rv), "open the log in %s: %s: %s", c->dir,
                       raft_strerror(rv), c->io.errmsg);
    c->own_disk = true;
    c->io.version = 2; /* it has async_work but says 1 */
    raft_uv_set_segment_size(&c->io, SEGMENT_BYTES);
    raft_uv_set_auto_recovery(&c->io, c->hazards.auto_recovery);
    raft_uv_set_snapshot_compression(&c->io, false);
    return 0;
}

static unsigned or_default(unsigned v, unsigned otherwise)
{
    return v ? v : otherwise;
}

static int init_raft(struct consensus *c, struct err *err)
{
    char address[32];
    snprintf(address, sizeof(address), "n%" PRId64, c->config.id);
    int rv = raft_init(&c->raft, &c->io, &c->fsm, (raft_id)c->config.id, address);
    if (rv != 0) {
        err_set(err, consensus_code(rv), "open the log in %s: %s: %s", c->dir, raft_strerror(rv),
                c->io.errmsg);
        if (c->own_disk)
            raft_uv_close(&c->io);
        return err->code;
    }
    raft_set_election_timeout(&c->raft, or_default(c->config.election_ms, 300));
    raft_set_heartbeat_timeout(&c->raft, or_default(c->config.heartbeat_ms, 60));
    raft_set_snapshot_threshold(&c->raft, or_default(c->config.snapshot_threshold, 8192));
    raft_set_snapshot_trailing(&c->raft, or_default(c->config.snapshot_trailing, 2048));
    raft_set_pre_vote(&c->raft, !c->hazards.no_pre_vote);
    return 0;
}

static int bootstrap(struct consensus *c, struct err *err)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    check(raft_configuration_add(&configuration, c->raft.id, c->raft.address, RAFT_VOTER) == 0);
    int rv = raft_bootstrap(&c->raft, &configuration);
    raft_configuration_close(&configuration);
    if (rv == 0 || rv == RAFT_CANTBOOTSTRAP)
        return 0;
    return err_set(err, consensus_code(rv), "make a new log in %s: %s: %s", c->dir,
                   raft_strerror(rv), c->io.errmsg);
}

static int start_raft(struct consensus *c, struct err *err)
{
    int rv = c->config.bootstrap ? bootstrap(c, err) : 0;
    if (rv < 0)
        return rv;
    rv = raft_start(&c->raft);
    if (c->failed) {
        *err = c->failure;
        return err->code;
    }
    if (rv != 0)
        return err_set(err, rv == RAFT_IOERR ? ERR_CORRUPT : consensus_code(rv),
                       "load the log in %s: %s: %s", c->dir, raft_strerror(rv), c->raft.errmsg);
    if (c->config.bootstrap && c->raft.configuration.n == 0)
        return err_set(err, ERR_CORRUPT,
                       "the log in %s is half made: remove the folder and start again", c->dir);
    return fsm_apply_known(c, err);
}

/* What libraft began must be closed by the loop. */
static void abandon(struct consensus *c)
{
    c->failed = true;
    c->failure_told = true;
    c->started = true;
    c->phase = STOP_ASKED;
    consensus_wake(c);
    if (!c->config.loop)
        while (c->phase != RAFT_CLOSED)
            consensus_turn(c);
    if (!c->config.loop)
        consensus_turn(c);
}

int consensus_start_with(const struct consensus_config *config,
                         const struct consensus_options *options, struct consensus **ret_consensus,
                         struct err *err)
{
    check(config->id > 0 && config->store && config->send);
    check(config->loop || options->io);
    struct consensus *c = mem_alloc(1, sizeof(*c));
    c->config = *config;
    c->dir = str_copy(config->dir);
    c->config.dir = c->dir;
    c->lock_fd = -1;
    c->hazards = options->hazards;
    raft_configuration_init(&c->snapshot_configuration);
    raft_configuration_init(&c->put.configuration);
    fsm_init(c);
    int rv = open_disk(c, options, err);
    if (rv == 0) {
        shim_install(c);
        rv = init_raft(c, err);
    }
    if (rv < 0) {
        free_consensus(c);
        return rv;
    }
    open_handles(c);
    rv = start_raft(c, err);
    if (rv < 0) {
        abandon(c);
        return rv;
    }
    c->started = true;
    consensus_after_raft(c);
    *ret_consensus = c;
    return 0;
}

int consensus_start(const struct consensus_config *config, struct consensus **ret_consensus,
                    struct err *err)
{
    struct consensus_options options = {0};
    return consensus_start_with(config, &options, ret_consensus, err);
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
    if (from <= 0 || from == c->config.id) {
        shim_complain(c, from, "it has an impossible id");
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
        return c->config.id;
    return r->state == RAFT_FOLLOWER ? (int64_t)r->follower_state.current_leader.id : 0;
}

bool consensus_is_ready(const struct consensus *c)
{
    return !c->failed && c->phase == RUNNING && c->raft.state == RAFT_LEADER &&
           c->ready_term == c->raft.current_term;
}

int64_t consensus_term(const struct consensus *c)
{
    return (int64_t)c->raft.current_term;
}

int64_t consensus_commit_index(const struct consensus *c)
{
    return (int64_t)c->raft.commit_index;
}
