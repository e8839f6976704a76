/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about backups. */
#include "base/mem.h"
#include "node/api.h"
#include "node/backup.h"
#include "node/daemon.h"

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
