/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the daemon: it opens its parts from the bottom up and closes them top down. */
#include "node/daemon.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/consensus.h"
#include "cluster/identity.h"
#include "cluster/keyring.h"
#include "cluster/server.h"
#include "node/addresses.h"
#include "node/again.h"
#include "node/api.h"
#include "node/backup.h"
#include "node/blobs.h"
#include "node/callers.h"
#include "node/certs.h"
#include "node/clocks.h"
#include "node/copy.h"
#include "node/core.h"
#include "node/dns.h"
#include "node/farewell.h"
#include "node/forward.h"
#include "node/handover.h"
#include "node/heartbeat.h"
#include "node/imagecare.h"
#include "node/job.h"
#include "node/keys.h"
#include "node/lease.h"
#include "node/leave.h"
#include "node/level.h"
#include "node/members.h"
#include "node/netsync.h"
#include "node/reconcile.h"
#include "node/registries.h"
#include "node/repair.h"
#include "node/report.h"
#include "node/restore.h"
#include "node/session.h"
#include "node/space.h"
#include "node/stalls.h"
#include "node/standalone.h"
#include "node/tidy.h"
#include "node/waiters.h"
#include "node/web.h"
#include "node/witness.h"
#include "runtime/network.h"
#include "runtime/registry.h"
#include "runtime/runtime.h"
#include "store/level.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    JOB_THREADS = 4,
    LOOP_NICE = -10,
    CALL_THREADS = 4,
    IMAGE_THREADS = 2,
    COPY_THREADS = 2,
    CHECK_THREADS = 4,
    RESOLVE_THREADS = 4,
    BLOB_THREADS = 2,
};

/* --- for others ------------------------------------------------------------------------------- */

bool daemon_is_synced(const struct daemon *d)
{
    return d->heartbeat && heartbeat_is_synced(d->heartbeat);
}

void daemon_node_name(const struct daemon *d, int64_t id, char *out, size_t size)
{
    struct node node;
    if (store_get(d->store, TABLE_NODE, id, &node) < 0) {
        snprintf(out, size, "n%lld", (long long)id);
        return;
    }
    str_fill(out, size, node.name);
    record_release(&node_type, &node);
}

/* --- what happens in the cluster -------------------------------------------------------------- */

static void on_watch(void *arg, unsigned tables)
{
    struct daemon *d = arg;
    if (!d->waiters)
        return; /* still loading */
    core_on_watch(d, tables);
    if (tables & 1U << TABLE_CLUSTER) {
        keys_on_change(d->keys);
        certs_on_change(d->certs);
    }
    if (tables & 1U << TABLE_REGISTRY)
        registries_on_change(d->registries);
    if (!d->witness) {
        reconcile_on_change(d->reconcile, tables);
        netsync_on_change(d->netsync, tables);
        dns_on_change(d->dns, tables);
        imagecare_on_change(d->imagecare, tables);
    }
    callers_on_change(d->callers, tables);
    waiters_wake(d->waiters);
}

static int on_raft_send(void *arg, int64_t to, bool bulk, const void *data, size_t len)
{
    struct daemon *d = arg;
    return d->bus ? bus_send(d->bus, to, BUS_RAFT, bulk, data, len) : ERR_UNAVAILABLE;
}

static void on_leader(void *arg, int64_t leader_id, bool ready)
{
    struct daemon *d = arg;
    if (d->waiters)
        core_on_leader(d, leader_id, ready);
}

static int64_t on_raft_stamp(void *arg)
{
    return daemon_now_ms(arg);
}

static void on_raft_fatal(void *arg, const struct err *err)
{
    struct daemon *d = arg;
    struct err said = *err;
    if (err->code == ERR_UNSUPPORTED)
        err_wrap(&said, "wherry %s is too old for this cluster", level_version(d));
    daemon_stop(d, err->code == ERR_UNSUPPORTED ? ERR_UNSUPPORTED : ERR_IO, &said);
}

/* With another log we may take part again: it is asked for at the next start (repair.h). */
static void on_cut_off(void *arg)
{
    struct daemon *d = arg;
    d->again = true;
    daemon_stop(d, 0, NULL);
}

static void on_bus_message(void *arg, int64_t from, enum bus_kind kind, const void *data,
                           size_t len)
{
    struct daemon *d = arg;
    if (!d->waiters)
        return;
    if (kind != BUS_RAFT && members_is_locked_out(d->members, from))
        return;
    /* Also while we stop: jobs may take a while to end, and what we lead is to go on. */
    switch (kind) {
    case BUS_RAFT:
        consensus_receive(d->consensus, from, data, len);
        break;
    case BUS_HEARTBEAT:
        heartbeat_on_message(d->heartbeat, from, data, len);
        break;
    case BUS_CALL:
        api_on_member_call(d, from, data, len);
        break;
    case BUS_REPLY:
        forward_on_reply(d->forward, from, data, len);
        break;
    case BUS_BOOK:
        addresses_on_message(d->addresses, from, data, len);
        break;
    case BUS_CLOCK:
        clocks_on_message(d->clocks, from, data, len);
        break;
    }
}

static void on_bus_peer(void *arg, int64_t id, bool up)
{
    struct daemon *d = arg;
    if (!d->waiters)
        return;
    clocks_on_peer(d->clocks, id, up);
    if (up)
        addresses_on_up(d->addresses, id);
    else
        forward_on_down(d->forward, id);
}

static void on_bus_stranger(void *arg, struct bus_stranger *stranger,
                            const struct bytes *public_key, const void *data, size_t len)
{
    members_on_stranger(arg, stranger, public_key, data, len);
}

static void on_bus_refused(void *arg, int64_t by, const char *host)
{
    copy_on_refused(arg, by, host);
}

int daemon_start_bus(struct daemon *d, struct err *err)
{
    if (d->bus)
        return 0;
    struct bus_config config = {.loop = &d->loop,
                                .identity = d->identity,
                                .listen = d->listen,
                                .on_message = on_bus_message,
                                .on_peer = on_bus_peer,
                                .on_stranger = on_bus_stranger,
                                .on_refused = on_bus_refused,
                                .arg = d};
    return bus_start(&config, &d->bus, err);
}

/* What runs services. */
static void start_machine(struct daemon *d)
{
    d->netsync = netsync_new(d);
    d->imagecare = imagecare_new(d);
    d->dns = dns_new(d);
    d->reconcile = reconcile_new(d);
    d->lease = lease_new(d);
}

int daemon_start_member(struct daemon *d, bool bootstrap, struct err *err)
{
    cleanup_free char *raft_dir = str_printf("%s/raft", d->data_dir);
    cleanup_free char *calls = NULL;
    char ip[64];
    d->id = identity_node_id(d->identity);
    if (daemon_start_bus(d, err) < 0)
        return err->code;
    inet_ntop(AF_INET, &d->ip, ip, sizeof(ip));
    calls = str_printf("%s:%d", ip, d->port + 1);
    if (!d->serving && server_listen_remote(d->server, calls, d->identity, err) < 0)
        return err->code;
    d->serving = true;
    d->log_damaged = false;
    int64_t raft_id;
    bool expected;
    space_make_room(d);
    if (repair_log(d, &raft_id, &expected, err) < 0)
        return err->code;
    d->store = store_new();
    store_pretend_level(d->store, d->options.pretend_level);
    store_watch(d->store, on_watch, d);
    if (restore_adopt(d, err) < 0)
        return err->code;
    struct consensus_config config = {.loop = &d->loop,
                                      .dir = raft_dir,
                                      .id = d->id,
                                      .raft_id = raft_id,
                                      .expect_log = expected,
                                      .ret_damaged = &d->log_damaged,
                                      .store = d->store,
                                      .bootstrap = bootstrap,
                                      .send = on_raft_send,
                                      .on_leader = on_leader,
                                      .on_cut_off = on_cut_off,
                                      .on_fatal = on_raft_fatal,
                                      .now_ms = on_raft_stamp,
                                      .snapshot_threshold = d->options.snapshot_entries,
                                      .snapshot_trailing = d->options.snapshot_entries / 4,
                                      .arg = d};
    if (consensus_start(&config, &d->consensus, err) < 0) {
        if (d->log_damaged) /* nothing was started */
            store_free(steal(&d->store));
        if (err->code == ERR_UNSUPPORTED)
            err_wrap(err, "wherry %s is too old", level_version(d));
        return d->log_damaged ? err->code : err_wrap(err, "start from %s", raft_dir);
    }
    copy_load(d);
    if (!expected && repair_log_started(d, raft_id, err) < 0)
        return err->code;
    core_start(d);
    d->space = space_new(d);
    d->keys = keys_new(d);
    d->certs = certs_new(d);
    if (!d->witness)
        start_machine(d);
    d->callers = callers_new(d);
    d->backups = backups_new(d);
    d->waiters = waiters_new(&d->loop);
    blobs_on_member(d->blobs);
    members_on_change(d->members);
    keys_on_change(d->keys);
    certs_on_change(d->certs);
    on_leader(d, consensus_leader(d->consensus), consensus_is_ready(d->consensus));
    log_info("node", "%s is member n%lld of cluster %.8s at %s, state index %lld", d->name,
             (long long)d->id, identity_cluster(d->identity), d->address,
             (long long)store_index(d->store));
    farewell_resume(d);
    return 0;
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void on_nothing(void *arg)
{
    (void)arg;
}

/* Last, so that whoever still waited was answered. */
static void stop_carriers(struct daemon *d)
{
    if (d->asking) {
        waiters_free(steal(&d->asking), on_nothing, NULL);
        sessions_free(steal(&d->sessions));
        standalone_free(steal(&d->standalone));
    }
    if (d->bus)
        bus_stop(d->bus, on_nothing, NULL);
    d->bus = NULL;
    if (d->server)
        server_stop(d->server, on_nothing, NULL);
    d->server = NULL;
    if (d->web)
        web_free(steal(&d->web), on_nothing, NULL);
    stalls_free(d->stalls);
    d->stalls = NULL;
    tidy_free(d->tidy);
    d->tidy = NULL;
    blobs_free(steal(&d->blobs));
}

static void on_consensus_stopped(void *arg)
{
    struct daemon *d = arg;
    d->consensus = NULL;
    if (!d->waiters) { /* it failed before the parts were made */
        stop_carriers(d);
        return;
    }
    core_close(d);
    keys_free(d->keys, on_nothing, NULL);
    certs_free(d->certs, on_nothing, NULL);
    waiters_free(d->waiters, on_nothing, NULL);
    d->waiters = NULL;
    callers_free(d->callers, on_nothing, NULL);
    d->callers = NULL;
    backups_free(d->backups, on_nothing, NULL);
    if (!d->witness) {
        reconcile_free(d->reconcile);
        netsync_free(d->netsync);
        imagecare_free(d->imagecare);
    }
    core_free(d);
    stop_carriers(d);
}

/* One kind of jobs after the other, then what they might still have used. */
static void stop_next(void *arg)
{
    struct daemon *d = arg;
    struct jobs **kinds[] = {&d->jobs,       &d->call_jobs,    &d->image_jobs, &d->copy_jobs,
                             &d->check_jobs, &d->resolve_jobs, &d->blob_jobs,  &d->network_jobs};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (*kinds[i]) {
            jobs_stop(steal(kinds[i]), stop_next, d);
            return;
        }
    if (d->consensus)
        consensus_stop(d->consensus, on_consensus_stopped, d);
    else
        stop_carriers(d);
}

static void stop_parts(struct daemon *d)
{
    /* No new work; what runs is finished first, what is long gives up. */
    atomic_store(&d->giving_up, true);
    space_free(steal(&d->space));
    if (d->reconcile) {
        lease_stop(d->lease);
        reconcile_stop(d->reconcile);
        netsync_stop(d->netsync);
        imagecare_stop(d->imagecare);
        dns_free(d->dns);
    }
    if (d->standalone) {
        sessions_stop(d->sessions);
        standalone_stop(d->standalone);
    }
    if (d->report)
        report_stop(d->report);
    stop_next(d);
}

void daemon_stop(struct daemon *d, int code, const struct err *err)
{
    if (d->stopping)
        return;
    d->stopping = true;
    farewell_end(d);
    repair_stop(d);
    d->exit_code = code;
    if (err)
        d->fatal = *err;
    log_info("node", "stopping; containers run on");
    if (code == 0)
        handover(d, stop_parts);
    else
        stop_parts(d);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct daemon *d = signal->data;
    log_info("node", "got signal %d", number);
    if (!farewell_begin(d))
        daemon_stop(d, 0, NULL);
}

/* --- the beginning ------------------------------------------------------------------------------
 */

char *daemon_program_dir(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    check(n > 0);
    path[n] = '\0';
    *strrchr(path, '/') = '\0';
    return str_copy(path);
}

char *daemon_cgroup_parent(const char *data_dir, const char *chosen)
{
    unsigned char hash[DIGEST_BYTES];
    char hex[2 * 4 + 1];
    if (chosen)
        return str_copy(chosen);
    cleanup_free char *real = realpath(data_dir, NULL);
    const char *dir = real ? real : data_dir;
    if (strcmp(dir, NODE_DATA_DIR) == 0)
        return str_copy("/wherry");
    digest_of(dir, strlen(dir), hash);
    hex_encode(hash, 4, hex);
    return str_printf("/wherry-%s", hex);
}

static int open_runtime(struct daemon *d, struct err *err)
{
    cleanup_free char *programs = daemon_program_dir();
    cleanup_free char *cgroups = daemon_cgroup_parent(d->data_dir, d->options.cgroup_parent);
    size_t n = d->options.plain_http_n;
    cleanup_free const char **plain_http = mem_alloc(n + 1, sizeof(*plain_http));
    for (size_t i = 0; i < n; i++)
        plain_http[i] = d->options.plain_http[i];
    size_t more = d->options.oci_runtimes_n, more_n = 0;
    cleanup_free const char **oci = mem_alloc(more + 1, sizeof(*oci));
    const char *chosen = NULL;
    for (size_t i = 0; i < more; i++) {
        if (strchr(d->options.oci_runtimes[i], '='))
            oci[more_n++] = d->options.oci_runtimes[i];
        else
            chosen = d->options.oci_runtimes[i];
    }
    struct runtime_config config = {.data_dir = d->data_dir,
                                    .run_dir = d->run_dir,
                                    .cgroup_parent = cgroups,
                                    .program_dir = programs,
                                    .oci_runtime = chosen,
                                    .oci_runtimes = oci,
                                    .seccomp_profile = d->options.seccomp_profile,
                                    .plain_http = plain_http};
    int rv = runtime_open(&config, &d->runtime, err);
    if (rv == 0)
        runtime_on_registry(d->runtime, registries_access, d->registries);
    return rv;
}

static int open_parts(struct daemon *d, struct err *err)
{
    if (daemon_parse_options(d, err) < 0 || file_mkdirs(d->data_dir, 0710, err) < 0 ||
        file_mkdirs(d->run_dir, 0755, err) < 0)
        return err->code;
    cleanup_free char *identity_dir = str_printf("%s/identity", d->data_dir);
    cleanup_free char *socket = str_printf("%s/wherry.sock", d->run_dir);
    cleanup_free char *founding = str_printf("%s/identity/founding", d->data_dir);
    space_make_room(d);
    d->registries = registries_new(d);
    if (witness_open(d, err) < 0 || (!d->witness && open_runtime(d, err) < 0) ||
        leave_resume(d->data_dir, err) < 0 || identity_open(identity_dir, &d->identity, err) < 0 ||
        keyring_open(identity_dir, &d->keyring, err) < 0)
        return err->code;
    struct server_config config = {
        .loop = &d->loop, .socket_path = socket, .on_call = api_on_call, .arg = d};
    if (server_start(&config, &d->server, err) < 0)
        return err->code;
    if (web_start(d, err) < 0)
        return err->code;
    api_clean_uploads(d);
    d->jobs = jobs_new(&d->loop, JOB_THREADS);
    d->call_jobs = jobs_new(&d->loop, CALL_THREADS); /* plans are made on witnesses too */
    if (!d->witness) {
        d->image_jobs = jobs_new(&d->loop, IMAGE_THREADS);
        d->copy_jobs = jobs_new(&d->loop, COPY_THREADS);
        d->check_jobs = jobs_new(&d->loop, CHECK_THREADS);
        d->resolve_jobs = jobs_new(&d->loop, RESOLVE_THREADS);
        d->blob_jobs = jobs_new(&d->loop, BLOB_THREADS);
        d->network_jobs = jobs_new(&d->loop, 1);
        d->blobs = blobs_new(d);
        d->image_peers = blobs_peers(d->blobs);
        d->sessions = sessions_new(d);
        d->asking = waiters_new(&d->loop);
        d->standalone = standalone_new(d);
    }
    if (!identity_is_member(d->identity)) {
        restore_clean(d);
        log_info("node", "%s is not a member of a cluster yet: 'wherry init' or 'wherry join'",
                 d->name);
        return 0;
    }
    if (daemon_start_member(d, file_exists(founding), err) < 0)
        return repair_begin(d, err);
    members_resume_founding(d);
    return 0;
}

static void release(struct daemon *d)
{
    store_free(d->store);
    quota_release(&d->quota);
    keyring_free(d->keyring);
    identity_free(d->identity);
    runtime_close(d->runtime);
    registries_free(d->registries);
    if (d->witness)
        close(d->lock_fd);
    lease_free(d->lease);
    record_free_list(&pair_type, d->labels, d->labels_n);
    record_free_list(&resource_type, d->resources, d->resources_n);
    free(d->name);
    free(d->data_dir);
    free(d->run_dir);
    free(d->address);
    free(d->listen);
}

/* Containers that start by the dozen must not hold up raft and heartbeats. Of this thread alone:
 * the jobs' threads began before, and what they start is as it was. Some kernels weigh sessions
 * before threads; what the jobs start makes one of its own. Where it is not allowed, it goes
 * without. */
static void raise_loop(void)
{
    setpriority(PRIO_PROCESS, 0, LOOP_NICE);
    int fd = getsid(0) == getpid() ? open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t rv = dprintf(fd, "%d", LOOP_NICE);
        (void)rv;
        close(fd);
    }
}

int node_run(const struct node_options *options, struct err *err)
{
    if (geteuid() != 0)
        return err_set(err, ERR_DENIED, "the daemon must run as root: try 'sudo wherry node'");
    mem_tune();
    struct daemon *d = mem_alloc(1, sizeof(*d));
    d->options = *options;
    d->data_dir = str_copy(options->data_dir ? options->data_dir : NODE_DATA_DIR);
    d->run_dir = str_copy(options->run_dir ? options->run_dir : NODE_RUN_DIR);
    signal(SIGPIPE, SIG_IGN);
    umask(0022);
    check(uv_loop_init(&d->loop) == 0);
    d->stalls = stalls_new(&d->loop);
    d->tidy = tidy_new(d);
    if (open_parts(d, err) < 0)
        return err->code; /* the process ends: nothing is unwound */
    raise_loop();
    uv_signal_t signals[2];
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        uv_signal_init(&d->loop, &signals[i]);
        signals[i].data = d;
        uv_signal_start(&signals[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&signals[i]);
    }
    while (uv_run(&d->loop, UV_RUN_DEFAULT) != 0 && !d->stopping) {
    }
    int code = d->exit_code;
    bool again = d->again && code == 0;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        uv_close((uv_handle_t *)&signals[i], NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&d->loop) < 0)
        log_warn("node", "something was left on the loop");
    if (code < 0)
        *err = d->fatal;
    release(d);
    if (code == 0 && d->start_anew)
        code = leave_start_anew(options->data_dir ? options->data_dir : NODE_DATA_DIR, err);
    free(d);
    return again ? again_run(err) : code;
}
