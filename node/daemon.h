/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon - what the files of node/ share: the parts of a running daemon. Not for other rooms.
 *
 *             calls                      changes
 *   server ────────► api ─► propose ─────────────► consensus (here or at the leader)
 *                     │                                │ apply
 *                     │ read (a barrier before)        ▼
 *                     └─────────────────────────────► store ──watch──┐
 *                                                                     │
 *   leader    services against tasks, if we lead   ◄──────────────────┤
 *   reconcile our tasks against our containers     ◄──────────────────┤
 *   netsync   networks, routes, published ports    ◄──────────────────┤
 *   members   raft's configuration, bus peers      ◄──────────────────┘
 *   report    what our tasks do ─► propose
 *   heartbeat who is alive, in the leader's memory only
 *
 * Everything runs on one loop; blocking work goes to jobs (job.h). Both loops, the leader's and the
 * node's, are level-triggered: a watch only wakes them, the store decides.
 */
#ifndef WHERRY_NODE_DAEMON_H
#define WHERRY_NODE_DAEMON_H

#include "base/clock.h"
#include "node/node.h"
#include "node/quota.h"
#include "store/store.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct daemon {
    uv_loop_t loop;
    struct node_options options;
    char *name;
    char *data_dir;
    char *run_dir;
    char *address; /* "10.0.0.1:7400": where other members reach this one */
    char *listen;  /* … and where it listens: another one behind a NAT */
    struct in_addr ip;
    int port;            /* of the bus, here; calls are on the next one */
    int advertised_port; /* … and for others */
    struct pair *labels;
    size_t labels_n;
    struct resource *resources; /* that services may reserve, sorted */
    size_t resources_n;

    /* Threads for each kind of work, so that what is slow by nature holds up only its like. */
    struct jobs *jobs;      /* general: what containers and the local index need, seconds at most */
    struct jobs *call_jobs; /* what callers ask of containers, as often as they like */
    struct jobs *image_jobs;   /* pulls and loads: minutes */
    struct jobs *copy_jobs;    /* copies and commits of containers: minutes */
    struct jobs *check_jobs;   /* health checks: each up to its own time-out */
    struct jobs *resolve_jobs; /* questions to registries: seconds each */
    struct jobs *blob_jobs;    /* what other members read of our images; NULL of a witness */
    struct jobs *network_jobs; /* one thread: network_apply() may not run twice at once */
    atomic_bool giving_up;     /* set at the stop: long jobs end early */
    const struct runtime_peers *image_peers; /* other members' images; NULL: they are not asked */
    struct runtime *runtime; /* NULL of a witness, as are reconcile, netsync and dns */
    int lock_fd;             /* of a witness: its data folder is locked; else the runtime does */
    struct identity *identity;
    struct keyring *keyring;
    struct registries *registries;
    struct server *server;
    struct web *web; /* the HTTP API; NULL: there is none */
    struct stalls *stalls;
    struct tidy *tidy;
    struct blobs *blobs;           /* images from and to other members; NULL of a witness */
    struct space *space;           /* only once we are a member */
    struct standalone *standalone; /* containers of no stack; NULL of a witness */
    struct waiters *asking;        /* callers who wait for containers; NULL of a witness */

    /* Only once we are a member. */
    int64_t id;
    struct store *store;
    struct consensus *consensus;
    struct bus *bus;
    struct forward *forward;
    struct propose *propose;
    struct read_barrier *read;
    struct quota quota; /* of other members' calls */
    struct heartbeat *heartbeat;
    struct leader *leader;
    struct addresses *addresses;
    struct introduce *introduce;
    struct clocks *clocks;
    int64_t clock_base_ms; /* kept by clocks: the time at boot; 0: not yet */
    struct members *members;
    struct keys *keys;
    struct keychange *keychange; /* NULL: none is under way */
    struct certs *certs;
    struct reconcile *reconcile;
    struct lease *lease; /* to run tasks of single services; NULL of a witness */
    struct report *report;
    struct netsync *netsync;
    struct imagecare *imagecare; /* of a member that is no witness */
    struct dns *dns;
    struct backups *backups;
    struct waiters *waiters;   /* callers of cluster.wait */
    struct sessions *sessions; /* commands in containers; NULL of a witness */
    struct callers *callers;   /* those who call from elsewhere */
    struct repair *repair;     /* while this member waits for a new log */

    struct leave *leave;       /* while this machine leaves the cluster */
    struct farewell *farewell; /* while it is drained before it stops, or takes tasks again */

    bool noting_recovery; /* the state is being told that this member was recovered */
    bool raising_level;   /* a change of the cluster's level is under way */
    bool joining;         /* a member was asked to let us in */
    bool witness;         /* this machine votes and does nothing else */
    bool removed;         /* an operator took this machine out of the cluster; kept in a file */
    bool is_copy; /* this disk is a copy of one that runs elsewhere; kept in a file (copy.h) */
    char copy_host[64]; /* where that one is, if it is known */
    bool serving;       /* calls from elsewhere are listened for */
    bool log_damaged;   /* the start found the log damaged, and left it as it is */
    bool again;         /* after the stop this process is to start itself anew */
    bool stopping;
    bool start_anew; /* after the stop: this machine left its cluster */
    int exit_code;
    struct err fatal;
};

/* Start being a member: consensus, bus, loops. @bootstrap: we are the first of a new cluster. */
int daemon_start_member(struct daemon *d, bool bootstrap, struct err *err);

/* Start the bus alone, to join a cluster with. */
int daemon_start_bus(struct daemon *d, struct err *err);

/* Take name, address and labels from the options; what is not given comes from the machine. */
int daemon_parse_options(struct daemon *d, struct err *err);

/* What the node says of itself: name, address, key, labels, capacity. Release with record_release.
 */
void daemon_describe(const struct daemon *d, struct node *ret_node);

/* The folder of this program and those that it runs. Free it. */
char *daemon_program_dir(void);

/* The cgroup that all of a daemon's are below, @chosen or, when that is NULL, one for its data
 * folder: cgroups of several daemons on one machine must not meet. Free it. */
char *daemon_cgroup_parent(const char *data_dir, const char *chosen);

/* Stop with @code; the loop ends soon. @err may be NULL. */
void daemon_stop(struct daemon *d, int code, const struct err *err);

/* True when this member knows a leader and its store has what that leader had committed. */
bool daemon_is_synced(const struct daemon *d);

/* The time: by our clock where it is right, by the others' where it is not (clocks.h). A clock that
 * jumps is not followed before it was looked at. */
static inline int64_t daemon_now_ms(const struct daemon *d)
{
    return d->clock_base_ms ? clock_boot_ms() + d->clock_base_ms : clock_wall_ms();
}

/* The name of node @id, or "n<ID>" when it is gone, written to @out. */
void daemon_node_name(const struct daemon *d, int64_t id, char *out, size_t size);

#endif
