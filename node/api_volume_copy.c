/* SPDX-License-Identifier: Apache-2.0 */
/* volume.pack, volume.unpack, volume.home: a volume's content to elsewhere. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/container_job.h"
#include "node/daemon.h"
#include "runtime/copy.h"
#include "runtime/volume.h"
#include "store/level.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FORWARD_MS = 30000,
};

static void run_pack(struct container_job *job)
{
    const struct volume_copy_request *r = job->request;
    cleanup_close int fd =
        open(job->upload_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    if (fd < 0) {
        err_errno(&job->err, errno, "make a file for the archive");
        return;
    }
    if (volume_copy_out(job->runtime, r->volume, r->snapshot, fd, container_job_room(job),
                        container_job_progress, job, &job->err) == 0 &&
        digest_file_text(fd, job->digest, &job->err) == 0 && fstat(fd, &st) == 0)
        job->size = st.st_size;
}

static void run_unpack(struct container_job *job)
{
    const struct volume_copy_request *r = job->request;
    cleanup_close int fd = open(job->upload_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char digest[DIGEST_TEXT];
    if (fd < 0) {
        err_set(&job->err, ERR_NOTFOUND, "the archive is not here any more: begin anew");
        return;
    }
    if (digest_file_text(fd, digest, &job->err) < 0)
        return;
    if (*str_or_empty(r->digest) && strcmp(r->digest, digest) != 0)
        err_set(&job->err, ERR_CORRUPT, "the archive was damaged on its way: it is %s, not %.71s",
                digest, r->digest);
    else
        volume_copy_in(job->runtime, r->volume, fd, r->replace, container_job_progress, job,
                       &job->err);
}

static bool is_named(struct api_call *c, const char *volume)
{
    if (volume_name_ok(str_or_empty(volume)))
        return true;
    api_fail_with(c, ERR_INVALID, "'%.140s' is no name of a volume", str_or_empty(volume));
    return false;
}

bool api_volume_is_folder(struct api_call *c, const char *name)
{
    struct volume *volumes = NULL;
    size_t n = 0;
    bool mounted = false;
    if (c->daemon->store)
        store_list(c->daemon->store, TABLE_VOLUME, BY_NONE, 0, &volumes, &n);
    for (size_t i = 0; i < n; i++)
        mounted |= str_equal(volumes[i].name, name) &&
                   pair_get(volumes[i].options, volumes[i].options_n, "type");
    record_free_list(&volume_type, volumes, n);
    if (mounted)
        api_fail_with(c, ERR_UNSUPPORTED,
                      "volume %.130s has a type: its content is in what they mount, not with it",
                      name);
    return !mounted;
}

void api_volume_pack(struct api_call *c, const void *request)
{
    const struct volume_copy_request *r = request;
    if (is_named(c, r->volume) && container_route_node(c, request, FORWARD_MS))
        container_job_start(c, request, NULL, NULL, true, run_pack);
}

void api_volume_unpack(struct api_call *c, const void *request)
{
    const struct volume_copy_request *r = request;
    if (is_named(c, r->volume) && api_volume_is_folder(c, r->volume) &&
        container_route_node(c, request, FORWARD_MS))
        container_job_start(c, request, NULL, str_or_empty(r->upload), false, run_unpack);
}

static bool find_member(struct api_call *c, const char *name, int64_t *ret)
{
    struct node node;
    if (store_find(c->daemon->store, TABLE_NODE, str_or_empty(name), &node) < 0) {
        api_fail_with(c, ERR_NOTFOUND, "there is no node '%.80s' ('wherry node ls' lists them)",
                      str_or_empty(name));
        return false;
    }
    *ret = node.id;
    record_release(&node_type, &node);
    return true;
}

void api_volume_home(struct api_call *c, const void *request)
{
    const struct volume_home_request *r = request;
    struct change_volume_home change = {.name = r->volume};
    if (store_level(c->daemon->store) < 5)
        api_fail_with(c, ERR_UNAVAILABLE,
                      "this needs members that are all of this release: upgrade the others first "
                      "('wherry node ls' shows versions)");
    else if (is_named(c, r->volume) && api_volume_is_folder(c, r->volume) &&
             (!*str_or_empty(r->from) || find_member(c, r->from, &change.from_node_id)) &&
             find_member(c, *str_or_empty(r->to) ? r->to : c->daemon->name, &change.to_node_id))
        api_propose(c, CHANGE_VOLUME_HOME, &change);
}
