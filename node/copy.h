/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy - this machine's disk is a copy of a member's that runs elsewhere.
 *
 * The others refuse us (cluster/incarnation.h), for one member must not vote twice. From then on
 * this disk stays out, also after a restart and when the other one is gone: it may lack what the
 * other one promised since it was copied. A file, DATA/identity/copy, says so; so do the log and
 * the status. No container of the tasks is started here, they run where the other one is. Loop
 * thread.
 */
#ifndef WHERRY_NODE_COPY_H
#define WHERRY_NODE_COPY_H

#include <stdint.h>

struct buf;
struct daemon;

/* At start: read the file. Sets d->is_copy. */
void copy_load(struct daemon *d);

/* Member @by refuses us, because of the one at @host. */
void copy_on_refused(struct daemon *d, int64_t by, const char *host);

/* Append the sentence that says what to do, without a newline. */
void copy_explain(const struct daemon *d, struct buf *out);

#endif
