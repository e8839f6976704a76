/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus_internal - what the files of the bus share.
 *
 *     bus.c          starting, stopping, the timer, sending
 *     bus_conn.c     one connection: TCP, TLS, frames, its queue
 *     bus_peer.c     members: dialling, hello, which connection stays
 *     bus_vouch.c    which process speaks for a member, when there may be two
 *     bus_stranger.c the listener's side of a join, and what else comes in
 *     bus_join.c     the joiner's side
 *     bus_connect.c  dialling an address that an operator gave
 *
 * A connection's life, with the function of each edge:
 *
 *     CONNECT ──on_connected──► HANDSHAKE ──conn_pump──► HELLO ──peer_up──► UP
 *                                   ▲                      │                 │ peer_up: the
 *     accepted ──bus_on_accept──────┘                      │on_join_request  ▼ other one stays
 *                                                          ▼               LAME
 *     a joiner's own waits in HELLO for the reply       STRANGER
 *
 * and from everywhere CLOSED by conn_close(). LAME: nothing new is sent on it, what is on its way
 * still counts; it is closed a second later.
 *
 * What a frame's kind byte says beyond enum bus_kind is in enum frame_kind. The byte after it is 1
 * when more frames of the same message follow.
 */
#ifndef WHERRY_CLUSTER_BUS_INTERNAL_H
#define WHERRY_CLUSTER_BUS_INTERNAL_H

#include "cluster/address.h"
#include "cluster/bus.h"
#include "cluster/incarnation.h"

#include "base/buf.h"
#include "cluster/source.h"
#include "cluster/tls.h"

#include <uv.h>

enum {
    FRAME_HEADER = 6,
    FRAME_MORE = 1,
    READ_BYTES = 64 << 10,          /* read from a socket at once */
    FLIGHT_MAX = 256 << 10,         /* encrypted bytes the kernel has not taken yet */
    FLUSH_MAX = 1 << 20,            /* encrypted in one turn of the loop */
    PENDING_MAX = 64,               /* accepted connections that have not said who they are */
    PENDING_SOURCE_MAX = 32,        /* of these from one machine */
    STRANGERS_MAX = 16,             /* join requests being answered */
    STRANGERS_SOURCE_MAX = 8,       /* of these from one machine */
    ASKERS_MAX = 32,                /* members that wait for our word about one peer */
    HELD_MAX = 1 << 20,             /* bytes that came before a connection was let in */
    REFUSED_RETRY_MS = 3000,        /* until a refused one is dialled, or dials, again */
    HANDSHAKE_MS = 5000,            /* until HELLO is over */
    STRANGER_MS = 10000,            /* for the answer to a join request */
    GOODBYE_MS = 5000,              /* from the answer until the joiner hangs up */
    JOIN_MS = 15000,                /* for a whole join */
    CONNECT_MS = 10000,             /* for bus_connect() */
    LAME_MS = 1000,                 /* from being replaced to the end */
    BACKOFF_MIN_MS = 50,            /* between two diallings */
    BACKOFF_MAX_MS = 1000,          /* … at most */
    YIELD_MS = 100,                 /* the larger id lets the smaller one dial first */
    USER_TIMEOUT_MS = 5000,         /* unacknowledged bytes end a connection */
    JOIN_REPLY_MAX = BUS_FRAME_MAX, /* what a joiner accepts */
    BULK_QUEUE_MAX = 8 << 20,       /* waiting bytes, or one message of any size */
    BULK_REPLIES_MAX = 4 << 20,     /* … of answers: pieces of blobs */
    HELLO_VERSION = 1,
};

/* Kinds of frames the bus keeps for itself. */
enum frame_kind {
    FRAME_HELLO = 128,
    FRAME_JOIN = 129,
    FRAME_JOIN_REPLY = 130,
    FRAME_PING = 131,    /* empty; any member that said hello gets a pong */
    FRAME_PONG = 132,    /* empty */
    FRAME_WHO = 133,     /* is another incarnation of that member alive with you? */
    FRAME_WHO_IS = 134,  /* the answer */
    FRAME_HOLDS = 135,   /* the incarnation of a member that is connected here, and for how long */
    FRAME_REFUSED = 136, /* you are a copy */
};

enum conn_state {
    CONN_CONNECT,
    CONN_HANDSHAKE,
    CONN_HELLO,
    CONN_WAIT, /* said hello; is it the one process that may speak for that member? */
    CONN_UP,
    CONN_LAME,
    CONN_REFUSED, /* it is told so, nothing else counts */
    CONN_STRANGER,
    CONN_CLOSED,
};

enum channel_kind {
    CHANNEL_CONTROL,
    CHANNEL_BULK,
    CHANNEL_MAX,
};

struct conn;

/* What the owner of a connection does with it. */
struct conn_ops {
    /* The handshake is done; the other side's key is proved. */
    void (*on_secure)(struct conn *conn);
    /* A whole message. @data is borrowed. */
    void (*on_frame)(struct conn *conn, unsigned kind, const void *data, size_t len);
    /* It was closed, by either side; forget it. */
    void (*on_closed)(struct conn *conn, const char *reason);
};

/* A message in a connection's queue. */
struct outgoing {
    struct outgoing *next;
    size_t len;
    size_t sent; /* already framed */
    unsigned char kind;
    bool more_sent; /* its first frame went out */
    char data[];
};

struct conn {
    struct bus *bus;
    struct conn *next, *prev; /* all of bus->conns */
    const struct conn_ops *ops;
    enum conn_state state;
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct tls *tls;
    bool accepted;                /* the other side dialled */
    const unsigned char *ca_hash; /* a joiner's: whom to believe */
    int code;                     /* of the error that closed it, where one is known */
    char remote[64];              /* its address, for the log */
    char source[SOURCE_TEXT];     /* of an accepted one: without the port */
    int64_t deadline_ms;          /* of the state; 0: none */
    int64_t up_at_ms;             /* when it got UP */
    enum channel_kind channel;    /* a member's */
    struct peer *peer;            /* a member's; NULL until it said hello and when it was let go */
    uint64_t incarnation;         /* of the other side, once it said hello */
    bool proving;                 /* WAIT: was replaced lately, and pinged */
    bool refused;                 /* the other side takes us for a copy */
    struct buf held;              /* WAIT: frames that came, as u32 kind | u64 length | bytes */
    struct bus_stranger *stranger;
    struct join *join;
    struct connecting *connecting; /* bus_connect() waits for it */

    /* In. */
    size_t message_max; /* longest message acceptable now */
    unsigned char header[FRAME_HEADER];
    size_t header_len;
    size_t payload_left;
    struct buf message; /* the part that came */
    bool message_open;  /* more frames of it follow */
    unsigned message_kind;

    /* Out. */
    struct outgoing *first, **last;
    size_t queued;    /* bytes that wait, with what keeping them costs */
    size_t replies;   /* of these in answers: raft's messages overtake them */
    size_t in_flight; /* encrypted and handed to libuv */
    bool dirty;       /* to be flushed at the loop's next turn */
};

struct channel {
    struct conn *conn;     /* UP */
    struct conn *dialling; /* ours, on its way */
    size_t target;         /* of the peer's, to dial next */
    int64_t retry_at_ms;
    int backoff_ms;
};

/* Somewhere to dial. */
struct target {
    char *address;
    union socket_address numeric;
};

struct peer {
    struct peer *next;
    int64_t id;
    struct target targets[BUS_ADDRESSES_MAX];
    size_t targets_n;
    char *given; /* by bus_connect(): the last of targets; NULL: none */
    struct bytes public_key;
    struct channel channels[CHANNEL_MAX];
    struct incarnations who; /* which processes speak for it */
    bool pinged;             /* the current one, until @ping_until_ms */
    int64_t ping_until_ms;
    struct asker {
        int64_t member;
        uint64_t candidate;
    } askers[ASKERS_MAX]; /* who waits for what comes of it */
    size_t askers_n;
    struct {
        uint64_t incarnation; /* one that another member holds to be the elder; 0: none */
        int64_t since_ms;
    } claim;
    char host[64]; /* where the current one is, without the port */
    bool told_up;  /* what on_peer was told */
    int64_t warned_ms;
};

struct bus {
    struct bus_config config;
    int64_t self_id;
    uint64_t incarnation;
    uv_tcp_t listener;
    uv_timer_t timer;
    uv_idle_t idle; /* runs once when something is dirty */
    int handles;    /* not closed yet */
    struct tls_context *tls;
    unsigned tls_version; /* of the identity, when it was made */
    struct peer *peers;
    struct peer *removed; /* on_peer(down) is still to be said */
    struct conn *conns;
    size_t strangers_n;
    struct sources sources;
    struct join *joins;
    struct connecting *connectings;
    bool stopping;
    void (*on_stopped)(void *arg);
    void *stop_arg;
    int64_t warned_ms; /* of log_hostile */
    unsigned suppressed;
    char read_buf[READ_BYTES];
    char text[TLS_RECORD_MAX];
    char staging[TLS_RECORD_MAX];
};

/* --- bus.c --- */

/* Time of this turn of the loop. */
int64_t bus_now(const struct bus *bus);
/* Set the timer to the earliest deadline. Call after any was set. */
void bus_schedule(struct bus *bus);
/* Run the flush and what was put off at the loop's next turn. */
void bus_wake(struct bus *bus);
/* The TLS context for what we are now; NULL is logged. */
struct tls_context *bus_tls(struct bus *bus);
/* One handle less; frees the bus after bus_stop() when it was the last. */
void bus_handle_closed(struct bus *bus);
/* Log what a stranger did, at most once a second. */
void bus_log_hostile(struct bus *bus, const struct conn *conn, const char *what);

/* Lower *@next_ms to @at_ms. */
void bus_earlier(int64_t *next_ms, int64_t at_ms);

/* --- bus_conn.c --- */

/* A connection without a socket. */
struct conn *conn_new(struct bus *bus, const struct conn_ops *ops);
/* Dial. On failure the connection is closed and on_closed was called. */
void conn_dial(struct conn *conn, const union socket_address *to);
/* An accepted or connected one: begin the handshake. */
void conn_start(struct conn *conn);
/* Queue a message. On a bulk connection one of raft goes before answers that have not begun: a
 * piece of a blob holds it up, not all that wait. The caller has checked the bounds. */
void conn_queue(struct conn *conn, unsigned kind, const void *data, size_t len);
/* Take apart @n bytes of decrypted text and pass on the messages that are whole. */
void conn_parse(struct conn *conn, const char *p, size_t n);
/* Encrypt and write what waits. */
void conn_flush(struct conn *conn);
/* Close, giving a reason for people. Fine when closed. */
void conn_close(struct conn *conn, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* True when its key is @key. */
bool conn_has_key(const struct conn *conn, const struct bytes *key);

/* --- bus_peer.c --- */

extern const struct conn_ops peer_dial_ops;
/* The peer with @id or @key, NULL. */
struct peer *peer_find(const struct bus *bus, int64_t id);
struct peer *peer_find_key(const struct bus *bus, const struct conn *conn);
/* A frame on the accepted connection of the key of @peer: its hello, or a message. */
void peer_on_frame(struct conn *conn, unsigned kind, const void *data, size_t len);
/* A connection of conn->peer was closed. */
void peer_on_closed(struct conn *conn, const char *reason);
/* The process behind @conn may speak for its member: it is UP, or there is another one. */
void peer_settle(struct conn *conn);
/* True once in a while: a line about @p may be written. */
bool peer_may_warn(struct peer *p, const struct bus *bus);
/* Dial @p at @address too, a numeric one, from now on. */
void peer_add_address(struct bus *bus, struct peer *p, const char *address);
/* Say hello on a dialled connection whose key is that of conn->peer. */
void peer_say_hello(struct conn *conn);
/* Dial what is due; the earliest of what is not lowers *@next_ms. */
void peer_dial_due(struct bus *bus, int64_t *next_ms);
/* Say what was put off about removed ones and free them. */
void peer_free_removed(struct bus *bus, bool tell);

/* --- bus_vouch.c --- */

/* conn->incarnation said hello. True: it may be settled now; else it waits, or was refused. */
bool vouch_hello(struct conn *conn);
/* A frame of these rules, or one on a connection that waits. True: it was dealt with. */
bool vouch_frame(struct conn *conn, unsigned kind, const void *data, size_t len);
/* The control connection to @p is up: the two tell each other whom they hold. */
void vouch_on_up(struct peer *p, struct bus *bus);
/* A connection of @p went down. */
void vouch_on_down(struct peer *p, struct bus *bus);
/* Judge what is due; the earliest of the others lowers *@next_ms. */
void vouch_check_due(struct bus *bus, int64_t *next_ms);

/* --- bus_stranger.c --- */

/* The listener has a connection. */
void bus_on_accept(uv_stream_t *listener, int status);

/* --- bus_join.c --- */

/* End joins that are due; the earliest of the others lowers *@next_ms. */
void join_check_due(struct bus *bus, int64_t *next_ms);
/* End all with ERR_CANCELED. */
void join_cancel_all(struct bus *bus);

/* --- bus_connect.c --- */

/* End those that are due; the earliest of the others lowers *@next_ms. */
void connect_check_due(struct bus *bus, int64_t *next_ms);
/* End all with ERR_CANCELED. */
void connect_cancel_all(struct bus *bus);

#endif
