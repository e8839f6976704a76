/* SPDX-License-Identifier: Apache-2.0 */
#include "node/standalone.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/standalone_item.h"
#include "store/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONTAINERS_MAX = 4096,
    NAME_MAX_LEN = 30,   /* an id has 32 */
    NAME_IMAGE_LEN = 20, /* of a name that is made up */
    GRACE_DEFAULT_MS = 10000,
};

struct create_job {
    struct standalone_item *item;
    struct api_call *call;
    struct standalone_job *job;
};

static void work_create(void *arg)
{
    standalone_work_create(((struct create_job *)arg)->job);
}

static void done_create(void *arg)
{
    struct create_job *t = arg;
    struct standalone_item *it = t->item;
    it->creating = false;
    if (t->job->err.code != 0) {
        api_fail(t->call, &t->job->err);
        standalone_drop(it);
    } else {
        struct container_create_reply reply = {.id = it->record.id, .name = it->record.id + 2};
        record_release(&standalone_record_type, &it->record);
        record_copy(&standalone_record_type, &t->job->record, &it->record);
        reply.id = it->record.id;
        reply.name = it->record.id + strlen("c-");
        api_reply(t->call, &reply);
    }
    standalone_job_free(t->job);
    free(t);
}

/* "nginx-3f2a1c" for "docker.io/library/nginx:1.25". */
static void make_name(const char *image, char *out, size_t size)
{
    unsigned char raw[3];
    char hex[2 * sizeof(raw) + 1], base[NAME_IMAGE_LEN + 1];
    const char *slash = strrchr(image, '/');
    const char *from = slash ? slash + 1 : image;
    size_t n = 0;
    for (; *from && !strchr(":@", *from) && n < NAME_IMAGE_LEN; from++)
        if ((*from >= 'a' && *from <= 'z') || (*from >= '0' && *from <= '9'))
            base[n++] = *from;
    base[n] = '\0';
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), hex);
    snprintf(out, size, "%s-%s", n ? base : "container", hex);
}

int standalone_check_name(const char *name, struct err *err)
{
    if (strlen(name) <= NAME_MAX_LEN && name[0] != '-' &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name))
        return 0;
    return err_set(err, ERR_INVALID,
                   "'%.60s' is no name for a container: at most %d of a-z, 0-9 and -", name,
                   NAME_MAX_LEN);
}

static int check_policy(const struct container_create_request *r, enum standalone_policy *ret,
                        struct err *err)
{
    const char *name = *str_or_empty(r->restart) ? r->restart : "no";
    int policy = 0;
    while (standalone_policy_names[policy] && strcmp(standalone_policy_names[policy], name) != 0)
        policy++;
    if (!standalone_policy_names[policy] || r->retries_max < 0 ||
        (r->retries_max > 0 && policy != STANDALONE_ON_FAILURE))
        return err_set(err, ERR_INVALID,
                       "restart: '%.40s' is none of no, on-failure[:N], always, unless-stopped",
                       name);
    if (r->auto_remove && policy != STANDALONE_NO)
        return err_set(err, ERR_INVALID,
                       "a container that is removed when it ends cannot be restarted: "
                       "leave out --rm or --restart");
    *ret = (enum standalone_policy)policy;
    return 0;
}

static int check_spec(const struct spec *spec, struct err *err)
{
    int rv = options_validate(spec, err);
    if (rv < 0)
        return rv;
    if (spec->stop_grace_ms < 0 || spec->stop_grace_ms > STANDALONE_GRACE_MAX_MS)
        return err_set(err, ERR_INVALID, "stop-timeout: not within a day");
    if (spec->networks_n > 0 || spec->ports_n > 0)
        return err_set(err, ERR_INVALID,
                       "a container of no stack has the network none or host, and no ports");
    return *str_or_empty(spec->image) ? 0 : err_set(err, ERR_INVALID, "no image was named");
}

void standalone_create(struct standalone *all, struct api_call *c,
                       const struct container_create_request *r)
{
    char name[NAME_MAX_LEN + 2];
    struct err err = {0};
    enum standalone_policy policy = STANDALONE_NO;
    size_t n = 0;
    for (const struct standalone_item *it = all->items; it; it = it->next)
        n++;
    if (!*str_or_empty(r->container))
        make_name(str_or_empty(r->spec.image), name, sizeof(name));
    else if (!str_fill(name, sizeof(name), r->container))
        standalone_check_name(r->container, &err);
    cleanup_free char *id = str_printf("c-%s", name);
    if (err.code != 0 || standalone_check_name(name, &err) < 0 ||
        check_policy(r, &policy, &err) < 0 || check_spec(&r->spec, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    if (!all->loaded || n >= CONTAINERS_MAX) {
        api_fail_with(c, ERR_BUSY,
                      all->loaded ? "%d containers are here already: remove some ('wherry "
                                    "container prune')"
                                  : "the containers of this machine are being looked for: try "
                                    "again",
                      CONTAINERS_MAX);
        return;
    }
    if (standalone_find(all, id)) {
        api_fail_with(c, ERR_EXISTS,
                      "there is a container '%s' already: 'wherry container rm %s', or take "
                      "another --name",
                      name, name);
        return;
    }
    struct create_job *t = mem_alloc(1, sizeof(*t));
    t->call = c;
    t->item = standalone_add(
        all, (struct standalone_record){
                 .id = steal(&id),
                 .policy = policy,
                 .retries_max = r->retries_max,
                 .auto_remove = r->auto_remove,
                 .held = r->held,
                 .network_host = r->spec.options.network_host,
                 .stop_grace_ms = r->spec.stop_grace_ms ? r->spec.stop_grace_ms : GRACE_DEFAULT_MS,
                 .created_ms = clock_wall_ms()});
    t->item->creating = true;
    t->job = standalone_new_job(t->item);
    record_copy(&spec_type, &r->spec, &t->job->spec);
    jobs_run(all->daemon->jobs, work_create, done_create, t);
}
