/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.*: the volumes of a machine. What the cluster's state says of them is read on the loop,
 * what the disk says by a job.
 *
 * A row of the state outlives the folder: it says where a volume's home is, and there the next task
 * that mounts it finds an empty one. So a removal changes no state.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/elsewhere.h"
#include "node/job.h"
#include "node/propose.h"
#include "node/standalone.h"
#include "runtime/volume.h"
#include "runtime/volume_snapshot.h"
#include "store/level.h"
#include "store/options.h"

#include <stdlib.h>
#include <string.h>

enum {
    ELSEWHERE_MS = 60000,
    ENTRIES_MAX = 200000, /* files and folders that one call counts */
};

/* What the state says of one volume. */
struct known {
    char *name;
    char *stack; /* "" when it was removed */
    bool home;
    char **services;
    size_t services_n;
};

struct work {
    struct api_call *call;
    struct runtime *runtime;
    char *node;
    char *name; /* NULL: all */
    bool all, dry_run, force;
    bool out_of_touch; /* our copy of the state may be old */
    struct known *known;
    size_t known_n;
    struct volume_list_reply reply;
    struct err err;
    void (*run)(struct work *w);
    int then;                           /* a kind of change to be proposed after it; 0: none */
    struct change_volume_create create; /* its body, when a volume is made */
};

/* --- what the state says ---------------------------------------------------------------------- */

static bool mounts(const struct spec *spec, const char *volume)
{
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (spec->mounts[i].kind == MOUNT_VOLUME && str_equal(spec->mounts[i].source, volume))
            return true;
    return false;
}

static void add_services(struct known *k, const struct service *services, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!mounts(&services[i].spec, k->name))
            continue;
        k->services = mem_resize(k->services, k->services_n + 1, sizeof(*k->services));
        k->services[k->services_n++] = str_printf("%s.%s", services[i].stack, services[i].name);
    }
}

static void read_state(struct work *w, struct daemon *d)
{
    struct volume *volumes = NULL;
    struct service *services = NULL;
    size_t n = 0, services_n = 0;
    if (!d->store)
        return;
    store_list(d->store, TABLE_VOLUME, BY_NONE, 0, &volumes, &n);
    store_list(d->store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    w->known = mem_alloc(n, sizeof(*w->known));
    for (size_t i = 0; i < n; i++) {
        struct known *k = &w->known[w->known_n++];
        struct stack stack;
        k->name = str_copy(str_or_empty(volumes[i].name));
        k->home = volumes[i].home_node_id == d->id;
        if (store_get(d->store, TABLE_STACK, volumes[i].stack_id, &stack) == 0) {
            k->stack = str_copy(stack.name);
            record_release(&stack_type, &stack);
        }
        add_services(k, services, services_n);
    }
    record_free_list(&volume_type, volumes, n);
    record_free_list(&service_type, services, services_n);
    w->out_of_touch = !daemon_is_synced(d);
}

static const struct known *find_known(const struct work *w, const char *name)
{
    for (size_t i = 0; i < w->known_n; i++)
        if (strcmp(w->known[i].name, name) == 0)
            return &w->known[i];
    return NULL;
}

/* --- the course of a call --------------------------------------------------------------------- */

static void on_work(void *arg)
{
    struct work *w = arg;
    w->run(w);
}

static void work_end(struct work *w)
{
    if (w->err.code != 0)
        api_fail(w->call, &w->err);
    else if (w->call->verb->reply == &empty_type)
        api_reply(w->call, &(struct empty){0});
    else
        api_reply(w->call, &w->reply);
    record_release(&volume_list_reply_type, &w->reply);
    for (size_t i = 0; i < w->known_n; i++) {
        for (size_t s = 0; s < w->known[i].services_n; s++)
            free(w->known[i].services[s]);
        free(w->known[i].services);
        free(w->known[i].stack);
        free(w->known[i].name);
    }
    free(w->known);
    free(w->node);
    free(w->name);
    record_release(&change_volume_create_type, &w->create);
    free(w);
}

/* The state may say of a volume what was asked for already, or need it still. */
static void on_stated(void *arg, const struct change_result *result)
{
    struct work *w = arg;
    if (result->err.code != 0 && result->err.code != ERR_EXISTS &&
        result->err.code != ERR_NOTFOUND && result->err.code != ERR_CONFLICT)
        w->err = result->err;
    work_end(w);
}

static void on_done(void *arg)
{
    struct work *w = arg;
    struct daemon *d = w->call->daemon;
    const struct change_volume_remove removed = {.name = w->name, .home_node_id = d->id};
    if (w->err.code != 0 || w->then == 0 || d->stopping)
        work_end(w);
    else
        propose_request(d->propose, &w->call->caller, (enum change_kind)w->then,
                        w->then == CHANGE_VOLUME_CREATE ? (const void *)&w->create : &removed, NULL,
                        0, PROPOSE_TIMEOUT_MS, on_stated, w);
}

/* The cluster's state can be told of volumes now. */
static bool is_in_touch(struct daemon *d)
{
    return d->store && d->propose && daemon_is_synced(d) && store_level(d->store) >= 5;
}

/* NULL: @c was answered, or goes on. */
static struct work *begin(struct api_call *c, const char *node, const char *volume,
                          const void *request, void (*run)(struct work *w))
{
    struct daemon *d = c->daemon;
    if (call_elsewhere(c, node, request, ELSEWHERE_MS))
        return NULL;
    if (!d->runtime) {
        api_fail_with(c, ERR_UNSUPPORTED, "%s is a witness and has no volumes", d->name);
        return NULL;
    }
    struct work *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    w->runtime = d->runtime;
    w->node = str_copy(d->name);
    w->name = *str_or_empty(volume) ? str_copy(volume) : NULL;
    w->run = run;
    read_state(w, d);
    return w;
}

static void go(struct work *w)
{
    jobs_run(w->call->daemon->jobs, on_work, on_done, w);
}

/* --- what the disk says ----------------------------------------------------------------------- */

static bool ends_in_number(const char *name)
{
    const char *dash = strrchr(name, '-');
    return dash && dash[1] && strspn(dash + 1, "0123456789") == strlen(dash + 1);
}

/* "t42-0" or "c-web-0": made for one container, by its id. */
static bool is_anonymous(const char *name)
{
    const char *digits = name + 1;
    size_t n = strspn(digits, "0123456789");
    if (!ends_in_number(name))
        return false;
    return (name[0] == 't' && n > 0 && digits[n] == '-' && strrchr(name, '-') == digits + n) ||
           str_starts(name, "c-");
}

static void describe(struct work *w, struct volume_state *v, struct volume_info *out)
{
    const struct known *k = find_known(w, v->name);
    *out = (struct volume_info){.name = str_copy(v->name),
                                .node = str_copy(w->node),
                                .path = str_copy(v->path),
                                .size_bytes = v->size_bytes,
                                .size_cut = v->size_cut,
                                .limit_bytes = v->limit_bytes,
                                .anonymous = is_anonymous(v->name),
                                .stack = k ? str_copy(k->stack) : NULL,
                                .home = k && k->home,
                                .created_ms = v->created_ms};
    out->users = mem_alloc(v->users_n, sizeof(*out->users));
    for (size_t i = 0; i < v->users_n; i++)
        out->users[out->users_n++] = str_copy(v->users[i]);
    out->services = mem_alloc(k ? k->services_n : 0, sizeof(*out->services));
    for (size_t i = 0; k && i < k->services_n; i++)
        out->services[out->services_n++] = str_copy(k->services[i]);
}

static void work_list(struct work *w)
{
    struct volume_state *volumes;
    size_t n;
    int64_t entries = ENTRIES_MAX;
    if (volume_list(w->runtime, w->name, true, &volumes, &n, &w->err) < 0)
        return;
    if (n == 0 && w->name)
        err_set(&w->err, ERR_NOTFOUND,
                "there is no volume '%.130s' on %.63s ('wherry volume ls' lists them)", w->name,
                w->node);
    w->reply.volumes = mem_alloc(n, sizeof(*w->reply.volumes));
    for (size_t i = 0; i < n; i++) {
        volume_measure(&volumes[i], &entries);
        describe(w, &volumes[i], &w->reply.volumes[w->reply.volumes_n++]);
    }
    volume_list_free(volumes, n);
}

void api_volume_list(struct api_call *c, const void *request)
{
    const struct volume_request *r = request;
    struct work *w = begin(c, r->node, NULL, r, work_list);
    if (w)
        go(w);
}

void api_volume_inspect(struct api_call *c, const void *request)
{
    const struct volume_request *r = request;
    if (!*str_or_empty(r->volume)) {
        api_fail_with(c, ERR_INVALID, "no volume was named");
        return;
    }
    struct work *w = begin(c, r->node, r->volume, r, work_list);
    if (w)
        go(w);
}

/* --- create ----------------------------------------------------------------------------------- */

static struct pair *copy_pairs(const struct pair *from, size_t n)
{
    struct pair *to = mem_alloc(n, sizeof(*to));
    for (size_t i = 0; i < n; i++)
        record_copy(&pair_type, &from[i], &to[i]);
    return to;
}

static void work_create(struct work *w)
{
    const struct volume *v = &w->create.volume;
    const int64_t size = volume_size(v->options, v->options_n);
    char *path = NULL;
    if ((size == 0 || volume_can_limit(w->runtime, &w->err) == 0) &&
        volume_ensure(w->runtime, w->name, &path, &w->err) == 0 && size > 0)
        volume_limit(w->runtime, w->name, size, &w->err);
    free(path);
}

void api_volume_create(struct api_call *c, const void *request)
{
    const struct volume_request *r = request;
    if (is_anonymous(str_or_empty(r->volume)) || !volume_name_ok(str_or_empty(r->volume))) {
        api_fail_with(c, ERR_INVALID,
                      "'%.140s' is no name for a volume: 1 to 128 of a-z, A-Z, 0-9, _ . -, not as "
                      "those of containers are called (t1-0, c-web-0)",
                      str_or_empty(r->volume));
        return;
    }
    struct err err = {0};
    const int level = c->daemon->store ? store_level(c->daemon->store) : LEVEL_KNOWN;
    if (volume_options_check(r->options, r->options_n, level, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct work *w = begin(c, r->node, r->volume, r, work_create);
    if (!w)
        return;
    if (r->options_n + r->labels_n > 0 && !is_in_touch(c->daemon)) {
        err_set(
            &w->err, ERR_UNAVAILABLE,
            "options and labels of volumes are kept by the cluster, which this machine is in no "
            "touch with, or some member is of an older release");
        work_end(w);
        return;
    }
    if (is_in_touch(c->daemon)) {
        struct volume *v = &w->create.volume;
        *v = (struct volume){.name = str_copy(r->volume),
                             .options = copy_pairs(r->options, r->options_n),
                             .options_n = r->options_n,
                             .labels = copy_pairs(r->labels, r->labels_n),
                             .labels_n = r->labels_n};
        v->home_node_id = volume_is_anywhere(v) ? 0 : c->daemon->id;
        w->then = CHANGE_VOLUME_CREATE;
    }
    go(w);
}

/* --- remove ----------------------------------------------------------------------------------- */

static int check_unused(const struct volume_state *v, struct err *err)
{
    if (v->users_n == 0)
        return 0;
    bool task = v->users[0][0] == 't';
    return err_set(err, ERR_CONFLICT, "volume %.130s is used by container %.40s%s: %s first",
                   v->name, v->users[0], v->users_n > 1 ? " and others" : "",
                   task ? "remove its service" : "'wherry container rm' it");
}

/* May the data go that the cluster's services have here? */
static int check_state(const struct work *w, const char *name, struct err *err)
{
    const struct known *k = find_known(w, name);
    if (!k || w->force)
        return 0;
    if (k->home && k->services_n > 0)
        return err_set(err, ERR_CONFLICT,
                       "volume %.100s is the data of service %.80s, which has its home here: "
                       "--force deletes it all the same",
                       name, k->services[0]);
    if (w->out_of_touch)
        return err_set(err, ERR_UNAVAILABLE,
                       "volume %.100s is of the cluster, which this member is not in touch with "
                       "now, so it cannot tell who needs it: --force deletes it all the same",
                       name);
    return 0;
}

/* A volume takes its snapshots along when that is meant. */
static int check_snapshots(const struct work *w, const char *name, struct err *err)
{
    struct volume_snapshot *list;
    size_t n;
    int rv = volume_snapshots(w->runtime, name, &list, &n, err);
    if (rv == 0 && n > 0 && !w->force)
        rv = err_set(err, ERR_CONFLICT,
                     "volume %.100s has %zu snapshot%s, which would go too: remove them, or say "
                     "--force",
                     name, n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n && rv == 0; i++)
        rv = volume_snapshot_remove(w->runtime, name, list[i].name, err);
    volume_snapshots_free(list, n);
    return rv;
}

static void work_remove(struct work *w)
{
    struct volume_state *volumes;
    size_t n;
    if (volume_list(w->runtime, w->name, false, &volumes, &n, &w->err) < 0)
        return;
    if (n == 0)
        err_set(&w->err, ERR_NOTFOUND,
                "there is no volume '%.130s' on %.63s ('wherry volume ls' lists them)", w->name,
                w->node);
    else if (check_unused(&volumes[0], &w->err) == 0 && check_state(w, w->name, &w->err) == 0 &&
             check_snapshots(w, w->name, &w->err) == 0)
        volume_remove(w->runtime, w->name, &w->err);
    volume_list_free(volumes, n);
}

/* Between the making of a volume and that of its container nobody is seen to use it. */
static bool may_delete(struct api_call *c)
{
    if (!c->daemon->standalone || !standalone_is_creating(c->daemon->standalone))
        return true;
    api_fail_with(c, ERR_BUSY, "a container is being made on this machine: try again");
    return false;
}

void api_volume_remove(struct api_call *c, const void *request)
{
    const struct volume_remove_request *r = request;
    if (!*str_or_empty(r->volume)) {
        api_fail_with(c, ERR_INVALID, "no volume was named");
        return;
    }
    struct work *w = call_elsewhere(c, r->node, r, ELSEWHERE_MS) || !may_delete(c)
                         ? NULL
                         : begin(c, NULL, r->volume, r, work_remove);
    if (!w)
        return;
    w->force = r->force;
    w->then = is_in_touch(c->daemon) ? CHANGE_VOLUME_REMOVE : 0;
    go(w);
}

/* --- prune ------------------------------------------------------------------------------------ */

static bool may_prune(const struct work *w, const struct volume_state *v)
{
    const struct known *k = find_known(w, v->name);
    struct err ignored;
    if (v->users_n > 0 || check_snapshots(w, v->name, &ignored) < 0)
        return false;
    return is_anonymous(v->name) || (w->all && (!k || k->services_n == 0));
}

static void work_prune(struct work *w)
{
    struct volume_state *volumes;
    size_t n;
    int64_t entries = ENTRIES_MAX;
    if (w->all && w->known_n > 0 && w->out_of_touch) {
        err_set(&w->err, ERR_UNAVAILABLE,
                "this member is not in touch with its cluster, so it cannot tell which volumes "
                "services need: without --all only anonymous ones are deleted");
        return;
    }
    if (volume_list(w->runtime, NULL, false, &volumes, &n, &w->err) < 0)
        return;
    w->reply.volumes = mem_alloc(n, sizeof(*w->reply.volumes));
    for (size_t i = 0; i < n && w->err.code == 0; i++) {
        if (!may_prune(w, &volumes[i]))
            continue;
        volume_measure(&volumes[i], &entries);
        describe(w, &volumes[i], &w->reply.volumes[w->reply.volumes_n++]);
        if (!w->dry_run)
            volume_remove(w->runtime, volumes[i].name, &w->err);
    }
    volume_list_free(volumes, n);
}

void api_volume_prune(struct api_call *c, const void *request)
{
    const struct volume_prune_request *r = request;
    struct work *w = call_elsewhere(c, r->node, r, ELSEWHERE_MS) || !may_delete(c)
                         ? NULL
                         : begin(c, NULL, NULL, r, work_prune);
    if (!w)
        return;
    w->all = r->all;
    w->dry_run = r->dry_run;
    go(w);
}
