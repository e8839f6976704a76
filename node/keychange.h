/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keychange - replace the cluster key, lock it away, or give it back.
 *
 *     start ──► HANDING OUT ──all answered, most hold it──► PROPOSING ──► done
 *                    └── one did not take it, or too few did ──────────► failed, nothing changed
 *
 * keychange_start() draws the new key and calls member.hold of every member that is up;
 * on_receipt() counts; propose() seals again all that was sealed and proposes one change. A key
 * that was handed out and not taken into use is forgotten with the next change.
 *
 * What is on the disks when a cluster is locked has been there in plain: so locking takes a new key
 * too, and so does a new unlock key. Loop thread; one at a time on a member.
 */
#ifndef WHERRY_NODE_KEYCHANGE_H
#define WHERRY_NODE_KEYCHANGE_H

struct daemon;
struct err;

enum keychange_action {
    KEYCHANGE_ROTATE,      /* a new cluster key */
    KEYCHANGE_LOCK,        /* … in memory only, and an unlock key */
    KEYCHANGE_LOCK_ROTATE, /* … and another unlock key */
    KEYCHANGE_LOCK_OFF,    /* the key goes back to the disks */
};

/* The end. err->code 0: done; @unlock_key is the new one, NULL when there is none. Borrowed. */
typedef void (*keychange_cb)(void *arg, const struct err *err, const char *unlock_key);

/* Begin. On an error @cb is not called; else once, perhaps before this returns. */
int keychange_start(struct daemon *d, enum keychange_action action, keychange_cb cb, void *arg,
                    struct err *err);

#endif
