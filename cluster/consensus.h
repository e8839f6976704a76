/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consensus - this member's part in the raft group: libraft behind a thin shim.
 *
 * Diego Ongaro and John Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014);
 * section numbers below are of the extended version. libraft's uv back end does the disk only;
 * messages are encoded here and carried by whoever is given in @config->send, so a whole cluster
 * also runs inside one process.
 *
 * The shim closes what the library leaves open, each with a test that fails without it:
 *  - entries are padded to 8 bytes with their own length inside;
 *  - automatic "recovery" of damaged segments is off, pre-vote is on, snapshot compression is off
 *    and snapshots carry our header (magic, version, length, SHA-256);
 *  - a new leader issues a barrier at once, is ready only when it is applied, and drops successful
 *    AppendEntries results until the barrier is on its own disk (§5.4.2, figure 8);
 *  - a follower that is installing a snapshot does not become a candidate;
 *  - a follower confirms only what its leader's messages proved equal, not all it has on disk, and
 *    is not told to commit past that;
 *  - a change of membership that is rolled back is found in the log or the last snapshot;
 *  - a member votes when it is asked, whether or not its own log says yet that it is a voter
 * (Ongaro, "Consensus: Bridging Theory and Practice", section 4.1): else one whose making a voter
 * had not reached it leaves the cluster without a leader for good;
 *  - the folder is examined by our own reader first (log_dir.h): damage, a lost vote, or less than
 *    was acknowledged is refused, and what a power cut may leave is put in order;
 *  - an id is never used twice (apply sees to that).
 *
 * Reads are confirmed without a write: see consensus_read().
 *
 * Proposals are collected and appended once per loop turn as one batch of at most BATCH_BYTES_MAX.
 * The file DIR/progress (synced, never ahead of the log on disk) keeps the index known to be
 * committed, so that a member that starts without a quorum applies its log up to there;
 * DIR/acknowledged what this member promised (acknowledged.h).
 *
 *     consensus_start → consensus_receive*, consensus_propose* … → consensus_stop
 *
 * One thread: the loop's. Callbacks come from the loop, never from inside the call that asked, nor
 * while libraft or the store is at work: any function may be called from them. A watcher of the
 * store, however, is called in the midst of raft and may only propose.
 */
#ifndef WHERRY_CLUSTER_CONSENSUS_H
#define WHERRY_CLUSTER_CONSENSUS_H

#include "store/change.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct consensus;
struct store;
struct uv_loop_s;

enum consensus_role {
    ROLE_STANDBY, /* has the whole state, no vote */
    ROLE_VOTER,
    ROLE_SPARE, /* just added */
};

enum {
    CONSENSUS_CONTROL_MAX = 192 << 10, /* bytes of a message that is not bulk, about */
    CONSENSUS_PENDING_MAX = 64 << 20,  /* bytes that proposals take which wait */
    CONSENSUS_READS_MAX = 16384,       /* reads that wait */
};

/* A node whose raft id is not its node id: it lost the log of that id and got a new one. */
struct consensus_ids {
    int64_t node_id;
    int64_t raft_id;
};

struct consensus_member {
    int64_t id; /* of the node; negative: of a lost log, to be removed */
    enum consensus_role role;
};

struct consensus_config {
    struct uv_loop_s *loop;
    const char *dir;       /* of the log and snapshots; made if missing */
    int64_t id;            /* ours */
    int64_t raft_id;       /* of our log; 0: the same */
    struct store *store;   /* empty; restored and applied to from here on */
    bool bootstrap;        /* first start of a new cluster: we are its only voter */
    bool recover;          /* the quorum is lost: begin a new epoch with us as only voter */
    bool expect_log;       /* this log was started before: an empty folder is damage */
    bool *ret_damaged;     /* set when the folder was found damaged and left as it is; or NULL */
    unsigned election_ms;  /* 0: 300 */
    unsigned heartbeat_ms; /* 0: 60 */
    unsigned snapshot_threshold; /* entries between snapshots at most, 0: 8192 */
    unsigned snapshot_trailing;  /* entries kept behind one, 0: 2048 */

    /* Take a copy of the message and send it to member @to. @bulk: large and not urgent
     * (snapshots, and an entry of more than CONSENSUS_CONTROL_MAX). 0 or a code: it is lost then,
     * which raft tolerates. Must not call back into consensus. */
    int (*send)(void *arg, int64_t to, bool bulk, const void *data, size_t len);
    /* The leader we know of changed (0: none), or we became ready to lead (@ready). */
    void (*on_leader)(void *arg, int64_t leader_id, bool ready);
    /* The cluster was recovered without us: our log contradicts it, and nothing comes or goes any
     * more. Told once, also after a later start from the same folder. May be NULL. */
    void (*on_cut_off)(void *arg);
    /* The log, a snapshot or apply failed: nothing more may be done here. The process should say
     * @err and end; its supervisor starts it again. */
    void (*on_fatal)(void *arg, const struct err *err);
    /* The time a batch is stamped with; NULL: clock_wall_ms(). */
    int64_t (*now_ms)(void *arg);
    void *arg;
};

/* Load what is on disk into the store and start. On damage: ERR_CORRUPT, naming the file. With
 * @bootstrap a DIR that already holds the new cluster is simply started. After a failure the loop
 * must still run once for what was begun to be closed. */
int consensus_start(const struct consensus_config *config, struct consensus **ret_consensus,
                    struct err *err);

/* Stop: @on_stopped comes once nothing of ours is on the loop any more; @consensus is freed then.
 */
void consensus_stop(struct consensus *consensus, void (*on_stopped)(void *arg), void *arg);

/* A message from member @from. Hostile until checked: a damaged one is dropped and logged, its
 * sizes are capped. @from is what the bus authenticated. */
void consensus_receive(struct consensus *consensus, int64_t from, const void *data, size_t len);

/* The end of a proposal. @code 0: it was applied here and *@result (borrowed) says what became of
 * it; ERR_NOTLEADER: not proposed; ERR_BUSY: not proposed, CONSENSUS_PENDING_MAX bytes wait
 * already; ERR_TOOBIG; ERR_CANCELED: not proposed before the stop; ERR_UNKNOWN: leadership was lost
 * or the stop came while it was under way and it may or may not be applied. */
typedef void (*consensus_propose_cb)(void *arg, int code, const struct change_result *result);

/* Propose @change (copied) if we are the ready leader. */
void consensus_propose(struct consensus *consensus, const struct change *change,
                       consensus_propose_cb cb, void *arg);

/* The end of a read. @code 0: the store has all that was committed when the read began, which was
 * at most @index; ERR_NOTLEADER: not confirmed, ask the leader; ERR_BUSY: CONSENSUS_READS_MAX wait;
 * ERR_CANCELED at the stop. */
typedef void (*consensus_read_cb)(void *arg, int code, int64_t index);

/* Linearizable without a write: a majority of the voters confirms that we still lead, after this
 * call, and our store is as far as the commit index was. Reads that come while a round of questions
 * is out share the next one. If we are the ready leader. */
void consensus_read(struct consensus *consensus, consensus_read_cb cb, void *arg);

/* Wait until our store has applied @index, which another member's consensus_read() gave; there is
 * no time limit but the stop. */
void consensus_await(struct consensus *consensus, int64_t index, consensus_read_cb cb, void *arg);

/* There is no room on the disk (or there is again): as a follower take no entries and no snapshot,
 * but stay in touch; do not become a candidate while others may. Whoever leads refuses proposals
 * itself. */
void consensus_set_no_room(struct consensus *consensus, bool no_room);

/* Bytes of the newest snapshot, as far as is known; 0 when there was none. */
int64_t consensus_snapshot_bytes(const struct consensus *consensus);

/* The member we think leads, 0: none. */
int64_t consensus_leader(const struct consensus *consensus);

/* True when we lead and our barrier was applied: the store has all that was ever committed. */
bool consensus_is_ready(const struct consensus *consensus);

/* Our current term. */
int64_t consensus_term(const struct consensus *consensus);

/* Index of the last entry known to be committed. */
int64_t consensus_commit_index(const struct consensus *consensus);

/* The nodes whose raft id is not their node id, as the table of nodes has them now. Everything else
 * here speaks of nodes. */
void consensus_set_ids(struct consensus *consensus, const struct consensus_ids *ids, size_t n);

/* The life of the cluster that our log belongs to, 0 at first (epoch.h). */
int64_t consensus_epoch(const struct consensus *consensus);

/* True when the cluster went on without us. */
bool consensus_is_cut_off(const struct consensus *consensus);

/* Index and term of the last entry of our log. */
int64_t consensus_last_index(const struct consensus *consensus);
int64_t consensus_last_term(const struct consensus *consensus);

/* Members of raft's current configuration. Returns how many there are; fills at most @max. */
size_t consensus_members(const struct consensus *consensus, struct consensus_member *members,
                         size_t max);

/* End of a change of membership: 0 or ERR_NOTLEADER, ERR_BUSY (another one is under way),
 * ERR_EXISTS (add: it is there), ERR_NOTFOUND (assign, remove: it is not), ERR_TIMEOUT (assign: it
 * did not catch up within 5 s), ERR_UNKNOWN (leadership was lost meanwhile), ERR_CANCELED at stop.
 */
typedef void (*consensus_change_cb)(void *arg, int code);

/* Ready leader only, one at a time: add @id as a spare, give it a role (fine when it has it), or
 * take it out. */
void consensus_add(struct consensus *consensus, int64_t id, consensus_change_cb cb, void *arg);
void consensus_assign(struct consensus *consensus, int64_t id, enum consensus_role role,
                      consensus_change_cb cb, void *arg);
void consensus_remove(struct consensus *consensus, int64_t id, consensus_change_cb cb, void *arg);

/* A reluctant member votes and follows, but does not stand for leadership, nor takes it when it is
 * handed to it. One that leads goes on until it hands it on. */
void consensus_set_reluctant(struct consensus *consensus, bool reluctant);

/* Leader only: hand leadership to another voter before a planned stop. No callback: on_leader
 * tells. ERR_UNAVAILABLE when there is nobody to hand it to. */
int consensus_transfer(struct consensus *consensus);

/* As consensus_transfer(), to the voter @id. */
int consensus_transfer_to(struct consensus *consensus, int64_t id);

#endif
