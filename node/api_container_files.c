/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about the files of containers, and images and checkpoints made of them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/container_job.h"
#include "node/container_work.h"
#include "node/daemon.h"
#include "node/enter.h"
#include "runtime/checkpoint.h"
#include "runtime/commit.h"
#include "runtime/copy.h"
#include "runtime/diff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE_MAX = 1 << 20,
    FORWARD_MS = 30000,
};

/* True: the call is served here, and its caller may reach the container's files: that is as good as
 * going into it. */
static bool may_reach(struct api_call *c, const void *request)
{
    struct container_target target;
    if (c->caller.trusted || c->caller.token.role == TOKEN_ADMIN)
        return true;
    /* Where the container is elsewhere that member looks. */
    return container_route(c, request, FORWARD_MS, &target) && enter_container(c, target.id, false);
}

/* --- diff, look ------------------------------------------------------------------------------- */

static void work_diff(struct container_work *w)
{
    struct container_diff_reply *reply = w->reply;
    struct container_change *changes;
    size_t n;
    if (container_diff(w->runtime, w->target.id, &changes, &n, &reply->cut, &w->err) < 0)
        return;
    reply->changes = mem_alloc(n, sizeof(*reply->changes));
    for (size_t i = 0; i < n; i++)
        reply->changes[reply->changes_n++] = (struct container_change_info){
            .kind = str_printf("%c", changes[i].kind), .path = str_copy(changes[i].path)};
    container_changes_free(changes, n);
}

void api_container_diff(struct api_call *c, const void *request)
{
    if (may_reach(c, request))
        container_work_begin(c, request, work_diff);
}

static void work_look(struct container_work *w)
{
    const struct container_path_request *r = w->request;
    struct container_path_reply *reply = w->reply;
    struct container_file file;
    if (container_look(w->runtime, w->target.id, str_or_empty(r->path), &file, &w->err) < 0)
        return;
    reply->kind = str_copy(strcmp(file.kind, "none") == 0 ? "" : file.kind);
    reply->parent = file.parent;
    reply->mode = file.mode;
    reply->size = file.size;
    reply->link = str_copy(file.link);
}

void api_container_look(struct api_call *c, const void *request)
{
    if (may_reach(c, request))
        container_work_begin(c, request, work_look);
}

/* --- pieces ----------------------------------------------------------------------------------- */

void api_container_upload(struct api_call *c, const void *request)
{
    const struct container_upload_request *r = request;
    struct upload_request piece = {.id = r->upload, .offset = r->offset, .data = r->data};
    if (container_route_node(c, request, FORWARD_MS))
        api_upload(c, &piece);
}

static int open_upload(const struct daemon *d, const char *id, int *ret_fd, struct err *err)
{
    unsigned char raw[8];
    if (!hex_decode(str_or_empty(id), raw, sizeof(raw)))
        return err_set(err, ERR_INVALID, "no copy has this id");
    cleanup_free char *path = str_printf("%s/upload/%s", d->data_dir, id);
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*ret_fd < 0)
        return err_set(err, ERR_NOTFOUND, "this copy is not here any more: begin anew");
    return 0;
}

void api_container_read(struct api_call *c, const void *request)
{
    const struct container_read_request *r = request;
    struct container_read_reply reply = {0};
    cleanup_close int fd = -1;
    struct err err;
    if (!container_route_node(c, request, FORWARD_MS))
        return;
    if (open_upload(c->daemon, r->upload, &fd, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    if (r->done) {
        cleanup_free char *path = str_printf("%s/upload/%s", c->daemon->data_dir, r->upload);
        unlink(path);
        api_reply(c, &reply);
        return;
    }
    cleanup_free unsigned char *data = mem_alloc(1, PIECE_MAX);
    ssize_t n = r->offset < 0 ? 0 : pread(fd, data, PIECE_MAX, r->offset);
    /* Somebody reads it: it is not given up. */
    futimens(fd, NULL);
    if (n < 0) {
        api_fail_with(c, ERR_IO, "read the copy: %s", strerror(errno));
        return;
    }
    reply.data = (struct bytes){.data = data, .len = (size_t)n};
    api_reply(c, &reply);
}

/* --- copies ----------------------------------------------------------------------------------- */

static void run_copy_out(struct container_job *job)
{
    const struct container_path_request *r = job->request;
    cleanup_close int fd =
        open(job->upload_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    if (fd < 0) {
        err_errno(&job->err, errno, "make a file for the copy");
        return;
    }
    if (container_copy_out(job->runtime, job->target.id, str_or_empty(r->path), fd,
                           container_job_room(job), container_job_progress, job, &job->err) == 0 &&
        fstat(fd, &st) == 0)
        job->size = st.st_size;
}

void api_container_copy_out(struct api_call *c, const void *request)
{
    if (may_reach(c, request))
        container_job_begin(c, request, NULL, true, run_copy_out);
}

static void run_copy_in(struct container_job *job)
{
    const struct container_copy_in_request *r = job->request;
    cleanup_close int fd = open(job->upload_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        err_set(&job->err, ERR_NOTFOUND, "the archive is not here any more: begin anew");
    else
        container_copy_in(job->runtime, job->target.id, str_or_empty(r->path), fd, r->owners,
                          container_job_progress, job, &job->err);
}

void api_container_copy_in(struct api_call *c, const void *request)
{
    const struct container_copy_in_request *r = request;
    if (may_reach(c, request))
        container_job_begin(c, request, str_or_empty(r->upload), false, run_copy_in);
}

/* --- commit, checkpoint ----------------------------------------------------------------------- */

/* A NULL-terminated view of a list; free the array only. */
static const char **view_of(char *const *strings, size_t n)
{
    const char **view = mem_alloc(n + 1, sizeof(*view));
    for (size_t i = 0; i < n; i++)
        view[i] = strings[i];
    return view;
}

static const char *given(const char *text)
{
    return *str_or_empty(text) ? text : NULL;
}

static void run_commit(struct container_job *job)
{
    const struct container_commit_request *r = job->request;
    const char **entrypoint = view_of(r->entrypoint, r->entrypoint_n);
    const char **command = view_of(r->command, r->command_n);
    const char **env = view_of(r->env, r->env_n);
    const char **labels = view_of(r->labels, r->labels_n);
    struct container_commit commit = {.name = str_or_empty(r->name),
                                      .author = given(r->author),
                                      .message = given(r->message),
                                      .entrypoint = r->entrypoint_set ? entrypoint : NULL,
                                      .command = r->command_set ? command : NULL,
                                      .env = env,
                                      .labels = labels,
                                      .working_dir = given(r->working_dir),
                                      .user = given(r->user),
                                      .no_pause = r->no_pause};
    container_commit(job->runtime, job->target.id, &commit, container_job_progress, job,
                     job->digest, &job->name, &job->err);
    free(entrypoint);
    free(command);
    free(env);
    free(labels);
}

void api_container_commit(struct api_call *c, const void *request)
{
    if (may_reach(c, request))
        container_job_begin(c, request, NULL, false, run_commit);
}

static void run_checkpoint(struct container_job *job)
{
    const struct container_checkpoint_request *r = job->request;
    container_checkpoint(job->runtime, job->target.id, str_or_empty(r->name), r->leave_running,
                         &job->err);
}

void api_container_checkpoint(struct api_call *c, const void *request)
{
    if (may_reach(c, request))
        container_job_begin(c, request, NULL, false, run_checkpoint);
}

void api_container_job(struct api_call *c, const void *request)
{
    container_job_look(c, request);
}
