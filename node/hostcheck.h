/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostcheck - has this machine what a member needs? Before a daemon is started, or when one does
 * not start. Nothing is changed: what has to be tried is tried in a network namespace of its own.
 */
#ifndef WHERRY_NODE_HOSTCHECK_H
#define WHERRY_NODE_HOSTCHECK_H

#include "cluster/api_host.h"

struct err;

/* Look at everything; @data_dir is where the daemon's data is to be (NULL: /var/lib/wherry).
 * Release with record_release(). Blocks for some 100 ms. */
void hostcheck(const char *data_dir, struct host_checks *ret);

#endif
