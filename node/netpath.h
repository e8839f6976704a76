/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netpath - what is known of the way from this member to another one, from which pings were
 * answered.
 *
 * Pings by plain routes are large until those are taken, and every NETPATH_SIZE_EVERY rounds after:
 * they must carry all that containers send. A plain route counts as usable after
 * NETPATH_PLAIN_AFTER answers in a row, and until NETPATH_PLAIN_UNTIL were missing in a row; the
 * tunnel as broken after NETPATH_DOWN_AFTER. When packets as large as they may be are lost while
 * small ones get through, smaller ones are tried until one is answered; the largest is tried again
 * now and then. Pure.
 */
#ifndef WHERRY_NODE_NETPATH_H
#define WHERRY_NODE_NETPATH_H

#include "runtime/netprobe.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    NETPATH_PLAIN_AFTER = 3,
    NETPATH_PLAIN_UNTIL = 2,
    NETPATH_DOWN_AFTER = 3,
    NETPATH_SIZE_LOST = 3,   /* of one size in a row: it is too large */
    NETPATH_SIZE_EVERY = 10, /* rounds between two large packets while they get through */
    NETPATH_SIZE_RETRY = 60, /* rounds before the largest is tried again */
    NETPATH_HISTORY = 32,    /* rounds that the share of lost ones is of */
};

/* One way, or one size. */
struct netpath_way {
    uint16_t number; /* of the ping that is under way */
    bool waiting;
    int64_t sent_ns;
    unsigned answered, lost; /* in a row, until now */
    uint32_t history;        /* a bit per ping, the last one lowest: 1 it was lost */
    unsigned rounds;         /* bits of history that count */
    double rtt_ms;           /* of the last answer */
};

struct netpath {
    uint32_t peer;
    struct netpath_way ways[NETPROBE_KINDS];
    bool up;           /* the tunnel */
    bool plain;        /* plain routes can be taken */
    int64_t since_ms;  /* that this is so; 0: from the start */
    uint16_t full;     /* what a packet may have in the tunnel by our own link */
    uint16_t mtu;      /* what gets through; 0: full */
    uint16_t trying;   /* the size that is being tried */
    unsigned size_in;  /* rounds until a large packet is due */
    unsigned plain_in; /* … by the plain route */
};

/* Start with nothing known. */
void netpath_init(struct netpath *path, uint32_t peer);

/* Our own link lets packets of @mtu into the tunnel. */
void netpath_set_full(struct netpath *path, uint16_t mtu);

/* A round begins: pings that were not answered are lost. True when something changed that routes
 * depend on. */
bool netpath_round(struct netpath *path, int64_t now_ms);

/* The size of a large packet to be sent in this round; 0: none is due. */
uint16_t netpath_size_due(struct netpath *path);

/* The size of the ping by the plain route in this round; 0: a small one. */
uint16_t netpath_plain_size(struct netpath *path);

/* A ping was sent; returns the number it is to have. */
uint16_t netpath_sent(struct netpath *path, enum netprobe_kind kind, int64_t now_ns);

/* It could not be sent. */
void netpath_not_sent(struct netpath *path, enum netprobe_kind kind);

/* It was answered. True when something changed that routes depend on. */
bool netpath_answered(struct netpath *path, const struct netprobe_answer *answer, int64_t now_ns,
                      int64_t now_ms);

/* Lost ones of the last NETPATH_HISTORY, in percent. */
unsigned netpath_loss(const struct netpath_way *way);

#endif
