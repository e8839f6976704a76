/* SPDX-License-Identifier: Apache-2.0 */
#include "node/container_of.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/network.h"
#include "store/options.h"

#include <stdlib.h>
#include <string.h>

/* --- what a plan owns ---------------------------------------------------------------------- */

static void *keep(struct container_plan *plan, void *owned)
{
    plan->owned = mem_resize(plan->owned, plan->owned_n + 1, sizeof(*plan->owned));
    plan->owned[plan->owned_n++] = owned;
    return owned;
}

static void *array(struct container_plan *plan, size_t n, size_t size)
{
    return keep(plan, mem_alloc(n, size));
}

void container_plan_release(struct container_plan *plan)
{
    for (size_t i = 0; i < plan->owned_n; i++)
        free(plan->owned[i]);
    free(plan->owned);
    *plan = (struct container_plan){0};
}

/* A NULL-terminated view of a list. */
static const char *const *strings(struct container_plan *plan, char *const *list, size_t n)
{
    const char **view = array(plan, n + 1, sizeof(*view));
    for (size_t i = 0; i < n; i++)
        view[i] = list[i];
    return view;
}

/* The same, NULL when it is empty: the default. */
static const char *const *strings_if(struct container_plan *plan, char *const *list, size_t n)
{
    return n > 0 ? strings(plan, list, n) : NULL;
}

/* "K=V" of each pair; NULL when there is none. */
static const char *const *pairs(struct container_plan *plan, const struct pair *list, size_t n)
{
    if (n == 0)
        return NULL;
    const char **view = array(plan, n + 1, sizeof(*view));
    for (size_t i = 0; i < n; i++)
        view[i] =
            keep(plan, str_printf("%s=%s", str_or_empty(list[i].key), str_or_empty(list[i].value)));
    return view;
}

static const char *text_if(const char *text)
{
    return text && *text ? text : NULL;
}

/* --- names --------------------------------------------------------------------------------- */

char *container_hostname(const struct spec *spec, const struct task *task)
{
    return *str_or_empty(spec->hostname)
               ? str_copy(spec->hostname)
               : str_printf("%s-%lld", str_or_empty(task->service), (long long)task->slot);
}

const char *container_image(const struct spec *spec)
{
    return *str_or_empty(spec->image_digest) ? spec->image_digest : str_or_empty(spec->image);
}

static void put_words(struct buf *out, const char *word, char *const *list, size_t n)
{
    if (n == 0)
        return;
    buf_puts(out, word);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, " %s", list[i]);
    buf_putc(out, '\n');
}

/* Inside a network our own resolver comes first and alone, for others would not know the cluster's
 * names: it asks the servers of the spec itself (node/dns.c). On the host's network there is no
 * resolver of ours: the host's file, or the spec's servers. */
static const char *resolv_conf(struct container_plan *plan, const struct container_options *o)
{
    struct buf out = BUF_INIT;
    if (o->network_host && o->dns_n == 0)
        return NULL;
    for (size_t i = 0; i < o->dns_n && o->network_host; i++)
        buf_printf(&out, "nameserver %s\n", o->dns[i]);
    if (!o->network_host)
        buf_puts(&out, "nameserver " NETWORK_GATEWAY "\n");
    put_words(&out, "search", o->dns_search, o->dns_search_n);
    bool dots = o->network_host;
    for (size_t i = 0; i < o->dns_opt_n; i++)
        dots = dots || str_starts(o->dns_opt[i], "ndots:");
    if (!dots)
        buf_puts(&out, "options ndots:0\n");
    put_words(&out, "options", o->dns_opt, o->dns_opt_n);
    return keep(plan, buf_take(&out));
}

static const char *hosts(struct container_plan *plan, const struct container_of *from)
{
    const struct container_options *o = &from->spec->options;
    struct buf out = BUF_INIT;
    buf_puts(&out, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if (from->address && *str_or_empty(o->domainname))
        buf_printf(&out, "%s\t%s.%s %s\n", from->address, from->hostname, o->domainname,
                   from->hostname);
    else if (from->address)
        buf_printf(&out, "%s\t%s\n", from->address, from->hostname);
    for (size_t i = 0; i < o->extra_hosts_n; i++) {
        const char *entry = str_or_empty(o->extra_hosts[i]);
        const char *space = strchr(entry, ' ');
        const char *address = space ? space + 1 : NULL;
        if (address && strcmp(address, "host-gateway") == 0)
            address = from->node_address;
        if (address)
            buf_printf(&out, "%s\t%.*s\n", address, (int)(space - entry), entry);
    }
    return keep(plan, buf_take(&out));
}

/* --- files and devices --------------------------------------------------------------------- */

static void set_mounts(struct container_plan *plan, const struct container_of *from)
{
    const struct spec *s = from->spec;
    size_t files = from->file_sources ? s->configs_n + s->secrets_n : 0;
    struct container_mount *mounts = array(plan, s->mounts_n + files, sizeof(*mounts));
    for (size_t i = 0; i < s->mounts_n; i++) {
        const char *here = from->mount_sources ? from->mount_sources[i] : NULL;
        mounts[i] = (struct container_mount){.source = here ? here : s->mounts[i].source,
                                             .target = s->mounts[i].target,
                                             .read_only = s->mounts[i].read_only,
                                             .fill = s->mounts[i].kind == MOUNT_VOLUME &&
                                                     !s->mounts[i].no_copy &&
                                                     !*str_or_empty(s->mounts[i].subpath),
                                             .propagation = text_if(s->mounts[i].propagation)};
    }
    for (size_t i = 0; i < files; i++) {
        const struct content_ref *ref =
            i < s->configs_n ? &s->configs[i] : &s->secrets[i - s->configs_n];
        mounts[s->mounts_n + i] = (struct container_mount){
            .source = from->file_sources[i], .target = ref->target, .read_only = true};
    }
    plan->spec.mounts = mounts;
    plan->spec.mounts_n = s->mounts_n + files;
}

static void set_files(struct container_plan *plan, const struct container_options *o)
{
    struct container_tmpfs *tmpfs = array(plan, o->tmpfs_n, sizeof(*tmpfs));
    for (size_t i = 0; i < o->tmpfs_n; i++)
        tmpfs[i] = (struct container_tmpfs){
            .target = o->tmpfs[i].target,
            .size_bytes = o->tmpfs[i].size_bytes,
            .mode = o->tmpfs[i].mode,
            .options = strings_if(plan, o->tmpfs[i].options, o->tmpfs[i].options_n)};
    plan->spec.tmpfs = tmpfs;
    plan->spec.tmpfs_n = o->tmpfs_n;
    plan->spec.shm_bytes = o->shm_bytes;
    plan->spec.storage_bytes = o->storage_bytes;
    struct container_device *devices = array(plan, o->devices_n, sizeof(*devices));
    for (size_t i = 0; i < o->devices_n; i++)
        devices[i] = (struct container_device){.source = o->devices[i].source,
                                               .target = text_if(o->devices[i].target),
                                               .access = text_if(o->devices[i].access)};
    plan->spec.devices = devices;
    plan->spec.devices_n = o->devices_n;
    plan->spec.device_rules = strings_if(plan, o->device_rules, o->device_rules_n);
}

/* --- limits -------------------------------------------------------------------------------- */

static void add_io(struct container_io *io, size_t *n, enum container_io_kind kind,
                   const struct io_spec *list, size_t list_n)
{
    for (size_t i = 0; i < list_n; i++)
        io[(*n)++] =
            (struct container_io){.kind = kind, .path = list[i].path, .value = list[i].value};
}

static void set_io(struct container_plan *plan, const struct blkio_spec *b)
{
    size_t all = b->weights_n + b->read_bps_n + b->write_bps_n + b->read_iops_n + b->write_iops_n;
    struct container_io *io = array(plan, all, sizeof(*io));
    size_t n = 0;
    add_io(io, &n, CONTAINER_IO_WEIGHT, b->weights, b->weights_n);
    add_io(io, &n, CONTAINER_IO_READ_BPS, b->read_bps, b->read_bps_n);
    add_io(io, &n, CONTAINER_IO_WRITE_BPS, b->write_bps, b->write_bps_n);
    add_io(io, &n, CONTAINER_IO_READ_IOPS, b->read_iops, b->read_iops_n);
    add_io(io, &n, CONTAINER_IO_WRITE_IOPS, b->write_iops, b->write_iops_n);
    plan->spec.io_weight = b->weight;
    plan->spec.io = io;
    plan->spec.io_n = n;
}

static void set_limits(struct container_plan *plan, const struct spec *s)
{
    const struct container_options *o = &s->options;
    struct container_spec *c = &plan->spec;
    c->cpu_milli = s->limits.cpu_milli;
    c->memory_bytes = s->limits.memory_bytes;
    c->pids_max = s->limits.pids;
    c->memswap_bytes = o->memswap_bytes;
    c->swappiness_set = o->swappiness_set;
    /* What the scheduler keeps free for a task is kept for it when memory is short, too. */
    c->reserved_bytes = o->reserved_bytes ? o->reserved_bytes : s->reservations.memory_bytes;
    c->cpuset = text_if(o->cpuset);
    c->cpu_shares = o->cpu_shares;
    c->oom_score_adj = o->oom_score_adj;
    c->oom_kill_disable = o->oom_kill_disable;
    set_io(plan, &o->blkio);
    struct container_ulimit *ulimits = array(plan, o->ulimits_n, sizeof(*ulimits));
    for (size_t i = 0; i < o->ulimits_n; i++)
        ulimits[i] = (struct container_ulimit){
            .name = o->ulimits[i].name, .soft = o->ulimits[i].soft, .hard = o->ulimits[i].hard};
    c->ulimits = ulimits;
    c->ulimits_n = o->ulimits_n;
}

/* --- what it may, and the rest ------------------------------------------------------------- */

static void set_security(struct container_plan *plan, const struct container_options *o)
{
    struct container_spec *c = &plan->spec;
    c->cap_add = strings_if(plan, o->cap_add, o->cap_add_n);
    c->cap_drop = strings_if(plan, o->cap_drop, o->cap_drop_n);
    c->privileged = o->privileged;
    c->no_new_privileges = o->no_new_privileges;
    c->seccomp = text_if(o->seccomp);
    c->apparmor = text_if(o->apparmor);
    c->sysctls = pairs(plan, o->sysctls, o->sysctls_n);
    c->pid_host = str_equal(o->pid, "host");
    c->ipc_host = str_equal(o->ipc, "host");
    c->uts_host = str_equal(o->uts, "host");
    c->cgroupns_host = str_equal(o->cgroup, "host");
    c->userns = str_equal(o->userns, "auto");
}

static void set_log(struct container_spec *c, const struct logging_spec *logging)
{
    c->log_none = str_equal(logging->driver, "none");
    c->log_max_bytes = logging_number(logging, "max-size");
    c->log_files = logging_number(logging, "max-file");
}

static void set_process(struct container_plan *plan, const struct spec *s)
{
    const struct container_options *o = &s->options;
    struct container_spec *c = &plan->spec;
    c->entrypoint = s->entrypoint_set ? strings(plan, s->entrypoint, s->entrypoint_n) : NULL;
    c->command = s->command_set ? strings(plan, s->command, s->command_n) : NULL;
    c->env = strings(plan, s->environment, s->environment_n);
    c->user = text_if(s->user);
    c->group_add = strings_if(plan, o->group_add, o->group_add_n);
    c->working_dir = text_if(s->working_dir);
    c->stop_signal = text_if(s->stop_signal);
    c->read_only = s->read_only;
    c->init = o->init == INIT_YES;
    c->stdin_open = o->stdin_open;
    c->tty = o->tty;
}

void container_plan_init(struct container_plan *plan, const struct container_of *from)
{
    const struct spec *s = from->spec;
    bool shared_names = str_equal(s->options.uts, "host"); /* then they are the machine's */
    *plan = (struct container_plan){.spec = {
                                        .id = from->id,
                                        .image = container_image(s),
                                        .hostname = shared_names ? NULL : from->hostname,
                                        .domainname = text_if(s->options.domainname),
                                        .netns = s->options.network_host ? NULL : from->netns,
                                        .oci_runtime = text_if(s->options.runtime),
                                    }};
    plan->spec.resolv_conf = resolv_conf(plan, &s->options);
    plan->spec.hosts = hosts(plan, from);
    plan->spec.labels = pairs(plan, s->labels, s->labels_n);
    plan->spec.annotations = pairs(plan, s->options.annotations, s->options.annotations_n);
    set_process(plan, s);
    set_mounts(plan, from);
    set_files(plan, &s->options);
    set_limits(plan, s);
    set_security(plan, &s->options);
    set_log(&plan->spec, &s->options.logging);
}
