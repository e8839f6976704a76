/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start: the folder, libraft over it, the log into the store.
 */
#include "cluster/consensus_internal.h"
#include "cluster/epoch.h"
#include "cluster/log_dir.h"
#include "cluster/progress.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    SEGMENT_BYTES = 1 << 20, /* of a log file; libraft keeps two spare ones */
};

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

/* Our own records, and the folder against them. */
static int examine(struct consensus *c, const struct consensus_options *options, struct err *err)
{
    struct log_content content = {0};
    int rv = progress_load(c->dir, &c->progress_saved, err);
    if (rv < 0)
        return rv;
    struct err missing;
    rv = acknowledged_load(c->dir, &c->acknowledged, &missing);
    if (rv < 0 && rv != ERR_NOTFOUND) {
        *err = missing;
        return rv;
    }
    bool known = rv == 0;
    if (!known && c->config.expect_log)
        return err_set(err, ERR_CORRUPT, "%.200s: the log of this member is gone", missing.msg);
    if (known && c->acknowledged.raft_id != (uint64_t)c->config.id)
        return err_set(err, ERR_CORRUPT,
                       "the log in %s is that of raft's member %llu, and this one is %lld", c->dir,
                       (unsigned long long)c->acknowledged.raft_id, (long long)c->config.id);
    if (!options->io && !c->hazards.unexamined_folder) {
        rv = log_dir_prepare(c->dir, known ? &c->acknowledged : NULL, c->progress_saved, &content,
                             err);
        if (rv < 0)
            return rv;
    }
    return promise_open(c, known, &content, err);
}

static int open_disk(struct consensus *c, const struct consensus_options *options, struct err *err)
{
    int rv = file_mkdirs(c->dir, 0700, err);
    if (rv == 0 && !options->io)
        rv = file_sync_parent(c->dir, err);
    if (rv < 0)
        return rv;
    cleanup_free char *lock = str_printf("%s/lock", c->dir);
    rv = file_lock(lock, &c->lock_fd, err);
    if (rv < 0)
        return rv;
    rv = gate_open(c, err);
    if (rv == 0)
        rv = examine(c, options, err);
    if (rv < 0) {
        if (rv == ERR_CORRUPT && c->config.ret_damaged)
            *c->config.ret_damaged = true;
        return rv;
    }
    if (options->io) {
        c->io = *options->io;
        return 0;
    }
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
    fsm_count_changes(c, 0);
    raft_set_snapshot_trailing(&c->raft, or_default(c->config.snapshot_trailing, 2048));
    raft_set_pre_vote(&c->raft, !c->hazards.no_pre_vote);
    return 0;
}

static int bootstrap(struct consensus *c, struct err *err)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    check(raft_configuration_add(&configuration, c->raft.id, c->raft.address, RAFT_VOTER) == 0);
    if (promise_bootstrap(c, err) < 0) {
        raft_configuration_close(&configuration);
        return err->code;
    }
    int rv = raft_bootstrap(&c->raft, &configuration);
    raft_configuration_close(&configuration);
    if (rv == 0)
        promise_bootstrapped(c);
    if (rv == 0 || rv == RAFT_CANTBOOTSTRAP)
        return 0;
    return err_set(err, consensus_code(rv), "make a new log in %s: %s: %s", c->dir,
                   raft_strerror(rv), c->io.errmsg);
}

/* A configuration with us alone is put behind the log. The epoch comes first: after a crash
 * in between the log is as it was, and is recovered again. Its number is a time, so that of two
 * members that are both recovered, by mistake, one has the higher. */
static int recover(struct consensus *c, struct err *err)
{
    int64_t now = clock_wall_ms();
    int64_t number = now > c->epoch ? now : c->epoch + 1;
    struct raft_configuration configuration;
    if (c->cut_off_by)
        return err_set(err, ERR_CONFLICT,
                       "the cluster was recovered on another member already, and went on without "
                       "this one");
    if (epoch_save(c->dir, number, err) < 0)
        return err->code;
    c->epoch = number;
    raft_configuration_init(&configuration);
    check(raft_configuration_add(&configuration, c->raft.id, c->raft.address, RAFT_VOTER) == 0);
    int rv = raft_recover(&c->raft, &configuration);
    raft_configuration_close(&configuration);
    if (rv == 0)
        return 0;
    return err_set(err, consensus_code(rv), "recover the log in %s: %s: %s", c->dir,
                   raft_strerror(rv), c->io.errmsg);
}

static int start_raft(struct consensus *c, struct err *err)
{
    int rv = c->config.bootstrap ? bootstrap(c, err) : c->config.recover ? recover(c, err) : 0;
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
        consensus_turn(c); /* a test's disk closes at once */
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
    c->node_id = config->id;
    if (config->raft_id)
        c->config.id = config->raft_id;
    consensus_set_ids(c, NULL, 0);
    c->lock_fd = c->acknowledged_fd = -1;
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
        consensus_free(c);
        return rv;
    }
    consensus_open_handles(c);
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
