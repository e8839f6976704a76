/* SPDX-License-Identifier: Apache-2.0 */
#include "node/repair.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/acknowledged.h"
#include "cluster/bus.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "node/admission.h"
#include "node/copy.h"
#include "node/daemon.h"
#include "node/log_state.h"
#include "node/members.h"
#include "node/peers.h"
#include "node/propose.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ASK_MS = 500,
    FAILED_MS = 2000, /* after all of them were asked in vain */
    SAY_MS = 30000,
    ASKED_MAX = 4, /* at once: one that is off is waited for for long */
};

struct repair {
    struct daemon *daemon;
    uv_timer_t timer;
    struct peers peers;
    size_t next;
    size_t asking;
    unsigned char request_id[REQUEST_ID_BYTES]; /* one for all: only one new id is given out */
    int64_t said_ms;
    struct err why;     /* what is wrong with the log */
    struct err waiting; /* why there is no new one yet */
    char text[600];
};

/* --- the member that asks --------------------------------------------------------------------- */

static void set_waiting(struct repair *r, const struct err *err)
{
    r->waiting = *err;
    snprintf(r->text, sizeof(r->text),
             "this member cannot use its log and asks the others for a new one: %s (%s)",
             r->waiting.msg, r->why.msg);
    if (r->said_ms && clock_boot_ms() - r->said_ms < SAY_MS)
        return;
    r->said_ms = clock_boot_ms();
    log_warn("repair", "%s", r->text);
}

static void on_closed(uv_handle_t *handle)
{
    struct repair *r = handle->data;
    record_release(&peers_type, &r->peers);
    free(r);
}

void repair_stop(struct daemon *d)
{
    struct repair *r = steal(&d->repair);
    if (r)
        uv_close((uv_handle_t *)&r->timer, on_closed);
}

/* In this order: a crash in between finds the new id, and sets aside what is not its log. */
static int replace_log(struct daemon *d, int64_t raft_id, struct err *err)
{
    cleanup_free char *aside = NULL;
    if (log_state_save(d->data_dir, d->identity, raft_id, LOG_NEW, err) < 0 ||
        log_state_set_aside(d->data_dir, &aside, err) < 0)
        return err->code;
    if (aside)
        log_warn(
            "repair",
            "the damaged log was set aside as %s (the last two are kept; delete them when they "
            "are of no use)",
            aside);
    log_info("repair", "starting with an empty log as raft's member %" PRId64, raft_id);
    return daemon_start_member(d, false, err);
}

static void on_answer(void *arg, const struct err *failed, const void *data, size_t len)
{
    struct daemon *d = arg;
    struct err err = *failed;
    struct welcome w = {0};
    struct repair *r = d->repair;
    if (d->stopping || !r)
        return;
    r->asking--;
    if (err.code == 0 && record_decode(&welcome_type, data, len, false, &w, &err) == 0) {
        if (w.code != 0)
            err_set(&err, err_from_wire((long)w.code), "%.200s", str_or_empty(w.message));
        else if (w.raft_id <= 0)
            err_set(&err, ERR_UNSUPPORTED, "the member asked does not know how: upgrade it");
    }
    if (err.code != 0) {
        set_waiting(r, &err);
    } else {
        repair_stop(d);
        if (replace_log(d, w.raft_id, &err) < 0)
            daemon_stop(d, err.code, &err);
    }
    record_release(&welcome_type, &w);
}

static void on_timer(uv_timer_t *timer)
{
    struct repair *r = timer->data;
    struct daemon *d = r->daemon;
    unsigned char ca_hash[32];
    struct err err;
    if (r->asking >= ASKED_MAX || r->asking >= r->peers.members_n)
        return;
    if (!identity_ca_hash(d->identity, ca_hash)) {
        err_set(&err, ERR_CORRUPT, "the cluster's CA is not known");
        set_waiting(r, &err);
        return;
    }
    const struct known_peer *peer = &r->peers.members[r->next++ % r->peers.members_n];
    uv_timer_set_repeat(&r->timer, r->next % r->peers.members_n == 0 ? FAILED_MS : ASK_MS);
    struct admission question = {.renew = {r->request_id, sizeof(r->request_id)},
                                 .node = {.id = identity_node_id(d->identity)}};
    cleanup_buf struct buf message = BUF_INIT;
    record_encode(&admission_type, &question, &message);
    r->asking++;
    bus_join(d->bus, str_or_empty(peer->address), ca_hash, message.data, message.len, on_answer, d);
}

int repair_begin(struct daemon *d, struct err *err)
{
    cleanup_free char *dir = str_printf("%s/identity", d->data_dir);
    struct peers peers = {0};
    struct err none;
    if (!d->log_damaged)
        return err->code;
    copy_load(d);
    if (d->is_copy)
        return err->code;
    if (peers_load(dir, &peers, &none) < 0 || peers.members_n == 0) {
        record_release(&peers_type, &peers);
        struct err why = *err;
        return err_set(err, why.code,
                       "%.150s; no other member has a copy: 'wherry restore FILE' starts anew from "
                       "a backup",
                       why.msg);
    }
    struct repair *r = mem_alloc(1, sizeof(*r));
    r->daemon = d;
    r->peers = peers;
    r->why = *err;
    random_bytes(r->request_id, sizeof(r->request_id));
    log_error("repair", "%s", err->msg);
    struct err begin;
    err_set(&begin, ERR_UNAVAILABLE, "%zu can be asked", peers.members_n);
    set_waiting(r, &begin);
    uv_timer_init(&d->loop, &r->timer);
    r->timer.data = r;
    uv_timer_start(&r->timer, on_timer, 0, ASK_MS);
    d->repair = r;
    return 0;
}

const char *repair_text(const struct daemon *d)
{
    return d->repair ? d->repair->text : NULL;
}

/* --- which log -------------------------------------------------------------------------------- */

/* A new log was promised. What is in the folder may be its beginning, or the old one. */
static int clear_for(struct daemon *d, int64_t raft_id, struct err *err)
{
    cleanup_free char *dir = str_printf("%s/raft", d->data_dir);
    cleanup_free char *aside = NULL;
    struct acknowledged record;
    struct err none;
    if (acknowledged_load(dir, &record, &none) == 0 && record.raft_id == (uint64_t)raft_id)
        return 0;
    if (log_state_set_aside(d->data_dir, &aside, err) < 0)
        return err->code;
    if (aside)
        log_warn("repair", "the damaged log was set aside as %s", aside);
    return 0;
}

int repair_log(struct daemon *d, int64_t *ret_raft_id, bool *ret_expected, struct err *err)
{
    struct log_state state;
    if (log_state_load(d->data_dir, d->identity, &state, err) < 0)
        return err->code;
    if (state.kind == LOG_REPAIR) {
        d->log_damaged = true;
        return err_set(err, ERR_CORRUPT, "'wherry node repair' asked for it");
    }
    if (state.written && state.kind == LOG_NEW && clear_for(d, state.raft_id, err) < 0)
        return err->code;
    cleanup_free char *cut_off = str_printf("%s/raft/cut-off", d->data_dir);
    if (file_exists(cut_off)) {
        d->log_damaged = true;
        return err_set(err, ERR_CORRUPT,
                       "the cluster was recovered without this member, whose log contradicts it");
    }
    *ret_raft_id = state.raft_id;
    *ret_expected = state.kind == LOG_KEPT;
    return 0;
}

int repair_log_started(struct daemon *d, int64_t raft_id, struct err *err)
{
    return log_state_save(d->data_dir, d->identity, raft_id, LOG_KEPT, err);
}

/* --- by hand ---------------------------------------------------------------------------------- */

int repair_force(struct daemon *d, struct err *err)
{
    if (d->repair) {
        uv_timer_start(&d->repair->timer, on_timer, 0, ASK_MS);
        return 0;
    }
    if (!d->waiters)
        return err_set(err, ERR_UNAVAILABLE, "this machine is not a member of a cluster");
    if (!daemon_is_synced(d))
        return err_set(err, ERR_UNAVAILABLE,
                       "the others have no leader that this member knows: its log may be needed");
    struct standings s;
    struct log_state state;
    size_t voters = 0, up = 0;
    standings_read(d, &s);
    for (size_t i = 0; i < s.n; i++) {
        bool votes = s.all[i].in_raft && s.all[i].role == ROLE_VOTER;
        voters += votes;
        /* Connected, too: one that repairs its own log counts as up for a while. */
        up += votes && s.all[i].up && s.all[i].id != d->id && bus_is_connected(d->bus, s.all[i].id);
    }
    standings_release(&s);
    if (up < voters / 2 + 1)
        return err_set(err, ERR_UNAVAILABLE,
                       "%zu of %zu voters are up and in touch without this one, which is no "
                       "majority: they could not give it a new log",
                       up, voters);
    if (log_state_load(d->data_dir, d->identity, &state, err) < 0 ||
        log_state_save(d->data_dir, d->identity, state.raft_id, LOG_REPAIR, err) < 0)
        return err->code;
    d->again = true;
    return 0;
}

/* --- the member that is asked ----------------------------------------------------------------- */

static void answer(struct bus_stranger *stranger, const struct welcome *w)
{
    cleanup_buf struct buf message = BUF_INIT;
    record_encode(&welcome_type, w, &message);
    bus_stranger_reply(stranger, message.data, message.len);
}

static void on_renewed(void *arg, const struct change_result *result)
{
    const struct err *err = &result->err;
    struct welcome w = {.code = -err->code, .raft_id = result->id};
    if (err->code != 0)
        w.message = (char *)(uintptr_t)err->msg;
    answer(arg, &w);
}

void repair_answer(struct daemon *d, struct bus_stranger *stranger, const struct admission *a,
                   const struct bytes *public_key)
{
    struct welcome w = {0};
    struct err err = {0};
    struct node node;
    if (!daemon_is_synced(d)) {
        err_set(&err, ERR_UNAVAILABLE, "%s is not in touch with a leader", d->name);
    } else if (bus_is_connected(d->bus, a->node.id)) {
        /* A copied disk with a damaged log must not take the other one's place. */
        err_set(&err, ERR_BUSY, "n%" PRId64 " is connected to %s and at work", a->node.id, d->name);
    } else if (store_get(d->store, TABLE_NODE, a->node.id, &node) < 0) {
        err_set(&err, ERR_NOTFOUND, "n%" PRId64 " is no member any more", a->node.id);
    } else {
        struct change_node_renew change = {.node_id = node.id, .public_key = *public_key};
        bool proves = node.public_key.len == public_key->len &&
                      memcmp(node.public_key.data, public_key->data, public_key->len) == 0;
        record_release(&node_type, &node);
        if (proves) {
            propose_change(d->propose, CHANGE_NODE_RENEW, &change, a->renew.data,
                           PROPOSE_TIMEOUT_MS / 2, on_renewed, stranger);
            return;
        }
        err_set(&err, ERR_DENIED, "n%" PRId64 " has another key", a->node.id);
    }
    w.code = -err.code;
    w.message = err.msg;
    answer(stranger, &w);
}
