/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus - authenticated messages between members.
 *
 * One TCP port. Two TLS 1.3 connections per pair of members: control (raft, heartbeats, calls) and
 * bulk (snapshots, blobs in chunks), so that a large one never holds up a small one; either side
 * may have dialled. Both ends prove their key; it must be the one pinned for that node id
 * (bus_set_peers), certificate dates are ignored. Of two processes that hold one member's key only
 * one is let in (incarnation.h). Different diallers: the connection dialled by the smaller id
 * stays; same dialler: the newer. TCP_NODELAY, TCP_USER_TIMEOUT 5 s; reconnects with backoff from
 * 50 ms to 1 s.
 *
 * A frame is u32 length | u8 kind | u8 reserved | payload, at most BUS_FRAME_MAX; longer payloads
 * (bulk) travel as several and are put together up to BUS_MESSAGE_MAX. Queues are bounded in bytes
 * per peer; a full one refuses (ERR_BUSY) and nothing waits for ever.
 *
 * A stranger, who has no pinned key, may only ask to join: one request of at most 64 KiB, one
 * reply, 10 s, few at once.
 *
 * One thread: the loop's.
 */
#ifndef WHERRY_CLUSTER_BUS_H
#define WHERRY_CLUSTER_BUS_H

#include "store/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;
struct bus_stranger;
struct err;
struct identity;
struct uv_loop_s;

enum {
    BUS_FRAME_MAX = 256 << 10,
    BUS_MESSAGE_MAX = 512 << 20,
    BUS_CONTROL_QUEUE_MAX = 8 << 20, /* bytes waiting for one peer */
    BUS_STRANGER_MAX = 64 << 10,
    BUS_ADDRESSES_MAX = 8, /* of one member; the rest is left out */
};

/* What a message is. The number is the kind byte. */
enum bus_kind {
    BUS_RAFT = 1,
    BUS_HEARTBEAT = 2,
    BUS_CALL = 3,
    BUS_REPLY = 4,
    BUS_BOOK = 5,
    BUS_CLOCK = 6,
    BUS_KIND_LAST = BUS_CLOCK,
};

struct bus_peer {
    int64_t id;
    const char *address;     /* "10.0.0.2:7400" */
    const char *const *more; /* dialled in turn when nobody answers there */
    size_t more_n;
    struct bytes public_key;
};

struct bus_config {
    struct uv_loop_s *loop;
    struct identity *identity;
    const char *listen; /* "10.0.0.1:7400"; "0.0.0.0:7400" for all */
    /* A whole message from member @from; @data is borrowed. */
    void (*on_message)(void *arg, int64_t from, enum bus_kind kind, const void *data, size_t len);
    /* The control connection to a member came up or went down. */
    void (*on_peer)(void *arg, int64_t id, bool up);
    /* A stranger's request; @stranger lives until bus_stranger_reply(), which must come. */
    void (*on_stranger)(void *arg, struct bus_stranger *stranger, const struct bytes *public_key,
                        const void *data, size_t len);
    /* Member @by refuses us: another machine with our identity runs at @host, and was there before
     * us. NULL is fine. */
    void (*on_refused)(void *arg, int64_t by, const char *host);
    void *arg;
};

/* Listen. ERR_BUSY and the address when something else listens there. Before this machine is a
 * member it may start too: then only bus_join() makes sense. */
int bus_start(const struct bus_config *config, struct bus **ret_bus, struct err *err);

/* The port it listens on; of use when port 0 was asked for. */
int bus_port(const struct bus *bus);

/* Close everything; @on_stopped comes when nothing is left on the loop, then @bus is freed. */
void bus_stop(struct bus *bus, void (*on_stopped)(void *arg), void *arg);

/* The members there are, without ourselves: connections to those not in it are closed at once,
 * changed addresses are dialled anew. Copies. @self_id is our node id. */
void bus_set_peers(struct bus *bus, int64_t self_id, const struct bus_peer *peers, size_t n);

/* Queue a message for member @to (copied). ERR_UNAVAILABLE: not connected. ERR_BUSY: queue full. On
 * the bulk connection raft's messages overtake answers (pieces of blobs), and have room of their
 * own. */
int bus_send(struct bus *bus, int64_t to, enum bus_kind kind, bool bulk, const void *data,
             size_t len);

/* True when the control connection to @id stands. */
bool bus_is_connected(const struct bus *bus, int64_t id);

/* The end of bus_connect(): code 0 and the id of the member that answered, or an error. */
typedef void (*bus_connect_cb)(void *arg, const struct err *err, int64_t id);

/* Dial @address (HOST[:PORT]), whoever is there: it must prove the key of a member. From then on it
 * is a connection like any other, and the address is dialled again after it broke. 10 s. */
void bus_connect(struct bus *bus, const char *address, bus_connect_cb cb, void *arg);

/* The address of the stranger's machine, without a port. Borrowed until its connection ends. */
const char *bus_stranger_source(const struct bus_stranger *stranger);

/* Answer a stranger, with at most BUS_FRAME_MAX bytes, and hang up after it was sent. */
void bus_stranger_reply(struct bus_stranger *stranger, const void *data, size_t len);

/* The end of bus_join(): code 0 and the reply, or an error. */
typedef void (*bus_join_cb)(void *arg, const struct err *err, const void *data, size_t len);

/* Ask the member at @address, whose CA certificate must hash to @ca_hash and have signed its
 * certificate, as a stranger with our key. Nothing is sent before that was verified. 15 s. At most
 * BUS_STRANGER_MAX bytes, else ERR_TOOBIG; ERR_UNKNOWN: it was asked, but did not answer. */
void bus_join(struct bus *bus, const char *address, const unsigned char ca_hash[32],
              const void *data, size_t len, bus_join_cb cb, void *arg);

#endif
