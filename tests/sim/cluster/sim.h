/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim - a whole cluster in one process: everything of a member but its containers and sockets.
 *
 * Each member is a real one: libraft under our shim, the store, and the daemon's core (node/core.h:
 * how changes and reads get to the leader, heartbeats, the leader's loop with the scheduler, the
 * steering of members), on a libuv loop of its own. In place of the rest:
 *
 *   process.c  the clocks and random numbers: virtual, from the seed; the log
 *   bus.c      cluster/bus: messages that are late, lost, doubled, on connections that break
 *   identity.c keys and signatures
 *   ../disk.h  raft_uv: writes that are late, torn, lost in a crash, refused
 *   agents.c   node/reconcile: a machine on which tasks start, run, end and sometimes fail
 *   clients.c  people: they deploy, scale, remove, let machines join; ask again with the same
 *              request id, at any member
 *   faults.c   what goes wrong
 *   foretold.c whether plans come true
 *   checks.c   what must hold, after each entry that any member applies and after each step
 *
 *     sim_new → sim_step* → sim_heal → clients_settle → sim_converge → sim_rest → sim_free
 *
 * A step is a millisecond; all that happens follows from the seed, so a failure comes again.
 */
#ifndef WHERRY_TESTS_SIM_CLUSTER_SIM_H
#define WHERRY_TESTS_SIM_CLUSTER_SIM_H

#include "../disk.h"

#include "cluster/consensus_internal.h"
#include "node/daemon.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#define CLUSTER_UUID "0123456789abcdef0123456789abcdef"

enum {
    IDS_MAX = 63, /* members ever */
    UP_MAX = 9,   /* at a time */
    CLIENTS = 4,
    SIM_VIOLATION = 3, /* exit status of the process that found one */
};

struct sim;

struct bus {
    struct member *member;
};

/* A message on its way. */
struct parcel {
    struct parcel *next;
    raft_time due;
    int64_t from, to;
    enum bus_lane {
        BUS_CONTROL,
        BUS_BULK
    } lane;
    int kind; /* enum bus_kind, or PARCEL_ of bus.c */
    size_t len;
    char data[];
};

enum link_state {
    LINK_OPEN,
    LINK_REFUSED, /* both ends know that it is down */
    LINK_SILENT,  /* what is sent is gone; the ends find out after seconds */
};

struct member {
    struct sim *sim;
    int64_t id;
    char name[24], address[48];
    struct bytes key; /* its name */
    char dir[128];
    struct disk disk;
    struct bus bus;
    uv_prepare_t hook;
    struct daemon *d; /* NULL: down */
    struct agents *agents;
    struct finished *finished; /* jobs */
    bool known;                /* it was let in once */
    bool running;              /* all parts of it are there */
    bool ending;               /* being torn down: nobody hears what it still says */
    bool stopped;              /* its consensus has */
    bool failed;               /* it said that it cannot go on */
    bool ready;
    bool gone;      /* taken out of the cluster for good */
    bool dark;      /* down without a word: nobody is told that its connections broke */
    uint64_t peers; /* bits of those its bus is open to */
    uint64_t up;    /* those it has connections with, as far as it knows */
    struct parcel *inbox, **inbox_end;
    raft_time active_until;
    raft_time paused_until;
    raft_time start_at;   /* when it comes back, 0: not by itself */
    raft_time disk_until; /* its disk is slow or full until then */
    int64_t skew_ms;      /* of its wall clock */
};

enum fault {
    FAULT_KILL,  /* the daemon dies; what was given to the disk is written, containers run on */
    FAULT_POWER, /* the machine: what was not synced is gone, containers too */
    FAULT_TORN,  /* likewise, in the midst of a write */
    FAULT_PAUSE,
    FAULT_CUT,
    FAULT_ONE_WAY,
    FAULT_ISOLATE,
    FAULT_SPLIT,
    FAULT_LOSS,
    FAULT_DOUBLES,
    FAULT_DELAY,
    FAULT_RESET,
    FAULT_SLOW_DISK,
    FAULT_STUCK_DISK,
    FAULT_FULL_DISK,
    FAULT_CLOCK,
    FAULT_TRANSFER,
    FAULT_MAX
};

extern const char *const fault_names[FAULT_MAX];

struct sim_options {
    uint64_t seed;
    unsigned ms;       /* until it is healed */
    unsigned fault_ms; /* between two faults, on average */
    struct consensus_hazards hazards;
    bool verbose;
};

/* What happened. */
struct sim_stats {
    uint64_t steps;
    uint64_t faults[FAULT_MAX];
    uint64_t messages, lost, doubled;
    uint64_t acknowledged, unknown, refused; /* requests of clients */
    uint64_t reads;
    uint64_t entries;  /* applied, each counted once */
    uint64_t compared; /* digests */
    uint64_t terms;
    uint64_t joined, removed, snapshots; /* members; installed */
    uint64_t trace;                      /* a hash of all that happened */
};

struct sim {
    struct sim_options options;
    struct sim_stats stats;
    raft_time now;
    uint64_t seed;
    char root[64];
    bool calm; /* no more faults, failing tasks */
    unsigned threshold, trailing;
    struct member members[IDS_MAX + 1]; /* by id */
    int n;                              /* the highest id */
    /* the network */
    enum link_state links[IDS_MAX + 1][IDS_MAX + 1];
    raft_time link_since[IDS_MAX + 1][IDS_MAX + 1], link_until[IDS_MAX + 1][IDS_MAX + 1];
    raft_time dial_at[IDS_MAX + 1][IDS_MAX + 1]; /* a connection is tried then; lower id first */
    raft_time last_due[IDS_MAX + 1][IDS_MAX + 1][2];
    unsigned latency_ms, loss_percent, doubles_percent;
    raft_time latency_until, loss_until, doubles_until;
    struct parcel *parcels;
    raft_time next_fault;
    struct checks *checks;
    struct clients *clients;
};

/* Something that must hold does not: say it with the seed, and end the process. */
_Noreturn void sim_violation(const struct sim *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define SIM_CHECK(s, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_violation(s, __VA_ARGS__);                                                         \
    } while (0)

/* A random number from 0 to @n - 1, and true in @percent of cases. */
unsigned sim_below(struct sim *s, unsigned n);
bool sim_chance(struct sim *s, unsigned percent);

/* Mix into the trace. */
void sim_trace(struct sim *s, const void *data, size_t len);
void sim_trace_number(struct sim *s, int64_t number);

/* A cluster of @voters members, formed and at rest. */
struct sim *sim_new(const struct sim_options *options, int voters);
void sim_free(struct sim *s);

/* Remove what process @pid, which is over, left on disk. */
void sim_clean(pid_t pid);

/* One millisecond. */
void sim_step(struct sim *s);

/* Nothing is wrong any more and nothing goes wrong from now on; who is down comes back. */
void sim_heal(struct sim *s);

/* Step until one leads that all can reach; a violation after two minutes. */
void sim_wait_for_leader(struct sim *s);

/* Step until all that must come in a healthy cluster has come; a violation after two minutes. */
void sim_converge(struct sim *s);

/* A cluster that has converged writes nothing. */
void sim_rest(struct sim *s);

/* process.c: from now on time and random numbers are @s's, as @member sees them (NULL: as the world
 * does). @s NULL: the real ones. */
void clock_enter(struct sim *s, const struct member *member);

/* member.c */

void member_start(struct member *m, bool bootstrap);
/* End it at once. @mode: FAULT_KILL, FAULT_POWER or FAULT_TORN. */
void member_crash(struct member *m, enum fault mode);
/* Run what is due on it. */
void member_step(struct member *m);
/* Have it run in the next step. */
void member_wake(struct member *m);
/* The ready leader, NULL: none. With @s's links open it is the only one. */
struct member *sim_leader(struct sim *s);
/* Members that are up; machines that are members or will be. */
int sim_count_up(const struct sim *s);
int sim_count_members(const struct sim *s);

/* bus.c */

/* Move what is due to the inboxes; dial, and give up connections that are silent. */
void bus_step(struct sim *s);
/* Give @m what is in its inbox. */
void bus_deliver(struct member *m);
/* @m is down: what is on its way to it is gone; the others learn it, unless it is dark. */
void bus_on_crash(struct member *m);
/* @m comes back: nothing that an earlier process of it sent arrives any more. */
void bus_on_start(struct member *m);
/* The connections between @a and @b break; both are told. */
void bus_reset(struct sim *s, int64_t a, int64_t b);
void bus_free(struct sim *s);

/* agents.c */

struct agents *agents_new(struct member *m);
void agents_free(struct agents *a);
/* The daemon begins, looks at the clock, or dies; @power: so does all that runs on the machine. */
void agents_on_start(struct agents *a);
void agents_step(struct agents *a);
void agents_on_crash(struct agents *a, bool power);

/* clients.c */

struct clients *clients_new(struct sim *s);
void clients_free(struct clients *c);
void clients_step(struct clients *c);
/* Found the cluster on member 1 and let others in, up to @members. */
void clients_form(struct clients *c, int members);
/* Let one more in. */
void clients_join(struct clients *c);
/* What the cluster is to run in the end: everything anew, on whatever member. */
void clients_settle(struct clients *c);
/* What the next clients_deploy() asks for, to be made at @by; borrowed until then. */
const struct change_stack_deploy *clients_prepare(struct clients *c, struct member *by);
void clients_deploy(struct clients *c);
/* Tasks that run stay where they are. */
void clients_stop_balance(struct clients *c);
/* All that was acknowledged and is known at its index must be in its store. */
void clients_check(struct clients *c, struct member *m);
/* How many requests wait for an answer. */
size_t clients_waiting(const struct clients *c);

/* faults.c */

void faults_step(struct sim *s);

/* checks.c */

struct checks *checks_new(struct sim *s);
void checks_free(struct checks *k);
/* What stores do meanwhile is none of the members' doing. */
void checks_look_away(struct checks *k, bool away);
/* After @m ran. */
void checks_on_step(struct checks *k, struct member *m);
/* @m says that it is ready to lead. */
void checks_on_ready(struct checks *k, struct member *m);
/* The highest index that a client was told of. */
int64_t checks_told(const struct checks *k);
/* A client was told that its change @request_id was done or refused. */
void checks_on_answer(struct checks *k, const unsigned char *request_id,
                      const struct change_result *result);

/* converged.c: is all as it should be in a healthy cluster? @why: what is not. */
bool sim_has_converged(struct sim *s, char *why, size_t size);

/* foretold.c: deploy something; what becomes of each slot must be what was foreseen. Of slots that
 * were compared the number is returned. */
size_t sim_deploy_as_foretold(struct sim *s);

#endif
