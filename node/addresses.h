/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addresses - where the other members are: what the bus dials.
 *
 * The members and their keys are those of the table of nodes, or, until the state has arrived,
 * those of the file identity/peers (peers.h), which is kept current on every member. Loop thread;
 * the file is written by a job.
 */
#ifndef WHERRY_NODE_ADDRESSES_H
#define WHERRY_NODE_ADDRESSES_H

#include <stddef.h>

struct addresses;
struct daemon;
struct node;

/* Begin: read the file and give the bus what it says. */
struct addresses *addresses_new(struct daemon *d);

/* End; jobs are over by now. */
void addresses_free(struct addresses *a);

/* The members the bus is to know, ourselves or not. */
void addresses_set_members(struct addresses *a, const struct node *nodes, size_t n);

/* The table of nodes as it is now: the file follows. */
void addresses_keep(struct addresses *a, const struct node *nodes, size_t n);

#endif
