/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addresses - where the other members are: what the bus dials.
 *
 * The members and their keys are those of the table of nodes, or, until the state has arrived,
 * those of the file identity/peers (peers.h). Where they are is what each signed last (book.h),
 * then what the table says, then what an operator gave ('wherry connect'). Members send each other
 * all they have when they connect, and what is new when it comes; so what one learns all learn,
 * with or without a leader. The row in the table follows: each member describes itself (members.c).
 *
 * The file is kept current on every member, by a job. Loop thread.
 */
#ifndef WHERRY_NODE_ADDRESSES_H
#define WHERRY_NODE_ADDRESSES_H

#include <stddef.h>
#include <stdint.h>

struct addresses;
struct daemon;
struct node;
struct peers;

/* Begin: read the file, give the bus what it says, and sign a record of our own if our address is
 * another than in the last one. */
struct addresses *addresses_new(struct daemon *d);

/* End; jobs are over by now. */
void addresses_free(struct addresses *a);

/* The members the bus is to know, ourselves or not. */
void addresses_set_members(struct addresses *a, const struct node *nodes, size_t n);

/* The table of nodes as it is now: the file follows. */
void addresses_keep(struct addresses *a, const struct node *nodes, size_t n);

/* The bus is to know @members too, those with ids above all that our table has, instead of those
 * introduced before; NULL: none. Returns how many more they are. */
size_t addresses_introduce(struct addresses *a, const struct peers *members);

/* The connection to member @id came up: send it what we know. */
void addresses_on_up(struct addresses *a, int64_t id);

/* A BUS_BOOK from member @from. Hostile until checked. */
void addresses_on_message(struct addresses *a, int64_t from, const void *data, size_t len);

/* The members the bus knows, at most @max of them into @ids. Returns how many those are. */
size_t addresses_ids(const struct addresses *a, int64_t *ids, size_t max);

/* Where member @id is, as far as we know: @fallback when nothing better is known. The caller frees
 * it. */
char *addresses_of(const struct addresses *a, int64_t id, const char *fallback);

#endif
