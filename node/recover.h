/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover - a member whose cluster lost its quorum, looked at and made the only voter.
 *
 * It works on the data folder of a daemon that is stopped, under the lock that the daemon takes.
 * The raft folder is examined and put in order as at a start. Blocking; a loop of its own.
 */
#ifndef WHERRY_NODE_RECOVER_H
#define WHERRY_NODE_RECOVER_H

#include "cluster/api.h"

struct err;

/* Say what this member has. Nothing is changed but what a start of the daemon would put in order.
 * @ret is the caller's to release with recover_report_type. ERR_BUSY: the daemon runs. */
int recover_look(const char *data_dir, struct recover_report *ret, struct err *err);

/* Make this member the only voter, in a new epoch of its cluster. @ret as recover_look(). */
int recover_act(const char *data_dir, struct recover_report *ret, struct err *err);

#endif
