/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impact - what a change of a member would cost, in words for whoever is about to make it.
 *
 * As far as this member's copy of the state knows. Each function appends lines, each with its line
 * feed, and nothing when the change costs no more than it must.
 */
#ifndef WHERRY_NODE_IMPACT_H
#define WHERRY_NODE_IMPACT_H

struct buf;
struct daemon;
struct node;

/* When @node leaves the cluster for good: the voters that remain, and volumes that it is the home
 * of. */
void impact_of_loss(struct daemon *d, const struct node *node, struct buf *out);

/* When @node is drained: tasks that have nowhere else to go. */
void impact_of_drain(struct daemon *d, const struct node *node, struct buf *out);

/* What is dangerous about the shape that the cluster has. */
void impact_of_shape(struct daemon *d, struct buf *out);

#endif
