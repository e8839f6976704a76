/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob_plan - which piece of a blob is asked of which member next.
 *
 * Pieces are asked for in order, of the member with the fewest on their way; so a fast one, which
 * answers sooner, gets more of them. One that fails gets a pause, one that fails again is left out,
 * and what it was asked goes to the others. At the end, when nothing is left to ask, a piece that
 * takes long is asked of a second member.
 *
 * The origin of every piece is remembered. When the whole does not have its digest,
 * blob_plan_solo() has one member send all pieces that are not its own: then the blob is that
 * member's alone, and right or wrong.
 *
 * Pure: time is an argument. One thread.
 */
#ifndef WHERRY_NODE_BLOB_PLAN_H
#define WHERRY_NODE_BLOB_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BLOB_PIECE = 256 << 10,     /* bytes asked for at once; the last piece may be shorter */
    BLOB_PIECE_MAX = 512 << 10, /* what a member gives at most */
    BLOB_PEERS_MAX = 32,        /* members that one blob comes from */
    BLOB_PEER_FLIGHT = 4,       /* pieces on their way from one member */
    BLOB_FLIGHT = 16,           /* … from all */
    BLOB_PATIENCE_MS = 4000,    /* until a piece is asked of another one */
    BLOB_AGAIN_MS = 1000,       /* … when there is nothing else to ask */
    BLOB_PAUSE_MS = 200,        /* for a member that is busy */
    BLOB_STRIKES = 3,           /* failures in a row until a member is left out */
};

/* How a question ended without a piece. */
enum blob_failure {
    BLOB_BUSY, /* that member has enough to do: a little later */
    BLOB_LOST, /* no answer, or a useless one */
    BLOB_GONE, /* it does not have the blob, or is not connected */
};

/* A question to ask. */
struct blob_question {
    uint64_t tag; /* names it in what follows */
    int64_t to;
    int64_t offset;
    size_t len;
};

/* Where a piece goes. */
struct blob_place {
    int64_t offset;
    size_t len;
    int64_t before; /* the member whose piece is in that place now; 0: none, or one unknown */
};

struct blob_plan {
    int64_t size;
    size_t pieces_n;
    struct blob_piece {
        bool done;
        bool filled;          /* bytes of @origin are in its place, though it may be wanted anew */
        unsigned char asked;  /* how many questions for it are on their way */
        unsigned char origin; /* 1 + index of the peer that sent it; 0: it was here before */
    } * pieces;
    size_t done_n;
    size_t first_open; /* all before it are done */
    struct blob_peer {
        int64_t id;
        int in_flight;
        int strikes;
        int64_t struck_ms; /* what was asked before counts no more */
        int64_t pause_until_ms;
        int64_t bytes; /* it sent */
        bool out;      /* not asked any more */
        bool bad;      /* it sent wrong bytes */
    } peers[BLOB_PEERS_MAX];
    size_t peers_n;
    struct blob_flight {
        uint64_t tag; /* 0: free */
        size_t piece;
        size_t peer;
        int64_t at_ms;
    } flights[BLOB_FLIGHT];
    uint64_t last_tag;
    size_t solo; /* 1 + index of the only peer that is asked; 0: all */
};

/* Begin with a blob of @size bytes, of whose start @have bytes are here. */
void blob_plan_init(struct blob_plan *plan, int64_t size, int64_t have);

/* Free what @plan holds. */
void blob_plan_release(struct blob_plan *plan);

/* Member @id has the blob. Fine when it is known; one that was left out stays so. */
void blob_plan_add(struct blob_plan *plan, int64_t id);

/* The next question. False: there is none now. */
bool blob_plan_next(struct blob_plan *plan, int64_t now_ms, struct blob_question *ret);

/* The length of what question @tag asks for; 0: there is no such question any more. */
size_t blob_plan_expects(const struct blob_plan *plan, uint64_t tag);

/* Question @tag was answered with its piece. True: it is wanted, and the caller stores it. False:
 * it came otherwise, or nobody asked. */
bool blob_plan_done(struct blob_plan *plan, uint64_t tag, struct blob_place *ret);

/* Question @tag failed. */
void blob_plan_failed(struct blob_plan *plan, uint64_t tag, enum blob_failure failure,
                      int64_t now_ms);

/* Give up questions that wait for too long. */
void blob_plan_expire(struct blob_plan *plan, int64_t now_ms);

/* True when all pieces are there. */
bool blob_plan_is_whole(const struct blob_plan *plan);

/* True when it is not whole and there is nobody to ask. */
bool blob_plan_is_stuck(const struct blob_plan *plan);

/* Bytes that are there; those that are there without a gap from the start. */
int64_t blob_plan_bytes(const struct blob_plan *plan);
int64_t blob_plan_prefix(const struct blob_plan *plan);

/* The member all pieces are of; 0: they are of several, or were here before. */
int64_t blob_plan_only_origin(const struct blob_plan *plan);

/* Member @id sent wrong bytes: it is asked no more, and its pieces are wanted again. */
void blob_plan_ban(struct blob_plan *plan, int64_t id);

/* From now on ask only the member that sent most of what is here, for all that is not of it.
 * Returns its id, 0 when there is nobody. blob_plan_ban() ends it. */
int64_t blob_plan_solo(struct blob_plan *plan);

#endif
