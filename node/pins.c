/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pins.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/pin_rules.h"
#include "runtime/image.h"
#include "runtime/image_name.h"
#include "runtime/peers.h"
#include "store/level.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    SILENT_MS = 5000, /* a registry that did not answer is left alone so long */
    SILENT_KEPT = 16,
};

/* A question about one image: a job owns it, and the request while it waits. */
struct lookup {
    struct pins *pins; /* loop only; NULL: nobody waits any more */
    struct runtime *runtime;
    const struct runtime_peers *peers;
    const atomic_bool *giving_up;
    char *image;
    enum pin_way way;
    bool members; /* what they have may be used */
    bool ask;
    bool done;            /* loop only */
    pthread_mutex_t lock; /* for the rest */
    char of_members[72];
    char of_registry[72];
    struct err err; /* the registry's */
};

struct pins {
    struct daemon *daemon;
    struct deploy_request *deploy;
    struct lookup **lookups;
    size_t lookups_n;
    struct lookup **of_service; /* by place in the request; NULL: nothing is asked */
    char **warnings;
    size_t warnings_n;
    uv_timer_t timer;
    pins_cb cb;
    void *arg;
};

/* --- registries that do not answer ------------------------------------------------------------ */

static struct {
    char registry[IMAGE_NAME_MAX + 1];
    int64_t until_ms;
    struct err err;
} silent[SILENT_KEPT]; /* of this process: one daemon a process; loop only */
static size_t silent_next;

static bool registry_of(const char *image, char out[IMAGE_NAME_MAX + 1])
{
    struct image_ref ref;
    if (image_ref_parse(image, &ref, NULL) < 0)
        return false;
    str_fill(out, IMAGE_NAME_MAX + 1, ref.registry);
    return true;
}

static bool is_silent(const char *image, struct err *ret_err)
{
    char registry[IMAGE_NAME_MAX + 1];
    if (!registry_of(image, registry))
        return false;
    for (size_t i = 0; i < SILENT_KEPT; i++)
        if (silent[i].until_ms > clock_boot_ms() && strcmp(silent[i].registry, registry) == 0) {
            *ret_err = silent[i].err;
            return true;
        }
    return false;
}

static void note_silent(const struct lookup *l, const struct err *err)
{
    struct err before;
    if (is_silent(l->image, &before) ||
        !registry_of(l->image, silent[silent_next % SILENT_KEPT].registry))
        return;
    silent[silent_next % SILENT_KEPT].until_ms = clock_boot_ms() + SILENT_MS;
    silent[silent_next++ % SILENT_KEPT].err = *err;
}

static bool is_answer(int code)
{
    return code == 0 || code == ERR_DENIED || code == ERR_NOTFOUND || code == ERR_INVALID;
}

/* --- a question: on a thread ------------------------------------------------------------------ */

static void find_here(struct lookup *l, char digest[72])
{
    struct image image = {0};
    struct err err;
    if (image_find(l->runtime, l->image, &image, &err) == 0)
        str_fill(digest, 72, image.digest);
    image_release(&image);
    cleanup_free char *name = NULL;
    if (*digest == '\0' && l->peers && image_name_parse(l->image, &name, &err) == 0 &&
        l->peers->resolve(l->peers->arg, name, digest, &err) < 0)
        digest[0] = '\0';
}

static void work(void *arg)
{
    struct lookup *l = arg;
    char digest[72] = "";
    struct err err = {0};
    if (atomic_load(l->giving_up))
        return;
    if (l->members)
        find_here(l, digest);
    pthread_mutex_lock(&l->lock);
    str_fill(l->of_members, sizeof(l->of_members), digest);
    pthread_mutex_unlock(&l->lock);
    if (!l->ask || (l->way == PIN_MEMBERS_FIRST && *digest) || atomic_load(l->giving_up))
        return;
    digest[0] = '\0';
    if (image_resolve(l->runtime, l->image, digest, &err) < 0)
        digest[0] = '\0';
    else if (!image_digest_valid(digest))
        err_set(&err, ERR_CORRUPT, "%.120s: the registry's answer is no digest", l->image);
    pthread_mutex_lock(&l->lock);
    l->err = err;
    if (err.code == 0)
        str_fill(l->of_registry, sizeof(l->of_registry), digest);
    pthread_mutex_unlock(&l->lock);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void lookup_free(struct lookup *l)
{
    pthread_mutex_destroy(&l->lock);
    free(l->image);
    free(l);
}

static void on_closed(uv_handle_t *handle)
{
    struct pins *p = handle->data;
    for (size_t i = 0; i < p->warnings_n; i++)
        free(p->warnings[i]);
    free(p->warnings);
    free(p->lookups);
    free(p->of_service);
    free(p);
}

static void end(struct pins *p, const struct err *err)
{
    for (size_t i = 0; i < p->lookups_n; i++) {
        p->lookups[i]->pins = NULL;
        if (p->lookups[i]->done)
            lookup_free(p->lookups[i]);
    }
    p->lookups_n = 0;
    p->cb(p->arg, err, p->warnings, p->warnings_n);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

/* Said once, for however many services. */
static void add_warning(struct pins *p, char *warning)
{
    for (size_t i = 0; warning && i < p->warnings_n; i++)
        if (strcmp(p->warnings[i], warning) == 0) {
            free(warning);
            return;
        }
    if (!warning)
        return;
    p->warnings = mem_resize(p->warnings, p->warnings_n + 1, sizeof(char *));
    p->warnings[p->warnings_n++] = warning;
}

static void take_found(struct lookup *l, struct pin_found *found, struct err *err)
{
    pthread_mutex_lock(&l->lock);
    str_fill(found->members, sizeof(found->members), l->of_members);
    str_fill(found->registry, sizeof(found->registry), l->of_registry);
    *err = l->err;
    pthread_mutex_unlock(&l->lock);
    if (!l->done)
        err_set(err, ERR_TIMEOUT, "%.150s: its registry did not answer within %d s", l->image,
                PINS_MS / 1000);
    if (l->ask && !is_answer(err->code))
        note_silent(l, err);
    found->refusal = err->code != 0 ? err : NULL;
}

static int refuse(const struct deploy_spec *service, const struct err *why, struct err *err)
{
    char registry[IMAGE_NAME_MAX + 1] = "";
    if (why->code == ERR_INVALID || !registry_of(service->spec.image, registry))
        return err_set(err, why->code, "service %.63s: %.160s", str_or_empty(service->name),
                       why->msg);
    /* What the registry said may be cut, what to do is not. */
    return err_set(err, why->code,
                   "service %.40s: %.110s; if it is private: 'wherry registry login %.40s'",
                   str_or_empty(service->name), why->msg, registry);
}

static int conclude_one(struct pins *p, size_t i, struct err *err)
{
    struct deploy_spec *service = &p->deploy->services[i];
    struct lookup *l = p->of_service[i];
    struct pin_found found;
    struct err asked;
    struct err why = {0};
    char digest[72];
    char *warning;
    take_found(l, &found, &asked);
    int rv = pin_conclude(l->image, l->way, &found, digest, &warning, &why);
    if (rv < 0)
        return refuse(service, &why, err);
    add_warning(p, warning);
    if (*digest)
        rv = pin_name(l->image, digest, &service->spec.image_digest, &why);
    return rv < 0 ? refuse(service, &why, err) : 0;
}

static void conclude(struct pins *p)
{
    struct err err = {0};
    uv_timer_stop(&p->timer);
    if (p->daemon->stopping)
        err_set(&err, ERR_CANCELED, "this member is stopping");
    for (size_t i = 0; i < p->deploy->services_n && err.code == 0; i++)
        if (p->of_service[i])
            conclude_one(p, i, &err);
    end(p, &err);
}

static void on_answer(void *arg)
{
    struct lookup *l = arg;
    struct pins *p = l->pins;
    l->done = true;
    if (!p) {
        lookup_free(l);
        return;
    }
    for (size_t i = 0; i < p->lookups_n; i++)
        if (!p->lookups[i]->done)
            return;
    conclude(p);
}

static void on_timer(uv_timer_t *timer)
{
    conclude(timer->data);
}

/* --- the beginning ---------------------------------------------------------------------------- */

/* The members' own is of their architecture, and no other is wanted. */
static bool members_will_do(struct daemon *d, const struct spec *spec)
{
    struct node self;
    struct node *nodes;
    size_t n;
    if (store_get(d->store, TABLE_NODE, d->id, &self) < 0)
        return false;
    const char *arch = str_or_empty(self.arch);
    const char *platform = str_or_empty(spec->platform);
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    bool will = pin_arch_is_one(nodes, n, arch) &&
                (!*platform || (str_starts(platform, "linux/") &&
                                strcmp(platform + strlen("linux/"), arch) == 0));
    record_free_list(&node_type, nodes, n);
    record_release(&node_type, &self);
    return will;
}

static struct lookup *ask(struct pins *p, const struct spec *spec, enum pin_way way, bool may_ask)
{
    struct daemon *d = p->daemon;
    bool members = members_will_do(d, spec);
    for (size_t i = 0; i < p->lookups_n; i++) {
        struct lookup *l = p->lookups[i];
        if (str_equal(l->image, spec->image) && l->way == way && l->members == members)
            return l;
    }
    struct lookup *l = mem_alloc(1, sizeof(*l));
    *l = (struct lookup){.pins = p,
                         .runtime = d->runtime,
                         .peers = d->image_peers,
                         .giving_up = &d->giving_up,
                         .image = str_copy(spec->image),
                         .way = way,
                         .members = members,
                         .ask = may_ask && way != PIN_MEMBERS};
    check(pthread_mutex_init(&l->lock, NULL) == 0);
    if (l->ask && is_silent(l->image, &l->err))
        l->ask = false;
    else if (!may_ask && way != PIN_MEMBERS)
        err_set(&l->err, ERR_UNAVAILABLE,
                "%.120s: no registry is asked for those who may not deploy", l->image);
    p->lookups = mem_resize(p->lookups, p->lookups_n + 1, sizeof(struct lookup *));
    p->lookups[p->lookups_n++] = l;
    return l;
}

static bool find_deployed(struct daemon *d, const char *stack, const char *service,
                          struct service *ret)
{
    cleanup_free char *name = str_printf("%s.%s", str_or_empty(stack), str_or_empty(service));
    if (store_find(d->store, TABLE_SERVICE, name, ret) < 0)
        return false;
    if (!ret->removed)
        return true;
    record_release(&service_type, ret);
    return false;
}

/* What service @i needs, which may be nothing. */
static void begin_one(struct pins *p, size_t i, bool may_ask)
{
    struct daemon *d = p->daemon;
    struct deploy_spec *service = &p->deploy->services[i];
    struct spec *spec = &service->spec;
    struct service deployed;
    char *digest;
    bool known = find_deployed(d, p->deploy->name, service->name, &deployed);
    enum pin_way way = pin_decide(spec, known ? &deployed.spec : NULL, p->deploy->pull, &digest);
    free(spec->image_digest); /* is not the caller's to say */
    spec->image_digest = digest;
    if (known)
        record_release(&service_type, &deployed);
    if (digest && !*digest)
        add_warning(p, str_printf("%.120s: replicas are not bound to one digest, and may differ; "
                                  "'wherry deploy --pull' binds them",
                                  str_or_empty(spec->image)));
    if (way != PIN_STAYS && d->runtime)
        p->of_service[i] = ask(p, spec, way, may_ask);
    else if (way != PIN_STAYS)
        add_warning(p, str_printf("%.120s: tag not resolved, replicas may differ: %s is a witness; "
                                  "deploy through another member (-H ADDRESS)",
                                  str_or_empty(spec->image), d->name));
}

void pins_resolve(struct daemon *d, struct deploy_request *deploy, bool may_ask, pins_cb cb,
                  void *arg)
{
    struct pins *p = mem_alloc(1, sizeof(*p));
    struct err none = {0};
    *p = (struct pins){.daemon = d, .deploy = deploy, .cb = cb, .arg = arg};
    p->of_service = mem_alloc(deploy->services_n, sizeof(struct lookup *));
    uv_timer_init(&d->loop, &p->timer);
    p->timer.data = p;
    if (deploy->pull && store_level(d->store) < 3)
        add_warning(p, str_copy("--pull does nothing until all members are of this release"));
    for (size_t i = 0; i < deploy->services_n && store_level(d->store) >= 3; i++)
        begin_one(p, i, may_ask);
    if (p->lookups_n == 0) {
        end(p, &none);
        return;
    }
    uv_timer_start(&p->timer, on_timer, PINS_MS, 0);
    for (size_t i = 0; i < p->lookups_n; i++)
        jobs_run(d->resolve_jobs, work, on_answer, p->lookups[i]);
}
