/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease - this machine's right to run tasks of single services.
 *
 * While there are any it asks, once a second, whether a leader still leads and counts it in: a
 * barrier of read.h, which a majority confirms. A lease counts from when that was asked, by
 * CLOCK_BOOTTIME, and is good for as long as each service says. It is kept in memory only, and
 * nothing is written to the log. scheduler/single.h says when the cluster takes it to be over.
 */
#ifndef WHERRY_NODE_LEASE_H
#define WHERRY_NODE_LEASE_H

#include <stdint.h>

struct daemon;
struct lease;

struct lease *lease_new(struct daemon *d);

/* Ask no more. */
void lease_stop(struct lease *l);

/* Free it, after lease_stop() and once nothing is on the loop; NULL is fine. */
void lease_free(struct lease *l);

/* When that was asked which was last confirmed (boot time); 0: nothing was yet. */
int64_t lease_from_ms(const struct lease *l);

#endif
