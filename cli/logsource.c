/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logsource.h"

#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"

#include <stdlib.h>

enum {
    ANSWER_MS = 20000, /* above the wait: the member asks another one */
};

void log_source_init(struct log_source *source, const struct task_info *task, bool has_tail,
                     int64_t tail)
{
    *source = (struct log_source){
        .task_id = task->id,
        .task = str_copy(task->name),
        .node = str_copy(str_or_empty(task->node)),
        .cursor = {.task_id = task->id, .has_tail = has_tail, .tail = tail},
        .more = true,
    };
}

void log_source_release(struct log_source *source)
{
    free(source->task);
    free(source->node);
    logjoin_release(&source->join);
    *source = (struct log_source){0};
}

int log_source_fill(struct log_source *source, struct client *client, int64_t wait_ms,
                    struct err *err)
{
    struct logs_reply reply;
    source->cursor.wait_ms = wait_ms;
    int rv =
        cli_call_client(client, "logs.read", &source->cursor, &reply, wait_ms + ANSWER_MS, err);
    if (rv == ERR_NOTFOUND) {
        source->more = false;
        source->ended = true;
        return 0;
    }
    if (rv < 0)
        return rv;
    logjoin_add(&source->join, reply.lines.data, reply.lines.len);
    source->cursor.run = reply.run;
    source->cursor.file = reply.file;
    source->cursor.offset = reply.offset;
    source->cursor.has_tail = source->cursor.has_tail && reply.run == 0;
    source->more = reply.more;
    source->ended = reply.ended && !reply.more;
    record_release(&logs_reply_type, &reply);
    return 0;
}

bool log_source_next(struct log_source *source)
{
    return source->ended ? logjoin_last(&source->join) : logjoin_next(&source->join);
}
