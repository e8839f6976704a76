/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consensus_internal - what the files of consensus share; for them and their tests only.
 *
 *     consensus.c   the turn, leadership, the progress file, stop, what may be asked
 *     consensus_start.c
 *     shim.c        what stands between libraft and its raft_io: timer, disk
 *     raft_ids.c    node ids and raft ids
 *     shim_promise.c   the record of what was acknowledged
 *     shim_send.c, shim_receive.c   the same for messages
 *     fsm.c         apply, snapshot, restore
 *     proposal.c     proposals: collected, batched, answered
 *     membership.c  add, assign, remove, transfer
 *     read.c        reads: confirmed by a majority, answered once applied
 *
 * libraft is entered from four places: its own disk callbacks and timer, consensus_receive(), and
 * the turn. A turn runs before and after the loop polls. It completes sends, starts what was asked
 * for and only then calls users back, so that nothing of theirs runs inside libraft.
 */
#ifndef WHERRY_CLUSTER_CONSENSUS_INTERNAL_H
#define WHERRY_CLUSTER_CONSENSUS_INTERNAL_H

#include "cluster/acknowledged.h"
#include "cluster/consensus.h"

#include "base/buf.h"
#include "base/err.h"

#include <raft.h>
#include <raft/uv.h>

struct log_content;

/* Each switch takes one precaution away, to show in a test what it is there for. All false in
 * every program. */
struct consensus_hazards {
    bool unpadded_entries;        /* libraft loses a log with lengths that are no multiple of 8 */
    bool auto_recovery;           /* it renames a damaged segment and goes on without it */
    bool no_barrier;              /* it commits entries of older terms, figure 8 */
    bool no_hold;                 /* the same while the barrier is not on the leader's disk */
    bool candidate_while_install; /* it asks for votes with a log that is not on disk yet */
    bool silent_refusals;         /* a refused pre-vote does not say that our term is ahead */
    bool no_pre_vote;             /* a member that was away deposes the leader */
    bool unchecked_snapshot;      /* it has no checksum of a snapshot */
    bool unproven_results;        /* a follower's answer claims all it has on disk */
    bool library_rollback;        /* it crashes rolling membership back, or does not do it */
    bool unconfirmed_reads;       /* a leader that was deposed does not know it */
    bool votes_by_own_log;        /* a member that does not know yet that it votes does not */
    bool unexamined_folder;       /* it starts with less than it had, or crashes on it */
};

/* How a test starts it. */
struct consensus_options {
    /* A disk and clock of the test's own instead of raft_uv; then there need be no loop and the
     * test calls consensus_turn(). Copied. */
    const struct raft_io *io;
    struct consensus_hazards hazards;
};

/* What we know of sending to one member. */
struct peer {
    int64_t id;
    raft_time refused_at;      /* when a message was last refused, 0: not lately */
    raft_index large_end;      /* last index of the large AppendEntries under way, 0: none */
    raft_time large_deadline;  /* when to take it for lost */
    raft_index snapshot_index; /* of the snapshot under way, 0: none */
    raft_time snapshot_deadline;
    raft_index matched;        /* what it has on disk for sure, as it says */
    raft_index told_committed; /* the commit index that it was sent last */
    uint64_t read_round;       /* the newest round in which it confirmed our term */
};

/* A send that waits for its callback. */
struct sent {
    struct sent *next;
    struct raft_io_send *req;
    raft_io_send_cb cb;
    int status;
};

/* A disk write under way. Kept after a failure until the stop, when libraft may free it safely. */
struct write {
    struct raft_io_append req;
    struct consensus *consensus;
    struct raft_io_append *inner;
    raft_io_append_cb cb;
    uint64_t last;       /* index of its last entry */
    unsigned generation; /* of the log's end when it was begun */
    struct write *next;
};

struct proposal {
    struct proposal *next;
    struct buf encoded;
    consensus_propose_cb cb;
    void *arg;
    int code;
    struct change_result result;
};

/* First and last of a list of proposals. */
struct proposals {
    struct proposal *first, *last;
};

/* First and last of a list of reads. */
struct reads {
    struct read *first, *last;
};

/* One log entry under way. */
struct batch {
    struct raft_apply req;
    struct consensus *consensus;
    struct proposals proposals;
    size_t bytes;
    size_t changes;
    struct batch *next;
};

/* A change of membership that was asked for. */
struct member_change {
    struct member_change *next;
    struct raft_change req;
    struct consensus *consensus;
    enum {
        MEMBER_ADD,
        MEMBER_ASSIGN,
        MEMBER_REMOVE
    } what;
    int64_t id;
    enum consensus_role role;
    consensus_change_cb cb;
    void *arg;
    int code;
};

/* What apply hands to the callback of its entry. */
struct applied {
    struct change_result *results;
    size_t n;
};

/* The state of one consensus. */
struct consensus {
    struct consensus_config config; /* its id is our raft id */
    int64_t node_id;
    struct consensus_ids *ids; /* where they differ */
    size_t ids_n;
    char *dir;
    int lock_fd;
    struct consensus_hazards hazards;
    struct raft raft;
    struct raft_io io;    /* what libraft calls: the inner one with our functions over it */
    struct raft_io inner; /* the functions it had */
    struct raft_uv_transport transport;
    bool own_disk; /* io is raft_uv's */
    raft_io_close_cb disk_close_cb;
    int disk_close_turns; /* of the loop, until it is called */
    struct raft_fsm fsm;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;

    /* The turn. */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    int handles; /* open ones of these */
    bool turning;
    bool started;
    enum {
        RUNNING,
        STOP_ASKED,
        STOPPING,
        RAFT_CLOSED,
        HANDLES_CLOSED
    } phase;
    void (*on_stopped)(void *arg);
    void *stopped_arg;
    bool reluctant; /* does not stand for leadership */
    bool failed;    /* nothing more may be done */
    bool failure_told;
    struct err failure;

    /* Leadership. */
    raft_term barrier_term; /* the term our barrier is for */
    raft_index barrier_index;
    bool barrier_pending;
    struct raft_barrier barrier;
    raft_term ready_term; /* the term in which it was applied */
    int64_t told_leader;
    bool told_ready;
    bool told_any;
    struct raft_transfer transfer;

    /* Following: up to where this term's leader proved our log equal to its own. */
    raft_term proven_term;
    raft_index proven_index;
    raft_time ticked_at;

    /* The disk is full. */
    bool no_room;
    raft_time led_at; /* when there was a leader last */
    int64_t snapshot_bytes;

    /* The configuration in the last snapshot. */
    struct raft_configuration snapshot_configuration;
    raft_index snapshot_configuration_index;
    raft_term loaded_term; /* of the snapshot that was loaded, 0: none */
    raft_index loaded_index;
    /* The snapshot being written, with the configuration that was committed at its index. */
    struct raft_snapshot put;
    struct raft_io_snapshot_put put_req;
    struct raft_io_snapshot_put *put_inner;
    raft_io_snapshot_put_cb put_cb;

    /* Sending and writing. */
    struct sent *sent_first, *sent_last;
    struct write *failed_writes;
    struct peer *peers;
    size_t peers_n;
    struct buf message;
    raft_time complained_at;
    unsigned long complaints;

    /* Proposals and changes of membership. */
    struct proposals pending; /* not proposed yet */
    size_t pending_bytes;
    struct batch *batches; /* under way */
    size_t flying_bytes;
    size_t flying_changes;
    struct proposals done; /* to be answered */
    struct applied applied;
    struct member_change *changes, *changes_done;
    struct member_change *change; /* under way */

    /* Reads. */
    struct reads reads_asked;   /* for the next round */
    struct reads reads_out;     /* the round that is out */
    struct reads reads_awaited; /* their index is known, and not applied here yet */
    struct reads reads_done;    /* to be answered */
    size_t reads_n;             /* all of these */
    int64_t reads_awaited_at;   /* index of the store when the awaited were looked at, 0: anew */
    raft_term read_term;        /* of the round that is out */
    uint64_t read_round;        /* number of the last round */
    int64_t read_index;         /* its commit index */
    raft_time read_asked_at;

    /* Apply and snapshot. */
    struct buf snapshot; /* the copy of the store that is being written */
    int64_t snapshot_index;
    size_t changes_since_snapshot;
    unsigned char snapshot_header[64];
    struct raft_buffer snapshot_bufs[2];

    /* What was acknowledged. */
    int acknowledged_fd;
    struct acknowledged acknowledged;
    uint64_t disk_last;       /* index of the last entry that was given to the disk */
    unsigned disk_generation; /* goes up when the log's end is cut off */

    /* gate.c */
    int64_t epoch;
    int64_t cut_off_by; /* the epoch that went on without us, 0: none */
    bool cut_off_told;
    raft_time epoch_told_at; /* to a member of an earlier one */

    /* The progress file. */
    int64_t progress_saved;
    int64_t progress_writing; /* 0: no write under way */
    raft_time progress_dirty_at;
    uv_work_t progress_work;
    struct err progress_err;
};

/* As consensus_start() with what a test may set. */
int consensus_start_with(const struct consensus_config *config,
                         const struct consensus_options *options, struct consensus **ret_consensus,
                         struct err *err);

/* One turn: see above. With a loop it comes by itself. */
void consensus_turn(struct consensus *consensus);

/* Have a turn soon. */
void consensus_wake(struct consensus *consensus);

/* Something failed for good: tell the user in the next turn, do nothing more. */
void consensus_fail(struct consensus *consensus, const struct err *err);

/* Look at libraft's state after it ran: a new leadership, a failure. */
void consensus_after_raft(struct consensus *consensus);

/* Our code for one of libraft's. */
int consensus_code(int raft_code);

/* Open the handles that make turns, when there is a loop. */
void consensus_open_handles(struct consensus *consensus);

/* Free everything, once raft and the handles are closed or were never opened. */
void consensus_free(struct consensus *consensus);

/* shim.c */

/* Put our functions over those of consensus->io. */
void shim_install(struct consensus *consensus);
/* The consensus that @io belongs to. */
struct consensus *shim_consensus(struct raft_io *io);
/* True while a snapshot from the leader is written. */
bool shim_is_installing(const struct consensus *consensus);
/* The configuration that held at @index: from the log, or the last snapshot's. A copy, to be
 * closed. False when it is not known. */
bool shim_configuration_at(const struct consensus *consensus, raft_index index,
                           struct raft_configuration *ret_configuration, raft_index *ret_index);
/* Free what the shim holds. */
void shim_release(struct consensus *consensus);

/* Once per turn of the loop: tell raft that its disk is closed, when it is time. */
void shim_pass_on_close(struct consensus *consensus);

/* raft_ids.c */

/* The raft id of a node, and the node of a raft id; negative for the raft id of a lost log. */
int64_t ids_raft(const struct consensus *consensus, int64_t node_id);
int64_t ids_node(const struct consensus *consensus, int64_t raft_id);
/* config.send to the node that has @raft_id. */
int ids_send(struct consensus *consensus, int64_t raft_id, bool bulk, const void *data, size_t len);

/* shim_promise.c */

/* Open the record of what was acknowledged; a new one is made to match @content. */
int promise_open(struct consensus *consensus, bool known, const struct log_content *content,
                 struct err *err);
/* The disk wrote the entries up to @write->last. */
void promise_written(struct consensus *consensus, const struct write *write);
/* Before the log is cut behind @last, or replaced by a snapshot of it: promise no more than that.
 */
int promise_lower(struct consensus *consensus, uint64_t last);
/* A snapshot of the leader, up to @index, is on disk. */
void promise_snapshot(struct consensus *consensus, uint64_t index);
/* Before libraft's bootstrap writes the first term, and after. */
int promise_bootstrap(struct consensus *consensus, struct err *err);
void promise_bootstrapped(struct consensus *consensus);
/* raft_io's set_term and set_vote. */
int promise_set_term(struct raft_io *io, raft_term term);
int promise_set_vote(struct raft_io *io, raft_id vote);

/* shim_send.c */

/* raft_io's send. */
int shim_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *message,
              raft_io_send_cb cb);
/* Call back for all sends so far. */
void shim_complete_sends(struct consensus *consensus, int status);
/* What we know of member @id; made when new. Borrowed until the next call. */
struct peer *shim_peer(struct consensus *consensus, int64_t id);
/* A new term in which we lead: nothing is under way. */
void shim_reset_peers(struct consensus *consensus);

/* Tell the members that have all we have what of it is committed, if they were not told: libraft
 * would say it with the next heartbeat, and whoever waits there for his change would wait that
 * long. Under load the next entries say it. */
void shim_announce_commit(struct consensus *consensus);

/* gate.c */

/* Read our epoch. */
int gate_open(struct consensus *consensus, struct err *err);
/* What config.send does, for messages of our epoch. */
int gate_send(struct consensus *consensus, int64_t to, bool bulk, const void *data, size_t len);
/* A message as it came: true when it is of ours; *@data and *@len are what is in it then. */
bool gate_receive(struct consensus *consensus, int64_t from, const void **data, size_t *len);
/* Tell the user that we are cut off, once. */
void gate_deliver(struct consensus *consensus);

/* shim_receive.c */

/* A decoded message: check it against our state, then hand it to raft. Takes it over. */
void shim_receive(struct consensus *consensus, struct raft_message *message);
/* Log a message that was dropped, at most one line a second. */
void shim_complain(struct consensus *consensus, int64_t from, const char *why);

/* fsm.c */

void fsm_init(struct consensus *consensus);
/* Apply the entries of the loaded log up to the index known to be committed. */
int fsm_apply_known(struct consensus *consensus, struct err *err);
/* @n changes were applied since the last count, 0: a snapshot begins. Says to libraft when the next
 * one is due. */
void fsm_count_changes(struct consensus *consensus, size_t n);
/* Tell the store of entries that were not for it. */
void fsm_advance(struct consensus *consensus);
/* Free what the fsm holds. */
void fsm_release(struct consensus *consensus);

/* proposal.c */

/* Append what is pending to the log, or refuse it when we do not lead. */
void propose_flush(struct consensus *consensus);
/* Answer what is done. True when something was. */
bool propose_deliver(struct consensus *consensus);
/* Give up what is pending with @code. */
void propose_give_up(struct consensus *consensus, int code);

/* membership.c */

/* Start what was asked for. */
void membership_flush(struct consensus *consensus);
/* Answer what is done. True when something was. */
bool membership_deliver(struct consensus *consensus);
/* Give up what was not started. */
void membership_give_up(struct consensus *consensus, int code);

/* read.c */

/* Begin, repeat or end a round; find what is applied now. */
void reads_flush(struct consensus *consensus);
/* Answer what is done. True when something was. */
bool reads_deliver(struct consensus *consensus);
/* Give up all of them with @code. */
void reads_give_up(struct consensus *consensus, int code);
/* True for a message of reads; the others are raft's. */
bool reads_is_message(const void *data, size_t len);
/* A message of reads from member @from; hostile until checked. */
void reads_receive(struct consensus *consensus, int64_t from, const void *data, size_t len);

#endif
