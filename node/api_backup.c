/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about backups, and a cluster that begins with one. */
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "node/api.h"
#include "node/backup.h"
#include "node/daemon.h"
#include "node/restore.h"

#include <stdlib.h>

static void answer_piece(struct api_call *c, const char *id, int64_t offset)
{
    struct backup_read_reply reply = {.id = (char *)(uintptr_t)id};
    const void *data;
    struct err err;
    if (backups_read(c->daemon->backups, id, offset, &data, &reply.data.len, &reply.size, &err) <
        0) {
        api_fail(c, &err);
        return;
    }
    reply.data.data = (unsigned char *)(uintptr_t)data;
    api_reply(c, &reply);
}

static void on_ready(void *arg, const struct err *err, const char *id)
{
    struct api_call *c = arg;
    if (err->code != 0)
        api_fail(c, err);
    else
        answer_piece(c, id, 0);
}

void api_backup_read(struct api_call *c, const void *request)
{
    const struct backup_read_request *r = request;
    struct err err;
    if (*str_or_empty(r->id) == '\0') {
        if (backups_take(c->daemon->backups, on_ready, c, &err) < 0)
            api_fail(c, &err);
    } else if (r->done) {
        struct backup_read_reply reply = {0};
        backups_drop(c->daemon->backups, r->id);
        api_reply(c, &reply);
    } else {
        answer_piece(c, r->id, r->offset);
    }
}

/* --- restore ---------------------------------------------------------------------------------- */

struct restore_work {
    struct api_call *call;
    struct restore_reply reply;
};

static void restore_answer(struct restore_work *work, const struct err *err)
{
    if (err->code != 0)
        api_fail(work->call, err);
    else
        api_reply(work->call, &work->reply);
    record_release(&restore_reply_type, &work->reply);
    free(work);
}

static void on_token(struct api_call *c, const struct err *err, const struct token_reply *token)
{
    struct restore_work *work = c->work;
    if (err->code == 0)
        work->reply.join_token = str_copy(token->token);
    restore_answer(work, err);
}

static void on_restored(void *arg, const struct err *failed, const struct backup_header *h,
                        const struct refound_result *result)
{
    struct restore_work *work = arg;
    struct daemon *d = work->call->daemon;
    struct restore_reply *r = &work->reply;
    struct err err = *failed;
    r->from = str_copy(h->cluster);
    r->from_index = h->index;
    r->from_ms = h->time_ms;
    r->stacks = (int64_t)h->stacks_n;
    r->services = h->services;
    r->members = (int64_t)h->members_n;
    r->tasks = result->tasks;
    r->tokens = result->tokens;
    r->secrets = result->secrets;
    r->homes_here = result->homes_here;
    r->homes_away = result->homes_away;
    r->homes_forgot = result->homes_forgot;
    for (; result->logins && result->logins[r->logins_n]; r->logins_n++) {
        r->logins = mem_resize(r->logins, r->logins_n + 1, sizeof(char *));
        r->logins[r->logins_n] = str_copy(result->logins[r->logins_n]);
    }
    if (err.code != 0 || !identity_is_member(d->identity)) {
        restore_answer(work, &err);
        return;
    }
    r->cluster = str_copy(identity_cluster(d->identity));
    r->address = str_copy(d->address);
    struct token_request first = {.kind = TOKEN_JOIN};
    work->call->work = work;
    if (!api_token_make(work->call, &first, on_token, &err))
        restore_answer(work, &err);
}

void api_restore(struct api_call *c, const void *request)
{
    const struct restore_request *r = request;
    unsigned char raw[8];
    if (!hex_decode(str_or_empty(r->upload), raw, sizeof(raw))) {
        api_fail_with(c, ERR_INVALID, "not an upload");
        return;
    }
    cleanup_free char *path = str_printf("%s/upload/%s", c->daemon->data_dir, r->upload);
    struct restore_work *work = mem_alloc(1, sizeof(*work));
    work->call = c;
    restore_begin(c->daemon, path, r->forget_homes, r->dry_run, on_restored, work);
}
