/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore - a new cluster is founded from a backup (cluster/backup.h), with this machine as node 1.
 *
 * The file is checked and turned into a raft folder, DATA/raft.restored, before this machine
 * becomes a member; the folder gets its name at the member's start. So a crash leaves either a
 * machine that is no member, or the whole new cluster:
 *
 *     CA and keys → raft.restored → identity/member → raft → started
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_RESTORE_H
#define WHERRY_NODE_RESTORE_H

#include "cluster/backup.h"
#include "store/refound.h"

#include <stdbool.h>

struct daemon;

/* The end. With err->code 0, @header says what the backup was, @result what came of it; this
 * machine is a member then unless it was a dry run. Borrowed. */
typedef void (*restore_cb)(void *arg, const struct err *err, const struct backup_header *header,
                           const struct refound_result *result);

/* Found a cluster from the file at @path, which is removed at the end. With @dry_run everything is
 * checked and nothing done. */
void restore_begin(struct daemon *d, const char *path, bool forget_homes, bool dry_run,
                   restore_cb cb, void *arg);

/* At the start of a member: a folder that a restore made becomes its own. Fine when there is none.
 */
int restore_adopt(struct daemon *d, struct err *err);

/* At the start of a machine that is no member: what a restore that was cut short left goes. */
void restore_clean(struct daemon *d);

#endif
