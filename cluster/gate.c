/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between raft and the members: messages of another epoch of the cluster do not pass, in
 * either direction (epoch.h).
 */
#include "cluster/consensus_internal.h"
#include "cluster/epoch.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <inttypes.h>

enum {
    TELL_MS = 1000, /* between two answers to members of an earlier epoch */
};

int gate_open(struct consensus *c, struct err *err)
{
    return epoch_load(c->dir, &c->epoch, &c->cut_off_by, err);
}

int gate_send(struct consensus *c, int64_t to, bool bulk, const void *data, size_t len)
{
    if (c->cut_off_by)
        return ERR_UNAVAILABLE;
    if (c->epoch == 0)
        return ids_send(c, to, bulk, data, len);
    cleanup_buf struct buf message = BUF_INIT;
    buf_reserve(&message, len + 16);
    epoch_encode(c->epoch, &message);
    buf_append(&message, data, len);
    return ids_send(c, to, bulk, message.data, message.len);
}

/* It does not know that the cluster went on without it. */
static void tell(struct consensus *c, int64_t to)
{
    raft_time now = c->io.time(&c->io);
    if (c->epoch_told_at && now < c->epoch_told_at + TELL_MS)
        return;
    c->epoch_told_at = now;
    log_info("raft", "n%" PRId64 " has the log of an earlier life of this cluster: it is told", to);
    gate_send(c, to, false, "", 0);
}

static void cut_off(struct consensus *c, int64_t by)
{
    struct err err;
    log_error("raft",
              "this cluster was recovered without this member, whose log now contradicts it: it "
              "takes no part any more");
    if (epoch_save_cut_off(c->dir, by, &err) < 0)
        log_error("raft", "%s", err.msg);
    c->cut_off_by = by;
    consensus_wake(c);
}

/* A new member: it has nothing that could contradict. */
static bool take_over(struct consensus *c, int64_t number)
{
    struct err err;
    if (epoch_save(c->dir, number, &err) < 0) {
        consensus_fail(c, &err);
        return false;
    }
    c->epoch = number;
    return true;
}

bool gate_receive(struct consensus *c, int64_t from, const void **data, size_t *len)
{
    int64_t number;
    if (c->cut_off_by)
        return false;
    if (!epoch_decode(data, len, &number)) {
        shim_complain(c, from, "its epoch is damaged or of an unknown version");
        return false;
    }
    if (number < c->epoch) {
        tell(c, from);
        return false;
    }
    if (number > c->epoch) {
        if (raft_last_index(&c->raft) != 0) {
            cut_off(c, number);
            return false;
        }
        if (!take_over(c, number))
            return false;
    }
    return *len > 0;
}

void gate_deliver(struct consensus *c)
{
    if (!c->cut_off_by || c->cut_off_told)
        return;
    c->cut_off_told = true;
    if (c->config.on_cut_off)
        c->config.on_cut_off(c->config.arg);
}

int64_t consensus_epoch(const struct consensus *c)
{
    return c->epoch;
}

bool consensus_is_cut_off(const struct consensus *c)
{
    return c->cut_off_by != 0;
}
