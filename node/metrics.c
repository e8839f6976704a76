/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics: this member, what it knows of its cluster, and its own containers, in Prometheus' text
 * format (prometheus.io/docs/instrumenting/exposition_formats, names by
 * prometheus.io/docs/practices/naming). What the state says is read on the loop, what containers
 * use by a job.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/agent.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/http.h"
#include "node/job.h"
#include "node/level.h"
#include "node/reconcile.h"
#include "node/web.h"
#include "runtime/stats.h"
#include "store/level.h"
#include "store/store.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* One container of this machine. */
struct measured {
    char id[24];
    char *stack, *service, *task;
    int64_t restarts;
    bool known;
    struct container_stats stats;
};

struct measuring {
    struct http_request *request;
    struct daemon *daemon;
    struct runtime *runtime;
    struct buf out;
    struct measured *containers;
    size_t n;
};

/* --- the format ---------------------------------------------------------------------------- */

static void describe(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_label(struct buf *out, const char *name, const char *value, const char *before)
{
    buf_printf(out, "%s%s=\"", before, name);
    for (const char *c = str_or_empty(value); *c; c++) {
        if (*c == '\\' || *c == '"')
            buf_putc(out, '\\');
        if (*c == '\n')
            buf_puts(out, "\\n");
        else
            buf_putc(out, *c);
    }
    buf_putc(out, '"');
}

static void put_one(struct buf *out, const char *name, const char *type, const char *help,
                    int64_t value)
{
    describe(out, name, type, help);
    buf_printf(out, "%s %" PRId64 "\n", name, value);
}

static void put_of(struct buf *out, const char *name, const char *label, const char *value,
                   int64_t number)
{
    buf_printf(out, "%s{", name);
    put_label(out, label, value, "");
    buf_printf(out, "} %" PRId64 "\n", number);
}

/* --- the cluster, as this member knows it -------------------------------------------------- */

static void put_nodes(struct daemon *d, struct buf *out)
{
    struct node *nodes;
    size_t n;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    describe(out, "wherry_node_up", "gauge", "1 for a member that is up, 0 for one that is down.");
    for (size_t i = 0; i < n; i++)
        put_of(out, "wherry_node_up", "node", nodes[i].name, nodes[i].status == NODE_UP);
    describe(out, "wherry_node_active", "gauge", "1 for a member that takes new tasks.");
    for (size_t i = 0; i < n; i++)
        put_of(out, "wherry_node_active", "node", nodes[i].name,
               nodes[i].availability == AVAILABLE_ACTIVE && !nodes[i].witness);
    describe(out, "wherry_node_certificate_expiry_timestamp_seconds", "gauge",
             "When the certificate of a member ends.");
    for (size_t i = 0; i < n; i++)
        if (nodes[i].cert_until_ms > 0)
            put_of(out, "wherry_node_certificate_expiry_timestamp_seconds", "node", nodes[i].name,
                   nodes[i].cert_until_ms / 1000);
    record_free_list(&node_type, nodes, n);
}

static void put_service(struct buf *out, const char *name, const struct service *s, int64_t value)
{
    buf_printf(out, "%s{", name);
    put_label(out, "stack", s->stack, "");
    put_label(out, "service", s->name, ",");
    buf_printf(out, "} %" PRId64 "\n", value);
}

static int64_t count_healthy(const struct task *tasks, size_t n, int64_t service_id)
{
    int64_t healthy = 0;
    for (size_t i = 0; i < n; i++)
        healthy += tasks[i].service_id == service_id && tasks[i].desired == DESIRED_RUN &&
                   task_is_healthy(&tasks[i]);
    return healthy;
}

static void put_services(struct daemon *d, struct buf *out)
{
    struct service *services;
    struct task *tasks;
    size_t n, tasks_n;
    int64_t states[TASK_ENDED + 1] = {0};
    store_list(d->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    store_list(d->store, TABLE_TASK, BY_NONE, 0, &tasks, &tasks_n);
    describe(out, "wherry_service_replicas", "gauge",
             "Tasks that a replicated service is to have.");
    for (size_t i = 0; i < n; i++)
        if (services[i].spec.mode == MODE_REPLICATED && !services[i].removed)
            put_service(out, "wherry_service_replicas", &services[i],
                        services[i].stopped ? 0 : services[i].spec.replicas);
    describe(out, "wherry_service_healthy_tasks", "gauge",
             "Tasks of a service that run, and are healthy if that is checked.");
    for (size_t i = 0; i < n; i++)
        if (!mode_is_job(services[i].spec.mode) && !services[i].removed)
            put_service(out, "wherry_service_healthy_tasks", &services[i],
                        count_healthy(tasks, tasks_n, services[i].id));
    for (size_t i = 0; i < tasks_n; i++)
        states[tasks[i].state]++;
    describe(out, "wherry_tasks", "gauge", "Tasks of the cluster by their state.");
    for (int i = 0; task_state_names[i]; i++)
        put_of(out, "wherry_tasks", "state", task_state_names[i], states[i]);
    record_free_list(&service_type, services, n);
    record_free_list(&task_type, tasks, tasks_n);
}

static void put_member(struct daemon *d, struct buf *out)
{
    describe(out, "wherry_build_info", "gauge", "The release of this member's daemon.");
    put_of(out, "wherry_build_info", "version", level_version(d), 1);
    put_one(out, "wherry_member", "gauge", "1 when this machine is a member of a cluster.",
            d->waiters != NULL);
    if (!d->waiters)
        return;
    int64_t leader = consensus_leader(d->consensus);
    put_one(out, "wherry_raft_has_leader", "gauge", "1 when this member knows a leader.",
            leader != 0);
    put_one(out, "wherry_raft_is_leader", "gauge", "1 for the member that leads.", leader == d->id);
    put_one(out, "wherry_raft_term", "gauge", "Raft's term: elections so far.",
            consensus_term(d->consensus));
    put_one(out, "wherry_raft_commit_index", "gauge",
            "Index of the last entry of the log that is committed.",
            consensus_commit_index(d->consensus));
    put_one(out, "wherry_raft_applied_index", "gauge",
            "Index of the last entry that this member's copy of the state has.",
            store_index(d->store));
    put_one(out, "wherry_raft_contact", "gauge",
            "1 when this member has heard of a leader in time.", daemon_is_synced(d));
    put_one(out, "wherry_cluster_level", "gauge", "The level of changes that is in use.",
            store_level(d->store));
    put_nodes(d, out);
    put_services(d, out);
}

/* --- this process -------------------------------------------------------------------------- */

static int64_t count_files(const char *path)
{
    DIR *dir = opendir(path);
    int64_t n = -3; /* ".", ".." and this one */
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n > 0 ? n : 0;
}

static void put_process(struct measuring *m)
{
    cleanup_buf struct buf stat = BUF_INIT;
    struct statvfs disk;
    struct err err;
    unsigned long long user = 0, system = 0, start = 0;
    long pages = 0;
    const char *rest = NULL;
    if (file_read("/proc/self/stat", 4096, &stat, &err) == 0) {
        buf_putc(&stat, '\0');
        rest = strrchr(stat.data, ')');
    }
    /* proc(5): utime, stime, starttime and rss are the 14th, 15th, 22nd and 24th field. */
    if (rest)
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
               "%llu %*u %ld",
               &user, &system, &start, &pages);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    struct timespec boot, now;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_REALTIME, &now);
    describe(&m->out, "process_cpu_seconds_total", "counter", "Processor time of the daemon.");
    buf_printf(&m->out, "process_cpu_seconds_total %.2f\n", (double)(user + system) / ticks);
    put_one(&m->out, "process_resident_memory_bytes", "gauge", "Memory of the daemon.",
            (int64_t)pages * sysconf(_SC_PAGESIZE));
    put_one(&m->out, "process_open_fds", "gauge", "Open files of the daemon.",
            count_files("/proc/self/fd"));
    describe(&m->out, "process_start_time_seconds", "gauge", "When the daemon started.");
    buf_printf(&m->out, "process_start_time_seconds %.2f\n",
               (double)now.tv_sec - (double)boot.tv_sec + (double)start / ticks);
    if (statvfs(m->daemon->data_dir, &disk) == 0) {
        put_one(&m->out, "wherry_disk_free_bytes", "gauge",
                "Room on the file system of the data folder.",
                (int64_t)(disk.f_bavail * disk.f_frsize));
        put_one(&m->out, "wherry_disk_size_bytes", "gauge",
                "Size of the file system of the data folder.",
                (int64_t)(disk.f_blocks * disk.f_frsize));
    }
}

/* --- containers ---------------------------------------------------------------------------- */

enum number {
    NUMBER_SECONDS, /* of nanoseconds */
    NUMBER_MICRO,   /* seconds of microseconds */
    NUMBER_PLAIN,
};

static const struct {
    const char *name, *type, *help;
    size_t offset;
    enum number number;
    bool if_set; /* 0 is not given: no limit */
} metrics[] = {
#define STAT(member) offsetof(struct container_stats, member)
    {"wherry_container_cpu_seconds_total", "counter", "Processor time.", STAT(cpu_ns),
     NUMBER_SECONDS, false},
    {"wherry_container_cpu_throttled_seconds_total", "counter",
     "Time for which it had to wait for its limit of processor time.", STAT(throttled_ns),
     NUMBER_SECONDS, false},
    {"wherry_container_memory_bytes", "gauge", "Memory, with the cache of files.",
     STAT(memory_bytes), NUMBER_PLAIN, false},
    {"wherry_container_memory_working_set_bytes", "gauge",
     "Memory without files that were not used for long.", STAT(memory_working_bytes), NUMBER_PLAIN,
     false},
    {"wherry_container_memory_limit_bytes", "gauge", "Its limit of memory.",
     STAT(memory_limit_bytes), NUMBER_PLAIN, true},
    {"wherry_container_oom_kills_total", "counter",
     "Processes that were killed for want of memory, in this run.", STAT(oom_kills), NUMBER_PLAIN,
     false},
    {"wherry_container_processes", "gauge", "Its processes and threads.", STAT(pids), NUMBER_PLAIN,
     false},
    {"wherry_container_fs_read_bytes_total", "counter", "Read from block devices.",
     STAT(read_bytes), NUMBER_PLAIN, false},
    {"wherry_container_fs_written_bytes_total", "counter", "Written to block devices.",
     STAT(write_bytes), NUMBER_PLAIN, false},
    {"wherry_container_network_receive_bytes_total", "counter", "Received over its own links.",
     STAT(rx_bytes), NUMBER_PLAIN, false},
    {"wherry_container_network_transmit_bytes_total", "counter", "Sent over its own links.",
     STAT(tx_bytes), NUMBER_PLAIN, false},
    {"wherry_container_network_receive_dropped_total", "counter", "Packets dropped on receipt.",
     STAT(rx_dropped), NUMBER_PLAIN, false},
    {"wherry_container_pressure_cpu_waiting_seconds_total", "counter",
     "Time in which some process waited for a processor (control groups of version 2).",
     STAT(cpu_pressure.some_us), NUMBER_MICRO, false},
    {"wherry_container_pressure_memory_waiting_seconds_total", "counter",
     "Time in which some process waited for memory (control groups of version 2).",
     STAT(memory_pressure.some_us), NUMBER_MICRO, false},
    {"wherry_container_pressure_io_waiting_seconds_total", "counter",
     "Time in which some process waited for a disk (control groups of version 2).",
     STAT(io_pressure.some_us), NUMBER_MICRO, false},
#undef STAT
};

static void put_container(struct buf *out, const char *name, const struct measured *c)
{
    buf_printf(out, "%s{", name);
    put_label(out, "stack", c->stack, "");
    put_label(out, "service", c->service, ",");
    put_label(out, "task", c->task, ",");
    buf_puts(out, "} ");
}

static void put_containers(struct measuring *m)
{
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
        describe(&m->out, metrics[i].name, metrics[i].type, metrics[i].help);
        for (size_t k = 0; k < m->n; k++) {
            const struct measured *c = &m->containers[k];
            int64_t value = *(const int64_t *)((const char *)&c->stats + metrics[i].offset);
            if (!c->known || (metrics[i].if_set && value == 0))
                continue;
            put_container(&m->out, metrics[i].name, c);
            if (metrics[i].number == NUMBER_PLAIN)
                buf_printf(&m->out, "%" PRId64 "\n", value);
            else
                buf_printf(&m->out, "%.6f\n",
                           (double)value / (metrics[i].number == NUMBER_SECONDS ? 1e9 : 1e6));
        }
    }
    describe(&m->out, "wherry_container_restarts_total", "counter",
             "Runs of a task after its first.");
    for (size_t k = 0; k < m->n; k++) {
        put_container(&m->out, "wherry_container_restarts_total", &m->containers[k]);
        buf_printf(&m->out, "%" PRId64 "\n", m->containers[k].restarts);
    }
}

/* The tasks here that run. */
static void list_containers(struct measuring *m)
{
    const struct agent *agents =
        m->daemon->reconcile ? reconcile_agents(m->daemon->reconcile) : NULL;
    size_t n = 0;
    for (const struct agent *a = agents; a; a = a->next)
        n++;
    m->containers = mem_alloc(n, sizeof(*m->containers));
    for (const struct agent *a = agents; a; a = a->next) {
        struct measured *c = &m->containers[m->n];
        if (a->phase != AGENT_RUN && a->phase != AGENT_DRAIN && a->phase != AGENT_ANEW)
            continue;
        memcpy(c->id, a->id, sizeof(c->id));
        c->stack = str_copy(a->task.stack);
        c->service = str_copy(a->task.service);
        c->task = str_printf("%s.%s.%" PRId64, a->task.stack, a->task.service, a->task.slot);
        c->restarts = a->run > 1 ? a->run - 1 : 0;
        m->n++;
    }
}

static void work(void *arg)
{
    struct measuring *m = arg;
    for (size_t i = 0; i < m->n; i++) {
        struct err err;
        m->containers[i].known =
            container_stats(m->runtime, m->containers[i].id, &m->containers[i].stats, &err) == 0;
    }
    put_process(m);
    put_containers(m);
}

static void done(void *arg)
{
    struct measuring *m = arg;
    http_answer(m->request, 200, "text/plain; version=0.0.4; charset=utf-8", &m->out);
    for (size_t i = 0; i < m->n; i++) {
        free(m->containers[i].stack);
        free(m->containers[i].service);
        free(m->containers[i].task);
    }
    free(m->containers);
    free(m);
}

void web_metrics(struct daemon *d, struct http_request *r)
{
    struct measuring *m = mem_alloc(1, sizeof(*m));
    m->request = r;
    m->daemon = d;
    m->runtime = d->runtime;
    m->out = (struct buf)BUF_INIT;
    put_member(d, &m->out);
    if (d->runtime)
        list_containers(m);
    jobs_run(d->call_jobs, work, done, m);
}
