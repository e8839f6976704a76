/* SPDX-License-Identifier: Apache-2.0 */
/* How sessions begin: a job starts the command, or connects to a shim. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/session_internal.h"
#include "runtime/attach.h"
#include "runtime/container.h"
#include "runtime/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct start_job {
    struct session *session;
    struct runtime *runtime;
    char container[40];
    char name[EXEC_NAME_LEN + 1]; /* of an exec */
    char *owner;
    bool starts;                 /* an exec is started */
    struct exec_request request; /* … this one */
    int64_t place;
    int64_t asked_run;
    int64_t run;
    int fd;
    struct err err;
};

/* The environment and arguments as the runtime takes them: ending in NULL. Borrows. */
static const char **list(char **items, size_t n)
{
    const char **copy = mem_alloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = items[i];
    return copy;
}

static int start_exec(struct start_job *job)
{
    const struct exec_request *r = &job->request;
    cleanup_free const char **argv = list(r->argv, r->argv_n);
    cleanup_free const char **env = list(r->environment, r->environment_n);
    struct exec_spec spec = {.argv = argv,
                             .env = env,
                             .user = *str_or_empty(r->user) ? r->user : NULL,
                             .working_dir = *str_or_empty(r->working_dir) ? r->working_dir : NULL,
                             .tty = r->tty,
                             .stdin_open = r->stdin_open,
                             .privileged = r->privileged,
                             .rows = (uint16_t)r->rows,
                             .columns = (uint16_t)r->columns,
                             .owner = job->owner};
    /* A retry finds it there. */
    cleanup_free char *known = exec_owner(job->runtime, job->container, job->name);
    if (known && !str_equal(known, job->owner))
        return err_set(&job->err, ERR_EXISTS, "another command has this name");
    if (known)
        return 0;
    return exec_start(job->runtime, job->container, job->name, &spec, &job->err);
}

static void connect_exec(struct start_job *job)
{
    if (job->starts && start_exec(job) < 0)
        return;
    if (!job->starts) {
        cleanup_free char *owner = exec_owner(job->runtime, job->container, job->name);
        if (!owner || !str_equal(owner, job->owner)) {
            err_set(&job->err, ERR_NOTFOUND, "the session is over");
            return;
        }
    }
    uint64_t from = job->place > 0 ? (uint64_t)job->place : 0;
    exec_attach(job->runtime, job->container, job->name, from, &job->fd, &job->err);
}

static void connect_container(struct start_job *job)
{
    struct container_state state;
    if (container_state(job->runtime, job->container, &state, &job->err) < 0)
        return;
    job->run = state.run;
    uint64_t from = job->place >= 0 && job->asked_run == state.run ? (uint64_t)job->place
                    : job->place == ATTACH_FROM_NOW                ? SHIM_FROM_NOW
                                                                   : SHIM_FROM_KEPT;
    container_attach(job->runtime, job->container, from, &job->fd, &job->err);
}

static void work(void *arg)
{
    struct start_job *job = arg;
    if (job->session->exec)
        connect_exec(job);
    else
        connect_container(job);
}

static void done(void *arg)
{
    struct start_job *job = arg;
    job->session->run = job->run;
    session_on_connected(job->session, job->fd, &job->err);
    record_release(&exec_request_type, &job->request);
    free(job->owner);
    free(job);
}

static struct start_job *job_new(struct session *s, const char *container)
{
    struct start_job *job = mem_alloc(1, sizeof(*job));
    job->session = s;
    job->runtime = s->all->daemon->runtime;
    str_fill(job->container, sizeof(job->container), container);
    job->owner = str_copy(s->owner);
    job->fd = -1;
    return job;
}

static void run(struct start_job *job)
{
    jobs_run(job->session->all->daemon->call_jobs, work, done, job);
}

/* --- whose -------------------------------------------------------------------------------------
 */

static void owner_of(const struct api_call *c, char *out, size_t size)
{
    if (c->caller.trusted)
        str_fill(out, size, "");
    else
        snprintf(out, size, "%lld", (long long)c->caller.token.id);
}

bool session_is_of(const struct session *s, const struct api_call *c)
{
    char owner[24];
    owner_of(c, owner, sizeof(owner));
    return c->caller.trusted || str_equal(s->owner, owner);
}

/* Is there room for one more of @owner's? */
static bool has_room(const struct sessions *all, const char *owner)
{
    size_t n = 0;
    for (const struct session *s = all->list; s; s = s->next)
        n += str_equal(s->owner, owner);
    return all->n < SESSIONS_MAX && n < SESSIONS_EACH_MAX;
}

static struct session *begin(struct sessions *all, struct api_call *c, const char *id)
{
    char owner[24];
    owner_of(c, owner, sizeof(owner));
    if (session_find(all, id)) {
        api_fail_with(c, ERR_BUSY, "this command is being started");
        return NULL;
    }
    if (!has_room(all, owner)) {
        api_fail_with(c, ERR_BUSY,
                      "%d sessions are open on this member, or %d of one token: end some",
                      SESSIONS_MAX, SESSIONS_EACH_MAX);
        return NULL;
    }
    struct session *s = session_new(all, id, owner);
    s->starter.call = c;
    return s;
}

/* --- beginnings --------------------------------------------------------------------------------
 */

void session_exec(struct sessions *all, struct api_call *c, const char *container,
                  const struct exec_request *request)
{
    char id[80];
    if (!exec_name_ok(request->name) || request->rows < 0 || request->rows > UINT16_MAX ||
        request->columns < 0 || request->columns > UINT16_MAX) {
        api_fail_with(c, ERR_INVALID, "exec.start: no name, or no size of a terminal");
        return;
    }
    snprintf(id, sizeof(id), "%s/%s", container, request->name);
    struct session *s = begin(all, c, id);
    if (!s)
        return;
    s->exec = true;
    struct start_job *job = job_new(s, container);
    str_fill(job->name, sizeof(job->name), request->name);
    job->starts = true;
    record_copy(&exec_request_type, request, &job->request);
    run(job);
}

void session_attach(struct sessions *all, struct api_call *c, const char *container,
                    const struct attach_request *request)
{
    char id[80], name[EXEC_NAME_LEN + 1];
    unsigned char bytes[EXEC_NAME_LEN / 2];
    random_bytes(bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), name);
    snprintf(id, sizeof(id), "%s/+%s", container, name);
    struct session *s = begin(all, c, id);
    if (!s)
        return;
    struct start_job *job = job_new(s, container);
    job->place = request->place;
    job->asked_run = request->run;
    run(job);
}

struct session *session_adopt(struct sessions *all, const struct api_call *c, const char *id,
                              int64_t place)
{
    char owner[24];
    const char *name = strchr(id, '/');
    if (!name || !exec_name_ok(name + 1) || name - id > 32)
        return NULL;
    owner_of(c, owner, sizeof(owner));
    if (!has_room(all, owner))
        return NULL;
    struct session *s = session_new(all, id, owner);
    s->exec = true;
    s->base = place > 0 ? (uint64_t)place : 0;
    cleanup_free char *container = str_printf("%.*s", (int)(name - id), id);
    struct start_job *job = job_new(s, container);
    str_fill(job->name, sizeof(job->name), name + 1);
    job->place = place;
    run(job);
    return s;
}
